"""Tables of an artist report as text: scores with their intervals, sets, lists, training and neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

import pandas as pd

from artist_transfer.reporting.artist_gaps import missing_tracks
from artist_transfer.reporting.artist_paper import EARLY, LABEL, METRICS, TABLE_NUMBERS, TARGETS, TRAINED
from artist_transfer.reporting.artist_tables import OURS, WHOLE, merged_seeds, table_4, table_of_nets
from artist_transfer.reporting.scores import number, percent
from artist_transfer.reporting.tables import Table, text_of

SOURCES = {OURS: "this run", LABEL: "paper (MSD)", EARLY: "DeepArtistID (MSD)"}
SIDES = ("train", "validation", "test", "unseen")


def target_name(target: object) -> str:
    """Return what to call a target.

    Parameters
    ----------
    target : object

    Returns
    -------
    str
    """
    return TARGETS.get(str(target), str(target).replace("_", " "))


def view_of_nets(score_table: pd.DataFrame, metric: str, *, level: float = 0.95) -> Table | None:
    """Show the nets side by side (ISMIR, tables 1-3; AUC and AP in the same form).

    Parameters
    ----------
    score_table : pd.DataFrame
        See `artist_transfer.reporting.artist_tables`.
    metric : str
    level : float in (0, 1)
        Of the intervals.

    Returns
    -------
    Table or None
        None if the run has no such score.
    """
    table = table_of_nets(score_table, metric)
    if not len(table) or not (table["source"] == OURS).any():
        return None
    names = [name for name in table.columns if f"{name}_low" in table.columns]
    names = [name for name in names if table[name].notna().any()]
    rows = []
    for row in table.to_dict("records"):
        ours = row["source"] == OURS
        cells = [
            score_text(*(number(row[f"{name}{end}"]) for end in ("", "_low", "_high")), ours=ours) for name in names
        ]
        size = number(row["n_artists_trained"])
        by = f", by {row['unit']}" if isinstance(row["unit"], str) and row["unit"] else ""
        rows.append(
            (
                target_name(row["target"]),
                f"{SOURCES[str(row['source'])]}{by}",
                f"{size:,.0f}" if isfinite(size) else "–",
                *cells,
            )
        )
    number_of = f"Table {TABLE_NUMBERS[metric]}. " if metric in TABLE_NUMBERS else ""
    caption = f"{number_of}{METRICS.get(metric, metric)} on each target, {percent(level)} intervals"
    heads = ("target", "source", "training artists", *(TRAINED.get(name, name) for name in names))
    note = " ".join(filter(None, [_note(table), missing_note(score_table[score_table["metric"] == metric])]))
    return Table(caption, heads, tuple(rows), frozenset(range(2, len(heads))), note=note)


def _note(table: pd.DataFrame) -> str:
    parts = []
    if (table["source"] == LABEL).any():
        parts.append(
            "The paper's rows are of nets trained on the Million Song Dataset, one run each, without intervals: for "
            "orientation, not for comparison."
        )
    if table["unit"].isin(["track", "recording"]).any():
        parts.append(
            "Intervals by track or recording take songs of one artist for independent and are too narrow; where "
            "artists are known they go by artist."
        )
    return " ".join(parts)


def score_text(value: float, low: float, high: float, *, ours: bool = True) -> str:
    """Return a score and its interval; the papers' with four digits and without one.

    Parameters
    ----------
    value, low, high : float
    ours : bool

    Returns
    -------
    str
    """
    if not isfinite(value):
        return "–"
    if not ours:
        return f"{value:.4f}"
    if not (isfinite(low) and isfinite(high)):
        return f"{value:.3f} (no\N{NO-BREAK SPACE}interval)"
    return f"{value:.3f} ({low:.3f} to {high:.3f})".replace(" to ", "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}")


def view_4(score_table: pd.DataFrame) -> Table | None:
    """Show table 4.

    Parameters
    ----------
    score_table : pd.DataFrame

    Returns
    -------
    Table or None
        None if the run has none of its three targets.
    """
    table = table_4(score_table)
    if not (table["source"] == OURS).any():
        return None
    targets = ("gtzan", "fma_small", "magnatagatune")
    rows = tuple(
        (
            str(row["model"]),
            SOURCES[str(row["source"])],
            *(
                score_text(*(number(row[f"{name}{end}"]) for end in ("", "_low", "_high")), ours=row["source"] == OURS)
                for name in targets
            ),
        )
        for row in table.to_dict("records")
    )
    heads = ("model", "source", "GTZAN (accuracy)", "FMA small (accuracy)", "MagnaTagATune (AUC)")
    note = (
        "Ours are a linear softmax (accuracy) and a linear classifier of tags (AUC), where nothing else is said. The "
        "papers' rows are of nets trained on the Million Song Dataset, without intervals; numbers in brackets are "
        "their references."
    )
    note = " ".join(filter(None, [note, missing_note(score_table[score_table["target"].isin(targets)])]))
    return Table("Table 4. Beside other models", heads, rows, frozenset({2, 3, 4}), note=note)


def all_scores(score_table: pd.DataFrame) -> Table:
    """Show every overall score.

    Parameters
    ----------
    score_table : pd.DataFrame

    Returns
    -------
    Table
    """
    merged = merged_seeds(score_table)
    merged = merged[merged["of"].isin(WHOLE)]
    rows = tuple(
        (
            target_name(row["target"]),
            METRICS.get(str(row["metric"]), str(row["metric"])),
            str(row["name"]),
            f"{row['n_artists_trained']:,.0f}" if isfinite(row["n_artists_trained"]) else "–",
            score_text(*(number(row[key]) for key in ("value", "low", "high"))),
            text_of(row["unit"]),
            text_of(whole(row["n_units"])),
            text_of(whole(row["n_items"])),
            text_of(whole(row["n_undefined"])),
        )
        for row in merged.to_dict("records")
    )
    heads = (
        "target", "metric", "system", "training artists", "score", "interval by", "of these", "tracks", "undefined",
    )  # fmt: skip
    note = "Undefined are queries without another song of their label, or tags without a positive or a negative track."
    return Table("All scores", heads, rows, frozenset({3, 4, 6, 7, 8}), note=note)


def whole(value: object) -> int | None:
    """Return a number as int, None if there is none."""
    found = number(value)
    return int(found) if isfinite(found) else None


def sets_view(artist_set_table: pd.DataFrame | None) -> Table | None:
    """Show the sizes of the artist sets.

    Parameters
    ----------
    artist_set_table : pd.DataFrame or None [columns: set, artist_id, track_id, position, side]

    Returns
    -------
    Table or None
    """
    if artist_set_table is None or not len(artist_set_table):
        return None
    rows = []
    for size, part in artist_set_table.groupby("set", sort=True):
        counts = part["side"].value_counts()
        in_set = part[part["side"] != "unseen"]
        rows.append(
            (
                f"{int(size):,}",
                f"{in_set['artist_id'].nunique():,}",
                *(f"{int(counts.get(side, 0)):,}" for side in SIDES),
            )
        )
    heads = ("set", "artists", "training songs", "validation songs", "test songs", "songs of unseen artists")
    return Table("The artist sets; each is part of the next", heads, tuple(rows), frozenset(range(len(heads))))


def missing_note(score_table: pd.DataFrame) -> str:
    """Say how many tracks of the official lists are not in a run.

    Parameters
    ----------
    score_table : pd.DataFrame

    Returns
    -------
    str
        A sentence for each target that lacks any; empty if none does.
    """
    return " ".join(
        f"{target_name(target)}: {missing:,} of the {listed:,} tracks of its list are missing here, so its scores are "
        f"of the other {listed - missing:,}."
        for target, (missing, listed) in missing_tracks(score_table).items()
    )


def lists_view(lists: Sequence[Mapping[str, object]]) -> Table | None:
    """Show the official lists by hash.

    Parameters
    ----------
    lists : sequence of mapping
        ``target``, ``list``, ``tracks``, ``hash`` and, where it is known, ``published`` (whether as published),
        ``missing`` (tracks that are not there or not usable), ``split_hash`` (of the sides of the others).

    Returns
    -------
    Table or None
    """
    if not lists:
        return None
    keys = ("list", "published", "tracks", "missing", "hash", "split_hash")
    rows = tuple((target_name(each["target"]), *(text_of(each.get(key)) for key in keys)) for each in lists)
    marked = frozenset(k for k, each in enumerate(lists) if number(each.get("missing")) > 0)
    note = "Scores on lists of different hashes are of different tracks or labels and cannot be compared."
    heads = (
        "target",
        "list",
        "as published",
        "tracks on it",
        "missing here",
        "hash",
        "hash of the sides of the others",
    )
    return Table("The lists that were scored", heads, rows, frozenset({3, 4}), marked, note)


def training_view(history: pd.DataFrame) -> Table:
    """Show how each training went.

    Parameters
    ----------
    history : pd.DataFrame [columns: net, epoch, loss, validation_loss]

    Returns
    -------
    Table
    """
    rows = []
    for net, part in history.groupby("net", sort=False):
        part = part.sort_values("epoch", kind="stable")
        best = part["validation_loss"].idxmin() if part["validation_loss"].notna().any() else None
        rows.append(
            (
                str(net),
                f"{int(part['epoch'].max()):,}",
                f"{part['loss'].iloc[0]:.3f}",
                f"{part['loss'].iloc[-1]:.3f}",
                f"{part['validation_loss'].iloc[-1]:.3f}",
                "–" if best is None else f"{part.loc[best, 'validation_loss']:.3f}",
                "–" if best is None else f"{int(part.loc[best, 'epoch']):,}",
            )
        )
    heads = ("net", "epochs", "first loss", "last loss", "last validation loss", "best validation loss", "in epoch")
    note = "Losses of different kinds of net (cross-entropy, hinge) cannot be compared."
    return Table("Training", heads, tuple(rows), frozenset(range(1, 7)), note=note)


def neighbours_view(neighbours: pd.DataFrame | None, tracks_shown: str = "") -> Table | None:
    """Show artists and those most like them.

    Parameters
    ----------
    neighbours : pd.DataFrame or None [columns: artist_id, artist, rank, neighbour, score]
        As of `artist_transfer.search.retrieve.nearest_artists`.
    tracks_shown : str
        A sentence that says of which tracks.

    Returns
    -------
    Table or None
    """
    if neighbours is None or not len(neighbours):
        return None
    rows = []
    for _, part in neighbours.groupby("artist_id", sort=False):
        names = [f"{name} ({score:.2f})" for name, score in zip(part["neighbour"], part["score"])]
        rows.append((str(part["artist"].iloc[0]), ", ".join(names)))
    note = " ".join(filter(None, ["In brackets the cosine of the means of their songs.", tracks_shown]))
    return Table("Artists and those most like them", ("artist", "nearest"), tuple(rows), note=note)
