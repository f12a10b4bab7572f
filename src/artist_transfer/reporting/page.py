"""The report of a run: one page that needs no network, made from saved results only.

Equal inputs give equal bytes. Names come from files of strangers: the template escapes them, figures are
data and not code, and the page's content security policy lets run the two scripts that are written here only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypeVar

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting import figures as plots
from artist_transfer.reporting import tables
from artist_transfer.reporting.page_tables import left_out_tables, made_tables, unread_tables
from artist_transfer.reporting.paper import TASK_NAMES, PaperResult, paper_result
from artist_transfer.reporting.scores import comparisons_of, findings, percent
from artist_transfer.reporting.shell import Figures, render

_T = TypeVar("_T")

SECTIONS = {
    "data": "What went in",
    "split": "Split and leakage",
    "factors": "Factors",
    "training": "Training",
    "results": "Results",
    "map": "Map of artists",
    "made": "How it was made",
}
FIT_ON_ALL = (
    "The factors were fitted on all tracks, those of the test included (fit_on: all, the paper's way): "
    "scores are then optimistic."
)


def render_report(
    *,
    counts: Mapping[str, int],
    quarantine_table: pd.DataFrame,
    exclusion_table: pd.DataFrame | None = None,
    split_facts: Mapping[str, Any],
    parameters: Mapping[str, Any],
    provenance: Mapping[str, Any],
    leakage_table: pd.DataFrame | None = None,
    factor_readings: Mapping[str, pd.DataFrame] | None = None,
    factor_facts: Mapping[str, Mapping[str, Any]] | None = None,
    factor_tables: Mapping[str, pd.DataFrame] | None = None,
    history: pd.DataFrame | None = None,
    metrics: Mapping[str, float] | None = None,
    comparisons: Sequence[Mapping[str, object]] | None = None,
    per_genre: pd.DataFrame | None = None,
    confusion: pd.DataFrame | None = None,
    map_table: pd.DataFrame | None = None,
    skipped: str | None = None,
    notes: Sequence[str] = (),
    title: str = "Artist group factors and what they do for genre",
) -> str:
    """Write the page.

    Parameters
    ----------
    counts : mapping of str to int
        Tracks in, used, left out, artists, genres, …, in the order to show them.
    quarantine_table : pd.DataFrame [columns: track_id, path, artist_id, reason]
    exclusion_table : pd.DataFrame, optional [columns: track_id, reason]
        Songs that the corpus names and its reader left out.
    split_facts : mapping
        ``kind``, ``hash``, ``seed``, ``folds``, …; ``sizes`` is a mapping of fold to side to tracks.
    parameters : mapping
        All parameters, nested; ``corpus``, ``tasks``, ``architecture``, ``split``, ``fit_on`` and
        ``transfer.bootstrap.level`` are spoken of.
    provenance : mapping
        Git commit, seed, device, threads, versions: whatever tells how the run was made. No times, no hosts.
    leakage_table : pd.DataFrame, optional [columns: fold, kind, shared_test, …]
    factor_readings : mapping of task letter to pd.DataFrame, optional
        Each factor's heaviest artists and genres; shown as they are.
    factor_facts : mapping of task letter to mapping, optional
        Shown as they are, but ``notes`` (sequence of str), which are set off.
    factor_tables : mapping of task letter to pd.DataFrame, optional [columns: fold, artist_id, f00…]
    history : pd.DataFrame, optional [columns: fold, net, epoch, task, loss]
    metrics : mapping, optional
        Flat metrics. Without them `skipped` says why.
    comparisons : sequence of mapping, optional
        By default the ``difference.…`` among the metrics.
    per_genre : pd.DataFrame, optional [columns: genre, f1, n_tracks, …]
    confusion : pd.DataFrame, optional [shape=(genre, genre)]
    map_table : pd.DataFrame, optional [columns: artist_id, artist, genre, x, y, n_tracks]
    skipped : str, optional
        Why there was no evaluation.
    notes : sequence of str
        Remarks on the corpus.
    title : str

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ArtistTransferError
        If there are neither metrics nor a reason why not, or a table lacks a column.
    """
    if not metrics and not skipped:
        raise ArtistTransferError("the report has no metrics and no reason why evaluation was skipped (`skipped`)")
    flat = tables.flat_parameters(parameters)
    level = float(str(flat.get("transfer.bootstrap.level", 0.95)))
    scores = dict(metrics or {}) if not skipped else {}
    paired = list(comparisons) if comparisons is not None else comparisons_of(scores)
    paper = paper_result(str(flat.get("tasks", "")), str(flat.get("architecture", "")))
    if not scores or flat.get("embeddings", "not set") != "not set":
        paper = None  # somebody else's features have no row in the paper
    leakage, alarms = (None, []) if leakage_table is None else tables.leakage_view(leakage_table)
    context = {
        "title": title,
        "lead": _lead(flat, counts),
        "sections": list(SECTIONS.items()),
        "skipped": skipped,
        "findings": findings(paired, level=level) if scores else [],
        "alarms": _alarms(alarms, flat) if scores else [],
        "counts": tables.pairs_table(counts, "Counts", ("what", "number")),
        **left_out_tables(quarantine_table),
        **unread_tables(exclusion_table),
        "notes": list(notes),
        **_split_context(split_facts),
        "leakage": leakage,
        "leakage_alarms": alarms,
        "kinds": _kinds(factor_readings or {}, factor_facts or {}),
        "facts": tables.facts_table(_in_order(factor_facts or {})),
        "training": None if history is None else tables.training_table(history),
        "scores": tables.scores_table(scores, paper, level=level),
        "comparisons": tables.comparisons_table(paired, level=level) if scores else None,
        "genres": None if per_genre is None else tables.frame_table(per_genre, "Scores by genre"),
        "confusion": None if confusion is None else _confusion_table(confusion),
        **made_tables(provenance, parameters),
        "figures": _figures(
            quarantine_table, factor_tables or {}, history, map_table, None if skipped else per_genre,
            None if skipped else confusion, scores, paper, level,
        ),
    }  # fmt: skip
    return render("page.html", context)


def _figures(
    quarantine_table: pd.DataFrame,
    factor_tables: Mapping[str, pd.DataFrame],
    history: pd.DataFrame | None,
    map_table: pd.DataFrame | None,
    per_genre: pd.DataFrame | None,
    confusion: pd.DataFrame | None,
    scores: Mapping[str, float],
    paper: PaperResult | None,
    level: float,
) -> Figures:
    """Draw what there is data for."""
    found = Figures()
    if len(quarantine_table):
        found.draw("left_out", plots.left_out_plot(quarantine_table), "Number of tracks left out for each reason.")
    if factor_tables:
        found.draw(
            "factors",
            plots.factor_plot(factor_tables),
            "Mean share of an artist's heaviest group, of its second and so on, in the first fold. The "
            "steeper, the more a factor tells; a flat line is a target that says nothing.",
        )
    if history is not None and len(history):
        found.draw(
            "training",
            plots.training_curves_plot(history),
            "Training loss of each task by epoch. A factor is a soft target, so its loss cannot fall to 0.",
        )
    if scores:
        found.draw(
            "scores",
            plots.scores_plot(scores, paper, level=level),
            f"Scores of each system on the test tracks with {percent(level)} intervals"
            + ("; the hollow diamond is the paper's, on other data." if paper else "."),
        )
    if per_genre is not None and len(per_genre):
        found.draw("genres", plots.genre_f1_plot(per_genre), "F1 of each genre, best first.")
    if confusion is not None and len(confusion):
        found.draw(
            "confusion",
            plots.confusion_plot(confusion),
            "Number of test tracks by true genre (rows) and predicted genre (columns), coloured by the share "
            "of the true genre.",
        )
    if map_table is not None and len(map_table):
        found.draw(
            "map",
            plots.artist_map_plot(map_table),
            "Each point is an artist; artists whose music the nets hear alike are near each other. Point at "
            "one to see its name.",
        )
    return found


def _alarms(leaks: Sequence[str], flat: Mapping[str, object]) -> list[str]:
    return [*leaks, *([FIT_ON_ALL] if flat.get("fit_on") == "all" else [])]


def _lead(flat: Mapping[str, object], counts: Mapping[str, int]) -> str:
    root = str(flat.get("corpus_root", "not set"))
    name = "" if root == "not set" else f"{PurePath(root).name}, "
    parts = [f"Corpus: {name}{flat.get('corpus', 'unnamed')}"]
    if "usable" in counts:
        parts.append(f"{counts['usable']:,} tracks of {counts.get('artists', 0):,} artists")
    embeddings = flat.get("embeddings", "not set")
    if embeddings != "not set":
        parts.append("features of a file (embeddings)")
    elif "tasks" in flat:
        names = [TASK_NAMES.get(letter, letter) for letter in str(flat["tasks"])]
        parts.append(f"learning tasks {', '.join(names)} ({str(flat.get('architecture', '')).upper()})")
    if "split" in flat:
        parts.append(f"split {str(flat['split']).replace('_', '-')}")
    return "; ".join(parts) + "."


def _split_context(facts: Mapping[str, Any]) -> dict[str, tables.Table | None]:
    plain = {str(key).replace("_", " "): str(value) for key, value in facts.items() if key != "sizes"}
    sizes = facts.get("sizes")
    return {
        "split": tables.pairs_table(plain, "The split", ("what", "value")),
        "sides": tables.split_table(sizes) if sizes else None,
    }


def _kinds(readings: Mapping[str, pd.DataFrame], facts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, object]]:
    letters = _in_order(dict.fromkeys([*readings, *facts]))
    return [_kind(letter, readings.get(letter), facts.get(letter, {})) for letter in letters]


def _in_order(by_letter: Mapping[str, _T]) -> dict[str, _T]:
    letters = [letter for letter in TASK_NAMES if letter in by_letter]
    return {key: by_letter[key] for key in [*letters, *sorted(set(by_letter) - set(letters))]}


def _kind(letter: str, reading: pd.DataFrame | None, facts: Mapping[str, Any]) -> dict[str, object]:
    name = TASK_NAMES.get(letter, letter)
    found = facts.get("notes") or ()
    return {
        "name": f"{name} ({letter})" if letter in TASK_NAMES else name,
        "notes": [found] if isinstance(found, str) else list(dict.fromkeys(found)),
        "reading": None if reading is None else tables.frame_table(reading, f"Factors: {name}"),
    }


def _confusion_table(confusion: pd.DataFrame) -> tables.Table:
    named = confusion.rename_axis(index="true / predicted", columns=None).reset_index()
    return tables.frame_table(named, "Test tracks by true genre (rows) and predicted genre (columns)")
