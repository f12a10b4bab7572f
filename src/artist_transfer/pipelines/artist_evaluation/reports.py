"""Nodes that show what artist-label nets learned: maps, nearest artists, the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from artist_transfer.pipelines.artist_evaluation import told
from artist_transfer.pipelines.artist_evaluation.nodes import failed_systems
from artist_transfer.pipelines.artist_evaluation.params import ArtistEvaluationBlock
from artist_transfer.pipelines.artist_learning.encoders import NamedNet, embed
from artist_transfer.pipelines.artist_learning.params import EncodingBlock
from artist_transfer.provenance import git_state

MAP_COLUMNS = ["track_id", "artist_id", "artist", "title", "genre", "x", "y"]
LEAST_ARTISTS = 3  # of which a map or nearest artists say anything
NEIGHBOUR_COLUMNS = ["artist_id", "artist", "rank", "neighbour_id", "neighbour", "score"]


def show_tracks(
    artist_nets_manifest: dict[str, Any],
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    encoding: EncodingBlock,
    device: str,
    seed: int,
    cache_root: str,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Lay out the tracks that the last net was not trained on, and find the nearest of their artists.

    Parameters
    ----------
    artist_nets_manifest : dict
        The nets; a Siamese one if there is one, of the largest set and the first fold, is shown.
    usable_table, split_table : pd.DataFrame
        The tracks and their sides.
    mel_manifest : dict
        Their spectrograms.
    encoding : EncodingBlock
        Segments of a song.
    device : str
        auto, cpu or cuda.
    seed : int
        Of the layout.
    cache_root : str
        Where vectors and the index are kept.

    Returns
    -------
    artist_track_map_table, genre_track_map_table : pd.DataFrame
        Tracks with an artist, and with a genre, in the plane.
    artist_neighbour_table : pd.DataFrame
        Nearest artists.
    artist_shown_facts : dict
        Which net, how many ``tracks``, and the ``sentence`` that says which.
    """
    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.evaluation.track_map import track_map
    from artist_transfer.models.files import load_artist_net
    from artist_transfer.search.index import cached_index
    from artist_transfer.search.retrieve import nearest_artists
    from artist_transfer.training.devices import resolve_device

    nets = artist_nets_manifest["nets"]
    shown = max(nets, key=lambda net: (net["kind"] == "siamese", net["artists"], -net["fold"], -net["seed"]))
    named = NamedNet.of(shown["system"], load_artist_net(shown["folder"]))
    embeddings, _ = embed(
        named, usable_table, mel_manifest, encoding, device=resolve_device(device), cache_root=cache_root
    )
    ids, sentence = tracks_to_show(usable_table, split_table, int(shown["fold"]), set(embeddings.track_ids))
    embeddings = Embeddings(tuple(ids), embeddings.of(ids))
    tracks = usable_table[usable_table["track_id"].isin(ids)]
    maps = []
    for column in ("artist_id", "genre_top"):
        known = tracks[column].notna().any()
        maps.append(
            track_map(embeddings, tracks, label=column, seed=seed) if known else pd.DataFrame(columns=MAP_COLUMNS)
        )
    facts = {"net": shown["system"], "fold": shown["fold"], "tracks": len(ids), "sentence": sentence}
    if not tracks["artist_id"].notna().any():
        return maps[0], maps[1], pd.DataFrame(columns=NEIGHBOUR_COLUMNS), facts
    index = cached_index(cache_root, embeddings, tracks, named.encoder)
    return maps[0], maps[1], nearest_artists(index), facts


