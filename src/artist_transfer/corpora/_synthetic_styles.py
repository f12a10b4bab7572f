"""Genres and artists of the embedded corpus: where they stand in the cube of styles.

A style is a point in the unit cube, one axis for each audible property (tempo, brightness, attack, room, …).
A genre is a mean on each axis, a subgenre a fixed offset from it, an artist a draw around both, a track a
small draw around its artist. Overlap between genres is thus a matter of the artists' spread alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AXES: dict[str, tuple[float, float, bool]] = {
    "tempo": (72.0, 168.0, True),  # beats per minute
    "swing": (0.0, 0.3, False),  # delay of the off-beats, in eighths
    "register": (52.0, 76.0, False),  # centre of the lead, MIDI
    "density": (0.5, 3.2, True),  # notes of the lead per beat
    "rolloff": (3.0, 13.0, False),  # of the lead's partials, dB per octave
    "odd": (0.0, 0.9, False),  # attenuation of the even partials
    "attack": (0.003, 0.12, True),  # s
    "decay": (0.12, 2.0, True),  # s
    "vibrato": (0.0, 0.6, False),  # semitones
    "formant": (350.0, 2600.0, True),  # Hz
    "resonance": (0.0, 14.0, False),  # dB
    "drive": (0.3, 9.0, True),  # gain before the saturation
    "lead": (-20.0, -4.0, False),  # levels in dB
    "comp": (-20.0, -4.0, False),
    "bass": (-20.0, -3.0, False),
    "drums": (-26.0, 4.0, False),
    "hats": (-26.0, -2.0, False),
    "hiss": (-66.0, -28.0, False),
    "comp_rate": (0.0, 3.0, False),  # chords struck per bar: 2 to this power
    "comp_attack": (0.004, 0.3, True),
    "comp_decay": (0.15, 3.0, True),
    "comp_rolloff": (4.0, 14.0, False),
    "bass_rolloff": (5.0, 16.0, False),
    "drum_tone": (0.0, 1.0, False),  # from dull to bright
    "reverb": (-26.0, -5.0, False),
    "room": (0.12, 1.3, True),  # s
    "tilt": (-2.5, 1.5, False),  # dB per octave around 1 kHz
    "cutoff": (4500.0, 17000.0, True),  # Hz
    "minor": (0.0, 1.0, False),  # chance that a track stands in minor
    "colour": (0.0, 1.0, False),  # chance of a seventh in a chord
    "loudness": (-23.0, -12.0, False),  # dBFS
}
"""Axes of a style: low, high, whether the axis is logarithmic."""

_NAMES = tuple(AXES)
STYLE_STREAM, TRACK_STREAM = 101, 102
"""Streams of random numbers: what an artist keeps, and what changes from track to track."""
_SUBGENRE_STREAM = 103
_MARGIN = 0.02  # styles stay this far from the ends of their axes


@dataclass(frozen=True)
class GenreProfile:
    """A top genre: where its artists gather, and what its rhythm section and harmony are like."""

    genre_id: int
    title: str
    subgenres: tuple[str, ...]
    means: dict[str, float]
    grooves: tuple[str, ...]
    progressions: tuple[tuple[int, ...], ...]


GROOVES: dict[str, tuple[str, str, str]] = {
    "backbeat": ("x.......x.x.....", "....x.......x...", "x.x.x.x.x.x.x.x."),
    "driving": ("x...x.x.x...x.x.", "....x.......x..x", "x.x.x.x.x.x.x.x."),
    "four": ("x...x...x...x...", "....x.......x...", "..x...x...x...x."),
    "four_busy": ("x...x...x...x...", "......x...x...x.", "xxx.xxx.xxx.xxx."),
    "broken": ("x..x......x..x..", "....x.......x..x", "x.xxx.x.x.xxx.x."),
    "half": ("x......x..x.....", "........x.......", "x.x.x.xxx.x.x.x."),
    "ride": ("x.........x.....", "......x........x", "x...x.x.x...x.x."),
    "brushes": ("x.......x.......", "....x.......x...", "....x.......x..."),
    "sparse": ("x...............", "............x...", "....x.......x..."),
}
"""Kick, snare and hat on sixteen steps."""

GENRES: tuple[GenreProfile, ...] = (
    GenreProfile(
        1, "Rock", ("Garage Rock", "Metal", "Slow Rock"),
        {"tempo": 0.6, "drive": 0.8, "rolloff": 0.35, "comp_rate": 0.85, "comp_attack": 0.15, "comp": 0.75,
         "drums": 0.8, "hats": 0.65, "bass": 0.65, "swing": 0.1, "loudness": 0.8, "cutoff": 0.6, "colour":
         0.15, "decay": 0.6, "reverb": 0.35, "drum_tone": 0.6, "register": 0.55},
        ("backbeat", "driving", "half"), ((0, 3, 4, 0), (0, 5, 3, 4), (0, 6, 3, 0)),
    ),
    GenreProfile(
        2, "Electronic", ("House", "Techno", "Downtempo"),
        {"tempo": 0.65, "odd": 0.65, "rolloff": 0.3, "comp_attack": 0.5, "drums": 0.8, "hats": 0.75, "bass":
         0.8, "bass_rolloff": 0.35, "swing": 0.15, "loudness": 0.75, "cutoff": 0.8, "drum_tone": 0.75,
         "vibrato": 0.2, "density": 0.7, "minor": 0.7, "tilt": 0.6, "hiss": 0.3, "decay": 0.35},
        ("four", "four_busy", "broken"), ((0, 5, 0, 6), (0, 0, 3, 3), (0, 5, 2, 6)),
    ),
    GenreProfile(
        3, "Folk", ("Songwriter", "Ballads"),
        {"tempo": 0.4, "drive": 0.2, "attack": 0.25, "decay": 0.5, "comp_rate": 0.7, "comp_attack": 0.15,
         "comp_decay": 0.4, "drums": 0.2, "hats": 0.25, "bass": 0.35, "lead": 0.7, "comp": 0.75, "loudness":
         0.35, "cutoff": 0.4, "minor": 0.35, "colour": 0.2, "hiss": 0.65, "vibrato": 0.55, "formant": 0.45,
         "resonance": 0.65, "swing": 0.25, "drum_tone": 0.35},
        ("brushes", "sparse", "backbeat"), ((0, 3, 0, 4), (0, 5, 3, 4), (0, 4, 5, 3)),
    ),
    GenreProfile(
        4, "Hip-Hop", ("Boom Bap", "Trap", "Instrumental Beats"),
        {"tempo": 0.25, "swing": 0.55, "drums": 0.85, "hats": 0.6, "bass": 0.85, "bass_rolloff": 0.65,
         "comp_rate": 0.4, "comp": 0.5, "lead": 0.4, "density": 0.45, "cutoff": 0.5, "minor": 0.75,
         "colour": 0.5, "loudness": 0.7, "hiss": 0.6, "tilt": 0.35, "drum_tone": 0.45, "register": 0.4,
         "reverb": 0.3},
        ("broken", "half", "backbeat"), ((0, 5, 0, 4), (0, 0, 5, 5), (0, 3, 0, 6)),
    ),
    GenreProfile(
        5, "Jazz", ("Swing", "Modal Jazz", "Ballad Jazz"),
        {"tempo": 0.55, "swing": 0.85, "density": 0.75, "colour": 0.9, "drums": 0.45, "hats": 0.7, "bass":
         0.6, "bass_rolloff": 0.6, "drive": 0.25, "comp_attack": 0.2, "comp_decay": 0.35, "comp": 0.5,
         "lead": 0.75, "vibrato": 0.55, "loudness": 0.4, "cutoff": 0.5, "room": 0.55, "reverb": 0.55,
         "register": 0.6, "drum_tone": 0.65, "rolloff": 0.6},
        ("ride", "brushes", "sparse"), ((1, 4, 0, 5), (0, 5, 1, 4), (0, 0, 3, 0)),
    ),
    GenreProfile(
        6, "Ambient", ("Drone", "Chamber"),
        {"tempo": 0.3, "density": 0.2, "attack": 0.85, "decay": 0.8, "comp_attack": 0.9, "comp_decay": 0.9,
         "comp_rate": 0.1, "comp": 0.8, "drums": 0.1, "hats": 0.1, "bass": 0.4, "reverb": 0.85, "room":
         0.85, "drive": 0.2, "loudness": 0.3, "hiss": 0.6, "colour": 0.6, "rolloff": 0.7, "comp_rolloff":
         0.7},
        ("sparse", "half", "four"), ((0, 0, 5, 5), (0, 3, 0, 5), (0, 2, 5, 3)),
    ),
)  # fmt: skip
"""The top genres, first come first used; ids and titles are this corpus' own."""


