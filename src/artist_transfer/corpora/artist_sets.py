"""Balanced sets to learn from: as many songs of every artist, and as many songs with tags.

The sets of J. Park, J. Lee, J. Park, J.-W. Ha, J. Nam, "Representation Learning of Music Using Artist Labels",
ISMIR 2018, section 3.1: 20 songs an artist, 15 for training, 3 for validation, 2 for testing, 17/1/2 from 10,000
artists on; the tag-label set has the same numbers of songs, all with one of the top 50 tags.

Artists stand in one drawn order and an artist's songs in another; the set of N artists is the first N, and a song's
side depends on its place among the artist's songs alone. So a smaller set is part of every larger one. Where the
division changes (from 15/3/2 to 17/1/2) the test songs stay; songs 16 and 17, validation until then, are trained
on. Unseen artists come from the other end of the order and are on no side of any set.

Clips of one recording and exact duplicates are one song, of which one track is taken; a song of several artists is
nobody's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from artist_transfer.corpora._units import Unit, draw
from artist_transfer.corpora.official_lists import list_hash
from artist_transfer.corpora.songs import find_songs, songs_by_artist
from artist_transfer.errors import ArtistTransferError

SET_COLUMNS = ("set", "artist_id", "track_id", "position", "side")
SIZES = (500, 1000, 2000, 5000, 10000)
"""The numbers of artists in the paper."""
MANY_ARTISTS = 10_000
"""From this number of artists on one validation song of each is enough."""
FIRST_NAMED = 10
"""How many of the artists with too few songs the facts name."""


def artist_sets(
    track_table: pd.DataFrame,
    *,
    sizes: Sequence[int],
    songs: int = 20,
    division: Sequence[int] | None = None,
    unseen: int = 0,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, object]]:
    """Draw nested sets of artists with as many songs each.

    Parameters
    ----------
    track_table : pd.DataFrame
        Tracks in any order; of usable tracks ``audio_hash`` finds exact duplicates.
    sizes : sequence of int, >= 2
        Numbers of artists.
    songs : int, >= 2
        Songs an artist; artists with fewer take no part, of those with more some songs do not.
    division : (int, int, int), optional
        Songs an artist in training, validation and test; their sum is `songs`. Default 15/3/2, and 17/1/2 for
        sets of `MANY_ARTISTS` or more.
    unseen : int, >= 0
        Further artists that are in no set, for verification and retrieval; they are the same for all sizes.
    seed : int
        Seed of both orders.

    Returns
    -------
    artist_set_table : pd.DataFrame [shape=((sum(sizes) + len(sizes) x unseen) x songs, 5)]
        ``set`` (its size), ``artist_id``, ``track_id``, ``position`` 1…`songs`, ``side`` (train, validation,
        test; unseen for the unseen artists, who are listed in every set), sorted by set, artist and position.
    facts : dict
        ``artists`` (all with a name), ``artists with fewer songs`` (how many, and the ``first`` by name),
        ``tracks without artist``, ``tracks of several artists``, ``tracks beyond one a song``, ``sets`` (of
        each its ``artists``, ``division``, tracks by side and ``sha256``), ``positions that change side``
        (of each set the positions that it trains on and a smaller one validates on).

    Raises
    ------
    ArtistTransferError
        If a parameter is out of range, or there are not enough artists; names the key, what is there and what
        is allowed.
    """
    divisions = _divisions(sizes, songs, division)
    if isinstance(unseen, bool) or unseen < 0:
        raise ArtistTransferError(f"unseen={unseen!r}; allowed: whole numbers from 0 on.")
    table = track_table.sort_values("track_id", ignore_index=True)
    units = find_songs(table)
    of_artist = songs_by_artist(units, seed)
    enough = sorted(
        (artist for artist, own in of_artist.items() if len(own) >= songs),
        key=lambda artist: draw(seed, "artists", artist),
    )
    few = sorted(set(table["artist_id"].dropna()) - set(enough))
    _check_enough(max(divisions), unseen, songs, have=len(enough), few=few)
    ids = table["track_id"].tolist()
    order = [(artist, [ids[unit.rows[0]] for unit in of_artist[artist][:songs]]) for artist in enough]
    sets = _lay_out(order, divisions, unseen)
    shared = [unit for unit in units if len(unit.artists) > 1]
    facts = {
        "seed": seed,
        "artists": int(table["artist_id"].nunique()),
        "artists with fewer songs": {"count": len(few), "first": few[:FIRST_NAMED]},
        "tracks without artist": int(table["artist_id"].isna().sum()),
        "tracks of several artists": sum(unit.size for unit in shared),
        "tracks beyond one a song": sum(unit.size - 1 for unit in units if len(unit.artists) == 1),
    }
    return sets, facts | _facts(sets, divisions, songs, unseen)


def paper_division(size: int) -> tuple[int, int, int]:
    """Return how the paper divides an artist's 20 songs in a set of so many artists.

    Parameters
    ----------
    size : int
        Number of artists.

    Returns
    -------
    (int, int, int)
        Songs for training, validation and test: 15/3/2, and 17/1/2 from `MANY_ARTISTS` on.
    """
    return (17, 1, 2) if size >= MANY_ARTISTS else (15, 3, 2)


def tag_label_set(
    track_table: pd.DataFrame,
    *,
    size: int,
    songs: int = 20,
    division: Sequence[int] | None = None,
    top_tags: int = 50,
    without_artists: Collection[str] = (),
    seed: int,
) -> tuple[pd.DataFrame, dict[str, object]]:
    """Draw as many songs with tags as an artist set has, split into the same sizes.

    Parameters
    ----------
    track_table : pd.DataFrame
        Tracks in any order; ``genres`` are their tags.
    size : int, >= 2
        Number of artists of the artist set whose size it takes: `size` x `songs` tracks.
    songs, division
        As in `artist_sets`. A division may leave songs out: the paper's own has no test songs, (15, 3, 0).
    top_tags : int, >= 1
        How many of the most used tags count; songs without any of them take no part.
    without_artists : collection of str
        Artists whose songs are left out, such as the unseen ones of the artist sets.
    seed : int
        Seed of the draw. Sets of one seed and division are nested.

    Returns
    -------
    tag_set_table : pd.DataFrame [shape=(size x sum(division), 5)]
        Columns `SET_COLUMNS`; ``position`` as in an artist set, ``artist_id`` may be missing.
    facts : dict
        ``tags`` (most used first), ``tags_sha256``, ``songs with tags``, ``songs without``, ``songs of artists
        left out``, ``sets`` as in `artist_sets`.

    Raises
    ------
    ArtistTransferError
        If a parameter is out of range, no track has a tag, or there are not enough songs with tags.
    """
    if isinstance(top_tags, bool) or top_tags < 1:
        raise ArtistTransferError(f"sets.top_tags={top_tags!r}; allowed: whole numbers from 1 on.")
    parts = _division(size, songs, division, exact=False)
    table = track_table.sort_values("track_id", ignore_index=True)
    units = find_songs(table)
    allowed = [unit for unit in units if not unit.artists & set(without_artists)]
    words = [list(own) for own in table["genres"]]
    uses = Counter(word for unit in allowed for row in unit.rows for word in words[row])
    tags = sorted(uses, key=lambda tag: (-uses[tag], tag))[:top_tags]
    wanted = set(tags)
    tagged = [(unit, row) for unit in allowed if (row := _first_with(unit, words, wanted)) is not None]
    tagged.sort(key=lambda pair: draw(seed, "tag songs", pair[0].name))
    count = size * sum(parts)
    if len(tagged) < count:
        raise ArtistTransferError(
            f"sets.sizes={size} x {sum(parts)} songs need {count:,} songs with one of the {top_tags} most used tags;"
            f" found {len(tagged):,} of {len(allowed):,}; allowed: sets.sizes up to {len(tagged) // sum(parts):,}."
        )
    ids, artists = table["track_id"].tolist(), table["artist_id"].tolist()
    rows = [(size, artists[row], ids[row], place % sum(parts) + 1) for place, (_, row) in enumerate(tagged[:count])]
    made = pd.DataFrame(rows, columns=list(SET_COLUMNS[:4]))
    made["side"] = made["position"].map(_side_of(parts))
    made = _finish(made, by=["track_id"])
    facts: dict[str, object] = {
        "seed": seed,
        "tags": tags,
        "tags_sha256": list_hash(tags),
        "songs with tags": len(tagged),
        "songs without": len(allowed) - len(tagged),
        "songs of artists left out": len(units) - len(allowed),
        "sets": {str(size): _set_facts(made, parts)},
    }
    return made, facts


def _divisions(sizes: Sequence[int], songs: int, division: Sequence[int] | None) -> dict[int, tuple[int, int, int]]:
    if not sizes or len(set(sizes)) < len(sizes):
        raise ArtistTransferError(f"sets.sizes={list(sizes)!r}; allowed: one number of artists or more, each once.")
    return {size: _division(size, songs, division, exact=True) for size in sorted(sizes)}


def _division(size: int, songs: int, division: Sequence[int] | None, *, exact: bool) -> tuple[int, int, int]:
    """Return the division of a set, checked; `exact`: all songs are used."""
    for key, value in (("sizes", size), ("songs", songs)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 2:
            raise ArtistTransferError(f"sets.{key}: {value!r}; allowed: whole numbers from 2 on.")
    given = paper_division(size) if division is None else tuple(division)
    whole = all(isinstance(part, int) and not isinstance(part, bool) and part >= 0 for part in given)
    if len(given) != 3 or not whole or given[0] < 1:
        raise ArtistTransferError(
            f"sets.division={list(given)!r}; allowed: three whole numbers (training, validation, test songs of an"
            " artist), the first from 1 on."
        )
    train, validation, test = given
    if sum(given) > songs or (exact and sum(given) != songs):
        what = "the default division is" if division is None else "sets.division is"
        raise ArtistTransferError(
            f"sets.songs={songs}, but {what} {train} + {validation} + {test}; allowed: three numbers whose sum is"
            f" {songs}, such as 6, 1, 1 for 8 songs."
        )
    return train, validation, test


def _first_with(unit: Unit, words: Sequence[Sequence[str]], wanted: set[str]) -> int | None:
    return next((row for row in unit.rows if wanted.intersection(words[row])), None)


def _check_enough(largest: int, unseen: int, songs: int, *, have: int, few: Sequence[str]) -> None:
    if have >= largest + unseen:
        return
    first = f" ({', '.join(few[:FIRST_NAMED])}{', …' if len(few) > FIRST_NAMED else ''})" if few else ""
    most = have - unseen
    also = f" and {unseen} unseen artists need {largest + unseen:,}" if unseen else f" needs {largest:,}"
    allowed = f"sets.sizes up to {most:,}" if most >= 2 else "fewer sets.songs"
    raise ArtistTransferError(
        f"sets.sizes={largest}{also} artists with sets.songs={songs} songs or more; found {have:,}, and {len(few):,}"
        f" with fewer{first}; allowed: {allowed}."
    )


def _side_of(parts: tuple[int, int, int]) -> dict[int, str]:
    names = ["train"] * parts[0] + ["validation"] * parts[1] + ["test"] * parts[2]
    return dict(enumerate(names, start=1))


def _lay_out(
    order: Sequence[tuple[str, list[str]]], divisions: Mapping[int, tuple[int, int, int]], unseen: int
) -> pd.DataFrame:
    """Take the first artists of the order for each set, the last ones as unseen."""
    others = order[len(order) - unseen :]
    parts = []
    for size, division in divisions.items():
        names = _side_of(division)
        for members, sides in ((order[:size], names), (others, dict.fromkeys(names, "unseen"))):
            rows = [
                (size, artist, track, position, sides[position])
                for artist, tracks in members
                for position, track in enumerate(tracks, start=1)
            ]
            parts.append(pd.DataFrame(rows, columns=list(SET_COLUMNS)))
    return _finish(pd.concat([part for part in parts if len(part)]), by=["artist_id", "position"])


def _finish(table: pd.DataFrame, *, by: Sequence[str]) -> pd.DataFrame:
    types = {"set": "int64", "artist_id": "str", "track_id": "str", "position": "int64", "side": "str"}
    return table.astype(types).sort_values(["set", *by], ignore_index=True)


def _facts(
    sets: pd.DataFrame, divisions: Mapping[int, tuple[int, int, int]], songs: int, unseen: int
) -> dict[str, object]:
    changed: dict[str, list[int]] = {}
    sizes = list(divisions)
    for at, size in enumerate(sizes):
        own = _side_of(divisions[size])
        earlier = [_side_of(divisions[smaller]) for smaller in sizes[:at]]
        moved = [k for k, side in own.items() if side == "train" and any(other[k] != "train" for other in earlier)]
        if moved:
            changed[str(size)] = moved
    return {
        "songs": songs,
        "unseen": unseen,
        "sets": {str(size): _set_facts(sets[sets["set"] == size], parts) for size, parts in divisions.items()},
        "positions that change side": changed,
    }


def _set_facts(one: pd.DataFrame, parts: tuple[int, int, int]) -> dict[str, object]:
    sides = one["side"].value_counts()
    rows = zip(one["side"], one["track_id"], strict=True)
    return {
        "artists": int(one.loc[one["side"] != "unseen", "artist_id"].nunique()),
        "division": list(parts),
        "tracks": {side: int(sides.get(side, 0)) for side in ("train", "validation", "test", "unseen")},
        "sha256": list_hash(f"{side}\t{track}" for side, track in rows),
    }
