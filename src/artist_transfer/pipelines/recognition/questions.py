"""Which systems are compared with which: the questions of the paper, each with a family of tests of its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import pandas as pd

from artist_transfer.pipelines.artist_learning.params import KINDS
from artist_transfer.pipelines.recognition.backends import NORMED
from artist_transfer.pipelines.recognition.cells import Cell
from artist_transfer.pipelines.recognition.encoders import IVECTOR
from artist_transfer.pipelines.recognition.params import FUSED
from artist_transfer.pipelines.recognition.scoring import DISCRIMINANT

if TYPE_CHECKING:
    from artist_transfer.evaluation.recognition_scores import RecognitionResult


def compare(result: RecognitionResult, cells: Sequence[Cell], *, fused: str | None = None) -> pd.DataFrame:
    """Answer four questions, each a family of tests in each metric and (but for the last) number of training artists.

    Parameters
    ----------
    result : RecognitionResult
        Draws of all.
    cells : sequence of Cell
        Systems.
    fused : str, optional
        Kind of net in the fusions; the first by default.

    Returns
    -------
    pd.DataFrame
        As `ScoreDraws.compare` gives it, with ``question``: systems (every two that are neither fused nor a variant),
        fusions (with the systems that they fuse), variants (with a discriminant or normalised, with the same system
        without), artists (a system trained on the most artists with itself on the fewest).
    """
    sizes = sorted({cell.artists for cell in cells if cell.artists is not None})
    families: list[tuple[str, list[tuple[str, str]]]] = []
    for size in sizes or [0]:
        here = [cell for cell in cells if cell.artists in (size, None)]
        last = not sizes or size == sizes[-1]
        nets = [cell.encoder for cell in here if cell.encoder in KINDS] or [""]
        single = [cell for cell in here if not _variant(cell) and cell.encoder not in FUSED]
        both = [(a, b) for a, b in combinations(single, 2) if last or {a.artists, b.artists} != {None}]
        parts = [
            (cell, part)
            for cell in here
            if not _variant(cell)
            for part in single
            if _is_part(cell, part, fused or nets[0])
        ]
        varied = [(cell, base) for cell in here for base in here if _variant(cell) == base.system]
        named = (("systems", both), ("fusions", parts), ("variants", varied))
        families += [(question, [(a.key, b.key) for a, b in pairs]) for question, pairs in named]
    if len(sizes) > 1:
        ends = [(b, a) for a in cells for b in cells if a.system == b.system and (a.artists, b.artists) == _ends(sizes)]
        families.append(("artists", [(b.key, a.key) for b, a in ends if not _variant(a)]))
    tables = []
    for draws in result.draws.values():
        for question, pairs in families:
            known = [pair for pair in pairs if set(pair) <= set(draws.systems)]
            if known:
                tables.append(draws.compare(known).assign(question=question))
    columns = ["metric", "of", "first", "second", "effect", "low", "high", "p", "p_holm", "question"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _variant(cell: Cell) -> str | None:
    """Name the system that this one is a variant of."""
    if cell.scoring.endswith(NORMED) or cell.scoring == NORMED.strip("_"):
        scoring = cell.scoring.removesuffix(NORMED) if cell.scoring.endswith(NORMED) else ""
        return f"{cell.encoder}.{scoring}" if scoring else cell.encoder
    if cell.encoder.endswith(DISCRIMINANT):
        return f"{cell.encoder.removesuffix(DISCRIMINANT)}.{cell.scoring}"
    return None


def _is_part(cell: Cell, part: Cell, net: str) -> bool:
    """Tell whether a system is one of the two that another fuses."""
    scoring = cell.scoring.split("_")[0]
    return cell.encoder in FUSED and part.scoring == scoring and part.encoder in (IVECTOR, net)


def _ends(sizes: Sequence[int]) -> tuple[int, int]:
    return sizes[0], sizes[-1]
