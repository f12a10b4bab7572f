"""What the vectors of one system are worth on one fold of a target: by genre, by tag, by artist.

Beside every score stands what needs no vectors: *chance*, the same candidates in random order, and *prior*, the most
frequent label or the frequency of the tags in training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_evaluation.items import CHANCE, PRIOR, Heard, Items, item_values
from artist_transfer.pipelines.artist_evaluation.params import ArtistEvaluationBlock, read_widths
from artist_transfer.pipelines.artist_evaluation.targets import Target

if TYPE_CHECKING:
    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.evaluation.tagging import TaggedSplit
    from artist_transfer.evaluation.target_labels import Classified, LabelledSplit

NEURAL = "neural_"
TOP = 5  # candidates among which an artist is looked for


@dataclass(frozen=True)
class Hearing:
    """One system on one fold.

    Attributes
    ----------
    target : Target
        The corpus.
    fold : int
        Of the target.
    sides : dict of side to list of str
        Tracks that have a vector by every system.
    tracks : list of str
        All of these, those on no side too.
    one : Heard
        The system.
    embeddings : Embeddings
        Its vectors.
    block : ArtistEvaluationBlock
        How it is scored.
    """

    target: Target
    fold: int
    sides: Mapping[str, list[str]]
    tracks: Sequence[str]
    one: Heard
    embeddings: Embeddings
    block: ArtistEvaluationBlock


def score_genres(hearing: Hearing, items: Items) -> None:
    """Score retrieval by genre, and classifiers of the genre.

    Parameters
    ----------
    hearing : Hearing
        System and fold.
    items : Items
        Where the values go.
    """
    from artist_transfer.evaluation.retrieval import average_precisions
    from artist_transfer.evaluation.target_labels import labelled_split, prior_vote

    genres, sides, one = hearing.target.labels("genre_top"), hearing.sides, hearing.one
    test = sides["test"] or sides["unseen"]
    try:
        split = labelled_split(genres, train_ids=sides["train"], validation_ids=sides["validation"], test_ids=test)
    except ArtistTransferError as error:
        items.skipped[f"genre, fold {hearing.fold}"] = str(error)
        return
    queries = hearing.embeddings.subset([track for track in test if genres.get(track) is not None])
    found = average_precisions(queries, genres, leave_out=[hearing.target.labels("recording_id")])
    items.count("songs without another recording of their genre", found.counts["n_undefined"], hearing.fold)
    table = found.table
    items.add("map", one.system, item_values(table, "ap", one.trial))
    if items.needs_floor("map", hearing.fold):
        items.add("map", CHANCE, item_values(table, "chance", 0))
    for metric, classify in _classifiers(hearing, split).items():
        try:
            said = classify().table
        except ArtistTransferError as error:  # nobody can be held out to stop by, features that do not vary
            items.fail(metric, one.system, str(error))
            continue
        items.add(metric, one.system, item_values(said, "correct", one.trial, label="label_true"))
        if items.needs_floor(metric, hearing.fold):
            items.add(metric, PRIOR, item_values(prior_vote(split).table, "correct", 0, label="label_true"))
    items.count("test tracks without a genre", split.counts["n_test_without_label"], hearing.fold)
    for genre, count in split.only_in_test.items():
        items.count(f"test tracks of a genre that no training track has: {genre}", count, hearing.fold)


def _classifiers(hearing: Hearing, split: LabelledSplit) -> dict[str, Callable[[], Classified]]:
    from artist_transfer.evaluation.further_probes import NeuralProbeParams, logistic_probe, neural_probe
    from artist_transfer.evaluation.linear_softmax import SoftmaxParams, linear_softmax
    from artist_transfer.evaluation.neighbours_vote import neighbours_vote

    embeddings, block, tracks = hearing.embeddings, hearing.block, hearing.target.usable_table
    params = SoftmaxParams(trials=block.trials, max_epochs=block.max_epochs, seed=block.seed)
    found: dict[str, Callable[[], Classified]] = {
        "knn_accuracy": lambda: neighbours_vote(embeddings, split, k=block.k),
        "softmax_accuracy": lambda: linear_softmax(embeddings, split, tracks, params=params)[0],
    }
    c, hidden = block.logistic_c, read_widths(block.hidden)
    if c is not None:
        found["logistic_accuracy"] = lambda: logistic_probe(embeddings, split, C=c)
    if hidden:
        dense = NeuralProbeParams(hidden=hidden, seed=block.seed)
        found[f"{NEURAL}accuracy"] = lambda: neural_probe(embeddings, split, tracks, params=dense)
    return found


def score_tags(hearing: Hearing, items: Items) -> None:
    """Score probes of the tags: linear, and with dense layers.

    Parameters
    ----------
    hearing : Hearing
        System and fold.
    items : Items
        Where the scores go.
    """
    from artist_transfer.evaluation.tag_probe import TagProbeParams, tag_probe
    from artist_transfer.evaluation.tagging import prior_tags, tagged_split

    table, sides, block = hearing.target.usable_table, hearing.sides, hearing.block
    words = {track: list(tags) for track, tags in zip(table["track_id"], table["genres"])}
    test = sides["test"] or sides["unseen"]
    try:
        split = tagged_split(words, train_ids=sides["train"], test_ids=test, validation_ids=sides["validation"])
    except ArtistTransferError as error:
        items.skipped[f"tags, fold {hearing.fold}"] = str(error)
        return
    _tell_tags(split, hearing.fold, items)
    hidden = read_widths(block.hidden)
    for prefix, widths in {"": (), **({NEURAL: hidden} if hidden else {})}.items():
        params = TagProbeParams(hidden=widths, seed=block.seed)
        try:
            scores, _ = tag_probe(hearing.embeddings, split, table, params=params)
        except ArtistTransferError as error:
            items.fail(f"{prefix}tags", hearing.one.system, str(error))
            continue
        items.add_tags(prefix, hearing.one.system, hearing.fold, scores)
        if items.needs_floor(f"{prefix}tags", hearing.fold):
            items.add_tags(prefix, PRIOR, hearing.fold, prior_tags(split))


def _tell_tags(split: TaggedSplit, fold: int, items: Items) -> None:
    """Name the tags that are not scored in a fold, and those that only test tracks have."""
    from artist_transfer.evaluation.tagging import undefined_tags

    for tag, reason in (split.skipped | undefined_tags(split)).items():
        items.tag_reasons.setdefault(tag, {})[fold] = reason
    for tag, count in split.only_in_test.items():
        items.tag_reasons.setdefault(tag, {})[fold] = "no training track has it"
        items.only_in_test.setdefault(tag, {})[fold] = count
    items.count("test tracks without a list of tags", split.counts["n_test_without_list"], fold)
    items.count("test tracks with none of the tags", split.counts["n_test_untagged"], fold)


def score_artists(hearing: Hearing, items: Items) -> None:
    """Find the other songs of the artist, and the artist itself, among artists that no net of the corpus has learned.

    Parameters
    ----------
    hearing : Hearing
        System and fold.
    items : Items
        Where the values go.
    """
    from artist_transfer.evaluation.retrieval import average_precisions

    target, one, fold = hearing.target, hearing.one, hearing.fold
    artists, recordings = target.labels("artist_id"), target.labels("recording_id")
    if target.own:
        ids = [*hearing.sides["test"], *hearing.sides["unseen"]]
    elif fold == target.folds[0]:
        ids = list(hearing.tracks)
    else:
        return  # nothing is fitted, so one pass over all tracks is all there is
    ids = sorted(track for track in ids if artists.get(track) is not None)
    if len({artists[track] for track in ids}) < 2:
        items.skipped["artist_map"] = "fewer than two artists to tell apart"
        return
    vectors = hearing.embeddings.subset(ids)
    found = average_precisions(vectors, artists, leave_out=[recordings])
    items.count("songs without another recording of their artist", found.counts["n_undefined"], fold)
    items.add("artist_map", one.system, item_values(found.table, "ap", one.trial))
    if items.needs_floor("artist_map", fold):
        items.add("artist_map", CHANCE, item_values(found.table, "chance", 0))
    if found.counts["n_undefined"] < len(ids):
        _identify(hearing, vectors, artists, recordings, items)


def _identify(
    hearing: Hearing,
    vectors: Embeddings,
    artists: Mapping[str, str | None],
    recordings: Mapping[str, str | None],
    items: Items,
) -> None:
    """Enrol every artist by the average of its songs, each song left out of its own artist's average."""
    from artist_transfer.evaluation.enrolment import leave_one_out

    metrics = {top: f"artist_top{top}" for top in (1, TOP)}
    try:
        found = leave_one_out(vectors, artists, leave_out=[recordings])
    except ArtistTransferError as error:  # vectors of one dimension can cancel out
        for metric in metrics.values():
            items.fail(metric, hearing.one.system, str(error))
        return
    candidates = found.counts["n_artists"]
    for top, metric in metrics.items():
        if candidates <= top:
            items.skipped[f"{metric}, fold {hearing.fold}"] = f"with {candidates} artists the first {top} are all"
            continue
        items.add(metric, hearing.one.system, item_values(found.table, f"top{top}", hearing.one.trial))
        if items.needs_floor(metric, hearing.fold):
            by_chance = pd.DataFrame({"track_id": found.table["track_id"], "value": top / candidates})
            items.add(metric, CHANCE, item_values(by_chance, "value", 0))
