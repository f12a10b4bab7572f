"""The page of a study: first what was found and what was not, then the tables and figures it rests on.

Equal inputs give equal bytes; nothing is fetched. See `artist_transfer.reporting.shell`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from artist_transfer.reporting import (
    study_choice_figures,
    study_counts,
    study_figures,
    study_opening,
    study_sentences,
    study_tables,
    study_views,
    tables,
)
from artist_transfer.reporting.page_tables import made_tables
from artist_transfer.reporting.scores import number, percent
from artist_transfer.reporting.shell import Figures, render
from artist_transfer.reporting.study_paper import PAPER_METRICS

SECTIONS = {
    "found": "What was found, and what was not",
    "limits": "What it rests on",
    "combinations": "All combinations",
    "numbers": "Genre, and number of tasks",
    "best": "Best against wide nets",
    "comparisons": "Comparisons",
    "choices": "Open choices",
    "groups": "Number of groups",
    "made": "How it was made",
}
NOT_SHOWN = ("parameters", "left_out", "notes", "git", "level")  # these stand elsewhere in the page


def render_study(
    *,
    case_table: pd.DataFrame,
    score_table: pd.DataFrame,
    mean_table: pd.DataFrame,
    comparison_table: pd.DataFrame,
    best_table: pd.DataFrame,
    ablation_table: pd.DataFrame | None = None,
    groups_table: pd.DataFrame | None = None,
    facts: Mapping[str, Any],
    title: str = "Which artist group factors help genre, and whether one can tell",
) -> str:
    """Write the page of a study, from saved tables only.

    Parameters
    ----------
    case_table : pd.DataFrame [columns: case, tasks, architecture, n_tasks, kind, width, n_parameters, status, reason]
    score_table : pd.DataFrame [columns: case, log_loss, log_loss_low, log_loss_high, log_loss_seed_sd, …]
    mean_table : pd.DataFrame [columns: group, architecture, n_cases, metric, value, low, high]
    comparison_table : pd.DataFrame
        comparison, question, first, second, n_first, n_second, metric, effect, low, high, p, p_holm, verdict,
        n_seeds, note.
    best_table : pd.DataFrame [columns: n_tasks, architecture, case, metric, value, low, high, honest_value, …]
    ablation_table : pd.DataFrame, optional [columns: ablation, value, case, status, reason, is_default, …]
    groups_table : pd.DataFrame, optional [columns: feature_set, groups, coherence, held_out_bound, n_artists, …]
        Every table may be empty.
    facts : mapping
        Spoken of, as far as they are there: ``corpus``, ``n_tracks``, ``n_artists``, ``n_genres``, ``split``,
        ``artists_shared`` (by default what `split` implies), ``folds``, ``seeds``, ``split_seeds``, ``epochs`` (a
        task; a number or a mapping), ``fit_on``, ``level`` (of the intervals, 0.95), ``held_out_unit``, ``left_out``
        (comparison to reason), ``notes`` (sequence of str), ``git`` and ``parameters`` (mappings). What else there is
        (``transfer``, ``device``, …) is shown as it is. No times, no hosts.
    title : str

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ArtistTransferError
        If a table that has rows lacks a column.
    """
    level = number(facts.get("level", 0.95))
    found = study_sentences.findings(comparison_table, level=level)
    grid, others = study_views.view_4(study_tables.table_4(score_table, case_table), level=level)
    context = {
        "title": title,
        "sections": list(SECTIONS.items()),
        "opening": study_opening.opening(facts, case_table, score_table, comparison_table),
        "alarms": study_opening.alarms(facts),
        "counts": study_counts.counts(case_table),
        "troubles": study_counts.troubles(case_table),
        "left_out": study_counts.left_out(facts.get("left_out")),
        "summary": study_sentences.summary(found),
        "families": study_sentences.by_family(found),
        "reservations": study_counts.reservations(facts, case_table, score_table, comparison_table),
        "table_3": study_views.view_3(study_tables.table_3(mean_table), level=level),
        "table_4": grid,
        "beneath_4": others,
        "table_5": study_views.view_5(study_tables.table_5(best_table, comparison_table), level=level),
        "figure_3": study_views.view_figure_3(study_tables.figure_3(mean_table), level=level),
        "comparisons": study_views.comparisons(comparison_table, level=level),
        "ablations": study_views.ablations(ablation_table, level=level),
        "groups": study_views.groups(groups_table),
        "cases": study_views.cases(case_table),
        **made_tables(_provenance(facts), facts.get("parameters")),
        "figures": _figures(
            score_table, case_table, mean_table, comparison_table, ablation_table, groups_table, level=level,
            unit=str(facts.get("held_out_unit", "")),
        ),
    }  # fmt: skip
    return render("study.html.j2", context)


def _figures(
    score_table: pd.DataFrame,
    case_table: pd.DataFrame,
    mean_table: pd.DataFrame,
    comparison_table: pd.DataFrame,
    ablation_table: pd.DataFrame | None,
    groups_table: pd.DataFrame | None,
    *,
    level: float,
    unit: str,
) -> Figures:
    """Draw what there is data for."""
    drawn = Figures()
    spread = f"with {percent(level)} intervals"
    if len(score_table):
        drawn.draw(
            "cases",
            study_figures.cases_plot(score_table, case_table),
            f"Every case of the grid {spread}, the least log loss on top. Blue has genre among its tasks, orange has "
            "not; squares are multi-task nets, circles single-task nets; the lines are the baselines.",
        )
    if len(mean_table):
        drawn.draw(
            "figure_3",
            study_figures.figure_3_plot(mean_table),
            f"Figure 3 of the paper: mean scores by number of tasks {spread}. Open marks are the paper's means "
            "(paper, FMA medium, stratified), computed from its table 4, of other music and without intervals.",
        )
    if len(comparison_table):
        one_seed = any(map(study_tables.of_one_seed, comparison_table.to_dict("records")))
        these = f", each {study_sentences.THESE_NETS}" if one_seed else ""
        drawn.draw(
            "forest",
            study_figures.forest_plot(comparison_table),
            f"Effect of each comparison {spread}, first side less second. After Holm's correction: blue circles, the "
            f"first side is better; orange squares, the second{these}; open grey circles, no difference could be "
            "shown.",
        )
    if len(score_table) and (score_table.get("n_replicates", pd.Series([1])) > 1).any():
        drawn.draw(
            "replicates",
            study_figures.replicates_plot(score_table),
            "Standard deviation of each case's score between replicates (seeds and splits) against half its interval. "
            "On the dotted line the two are equal.",
        )
    if ablation_table is not None and len(ablation_table) and _any_score(ablation_table):
        drawn.draw(
            "ablations",
            study_choice_figures.ablation_plot(ablation_table),
            f"Each choice that the paper left open {spread}: left log loss (less is better), right macro F1 (more is "
            "better). The blue diamond is the default.",
        )
    if groups_table is not None and len(groups_table):
        drawn.draw(
            "groups",
            study_choice_figures.groups_plot(groups_table, unit=unit),
            "Coherence of the groups and held-out bound of the model by number of groups, for each feature set.",
        )
    return drawn


def _any_score(table: pd.DataFrame) -> bool:
    return any(metric in table and table[metric].notna().any() for metric in PAPER_METRICS)


def _provenance(facts: Mapping[str, Any]) -> dict[str, object]:
    flat = tables.flat_parameters({key: value for key, value in facts.items() if key not in NOT_SHOWN})
    plain = {key.replace("_", " "): value for key, value in flat.items()}
    git = facts.get("git")
    if isinstance(git, Mapping):
        plain |= {str(key).replace(".", " "): value for key, value in git.items() if value is not None}
    elif git is not None:
        plain["git commit"] = str(git)
    return plain
