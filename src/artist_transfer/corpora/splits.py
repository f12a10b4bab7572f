"""Splits into training, validation and test that never part what belongs together.

``stratified`` (85/15, artists shared) is the setting of the AGF paper (WWW 2018); ``balanced`` that of the
ISMIR 2018 paper (20 songs an artist, 15/3/2, 17/1/2 from 10,000 artists on, and unseen artists). Clips of one
recording and exact duplicates are one unit in every kind, an artist's tracks in ``artist_disjoint``. Every
draw sorts by a hash of seed and track id: the same split on every machine and for every order of rows.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from artist_transfer.corpora._units import Unit, draw, find_units
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

KINDS = ("stratified", "artist_disjoint", "official", "balanced")
SIDES = ("train", "validation", "test", "unseen", "unused")
GENRE_COVER = 0.2
"""How far beyond its share test may grow so that every genre has a test artist, as a share of all tracks."""
_MANY_ARTISTS = 10_000
_OFFICIAL = {"training": "train", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class BalancedParams:
    """Sizes of a balanced split.

    Attributes
    ----------
    artists : int, >= 1
        Artists whose songs are trained on.
    unseen_artists : int, >= 0
        Further artists, all of whose songs are on the side ``unseen``.
    songs : int
        Songs an artist; further songs are unused.
    train, validation, test : int, optional
        How they are divided; their sum is `songs`. Default 15/3/2, and 17/1/2 from 10,000 artists on.
    """

    artists: int
    unseen_artists: int = 0
    songs: int = 20
    train: int | None = None
    validation: int | None = None
    test: int | None = None

    @property
    def division(self) -> tuple[int, int, int]:
        """Songs an artist in training, validation and test."""
        default = (17, 1, 2) if self.artists >= _MANY_ARTISTS else (15, 3, 2)
        given = (self.train, self.validation, self.test)
        train, validation, test = (d if g is None else g for g, d in zip(given, default, strict=True))
        return train, validation, test


def make_split(
    usable_table: pd.DataFrame,
    *,
    kind: str,
    seed: int,
    test_share: float = 0.15,
    folds: int = 1,
    balanced: BalancedParams | None = None,
) -> pd.DataFrame:
    """Give every usable track a side in every fold.

    Parameters
    ----------
    usable_table : pd.DataFrame
        The usable tracks, in any order.
    kind : {"stratified", "artist_disjoint", "official", "balanced"}
        ``stratified``: by ``genre_top``, tracks without genre a stratum of their own. ``artist_disjoint``: no
        artist on two sides. ``official``: as the corpus says. ``balanced``: as many songs of every artist.
    seed : int
        Seed of the draw.
    test_share : float, 0 < test_share < 1
        Share of the tracks in test (stratified, and artist_disjoint with one fold; there a genre of two
        artists or more gets a test artist even if the share grows, up to `GENRE_COVER` beyond it, and a
        genre's only artist stays in training).
    folds : int, >= 1
        With 2 or more (artist_disjoint only) every track is tested in exactly one fold.
    balanced : BalancedParams, optional
        Sizes of the balanced split.

    Returns
    -------
    pd.DataFrame [shape=(folds x n, 3)]
        ``track_id``, ``fold`` 0…folds-1, ``side`` in `SIDES`, sorted by fold and track id.

    Raises
    ------
    ArtistTransferError
        If a parameter is out of range or the corpus too small; names the key, what was found and what is
        allowed.
    """
    _check(kind, test_share=test_share, folds=folds, balanced=balanced)
    if usable_table.empty:
        raise ArtistTransferError(f"split={kind} needs usable tracks; found 0 (the quarantine table says why).")
    table = usable_table.sort_values("track_id", ignore_index=True)
    if kind == "artist_disjoint":
        tested = _artist_folds(find_units(table, by_artist=True), seed, test_share=test_share, folds=folds)
        sides = [_sides(len(table), {"test": test}, rest="train") for test in tested]
    elif kind == "stratified":
        test = _stratified(find_units(table, by_artist=False), seed, test_share=test_share)
        sides = [_sides(len(table), {"test": test}, rest="train")]
    elif kind == "official":
        sides = [_official(table)]
    else:
        sides = [_balanced(find_units(table, by_artist=False), len(table), seed, params=balanced)]
    return pd.concat(
        [pd.DataFrame({"track_id": table["track_id"], "fold": k, "side": s}) for k, s in enumerate(sides)],
        ignore_index=True,
    ).astype({"track_id": "str", "fold": "int64", "side": "str"})


def official_sides(table: pd.DataFrame, *, name: str) -> list[str]:
    """Give each track the side that the corpus says; what the corpus has on several sides is trained on.

    Parameters
    ----------
    table : pd.DataFrame
        Tracks with ``official_split``.
    name : str
        What a warning calls the split.

    Returns
    -------
    list of str
        A side of `SIDES` for each row; ``unused`` where the corpus says none. A warning says how many tracks moved to
        training, for a duplicate or another clip of the same recording is on another side.
    """
    given = [_OFFICIAL.get(value, "unused") for value in table["official_split"].tolist()]
    sides = list(given)
    for unit in find_units(table, by_artist=False):
        if len({given[row] for row in unit.rows}) > 1:
            for row in unit.rows:
                sides[row] = "train"
    moved = sum(old != new for old, new in zip(given, sides, strict=True))
    if moved:
        warnings.warn(
            f"{name}: {moved} tracks moved to training, because a duplicate or another clip of the"
            " same recording is on another side.",
            ArtistTransferWarning,
            stacklevel=4,
        )
    return sides


def split_hash(split_table: pd.DataFrame) -> str:
    """Hash a split, so that two machines can tell that they have the same.

    Parameters
    ----------
    split_table : pd.DataFrame
        ``track_id``, ``fold``, ``side``, in any order.

    Returns
    -------
    str
        64 hexadecimal digits: SHA-256 over one JSON line ``[fold, track_id, side]`` a row, sorted.
    """
    cells = zip(split_table["fold"], split_table["track_id"], split_table["side"], strict=True)
    rows = sorted((int(fold), str(track), str(side)) for fold, track, side in cells)
    return hashlib.sha256("".join(json.dumps(row) + "\n" for row in rows).encode()).hexdigest()


def _check(kind: str, *, test_share: float, folds: int, balanced: BalancedParams | None) -> None:
    if kind not in KINDS:
        raise ArtistTransferError(f"split={kind!r} is unknown; allowed: {', '.join(KINDS)}.")
    if not 0 < test_share < 1:
        raise ArtistTransferError(f"splitting.test_share={test_share!r}; allowed: above 0 and below 1.")
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 1:
        raise ArtistTransferError(f"folds={folds!r}; allowed: whole numbers from 1 on.")
    if folds > 1 and kind != "artist_disjoint":
        raise ArtistTransferError(f"folds={folds} needs split=artist_disjoint; found split={kind}.")
    if kind == "balanced":
        if balanced is None:
            raise ArtistTransferError(
                "split=balanced needs the number of artists (splitting.balanced.artists); found none."
            )
        _check_balanced(balanced)


def _check_balanced(params: BalancedParams) -> None:
    train, validation, test = params.division
    least = {"artists": 1, "unseen_artists": 0, "songs": 2, "train": 1, "validation": 0, "test": 1}
    values = {"artists": params.artists, "unseen_artists": params.unseen_artists, "songs": params.songs}
    for name, value in (values | {"train": train, "validation": validation, "test": test}).items():
        if value < least[name]:
            raise ArtistTransferError(
                f"splitting.balanced.{name}={value!r}; allowed: whole numbers from {least[name]} on."
            )
    if train + validation + test != params.songs:
        raise ArtistTransferError(
            f"splitting.balanced.songs={params.songs}, but splitting.balanced.division is {train} +"
            f" {validation} + {test}; allowed: three numbers whose sum is the number of songs."
        )


def _sides(count: int, units: Mapping[str, Iterable[Unit]], *, rest: str) -> list[str]:
    sides = [rest] * count
    for side, members in units.items():
        for unit in members:
            for row in unit.rows:
                sides[row] = side
    return sides


def _size(units: Iterable[Unit]) -> int:
    return sum(unit.size for unit in units)


def _by_genre(units: Sequence[Unit], seed: int, purpose: str) -> dict[str, list[Unit]]:
    """Group units by genre (sorted by name), each group in drawn order."""
    strata: dict[str, list[Unit]] = defaultdict(list)
    for unit in sorted(units, key=lambda unit: draw(seed, purpose, unit.name)):
        strata[unit.genre].append(unit)
    return dict(sorted(strata.items()))


def _fill(units: Sequence[Unit], quota: int, *, taken: Sequence[Unit] = ()) -> list[Unit]:
    """Take units in order while that brings their size nearer to the quota; never all of them.

    The result misses the quota by at most half the largest unit, if more than one unit is left.
    """
    chosen, names = list(taken), {unit.name for unit in taken}
    spent, total = _size(taken), _size(units)
    for unit in units:
        nearer = 2 * (quota - spent) > unit.size
        if nearer and unit.name not in names and spent + unit.size < total:
            chosen.append(unit)
            spent += unit.size
    return chosen


def _quotas(sizes: Mapping[str, int], share: float, seed: int) -> dict[str, int]:
    """Share out round(share x all) tracks by largest remainder, leaving each stratum one track of its own."""
    exact = {name: share * size for name, size in sizes.items()}
    quotas = {name: math.floor(value) for name, value in exact.items()}
    missing = math.floor(share * sum(sizes.values()) + 0.5) - sum(quotas.values())
    order = sorted(sizes, key=lambda name: (quotas[name] - exact[name], draw(seed, "quota", name)))
    for name in [name for name in order if quotas[name] + 1 < sizes[name]][: max(0, missing)]:
        quotas[name] += 1
    return quotas


def _both_sides(units: Sequence[Unit], test: list[Unit], seed: int) -> list[Unit]:
    """Put one small unit into test if nothing is there; if possible no genre's only one, and of an artist."""
    genres = Counter(unit.genre for unit in units)

    def cost(unit: Unit) -> tuple[bool, bool, int, str]:
        return genres[unit.genre] == 1, not unit.artists, unit.size, draw(seed, "only", unit.name)

    return test or [min(units, key=cost)]


def _stratified(units: Sequence[Unit], seed: int, *, test_share: float) -> list[Unit]:
    if len(units) < 2:
        raise ArtistTransferError(
            f"split=stratified needs at least 2 usable tracks that are neither one recording nor duplicates;"
            f" found {len(units)}."
        )
    strata = _by_genre(units, seed, "stratified")
    quotas = _quotas({genre: _size(members) for genre, members in strata.items()}, test_share, seed)
    test = [unit for genre, members in strata.items() for unit in _fill(members, quotas[genre])]
    return _both_sides(units, test, seed)


def _artist_folds(units: Sequence[Unit], seed: int, *, test_share: float, folds: int) -> list[list[Unit]]:
    """Return the test units of each fold."""
    artists = sum(1 for unit in units if unit.artists)
    if artists < max(2, folds):
        need = f"folds={folds}" if folds > 1 else "split=artist_disjoint"
        raise ArtistTransferError(
            f"{need} needs at least {max(2, folds)} artists with usable audio (artists who share a recording"
            f" or a duplicate count as one); found {artists}."
        )
    if folds > 1:
        return _artists_once_each(units, seed, folds)
    return [_both_sides(units, _artist_test(units, seed, test_share), seed)]


def _artist_test(units: Sequence[Unit], seed: int, share: float) -> list[Unit]:
    """Take one artist of each genre that has two, the largest genres first, then fill up to the share."""
    strata = _by_genre(units, seed, "artist_disjoint")
    quotas = _quotas({genre: _size(members) for genre, members in strata.items()}, share, seed)
    most = (share + GENRE_COVER) * _size(units)
    first: dict[str, list[Unit]] = {genre: [] for genre in strata}
    spent = 0
    for genre in sorted(strata, key=lambda genre: (-_size(strata[genre]), genre)):
        middling = max(quotas[genre], statistics.median_high(unit.size for unit in strata[genre]))
        fitting = [unit for unit in strata[genre] if unit.artists and unit.size <= middling]
        if genre and len(strata[genre]) > 1 and fitting and spent + fitting[0].size <= most:
            first[genre] = fitting[:1]
            spent += fitting[0].size
    return _fill_up(strata, first, quotas)


def _fill_up(
    strata: Mapping[str, Sequence[Unit]], first: Mapping[str, Sequence[Unit]], quotas: Mapping[str, int]
) -> list[Unit]:
    """Fill each genre's quota, taking off elsewhere what small genres had to give beyond theirs."""
    beyond = sum(max(0, _size(first[genre]) - quotas[genre]) for genre in strata)
    room = {genre: max(0, quotas[genre] - _size(first[genre])) for genre in strata}
    keep = max(0.0, 1 - beyond / sum(room.values())) if sum(room.values()) else 0.0
    test: list[Unit] = []
    owed = 0.0  # what rounding to whole artists left open in the genres before
    for genre, members in strata.items():
        owed += keep * room[genre]
        taken = _fill(members, _size(first[genre]) + math.floor(owed + 0.5), taken=first[genre])
        owed -= _size(taken) - _size(first[genre])
        test += taken
    return test


def _artists_once_each(units: Sequence[Unit], seed: int, folds: int) -> list[list[Unit]]:
    """Give units, large ones first, to the fold with the fewest tracks of their genre, then of all."""
    tested: list[list[Unit]] = [[] for _ in range(folds)]
    of_genre: list[dict[str, int]] = [defaultdict(int) for _ in range(folds)]
    total, artists = [0] * folds, [0] * folds

    def turn(
        unit: Unit,
    ) -> tuple[bool, int, str]:  # sizes by powers of two: balanced, and not the same every seed
        return not unit.artists, -unit.size.bit_length(), draw(seed, "folds", unit.name)

    for unit in sorted(units, key=turn):
        empty = [k for k in range(folds) if artists[k] == 0] if unit.artists else []
        fold = min(empty or range(folds), key=lambda k: (of_genre[k][unit.genre], total[k], k))
        tested[fold].append(unit)
        of_genre[fold][unit.genre] += unit.size
        total[fold] += unit.size
        artists[fold] += bool(unit.artists)
    return tested


def _official(table: pd.DataFrame) -> list[str]:
    if table["official_split"].isna().all():
        raise ArtistTransferError(
            "split=official needs the corpus's own split (column official_split: training, validation, test);"
            " this corpus has none. Allowed: stratified, artist_disjoint, balanced."
        )
    sides = official_sides(table, name="split=official")
    for side in ("train", "test"):
        if side not in sides:
            raise ArtistTransferError(f"split=official: no usable track on the side {side!r}; at least 1 is needed.")
    return sides


def _balanced(units: Sequence[Unit], count: int, seed: int, *, params: BalancedParams | None) -> list[str]:
    if params is None:
        raise ArtistTransferError("split=balanced needs splitting.balanced.artists.")
    songs: dict[str, list[Unit]] = defaultdict(list)
    for unit in sorted(units, key=lambda unit: draw(seed, "songs", unit.name)):
        if len(unit.artists) == 1:  # a duplicate under two artists is nobody's song
            songs[next(iter(unit.artists))].append(unit)
    eligible = [artist for artist, own in songs.items() if len(own) >= params.songs]
    wanted = params.artists + params.unseen_artists
    if len(eligible) < wanted:
        raise ArtistTransferError(
            f"splitting.balanced.artists={params.artists} + unseen_artists={params.unseen_artists} need"
            f" {wanted} artists with splitting.balanced.songs={params.songs} usable songs or more; found"
            f" {len(eligible)}."
        )
    eligible.sort(key=lambda artist: draw(seed, "artists", artist))
    sides: dict[str, list[Unit]] = {side: [] for side in SIDES}
    train, validation, _ = params.division
    for artist in eligible[: params.artists]:
        sides["train"] += songs[artist][:train]
        sides["validation"] += songs[artist][train : train + validation]
        sides["test"] += songs[artist][train + validation : params.songs]
    for artist in eligible[params.artists : wanted]:
        sides["unseen"] += songs[artist][: params.songs]
    return _sides(count, sides, rest="unused")
