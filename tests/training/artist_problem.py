"""A tiny artist-label problem, for the tests in one process and, run as a script, for those that kill one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from artist_transfer.models.artist_net import ArtistNet, ArtistNetConfig
from artist_transfer.training.artist_finished import TrainedArtistNet, train_artist_cached
from artist_transfer.training.artist_loop import ArtistTrainResult, Progress, train_artist
from artist_transfer.training.artist_parameters import ArtistTrainParams
from artist_transfer.training.artist_songs import Songs
from artist_transfer.training.frame_store import FrameStore

BANDS, ARTISTS, SONGS = 12, 5, 6  # the last two songs of an artist validate
CPU = torch.device("cpu")
TAGS = ("calm", "fast", "loud")


class Source:
    """Songs whose artist is plain to hear: where the energy lies and how fast it moves."""

    def frames(self, track_id: str, /) -> np.ndarray:
        artist, song = int(track_id[1]), int(track_id[3])
        rng = np.random.default_rng([artist, song])
        time, band = np.arange(135 + 11 * song + artist)[:, None], np.arange(BANDS)
        tune = np.sin(2 * np.pi * (time / (5 + 2 * artist) + band * (artist + 1) / BANDS))
        frames = 0.4 + 0.2 * tune + 0.1 * rng.normal(size=tune.shape) + 0.1 * rng.normal(size=BANDS)
        return np.maximum(frames, 0).astype(np.float16)


def track_ids() -> list[str]:
    return [f"a{artist}s{song}" for artist in range(ARTISTS) for song in range(SONGS)]


def sides() -> list[str]:
    return ["train" if int(track_id[3]) < SONGS - 2 else "validation" for track_id in track_ids()]


def make_songs(kind: str = "siamese") -> Songs:
    if kind != "tag":
        return Songs.from_artists(track_ids(), [track_id[:2] for track_id in track_ids()], sides())
    tags = [[tag for k, tag in enumerate(TAGS) if int(track_id[1]) >> k & 1] for track_id in track_ids()]
    return Songs.from_tags(track_ids(), tags, sides(), vocabulary=TAGS)


def make_store(device: str = "cpu", **options: object) -> FrameStore:
    return FrameStore.build(Source(), track_ids(), device=torch.device(device), **options)


def make_config(kind: str = "siamese", *, dropout: float = 0.5, width: float = 0.125) -> ArtistNetConfig:
    n_outputs = 0 if kind == "siamese" else len(make_songs(kind).names)
    return ArtistNetConfig(kind, n_outputs, n_mels=BANDS, width=width, dropout=dropout)


def make_params(**changes: object) -> ArtistTrainParams:
    values = {"epochs": 6, "batch": 5, "negatives": 3, "seed": 7, "threads": 1, "checkpoint_every_s": 1e9}
    return ArtistTrainParams(**{**values, **changes})


def train_tiny(
    kind: str = "siamese",
    *,
    dropout: float = 0.5,
    width: float = 0.125,
    device: str = "cpu",
    folder: Path | None = None,
    stop: object = None,
    progress: Progress | None = None,
    **changes: object,
) -> tuple[ArtistNet, ArtistTrainResult]:
    params, songs, store = make_params(**changes), make_songs(kind), make_store(device)
    net = ArtistNet(make_config(kind, dropout=dropout, width=width), seed=params.seed)
    net.set_statistics(*songs.statistics(store))
    where = torch.device(device)
    result = train_artist(net, store, songs, params, device=where, folder=folder, stop=stop, progress=progress)
    return net, result


def run(cache: Path, *, kind: str = "siamese", **changes: object) -> TrainedArtistNet:
    return train_artist_cached(
        make_config(kind),
        make_store,
        make_songs(kind),
        make_params(**changes),
        source_key="tiny",
        device=CPU,
        cache_root=cache,
    )


if __name__ == "__main__":
    run(Path(sys.argv[1]), kind=sys.argv[2], epochs=int(sys.argv[3]), checkpoint_every_s=float(sys.argv[4]))
