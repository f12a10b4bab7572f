"""Nodes that show what artist-label nets learned: maps, nearest artists, the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.pipelines.artist_evaluation.params import ArtistEvaluationBlock
from artist_transfer.pipelines.artist_learning.encoders import NamedNet, embed
from artist_transfer.pipelines.artist_learning.params import EncodingBlock
from artist_transfer.provenance import git_state

if TYPE_CHECKING:
    from collections.abc import Mapping

MAP_COLUMNS = ["track_id", "artist_id", "artist", "title", "genre", "x", "y"]
NAMED = 50  # songs that a note names
NEIGHBOUR_COLUMNS = ["artist_id", "artist", "rank", "neighbour_id", "neighbour", "score"]


def show_tracks(
    artist_nets_manifest: dict[str, Any],
    usable_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    encoding: EncodingBlock,
    device: str,
    seed: int,
    cache_root: str,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Lay out the tracks by the last net, and find the nearest artists of some.

    Parameters
    ----------
    artist_nets_manifest : dict
        The nets; a Siamese one if there is one, of the largest set and the first fold, is shown.
    usable_table : pd.DataFrame
        The tracks.
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
    """
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
    maps = []
    for column in ("artist_id", "genre_top"):
        known = usable_table[usable_table["track_id"].isin(embeddings.track_ids)][column].notna().any()
        maps.append(
            track_map(embeddings, usable_table, label=column, seed=seed) if known else pd.DataFrame(columns=MAP_COLUMNS)
        )
    if not usable_table["artist_id"].notna().any():
        return maps[0], maps[1], pd.DataFrame(columns=NEIGHBOUR_COLUMNS)
    index = cached_index(cache_root, embeddings, usable_table, named.encoder)
    return maps[0], maps[1], nearest_artists(index)


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
    evaluation: ArtistEvaluationBlock,
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
    evaluation : ArtistEvaluationBlock
        Level of the intervals.

    Returns
    -------
    str
        HTML.
    """
    from artist_transfer.reporting.artist_page import render_artist_report

    first = artist_set_table[(artist_set_table["fold"] == artist_set_table["fold"].min())]
    kind = "artist" if (first["kind"] == "artist").any() else "tag"
    maps = {"artist": artist_track_map_table, "genre": genre_track_map_table}
    return render_artist_report(
        counts=count_facts,
        quarantine_table=quarantine_table,
        exclusion_table=exclusion_table,
        exclusions=_exclusions(corpus_facts, artist_set_facts, artist_evaluation_facts),
        artist_set_table=first[first["kind"] == kind].drop(columns=["fold", "kind"]),
        lists=_lists(corpus_facts, artist_set_facts, artist_evaluation_facts),
        leaks=_leaks(leakage_table),
        history=artist_net_table,
        score_table=artist_score_table,
        comparison_table=artist_comparison_table,
        neighbours=artist_neighbour_table,
        maps={name: table for name, table in maps.items() if len(table)},
        notes=_notes(artist_set_facts, artist_evaluation_facts),
        parameters=parameters,
        provenance={key: value for key, value in git_state(Path.cwd()).items() if value is not None}
        | {key: artist_nets_manifest[key] for key in ("device", "threads")},
        level=evaluation.level,
    )


def _exclusions(
    corpus_facts: Mapping[str, Any], set_facts: Mapping[str, Any], evaluation_facts: Mapping[str, Any]
) -> dict[str, int]:
    found = {f"the reader found: {what}": int(count) for what, count in corpus_facts["notes"].items()}
    for fold, facts in set_facts["folds"].items():
        if "artist" in facts:
            few = facts["artist"]["artists with fewer songs"]["count"]
            found[f"fold {fold}: training artists with too few songs"] = int(few)
    read = set_facts["list"]["read"]
    if read:
        found["songs of the artist list that are not in this corpus"] = int(read["not there"]["count"])
    for target, facts in evaluation_facts.items():
        found |= {f"{target}: {what}": int(count) for what, count in facts["left_out"].items()}
    return found


def _lists(
    corpus_facts: Mapping[str, Any], set_facts: Mapping[str, Any], evaluation_facts: Mapping[str, Any]
) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    known = corpus_facts.get("lists")
    if known:
        found.append({"target": "self", "list": known["name"], "tracks": known["entries"], "hash": known["sha256"]})
    read = set_facts["list"]["read"]
    if read:
        about = {"list": f"sets of artists from {read['file']}", "tracks": read["songs"], "hash": read["sha256"]}
        found.append({"target": "self", **about})
    for target, facts in evaluation_facts.items():
        if facts["list_hash"]:
            found.append(
                {"target": target, "list": "official split", "tracks": facts["tracks"], "hash": facts["list_hash"]}
            )
    return found


def _leaks(leakage_table: pd.DataFrame) -> list[str]:
    shared = leakage_table[leakage_table["kind"].isin(["artists", "recordings", "exact duplicates"])]
    return [
        f"Fold {row.fold}: {row.shared_test} {row.kind} stand both in training and in test "
        f"({row.test_tracks_affected} of {row.test_tracks} test tracks): scores on this corpus are optimistic."
        for row in shared.itertuples()
        if row.shared_test
    ]


def _notes(set_facts: Mapping[str, Any], evaluation_facts: Mapping[str, Any]) -> list[str]:
    notes = [f"No {kind} net: {reason}." for kind, reason in set_facts["skipped"].items()]
    listed = set_facts["list"]
    if listed["read"] and listed["read"]["not there"]["count"]:
        names = listed["read"]["not there"]["names"]
        more = f" and {len(names) - NAMED:,} more, all of them in artist_set_facts" if len(names) > NAMED else ""
        notes.append(f"Of the artist list these songs are not in this corpus: {', '.join(names[:NAMED])}{more}.")
    if listed["not_written"]:
        notes.append(f"The sets were not written as an artist list: {listed['not_written']}.")
    for target, facts in evaluation_facts.items():
        notes += [f"Target {target}, {metric}: {reason}." for metric, reason in facts["skipped"].items()]
    return notes
