"""Tracks as words: a vocabulary for each feature set, and the words of a track in it.

m, d: frames of MFCC and of their first-order difference, one word a frame. e: Essentia's descriptors,
quantile normalised, one word a track. s: the track's own subgenres, which are words already (Park et al.
2018, section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from tqdm.auto import tqdm

from artist_transfer.artifacts import atomic_path, commit_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError, NothingToFit
from artist_transfer.factors.dictionary import (
    Dictionary,
    fit_dictionary,
    load_dictionary,
    sample_rows,
    save_dictionary,
)
from artist_transfer.features.essentia_shards import read_corpus
from artist_transfer.features.quantile import QuantileNormaliser, fit_quantiles

if TYPE_CHECKING:
    import pandas as pd

KINDS = {"s": "subgenres", "e": "Essentia", "d": "dMFCC", "m": "MFCC"}
TRACKS_A_BATCH = 64


class FrameStore(Protocol):
    """What gives the log-mel frames of a track, such as the mel store."""

    def frames(self, track_id: str) -> np.ndarray:
        """Return the frames of a track, [shape=(frame, band)], dB."""
        ...


@dataclass(frozen=True)
class FrameSource:
    """Where m and d come from: a mel store and the front end it was made with."""

    store: FrameStore
    front_end: Mapping[str, Any]

    @property
    def key(self) -> dict[str, Any]:
        """What decides the features besides the audio."""
        return dict(self.front_end)


@dataclass(frozen=True)
class DescriptorSource:
    """Where e comes from: the manifest of the extraction and the folder of its shards."""

    manifest: Mapping[str, Any]
    folder: str | Path

    @property
    def key(self) -> dict[str, Any]:
        """What decides the features besides the audio."""
        return {"extractor": self.manifest["extractor"], "failed": sorted(self.manifest["failed"])}


Source = FrameSource | DescriptorSource | None


@dataclass(frozen=True)
class Vocabulary:
    """The words of one feature set.

    Attributes
    ----------
    kind : str
        Letter of the feature set.
    dictionary : Dictionary or None
        Centres, for m, d and e.
    normaliser : QuantileNormaliser or None
        For e.
    descriptors : tuple of str
        Names of the columns, for e.
    words : tuple of str
        The words themselves, for s.
    facts : dict
        Counts and notes, as JSON.
    """

    kind: str
    dictionary: Dictionary | None = None
    normaliser: QuantileNormaliser | None = None
    descriptors: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of words."""
        return len(self.words) if self.dictionary is None else self.dictionary.size


def fit_frame_vocabulary(
    kind: str,
    tracks: pd.DataFrame,
    *,
    source: FrameSource,
    n_mfcc: int = 25,
    max_centres: int = 2048,
    rows_per_centre: int = 10,
    max_rows: int = 500_000,
    seed: int = 0,
) -> Vocabulary:
    """Fit the dictionary of frames on tracks.

    Parameters
    ----------
    kind : {'m', 'd'}
        MFCC or dMFCC.
    tracks : pd.DataFrame
        Training tracks with ``track_id`` and ``n_frames``.
    source : FrameSource
        Their frames.
    n_mfcc, max_centres, rows_per_centre, max_rows, seed : int > 0
        See `fit_dictionary` and `sample_rows`.

    Returns
    -------
    Vocabulary
        With a dictionary.

    Raises
    ------
    NothingToFit
        If none of the tracks has a frame.
    """
    features = frame_features(kind, source, n_mfcc)
    ids = tracks["track_id"].tolist()
    n_rows = dict(zip(ids, (int(n) for n in tracks["n_frames"]), strict=True))
    with tqdm(total=len(ids), desc=f"{KINDS[kind]}: sample", unit="track", leave=False) as bar:

        def rows_of(track_id: str) -> np.ndarray:
            bar.update(1)
            return features(track_id)

        rows = sample_rows(ids, rows_of=rows_of, n_rows=n_rows, max_rows=max_rows, seed=seed)
    dictionary = fit_dictionary(
        rows, max_centres=max_centres, rows_per_centre=rows_per_centre, seed=seed, label=KINDS[kind]
    )
    return Vocabulary(kind, dictionary, facts=_dictionary_facts(dictionary, len(ids)))


