"""Trained artist-label and tag-label nets in the cache: what one is made of names its folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from artist_transfer.artifacts import fingerprint, open_folder, read_json, write_json
from artist_transfer.models.artist_net import ArtistNet, ArtistNetConfig
from artist_transfer.models.files import load_artist_net, save_net
from artist_transfer.training.artist_loop import ArtistTrainResult, History, Progress, train_artist
from artist_transfer.training.artist_parameters import ArtistTrainParams
from artist_transfer.training.artist_songs import Songs
from artist_transfer.training.checkpoints import Stop, only_one, remove_checkpoints, stop_on_sigterm
from artist_transfer.training.frame_store import FrameStore

HISTORY = "history.json"


@dataclass(frozen=True)
class TrainedArtistNet:
    """A finished net (on the device, in evaluation mode), where it lies, and whether it was there already."""

    net: ArtistNet
    history: History
    folder: Path
    details: dict[str, Any]
    reused: bool


def train_artist_cached(
    config: ArtistNetConfig,
    make_store: Callable[[], FrameStore],
    songs: Songs,
    params: ArtistTrainParams,
    *,
    source_key: str,
    device: torch.device,
    cache_root: str | Path,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> TrainedArtistNet:
    """Return the net of these inputs and parameters, from ``<cache_root>/nets/<fingerprint>`` or by training it.

    Parameters
    ----------
    config : ArtistNetConfig
        What to build; its outputs are the names of the songs' labels.
    make_store : callable
        Makes the frame store of training and validation songs; called only if there is something to train.
    songs : Songs
        What to learn.
    params : ArtistTrainParams
        How to train; the seed is also that of the initial weights.
    source_key : str
        Fingerprint of the frames: front end and mel shards.
    device : torch.device
        Where to train and where the net is left.
    cache_root : str or Path
        Folder of all caches.
    progress, stop : callable or None
        As for `train_artist`; without `stop`, SIGTERM writes the checkpoint and ends with exit code 143.

    Returns
    -------
    TrainedArtistNet
        Net, history and folder.

    Raises
    ------
    Interrupted, ArtistTransferError
        As `train_artist` does.
    """
    identity = config, params.identity(config.kind), source_key, songs.identity(), device.type
    folder = Path(cache_root) / "nets" / fingerprint("artist net", *identity)
    with stop_on_sigterm() as sigterm, only_one(folder, stop=stop or sigterm):
        details = open_folder(folder)
        if details is not None:
            history = read_json(folder / HISTORY)
            return TrainedArtistNet(load_artist_net(folder, device), history, folder, details=details, reused=True)
        store = make_store()
        net = ArtistNet(config, seed=params.seed)
        net.set_statistics(*songs.statistics(store))
        result = train_artist(
            net, store, songs, params, device=device, folder=folder, progress=progress, stop=stop or sigterm
        )
        facts = _facts(net, songs, params, result) | {"source": source_key, "device": device.type}
        write_json(folder / HISTORY, result.history)
        details = save_net(folder, net, details=facts, also=(HISTORY,))
        remove_checkpoints(folder)
        return TrainedArtistNet(net, result.history, folder, details=details, reused=False)


def _facts(net: ArtistNet, songs: Songs, params: ArtistTrainParams, result: ArtistTrainResult) -> dict[str, Any]:
    """Return what the details of a trained net say about it."""
    counts = {"train": int(songs.training.sum()), "validation": int((~songs.training).sum())}
    return {
        "config": asdict(net.config),
        "training": params.identity(net.config.kind),
        "threads": params.threads,
        "songs": counts,
        songs.what: len(songs.names),
        "tags_left_out": list(songs.left_out),
        "statistics": {"mean": float(net.mean), "std": float(net.std)},
        "steps": result.steps,
        "epochs": len(result.history),
        "best_epoch": result.best_epoch,
    }
