"""What the pages call the systems and scores that flat metrics name, for who prints those metrics elsewhere.

A *kind* is what stands before ``_metrics`` in the output's name: ``transfer``, ``study``, ``artist``, ``recognition``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from artist_transfer.reporting import artist_paper, scores
from artist_transfer.reporting.artist_paper import NETS, PROJECTED
from artist_transfer.reporting.recognition_paper import RECOGNITION_METRICS
from artist_transfer.reporting.scores import system_label

_NET = re.compile(rf"({'|'.join(NETS)})-(\d+)(-with-discriminant)?")
_SIZE = re.compile(r"(.+)\.(\d+)")
SCORES: Mapping[str, Mapping[str, str]] = {
    "transfer": scores.METRICS,
    "study": scores.METRICS,
    "artist": artist_paper.METRICS,
    "recognition": {name.replace("0.", "0"): words for name, words in RECOGNITION_METRICS.items()},
}
"""By kind the scores in the order of the pages; what is flat has no dots (min_dcf_001)."""


def flat_score_label(kind: str, score: str) -> str:
    """Return what to call a score.

    Parameters
    ----------
    kind, score : str
        Such as ``recognition`` and ``min_dcf_001``.

    Returns
    -------
    str
    """
    return SCORES.get(kind, {}).get(score, score.replace("_", " "))


def flat_system_label(kind: str, system: str, *, own: str = "") -> str:
    """Return what to call a system.

    Parameters
    ----------
    kind : str
        The kind of metrics.
    system : str
        A metric's key without the score: ``baseline.stn_g``, ``case.prior``, ``gtzan.basic-500``,
        ``self.basic.cosine.500``.
    own : str
        Corpus that goes without saying.

    Returns
    -------
    str
        Such as ``genre-only STN``, ``class priors``, ``gtzan: Basic, 500 artists``, ``basic.cosine (500)``: systems of
        recognition go by the names that parameters take.
    """
    if kind in ("transfer", "study"):
        return system_label(system.removeprefix("baseline.").removeprefix("case."))
    corpus, _, name = system.partition(".")
    if not name:
        return system
    net, sized = _NET.fullmatch(name), _SIZE.fullmatch(name)
    if kind == "artist" and net:
        name = f"{NETS[net[1]]}{PROJECTED if net[3] else ''}, {int(net[2]):,} artists"
    elif kind == "recognition" and sized:
        name = f"{sized[1]} ({int(sized[2]):,})"
    return name if corpus == own else f"{corpus}: {name}"
