"""One file to one row of the probe table and its log-mel frames; and the process that does nothing else.

The process (`serve`) is started by `artist_transfer.audio.workers` and may die: a decoder can crash, hang or
ask for all memory there is. It ends itself when a file takes too long (a real-time alarm with the system's
default action, so that a decoder which hangs in C dies as well), gets no more memory than allowed, and goes
when its parent is gone.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from artist_transfer.audio.decode import Decoded, resample
from artist_transfer.audio.mel import FrontEnd, log_mel
from artist_transfer.audio.probe import TOO_MUCH_MEMORY, ProbeParams, fault_row, file_fault, probe_of
from artist_transfer.errors import ArtistTransferError

DECODER = "artist_transfer.audio.decode:decode"
READY = b"ready"
_IDLE_S = 120.0  # a process nobody asks for so long ends, and is started again when needed


def extract(
    track_id: str,
    path: str,
    *,
    declared_s: float | None,
    front_end: FrontEnd,
    probe: ProbeParams,
    decoder: str = DECODER,
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Decode a file once; probe it and take its log-mel spectrogram.

    Parameters
    ----------
    track_id : str
        The track.
    path : str
        Its file.
    declared_s : float or None [s]
        Duration that the corpus's metadata declares.
    front_end : FrontEnd
        How to take the spectrogram.
    probe : ProbeParams
        What counts as usable.
    decoder : str
        ``module:function`` with the signature of `artist_transfer.audio.decode.decode`.

    Returns
    -------
    row : dict
        A `Probe` as a dict, without shard and offset.
    frames : np.ndarray [shape=(n_frames, n_mels), float16] or None
        None if the audio is not usable; then the row's reason says why.

    Raises
    ------
    MemoryError
        If the file needs more memory than the process may have.
    """
    fault = file_fault(path)
    if fault:
        return fault_row(track_id, fault), None
    decode = find_decoder(decoder)
    try:
        decoded = decode(path, max_duration_s=probe.max_duration_s)
    except MemoryError:
        raise
    except (ArtistTransferError, OSError) as error:
        return fault_row(track_id, f"unreadable: {error}"), None
    except Exception as error:  # no file whatever may stop a run
        return fault_row(track_id, f"unreadable: {type(error).__name__}: {error}"), None
    row = probe_of(track_id, decoded, params=probe, declared_s=declared_s)
    if row.reason:
        return asdict(row), None
    samples, rate = decoded.samples, decoded.sample_rate
    del decoded
    frames = log_mel(resample(samples, rate, front_end.sample_rate), front_end).astype(np.float16)
    if not np.isfinite(frames).all():  # one such frame would spoil the statistics of all tracks
        return asdict(replace(row, reason=f"not finite: the log-mel of front end {front_end.name}")), None
    row.n_frames = len(frames)
    return asdict(row), frames


def find_decoder(name: str) -> Callable[..., Decoded]:
    """Import a decoder.

    Parameters
    ----------
    name : str
        ``module:function``.

    Returns
    -------
    callable
        The function.

    Raises
    ------
    ArtistTransferError
        If there is no such function.
    """
    module, _, function = name.partition(":")
    try:
        found: Callable[..., Decoded] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ArtistTransferError(f"decoder {name!r}: {error}; allowed is module:function") from error
    return found


def serve(inbox: Connection, outbox: Connection) -> None:
    """Answer requests until the parent hangs up.

    Parameters
    ----------
    inbox : Connection
        Requests, JSON: the arguments of `extract`, ``seconds`` and ``memory_bytes``.
    outbox : Connection
        For each a row (JSON, with ``retire`` if the process ran out of memory), then frames as bytes, if
        there are.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with suppress(EOFError, BrokenPipeError):  # the parent has gone
        outbox.send_bytes(READY)
        _silence_stderr()
        retire = False
        while not retire and inbox.poll(_IDLE_S):
            row, frames = _answer(json.loads(inbox.recv_bytes()))
            outbox.send_bytes(json.dumps(row).encode())
            if frames is not None:
                outbox.send_bytes(frames)  # type: ignore[arg-type]
            retire = bool(row.get("retire"))


def _answer(request: Mapping[str, Any]) -> tuple[dict[str, Any], np.ndarray | None]:
    _limit_memory(request["memory_bytes"])
    signal.setitimer(signal.ITIMER_REAL, request["seconds"])
    try:
        return extract(
            request["track_id"],
            request["path"],
            declared_s=request["declared_s"],
            front_end=FrontEnd(**request["front_end"]),
            probe=ProbeParams(**request["probe"]),
            decoder=request["decoder"],
        )
    except MemoryError:
        reason = f"{TOO_MUCH_MEMORY} {request['memory_bytes'] / 2**30:g} GB"
        return {**fault_row(request["track_id"], reason), "retire": True}, None
    except Exception as error:  # said of the track, in the quarantine table
        return fault_row(request["track_id"], f"could not be processed: {type(error).__name__}: {error}"), None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_memory(memory_bytes: int) -> None:
    """Cap the address space; where a system does not know that limit, the alarm still holds."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    except (ValueError, OSError):
        pass


def _silence_stderr() -> None:
    """Hush decoders: what they complain about ends in the quarantine table anyway."""
    sys.stderr.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
