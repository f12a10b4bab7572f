"""Shards of log-mel frames: some tens of tracks in one file, each decoded once.

A shard is ``<name>.npy`` (float16, ``(frame, band)``, all usable tracks one after another) and
``<name>.json``, its sidecar, written last: one probe row a track and the checksum of the frames. Its name is
the fingerprint of what decides its content. ``<name>.stat.json`` holds size and time of the source files;
it is no result, it only tells whether the sources have changed since. A shard whose sidecar is there, whose
checksums are right and whose sources are unchanged is done; anything else is made again. So is, once, a shard
with a track whose decoder hung, crashed or ran out of memory: that may have been the machine's fault. The
number of tries is in ``<name>.stat.json`` too, so that a deadly file does not cost its time in every run.
"""

from __future__ import annotations

import errno
import json
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from artist_transfer.artifacts import atomic_path, fingerprint, read_json, sha256_of, write_json
from artist_transfer.audio.extract import DECODER
from artist_transfer.audio.mel import AGF, FrontEnd
from artist_transfer.audio.probe import ProbeParams, is_audio, may_pass
from artist_transfer.audio.workers import Limits, borrowed_worker
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

VERSION = 2  # raise it when the same inputs give other frames or other rows
TRIES = 2  # of a shard with a fault that may be the machine's
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

Row = tuple[str, str, float | None]


@dataclass(frozen=True)
class ShardSpec:
    """All that one shard is made of; can be pickled.

    Attributes
    ----------
    rows : tuple of (track_id, path, declared_s), path relative to `corpus_root`
    corpus_root : str
    folder : str, where the shard goes
    front_end : FrontEnd
    probe : ProbeParams
    limits : Limits, what one file may cost
    decoder : str, ``module:function``, see `artist_transfer.audio.decode.decode`
    base : str, folder that relative paths start from, for a worker that was started elsewhere; no part of the name
    known_as : str, how the name knows the corpus; `corpus_root` if empty. Not asked of the file system here: on another
        machine the same folder may be reached by other links
    """

    rows: tuple[Row, ...]
    corpus_root: str
    folder: str
    front_end: FrontEnd = AGF
    probe: ProbeParams = field(default_factory=ProbeParams)
    limits: Limits = field(default_factory=Limits)
    decoder: str = DECODER
    base: str = ""
    known_as: str = ""

    @property
    def name(self) -> str:
        """Fingerprint of what decides the shard's content."""
        corpus = self.known_as or self.corpus_root
        return fingerprint(VERSION, self.front_end, self.probe, corpus, self.decoder, self.rows)

    @property
    def frames_path(self) -> Path:
        """File with the frames."""
        return Path(self.base, self.folder, f"{self.name}.npy")

    @property
    def sidecar_path(self) -> Path:
        """File with the probe rows and the checksum of the frames."""
        return Path(self.base, self.folder, f"{self.name}.json")

    @property
    def facts_path(self) -> Path:
        """File with size and time of the source files."""
        return Path(self.base, self.folder, f"{self.name}.stat.json")


def finished_shard(spec: ShardSpec) -> dict[str, Any] | None:
    """Return a shard's sidecar if the shard is done.

    Parameters
    ----------
    spec : ShardSpec
        The shard.

    Returns
    -------
    dict or None
        ``name, sha256, n_tracks, n_usable, n_frames, rows, rows_sha256``; None if it has to be made. A damaged one
        raises an `ArtistTransferWarning` that names the file.
    """
    try:
        sidecar, facts = read_json(spec.sidecar_path), read_json(spec.facts_path)
        tries = _tries(facts, _source_facts(spec))
        if tries == 0:
            return None
        rows = sidecar["rows"]
        if sidecar["rows_sha256"] != _rows_sha256(rows) or sidecar != _sidecar(spec.name, sidecar["sha256"], rows):
            _damaged(spec.sidecar_path)
            return None
        if (tries < TRIES and _may_pass(rows)) or _holds_no_audio(rows):
            return None
        if sidecar["sha256"] != sha256_of(spec.frames_path):
            _damaged(spec.frames_path)
            return None
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        _damaged(spec.sidecar_path)
        return None
    return dict(sidecar)


def make_shard(spec: ShardSpec, *, on_track: Callable[[], object] | None = None) -> dict[str, Any]:
    """Make a shard, or find it done.

    Can be mapped over any `concurrent.futures.Executor`: the decoding itself runs in a process of its own
    that may die, whoever calls.

    Parameters
    ----------
    spec : ShardSpec
        The shard.
    on_track : callable, optional
        Called after each track.

    Returns
    -------
    dict
        The sidecar, see `finished_shard`.

    Raises
    ------
    ArtistTransferError
        If the shard cannot be written; what was there before is whole.
    """
    done = finished_shard(spec)
    if done is not None:
        return done
    sources = _source_facts(spec)  # before decoding: a file that changes meanwhile makes the shard stale
    tries = 1 + _tries_before(spec, sources)
    with _explained(spec.folder):
        with atomic_path(spec.frames_path) as temporary:
            rows = _write_frames(temporary, spec, on_track)
            digest = sha256_of(temporary)
        # Tries count only what still fails: a shard mended by the second one has the bytes of one that never failed.
        write_json(spec.facts_path, _facts(sources, tries if _may_pass(rows) else 1))
        sidecar = _sidecar(spec.name, digest, rows)
        write_json(spec.sidecar_path, sidecar)
    return sidecar


