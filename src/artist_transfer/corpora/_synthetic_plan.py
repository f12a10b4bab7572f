"""What the embedded corpus holds: sizes, labels, planted defects, and the tables that describe it.

Ids do not depend on the size of the corpus: track = 2 + t + 100 g + 1000 a, artist = 1 + g + 10 a,
album = 10 artist + 1 + (t mod 2), for track t of artist a of genre g, all counted from 0. So each defect of
`DEFECTS` has the same track id in every corpus.

Columns of the tables: M. Defferrard, K. Benzi, P. Vandergheynst, X. Bresson, "FMA: A Dataset For Music
Analysis", ISMIR 2017, https://github.com/mdeff/fma.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from artist_transfer.corpora._synthetic_styles import GENRES, artist_style, subgenre_ids
from artist_transfer.errors import ArtistTransferError

Place = tuple[int, int, int]
"""Genre, artist within the genre, track within the artist; from 0."""

DEFECTS: dict[str, Place] = {
    "truncated": (0, 0, 1),
    "empty": (1, 0, 1),
    "unreadable": (0, 1, 1),
    "duplicate_same_artist": (1, 1, 1),
    "duplicate_other_artist": (0, 2, 0),
    "missing_genre": (1, 2, 1),
    "missing_artist": (0, 2, 1),
    "missing_album": (1, 2, 0),
}
"""Where each defect is planted."""

DUPLICATES: dict[str, Place] = {"duplicate_same_artist": (1, 1, 0), "duplicate_other_artist": (0, 1, 0)}
"""Where the original of a duplicate stands: another album, or another artist of the genre."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "album": ("comments", "date_created", "date_released", "engineer", "favorites", "id", "information",
        "listens", "producer", "tags", "title", "tracks", "type"),
    "artist": ("active_year_begin", "active_year_end", "associated_labels", "bio", "comments",
        "date_created", "favorites", "id", "latitude", "location", "longitude", "members", "name",
        "related_projects", "tags", "website", "wikipedia_page"),
    "set": ("split", "subset"),
    "track": ("bit_rate", "comments", "composer", "date_created", "date_recorded", "duration",
        "favorites", "genre_top", "genres", "genres_all", "information", "interest", "language_code",
        "license", "listens", "lyricist", "number", "publisher", "tags", "title"),
}  # fmt: skip
"""Columns of FMA's tracks.csv."""

_LABELS, _SPLIT, _NUMBERS = 201, 202, 203  # streams of random numbers
_FIRST = ("Amber", "Brittle", "Copper", "Distant", "Évident", "Feral", "Glass", "Hollow", "Jørn", "Kestrel")
_SECOND = ("Harbour", "Engine", "Orchard", "Señal", "Meridian", "Lantern", "Żuraw", "Quarry", "Tide")
_ODD_TITLES: dict[Place, str] = {
    (0, 0, 0): 'Sunday, "Again"',
    (1, 0, 0): "Élan vital – čtvrť",
    (0, 1, 0): "雨の夜",
    (1, 1, 0): "100% 'true'; [live, take 2]",
}


@dataclass(frozen=True)
class SyntheticParams:
    """Size and difficulty of the corpus; the default is 240 clips of 40 artists, 32 minutes of sound.

    The spreads are standard deviations in the unit cube of styles: with the default ones, MFCC statistics and
    logistic regression reach a macro F1 of about 0.6 on artists that were not trained on.
    """

    seed: int = 0
    genres: int = 5
    artists_per_genre: int = 8
    tracks_per_artist: int = 6
    seconds: float = 8.0
    sample_rate: int = 44100
    artist_spread: float = 0.11
    track_spread: float = 0.035
    wrong_label_share: float = 0.06
    defects: bool = True


_RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "genres": (2, len(GENRES)),
    "artists_per_genre": (3, 999),
    "tracks_per_artist": (2, 90),
    "seconds": (2.0, 30.0),
    "artist_spread": (0.0, 1.0),
    "track_spread": (0.0, 1.0),
    "wrong_label_share": (0.0, 0.5),
}
_RATES = (22050, 24000, 32000, 44100, 48000)