def fit_descriptor_vocabulary(
    tracks: pd.DataFrame,
    *,
    source: DescriptorSource,
    max_centres: int = 2048,
    rows_per_centre: int = 10,
    seed: int = 0,
) -> Vocabulary:
    """Fit quantiles and dictionary of Essentia's descriptors on tracks.

    Parameters
    ----------
    tracks : pd.DataFrame
        Training tracks with ``track_id``.
    source : DescriptorSource
        Their descriptors.
    max_centres, rows_per_centre, seed : int > 0
        See `fit_dictionary`.

    Returns
    -------
    Vocabulary
        With dictionary, normaliser and names of descriptors.

    Raises
    ------
    NothingToFit
        If none of the tracks has descriptors, none of those is complete, or all are constant.
    """
    ids = tracks["track_id"].tolist()
    found = read_corpus(source.manifest, folder=source.folder, track_ids=ids)
    if not found.track_ids:
        raise NothingToFit(f"none of the {len(ids)} training tracks has Essentia descriptors")
    if not found.names:
        raise NothingToFit(
            f"no Essentia descriptor is complete for all {len(found.track_ids)} training tracks that have any"
        )
    normaliser = fit_quantiles(found.values)
    rows = normaliser.transform(found.values)
    dictionary = fit_dictionary(
        rows, max_centres=max_centres, rows_per_centre=rows_per_centre, seed=seed, label=KINDS["e"]
    )
    facts = _dictionary_facts(dictionary, len(ids)) | {
        "n_descriptors": len(found.names),
        "n_constant_descriptors": normaliser.n_constant,
        "dropped_descriptors": list(found.dropped),
        "failed_tracks": sorted(set(ids) - set(found.track_ids)),
    }
    return Vocabulary("e", dictionary, normaliser, found.names, facts=facts)


def _dictionary_facts(dictionary: Dictionary, n_tracks: int) -> dict[str, Any]:
    return {
        "n_words": dictionary.size,
        "n_tracks": n_tracks,
        "n_rows": dictionary.n_rows,
        "inertia": dictionary.inertia,
        "notes": list(dictionary.notes),
    }


def fit_subgenre_vocabulary(tracks: pd.DataFrame) -> Vocabulary:
    """Collect the subgenres of tracks.

    Parameters
    ----------
    tracks : pd.DataFrame
        Training tracks with ``genres``, a list of words each.

    Returns
    -------
    Vocabulary
        Words in sorted order.

    Raises
    ------
    NothingToFit
        If no track has a subgenre.
    """
    words = sorted({str(word) for genres in tracks["genres"] for word in genres})
    if not words:
        raise NothingToFit(f"none of the {len(tracks)} training tracks has subgenres (column 'genres')")
    facts = {"n_words": len(words), "n_tracks": len(tracks), "notes": []}
    return Vocabulary("s", words=tuple(words), facts=facts)


def frame_features(kind: str, source: FrameSource, n_mfcc: int) -> Callable[[str], np.ndarray]:
    """Return the function from a track to its MFCC or dMFCC.

    Parameters
    ----------
    kind : {'m', 'd'}
        MFCC or dMFCC.
    source : FrameSource
        Frames of tracks.
    n_mfcc : int > 0
        Coefficients.

    Returns
    -------
    callable
        Track to [shape=(frame, coefficient)], float32.
    """
    from artist_transfer.features.mfcc import delta_mfcc, mfcc

    transform = delta_mfcc if kind == "d" else mfcc

    def features(track_id: str) -> np.ndarray:
        return transform(source.store.frames(track_id), n_mfcc)

    return features


