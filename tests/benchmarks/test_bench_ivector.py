"""The i-vector benchmark: a small size runs, and promises nothing."""

from __future__ import annotations

from benchmarks import bench_ivector


def test_a_small_size() -> None:
    rows = bench_ivector.run(20, dimension=8, cores=1)
    assert [row["name"].rsplit(".", 1)[1] for row in rows] == [
        "fit_of_one_iteration",
        "extract",
        "peak",
        "song_by_song_over_it",
    ]
    assert all(row["value"] > 0 and row["reach"] is None for row in rows)
    assert 0.05 < rows[2]["value"] < bench_ivector.GIB
    assert all("20x256x8.1_cores" in row["name"] for row in rows)
