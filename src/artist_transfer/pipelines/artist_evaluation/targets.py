"""Corpora that encoders are evaluated on: the run's own, and those that were embedded before."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from artist_transfer.artifacts import atomic_path, commit_folder, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError

log = logging.getLogger(__name__)

TABLE, FACTS = "usable_table.parquet", "target.json"


@dataclass(frozen=True)
class Target:
    """A corpus that encoders are evaluated on.

    Attributes
    ----------
    name : str
        What it is called in the tables.
    usable_table : pd.DataFrame
        Its tracks.
    mel_manifest : dict
        Their spectrograms.
    split_table : pd.DataFrame
        Sides in every fold.
    own : bool
        Whether it is the corpus that the nets were trained on, so that a net belongs to one fold of it.
    facts : dict
        What is known of the corpus: ``lists`` (``name``, ``sha256``, ``as_published``, ``entries`` of its official
        lists), ``notes`` of its reader, ``left_out`` by the reader and ``quarantined`` as unusable, all if known.
    official : bool
        Whether the split is that of the official lists.
    """

    name: str
    usable_table: pd.DataFrame
    mel_manifest: dict[str, Any]
    split_table: pd.DataFrame
    own: bool
    facts: dict[str, Any] = field(default_factory=dict)
    official: bool = False

    @property
    def lists(self) -> dict[str, Any] | None:
        """Facts of the official lists, if the split is theirs."""
        return self.facts.get("lists") if self.official else None

    @property
    def listed(self) -> int | None:
        """How many tracks the official lists have."""
        return None if self.lists is None else int(self.lists["entries"])

    @property
    def missing(self) -> int | None:
        """How many tracks of the official lists are not scored: not there, or not usable."""
        if self.listed is None:
            return None
        return self.listed - int(self.usable_table["official_split"].notna().sum())

    @property
    def moved(self) -> int:
        """How many tracks are in training and not where the official lists have them, lest a song be on two sides."""
        if not self.official:
            return 0
        trained = set(self.split_table.loc[self.split_table["side"] == "train", "track_id"])
        elsewhere = self.usable_table["official_split"] != "training"
        return len(trained & set(self.usable_table.loc[elsewhere, "track_id"]))

    @property
    def list_facts(self) -> dict[str, Any]:
        """What the scores say of lists: hashes of the official ones and of the sides of the usable tracks, numbers."""
        from artist_transfer.corpora.splits import split_hash

        return {
            "list_hash": None if self.lists is None else self.lists["sha256"],
            "split_hash": split_hash(self.split_table),
            "listed": self.listed,
            "missing": self.missing,
        }

    def sides(self, fold: int) -> dict[str, list[str]]:
        """Return the tracks of each side of a fold."""
        rows = self.split_table[self.split_table["fold"] == fold]
        found = {side: sorted(tracks["track_id"]) for side, tracks in rows.groupby("side")}
        return {side: found.get(side, []) for side in ("train", "validation", "test", "unseen")}

    @property
    def folds(self) -> list[int]:
        """Folds of the split."""
        return sorted(int(fold) for fold in self.split_table["fold"].unique())

    def tracks(self) -> pd.DataFrame:
        """Return what scores resample by."""
        return self.usable_table[["track_id", "artist_id", "recording_id"]]

    def labels(self, column: str) -> dict[str, str | None]:
        """Look up a column by track."""
        pairs = zip(self.usable_table["track_id"], self.usable_table[column])
        return {str(track): None if pd.isna(value) else str(value) for track, value in pairs}


def save_target(
    cache_root: str, name: str, usable_table: pd.DataFrame, mel_manifest: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """Remember a corpus by its name.

    Parameters
    ----------
    cache_root : str
        Root of the cache; it goes into ``targets/<name>``.
    name : str
        Letters, digits, _ and -.
    usable_table : pd.DataFrame
        Its tracks.
    mel_manifest : mapping
        Their spectrograms of the ismir front end.
    facts : mapping
        Corpus and root, its official lists, the reader's notes, how many tracks were left out or quarantined.

    Raises
    ------
    ArtistTransferError
        If the name is none.
    """
    if not re.fullmatch(r"[\w-]+", name) or name == "self":
        raise ArtistTransferError(f"target={name!r}: allowed are letters, digits, _ and -, and not self")
    folder = Path(cache_root) / "targets" / name
    folder.mkdir(parents=True, exist_ok=True)
    _warn_of_other_list(folder, name, facts)
    with atomic_path(folder / TABLE) as path:
        usable_table.to_parquet(path)
    write_json(folder / FACTS, {"mel_manifest": dict(mel_manifest), "facts": dict(facts)})
    commit_folder(folder, files=[TABLE, FACTS], details={"name": name, "tracks": len(usable_table)})


def _warn_of_other_list(folder: Path, name: str, facts: Mapping[str, Any]) -> None:
    if open_folder(folder) is None:
        return
    before, now = ((each.get("lists") or {}).get("sha256") for each in (read_json(folder / FACTS)["facts"], facts))
    if before != now:
        log.warning(
            "target=%s was embedded with %s and is now replaced by one with %s: scores before and after are of "
            "different tracks or labels and cannot be compared. Another name would keep both",
            name,
            *(f"the list {digest[:12]}…" if digest else "no official list" for digest in (before, now)),
        )


def open_targets(
    names: tuple[str, ...],
    *,
    cache_root: str,
    own: tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]] | None,
    folds: int,
    seed: int,
    own_facts: Mapping[str, Any] | None = None,
    own_official: bool = False,
    key: str = "artist_evaluation.targets",
) -> Iterator[Target]:
    """Open targets by name.

    Parameters
    ----------
    names : tuple of str
        ``self`` is the run's own corpus.
    cache_root : str
        Root of the cache.
    own : (usable_table, split_table, mel_manifest) or None
        The run's own corpus.
    folds : int
        Folds by artist of a target without a split of its own.
    seed : int
        Of these folds.
    own_facts : mapping, optional
        Facts of the run's own corpus, as `Target.facts` has them.
    own_official : bool
        Whether its split is the official one.
    key : str
        Parameter that names the targets, for errors.

    Yields
    ------
    Target
        In order.

    Raises
    ------
    ArtistTransferError
        If one has not been embedded yet.
    """
    for name in names:
        if name == "self" and own is not None:
            usable, split, manifest = own
            yield Target("self", usable, manifest, split, True, dict(own_facts or {}), own_official)
            continue
        folder = Path(cache_root) / "targets" / name
        if open_folder(folder) is None:
            known = sorted(path.parent.name for path in folder.parent.glob("*/manifest.json"))
            raise ArtistTransferError(
                f"{key}: {name!r} is not there. Allowed: self"
                f"{', ' if known else ''}{', '.join(known)}; `kedro run --pipeline=embed --env=… --params "
                f"target={name}` prepares another corpus under that name"
            )
        usable = pd.read_parquet(folder / TABLE)
        split, official = own_split(usable, folds=folds, seed=seed, name=name)
        told = read_json(folder / FACTS)
        yield Target(name, usable, told["mel_manifest"], split, False, told["facts"], official)


def own_split(usable_table: pd.DataFrame, *, folds: int, seed: int, name: str = "other") -> tuple[pd.DataFrame, bool]:
    """Split a target: by its official list, else in folds by artist, else by genre.

    Parameters
    ----------
    usable_table : pd.DataFrame
        Its tracks.
    folds : int
        Folds by artist.
    seed : int
        Of the draw.
    name : str
        What a warning calls the target.

    Returns
    -------
    split_table : pd.DataFrame
        Sides. What the official list has on several sides (duplicates, clips of one recording) is in training.
    official : bool
        Whether the official list decided.
    """
    from artist_transfer.corpora.splits import make_split, official_sides

    if usable_table["official_split"].notna().any():
        sides = official_sides(usable_table, name=f"target {name}, official split")
        table = pd.DataFrame({"track_id": usable_table["track_id"], "fold": 0, "side": sides})
        return table, True
    n_artists = usable_table["artist_id"].nunique()
    if n_artists >= folds:
        return make_split(usable_table, kind="artist_disjoint", seed=seed, folds=folds), False
    return make_split(usable_table, kind="stratified", seed=seed, test_share=0.25), False