def subgenre_ids(genre: int) -> list[int]:
    """Return the ids of a genre's subgenres.

    Parameters
    ----------
    genre : int, 0 <= genre < len(GENRES)
        Position in `GENRES`.

    Returns
    -------
    list of int
        One id for each subgenre.
    """
    profile = GENRES[genre]
    return [10 * profile.genre_id + 1 + number for number in range(len(profile.subgenres))]


@dataclass(frozen=True)
class ArtistStyle:
    """What an artist keeps from track to track: a point on `AXES`, habits, and a studio."""

    place: tuple[int, int, int]  # seed, genre, artist
    values: tuple[float, ...]
    subgenres: tuple[int, ...]
    grooves: tuple[str, ...]
    progressions: tuple[tuple[int, ...], ...]
    stereo: bool


def artist_style(*, seed: int, genre: int, artist: int, spread: float) -> ArtistStyle:
    """Draw the style of an artist around that of a genre and of one or two of its subgenres.

    Parameters
    ----------
    seed : int, >= 0
        Seed of the corpus.
    genre : int, 0 <= genre < len(GENRES)
        Position in `GENRES`.
    artist : int, >= 0
        Position of the artist within the genre.
    spread : float, >= 0
        Standard deviation on each axis of the unit cube.

    Returns
    -------
    ArtistStyle
        Depends on nothing but the arguments.
    """
    profile = GENRES[genre]
    rng = np.random.default_rng([seed, STYLE_STREAM, genre, artist])
    ids = subgenre_ids(genre)
    chosen = sorted(rng.choice(len(ids), size=rng.integers(1, 3), replace=False).tolist())
    offset = np.mean([_subgenre_offset(genre, number) for number in chosen], axis=0)
    mean = np.array([profile.means.get(name, 0.5) for name in _NAMES])
    values = mean + offset + spread * rng.standard_normal(len(_NAMES))
    grooves = rng.permutation(len(profile.grooves))[:2]
    chords = rng.permutation(len(profile.progressions))[:2]
    return ArtistStyle(
        place=(seed, genre, artist),
        values=tuple(np.clip(values, _MARGIN, 1 - _MARGIN).tolist()),
        subgenres=tuple(ids[number] for number in chosen),
        grooves=tuple(profile.grooves[index] for index in grooves),
        progressions=tuple(profile.progressions[index] for index in chords),
        stereo=bool(rng.random() < 0.1),
    )


def _subgenre_offset(genre: int, number: int) -> NDArray[np.float64]:
    # a subgenre means the same in every corpus, whatever its seed
    return 0.09 * np.random.default_rng([_SUBGENRE_STREAM, genre, number]).standard_normal(len(_NAMES))


def physical(unit: NDArray[np.float64]) -> dict[str, float]:
    """Turn a point of the unit cube into Hz, seconds and decibels.

    Parameters
    ----------
    unit : np.ndarray [shape=(n_axes,)], 0 <= unit <= 1
        One number for each axis of `AXES`.

    Returns
    -------
    dict of float
        Value on each axis, by its name.
    """
    sound = {}
    for name, value in zip(_NAMES, unit.tolist(), strict=True):
        low, high, logarithmic = AXES[name]
        sound[name] = low * (high / low) ** value if logarithmic else low + (high - low) * value
    return sound
