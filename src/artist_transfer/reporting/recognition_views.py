"""Tables of a report on artist recognition as text: trials, scores, differences, hardest artists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import pandas as pd

from artist_transfer.reporting.artist_comparisons import OPEN
from artist_transfer.reporting.artist_views import score_text, whole
from artist_transfer.reporting.recognition_paper import less_is_better, metric_name
from artist_transfer.reporting.recognition_tables import metrics_of, require
from artist_transfer.reporting.scores import number, percent, signed
from artist_transfer.reporting.tables import MOST_ROWS, Table, p_text, text_of

PROTOCOL_COLUMNS = {
    "artists": "unseen artists",
    "enrol": "songs to enrol",
    "test": "songs to test",
    "albums": "albums",
    "trials": "trials",
    "targets": "of these targets",
    "validation_artists": "validation artists",
    "hash": "trial list (SHA-256)",
}
ARTIST_COLUMNS = ("system", "artist_id", "eer", "top1")
ENDS = ("value", "low", "high")
MOST_NAMES = 10


def counted(value: object) -> object:
    """Return how many there are of what may be a list, a mapping or already a number."""
    return len(value) if isinstance(value, (list, tuple, set, frozenset, Mapping)) else value


def protocol_view(protocol: Mapping[object, Mapping[str, Any]]) -> Table | None:
    """Show the trials of each fold.

    Parameters
    ----------
    protocol : mapping of fold to mapping
        ``artists, enrol, test, albums, trials, targets, validation_artists, hash``, as far as they are known; of lists
        the length is shown.

    Returns
    -------
    Table or None
    """
    if not protocol:
        return None
    keys = [key for key in PROTOCOL_COLUMNS if any(facts.get(key) is not None for facts in protocol.values())]
    rows = tuple(
        (str(fold).removeprefix("fold "), *(text_of(counted(facts.get(key))) for key in keys))
        for fold, facts in protocol.items()
    )
    note = (
        "Every enrolled artist is tried with every test song. Whoever has the list of the same hash scores the same "
        "trials; numbers on lists of different hashes cannot be compared."
    )
    heads = ("fold", *(PROTOCOL_COLUMNS[key] for key in keys))
    texts = ("hash", "albums")
    numeric = frozenset(k for k, key in enumerate(keys, start=1) if key not in texts)
    return Table("The trials, fold by fold", heads, rows, numeric, note=note)


def left_out_view(protocol: Mapping[object, Mapping[str, Any]]) -> Table | None:
    """Show what took no part in the trials, and why.

    Parameters
    ----------
    protocol : mapping of fold to mapping
        ``left_out``: mapping of reason to number, to the list of those that were left out, or to a mapping of those to
        the number of their songs.

    Returns
    -------
    Table or None
        Without what counts 0; None if nothing was left out.
    """
    rows = []
    for fold, facts in protocol.items():
        for reason, what in dict(facts.get("left_out") or {}).items():
            found = counted(what)
            if found:
                words = str(reason).replace("_", " ")
                rows.append((str(fold).removeprefix("fold "), words, text_of(found), _names(what)))
    if not rows:
        return None
    return Table("Left out of the trials", ("fold", "reason", "number", "which"), tuple(rows), frozenset({2}))


def _names(what: object) -> str:
    if isinstance(what, Mapping):
        ordered = sorted(what.items(), key=lambda each: str(each[0]))
        names = [f"{name} ({text_of(n)} song{'s' * (n != 1)})" for name, n in ordered]
    elif isinstance(what, (list, tuple, set, frozenset)):
        names = sorted(map(str, what))
    else:
        return "–"
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(names[:MOST_NAMES])}{more}"


def counts_by_fold(protocol: Mapping[object, Mapping[str, Any]]) -> Table | None:
    """Show how the artists and songs of the trials were arrived at.

    Parameters
    ----------
    protocol : mapping of fold to mapping
        ``counts``: mapping of name to number.

    Returns
    -------
    Table or None
    """
    found = {str(fold).removeprefix("fold "): dict(facts.get("counts") or {}) for fold, facts in protocol.items()}
    names = list(dict.fromkeys(str(name) for counts in found.values() for name in counts))
    if not names:
        return None
    rows = tuple((name, *(text_of(counts.get(name)) for counts in found.values())) for name in names)
    heads = ("what", *(f"fold {fold}" if len(found) > 1 else "number" for fold in found))
    return Table("How artists and songs were chosen", heads, rows, frozenset(range(1, len(heads))))


def scores_view(rows: pd.DataFrame, size: float, *, level: float = 0.95) -> Table:
    """Show all systems by metric, at one number of training artists or at all.

    Parameters
    ----------
    rows : pd.DataFrame
        As `artist_transfer.reporting.recognition_tables.scored_rows` returns them, or a part.
    size : float
        Which the rows are of, for the caption; NaN for several.
    level : float in (0, 1)

    Returns
    -------
    Table
    """
    metrics = metrics_of(rows)
    cells: dict[tuple[str, float | None], dict[str, str]] = {}
    for row in rows.to_dict("records"):
        n = number(row["n_artists_trained"])
        key = (str(row["family"]), n if isfinite(n) else None)
        cells.setdefault(key, {})[str(row["metric"])] = score_text(*(number(row[end]) for end in ENDS))
    shown = tuple(
        (family, "–" if n is None else f"{n:,.0f}", *(found.get(metric, "–") for metric in metrics))
        for (family, n), found in cells.items()
    )
    of = f", {size:,.0f} training artists" if isfinite(size) else ""
    caption = f"All systems{of}, {percent(level)} intervals"
    heads = ("system", "training artists", *(metric_name(metric) for metric in metrics))
    return Table(caption, heads, shown, frozenset(range(1, len(heads))), note=_scores_note(metrics, shown))


def _scores_note(metrics: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    less = [metric_name(metric) for metric in metrics if less_is_better(metric)]
    more = [metric_name(metric) for metric in metrics if not less_is_better(metric)]
    said = []
    if less:
        said.append(f"Less is better of {', '.join(less)}.")
    if more:
        said.append(f"More is better of {', '.join(more)}.")
    if any(str(metric).startswith("min_dcf") for metric in metrics):
        said.append("minDCF is normalised: 1 is what accepting or rejecting everything costs.")
    if "cllr" in metrics and any(row[2 + list(metrics).index("cllr")] == "–" for row in rows):
        said.append("Cllr is given of calibrated systems only.")
    return " ".join(said)


def counts_view(rows: pd.DataFrame) -> Table | None:
    """Show what each score is of: nets, trials, artists.

    Parameters
    ----------
    rows : pd.DataFrame

    Returns
    -------
    Table or None
        None if no such column is there.
    """
    names = {
        "n_trials": "nets", "trial_sd": "deviation between nets", "n_items": "of", "n_undefined": "undefined",
        "n_units": "units", "unit": "unit", "note": "note",
    }  # fmt: skip
    there = [key for key in names if key in rows.columns and rows[key].notna().any()]
    if not there:
        return None
    shown = tuple(
        (
            str(row["family"]),
            text_of(whole(row["n_artists_trained"])),
            metric_name(row["metric"]),
            score_text(*(number(row[end]) for end in ENDS)),
            *(text_of(row[key]) or "–" for key in there),
        )
        for row in rows.to_dict("records")
    )
    heads = ("system", "training artists", "metric", "score", *(names[key] for key in there))
    numeric = frozenset({1, 3, *(4 + k for k, key in enumerate(there) if key not in ("unit", "note"))})
    return Table("Every score with its counts", heads, shown, numeric)


def pairs_view(pairs: Sequence[Mapping[str, Any]], metric: str, *, level: float = 0.95) -> Table | None:
    """Show the paired differences of a metric, those that are shown first.

    Parameters
    ----------
    pairs : sequence of mapping
        As `artist_transfer.reporting.recognition_tables.pair_rows` returns them.
    metric : str
    level : float in (0, 1)

    Returns
    -------
    Table or None
    """
    own = sorted((row for row in pairs if row["metric"] == metric), key=lambda row: row["verdict"] == OPEN)
    if not own:
        return None
    rows = []
    for row in own:
        low, high = number(row["low"]), number(row["high"])
        units = whole(row.get("n_units"))
        rows.append(
            (
                sided(row, "first"),
                sided(row, "second"),
                signed(number(row["effect"])),
                f"{signed(low)} to {signed(high)}" if isfinite(low) and isfinite(high) else "none",
                p_text(number(row.get("p"))),
                p_text(number(row.get("p_holm"))),
                "–" if units is None else f"{units:,} {row.get('unit') or 'artist'}s",
                str(row["verdict"]),
            )
        )
    heads = ("first", "second", "first less second", "interval", "p", "p (Holm)", "by", "verdict")
    better = "Less" if less_is_better(metric) else "More"
    left = len(rows) - MOST_ROWS
    more = f" {left:,} more rows are in the table that the run saved." if left > 0 else ""
    note = (
        f"{better} is better. Both are scored on the same trials and resamples. The verdict goes by p after Holm's "
        f"correction for the tests of its family; the intervals themselves are not corrected.{more}"
    )
    caption = f"Paired differences in {metric_name(metric)}, {percent(level)} intervals"
    return Table(caption, heads, tuple(rows[:MOST_ROWS]), frozenset({2, 3, 4, 5}), note=note)


def sided(row: Mapping[str, Any], side: str) -> str:
    """Return what to call one side of a comparison.

    Parameters
    ----------
    row : mapping
        Of `artist_transfer.reporting.recognition_tables.pair_rows`.
    side : {"first", "second"}

    Returns
    -------
    str
        With the number of training artists if there is one.
    """
    size = number(row[f"{side}_size"])
    return f"{row[f'{side}_family']} ({size:,.0f})" if isfinite(size) else str(row[f"{side}_family"])


def artists_view(artists: pd.DataFrame, *, most: int = MOST_ROWS) -> Table | None:
    """Show how each artist fares, averaged over the systems, the hardest first.

    Parameters
    ----------
    artists : pd.DataFrame [columns: system, artist_id, eer, top1; if they are there artist, n_tests]
        ``eer`` is of the artist's own model, ``top1`` the share of its test songs that were named right.
    most : int > 0

    Returns
    -------
    Table or None
    """
    if not len(artists):
        return None
    means = artist_means(artists)
    counts = ("n_tests",) if "n_tests" in means.columns else ()
    rows = tuple(
        (
            str(row["name"]),
            _three(row["eer"]),
            _three(row["top1"]),
            *(text_of(row[key]) for key in counts),
        )
        for row in means.head(most).to_dict("records")
    )
    heads = ("artist", "own EER", "top-1 accuracy", *("test songs" for _ in counts))
    left = len(means) - len(rows)
    note = f"Means over {artists['family'].nunique() if 'family' in artists else artists['system'].nunique()} systems."
    note += f" {left:,} more artists are in the table that the run saved." if left else ""
    return Table("Artists, the hardest first", heads, rows, frozenset(range(1, len(heads))), note=note)


def artist_means(artists: pd.DataFrame) -> pd.DataFrame:
    """Average the scores of each artist over the systems (and the folds it is in), the hardest first.

    Parameters
    ----------
    artists : pd.DataFrame
        See `artists_view`.

    Returns
    -------
    pd.DataFrame
        ``artist_id, name, eer, top1`` and what else there is of an artist.
    """
    require(artists, ARTIST_COLUMNS, "artist_table")
    groups = artists.groupby("artist_id", sort=True)
    means = groups[["eer", "top1"]].mean().reset_index()
    shown = groups["artist"].first() if "artist" in artists.columns else pd.Series(dtype=object)
    means["name"] = [str(x) if pd.isna(shown.get(x)) else str(shown[x]) for x in means["artist_id"]]
    if "n_tests" in artists.columns:
        means["n_tests"] = groups["n_tests"].max().to_numpy()
    return means.sort_values(["eer", "top1", "artist_id"], ascending=[False, True, True], kind="stable").reset_index(
        drop=True
    )


def _three(value: object) -> str:
    found = number(value)
    return f"{found:.3f}" if isfinite(found) else "–"
