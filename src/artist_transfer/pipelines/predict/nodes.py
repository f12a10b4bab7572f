"""Nodes of prediction: genre probabilities of new audio from the last trained model."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.mel_cache.params import MelBlock
from artist_transfer.pipelines.new_audio import hear_audio

log = logging.getLogger(__name__)

OWN_COLUMNS = ("file", "genre", "reason")


def predict_audio(
    audio_track_table: pd.DataFrame,
    audio_facts: dict[str, Any],
    model_weights: dict[str, Any],
    mel: MelBlock,
    device: str,
    threads: int | None,
    workers: int | None,
    cache_root: str,
) -> pd.DataFrame:
    """Predict the genre of each file.

    Parameters
    ----------
    audio_track_table : pd.DataFrame
        The files.
    audio_facts : dict
        Their folder.
    model_weights : dict
        Nets, probe and front end of the last training.
    mel : MelBlock
        What counts as usable audio.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    workers : int or None
        Processes that decode.
    cache_root : str
        Where their spectrograms are kept.

    Returns
    -------
    pd.DataFrame
        ``file``, ``genre``, ``reason`` (why there is no prediction) and a probability for each genre, in the column of
        its name (`genre_columns`).

    Raises
    ------
    ArtistTransferError
        If no file can be used, or no run has trained a genre model.
    """
    from artist_transfer.audio.store import MelStore
    from artist_transfer.evaluation.probe import Probe, predict_tracks
    from artist_transfer.evaluation.segments import segment_features
    from artist_transfer.pipelines.transfer_evaluation.features import load_nets
    from artist_transfer.training.devices import pin_threads, resolve_device

    if not model_weights:
        raise ArtistTransferError(
            "no run has trained a genre model yet: the corpora so far had no genres, or somebody else's embeddings "
            "were evaluated. Run `kedro run --pipeline=agf_multitask` on a corpus with genres first."
        )
    manifest, usable, quarantine = hear_audio(
        audio_track_table, audio_facts, model_weights["front_end"], mel, workers=workers, cache_root=cache_root
    )
    for row in quarantine.itertuples():
        log.warning("No prediction for %s: %s", row.path, row.reason)
    if not len(usable):
        reasons = "; ".join(f"{row.path}: {row.reason}" for row in quarantine.head(5).itertuples())
        raise ArtistTransferError(f"audio: none of {len(audio_track_table)} file(s) can be used ({reasons})")
    torch_device = resolve_device(device)
    pin_threads(threads)
    ids = usable["track_id"].tolist()
    nets = load_nets(model_weights["nets"], torch_device)
    store = MelStore(manifest, usable)
    features = segment_features(nets, store, ids, hop=model_weights["hop"], device=torch_device)
    probabilities = predict_tracks(Probe.load(Path(model_weights["probe"])), features, ids, device=torch_device)
    return prediction_table(probabilities, usable.set_index("track_id").loc[ids, "path"].tolist(), quarantine)


def prediction_table(probabilities: pd.DataFrame, files: list[str], quarantine: pd.DataFrame) -> pd.DataFrame:
    """Put together what is predicted of each file, and why nothing is of some.

    Parameters
    ----------
    probabilities : pd.DataFrame [shape=(n_files, n_genres)]
        A row for each of `files`.
    files : list of str
    quarantine : pd.DataFrame
        ``path`` and ``reason`` of files that cannot be used.

    Returns
    -------
    pd.DataFrame
        `OWN_COLUMNS`, and a column for each genre.
    """
    table = probabilities.reset_index(drop=True).rename(columns=genre_columns(probabilities.columns))
    table.insert(0, "file", files)
    table.insert(1, "genre", probabilities.idxmax(axis=1).tolist())
    table.insert(2, "reason", "")
    left_out = pd.DataFrame({"file": quarantine["path"], "genre": "", "reason": quarantine["reason"]})
    return pd.concat([table, left_out], ignore_index=True) if len(left_out) else table


def genre_columns(genres: Iterable[str]) -> dict[str, str]:
    """Name the columns of probabilities: by the genre, with ``p_`` before it if another column is called so.

    Parameters
    ----------
    genres : iterable of str

    Returns
    -------
    dict of genre to str
        Different for all, and none of `OWN_COLUMNS`.
    """
    names = list(genres)
    taken = {*OWN_COLUMNS, *names}
    found = {}
    for genre in names:
        column = genre
        while column in OWN_COLUMNS or (column != genre and column in taken):
            column = f"p_{column}"
        taken.add(column)
        found[genre] = column
    return found