def track_words(
    vocabulary: Vocabulary, tracks: pd.DataFrame, *, source: Source, n_mfcc: int = 25
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each track's words.

    Parameters
    ----------
    vocabulary : Vocabulary
        Fitted on these tracks.
    tracks : pd.DataFrame
        Tracks with ``track_id``, and ``genres`` for s.
    source : FrameSource, DescriptorSource or None
        Where their features come from; None for s.
    n_mfcc : int > 0
        Coefficients, for m and d.

    Yields
    ------
    (str, np.ndarray [shape=(n,)], int32)
        Track and words. Tracks without descriptors are left out for e.

    Raises
    ------
    ArtistTransferError
        If the tracks' complete descriptors are not those of the vocabulary.
    """
    ids = tracks["track_id"].tolist()
    if vocabulary.kind == "s":
        yield from _subgenre_words(vocabulary, ids, tracks["genres"].tolist())
    elif isinstance(source, DescriptorSource):
        yield from _descriptor_words(vocabulary, ids, source)
    elif isinstance(source, FrameSource):
        yield from _frame_words(vocabulary, ids, frame_features(vocabulary.kind, source, n_mfcc))


def _subgenre_words(
    vocabulary: Vocabulary, ids: Sequence[str], genres: Sequence[Sequence[str]]
) -> Iterator[tuple[str, np.ndarray]]:
    number = {word: i for i, word in enumerate(vocabulary.words)}
    for track_id, words in zip(ids, genres, strict=True):
        yield track_id, np.array([number[word] for word in words if word in number], dtype=np.int32)


def _descriptor_words(
    vocabulary: Vocabulary, ids: Sequence[str], source: DescriptorSource
) -> Iterator[tuple[str, np.ndarray]]:
    assert vocabulary.dictionary is not None and vocabulary.normaliser is not None
    found = read_corpus(source.manifest, folder=source.folder, track_ids=ids)
    if found.names != vocabulary.descriptors:
        raise ArtistTransferError(
            f"these tracks have {len(found.names)} complete descriptors, not the"
            f" {len(vocabulary.descriptors)} of the dictionary; words"
            " can be taken for the tracks that it was fitted on"
        )
    rows = vocabulary.normaliser.transform(found.values)
    words = vocabulary.dictionary.assign(rows, label=f"{KINDS['e']}: words")
    yield from zip(found.track_ids, words[:, None], strict=True)


def _frame_words(
    vocabulary: Vocabulary, ids: Sequence[str], features: Callable[[str], np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    assert vocabulary.dictionary is not None
    with tqdm(total=len(ids), desc=f"{KINDS[vocabulary.kind]}: words", unit="track", leave=False) as bar:
        for start in range(0, len(ids), TRACKS_A_BATCH):
            batch = ids[start : start + TRACKS_A_BATCH]
            rows = [features(track_id) for track_id in batch]
            words = vocabulary.dictionary.assign(np.concatenate(rows))
            borders = np.cumsum([len(each) for each in rows])[:-1]
            bar.update(len(batch))
            yield from zip(batch, np.split(words, borders), strict=True)


def save_vocabulary(folder: str | Path, vocabulary: Vocabulary) -> None:
    """Write a vocabulary and declare its folder done.

    Parameters
    ----------
    folder : str or Path
        Where it goes.
    vocabulary : Vocabulary
        What is written.
    """
    folder = Path(folder)
    files = ["vocabulary.json"]
    if vocabulary.dictionary is not None:
        save_dictionary(folder / "dictionary.npz", vocabulary.dictionary)
        files.append("dictionary.npz")
    if vocabulary.normaliser is not None:
        with atomic_path(folder / "quantiles.npz") as temporary, open(temporary, "wb") as stream:
            np.savez(stream, allow_pickle=False, **vocabulary.normaliser.to_arrays())
        files.append("quantiles.npz")
    text = {
        "kind": vocabulary.kind,
        "descriptors": list(vocabulary.descriptors),
        "words": list(vocabulary.words),
        "facts": vocabulary.facts,
    }
    write_json(folder / "vocabulary.json", text)
    commit_folder(folder, files=files, details=vocabulary.facts)


def load_vocabulary(folder: str | Path) -> Vocabulary:
    """Read a vocabulary.

    Parameters
    ----------
    folder : str or Path
        A finished folder by `save_vocabulary`.

    Returns
    -------
    Vocabulary
        As it was written.
    """
    folder = Path(folder)
    text = read_json(folder / "vocabulary.json")
    dictionary = normaliser = None
    if (folder / "dictionary.npz").exists():
        dictionary = load_dictionary(folder / "dictionary.npz")
    if (folder / "quantiles.npz").exists():
        with np.load(folder / "quantiles.npz", allow_pickle=False) as arrays:
            normaliser = QuantileNormaliser.from_arrays(dict(arrays))
    return Vocabulary(
        text["kind"], dictionary, normaliser, tuple(text["descriptors"]), tuple(text["words"]), text["facts"]
    )
