"""Essentia's descriptors: what is in them, and what bad files, dying workers and killed runs do."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from artist_transfer.artifacts import commit_folder, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.features.essentia_extractor import (
    PITCHES,
    STATISTICS,
    encode,
    extract_corpus,
    extract_track,
)
from artist_transfer.features.essentia_pool import ShardJob, make_shard_apart
from artist_transfer.features.essentia_shards import read_corpus

RATE = 44_100

FAKE = '''
"""Extractors that do what a bad file may do to a real one; the name of the file says what."""
import os, pathlib, time

def fake(path):
    with open(os.environ["FAKE_LOG"], "a") as log:
        log.write(pathlib.Path(path).stem + "\\n")
    text = pathlib.Path(path).read_text()
    if text == "crash":
        os.kill(os.getpid(), 11)
    if text == "hang":
        time.sleep(60)
    if text == "slow":
        time.sleep(0.1)
    seen = pathlib.Path(path + ".seen")
    if text == "once" and not seen.exists():
        seen.touch()
        os.kill(os.getpid(), 11)
    if text == "late" and not seen.exists():
        seen.touch()
        time.sleep(60)
    if text == "raise":
        raise ValueError("no such thing")
    numbers = {"a.mean": float(len(path.rsplit("/")[-1])), "b.mean": float(ord(text[0])), "x.key": "C#"}
    if text == "nan":
        numbers["b.mean"] = float("nan")
    if text == "less":
        del numbers["a.mean"]
    if text == "huge":
        numbers["b.mean"] = 1e300
    return numbers
'''


def chord(path: Path, *, root_hz: float = 220.0, seconds: float = 2.0, silent_s: float = 0.0) -> Path:
    """A major triad of sines over its root, with a little noise."""
    t = np.arange(int(seconds * RATE)) / RATE
    y = 0.01 * np.random.default_rng(0).standard_normal(t.size)
    for semitones in (0, 4, 7, 12):
        y += 0.1 * np.sin(2 * np.pi * root_hz * 2 ** (semitones / 12) * t)
    y[: int(silent_s * RATE)] = 0.0
    soundfile.write(path, y, RATE)
    return path


def table(names: list[str], suffix: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "track_id": names,
            "path": [n + suffix for n in names],
            "audio_hash": [f"hash of {n}" for n in names],
        }
    )


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float | str]]:
    """A file that is partly silent, and its descriptors."""
    path = chord(tmp_path_factory.mktemp("audio") / "a.wav", silent_s=0.5)
    return path, extract_track(path)


class TestRealExtractor:
    def test_all_statistics_and_nothing_of_variable_length(self, described) -> None:
        names = set(described[1])
        for statistic in STATISTICS:
            assert f"lowlevel.spectral_centroid.{statistic}" in names
            assert f"tonal.hpcp.{statistic}.035" in names
        assert {"rhythm.bpm", "rhythm.danceability", "lowlevel.mfcc.mean.012", "tonal.key_edma.key"} <= names
        for part in (".cov", ".icov", "beats_position", "metadata", ".stdev"):
            assert not [name for name in names if part in name]
        assert sum(not isinstance(value, str) for value in described[1].values()) == 3355

    def test_a_major_is_a_major(self, described) -> None:
        numbers = encode(described[1])
        assert numbers["tonal.key_edma.key=A"] == 1.0
        assert sum(numbers[f"tonal.key_edma.key={pitch}"] for pitch in PITCHES) == 1.0
        assert (numbers["tonal.key_edma.scale=major"], numbers["tonal.key_edma.scale=minor"]) == (1.0, 0.0)
        assert abs(described[1]["tonal.tuning_frequency"] - 440) < 2

    def test_silent_frames_do_not_make_it_random(self, described) -> None:
        time.sleep(1.1)  # the extractor's own noise is seeded by the clock's seconds
        assert extract_track(described[0]) == described[1]

    def test_unreadable_and_silent_files_are_errors_without_a_path(self, tmp_path: Path) -> None:
        (tmp_path / "bad.wav").write_bytes(b"RIFF" + bytes(range(256)) * 20)
        chord(tmp_path / "silent.wav", silent_s=2.0)
        for name in ("bad.wav", "silent.wav", "absent.wav"):
            with pytest.raises(ArtistTransferError, match=name) as caught:
                extract_track(tmp_path / name)
            assert str(tmp_path) not in str(caught.value)

    def test_corpus_with_a_corrupt_file(self, tmp_path: Path) -> None:
        root = tmp_path / "corpus"
        root.mkdir()
        chord(root / "b.wav")
        chord(root / "a.wav", root_hz=330.0)
        (root / "bad.wav").write_bytes(b"not audio")
        with pytest.warns(ArtistTransferWarning, match="bad"):
            manifest = extract_corpus(table(["b", "bad", "a"], ".wav"), corpus_root=root, folder=tmp_path / "out")
        assert list(manifest["failed"]) == ["bad"]
        assert (manifest["n_tracks"], manifest["n_failed"]) == (2, 1)
        assert str(tmp_path) not in repr(manifest)
        found = read_corpus(manifest, folder=tmp_path / "out")
        assert found.track_ids == ("a", "b")
        numbers = encode(extract_track(root / "b.wav"))
        assert found.names == tuple(sorted(numbers))
        np.testing.assert_array_equal(found.values[1], np.array([numbers[n] for n in found.names], np.float32))


@pytest.mark.parametrize(("value", "column"), [("A#", "Bb"), ("Db", "C#"), ("F", "F")])
def test_one_hot_knows_both_spellings(value: str, column: str) -> None:
    numbers = encode({"k.key": value, "n": 3.0})
    assert len(numbers) == 13
    assert numbers.pop("n") == 3.0
    assert [name for name, number in numbers.items() if number] == [f"k.key={column}"]


def test_an_unknown_key_is_missing() -> None:
    assert all(np.isnan(value) for value in encode({"k.key": "H"}).values())


class TestWorkers:
    @pytest.fixture
    def fake(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        (tmp_path / "fake_extractor.py").write_text(FAKE)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
        (tmp_path / "log").touch()
        yield importlib.import_module("fake_extractor").fake
        sys.modules.pop("fake_extractor")

    @staticmethod
    def files(root: Path, **texts: str) -> pd.DataFrame:
        root.mkdir(exist_ok=True)
        for name, text in texts.items():
            (root / f"{name}.txt").write_text(text)
        return table(list(texts), ".txt")

    def test_crash_hang_and_error_harm_nobody_else(self, tmp_path: Path, fake) -> None:
        tracks = self.files(tmp_path / "c", t1="ok", t2="crash", t3="hang", t4="raise", t5="ok", t6="ok")
        with pytest.warns(ArtistTransferWarning, match="3 track"):
            manifest = extract_corpus(
                tracks,
                corpus_root=tmp_path / "c",
                folder=tmp_path / "o",
                n_workers=2,
                timeout_s=4,
                extract=fake,
            )
        assert set(manifest["failed"]) == {"t2", "t3", "t4"}
        assert "crashed" in manifest["failed"]["t2"]
        assert "4 s" in manifest["failed"]["t3"]
        assert manifest["failed"]["t4"] == "no such thing"
        assert read_corpus(manifest, folder=tmp_path / "o").track_ids == ("t1", "t5", "t6")

    def test_what_may_be_the_machines_fault_is_tried_again(self, tmp_path: Path, fake) -> None:
        texts = {"t1": "ok", "t2": "once", "t3": "less", "t4": "late", "t5": "raise", "t6": "ok"}
        tracks = self.files(tmp_path / "c", **texts)

        def run(folder: str = "o") -> tuple[dict, list[str]]:
            (tmp_path / "log").write_text("")
            with pytest.warns(ArtistTransferWarning, match="t5"):
                manifest = extract_corpus(
                    tracks,
                    corpus_root=tmp_path / "c",
                    folder=tmp_path / folder,
                    timeout_s=2,
                    extract=fake,
                    shard_size=4,
                )
            return manifest, (tmp_path / "log").read_text().split()

        first, asked = run()
        assert (set(first["failed"]), asked) == ({"t2", "t4", "t5"}, list(texts))
        second, asked = run()
        assert (second["failed"], asked) == ({"t5": "no such thing"}, ["t2", "t4"])
        assert run() == (second, [])
        assert [shard["name"] for shard in first["shards"]] == [shard["name"] for shard in second["shards"]]
        assert run("clean")[0] == second
        assert tree(tmp_path / "clean") == tree(tmp_path / "o")

    def test_deadly_tracks_have_two_tries_and_one_more_with_more_time(self, tmp_path: Path, fake) -> None:
        tracks = self.files(tmp_path / "c", t1="ok", t2="crash", t3="hang")

        def asked(timeout_s: float) -> str:
            (tmp_path / "log").write_text("")
            options = {"corpus_root": tmp_path / "c", "folder": tmp_path / "o", "extract": fake}
            with pytest.warns(ArtistTransferWarning, match=r"2 track\(s\)"):
                manifest = extract_corpus(tracks, timeout_s=timeout_s, **options)
            assert set(manifest["failed"]) == {"t2", "t3"}
            assert read_corpus(manifest, folder=tmp_path / "o").track_ids == ("t1",)
            return (tmp_path / "log").read_text()

        runs = [asked(seconds).split() for seconds in (1.0, 1.0, 1.0, 1.5, 1.5, 1.0)]
        assert runs == [["t1", "t2", "t3"], ["t2", "t3"], [], ["t2", "t3"], [], []]

    def test_failures_of_an_unknown_kind_are_tried_again(self, tmp_path: Path, fake) -> None:
        options = {"corpus_root": tmp_path / "c", "folder": tmp_path / "o", "extract": fake}
        tracks = self.files(tmp_path / "c", t1="ok", t2="once")
        with pytest.warns(ArtistTransferWarning, match="t2"):
            shard = tmp_path / "o" / extract_corpus(tracks, **options)["shards"][0]["name"]
        index = read_json(shard / "index.json")
        assert index.pop("attempts") == {"t2": {"kind": "crashed", "limit_s": 120.0, "tries": 1}}
        write_json(shard / "index.json", index)
        commit_folder(shard, files=["values.npy", "index.json"], details={"n_tracks": 1, "n_failed": 1})
        assert extract_corpus(tracks, **options)["failed"] == {}

    def test_incomplete_descriptors_are_dropped_and_named(self, tmp_path: Path, fake) -> None:
        tracks = self.files(tmp_path / "c", t1="ok", t2="nan", t3="less", t4="huge")
        manifest = extract_corpus(tracks, corpus_root=tmp_path / "c", folder=tmp_path / "o", shard_size=2, extract=fake)
        every = read_corpus(manifest, folder=tmp_path / "o")
        assert every.dropped == ("a.mean", "b.mean")
        assert every.names == tuple(sorted(f"x.key={pitch}" for pitch in PITCHES))
        some = read_corpus(manifest, folder=tmp_path / "o", track_ids=["t3", "t1"])
        assert (some.track_ids, some.dropped) == (("t1", "t3"), ("a.mean",))
        assert some.values[:, some.names.index("b.mean")].tolist() == [ord("o"), ord("l")]

    def test_order_and_workers_do_not_change_a_byte(self, tmp_path: Path, fake) -> None:
        tracks = self.files(tmp_path / "c", **{f"t{i}": "ok" for i in range(7)})
        for out, rows, n in (("one", tracks, 1), ("two", tracks.iloc[::-1], 2)):
            extract_corpus(
                rows,
                corpus_root=tmp_path / "c",
                folder=tmp_path / out,
                n_workers=n,
                shard_size=3,
                extract=fake,
            )
        assert len(tree(tmp_path / "one")) == 9
        assert tree(tmp_path / "one") == tree(tmp_path / "two")

    def test_an_executor_changes_no_byte_and_no_reason(self, tmp_path: Path, fake) -> None:
        tracks = self.files(tmp_path / "c", t1="ok", t2="crash", t3="less", t4="raise", t5="once", t6="ok")
        manifests = {}
        for out, factory in (("pool", None), ("executor", ThreadPoolExecutor)):
            options = {"corpus_root": tmp_path / "c", "folder": tmp_path / out, "shard_size": 2, "extract": fake}
            for _ in range(3):  # the second time those are tried again that may have been unlucky, the third none
                (tmp_path / "log").write_text("")
                with pytest.warns(ArtistTransferWarning, match="t4"):
                    manifests[out] = extract_corpus(tracks, n_workers=2, executor_factory=factory, **options)
            assert (tmp_path / "log").read_text() == ""
            (tmp_path / "c" / "t5.txt.seen").unlink()
        assert set(manifests["pool"]["failed"]) == {"t2", "t4"}
        assert manifests["executor"] == manifests["pool"]
        assert tree(tmp_path / "executor") == tree(tmp_path / "pool")

    def test_an_interpreter_that_cannot_make_a_shard_says_why(self, tmp_path: Path, fake) -> None:
        (tmp_path / "o").touch()
        job = ShardJob(str(tmp_path / "o" / "shard"), (("t1", "t1.txt"),), 9.0, fake)
        with pytest.raises(ArtistTransferError, match=r"o/shard was not made \(exit status 1\): NotADirectoryError"):
            make_shard_apart(job)

    def test_what_is_done_is_not_done_twice_and_damage_is_made_good(self, tmp_path: Path, fake) -> None:
        tracks = self.files(tmp_path / "c", **{f"t{i}": "ok" for i in range(4)})

        def run() -> dict:
            return extract_corpus(tracks, corpus_root=tmp_path / "c", folder=tmp_path / "o", shard_size=2, extract=fake)

        manifest, before = run(), tree(tmp_path / "o")
        assert run() == manifest
        assert (tmp_path / "log").read_text().split() == ["t0", "t1", "t2", "t3"]
        victim = tmp_path / "o" / manifest["shards"][1]["name"] / "values.npy"
        victim.write_bytes(victim.read_bytes()[:-1] + b"\xff")
        with pytest.raises(ArtistTransferError, match="damaged"), pytest.warns(ArtistTransferWarning):
            read_corpus(manifest, folder=tmp_path / "o")
        with pytest.warns(ArtistTransferWarning, match="damaged"):
            run()
        assert tree(tmp_path / "o") == before
        assert (tmp_path / "log").read_text().split()[4:] == ["t2", "t3"]
        tracks.loc[0, "audio_hash"] = "other audio"
        assert run()["shards"][0]["name"] != manifest["shards"][0]["name"]

    def test_killed_run_goes_on_with_the_same_bytes(self, tmp_path: Path, fake) -> None:
        tracks = self.files(tmp_path / "c", **{f"t{i:02d}": "slow" for i in range(10)})
        tracks.to_json(tmp_path / "tracks.json")
        script = tmp_path / "go.py"
        script.write_text(
            "import pandas as pd, fake_extractor\n"
            "from artist_transfer.features.essentia_extractor import extract_corpus\n"
            "if __name__ == '__main__':\n"
            f"    extract_corpus(pd.read_json({str(tmp_path / 'tracks.json')!r}), corpus_root={str(tmp_path / 'c')!r},"
            f" folder={str(tmp_path / 'o')!r}, shard_size=2, extract=fake_extractor.fake)\n"
        )
        env = {**os.environ, "PYTHONPATH": str(tmp_path)}
        process = subprocess.Popen([sys.executable, script], env=env, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not list((tmp_path / "o").glob("*/manifest.json")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        done = [folder.name for folder in (tmp_path / "o").iterdir() if open_folder(folder) is not None]
        assert 1 <= len(done) < 5
        time.sleep(0.5)  # the orphaned worker finds its pipe closed and ends
        (tmp_path / "log").write_text("")
        options = {"corpus_root": tmp_path / "c", "shard_size": 2, "extract": fake}
        manifest = extract_corpus(tracks, folder=tmp_path / "o", **options)
        again = (tmp_path / "log").read_text().split()
        assert len(again) == len(set(again)) == 10 - 2 * len(done)
        assert extract_corpus(tracks, folder=tmp_path / "clean", **options) == manifest
        resumed = {name: data for name, data in tree(tmp_path / "o").items() if ".part" not in name}
        assert resumed == tree(tmp_path / "clean")


@pytest.mark.parametrize("options", [{"n_workers": 0}, {"shard_size": 0}, {"timeout_s": 0.0}])
def test_impossible_parameters_are_refused_before_any_work(tmp_path: Path, options: dict) -> None:
    with pytest.raises(ArtistTransferError, match=next(iter(options))):
        extract_corpus(table(["a"], ".wav"), corpus_root=tmp_path, folder=tmp_path / "o", **options)
    assert not (tmp_path / "o").exists()


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match="audio_hash"):
        extract_corpus(table(["a"], ".wav").drop(columns="audio_hash"), corpus_root=tmp_path, folder=tmp_path)
