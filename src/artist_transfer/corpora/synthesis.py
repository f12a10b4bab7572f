"""The sound of the embedded corpus: a small band that plays an artist's style.

Everything is vectorised over samples: a voice is one look-up in a single-cycle table along the whole clip,
and formants, equaliser, room and hiss are applied together in the frequency domain. All draws come from the
seed and the place of the track (genre, artist, track), so a clip never depends on what else is rendered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from artist_transfer.corpora._synthetic_styles import (
    AXES,
    GROOVES,
    STYLE_STREAM,
    TRACK_STREAM,
    ArtistStyle,
    physical,
)

Floats = NDArray[np.float32]

_TABLE = 4096  # samples of a cycle


def render_track(style: ArtistStyle, *, track: int, seconds: float, sample_rate: int, spread: float) -> Floats:
    """Play one clip.

    Parameters
    ----------
    style : ArtistStyle
        Who plays.
    track : int, >= 0
        Which of the artist's tracks.
    seconds : float, > 0
        Length in s.
    sample_rate : int, > 0
        In Hz.
    spread : float, >= 0
        Standard deviation of the track around its artist on each axis of the unit cube.

    Returns
    -------
    np.ndarray [shape=(n, channels)], float32, -1 < y < 1
        On the grid of 16 bits. One channel, or two if the artist records in stereo.
    """
    rng = np.random.default_rng([style.place[0], TRACK_STREAM, *style.place[1:], track])
    unit = np.asarray(style.values) + spread * rng.standard_normal(len(AXES))
    sound = physical(np.clip(unit, 0.0, 1.0))
    song = _Song.draw(style, sound, rng, seconds=seconds, sample_rate=sample_rate)
    tonal, rhythm = _play(song, sound, rng)
    mix = _studio(tonal, rhythm, sound, style, rng, sample_rate)
    level = 10 ** (sound["loudness"] / 20) / max(float(np.sqrt(np.mean(mix**2))), 1e-9)
    return (np.round(32000 * np.tanh(level * mix)) / 32768).astype(np.float32)


@dataclass(frozen=True)
class _Song:
    n: int
    rate: int
    beat: float  # samples
    bars: int
    scale: NDArray[np.int64]
    key: int
    chords: list[list[int]]  # scale degrees, one chord a bar
    groove: str
    enters: tuple[int, int]  # first bar of the lead and of the drums

    @classmethod
    def draw(
        cls,
        style: ArtistStyle,
        sound: dict[str, float],
        rng: np.random.Generator,
        *,
        seconds: float,
        sample_rate: int,
    ) -> _Song:
        beat = 60 * sample_rate / sound["tempo"]
        bars = int(np.ceil(seconds * sample_rate / (4 * beat)))
        progression = style.progressions[int(rng.integers(len(style.progressions)))]
        start = int(rng.integers(len(progression)))  # clips are cut from the middle of a song
        roots = [progression[(start + bar) % len(progression)] for bar in range(bars)]
        minor = rng.random() < sound["minor"]
        late = rng.random(2) < 0.25
        return cls(
            n=round(seconds * sample_rate),
            rate=sample_rate,
            beat=beat,
            bars=bars,
            scale=np.array([0, 2, 3, 5, 7, 8, 10] if minor else [0, 2, 4, 5, 7, 9, 11]),
            key=int(rng.integers(12)) - 6,
            chords=[[root + step for step in _chord(sound["colour"], rng)] for root in roots],
            groove=style.grooves[int(rng.random() < 0.3) % len(style.grooves)],
            enters=(min(int(late[0]), bars - 1), min(2 * int(late[1]), bars - 1)),
        )

    def midi(self, degrees: NDArray[np.int64], centre: float) -> NDArray[np.float64]:
        """Pitches of scale degrees, in the octave around a centre."""
        pitch = self.scale[degrees % 7] + 12 * (degrees // 7) + self.key
        return pitch + 12 * np.round((centre - pitch.mean()) / 12)


def _chord(colour: float, rng: np.random.Generator) -> list[int]:
    return [0, 2, 4, 6] if rng.random() < colour else [0, 2, 4]


def _play(song: _Song, sound: dict[str, float], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the pitched part without the bass, and bass with drums."""
    lead = _lead(song, sound, rng)
    comp = _comp(song, sound)
    bass = _bass(song, sound, rng)
    tonal = _at(lead, sound["lead"]) + _at(comp, sound["comp"])
    drive = np.float32(sound["drive"] * 2)
    tonal = np.tanh(drive * tonal) / np.tanh(drive)
    return tonal, _at(bass, sound["bass"]) + _drums(song, sound, rng)


