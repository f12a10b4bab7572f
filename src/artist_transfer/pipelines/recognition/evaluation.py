"""Nodes that turn scores of trials into error rates with intervals, and MLflow's child runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.recognition.cells import Cell, cells_of, others_scores, read_matrix
from artist_transfer.pipelines.recognition.params import RecognitionBlock
from artist_transfer.pipelines.recognition.protocols import protocols_of
from artist_transfer.pipelines.recognition.questions import compare

if TYPE_CHECKING:
    from artist_transfer.evaluation.recognition import RecognitionProtocol
    from artist_transfer.evaluation.recognition_scores import Scored

log = logging.getLogger(__name__)


def evaluate_systems(
    recognition_scores_manifest: dict[str, Any], recognition_song_table: pd.DataFrame, recognition: RecognitionBlock
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """Take error rates of all systems on the same trials, with intervals by artist, and compare them.

    Scores are calibrated by the trials of the validation artists of the same fold first, which changes no order.

    Parameters
    ----------
    recognition_scores_manifest : dict
        Matrices of scores.
    recognition_song_table : pd.DataFrame
        Trials.
    recognition : RecognitionBlock
        Resamples.

    Returns
    -------
    recognition_score_table, recognition_comparison_table : pd.DataFrame
        Scores with intervals; paired differences between systems of one number of training artists, and of a system
        between numbers.
    recognition_artist_table : pd.DataFrame
        By artist.
    det_table, score_histogram_table : pd.DataFrame
        Error rates over thresholds (means over folds and nets); calibrated scores.
    recognition_metrics : dict
        The scores, flat.
    """
    from artist_transfer.evaluation.recognition_scores import evaluate_recognition

    cells = cells_of(recognition_scores_manifest["scores"])
    cells += others_scores(
        recognition.score_lists,
        recognition_song_table,
        taken={name for cell in cells for name in (cell.key, cell.system)},
    )
    names = {cell.key: cell for cell in cells}
    validation = protocols_of(recognition_song_table, "self", "validation")
    found: list[list[pd.DataFrame]] = [[], [], [], [], []]
    for target in dict.fromkeys(row["target"] for cell in cells for row in cell.rows):
        protocols = protocols_of(recognition_song_table, target, "test")
        scored = [one for cell in cells for one in _scored(cell, target, validation, protocols)]
        result = evaluate_recognition(
            scored,
            protocols,
            n_resamples=recognition.resamples,
            level=recognition.level,
            seed=recognition.seed,
            pairs=[],
        )
        tables = [
            result.score_table,
            compare(result, cells, fused=recognition.fused),
            result.artist_table,
            *_curves(scored, protocols),
        ]
        for kept, table in zip(found, tables, strict=True):
            kept.append(_named(table, names, target))
    scores, comparisons, artists, det, bins = (pd.concat(tables, ignore_index=True) for tables in found)
    return scores, comparisons, artists, det, bins, flat_scores(scores)


def flat_scores(score_table: pd.DataFrame) -> dict[str, float]:
    """Name the scores: ``<corpus>.<system>[.<artists>].<metric>``, with their intervals.

    Parameters
    ----------
    score_table : pd.DataFrame
        All scores.

    Returns
    -------
    dict of str to float
        For MLflow; the number of artists is in the name where there are several, min_dcf_0.01 is min_dcf_001.
    """
    several = score_table["n_artists_trained"].nunique() > 1
    found = {}
    for row in score_table.to_dict("records"):
        size = row["n_artists_trained"]
        name = f"{row['corpus']}.{row['family']}" + (f".{size:g}" if several and size == size else "")
        for end, column in (("", "value"), ("_low", "low"), ("_high", "high")):
            found[f"{name}.{row['metric'].replace('0.', '0')}{end}"] = float(row[column])
    return found


def list_runs(recognition_score_table: pd.DataFrame, split: str, corpus: str) -> list[dict[str, Any]]:
    """Describe the runs that MLflow shows below this one: a system and number of training artists each.

    Parameters
    ----------
    recognition_score_table : pd.DataFrame
        Scores.
    split, corpus : str
        What all of them share.

    Returns
    -------
    list of dict
        ``name``, ``params``, ``metrics``, ``tags``, ``failed``.
    """
    runs = []
    for (system, size), rows in recognition_score_table.groupby(
        ["family", "n_artists_trained"], sort=False, dropna=False
    ):
        artists = None if size != size else int(size)
        first = rows.iloc[0]
        runs.append(
            {
                "name": system if artists is None else f"{system} {artists}",
                "params": {"system": system, "encoder": first["encoder"], "scoring": first["scoring"]}
                | {"artists": artists, "split": split, "corpus": corpus},
                "metrics": {
                    f"{row.corpus}.{row.metric}": float(row.value)
                    for row in rows.itertuples()
                    if row.value == row.value
                },
                "tags": {"unseen artists": int(first["n_units"])},
                "failed": False,
            }
        )
    return runs


def _scored(
    cell: Cell,
    target: str,
    validation: Mapping[int, RecognitionProtocol],
    protocols: Mapping[int, RecognitionProtocol],
) -> Iterator[Scored]:
    """Read a cell's scores, calibrated where its validation trials are there and allow it."""
    from artist_transfer.evaluation.recognition_scores import Scored
    from artist_transfer.recognition.calibration import fit_calibration

    own = target == "self"
    files = {(row["target"], row["role"], row["fold"], row["trial"]): row["file"] for row in cell.rows}
    wanted = sorted((key for key in files if key[:2] == (target, "test")), key=str)
    lines = {}
    for _, _, fold, trial in wanted:
        known = files.get(("self", "validation", fold, trial))
        if known is None:
            continue
        tried = read_matrix(known, validation[fold])
        try:
            held = validation[fold]
            lines[fold, trial] = fit_calibration(tried, held.targets(), n_artists=len(held.artists))
        except ArtistTransferError as error:
            log.warning("%s is not calibrated: fold %s, %s: %s", cell.key, fold, known, error)
    usable = len(lines) == len(wanted) and all(line.scale > 0 for line in lines.values())
    for number, (_, _, fold, trial) in enumerate(wanted):
        # on another corpus the system of every fold is one more trial of it
        at, net = (fold, trial or 0) if own else (0, number)
        scores = read_matrix(files[target, "test", fold, trial], protocols[at])
        scores = lines[fold, trial].apply(scores) if usable else scores
        yield Scored(cell.key, at, net, scores, calibrated=usable)


def _curves(
    scored: Sequence[Scored], protocols: Mapping[int, RecognitionProtocol]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the rows of DET curves and histograms of every system."""
    from artist_transfer.reporting.recognition_saved import det_rows, histogram_rows

    curves, bins = [], []
    for system in dict.fromkeys(one.system for one in scored):
        parts = [(one.scores, protocols[one.fold].targets()) for one in scored if one.system == system]
        curves.append(det_rows(system, float("nan"), parts))
        bins.append(histogram_rows(system, float("nan"), parts))
    return pd.concat(curves, ignore_index=True), pd.concat(bins, ignore_index=True)


def _named(table: pd.DataFrame, names: Mapping[str, Cell], target: str) -> pd.DataFrame:
    """Add what each system is made of, and the corpus."""
    table = table.copy()
    if "system" in table.columns:
        cells = [names[key] for key in table["system"]]
        table["family"] = [cell.system for cell in cells]
        table["encoder"], table["scoring"] = [cell.encoder for cell in cells], [cell.scoring for cell in cells]
        table["n_artists_trained"] = [float("nan") if cell.artists is None else float(cell.artists) for cell in cells]
    return table.assign(corpus=target)
