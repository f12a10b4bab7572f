"""What a run says at its end: a short table of results, and where to look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kedro.framework.hooks import hook_impl

OWN = "self"
"""What the run's own corpus is called in the names of systems."""
FIRST = {"recognition": ("eer", "top1"), "artist": ("map", "knn_accuracy")}
"""By kind of metrics those of many scores that are shown where a line has no room for all."""
ANSWERED = {"file", "answer", "score", "threshold", "reason"}
MOST = 40


class SummaryHooks:
    """Print every ``*_metrics`` output as a table and name every report that was written."""

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        """Print the summary.

        Parameters
        ----------
        run_params : dict
            What was asked for.
        pipeline : Pipeline
            The nodes that ran.
        catalog : CatalogProtocol
            Where their outputs are.
        """
        from rich.console import Console
        from rich.markup import escape

        console = Console()
        names = sorted(pipeline.all_outputs())
        has_page = any(name.endswith("_report") for name in names)
        facts = next((name for name in ("interval_facts", "study_score_facts") if name in names), None)
        level = catalog.load(facts).get("level") if facts else None
        for name in names:
            if name.endswith("_metrics"):
                metrics = catalog.load(name)
                if metrics:
                    kind = name.removesuffix("_metrics")
                    console.print(_score_table(metrics, level, kind=kind, width=console.width))
        for name in names:
            if name.endswith("_csv"):
                if not has_page:  # which shows it better
                    _print_rows(console, catalog.load(name))
                console.print(escape(f"Table: {catalog.get(name)._describe()['filepath']}"), soft_wrap=True)
        for name in names:
            if name.endswith("_report"):
                console.print(escape(f"Report: {catalog.get(name)._describe()['filepath']}"), soft_wrap=True)


def _score_table(metrics: Mapping[str, float | None], level: float | None, *, kind: str, width: int) -> Any:
    from rich.markup import escape
    from rich.table import Table

    from artist_transfer.reporting.labels import SCORES, flat_score_label, flat_system_label

    systems, scores = _systems(metrics, list(SCORES.get(kind, ())))
    own = OWN if {system.partition(".")[0] for system in systems} == {OWN} else ""
    names = [flat_system_label(kind, system, own=own) for system in systems]
    heads = {score: flat_score_label(kind, score) for score in scores}
    cells = {score: [_cell(metrics, f"{system}.{score}") for system in systems] for score in scores}
    longest = max(map(len, names), default=0)
    widths = {score: max(map(len, [*heads[score].split(), *cells[score]])) for score in scores}
    fits = longest + sum(widths.values()) + 3 * len(widths) + 4 <= width
    first = [score for score in FIRST.get(kind, ()) if score in cells]
    shown = scores if fits or not first else first
    table = Table(title=f"Scores with their {'' if level is None else f'{100 * level:g} % '}intervals")
    if len(shown) < len(scores):
        table.caption = escape(f"{', '.join(heads[score] for score in scores if score not in shown)}: in the report")
    if fits or first:
        table.add_column("system", no_wrap=True, min_width=longest)
    else:
        table.add_column("system", overflow="fold")
    for score in shown:
        table.add_column(escape(heads[score]))
    for row, name in enumerate(names):
        table.add_row(escape(name), *[escape(cells[score][row]) for score in shown])
    return table


def _print_rows(console: Any, rows: Any) -> None:
    """Print what was answered a line a file, and any other table as a table."""
    from rich.markup import escape

    if not set(rows.columns) >= ANSWERED:
        console.print(_plain_table(rows))
        return
    from artist_transfer.pipelines.recognise.answers import lines_of

    lines = lines_of(rows)
    for line in lines[:MOST]:
        console.print(escape(line), soft_wrap=True, highlight=False)
    if len(lines) > MOST:
        console.print(f"{len(lines) - MOST} more files in the table")


def _plain_table(rows: Any, *, most: int = MOST) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(*[escape(str(column)) for column in rows.columns])
    for row in rows.head(most).itertuples(index=False):
        cells = [_number(value) if isinstance(value, float) else escape(str(value)) for value in row]
        table.add_row(*cells)
    if len(rows) > most:
        table.caption = f"{len(rows) - most} more rows in the file"
    return table


def _systems(metrics: Mapping[str, float | None], known: Sequence[str]) -> tuple[list[str], list[str]]:
    """List the systems, that of the run first, and their scores, the known ones first."""
    scored = [key.removesuffix("_low") for key in metrics if key.endswith("_low")]
    systems = dict.fromkeys(key.rpartition(".")[0] for key in scored if not key.startswith("difference."))
    scores = dict.fromkeys(key.rpartition(".")[2] for key in scored)
    ordered = sorted(scores, key=lambda score: known.index(score) if score in known else len(known))
    return sorted(systems, key=lambda system: (system != "transfer", system)), ordered


def _cell(metrics: Mapping[str, float | None], key: str) -> str:
    if key not in metrics:
        return ""
    value, low, high = (_number(metrics.get(key + end)) for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}]"


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"