def is_shard(path: Path, sha256: str) -> bool:
    """Tell whether a file of frames is the one with a checksum, in general without reading it.

    Its sidecar is written after it: one that is not older is believed. Where there is none, or it says something else,
    the frames are hashed.

    Parameters
    ----------
    path : Path
        A shard's ``.npy``.
    sha256 : str
        The checksum.

    Returns
    -------
    bool
        False if another run has made it of other files since.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    sidecar = path.with_suffix(".json")
    with suppress(OSError, ValueError, KeyError, TypeError):
        if path.stat().st_mtime_ns <= sidecar.stat().st_mtime_ns and read_json(sidecar)["sha256"] == sha256:
            return True
    return sha256_of(path) == sha256


def _sidecar(name: str, sha256: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "sha256": sha256,
        "n_tracks": len(rows),
        "n_usable": sum(row["reason"] is None for row in rows),
        "n_frames": sum(row["n_frames"] for row in rows),
        "rows": rows,
        "rows_sha256": _rows_sha256(rows),
    }


def _write_frames(path: Path, spec: ShardSpec, on_track: Callable[[], object] | None) -> list[dict[str, Any]]:
    rows, offset, name = [], 0, spec.name
    with open(path, "wb") as stream, borrowed_worker(spec.limits) as worker:
        _write_header(stream, 0, spec.front_end.n_mels)
        for row, frames in worker.extract_all(_requests(spec)):
            if frames is not None:
                stream.write(frames.data)
                row |= {"shard": name, "offset": offset}
                offset += len(frames)
            rows.append(row)
            if on_track is not None:
                on_track()
        stream.seek(0)
        _write_header(stream, offset, spec.front_end.n_mels)
    return rows


def _write_header(stream: BinaryIO, n_frames: int, n_mels: int) -> None:
    """Write an npy header; its length stays the same however many frames there are."""
    header = {"descr": np.dtype("<f2").str, "fortran_order": False, "shape": (n_frames, n_mels)}
    np.lib.format.write_array_header_1_0(stream, header)


def _requests(spec: ShardSpec) -> Iterator[dict[str, Any]]:
    shared = {"front_end": asdict(spec.front_end), "probe": asdict(spec.probe), "decoder": spec.decoder}
    for track_id, path, declared_s in spec.rows:
        full = os.path.join(spec.base, spec.corpus_root, path)
        yield {"track_id": track_id, "path": full, "declared_s": declared_s, **shared}


def _facts(sources: dict[str, list[int] | None], tries: int) -> dict[str, Any]:
    return sources if tries == 1 else {"sources": sources, "tries": tries}


def _tries(facts: Any, sources: dict[str, list[int] | None]) -> int:
    """Return how often the shard was made of these very sources."""
    if facts == sources:
        return 1
    tries = facts["tries"] if set(facts) == {"sources", "tries"} else 0
    return int(tries) if facts == _facts(sources, tries) else 0


def _tries_before(spec: ShardSpec, sources: dict[str, list[int] | None]) -> int:
    """Return how often the shard was made in vain, with a fault that may be the machine's."""
    try:
        tries = _tries(read_json(spec.facts_path), sources)
        return tries if _may_pass(read_json(spec.sidecar_path)["rows"]) else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _may_pass(rows: list[dict[str, Any]]) -> bool:
    return any(may_pass(row["reason"]) for row in rows)


def _holds_no_audio(rows: list[dict[str, Any]]) -> bool:
    """Tell whether frames are of what earlier versions took for audio."""
    return any(row["reason"] is None and not is_audio(row["peak"]) for row in rows)


def _source_facts(spec: ShardSpec) -> dict[str, list[int] | None]:
    """Return size, time of change and permission of each source file; None if it is not there."""
    facts: dict[str, list[int] | None] = {}
    for track_id, path, _ in spec.rows:
        full = os.path.join(spec.base, spec.corpus_root, path)
        try:
            found = os.stat(full)
            facts[track_id] = [found.st_size, found.st_mtime_ns, int(os.access(full, os.R_OK))]
        except (OSError, ValueError):
            facts[track_id] = None
    return facts


def _rows_sha256(rows: list[dict[str, Any]]) -> str:
    return sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _damaged(path: Path) -> None:
    """Say which file is made again."""
    warnings.warn(
        f"{path} is damaged (its checksum is wrong); the shard is made again.",
        ArtistTransferWarning,
        stacklevel=3,
    )


@contextmanager
def _explained(folder: str) -> Iterator[None]:
    """Turn what the system says about writing into an error for people."""
    try:
        yield
    except OSError as error:
        what = "there is no room left" if error.errno in _NO_ROOM else f"writing failed ({error.strerror or error})"
        raise ArtistTransferError(
            f"mel cache {folder}: {what}. Finished shards are kept; make room, or choose another folder, "
            "and run the same command again."
        ) from error
