"""The embedded default corpus: a small FMA that is made, not downloaded.

`generate` writes what the FMA reader reads: ``fma_metadata/tracks.csv`` (two header rows and the one that
names the index, 52 columns), ``fma_metadata/genres.csv`` (top genres and subgenres) and mp3 files in the
``fma_small/000/000002.mp3`` tree. What was planted stands in ``truth.csv``, outside the metadata: the true
genre of each track (some albums carry a wrong one as a whole, as in FMA) and each defect; `DEFECTS` says
where they are. Bytes are equal for equal parameters, on one machine with one set of libraries, whatever the
number of workers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from artist_transfer.artifacts import (
    MANIFEST,
    atomic_path,
    commit_folder,
    fingerprint,
    open_folder,
    read_json,
    sha256_of,
    write_json,
)
from artist_transfer.corpora._synthetic_plan import DEFECTS as DEFECTS
from artist_transfer.corpora._synthetic_plan import DUPLICATES as DUPLICATES
from artist_transfer.corpora._synthetic_plan import (
    FLOATS,
    Place,
    SyntheticParams,
    check_params,
    genre_rows,
    plan,
    track_rows,
    truth_rows,
)
from artist_transfer.corpora._synthetic_styles import artist_style
from artist_transfer.corpora.synthesis import render_track
from artist_transfer.errors import ArtistTransferError
from artist_transfer.processes import cpu_count, end_with_parent, light_spawn

RECIPE = 1
"""Goes up when the same parameters give other bytes."""

_GARBAGE_STREAM = 204


def corpus_fingerprint(params: SyntheticParams) -> str:
    """Name the corpus that these parameters make, for instance as the name of its folder.

    Parameters
    ----------
    params : SyntheticParams
        Size and difficulty.

    Returns
    -------
    str
        20 hexadecimal digits.
    """
    numbers = {name: float(value) if name in FLOATS else value for name, value in asdict(params).items()}
    return fingerprint("synthetic", RECIPE, numbers)


def generate(folder: str | Path, params: SyntheticParams, *, n_workers: int | None = None) -> Path:
    """Make the corpus in a folder, or go on where an earlier call was ended.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there; holds one corpus.
    params : SyntheticParams
        Size and difficulty.
    n_workers : int, >= 1, optional
        Processes that render; default: one for each core that this process may use.

    Returns
    -------
    Path
        The folder, complete: a finished one is only checked.

    Raises
    ------
    ArtistTransferError
        If a parameter is out of range, the folder holds something else, or a file cannot be written.
    """
    check_params(params)
    if n_workers is not None and n_workers < 1:
        raise ArtistTransferError(f"n_workers={n_workers}: must be 1 or more.")
    folder = Path(folder)
    _claim(folder, params)
    if open_folder(folder) is not None:
        return folder
    _drop_damaged(folder)
    tracks = plan(params)
    jobs = [(folder / track.file, params, track.source, track.defect) for track in tracks]
    _render([job for job in jobs if not job[0].exists()], n_workers or cpu_count())
    tables = {
        "fma_metadata/tracks.csv": track_rows(tracks, params),
        "fma_metadata/genres.csv": genre_rows(tracks, params),
        "truth.csv": truth_rows(tracks),
    }
    for name, rows in tables.items():
        _write_csv(folder / name, rows)
    details = {"fingerprint": corpus_fingerprint(params), "params": asdict(params), "tracks": len(tracks)}
    commit_folder(folder, files=[*tables, *(track.file for track in tracks)], details=details)
    return folder


def _claim(folder: Path, params: SyntheticParams) -> None:
    """Write into the folder which corpus it is to hold, or refuse one that holds another."""
    note, key = folder / "synthetic.json", corpus_fingerprint(params)
    try:
        if note.is_file():
            found = read_json(note).get("fingerprint")
            if found != key:
                raise ArtistTransferError(
                    f"{folder} holds the synthetic corpus {found} of other parameters, not {key};"
                    " delete that folder or name another."
                )
            return
        if folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise ArtistTransferError(f"{folder} is not empty and holds no synthetic corpus; name another folder.")
        write_json(note, {"fingerprint": key, "params": asdict(params)})
    except (OSError, ValueError) as error:
        raise ArtistTransferError(f"{note}: {error}; a folder to read and write is needed.") from error


def _drop_damaged(folder: Path) -> None:
    """Remove files whose checksum is wrong, so that they are made again; without a manifest all are whole."""
    manifest = folder / MANIFEST
    if not manifest.exists():
        return
    try:
        sums = {name: facts["sha256"] for name, facts in read_json(manifest)["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        sums = {}  # then nothing tells good from bad
    for path in sorted(folder.glob("fma_small/*/*.mp3")):
        if sha256_of(path) != sums.get(path.relative_to(folder).as_posix()):
            path.unlink(missing_ok=True)
    manifest.unlink(missing_ok=True)


_Job = tuple[Path, SyntheticParams, Place, str]


def _render(jobs: Sequence[_Job], n_workers: int) -> None:
    with tqdm(total=len(jobs), desc="synthetic corpus", unit=" clips", delay=2, leave=False) as bar:
        if min(n_workers, len(jobs)) <= 1:
            for job in jobs:
                write_clip(*job)
                bar.update()
            return
        n_workers = min(n_workers, len(jobs))
        with light_spawn() as context, ProcessPoolExecutor(n_workers, context, end_with_parent) as pool:
            futures = [pool.submit(write_clip, *job) for job in jobs]
            try:
                for future in as_completed(futures):
                    future.result()
                    bar.update()
            except BrokenProcessPool as error:
                raise ArtistTransferError(
                    "synthetic: a process that renders was ended from outside (out of memory?);"
                    " start again: finished files are kept, fewer workers need less memory."
                ) from error
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def write_clip(path: Path, params: SyntheticParams, place: Place, defect: str) -> None:
    """Render one file, whole or with its defect.

    Parameters
    ----------
    path : Path
        Where the mp3 goes.
    params : SyntheticParams
        Size and difficulty.
    place : (genre, artist, track)
        What is played.
    defect : str
        A key of `DEFECTS`, or empty.

    Raises
    ------
    ArtistTransferError
        If it cannot be written.
    """
    if defect == "empty":
        data = b""
    elif defect == "unreadable":
        rng = np.random.default_rng([params.seed, _GARBAGE_STREAM])
        data = rng.integers(0, 128, 20_000, dtype=np.uint8).tobytes()  # no 0xFF: no frame begins here
    else:
        data = _mp3(params, place)
        if defect == "truncated":
            data = data[: 2 * len(data) // 5]
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise ArtistTransferError(f"{path}: could not be written: {error}.") from error


def _mp3(params: SyntheticParams, place: Place) -> bytes:
    import soundfile

    if "MP3" not in soundfile.available_formats():
        raise ArtistTransferError(
            f"synthetic: libsndfile {soundfile.__libsndfile_version__} writes no mp3; 1.1 or later does."
        )
    style = artist_style(seed=params.seed, genre=place[0], artist=place[1], spread=params.artist_spread)
    sound = render_track(
        style,
        track=place[2],
        seconds=params.seconds,
        sample_rate=params.sample_rate,
        spread=params.track_spread,
    )
    # as floats: of 16-bit stereo libsndfile 1.2.2 copies half, and encodes what was in memory for the rest
    stream = io.BytesIO()
    soundfile.write(stream, sound, params.sample_rate, format="MP3", bitrate_mode="VARIABLE", compression_level=0.3)
    return stream.getvalue()


def _write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
