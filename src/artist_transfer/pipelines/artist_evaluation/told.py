"""What the page of artist-label nets says of a run's facts: counts, lists, alarms, remarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

NAMED = 50  # songs or tags that a note names
OWN = "self"


def own_name(target: str | None, corpus: str, others: Sequence[str]) -> str:
    """Choose what the run's own corpus is called, so that it stands beside what papers print of it.

    Parameters
    ----------
    target : str or None
        Name that `embed` would give the corpus.
    corpus : str
        Its kind.
    others : sequence of str
        Other targets of the run.

    Returns
    -------
    str
        The name, else the kind; ``self`` if another target is called that.
    """
    name = target or corpus
    return OWN if name in others else name


def with_own_name(table: pd.DataFrame, target: str | None, corpus: str) -> pd.DataFrame:
    """Call the run's own corpus by its name in a table of scores or differences.

    Parameters
    ----------
    table : pd.DataFrame
        With a column ``target``; may be empty.
    target : str or None
        As in `own_name`.
    corpus : str
        As in `own_name`.

    Returns
    -------
    pd.DataFrame
        A copy.
    """
    if not len(table):
        return table
    name = own_name(target, corpus, sorted(set(table["target"]) - {OWN}))
    return table.assign(target=table["target"].replace(OWN, name))


def exclusions(
    corpus_facts: Mapping[str, Any], set_facts: Mapping[str, Any], evaluation_facts: Mapping[str, Any]
) -> dict[str, int]:
    """Count what was left out.

    Parameters
    ----------
    corpus_facts, set_facts, evaluation_facts : mapping
        Of the rooms; of the evaluation by target.

    Returns
    -------
    dict of str to int
        In the order to show it.
    """
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


def lists(set_facts: Mapping[str, Any], evaluation_facts: Mapping[str, Any], own: str) -> list[dict[str, object]]:
    """Describe the lists that sets were drawn from and scores are on.

    Parameters
    ----------
    set_facts, evaluation_facts : mapping
        Of the rooms.
    own : str
        What the run's own corpus is called.

    Returns
    -------
    list of dict
        As `artist_views.lists_view` takes it.
    """
    found: list[dict[str, object]] = []
    read = set_facts["list"]["read"]
    if read:
        about = {"list": f"sets of artists from {read['file']}", "tracks": read["songs"], "hash": read["sha256"]}
        found.append({"target": own, **about, "missing": read["not there"]["count"]})
    for target, facts in evaluation_facts.items():
        known = facts["lists"]
        if known:
            found.append(
                {
                    "target": target,
                    "list": known["name"],
                    "published": {True: "yes", False: "no"}.get(known.get("as_published"), "not known"),
                    "tracks": known["entries"],
                    "missing": facts["missing"],
                    "hash": known["sha256"],
                    "split_hash": facts["split_hash"],
                }
            )
    return found


def alarms(leakage_table: pd.DataFrame, failed: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say what training and test share, and what could not be trained.

    Parameters
    ----------
    leakage_table : pd.DataFrame
        Of the split.
    failed : mapping of system to mapping
        ``reason`` of each.

    Returns
    -------
    list of str
        Sentences.
    """
    shared = leakage_table[leakage_table["kind"].isin(["artists", "recordings", "exact duplicates"])]
    found = [
        f"Fold {row.fold}: {row.shared_test} {row.kind} stand both in training and in test "
        f"({row.test_tracks_affected} of {row.test_tracks} test tracks): scores on this corpus are optimistic."
        for row in shared.itertuples()
        if row.shared_test
    ]
    return found + [
        f"{name} could not be trained and is not scored: {each['reason']}." for name, each in failed.items()
    ]


def notes(set_facts: Mapping[str, Any], evaluation_facts: Mapping[str, Any]) -> list[str]:
    """Remark on what was not trained, not scored, or left out by name.

    Parameters
    ----------
    set_facts, evaluation_facts : mapping
        Of the rooms.

    Returns
    -------
    list of str
        Sentences.
    """
    found = [f"No {kind} net: {reason}." for kind, reason in set_facts["skipped"].items()]
    listed = set_facts["list"]
    if listed["read"] and listed["read"]["not there"]["count"]:
        names = _some(listed["read"]["not there"]["names"], "artist_set_facts")
        found.append(f"Of the artist list these songs are not in this corpus: {names}.")
    if listed["not_written"]:
        found.append(f"The sets were not written as an artist list: {listed['not_written']}.")
    for target, facts in evaluation_facts.items():
        if facts.get("moved"):
            found.append(
                f"Target {target}: {facts['moved']:,} tracks are in training and not where the official list has them, "
                "for a duplicate or another clip of the same recording is on another side."
            )
        found += [f"Target {target}, {metric}: {reason}." for metric, reason in facts["skipped"].items()]
        for reason, tracks in facts["named"].items():
            found.append(f"Target {target}, {reason}: {_some(tracks, 'artist_evaluation_facts')}.")
        for what, tags in facts["tags"].items():
            if tags:
                names = _some([f"{tag} ({why})" for tag, why in tags.items()], "artist_evaluation_facts")
                found.append(f"Target {target}, tags, {what}: {names}.")
    return found


def _some(names: Sequence[str], where: str) -> str:
    more = f" and {len(names) - NAMED:,} more, all of them in {where}" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
