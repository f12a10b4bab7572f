"""The mel cache: same bytes however it came about, nothing done twice, nothing half done."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.audio.conftest import tone, write

from artist_transfer.artifacts import read_json, sha256_of, write_json
from artist_transfer.audio import shards
from artist_transfer.audio.cache import cache_mel, shard_specs
from artist_transfer.audio.decode import decode, resample
from artist_transfer.audio.mel import AGF, ISMIR, log_mel
from artist_transfer.audio.probe import ProbeParams
from artist_transfer.audio.shards import finished_shard, make_shard
from artist_transfer.audio.store import MelStore
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

# What a user's process does: cache the corpus in argv[1] in argv[2], three tracks a shard.
SCRIPT = """
import sys, pandas as pd
from pathlib import Path
from artist_transfer.audio.cache import cache_mel
root = Path(sys.argv[1])
paths = sorted(str(p.relative_to(root)) for p in root.rglob("*.*") if p.is_file())
table = pd.DataFrame({"track_id": paths, "path": paths, "declared_s": None})
cache_mel(table, corpus_root=root, folder=sys.argv[2], shard_size=3, n_workers=2, progress=False)
"""


def _table(root: Path) -> pd.DataFrame:
    paths = sorted(str(path.relative_to(root)) for path in root.rglob("*.*") if path.is_file())
    return pd.DataFrame({"track_id": paths, "path": paths, "declared_s": None})


def _cache(root: Path, folder: Path, **changes: object) -> tuple[dict[str, object], pd.DataFrame]:
    settings: dict[str, object] = {"shard_size": 3, "n_workers": 2, "progress": False} | changes
    return cache_mel(_table(root), corpus_root=root, folder=folder, **settings)  # type: ignore[arg-type]


def _bytes(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in folder.iterdir() if not path.name.startswith(".")}


def _times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.fixture(scope="module")
def corpus(good_corpus: tuple[Path, dict[str, str]]) -> Path:
    return good_corpus[0]


@pytest.fixture(scope="module")
def reference(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    _cache(corpus, folder)
    return folder


def test_frames_are_those_of_the_library(corpus: Path, reference: Path) -> None:
    manifest, probes = _cache(corpus, reference)
    store = MelStore(manifest, probes)
    for row in probes.itertuples():
        decoded = decode(corpus / row.track_id)
        expected = log_mel(resample(decoded.samples, decoded.sample_rate, 22_050)).astype(np.float16)
        np.testing.assert_array_equal(store.frames(row.track_id), expected)
        assert row.n_frames == len(expected) and row.audio_hash == decoded.audio_hash
    assert manifest["n_frames"] == probes["n_frames"].sum() and manifest["n_tracks"] == len(probes) == 12
    for shard in manifest["shards"]:
        assert sha256_of(reference / f"{shard['name']}.npy") == shard["sha256"]
        assert np.load(reference / f"{shard['name']}.npy", mmap_mode="r").shape == (shard["n_frames"], 128)


def test_finished_shards_are_not_touched(corpus: Path, reference: Path) -> None:
    before = _times(reference)
    again = _cache(corpus, reference, decoder="artist_transfer.audio.decode:decode")
    assert _times(reference) == before
    pd.testing.assert_frame_equal(again[1], _cache(corpus, reference)[1])


def _processes(n_workers: int) -> Executor:
    return ProcessPoolExecutor(n_workers, mp_context=get_context("spawn"))


@pytest.mark.parametrize(("n_workers", "factory"), [(1, None), (4, None), (2, ThreadPoolExecutor), (2, _processes)])
def test_same_bytes_from_any_pool(
    corpus: Path, reference: Path, tmp_path: Path, n_workers: int, factory: Callable[[int], Executor] | None
) -> None:
    _cache(corpus, tmp_path, n_workers=n_workers, executor_factory=factory)
    assert _bytes(tmp_path) == _bytes(reference)


def test_same_bytes_under_another_hash_seed(corpus: Path, reference: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    subprocess.run([sys.executable, "-c", SCRIPT, corpus, tmp_path], env=environment, check=True)
    assert _bytes(tmp_path) == _bytes(reference)


def test_other_settings_and_corpora_do_not_collide(corpus: Path, reference: Path, tmp_path: Path) -> None:
    write(tmp_path / "corpus/000/g00.mp3", tone(2.0))
    names = set()
    for root, changes in (
        (corpus, {}),
        (corpus, {"front_end": ISMIR}),
        (corpus, {"probe": ProbeParams(min_duration_s=2.5)}),
        (tmp_path / "corpus", {}),
    ):
        manifest, _ = _cache(root, tmp_path / "cache", **changes)
        found = {shard["name"] for shard in manifest["shards"]}
        assert not names & found
        names |= found


def test_relative_roots_of_the_same_name_do_not_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for project in ("a", "b"):
        write(tmp_path / project / "corpus" / "0.wav", tone(2.0, seed=ord(project)))
        monkeypatch.chdir(tmp_path / project)
        found[project] = _cache(Path("corpus"), tmp_path / "cache")
    names = {found[project][0]["shards"][0]["name"] for project in found}
    assert len(names) == 2
    for project, (manifest, probes) in found.items():
        decoded = decode(tmp_path / project / "corpus" / "0.wav").samples
        np.testing.assert_array_equal(MelStore(manifest, probes).frames("0.wav"), log_mel(decoded).astype(np.float16))


def test_a_project_is_moved_with_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "here" / "data" / "corpus" / "0.wav", tone(2.0))
    monkeypatch.chdir(tmp_path / "here")
    first, _ = _cache(Path("data/corpus"), Path("data/cache"))
    before = _times(Path("data/cache"))
    (tmp_path / "here").rename(tmp_path / "there")
    monkeypatch.chdir(tmp_path / "there")
    assert _cache(Path("data/corpus"), Path("data/cache"))[0] == first
    assert _times(Path("data/cache")) == before


def test_a_root_is_known_by_its_real_path(tmp_path: Path) -> None:
    write(tmp_path / "corpus" / "0.wav", tone(2.0))
    (tmp_path / "link").symlink_to("corpus")
    one, other = (_cache(tmp_path / name, tmp_path / "cache")[0] for name in ("corpus", "link"))
    assert one == other


def test_frames_of_an_earlier_corpus_are_not_those_of_its_successor(tmp_path: Path) -> None:
    """Two runs on one cache: the second finds other files at the same paths while the first still reads."""
    for seed in (0, 1):
        write(tmp_path / "corpus" / "0.wav", tone(2.0, seed=seed))
        manifest, probes = _cache(tmp_path / "corpus", tmp_path / "cache")
        if seed == 0:
            first, opened = (manifest, probes), MelStore(manifest, probes)
            before = opened.frames("0.wav").copy()
    assert first[0]["shards"][0]["name"] == manifest["shards"][0]["name"]
    np.testing.assert_array_equal(opened.frames("0.wav"), before)  # is open, and stays what it was
    for read in (lambda store: store.frames("0.wav"), lambda store: store.places(["0.wav"])):
        with pytest.raises(ArtistTransferError, match="another run has made it anew"):
            read(MelStore(*first))
        read(MelStore(manifest, probes))


def test_killed_anytime_and_finished_by_the_next_run(
    corpus: Path, reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kills = 0
    for attempt in range(3):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, corpus, tmp_path])
        deadline = time.monotonic() + 60
        # Kill as soon as one more shard's frames, or its sidecar, or a temporary file is there.
        pattern, wanted = [("[!.]*.npy", 1), (".*.part.npy", 1), ("[!.]*.json", 4)][attempt]
        while process.poll() is None and len(list(tmp_path.glob(pattern))) < wanted and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        finished = {path.stem for path in tmp_path.glob("[!.]*.json") if not path.stem.endswith(".stat")}
        before = {name: at for name, at in _times(tmp_path).items() if name.partition(".")[0] in finished}
        for name in finished:
            assert sha256_of(tmp_path / f"{name}.npy") == json.loads((tmp_path / f"{name}.json").read_text())["sha256"]
        if attempt == 2:
            subprocess.run([sys.executable, "-c", SCRIPT, corpus, tmp_path], check=True)
            assert {name: at for name, at in _times(tmp_path).items() if name in before} == before
    assert kills >= 1
    assert _bytes(tmp_path) == _bytes(reference)
    with capsys.disabled():
        print(f"\n{kills} runs killed on the way")


def test_two_runs_at_once(corpus: Path, reference: Path, tmp_path: Path) -> None:
    runs = [subprocess.Popen([sys.executable, "-c", SCRIPT, corpus, tmp_path]) for _ in range(2)]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    assert _bytes(tmp_path) == _bytes(reference)


@pytest.mark.parametrize("suffix", [".npy", ".json"])
def test_bit_rot_is_named_and_mended(corpus: Path, reference: Path, tmp_path: Path, suffix: str) -> None:
    manifest, _ = _cache(corpus, tmp_path)
    victim = tmp_path / f"{manifest['shards'][1]['name']}{suffix}"
    content = bytearray(victim.read_bytes())
    at = len(content) // 2
    content[at] ^= 1
    victim.write_bytes(content)
    others = {name: at for name, at in _times(tmp_path).items() if not name.startswith(victim.stem)}
    with pytest.warns(ArtistTransferWarning, match=victim.name):
        _cache(corpus, tmp_path)
    assert _bytes(tmp_path) == _bytes(reference)
    assert {name: at for name, at in _times(tmp_path).items() if name in others} == others
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _cache(corpus, tmp_path)


@pytest.mark.filterwarnings("ignore::artist_transfer.errors.ArtistTransferWarning")
def test_no_flipped_bit_of_a_sidecar_is_believed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "corpus" / "0.wav", tone(1.6))
    (tmp_path / "corpus" / "1.wav").touch()
    template = shards.ShardSpec((), (tmp_path / "corpus").as_posix(), (tmp_path / "cache").as_posix())
    (spec,) = shard_specs(_table(tmp_path / "corpus"), shard_size=2, template=template)
    made = make_shard(spec)
    content, tried = spec.sidecar_path.read_bytes(), 0
    for at in range(8 * len(content)):
        rotten = bytearray(content)
        rotten[at // 8] ^= 1 << at % 8
        spec.sidecar_path.write_bytes(rotten)
        assert finished_shard(spec) in (None, made), bytes(rotten)
        tried += 1
    assert make_shard(spec) == made and spec.sidecar_path.read_bytes() == content
    with capsys.disabled():
        print(f"\n{tried} flipped bits tried")


def test_a_shard_with_what_is_no_audio_is_made_again(tmp_path: Path, reference: Path, corpus: Path) -> None:
    """Earlier versions took samples of any size for audio; their power is infinite."""
    manifest, _ = _cache(corpus, tmp_path)
    path = tmp_path / f"{manifest['shards'][0]['name']}.json"
    sidecar = read_json(path)
    sidecar["rows"][1] |= {"peak": 1e25, "rms": float("inf")}
    write_json(path, shards._sidecar(sidecar["name"], sidecar["sha256"], sidecar["rows"]))
    _cache(corpus, tmp_path)
    assert _bytes(tmp_path) == _bytes(reference)


@pytest.mark.parametrize("lost", [".npy", ".json", ".stat.json"])
def test_a_lost_file_is_made_again(corpus: Path, reference: Path, tmp_path: Path, lost: str) -> None:
    manifest, _ = _cache(corpus, tmp_path)
    (tmp_path / f"{manifest['shards'][0]['name']}{lost}").unlink()
    _cache(corpus, tmp_path)
    assert _bytes(tmp_path) == _bytes(reference)


def test_a_changed_source_is_decoded_again(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    for number in range(4):
        write(root / f"{number}.wav", tone(2.0, seed=number))
    first, probes = _cache(root, tmp_path / "cache", shard_size=2)
    write(root / "3.wav", tone(3.0, seed=9))
    second, changed = _cache(root, tmp_path / "cache", shard_size=2)
    assert first["shards"][0] == second["shards"][0] and first["shards"][1] != second["shards"][1]
    assert list(changed["duration_s"]) == [2, 2, 2, 3] and list(probes["duration_s"]) == [2, 2, 2, 2]
    (root / "3.wav").unlink()
    assert _cache(root, tmp_path / "other")[0]["n_tracks"] == 3


def test_a_shard_without_usable_tracks_is_an_empty_array(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", tone(0.5))
    manifest, probes = _cache(tmp_path, tmp_path / "cache")
    name = manifest["shards"][0]["name"]
    assert np.load(tmp_path / "cache" / f"{name}.npy").shape == (0, AGF.n_mels)
    assert len(MelStore(manifest, probes)) == 0
    assert MelStore(manifest, probes).shard(name).shape == (0, AGF.n_mels)


def test_a_full_disk_is_an_error_that_names_the_folder(corpus: Path, tmp_path: Path) -> None:
    """The kernel really refuses: the process may write no file beyond a size that only small files keep."""
    code = SCRIPT.replace(
        "root = Path",
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); root = Path",
        1,
    )
    _cache(corpus, tmp_path, front_end=ISMIR)
    before = _bytes(tmp_path)
    done = subprocess.run([sys.executable, "-c", code, corpus, tmp_path], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"ArtistTransferError: mel cache {tmp_path.as_posix()}: there is no room left" in done.stderr
    assert _bytes(tmp_path) == before  # nothing half written, nothing lost
    assert not list(tmp_path.glob(".*.part.*"))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_for_the_sidecar(
    corpus: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_json", refuse)
        with pytest.raises(ArtistTransferError, match="no room left"):
            _cache(corpus, tmp_path)
    _cache(corpus, tmp_path)
    assert _bytes(tmp_path) == _bytes(reference)


def test_old_temporary_files_are_removed_and_young_ones_left(corpus: Path, tmp_path: Path) -> None:
    old, young = tmp_path / ".x.1.part.npy", tmp_path / ".x.2.part.npy"
    old.touch()
    young.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    _cache(corpus, tmp_path)
    assert not old.exists() and young.exists()


def test_empty_table(tmp_path: Path) -> None:
    manifest, probes = _cache(tmp_path, tmp_path / "cache")
    assert manifest["n_tracks"] == len(probes) == 0
    assert {"track_id", "reason", "offset"} <= set(probes.columns)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"corpus_root": "/no/such/folder"}, "no such folder"),
        ({"shard_size": 0}, "shard_size 0"),
        ({"n_workers": -1}, "n_workers -1"),
        ({"decoder": "no_such_module:decode"}, "no_such_module"),
    ],
)
def test_impossible_arguments_are_refused_before_any_work(
    corpus: Path, tmp_path: Path, wrong: dict[str, object], words: str
) -> None:
    settings = {"corpus_root": corpus, "folder": tmp_path / "cache", "progress": False} | wrong
    with pytest.raises(ArtistTransferError, match=words):
        cache_mel(_table(corpus), **settings)  # type: ignore[arg-type]
    assert not (tmp_path / "cache").exists()
