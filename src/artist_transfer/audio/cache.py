"""The mel cache of a corpus: its tracks in shards, made by a pool, and the probe table."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from artist_transfer.audio.extract import DECODER, find_decoder
from artist_transfer.audio.mel import AGF, FrontEnd
from artist_transfer.audio.probe import Probe, ProbeParams
from artist_transfer.audio.shards import ShardSpec, finished_shard, make_shard
from artist_transfer.audio.workers import Limits, close_idle_workers
from artist_transfer.errors import ArtistTransferError
from artist_transfer.processes import cpu_count

if TYPE_CHECKING:
    import pandas as pd

_LEFTOVER_S = 3600.0  # a temporary file as old as this belongs to a run that was killed
_FLOATS = ("duration_s", "declared_s", "peak", "rms")
_INTS = ("sample_rate", "channels", "n_frames", "offset")


def cache_mel(
    track_table: pd.DataFrame,
    *,
    corpus_root: str | Path,
    folder: str | Path,
    front_end: FrontEnd = AGF,
    probe: ProbeParams | None = None,
    limits: Limits | None = None,
    shard_size: int = 64,
    n_workers: int | None = None,
    executor_factory: Callable[[int], Executor] | None = None,
    decoder: str = DECODER,
    progress: bool = True,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Decode every track once: log-mel shards and the probe table.

    Parameters
    ----------
    track_table : pd.DataFrame
        Columns ``track_id, path, declared_s``, one row a track, in the order of the shards.
    corpus_root : str or Path
        Folder that `path` is relative to.
    folder : str or Path
        Where the shards go. Shards that are done are not made again.
    front_end : FrontEnd
        How to take the spectrogram.
    probe : ProbeParams, optional
        What counts as usable audio.
    limits : Limits, optional
        What one file may cost.
    shard_size : int [>= 1]
        Most tracks in a shard.
    n_workers : int [>= 1], optional
        Processes; as many as this process has cores if not given. The result does not depend on it.
    executor_factory : callable, optional
        Gives the executor to map shards over, from `n_workers`: for instance that of a Dask cluster, see
        `artist_transfer.cluster.dask_executor_factory`.
    decoder : str
        ``module:function``, see `artist_transfer.audio.decode.decode`.
    progress : bool
        Show bars.

    Returns
    -------
    manifest : dict
        ``front_end, probe, folder, n_tracks, n_usable, n_frames, shards`` (``name, sha256, n_tracks,
        n_usable, n_frames`` each).
    probe_table : pd.DataFrame
        One row a track, in the order of `track_table`; columns as in `artist_transfer.audio.probe.Probe`.

    Raises
    ------
    ArtistTransferError
        If the corpus folder is missing, an argument is impossible, or the cache cannot be written.
    """
    root, probe = Path(corpus_root), probe or ProbeParams()
    if not root.is_dir():
        raise ArtistTransferError(f"corpus_root {root}: there is no such folder")
    if shard_size < 1:
        raise ArtistTransferError(f"shard_size {shard_size}: allowed is >= 1")
    specs = shard_specs(
        track_table,
        shard_size=shard_size,
        template=ShardSpec(
            rows=(),
            corpus_root=root.as_posix(),
            folder=Path(folder).as_posix(),
            front_end=front_end,
            probe=probe,
            limits=limits or Limits(),
            decoder=decoder,
            base=Path.cwd().as_posix(),
            known_as=_known_as(root, Path(folder)),
        ),
    )
    shards = build_shards(specs, n_workers=n_workers, executor_factory=executor_factory, progress=progress)
    manifest = _manifest(shards, front_end=front_end, probe=probe, folder=folder)
    return manifest, _probe_table(shards)


def _known_as(root: Path, folder: Path) -> str:
    """Name a corpus for the shards' names: no two in a cache are called the same, wherever the runs were started.

    A root that was given relatively is named by the way there from the cache, so that a project can be moved with both.
    """
    real = Path(root).resolve()
    return (real if root.is_absolute() else Path(os.path.relpath(real, folder.resolve()))).as_posix()


