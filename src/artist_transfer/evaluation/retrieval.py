"""Average precision of every query among songs ranked by cosine.

Conventions
-----------
* Relevant is what has the query's label (genre, artist, …). A query is never its own answer; more can be left out
  with it: clips of its recording, tracks of its album.
* A track without a label is neither query nor candidate: nobody knows whether it is relevant. It is counted.
* A query without a relevant candidate has no average precision: NaN, counted, never 0.
* Of equal similarity every order is as likely as any other: the average precision is its mean over these orders, so
  it does not depend on the order of the tracks and 1,000 equal vectors get what chance gets. Without ties it is
  scikit-learn's ``average_precision_score``; that takes all of equal similarity as retrieved at once.

References
----------
ISMIR: Park, Lee, Park, Ha, Nam, "Representation Learning of Music Using Artist Labels", ISMIR 2018, section 4.2,
equations 3 and 4.
McSherry and Najork, "Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied Scores",
ECIR 2008, section 2.3: the mean over the orders of equals in closed form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import EXCLUDED, check_width, map_blocks, unit_vectors
from artist_transfer.evaluation.embeddings import Embeddings

COLUMNS = ["track_id", "label", "ap", "chance", "n_relevant", "n_candidates"]


@dataclass(frozen=True)
class Retrieval:
    """Average precision of every query.

    Attributes
    ----------
    table : pd.DataFrame
        One row a query with a label, sorted: ``track_id, label, ap`` (NaN if undefined), ``chance`` (that of
        candidates in random order), ``n_relevant, n_candidates``.
    counts : dict of str to int
        ``n_queries, n_undefined, n_queries_without_label, n_gallery, n_gallery_without_label``.
    undefined : dict of label to int
        Queries by label that have no relevant candidate.
    """

    table: pd.DataFrame
    counts: dict[str, int]
    undefined: dict[str, int]

    @property
    def mean(self) -> float:
        """MAP (equation 4) over the queries that have one; NaN if none has."""
        return float(self.table["ap"].mean())


def average_precisions(
    queries: Embeddings,
    labels: Mapping[str, str | None],
    *,
    gallery: Embeddings | None = None,
    leave_out: Sequence[Mapping[str, str | None]] = (),
    rows: int | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> Retrieval:
    """Rank the gallery for every query by cosine, and score the ranking (ISMIR, equation 3).

    Parameters
    ----------
    queries : Embeddings
    labels : mapping of track id to label
        Of queries and gallery; None, NaN or nothing for a track without.
    gallery : Embeddings, optional
        What is searched; default the queries themselves.
    leave_out : sequence of mappings of track id to group
        A candidate that is in a query's group (recording, album, …) in one of them is none for it.
    rows : int > 0, optional
        Queries at once; changes nothing but memory and time.
    workers : int > 0, optional
        Threads; default the cores of this process.
    progress : bool

    Returns
    -------
    Retrieval

    Raises
    ------
    ArtistTransferError
        If no query or no track of the gallery has a label, a vector is zero, or the widths differ.
    """
    gallery = queries if gallery is None else gallery
    check_width(queries, gallery)
    asked, searched = _labelled(queries, labels, "query"), _labelled(gallery, labels, "track of the gallery")
    ranking = _Ranking.of(gallery, searched, labels, leave_out)
    units = unit_vectors(queries, queries.rows(asked))

    def score(start: int, block: np.ndarray) -> list[tuple[float, int, int]]:
        return [ranking.score(asked[start + k], row) for k, row in enumerate(block)]

    found: list[tuple[float, int, int]] = []
    with tqdm(total=len(asked), desc="retrieval", unit="query", leave=False, disable=not progress) as bar:
        for stop, part in map_blocks(score, units, ranking.units, rows=rows, workers=workers):
            found += part
            bar.update(stop - bar.n)
    return _result(asked, [str(labels[x]) for x in asked], np.array(found), (queries, gallery, searched))


def mean_average_precision(
    queries: Embeddings, labels: Mapping[str, str | None], *, gallery: Embeddings | None = None
) -> float:
    """Return MAP over the queries that have a relevant candidate (ISMIR, equation 4).

    Parameters
    ----------
    queries, labels, gallery
        As in `average_precisions`.

    Returns
    -------
    float in (0, 1]
        NaN if no query has a relevant candidate.
    """
    return average_precisions(queries, labels, gallery=gallery).mean


def chance_average_precision(n_relevant: np.ndarray | int, n_candidates: np.ndarray | int) -> np.ndarray:
    """Return the mean average precision of candidates in random order.

    Parameters
    ----------
    n_relevant, n_candidates : np.ndarray or int [0 <= n_relevant <= n_candidates]

    Returns
    -------
    np.ndarray, in (0, 1]
        NaN without a relevant candidate. Somewhat more than the share of relevant ones.
    """
    relevant, n = (np.asarray(x, dtype=np.int64) for x in np.broadcast_arrays(n_relevant, n_candidates))
    h = _harmonic(int(n.max(initial=0)))[n]
    more = np.where(n > 1, (relevant - 1) / np.maximum(n - 1, 1) * (n - h), 0.0)
    return np.where(relevant > 0, (h + more) / np.maximum(n, 1), np.nan)


@dataclass(frozen=True)
class _Ranking:
    """The gallery, tracks of one label side by side, so that the relevant ones are a slice."""

    units: np.ndarray  # (track, width)
    of_label: dict[str, slice]
    labels: Mapping[str, str | None]
    position: dict[str, int]
    groups: list[tuple[Mapping[str, str | None], dict[str, np.ndarray]]]
    harmonic: np.ndarray

    @classmethod
    def of(
        cls,
        gallery: Embeddings,
        track_ids: Sequence[str],
        labels: Mapping[str, str | None],
        leave_out: Sequence[Mapping[str, str | None]],
    ) -> _Ranking:
        ordered = sorted(track_ids, key=lambda x: (str(labels[x]), x))
        sizes = Counter(str(labels[x]) for x in ordered)
        stops = np.cumsum([sizes[name] for name in sorted(sizes)])
        slices = {name: slice(int(stop) - sizes[name], int(stop)) for name, stop in zip(sorted(sizes), stops)}
        groups = [(group, _members(group, ordered)) for group in leave_out]
        units = unit_vectors(gallery, gallery.rows(ordered))
        position = {track: k for k, track in enumerate(ordered)}
        return cls(units, slices, labels, position, groups, _harmonic(len(ordered)))

    def score(self, track_id: str, similarities: np.ndarray) -> tuple[float, int, int]:
        """Give average precision, relevant and all candidates; the row of similarities is used up."""
        own = self.position.get(track_id)
        if own is not None:
            similarities[own] = EXCLUDED
        for group, members in self.groups:
            key = group.get(track_id)
            if not _missing(key) and str(key) in members:
                similarities[members[str(key)]] = EXCLUDED
        where = self.of_label.get(str(self.labels[track_id]), slice(0, 0))
        relevant = np.sort(similarities[where])
        others = np.concatenate([similarities[: where.start], similarities[where.stop :]])
        others.sort()
        relevant, others = _candidates(relevant), _candidates(others)
        n = len(relevant) + len(others)
        return _average_precision(relevant, others, self.harmonic), len(relevant), n


def _average_precision(relevant: np.ndarray, others: np.ndarray, harmonic: np.ndarray) -> float:
    """Average over the orders of equals; both arrays ascend."""
    size = len(relevant)
    if not size:
        return float("nan")
    first = np.flatnonzero(np.concatenate([[True], relevant[1:] != relevant[:-1]]))  # of each run of equals
    value, r = relevant[first], np.diff(first, append=size)
    right = np.searchsorted(others, value, side="right")
    equal = np.zeros(len(value), dtype=np.int64)
    if len(others):
        tied = np.flatnonzero((right > 0) & (others[right - 1] == value))
        equal[tied] = right[tied] - np.searchsorted(others, value[tied], side="left")
    before = size - first - r  # relevant ones that are more similar
    ahead = before + len(others) - right  # all that are more similar
    n = r + equal
    total = (before + 1.0) / (ahead + 1.0)  # of a run of one
    runs = np.flatnonzero(n > 1)
    if len(runs):
        r, n, before, ahead = r[runs], n[runs], before[runs], ahead[runs]
        h = harmonic[ahead + n] - harmonic[ahead]  # sum over the places of the run of 1 / place
        # at place ahead + k stands a relevant one with r / n, and (k - 1) (r - 1) / (n - 1) of the run before it
        total[runs] = r / n * ((before + 1) * h + (r - 1) / (n - 1) * (n - (ahead + 1) * h))
    return float(total.sum()) / size


def _candidates(ascending: np.ndarray) -> np.ndarray:
    return ascending[np.searchsorted(ascending, EXCLUDED, side="right") :]


def _harmonic(n: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n + 1))])


def _members(group: Mapping[str, str | None], ordered: Sequence[str]) -> dict[str, np.ndarray]:
    found: dict[str, list[int]] = {}
    for k, track in enumerate(ordered):
        if not _missing(group.get(track)):
            found.setdefault(str(group[track]), []).append(k)
    return {name: np.array(rows) for name, rows in found.items()}


def _missing(value: object) -> bool:
    return value is None or value != value or value is pd.NA


def _labelled(embeddings: Embeddings, labels: Mapping[str, str | None], what: str) -> list[str]:
    found = sorted(x for x in embeddings.track_ids if not _missing(labels.get(x)))
    if not found:
        raise ArtistTransferError(f"retrieval: no {what} has a label ({len(embeddings.track_ids)} tracks)")
    return found


def _result(
    asked: Sequence[str],
    names: Sequence[str],
    found: np.ndarray,
    sets: tuple[Embeddings, Embeddings, Sequence[str]],
) -> Retrieval:
    queries, gallery, searched = sets
    ap, relevant, candidates = found[:, 0], found[:, 1].astype(np.int64), found[:, 2].astype(np.int64)
    table = pd.DataFrame(
        {
            "track_id": list(asked),
            "label": list(names),
            "ap": ap,
            "chance": chance_average_precision(relevant, candidates),
            "n_relevant": relevant,
            "n_candidates": candidates,
        }
    )
    undefined = Counter(table["label"][np.isnan(ap)])
    counts = {
        "n_queries": len(asked),
        "n_undefined": int(np.isnan(ap).sum()),
        "n_queries_without_label": len(queries.track_ids) - len(asked),
        "n_gallery": len(searched),
        "n_gallery_without_label": len(gallery.track_ids) - len(searched),
    }
    return Retrieval(table[COLUMNS], counts, dict(sorted(undefined.items())))
