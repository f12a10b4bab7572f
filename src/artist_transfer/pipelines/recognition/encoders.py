"""Vectors of songs by every encoder that recognition compares: nets, i-vectors, MFCC statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artist_transfer.artifacts import atomic_path, commit_folder, fingerprint, open_folder, read_json, write_json
from artist_transfer.pipelines.artist_evaluation.targets import Target
from artist_transfer.pipelines.artist_learning.encoders import NamedNet, embed
from artist_transfer.pipelines.artist_learning.params import EncodingBlock

if TYPE_CHECKING:
    import torch

    from artist_transfer.evaluation.embeddings import Embeddings

MFCC, IVECTOR = "mfcc", "ivector"
VECTORS, TRACKS = "ivectors.npy", "tracks.json"


@dataclass(frozen=True)
class SongEncoder:
    """Something that gives every song of a target a vector.

    Attributes
    ----------
    name : str
        basic, siamese, tag, ismir2018_siamese, ivector or mfcc.
    trial : int or None
        Which of several nets by seed; None if there is only one.
    vectors : callable
        Target → Embeddings of at least the songs of its trials.
    """

    name: str
    trial: int | None
    vectors: Callable[[Target], Embeddings]


@dataclass(frozen=True)
class Encoding:
    """Where and how songs are encoded.

    Attributes
    ----------
    block : EncodingBlock
        Segments of a song.
    device : torch.device
        Where.
    cache_root : str
        Where vectors are kept.
    frames : mapping of target to dict
        Frames of each target.
    """

    block: EncodingBlock
    device: torch.device
    cache_root: str
    frames: Mapping[str, Any]


def net_encoder(name: str, named: NamedNet, trial: int | None, encoding: Encoding) -> SongEncoder:
    """Encode by a net.

    Parameters
    ----------
    name : str
        What the encoder is called in the tables.
    named : NamedNet
        The net.
    trial : int or None
        Its number by seed.
    encoding : Encoding
        How.

    Returns
    -------
    SongEncoder
        The encoder.
    """

    def vectors(target: Target) -> Embeddings:
        embeddings, _ = embed(
            named,
            target.usable_table,
            target.mel_manifest,
            encoding.block,
            device=encoding.device,
            cache_root=encoding.cache_root,
        )
        return embeddings

    return SongEncoder(name, trial, vectors)


def mfcc_encoder(fit_ids: Sequence[str], own: Target, encoding: Encoding) -> SongEncoder:
    """Encode by MFCC statistics, standardised on training songs of the run's own corpus.

    Parameters
    ----------
    fit_ids : sequence of str
        The training songs.
    own : Target
        The corpus that they are of.
    encoding : Encoding
        Frames left out are not encoded.

    Returns
    -------
    SongEncoder
        The encoder.
    """
    return SongEncoder(MFCC, None, partial(_mfcc, own=own, fit_ids=fit_ids, encoding=encoding))


def _mfcc(target: Target, *, own: Target, fit_ids: Sequence[str], encoding: Encoding) -> Embeddings:
    from artist_transfer.audio.store import MelStore
    from artist_transfer.evaluation.embedding_baselines import mfcc_embeddings
    from artist_transfer.evaluation.embeddings import Embeddings

    ids = sorted(set(target.usable_table["track_id"]) - set(encoding.frames[target.name]["left_out"]))
    if target.own:
        return mfcc_embeddings(MelStore(own.mel_manifest, own.usable_table), ids, fit_ids=fit_ids)
    stores = {"own": MelStore(own.mel_manifest, own.usable_table)}
    stores["other"] = MelStore(target.mel_manifest, target.usable_table)

    class Both:
        def frames(self, track_id: str, /) -> np.ndarray:
            store, _, track = track_id.partition(":")
            return stores[store].frames(track)

    fit = [f"own:{track}" for track in fit_ids]
    both = mfcc_embeddings(Both(), fit + [f"other:{track}" for track in ids], fit_ids=fit)
    return Embeddings(tuple(ids), both.vectors[len(fit) :])


def ivector_encoder(models: Mapping[str, Any], encoding: Encoding) -> SongEncoder:
    """Encode by total variability.

    Parameters
    ----------
    models : mapping
        Entry of ``frame_models_manifest``: folders ``ubm`` and ``ivector``.
    encoding : Encoding
        Where frames are.

    Returns
    -------
    SongEncoder
        The encoder.
    """
    return SongEncoder(IVECTOR, None, partial(_ivectors, models=models, encoding=encoding))


def _ivectors(target: Target, *, models: Mapping[str, Any], encoding: Encoding) -> Embeddings:
    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.recognition.frames import SongFrames
    from artist_transfer.recognition.gmm import DiagonalGmm, baum_welch
    from artist_transfer.recognition.ivector import TotalVariability, extract

    place = Path(encoding.frames[target.name]["folder"])
    frames = SongFrames.open(place)
    ubm, ivector = Path(models["ubm"]), Path(models["ivector"])
    key = fingerprint("ivectors", 1, place.name, ubm.name, ivector.name, encoding.device.type)
    folder = Path(encoding.cache_root) / "ivectors" / key
    if open_folder(folder) is None:
        statistics = baum_welch(DiagonalGmm.load(ubm), frames, frames.track_ids, device=encoding.device)
        found = extract(TotalVariability.load(ivector), statistics, device=encoding.device)
        with atomic_path(folder / VECTORS) as path, open(path, "wb") as stream:
            np.save(stream, found.vectors)
        write_json(folder / TRACKS, {"track_ids": list(found.track_ids)})
        commit_folder(folder, files=[VECTORS, TRACKS], details={"width": found.width})
    vectors = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
    return Embeddings(tuple(read_json(folder / TRACKS)["track_ids"]), vectors)