def shard_specs(track_table: pd.DataFrame, *, shard_size: int, template: ShardSpec) -> list[ShardSpec]:
    """Cut a track table into shards of nearly equal numbers of tracks.

    Parameters
    ----------
    track_table : pd.DataFrame
        Columns ``track_id, path, declared_s``.
    shard_size : int [>= 1]
        Most tracks in a shard.
    template : ShardSpec
        Everything but the rows.

    Returns
    -------
    list of ShardSpec
        In the order of the table.
    """
    missing = {"track_id", "path"} - set(track_table.columns)
    if missing:
        raise ArtistTransferError(f"track table: columns {sorted(missing)} are missing")
    declared = track_table["declared_s"] if "declared_s" in track_table else [None] * len(track_table)
    rows = tuple(
        (str(track_id), str(path), None if seconds is None or seconds != seconds else float(seconds))
        for track_id, path, seconds in zip(track_table["track_id"], track_table["path"], declared, strict=True)
    )
    if not rows:
        return []
    size = math.ceil(len(rows) / math.ceil(len(rows) / shard_size))
    return [replace(template, rows=rows[start : start + size]) for start in range(0, len(rows), size)]


def build_shards(
    specs: Sequence[ShardSpec],
    *,
    n_workers: int | None = None,
    executor_factory: Callable[[int], Executor] | None = None,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Make the shards that are not done, over a pool.

    Parameters
    ----------
    specs : sequence of ShardSpec
        The shards.
    n_workers : int [>= 1], optional
        Processes; as many as this process has cores if not given.
    executor_factory : callable, optional
        Gives the executor from `n_workers`. By default threads, each with a decoding process of its own.
    progress : bool
        Show a bar that counts the shards checked, then one that counts the tracks to be decoded.

    Returns
    -------
    list of dict
        Sidecars, in the order of `specs`.

    Raises
    ------
    ArtistTransferError
        If a shard cannot be written.
    """
    n_workers = n_workers or cpu_count()
    if n_workers < 1:
        raise ArtistTransferError(f"n_workers {n_workers}: allowed is >= 1")
    for name in {spec.decoder for spec in specs}:
        find_decoder(name)
    _remove_leftovers({spec.folder for spec in specs})
    with ThreadPoolExecutor(n_workers) as checkers:
        checked = checkers.map(finished_shard, specs)
        bar = tqdm(checked, total=len(specs), desc="checking shards", unit="shard", leave=False, disable=not progress)
        done = list(bar)
    to_make = [number for number, sidecar in enumerate(done) if sidecar is None]
    if not to_make:
        return [sidecar for sidecar in done if sidecar is not None]
    total = sum(len(specs[number].rows) for number in to_make)
    with tqdm(total=total, desc="log-mel", unit="track", disable=not progress) as bar:
        if executor_factory is None:
            executor: Executor = ThreadPoolExecutor(min(n_workers, len(to_make)))
            futures = {executor.submit(make_shard, specs[number], on_track=bar.update): number for number in to_make}
        else:
            executor = executor_factory(n_workers)
            futures = {executor.submit(make_shard, specs[number]): number for number in to_make}
        try:
            for future in as_completed(futures):
                number = futures[future]
                done[number] = future.result()
                if executor_factory is not None:
                    bar.update(len(specs[number].rows))
        finally:
            for future in futures:
                future.cancel()
            executor.shutdown(wait=True)
            close_idle_workers()
    return [sidecar for sidecar in done if sidecar is not None]


def _manifest(
    shards: Sequence[dict[str, Any]], *, front_end: FrontEnd, probe: ProbeParams, folder: str | Path
) -> dict[str, Any]:
    keys = ("name", "sha256", "n_tracks", "n_usable", "n_frames")
    return {
        "front_end": asdict(front_end),
        "probe": asdict(probe),
        "folder": Path(folder).as_posix(),
        **{key: sum(shard[key] for shard in shards) for key in keys[2:]},
        "shards": [{key: shard[key] for key in keys} for shard in shards],
    }


def _probe_table(shards: Sequence[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame([row for shard in shards for row in shard["rows"]], columns=[f.name for f in fields(Probe)])
    return table.astype(dict.fromkeys(_FLOATS, "float64") | dict.fromkeys(_INTS, "int64"))


def _remove_leftovers(folders: set[str]) -> None:
    """Remove temporary files of runs that were killed, but none that a run beside this one may be writing."""
    for folder in folders:
        for path in Path(folder).glob(".*.part.*"):
            try:
                if time.time() - path.stat().st_mtime > _LEFTOVER_S:
                    path.unlink()
            except OSError:
                continue