def _at(signal: Floats, level: float) -> Floats:
    rms = float(np.sqrt(np.mean(signal**2)))
    return signal * np.float32(10 ** (level / 20) / max(rms, 1e-9))


def _lead(song: _Song, sound: dict[str, float], rng: np.random.Generator) -> Floats:
    steps = np.arange(16 * song.bars)
    taken = rng.random(len(steps)) < sound["density"] / 4
    taken[song.enters[0] * 16] = True
    taken[: song.enters[0] * 16] = False
    steps = steps[taken]
    walk = np.cumsum(rng.integers(-2, 3, len(steps)))
    degrees = walk - np.round(0.8 * np.linspace(0, 1, len(steps)) * walk[-1]).astype(np.int64)
    strong = steps % 8 == 0
    roots = np.array([chord[0] for chord in song.chords])[steps // 16]
    degrees = np.where(strong, roots + 2 * rng.integers(0, 3, len(steps)), degrees)
    pitch = song.midi(degrees, sound["register"])
    table = _tables(sound["rolloff"], sound["odd"], pitch.max(), song.rate)
    # the integral of a vibrato of 5.5 Hz: how far it carries the phase of a note, in samples
    turn = 2 * np.pi * 5.5 / song.rate
    bend = sound["vibrato"] * np.log(2) / 12 / turn * np.sin(turn * np.arange(song.n))
    starts = _swung(steps, song.beat, sound["swing"])
    return _voice(song, starts, pitch, table, sound["attack"], sound["decay"], bend)


def _comp(song: _Song, sound: dict[str, float]) -> Floats:
    per_bar = 2 ** round(sound["comp_rate"])
    steps = np.arange(per_bar * song.bars) * (16 // per_bar)
    starts = _swung(steps, song.beat, sound["swing"])
    total = np.zeros(song.n, np.float32)
    table = _tables(sound["comp_rolloff"], 0.5 * sound["odd"], 72.0, song.rate)
    for part in range(max(map(len, song.chords))):
        degrees = np.array([chord[part % len(chord)] for chord in song.chords])[steps // 16]
        pitch = song.midi(degrees, 54.0 + 4 * part)
        total += _voice(song, starts, pitch, table, sound["comp_attack"], sound["comp_decay"])
    return total


def _bass(song: _Song, sound: dict[str, float], rng: np.random.Generator) -> Floats:
    kick = np.array(list(GROOVES[song.groove][0])) == "x"
    walking = rng.random() < sound["swing"]
    bar = np.arange(0, 16, 4) if walking else np.flatnonzero(kick)
    steps = (16 * np.arange(song.bars)[:, None] + bar).ravel()
    degrees = np.array([chord[0] for chord in song.chords])[steps // 16]
    if walking:
        degrees = degrees + np.where(steps % 16 == 0, 0, rng.choice([0, 2, 4, 5], len(steps)))
    pitch = song.midi(degrees, 38.0)
    table = _tables(sound["bass_rolloff"], 0.3, pitch.max(), song.rate)
    return _voice(song, _swung(steps, song.beat, sound["swing"]), pitch, table, 0.008, 0.6)


def _swung(steps: NDArray[np.int64], beat: float, swing: float) -> NDArray[np.int64]:
    return np.round((steps / 4 + np.where(steps % 4 == 2, swing / 2, 0.0)) * beat).astype(np.int64)


def _tables(rolloff: float, odd: float, highest: float, rate: int) -> tuple[Floats, Floats]:
    """Return a dark cycle, and what the attack adds to it; no partial above the Nyquist frequency."""
    partials = int(np.clip(0.45 * rate / (440 * 2 ** ((highest - 69) / 12)), 1, 60))
    number = np.arange(1, partials + 1)
    cycles = []
    for slope in (rolloff + 4, rolloff):
        gain = number ** (-slope / 6.02) * np.where(number % 2 == 0, 1 - odd, 1.0)
        spectrum = np.zeros(_TABLE // 2 + 1, np.complex128)
        # spread phases: aligned ones would make a click of each cycle
        spectrum[1 : partials + 1] = gain * np.exp(1j * 0.7 * number**2)
        cycle = np.fft.irfft(spectrum)
        cycles.append((cycle / np.sqrt(np.mean(cycle**2))).astype(np.float32))
    return cycles[0], cycles[1] - cycles[0]


def _voice(
    song: _Song,
    starts: NDArray[np.int64],
    pitch: NDArray[np.float64],
    tables: tuple[Floats, Floats],
    attack: float,
    decay: float,
    bend: NDArray[np.float64] | None = None,
) -> Floats:
    """Play one note after the other; each ends where the next begins."""
    ends = np.minimum(np.append(starts[1:], song.n), song.n)
    longest = int(np.max(ends - starts, initial=1))
    clock = np.arange(longest)
    since = (clock / song.rate).astype(np.float32)
    falling = np.exp(since / np.float32(-decay))
    envelope = (1 - np.exp(since / np.float32(-attack))) * falling
    bright = falling * envelope
    steps = 440 * 2 ** ((pitch - 69) / 12) * (_TABLE / song.rate)
    release = np.linspace(1, 0, int(0.01 * song.rate), dtype=np.float32)
    voice = np.zeros(song.n, np.float32)
    for start, end, step in zip(starts.tolist(), ends.tolist(), steps.tolist(), strict=True):
        length = end - start
        if length < len(release):
            continue
        turns = clock[:length] if bend is None else clock[:length] + (bend[start:end] - bend[start])
        position = (step * turns).astype(np.int64) & (_TABLE - 1)
        note = tables[0][position] * envelope[:length] + tables[1][position] * bright[:length]
        note[-len(release) :] *= release
        voice[start:end] = note
    return voice


def _drums(song: _Song, sound: dict[str, float], rng: np.random.Generator) -> Floats:
    tone, time = sound["drum_tone"], np.arange(int(0.25 * song.rate), dtype=np.float32) / song.rate
    crackle = rng.standard_normal(len(time)).astype(np.float32)
    bright = np.diff(crackle, prepend=np.float32(0))
    kick = np.sin(2 * np.pi * (50 * time + 8 * (1 - np.exp(-time * 30)))) * np.exp(-time * (16 - 8 * tone))
    body = np.sin(2 * np.pi * (165 + 60 * tone) * time) * np.exp(-time * 28)
    snare = 0.6 * body + (0.25 + 0.3 * tone) * ((1 - tone) * crackle + tone * bright) * np.exp(-time * 20)
    hat = np.diff(bright, prepend=np.float32(0)) * np.exp(-time * (90 - 60 * tone)) * 0.4
    hats = 10 ** (sound["hats"] / 20)
    total = np.zeros(song.n + len(time), np.float32)
    for pattern, sample, gain in zip(GROOVES[song.groove], (kick, snare, hat), (1.0, 0.7, hats), strict=True):
        bar = np.flatnonzero(np.array(list(pattern)) == "x")
        steps = (16 * np.arange(song.enters[1], song.bars)[:, None] + bar).ravel()
        for start in _swung(steps, song.beat, sound["swing"]).tolist():
            if start < song.n:
                total[start : start + len(time)] += np.float32(gain * rng.uniform(0.75, 1.0)) * sample
    return total[: song.n] * np.float32(10 ** (sound["drums"] / 20))


def _studio(
    tonal: Floats,
    rhythm: Floats,
    sound: dict[str, float],
    style: ArtistStyle,
    rng: np.random.Generator,
    rate: int,
) -> Floats:
    """Formants, equaliser, room and hiss in one pass through the frequency domain."""
    tail = int(sound["room"] * rate)
    size = scipy.fft.next_fast_len(len(tonal) + tail, real=True)
    octave = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / rate), 20) / 1000).astype(np.float32)
    formant = np.log2(sound["formant"] / 1000)
    bumps = sum(np.exp(-0.5 * ((octave - formant - shift) / 0.28) ** 2) for shift in (0.0, 1.35))
    beyond = np.maximum(octave - np.log2(sound["cutoff"] / 1000), 0)
    equaliser = _decibels(sound["tilt"] * octave - 24 * beyond)
    spectrum = scipy.fft.rfft(tonal, size) * _decibels(sound["resonance"] * (bumps - 0.5))
    spectrum += scipy.fft.rfft(rhythm, size)
    parts = rng.standard_normal((2, len(octave)), dtype=np.float32)
    power = np.float32(np.sqrt(size / 2))
    hiss = (parts[0] + 1j * parts[1]) * _decibels(sound["hiss"] - 1.5 * octave) * power
    # the room stays the artist's from track to track
    walls = np.random.default_rng([style.place[0], STYLE_STREAM, *style.place[1:], 1])
    falling = np.exp(np.linspace(0, -6.9, tail, dtype=np.float32))
    channels = []
    for _ in range(2 if style.stereo else 1):
        room = walls.standard_normal(tail, dtype=np.float32) * falling
        room *= np.float32(10 ** (sound["reverb"] / 20) / np.sqrt(np.sum(room**2)))
        wet = (spectrum * (1 + scipy.fft.rfft(room, size)) + hiss) * equaliser
        channels.append(scipy.fft.irfft(wet, size)[: len(tonal)])
    return np.stack(channels, axis=1).astype(np.float32)


def _decibels(level: Floats) -> Floats:
    return 10 ** (level.astype(np.float32) / np.float32(20))