def tracks_to_show(
    usable_table: pd.DataFrame, split_table: pd.DataFrame, fold: int, encoded: set[str]
) -> tuple[list[str], str]:
    """Choose the tracks of maps and nearest artists: of artists that the net was not trained on.

    Parameters
    ----------
    usable_table, split_table : pd.DataFrame
        The tracks and their sides.
    fold : int
        Of the net.
    encoded : set of str
        Tracks that have a vector.

    Returns
    -------
    track_ids : list of str
        Those of the sides test and unseen; all if these are of too few artists.
    sentence : str
        Which they are.
    """
    rows = split_table[(split_table["fold"] == fold) & split_table["side"].isin(["test", "unseen"])]
    ids = sorted(set(rows["track_id"]) & encoded)
    artists = usable_table.loc[usable_table["track_id"].isin(ids), "artist_id"].nunique()
    if artists >= LEAST_ARTISTS:
        return ids, f"Shown are the {len(ids):,} test tracks of fold {fold}, which the net was not trained on."
    return sorted(encoded), (
        f"The test tracks of fold {fold} are of {artists} known artists, too few to show, so all {len(encoded):,} "
        "tracks are shown, also those that the net was trained on: these lie closer by artist than new ones would."
    )


def write_artist_report(
    parameters: dict[str, Any],
    corpus_facts: dict[str, Any],
    count_facts: dict[str, int],
    exclusion_table: pd.DataFrame,
    quarantine_table: pd.DataFrame,
    leakage_table: pd.DataFrame,
    artist_set_table: pd.DataFrame,
    artist_set_facts: dict[str, Any],
    artist_nets_manifest: dict[str, Any],
    artist_net_table: pd.DataFrame,
    artist_score_table: pd.DataFrame,
    artist_comparison_table: pd.DataFrame,
    artist_evaluation_facts: dict[str, Any],
    artist_track_map_table: pd.DataFrame,
    genre_track_map_table: pd.DataFrame,
    artist_neighbour_table: pd.DataFrame,
    artist_shown_facts: dict[str, Any],
    evaluation: ArtistEvaluationBlock,
    target: str | None,
    corpus: str,
) -> str:
    """Write the page of the artist-label nets, from saved results only.

    Parameters
    ----------
    parameters : dict
        All parameters of the run.
    corpus_facts, count_facts, artist_set_facts, artist_nets_manifest, artist_evaluation_facts : dict
        Facts of the rooms.
    exclusion_table, quarantine_table, leakage_table, artist_set_table, artist_net_table : pd.DataFrame
        What the reader and the decoder left out, what is shared, the sets, the training.
    artist_score_table, artist_comparison_table : pd.DataFrame
        Scores and differences.
    artist_track_map_table, genre_track_map_table, artist_neighbour_table : pd.DataFrame
        Maps and nearest artists.
    artist_shown_facts : dict
        Which tracks these are of.
    evaluation : ArtistEvaluationBlock
        Level of the intervals.
    target : str or None
        Name of the run's own corpus.
    corpus : str
        Its kind.

    Returns
    -------
    str
        HTML.
    """
    from artist_transfer.reporting.artist_page import render_artist_report

    first = artist_set_table[(artist_set_table["fold"] == artist_set_table["fold"].min())]
    kind = "artist" if (first["kind"] == "artist").any() else "tag"
    maps = {"artist": artist_track_map_table, "genre": genre_track_map_table}
    own = told.own_name(target, corpus, sorted(set(artist_evaluation_facts) - {told.OWN}))
    facts = {own if name == told.OWN else name: each for name, each in artist_evaluation_facts.items()}
    return render_artist_report(
        counts=count_facts,
        quarantine_table=quarantine_table,
        exclusion_table=exclusion_table,
        exclusions=told.exclusions(corpus_facts, artist_set_facts, facts),
        artist_set_table=first[first["kind"] == kind].drop(columns=["fold", "kind"]),
        lists=told.lists(artist_set_facts, facts, own),
        leaks=told.alarms(leakage_table, failed_systems(artist_nets_manifest)),
        history=artist_net_table,
        score_table=told.with_own_name(artist_score_table, target, corpus),
        comparison_table=told.with_own_name(artist_comparison_table, target, corpus),
        neighbours=artist_neighbour_table,
        maps={name: table for name, table in maps.items() if len(table)},
        tracks_shown=artist_shown_facts["sentence"],
        notes=told.notes(artist_set_facts, facts),
        parameters=parameters,
        provenance={key: value for key, value in git_state(Path.cwd()).items() if value is not None}
        | {key: artist_nets_manifest[key] for key in ("device", "threads")},
        level=evaluation.level,
    )
