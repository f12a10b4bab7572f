"""What encoders are worth on one target: retrieval, nearest neighbours, a linear softmax, tags (ISMIR, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_evaluation.params import ArtistEvaluationBlock
from artist_transfer.pipelines.artist_evaluation.targets import Target

if TYPE_CHECKING:
    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.evaluation.tagging import TagScores

MANY_TRIALS = 1000  # trials of a classifier are numbered below this, nets above


@dataclass
class Items:
    """Values of single tracks, by metric and system.

    Attributes
    ----------
    values : dict of metric to dict of system to list of pd.DataFrame
        ``track_id, trial, value`` and, for classifiers, ``label_true``.
    tags : dict of system to TagScores
        Of a target with tags.
    counts : dict of str to int
        What was left out or is undefined.
    skipped : dict of str to str
        Metric to the reason why it is not there.
    """

    values: dict[str, dict[str, list[pd.DataFrame]]] = field(default_factory=dict)
    tags: dict[str, TagScores] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, metric: str, system: str, table: pd.DataFrame) -> None:
        """Keep the values of one system, fold and net."""
        self.values.setdefault(metric, {}).setdefault(system, []).append(table)

    def of(self, metric: str) -> dict[str, pd.DataFrame]:
        """Return all values of a metric, by system."""
        return {name: pd.concat(tables, ignore_index=True) for name, tables in self.values[metric].items()}


@dataclass(frozen=True)
class Heard:
    """A system's vectors of a target's tracks.

    Attributes
    ----------
    system : str
        Its name.
    fold : int or None
        The fold of the run's own corpus that its net was trained for; None if it is the same for all.
    trial : int
        Which of several nets.
    vectors : callable
        Training ids of a fold → Embeddings; what is fitted to the target (a baseline's scale, a discriminant) is
        fitted to these.
    """

    system: str
    fold: int | None
    trial: int
    vectors: Callable[[Sequence[str]], Embeddings]


def evaluate(target: Target, heard: Sequence[Heard], block: ArtistEvaluationBlock) -> Items:
    """Score all systems on the same tracks of a target.

    Parameters
    ----------
    target : Target
        The corpus.
    heard : sequence of Heard
        The systems.
    block : ArtistEvaluationBlock
        How.

    Returns
    -------
    Items
        Values of single tracks.
    """
    items = Items()
    for fold in target.folds:
        sides = target.sides(fold)
        mine = [one for one in heard if not target.own or one.fold is None or one.fold == fold]
        for one in mine:
            embeddings = one.vectors(sides["train"] or list(target.usable_table["track_id"]))
            _evaluate_one(target, fold, sides, one, embeddings, items, block)
    return items


def _evaluate_one(
    target: Target,
    fold: int,
    sides: Mapping[str, list[str]],
    one: Heard,
    embeddings: Embeddings,
    items: Items,
    block: ArtistEvaluationBlock,
) -> None:
    there = set(embeddings.track_ids)
    kept = {side: [track for track in ids if track in there] for side, ids in sides.items()}
    for side, ids in sides.items():
        items.counts[f"fold {fold}: {side} tracks too short to be encoded"] = len(ids) - len(kept[side])
    genres = target.labels("genre_top")
    if any(genres.values()):
        _genres(target, kept, one, embeddings, items, block, genres)
    elif any(len(words) for words in target.usable_table["genres"]):
        _tags(target, kept, one, embeddings, items, block)
    else:
        items.skipped["genre"] = "no track of this corpus has a genre or a tag"
    supervised = block.discriminant is not None
    _artists(target, fold, kept, one, embeddings, items, supervised=supervised)


def _genres(
    target: Target,
    kept: Mapping[str, list[str]],
    one: Heard,
    embeddings: Embeddings,
    items: Items,
    block: ArtistEvaluationBlock,
    genres: Mapping[str, str | None],
) -> None:
    from artist_transfer.evaluation.linear_softmax import SoftmaxParams, linear_softmax
    from artist_transfer.evaluation.neighbours_vote import neighbours_vote
    from artist_transfer.evaluation.retrieval import average_precisions
    from artist_transfer.evaluation.target_labels import labelled_split

    test = kept["test"] or kept["unseen"]
    try:
        split = labelled_split(genres, train_ids=kept["train"], validation_ids=kept["validation"], test_ids=test)
    except ArtistTransferError as error:
        items.skipped["genre"] = str(error)
        return
    queries = _some(embeddings, [track for track in test if genres.get(track) is not None])
    table = average_precisions(queries, genres).table
    items.add("map", one.system, _values(table, "ap", one.trial))
    vote = neighbours_vote(embeddings, split, k=block.k)
    items.add("knn_accuracy", one.system, _values(vote.table, "correct", one.trial, label="label_true"))
    params = SoftmaxParams(trials=block.trials, max_epochs=block.max_epochs, seed=block.seed)
    soft, _ = linear_softmax(embeddings, split, target.usable_table, params=params)
    items.add("softmax_accuracy", one.system, _values(soft.table, "correct", one.trial, label="label_true"))
    for name, count in {
        **split.counts,
        **{f"label only in test: {k}": n for k, n in split.only_in_test.items()},
    }.items():
        if name.endswith("without_label") or name.startswith("label"):
            items.counts[name] = max(items.counts.get(name, 0), count)


def _tags(
    target: Target,
    kept: Mapping[str, list[str]],
    one: Heard,
    embeddings: Embeddings,
    items: Items,
    block: ArtistEvaluationBlock,
) -> None:
    from artist_transfer.evaluation.tag_probe import TagProbeParams, tag_probe
    from artist_transfer.evaluation.tagging import tagged_split

    if one.system in items.tags:
        items.skipped["tags of further nets"] = "tags are scored on the first fold and by the first net of a system"
        return
    words = {track: list(tags) for track, tags in zip(target.usable_table["track_id"], target.usable_table["genres"])}
    split = tagged_split(words, train_ids=kept["train"], test_ids=kept["test"], validation_ids=kept["validation"])
    params = TagProbeParams(hidden=block.tag_hidden, seed=block.seed)
    items.tags[one.system], _ = tag_probe(embeddings, split, target.usable_table, params=params)


def _artists(
    target: Target,
    fold: int,
    kept: Mapping[str, list[str]],
    one: Heard,
    embeddings: Embeddings,
    items: Items,
    *,
    supervised: bool,
) -> None:
    """Find the other songs of the artist, among artists that neither net nor discriminant has learned."""
    from artist_transfer.evaluation.retrieval import average_precisions

    artists, recordings = target.labels("artist_id"), target.labels("recording_id")
    if target.own or supervised:
        ids = [*kept["test"], *kept["unseen"]]
    elif fold == target.folds[0]:
        ids = list(embeddings.track_ids)
    else:
        return  # nothing is fitted, so one pass over all tracks is all there is
    ids = sorted(track for track in ids if artists.get(track) is not None)
    if len({artists[track] for track in ids}) < 2:
        items.skipped["artist_map"] = "fewer than two artists to tell apart"
        return
    found = average_precisions(_some(embeddings, ids), artists, leave_out=[recordings])
    items.counts["songs without another recording of their artist"] = found.counts["n_undefined"]
    items.add("artist_map", one.system, _values(found.table, "ap", one.trial))


def _some(embeddings: Embeddings, ids: Sequence[str]) -> Embeddings:
    from artist_transfer.evaluation.embeddings import Embeddings

    return Embeddings(tuple(ids), embeddings.of(ids))


def _values(table: pd.DataFrame, value: str, trial: int, *, label: str | None = None) -> pd.DataFrame:
    inner = table.get("trial", 0)
    kept = pd.DataFrame(
        {"track_id": table["track_id"], "trial": MANY_TRIALS * trial + inner, "value": table[value].astype(float)}
    )
    return kept if label is None else kept.assign(label_true=table[label].to_numpy())


def score_tables(
    items: Items, target: Target, systems: Mapping[str, Mapping[str, Any]], block: ArtistEvaluationBlock
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score with intervals by artist, and compare every two systems.

    Parameters
    ----------
    items : Items
        Values of single tracks.
    target : Target
        Their artists.
    systems : mapping of name to mapping
        ``net``, ``n_artists_trained`` of each.
    block : ArtistEvaluationBlock
        Resamples.

    Returns
    -------
    scores, comparisons : pd.DataFrame
        As `artist_transfer.reporting.artist_tables` and `ScoreDraws.compare` describe them.
    """
    from artist_transfer.evaluation.item_scores import score_items
    from artist_transfer.evaluation.tag_intervals import score_tags
    from artist_transfer.reporting.artist_tables import labelled_scores

    settings: dict[str, Any] = {"n_resamples": block.resamples, "level": block.level, "seed": block.seed}
    scores, comparisons = [], []
    told: dict[str, Any] = {"target": target.name, "systems": systems, "list_hash": target.list_hash}
    for metric in items.values:
        found = items.of(metric)
        drawn = score_items(found, target.tracks(), value="value", metric=metric, **settings)
        scores.append(labelled_scores(drawn.score_table(), metric=metric, **told))
        if len(found) > 1:
            comparisons.append(drawn.compare().assign(target=target.name))
        if metric.endswith("accuracy"):
            by_genre = score_items(found, target.tracks(), value="value", metric=metric, by="label_true", **settings)
            table = by_genre.score_table()
            scores.append(labelled_scores(table[table["of"] != "overall"], metric=metric, **told))
    if items.tags:
        for metric, drawn in score_tags(items.tags, target.tracks(), **settings).items():
            scores.append(labelled_scores(drawn.score_table(), metric=metric, **told))
            if len(items.tags) > 1:
                comparisons.append(drawn.compare(columns=["macro"]).assign(target=target.name))
    empty = pd.DataFrame()
    return (
        pd.concat(scores, ignore_index=True) if scores else empty,
        pd.concat(comparisons, ignore_index=True) if comparisons else empty,
    )