@dataclass(frozen=True)
class TrackPlan:
    """One row of tracks.csv with what is true of it."""

    place: Place
    label: int  # genre that the metadata claims
    subgenres: tuple[int, ...]
    split: str
    defect: str

    @property
    def number(self) -> int:
        """Track id."""
        return _number(self.place)

    @property
    def artist(self) -> int:
        """Artist id."""
        return 1 + self.place[0] + 10 * self.place[1]

    @property
    def album(self) -> int:
        """Album id."""
        return 10 * self.artist + 1 + self.place[2] % 2

    @property
    def source(self) -> Place:
        """Whose sound the file holds."""
        return DUPLICATES.get(self.defect, self.place)

    @property
    def file(self) -> str:
        """Path of the mp3 in the corpus."""
        return f"fma_small/{self.number // 1000:03d}/{self.number:06d}.mp3"

    def genre_top(self) -> str:
        """Return the title of the top genre, empty if it is missing."""
        return "" if self.defect == "missing_genre" else GENRES[self.label].title

    def genres(self) -> list[int]:
        """Return the ids that the artist gave."""
        rival = [GENRES[_rival(self.label)].genre_id] if self.defect == "missing_genre" else []
        return [*self.subgenres, *rival]

    def genres_all(self) -> list[int]:
        """Return these ids with those of their parents."""
        return sorted({*self.genres(), *(number // 10 for number in self.genres() if number > 10)})


def _rival(label: int) -> int:
    return 0 if label else 1  # a second root is why FMA leaves genre_top empty


def _number(place: Place) -> int:
    return 2 + place[2] + 100 * place[0] + 1000 * place[1]


FLOATS = {"seconds", "artist_spread", "track_spread", "wrong_label_share"}


def check_params(params: SyntheticParams) -> None:
    """Refuse parameters that no corpus can be made of.

    Parameters
    ----------
    params : SyntheticParams
        Size and difficulty.

    Raises
    ------
    ArtistTransferError
        Names the key, ``synthetic.<key>``, what was found and what is allowed.
    """
    for key, (low, high) in _RANGES.items():
        value = getattr(params, key)
        kinds = (int, float) if key in FLOATS else (int,)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            kind = "a number" if key in FLOATS else "a whole number"
            raise ArtistTransferError(f"synthetic.{key}={value!r}: must be {kind} from {low} to {high}.")
    if isinstance(params.sample_rate, bool) or params.sample_rate not in _RATES:
        allowed = ", ".join(map(str, _RATES))
        raise ArtistTransferError(f"synthetic.sample_rate={params.sample_rate!r}: must be one of {allowed} (Hz).")
    if not isinstance(params.defects, bool):
        raise ArtistTransferError(f"synthetic.defects={params.defects!r}: must be true or false.")


def plan(params: SyntheticParams) -> list[TrackPlan]:
    """Draw what the corpus holds: labels, wrong ones included, subgenres, sides and defects.

    Parameters
    ----------
    params : SyntheticParams
        Size and difficulty.

    Returns
    -------
    list of TrackPlan
        Sorted by track id.
    """
    wrong = _wrong_albums(params)
    defects = {place: name for name, place in DEFECTS.items()} if params.defects else {}
    tracks = []
    for genre in range(params.genres):
        sides = _sides(params, genre)
        for artist in range(params.artists_per_genre):
            albums = [_album_label(params, genre, artist, album, wrong) for album in range(2)]
            for number in range(params.tracks_per_artist):
                place = (genre, artist, number)
                label, subgenres = albums[number % 2]
                tracks.append(TrackPlan(place, label, subgenres, sides[artist], defects.get(place, "")))
    return sorted(tracks, key=lambda track: track.number)


def _wrong_albums(params: SyntheticParams) -> set[tuple[int, int, int]]:
    sizes = (params.genres, params.artists_per_genre, 2)
    albums = list(np.ndindex(*sizes))
    count = round(params.wrong_label_share * len(albums))
    if params.wrong_label_share > 0:
        count = max(1, count)
    order = np.random.default_rng([params.seed, _LABELS]).permutation(len(albums))
    return {albums[index] for index in order[:count].tolist()}


def _album_label(
    params: SyntheticParams, genre: int, artist: int, album: int, wrong: set[tuple[int, int, int]]
) -> tuple[int, tuple[int, ...]]:
    rng = np.random.default_rng([params.seed, _LABELS, genre, artist, album])
    if (genre, artist, album) in wrong:
        label = (genre + int(rng.integers(1, params.genres))) % params.genres
        return label, (int(rng.choice(subgenre_ids(label))),)
    own = artist_style(seed=params.seed, genre=genre, artist=artist, spread=params.artist_spread).subgenres
    return genre, own if rng.random() < 0.7 else (int(rng.choice(own)),)


def _sides(params: SyntheticParams, genre: int) -> list[str]:
    """FMA's own split: 80/10/10, no artist on two sides."""
    count = max(1, round(params.artists_per_genre / 10))
    sides = ["validation"] * count + ["test"] * count + ["training"] * (params.artists_per_genre - 2 * count)
    order = np.random.default_rng([params.seed, _SPLIT, genre]).permutation(len(sides))
    return [sides[index] for index in order.tolist()]


def track_rows(tracks: Sequence[TrackPlan], params: SyntheticParams) -> Iterator[list[object]]:
    """Give the rows of tracks.csv, three header rows first.

    Parameters
    ----------
    tracks : sequence of TrackPlan
        From `plan`.
    params : SyntheticParams
        Size and difficulty.

    Yields
    ------
    list of object
        The cells of one row.
    """
    pairs = [(section, name) for section, names in COLUMNS.items() for name in names]
    yield ["", *(section for section, _ in pairs)]
    yield ["", *(name for _, name in pairs)]
    yield ["track_id", *("" for _ in pairs)]
    for track in tracks:
        cells = _cells(track, params)
        yield [track.number, *(cells.get(f"{section}.{name}", "") for section, name in pairs)]


def _cells(track: TrackPlan, params: SyntheticParams) -> dict[str, object]:
    rng = np.random.default_rng([params.seed, _NUMBERS, *track.place])
    listens, interest, favourites = (int(number) for number in rng.integers(0, [5000, 9000, 40]))
    year, month, day = 2008 + track.artist % 9, 1 + track.artist % 12, 1 + track.place[2] % 28
    created = f"{year}-{month:02d}-{day:02d} 10:30:00"
    album = f"{_words(track.album, track.artist)} {'II' if track.place[2] % 2 else 'I'}"
    known, filed = track.defect != "missing_artist", track.defect != "missing_album"
    return {
        "album.comments": 0,
        "album.date_created": created,
        "album.favorites": favourites,
        "album.id": track.album if filed else -1,
        "album.listens": 6 * listens,
        "album.tags": "[]",
        "album.title": album if filed else "",
        "album.tracks": (params.tracks_per_artist + 1 - track.place[2] % 2) // 2 if filed else -1,
        "album.type": "Album" if filed else "",
        "artist.bio": '<p>Is made by a programme,\nand plays "live".</p>' if known else "",
        "artist.comments": 0,
        "artist.date_created": created if known else "",
        "artist.favorites": favourites,
        "artist.id": track.artist if known else "",
        "artist.name": _artist_name(track.artist) if known else "",
        "artist.tags": [GENRES[track.place[0]].title.lower()],
        "set.split": track.split,
        "set.subset": "small",
        "track.bit_rate": 128000,
        "track.comments": 0,
        "track.date_created": created,
        "track.duration": int(params.seconds),
        "track.favorites": favourites,
        "track.genre_top": track.genre_top(),
        "track.genres": track.genres(),
        "track.genres_all": track.genres_all(),
        "track.interest": interest,
        "track.license": "CC0 1.0 Universal",
        "track.listens": listens,
        "track.number": 1 + track.place[2] // 2,
        "track.tags": "[]",
        "track.title": _ODD_TITLES.get(track.place, _words(track.number, track.place[2])),
    }


def _words(first: int, second: int) -> str:
    return f"{_FIRST[first % len(_FIRST)]} {_SECOND[second % len(_SECOND)]}"


def _artist_name(artist: int) -> str:
    return f"The {_words(artist, artist // 10)}, No. {artist}"


def genre_rows(tracks: Sequence[TrackPlan], params: SyntheticParams) -> Iterator[list[object]]:
    """Give the rows of genres.csv, header first.

    Parameters
    ----------
    tracks : sequence of TrackPlan
        From `plan`.
    params : SyntheticParams
        Size and difficulty.

    Yields
    ------
    list of object
        The cells of one row.
    """
    yield ["genre_id", "#tracks", "parent", "title", "top_level"]
    count = Counter(number for track in tracks for number in track.genres_all())
    rows: list[list[object]] = []
    for index, profile in enumerate(GENRES[: params.genres]):
        top = profile.genre_id
        rows.append([top, count[top], 0, profile.title, top])
        for number, title in zip(subgenre_ids(index), profile.subgenres, strict=True):
            rows.append([number, count[number], top, title, top])
    yield from sorted(rows, key=lambda row: int(str(row[0])))


def truth_rows(tracks: Sequence[TrackPlan]) -> Iterator[list[object]]:
    """Give the rows of truth.csv, header first: true genre, claimed label, defect, original of a duplicate.

    Parameters
    ----------
    tracks : sequence of TrackPlan
        From `plan`.

    Yields
    ------
    list of object
        The cells of one row.
    """
    yield ["track_id", "artist_id", "genre", "label", "wrong_label", "defect", "source"]
    for track in tracks:
        source = f"{_number(track.source):06d}" if track.source != track.place else ""
        truth = GENRES[track.place[0]].title
        wrong = int(track.label != track.place[0])
        yield [f"{track.number:06d}", track.artist, truth, track.genre_top(), wrong, track.defect, source]
