"""Training of the artist-label and tag-label nets of a fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.artifacts import write_json
from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_learning.params import ArtistTrainingBlock
from artist_transfer.pipelines.feature_learning import bars, learning

if TYPE_CHECKING:
    import torch

    from artist_transfer.training.artist_finished import TrainedArtistNet
    from artist_transfer.training.artist_parameters import ArtistTrainParams
    from artist_transfer.training.artist_songs import Songs


def without_short(usable_table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Set songs aside that are shorter than a crop of the nets, before sets are drawn from the others.

    Parameters
    ----------
    usable_table : pd.DataFrame
        Tracks with their ``n_frames``.

    Returns
    -------
    long_enough : pd.DataFrame
        The others.
    facts : dict
        ``frames`` of a crop, ``count`` and ``tracks`` of what is set aside.
    """
    from artist_transfer.models.artist_net import CROP

    short = usable_table["n_frames"] < CROP
    left_out = sorted(usable_table.loc[short, "track_id"])
    return usable_table[~short], {"frames": CROP, "count": len(left_out), "tracks": left_out}


def songs_of(kind: str, chosen: pd.DataFrame, usable_table: pd.DataFrame, tags: list[str]) -> Songs:
    """Take the songs of a set with what a net of this kind learns of them.

    Parameters
    ----------
    kind : {"basic", "siamese", "tag"}
        Of net.
    chosen : pd.DataFrame
        Rows of the set: ``track_id, artist_id, side``.
    usable_table : pd.DataFrame
        Their tags.
    tags : list of str
        The vocabulary of the tag-label net.

    Returns
    -------
    Songs
        Training and validation songs.
    """
    from artist_transfer.training.artist_songs import Songs

    rows = chosen[chosen["side"].isin(["train", "validation"])]
    ids, sides = rows["track_id"].tolist(), rows["side"].tolist()
    if kind != "tag":
        return Songs.from_artists(ids, rows["artist_id"].tolist(), sides)
    words = usable_table.set_index("track_id")["genres"]
    return Songs.from_tags(ids, [list(words[track]) for track in ids], sides, vocabulary=tags)


def train_params(block: ArtistTrainingBlock, device: torch.device, *, seed: int, threads: int) -> ArtistTrainParams:
    """Turn the block of parameters into what the training loop takes.

    Parameters
    ----------
    block : ArtistTrainingBlock
        The block.
    device : torch.device
        Which the number of epochs may depend on.
    seed, threads : int
        Of the training.

    Returns
    -------
    ArtistTrainParams
        The same.
    """
    from artist_transfer.training.artist_parameters import ArtistTrainParams

    settings = block.model_dump(exclude={"epochs", "epochs_by_device", "dropout", "width"})
    epochs = block.epochs or getattr(block.epochs_by_device, device.type)
    return ArtistTrainParams(epochs=epochs, seed=seed, threads=threads, **settings)


def train_net(
    kind: str,
    songs: Songs,
    usable_table: pd.DataFrame,
    mel_manifest: Mapping[str, Any],
    block: ArtistTrainingBlock,
    *,
    device: torch.device,
    threads: int,
    seed: int,
    cache_root: str,
    label: str,
) -> TrainedArtistNet:
    """Train one net; what is finished is taken from the cache.

    Parameters
    ----------
    kind : {"basic", "siamese", "tag"}
        Of net.
    songs : Songs
        What it learns.
    usable_table : pd.DataFrame
        Where their frames are.
    mel_manifest : mapping
        Spectrograms of the ismir front end.
    block : ArtistTrainingBlock
        How.
    device : torch.device
        Where.
    threads, seed : int
        Of the training.
    cache_root : str
        Where finished nets are.
    label : str
        What the progress bar says.

    Returns
    -------
    TrainedArtistNet
        The net.
    """
    from artist_transfer.models.artist_net import ArtistNetConfig
    from artist_transfer.training.artist_finished import train_artist_cached

    outputs = 0 if kind == "siamese" else len(songs.names)
    config = ArtistNetConfig(kind, outputs, dropout=block.dropout, width=block.width)  # type: ignore[arg-type]
    tracks = usable_table[usable_table["track_id"].isin(songs.track_ids)].sort_values("track_id", ignore_index=True)
    short = tracks[tracks["n_frames"] < config.crop]
    if len(short):
        raise ArtistTransferError(
            f"{len(short)} songs of the set are shorter than a crop of {config.crop} frames (3 s); the first is "
            f"{short['track_id'].iloc[0]}. Sets are drawn from the others: see `without_short`"
        )
    with bars.training_bar(label) as progress:
        return train_artist_cached(
            config,
            lambda: learning.rank_store(mel_manifest, tracks, device),
            songs,
            train_params(block, device, seed=seed, threads=threads),
            source_key=learning.source_key(tracks, mel_manifest["front_end"]),
            device=device,
            cache_root=cache_root,
            progress=progress,
        )


def complete(rows: Sequence[dict[str, Any]], failed: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Keep the nets of systems that have all of theirs: the others would be scored on fewer folds or seeds.

    Parameters
    ----------
    rows : sequence of dict
        Nets that were trained.
    failed : sequence of mapping
        Those that could not be.

    Returns
    -------
    list of dict
        In their order.

    Raises
    ------
    ArtistTransferError
        If nothing is left.
    """
    incomplete = {net["system"] for net in failed}
    kept = [row for row in rows if row["system"] not in incomplete]
    if not kept:
        first = failed[0]
        raise ArtistTransferError(
            f"{len(failed)} of {len(rows) + len(failed)} nets could not be trained, of every system at least one; the "
            f"first, {first['system']}, fold {first['fold']}, seed {first['seed']}: {first['reason']}"
        )
    return kept


def register(cache_root: str, kind: str, described: Mapping[str, Any]) -> None:
    """Remember the last net of a kind, so that ``encoder=siamese`` finds it.

    Parameters
    ----------
    cache_root : str
        Root of the cache.
    kind : str
        basic, siamese or tag.
    described : mapping
        Its folder and what it was made of.
    """
    folder = Path(cache_root) / "encoders"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{kind}.json", dict(described))
