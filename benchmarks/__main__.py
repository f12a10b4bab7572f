"""Run all benchmarks: `make bench`. Prints a table and writes data/08_reporting/bench.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from artist_transfer.artifacts import write_json
from artist_transfer.processes import cpu_count
from benchmarks import (
    bench_artist,
    bench_gpu,
    bench_ivector,
    bench_mel,
    bench_plda,
    bench_recognition,
    bench_retrieval,
    bench_startup,
    bench_training,
)

OUTPUT = Path("data/08_reporting/bench.json")
FRONT = (bench_startup, bench_mel, bench_retrieval)
RECOGNITION = (bench_recognition, bench_ivector, bench_plda)
NETS = (bench_training, bench_artist, bench_gpu)


def main() -> None:
    """Run them one after the other, so that none disturbs another."""
    rows: list[dict[str, Any]] = []
    for module in (*FRONT, *RECOGNITION, *NETS):
        rows += module.run()
    write_json(OUTPUT, rows)
    table = Table("what", "value", "unit", "reach", title=f"Benchmarks on {cpu_count()} cores")
    for row in rows:
        value = "not measured" if row["value"] is None else f"{row['value']:.3g}"
        table.add_row(row["name"], value, row["unit"], str(row["reach"] or ""))
    Console().print(table)
    print(f"Written: {OUTPUT}")


if __name__ == "__main__":
    main()
