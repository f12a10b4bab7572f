"""What encoders are worth on one target: retrieval, nearest neighbours, classifiers, tags (ISMIR, section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_evaluation.items import CHANCE, PRIOR, PROJECTED, Heard, Items
from artist_transfer.pipelines.artist_evaluation.measures import Hearing, score_artists, score_genres, score_tags
from artist_transfer.pipelines.artist_evaluation.params import ArtistEvaluationBlock
from artist_transfer.pipelines.artist_evaluation.targets import Target

if TYPE_CHECKING:
    from artist_transfer.evaluation.embeddings import Embeddings

MOST_ZERO = 0.5  # of a system's vectors; with more zero ones it is left out, with fewer these tracks are
TOO_SHORT = "tracks too short to be encoded"
ZERO = "tracks whose vector is zero by some net, so that no cosine can be taken"


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
    has_genres = any(target.labels("genre_top").values())
    has_tags = any(len(words) for words in target.usable_table["genres"])
    if not has_genres:
        items.skipped["genre"] = "no track of this corpus has one genre"
    if not has_tags:
        items.skipped["tags"] = "no track of this corpus has tags"
    elif not block.tags:
        items.skipped["tags"] = "artist_evaluation.tags is false"
    for fold in target.folds:
        here = [one for one in heard if not target.own or one.fold is None or one.fold == fold]
        for hearing in _hear(target, fold, here, items, block):
            if has_genres:
                score_genres(hearing, items)
            if has_tags and block.tags:
                score_tags(hearing, items)
            score_artists(hearing, items)
    return items


def _hear(
    target: Target, fold: int, heard: Sequence[Heard], items: Items, block: ArtistEvaluationBlock
) -> list[Hearing]:
    """Encode a fold by all systems, and keep the tracks of which every one of them has a vector with a direction."""
    from artist_transfer.evaluation.cosine import zero_vectors

    sides = target.sides(fold)
    fit_on = sides["train"] or list(target.usable_table["track_id"])
    every = set(target.usable_table["track_id"])
    kept = set(every)
    found: list[tuple[Heard, Embeddings]] = []
    for one in heard:
        embeddings = one.vectors(fit_on)
        zero = zero_vectors(embeddings)
        if len(zero) > MOST_ZERO * len(embeddings.track_ids):
            items.silence(one.system, f"{len(zero)} of its {len(embeddings.track_ids)} vectors are zero: a dead net")
            continue
        found.append((one, embeddings))
        items.leave_out(TOO_SHORT, every - set(embeddings.track_ids))
        items.leave_out(ZERO, every & set(zero))
        kept &= set(embeddings.track_ids) - set(zero)
    there = {side: [track for track in ids if track in kept] for side, ids in sides.items()}
    return [Hearing(target, fold, there, sorted(kept), one, embeddings, block) for one, embeddings in found]


def _pairs(systems: Sequence[str]) -> list[tuple[str, str]]:
    """Choose what is compared: every two plain systems, each with its floor, a discriminant with its own net.

    All other pairs answer no question and would cost the corrected p of those that do.
    """
    floors = [name for name in systems if name in (CHANCE, PRIOR)]
    plain = [name for name in systems if name not in floors and not name.endswith(PROJECTED)]
    projected = [name for name in systems if name.removesuffix(PROJECTED) in plain and name.endswith(PROJECTED)]
    return [
        *combinations(plain, 2),
        *((name, name.removesuffix(PROJECTED)) for name in projected),
        *((name, floor) for name in plain for floor in floors),
    ]


def score_tables(
    items: Items, target: Target, systems: Mapping[str, Mapping[str, Any]], block: ArtistEvaluationBlock
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score with intervals by artist, and compare systems.

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
    told: dict[str, Any] = {"target": target.name, "systems": systems, **target.list_facts}
    for metric in items.values:
        found = items.of(metric)
        if not found:
            continue
        try:
            drawn = score_items(found, target.tracks(), value="value", metric=metric, **settings)
        except ArtistTransferError as error:
            items.skipped[metric] = str(error)
            continue
        scores.append(labelled_scores(drawn.score_table(), metric=metric, **told))
        if len(found) > 1:
            comparisons.append(drawn.compare(_pairs(drawn.systems)).assign(target=target.name))
        if metric.endswith("accuracy"):
            by_genre = score_items(found, target.tracks(), value="value", metric=metric, by="label_true", **settings)
            table = by_genre.score_table()
            scores.append(labelled_scores(table[table["of"] != "overall"], metric=metric, **told))
    for prefix in items.tags:
        tags = items.tags_of(prefix)
        if not tags:
            continue
        try:
            measured = score_tags(tags, target.tracks(), **settings)
        except ArtistTransferError as error:  # no tag that some test tracks have and others lack
            items.skipped[f"{prefix}tags"] = str(error)
            continue
        for measure, drawn in measured.items():
            metric = f"{prefix}{measure}"
            scores.append(labelled_scores(drawn.score_table(), metric=metric, **told))
            if len(tags) > 1:
                differences = drawn.compare(_pairs(drawn.systems), columns=["macro"])
                comparisons.append(differences.assign(target=target.name, metric=metric))
    empty = pd.DataFrame()
    return (
        pd.concat(scores, ignore_index=True) if scores else empty,
        pd.concat(comparisons, ignore_index=True) if comparisons else empty,
    )
