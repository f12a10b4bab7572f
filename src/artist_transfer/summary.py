"""What a run says at its end: a short table of results, and where to look."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kedro.framework.hooks import hook_impl

OWN = "self."
"""What the names of systems begin with that were scored on the run's own corpus."""
FIRST = ("eer", "top1")
"""Of many scores those that are shown where a line has no room for all."""
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
                    console.print(_score_table(metrics, level, width=console.width))
        for name in names:
            if name.endswith("_csv"):
                if not has_page:  # which shows it better
                    _print_rows(console, catalog.load(name))
                console.print(escape(f"Table: {catalog.get(name)._describe()['filepath']}"), soft_wrap=True)
        for name in names:
            if name.endswith("_report"):
                console.print(escape(f"Report: {catalog.get(name)._describe()['filepath']}"), soft_wrap=True)


def _score_table(metrics: Mapping[str, float | None], level: float | None = None, *, width: int = 80) -> Any:
    from rich.markup import escape
    from rich.table import Table

    systems, scores = _systems(metrics)
    own = len(OWN) if all(system.startswith(OWN) for system in systems) else 0
    cells = {score: [_cell(metrics, f"{system}.{score}") for system in systems] for score in scores}
    longest = max((len(system) - own for system in systems), default=0)
    needed = longest + sum(max(map(len, [score, *column])) for score, column in cells.items()) + 3 * len(cells) + 4
    shown = [score for score in FIRST if score in cells] if needed > width and set(FIRST) <= set(cells) else scores
    table = Table(title=f"Scores with their {'' if level is None else f'{100 * level:g} % '}intervals")
    if len(shown) < len(scores):
        table.add_column("system", no_wrap=True, min_width=longest)
        left = ", ".join(score.replace("_", " ") for score in scores if score not in shown)
        table.caption = escape(f"{left}: in the report")
    else:
        table.add_column("system", overflow="fold")
    for score in shown:
        table.add_column(escape(score.replace("_", " ")))
    for row, system in enumerate(systems):
        table.add_row(escape(system[own:]), *[escape(cells[score][row]) for score in shown])
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


def _systems(metrics: Mapping[str, float | None]) -> tuple[list[str], list[str]]:
    scored = [key.removesuffix("_low") for key in metrics if key.endswith("_low")]
    systems = dict.fromkeys(key.rpartition(".")[0] for key in scored if not key.startswith("difference."))
    scores = dict.fromkeys(key.rpartition(".")[2] for key in scored)
    return sorted(systems, key=lambda system: (system != "transfer", system)), list(scores)


def _cell(metrics: Mapping[str, float | None], key: str) -> str:
    if key not in metrics:
        return ""
    value, low, high = (_number(metrics.get(key + end)) for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}]"


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"
