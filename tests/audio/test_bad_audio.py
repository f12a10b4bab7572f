"""Every kind of known bad audio, made for real: quarantined with a reason, and no harm to its neighbours."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from tests.audio.conftest import cut, tone, write

from artist_transfer.audio.cache import cache_mel
from artist_transfer.audio.decode import decode
from artist_transfer.audio.extract import extract
from artist_transfer.audio.mel import FRONT_ENDS, FrontEnd
from artist_transfer.audio.probe import LOUDEST, ProbeParams, file_fault, probe_of
from artist_transfer.audio.store import MelStore
from artist_transfer.audio.workers import Limits
from artist_transfer.errors import ArtistTransferError

GB = 1 << 30


def _lying_flac(path: Path) -> Path:
    """Declare 2**36 - 1 samples, the most that STREAMINFO can say."""
    content = bytearray(write(path, tone(3.0), container="FLAC", subtype="PCM_16").read_bytes())
    content[21] |= 0x0F  # "fLaC", block header (4), 13 bytes of STREAMINFO, then 4 + 32 bits of total samples
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)
    assert soundfile.info(path).frames == 2**36 - 1
    return path


def _silence(path: Path, hours: float) -> Path:
    silence = np.zeros(8000 * 3600, np.int16)
    with soundfile.SoundFile(path, "w", 8000, 1, format="FLAC", subtype="PCM_16") as sound:
        for _ in range(round(hours)):
            sound.write(silence)
    return path


def _with_value(path: Path, value: float, subtype: str = "FLOAT") -> Path:
    samples = tone(2.0).astype(np.float64)
    samples[30_000] = value
    return write(path, samples, subtype=subtype)


def _bytes(content: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


def _without_length(path: Path) -> Path:
    content = write(path, tone(3.0), container="MP3").read_bytes()
    path.write_bytes(content.replace(b"Xing", b"\0\0\0\0").replace(b"Info", b"\0\0\0\0"))
    return cut(path, 0.5)


# name of the file: (how to make it, its duration in the corpus's metadata, what the reason has to say)
BAD: dict[str, tuple[Callable[[Path], object], float | None, str]] = {
    "missing.mp3": (lambda path: None, None, "missing file"),
    "folder.mp3": (lambda path: path.mkdir(), None, "not a file"),
    "pipe.mp3": (lambda path: os.mkfifo(path), None, "not a file"),
    "dangling.mp3": (lambda path: path.symlink_to("nowhere"), None, "missing file"),
    "under_a_file.mp3/x.mp3": (lambda path: path.parent.touch(), None, "missing file"),
    "zero.mp3": (_bytes(b""), None, "empty file"),
    "text.mp3": (_bytes(b"<html>404 Not Found</html>\n" * 200), None, "unreadable: "),
    "zeros.mp3": (_bytes(bytes(50_000)), None, "unreadable: "),
    "noise.ogg": (_bytes(np.random.default_rng(5).bytes(50_000)), None, "unreadable: "),
    "huge_tag.mp3": (_bytes(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f"), None, "unreadable: "),
    "header_only.mp3": (
        lambda path: cut(write(path, tone(3.0), container="MP3"), 0.01),
        None,
        "unreadable: ",
    ),
    "cut.mp3": (
        lambda path: cut(write(path, tone(3.0), container="MP3"), 0.6),
        None,
        "truncated: 1.8 s of 3.",
    ),
    "cut_without_length.mp3": (_without_length, 3.0, " of 3.0 s declared"),
    "cut.ogg": (
        lambda path: cut(write(path, tone(9.0), container="OGG"), 0.6),
        None,
        "end of the stream is missing",
    ),
    "cut.opus": (
        lambda path: cut(write(path, tone(9.0, rate=48_000), rate=48_000, container="OGG", subtype="OPUS"), 0.6),
        None,
        "end of the stream is missing",
    ),
    "cut.flac": (lambda path: cut(write(path, tone(3.0), container="FLAC"), 0.6), None, " of 3.0 s declared"),
    "cut.wav": (lambda path: cut(write(path, tone(3.0)), 0.6), None, "truncated: 1.8 s of 3.0 s declared"),
    "cut.aiff": (
        lambda path: cut(write(path, tone(3.0), container="AIFF"), 0.6),
        None,
        "end of the stream is missing",
    ),
    "outside_its_track.mp3": (
        lambda path: write(path, tone(2.0), container="MP3"),
        30.0,
        "of 30.0 s declared",
    ),
    "lying.flac": (_lying_flac, None, "truncated: 3.0 s of 3116529.6 s declared"),
    "ten_hours.flac": (lambda path: _silence(path, 10), None, "too long: more than 60 s"),
    "silence.wav": (lambda path: write(path, np.zeros((44_100, 1))), None, "silent"),
    "faint.wav": (lambda path: write(path, tone(2.0) * 1e-5, subtype="FLOAT"), None, "silent"),
    "constant.wav": (lambda path: write(path, np.full((44_100, 1), 0.5)), None, "silent"),
    "opposite_channels.wav": (lambda path: write(path, np.hstack([tone(2.0), -tone(2.0)])), None, "silent"),
    "nan.wav": (lambda path: _with_value(path, np.nan), None, "not finite"),
    "inf.wav": (lambda path: _with_value(path, np.inf), None, "not finite"),
    "minus_inf.wav": (lambda path: _with_value(path, -np.inf), None, "not finite"),
    "huge.wav": (lambda path: _with_value(path, 1e300, "DOUBLE"), None, "not finite"),
    "one_huge_sample.wav": (lambda path: _with_value(path, 1e25), None, "not audio: a sample of 1e+25"),
    "huge_samples.wav": (lambda path: write(path, tone(2.0) * 1e15, subtype="FLOAT"), None, "not audio: "),
    "one_sample.wav": (lambda path: write(path, np.full((1, 1), 0.5)), None, "too short: 0.00 s"),
    "no_sample.wav": (lambda path: write(path, np.zeros((0, 1))), None, "too short: 0.00 s"),
    "short.mp3": (lambda path: write(path, tone(1.0), container="MP3"), None, "too short: 1."),
    "one_hertz.wav": (lambda path: write(path, tone(2.0), rate=1), None, "unreadable: sample rate of 1 Hz"),
    "nul\0byte.wav": (lambda path: None, None, "unreadable: "),
}

# Odd, but good: decoded like any other.
ODD: dict[str, Callable[[Path], object]] = {
    "six_channels.wav": lambda path: write(path, tone(2.0, channels=6)),
    "8_kHz.wav": lambda path: write(path, tone(2.0, rate=8000), rate=8000),
    "96_kHz.flac": lambda path: write(path, tone(2.0, rate=96_000), rate=96_000, container="FLAC"),
    "mp3_named.wav": lambda path: write(path, tone(2.0), container="MP3"),
    "wav_named.mp3": lambda path: write(path, tone(2.0)),
    "whole_numbers.wav": lambda path: write(path, tone(2.0) * 2**31, subtype="FLOAT"),
    "no_ending": lambda path: write(path, tone(2.0), container="OGG"),
    "raw_named.raw": lambda path: write(path, tone(2.0), container="FLAC"),
    "two words,\nüñí — 音.ogg": lambda path: write(path, tone(2.0), container="OGG"),
    "-rf $(x) 'quoted' \"too\".mp3": lambda path: write(path, tone(2.0), container="MP3"),
    "one_frame_more_than_short.wav": lambda path: write(path, tone(1.51)),
}


def _table(paths: dict[str, str], declared: dict[str, float | None] | None = None) -> pd.DataFrame:
    seconds = [(declared or {}).get(track_id) for track_id in paths]
    return pd.DataFrame({"track_id": list(paths), "path": list(paths.values()), "declared_s": seconds})


def test_bad_audio_is_quarantined_and_harms_nobody(
    tmp_path: Path, good_corpus: tuple[Path, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    good_root, good = good_corpus
    (tmp_path / "000").symlink_to(good_root / "000")
    (tmp_path / "001").symlink_to(good_root / "001")
    (tmp_path / "002").symlink_to(good_root / "002")
    for name, (make, _, _) in BAD.items():
        make(tmp_path / name)
    for name, make_odd in ODD.items():
        make_odd(tmp_path / name)
    bad = {f"bad {name}": name for name in BAD}
    odd = {f"odd {name}": name for name in ODD}
    everything = dict(sorted({**good, **bad, **odd}.items(), key=lambda item: hash_free(item[0])))
    declared = {f"bad {name}": seconds for name, (_, seconds, _) in BAD.items()}
    params = ProbeParams(max_duration_s=60.0)
    start = time.monotonic()
    manifest, probes = cache_mel(
        _table(everything, declared), corpus_root=tmp_path, folder=tmp_path / "mixed", probe=params, shard_size=9,
        n_workers=2, progress=False,
    )  # fmt: skip
    seconds = time.monotonic() - start
    reasons = dict(zip(probes["track_id"], probes["reason"], strict=True))
    wrong = {
        name: reasons[f"bad {name}"] for name, (_, _, why) in BAD.items() if why not in str(reasons[f"bad {name}"])
    }
    assert not wrong
    assert {track_id: reasons[track_id] for track_id in (*good, *odd) if not pd.isna(reasons[track_id])} == {}
    assert list(probes["track_id"]) == list(everything)
    assert manifest["n_usable"] == len(good) + len(odd) == probes["reason"].isna().sum()
    assert probes.loc[probes["reason"].notna(), "n_frames"].eq(0).all()
    assert not np.isinf(probes[["peak", "rms"]].to_numpy()).any()

    alone_manifest, alone = cache_mel(
        _table(good),
        corpus_root=good_root,
        folder=tmp_path / "alone",
        probe=params,
        n_workers=1,
        progress=False,
    )
    mixed_store, alone_store = MelStore(manifest, probes), MelStore(alone_manifest, alone)
    kept = ["duration_s", "declared_s", "sample_rate", "channels", "peak", "rms", "audio_hash", "n_frames"]
    pd.testing.assert_frame_equal(
        probes.set_index("track_id").loc[list(good), kept], alone.set_index("track_id").loc[list(good), kept],
        check_exact=True,
    )  # fmt: skip
    for track_id in good:
        assert mixed_store.frames(track_id).tobytes() == alone_store.frames(track_id).tobytes()
    with capsys.disabled():
        print(f"\n{len(BAD)} bad and {len(ODD)} odd files among {len(good)} good ones tried in {seconds:.1f} s")


def hash_free(text: str) -> str:
    """Scatter ids in an order that is the same on every machine."""
    return text[::-1]


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_the_loudest_audio_has_finite_frames(tmp_path: Path, name: str) -> None:
    full_scale = np.sign(tone(2.0)) * LOUDEST
    path = write(tmp_path / "loud.wav", full_scale, subtype="FLOAT")
    row, frames = extract("loud", str(path), declared_s=None, front_end=FRONT_ENDS[name], probe=ProbeParams())
    assert row["reason"] is None and row["peak"] == LOUDEST and np.isfinite(row["rms"])
    assert frames is not None and np.isfinite(frames).all()


def test_frames_that_are_not_finite_are_never_handed_on(tmp_path: Path) -> None:
    half_silent = np.concatenate([tone(2.0), np.zeros((44_100, 1), np.float32)])
    path, no_floor = write(tmp_path / "a.wav", half_silent), FrontEnd(name="no_floor", floor=1e-50)  # 0 in float32
    with np.errstate(divide="ignore"):
        row, frames = extract("a", str(path), declared_s=None, front_end=no_floor, probe=ProbeParams())
    assert frames is None and row["n_frames"] == 0
    assert row["reason"] == "not finite: the log-mel of front end no_floor"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(2.0))
    path.chmod(0)
    assert file_fault(path) == "no permission"


def test_no_permission_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav", tone(2.0))

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    assert file_fault(path) == "no permission"


@pytest.mark.parametrize(("share", "usable"), [(1.0, True), (0.97, True), (0.9, False)])
def test_length_tolerance(tmp_path: Path, share: float, usable: bool) -> None:
    path = cut(write(tmp_path / "a.wav", tone(4.0)), share)
    row = probe_of("a", decode(path), params=ProbeParams())
    assert (row.reason is None) is usable
    assert (probe_of("a", decode(path), params=ProbeParams(length_tolerance=0.2)).reason) is None


@pytest.mark.parametrize(
    "wrong",
    [{"min_duration_s": 0}, {"max_duration_s": 1.0}, {"length_tolerance": 1.0}, {"silence_dbfs": 3.0}],
)
def test_impossible_parameters_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ArtistTransferError, match="allowed"):
        ProbeParams(**wrong)


DEADLY = {
    "segfault.wav": "decoder crashed",
    "sleeps.wav": "decoder hung",
    "spins.wav": "decoder hung",
    "eats.wav": "decoder needs more than 1 GB",
    "raises.wav": "unreadable: KeyError: 'a bug of the decoder'",
}


@pytest.mark.parametrize("n_workers", [2])
def test_deadly_files_die_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, n_workers: int
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    good = {f"good{i}": write(tmp_path / f"good{i}.wav", tone(2.0, seed=i)).name for i in range(8)}
    deadly = {name: write(tmp_path / name, tone(2.0)).name for name in (*DEADLY, "killed_once.wav")}
    mixed = dict(sorted({**good, **deadly}.items(), key=lambda item: hash_free(item[1])))
    limits = Limits(seconds=2.0, memory_bytes=1 << 30)
    start = time.monotonic()
    manifest, probes = cache_mel(
        _table(mixed), corpus_root=tmp_path, folder=tmp_path / "mixed", limits=limits, shard_size=5,
        n_workers=n_workers, decoder="misbehaving:decode_or_die", progress=False,
    )  # fmt: skip
    seconds = time.monotonic() - start
    reasons = dict(zip(probes["track_id"], probes["reason"], strict=True))
    assert {name: reason for name, reason in reasons.items() if not pd.isna(reason)} == DEADLY  # once is forgiven
    alone_manifest, alone = cache_mel(
        _table(good), corpus_root=tmp_path, folder=tmp_path / "alone", n_workers=1, progress=False
    )
    mixed_store, alone_store = MelStore(manifest, probes), MelStore(alone_manifest, alone)
    for track_id in good:
        assert mixed_store.frames(track_id).tobytes() == alone_store.frames(track_id).tobytes()
    with capsys.disabled():
        print(f"\n{len(DEADLY)} deadly files among {len(good)} good ones tried in {seconds:.1f} s, {n_workers} workers")


def _tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def test_what_may_be_the_machines_fault_is_tried_in_one_more_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    names = ["good.wav", "late.wav", "text.wav", "sleeps.wav"]
    for name in names:
        write(tmp_path / name, tone(2.0))
    (tmp_path / "text.wav").write_text("no audio")

    def run(folder: str) -> tuple[dict[str, object], dict[str, tuple[int, bytes]]]:
        _, probes = cache_mel(
            _table({name: name for name in names}), corpus_root=tmp_path, folder=tmp_path / folder,
            limits=Limits(seconds=1.0), shard_size=2, n_workers=1, decoder="misbehaving:decode_or_die", progress=False,
        )  # fmt: skip
        return dict(zip(names, probes["reason"], strict=True)), _tree(tmp_path / folder)

    first, _ = run("mel")
    assert first["late.wav"] == first["sleeps.wav"] == "decoder hung" and pd.isna(first["good.wav"])
    second, after_second = run("mel")
    assert pd.isna(second["late.wav"]) and second["sleeps.wav"] == "decoder hung"
    start = time.monotonic()
    third, after_third = run("mel")
    assert time.monotonic() - start < 1.0  # nobody waits for the file that sleeps
    assert (third, after_third) == (second, after_second)

    _, clean = run("clean")  # nothing is late any more: tries leave no trace where they helped, nor in a sidecar
    differing = {name for name in clean if clean[name][1] != after_third[name][1]}
    assert clean.keys() == after_third.keys()
    assert len(differing) == 1 and next(iter(differing)).endswith(".stat.json")
    write(tmp_path / "sleeps.wav", tone(3.0))  # another file under its name has two tries of its own
    _, renewed = run("mel")
    _, once_more = run("mel")
    assert {n for n in renewed if renewed[n] != once_more[n]} and run("mel")[1] == once_more


def test_a_bomb_ends_within_ten_seconds_and_two_gigabytes(tmp_path: Path) -> None:
    """A fresh process tries a lying header and an hour of silence; the memory of its children is counted."""
    _lying_flac(tmp_path / "lying.flac")
    _silence(tmp_path / "long.flac", hours=1)
    code = (
        "import sys, time, resource, pandas as pd\n"
        "from artist_transfer.audio.cache import cache_mel\n"
        "table = pd.DataFrame({'track_id': ['a', 'b'], 'path': ['lying.flac', 'long.flac'], 'declared_s': None})\n"
        "start = time.monotonic()\n"
        "_, probes = cache_mel(table, corpus_root=sys.argv[1], folder=sys.argv[1], n_workers=1, progress=False)\n"
        "assert probes['reason'].notna().all(), probes\n"
        "print(time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    seconds, peak = map(float, done.stdout.split())
    assert seconds < 20 and peak < 2 * GB
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY  # the limit is the child's alone
