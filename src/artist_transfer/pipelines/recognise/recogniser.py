"""A recogniser: songs of enrolled artists as vectors, how they are scored, and when a song is nobody's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from artist_transfer.artifacts import MANIFEST, atomic_path, commit_folder, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.recognition.unheard import HeardTrials

if TYPE_CHECKING:
    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.evaluation.recognition import RecognitionProtocol
    from artist_transfer.recognition.calibration import Calibration
    from artist_transfer.recognition.plda import Plda

VECTORS, FACTS, PLDA = "vectors.npy", "recogniser.json", "plda"


@dataclass(frozen=True, eq=False)
class Recogniser:
    """What a new song is compared with.

    Attributes
    ----------
    songs : Embeddings
        Vectors of all songs of enrolled artists.
    enrolments : mapping of artist id to track ids
        Sorted.
    names : mapping of artist id to name
        As people write them.
    calibration : Calibration
        From scores to log-likelihood ratios.
    plda : Plda or None
        None: songs are scored by cosine.
    enrolment : str
        How PLDA enrols: average or by_the_book.
    known, unknown : np.ndarray
        Highest ratios of validation songs, with their own artist enrolled (and highest) and without; NaN in `known`
        where another artist was the highest.
    """

    songs: Embeddings
    enrolments: Mapping[str, Sequence[str]]
    names: Mapping[str, str]
    calibration: Calibration
    plda: Plda | None
    enrolment: str
    known: np.ndarray
    unknown: np.ndarray

    def ratios(self, tests: Embeddings) -> np.ndarray:
        """Score songs against all enrolled artists.

        Parameters
        ----------
        tests : Embeddings
            Of new songs, by the same encoder.

        Returns
        -------
        np.ndarray [shape=(n_artists, n_tests)]
            Log-likelihood ratios in nats, artists in the order of `enrolments`.
        """
        return self.calibration.apply(
            scores(self.songs, self.enrolments, tests, plda=self.plda, enrolment=self.enrolment)
        )

    def threshold(self, prior: float) -> tuple[float, float, float]:
        """Choose the ratio below which a song is nobody's.

        Parameters
        ----------
        prior : float in (0, 1)
            Share of new songs that are by an enrolled artist.

        Returns
        -------
        threshold : float
            Where the expected error on the validation songs is least.
        turned_away : float in [0, 1]
            Share of validation songs of enrolled artists that are not recognised at that threshold.
        taken_in : float in [0, 1]
            Share of songs of unknown artists that are given a name.
        """
        known = np.where(np.isnan(self.known), -np.inf, self.known)
        tried = np.unique(np.concatenate([known[np.isfinite(known)], self.unknown]))
        # halfway between two scores, and beyond the largest: nobody is let in
        points = np.concatenate([tried[:1] - 1e-9, (tried[1:] + tried[:-1]) / 2, tried[-1:] + 1e-9])
        away = (known[:, None] < points).mean(axis=0)
        taken = (self.unknown[:, None] >= points).mean(axis=0)
        best = int(np.argmin(prior * away + (1 - prior) * taken))
        return float(points[best]), float(away[best]), float(taken[best])

    def save(self, folder: Path) -> None:
        """Write it, and declare the folder done.

        Parameters
        ----------
        folder : Path
            Where.
        """
        with atomic_path(folder / VECTORS) as path, open(path, "wb") as stream:
            np.save(stream, np.asarray(self.songs.vectors))
        facts = {
            "track_ids": list(self.songs.track_ids),
            "enrolments": {artist: list(tracks) for artist, tracks in self.enrolments.items()},
            "names": dict(self.names),
            "calibration": self.calibration.to_dict(),
            "enrolment": self.enrolment,
            "known": [None if value != value else float(value) for value in self.known],
            "unknown": [float(value) for value in self.unknown],
            "plda": self.plda is not None,
        }
        write_json(folder / FACTS, facts)
        files = [VECTORS, FACTS]
        if self.plda is not None:
            from artist_transfer.recognition.plda import CARD, WEIGHTS

            self.plda.save(folder / PLDA)
            files += [f"{PLDA}/{name}" for name in (WEIGHTS, CARD, MANIFEST)]
        commit_folder(folder, files=files, details={"artists": len(self.enrolments)})

    @classmethod
    def load(cls, folder: Path) -> Recogniser:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : Path
            Where.

        Returns
        -------
        Recogniser
            The same.

        Raises
        ------
        ArtistTransferError
            If it is not whole.
        """
        from artist_transfer.evaluation.embeddings import Embeddings
        from artist_transfer.recognition.calibration import Calibration
        from artist_transfer.recognition.plda import Plda

        if open_folder(folder) is None:
            raise ArtistTransferError(
                f"{folder} holds no finished recogniser: run `kedro run --pipeline=artist_recognition` again"
            )
        facts = read_json(folder / FACTS)
        vectors = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
        return cls(
            songs=Embeddings(tuple(facts["track_ids"]), vectors),
            enrolments=facts["enrolments"],
            names=facts["names"],
            calibration=Calibration.from_dict(facts["calibration"]),
            plda=Plda.load(folder / PLDA) if facts["plda"] else None,
            enrolment=facts["enrolment"],
            known=np.array([np.nan if value is None else value for value in facts["known"]]),
            unknown=np.array(facts["unknown"]),
        )


def enrol(
    embeddings: Embeddings,
    songs: Mapping[str, Sequence[str]],
    names: Mapping[str, str | None],
    protocol: RecognitionProtocol,
    *,
    calibration: Calibration,
    plda: Plda | None,
    enrolment: str,
) -> Recogniser:
    """Enrol artists by all of their songs; validation songs say how high scores are of the known and the unknown.

    Parameters
    ----------
    embeddings : Embeddings
        Of the corpus; songs of the protocol that have none are not tried.
    songs : mapping of artist id to track ids
        Who is enrolled by what.
    names : mapping of artist id to name
        None where an artist has no name: its id takes the place.
    protocol : RecognitionProtocol
        Of the validation artists: while their songs are tried they are enrolled by their songs to enrol only.
    calibration : Calibration
        Of the system's scores.
    plda : Plda or None
        None for cosine.
    enrolment : str
        How PLDA enrols.

    Returns
    -------
    Recogniser
        With the songs of all enrolled artists.
    """
    heard = HeardTrials.of(protocol, embeddings)
    tried = {**songs, **heard.groups}
    own = protocol.tests
    own = own[own["track_id"].isin(heard.test_ids) & own["artist_id"].isin(heard.artists)]
    tests = embeddings.subset(list(own["track_id"]))
    ratios = calibration.apply(scores(embeddings, tried, tests, plda=plda, enrolment=enrolment))
    row_of = {artist: row for row, artist in enumerate(tried)}
    known, unknown = open_set_tops(ratios, np.array([row_of[artist] for artist in own["artist_id"]]))
    return Recogniser(
        songs=embeddings.subset(sorted({track for tracks in songs.values() for track in tracks})),
        enrolments=songs,
        names={artist: artist if name is None else name for artist, name in names.items()},
        calibration=calibration,
        plda=plda,
        enrolment=enrolment,
        known=known,
        unknown=unknown,
    )


def songs_by_artist(usable_table: pd.DataFrame, track_ids: Collection[str]) -> dict[str, list[str]]:
    """Give the songs of every artist.

    Parameters
    ----------
    usable_table : pd.DataFrame
        Tracks.
    track_ids : collection of str
        Those that count; of them, those without an artist do not.

    Returns
    -------
    dict of artist id to track ids
        Both sorted.
    """
    rows = usable_table[usable_table["track_id"].isin(track_ids) & usable_table["artist_id"].notna()]
    return {str(artist): sorted(own) for artist, own in rows.groupby("artist_id")["track_id"]}


def names_by_artist(usable_table: pd.DataFrame) -> dict[str, str | None]:
    """Give the name of every artist.

    Parameters
    ----------
    usable_table : pd.DataFrame
        Tracks.

    Returns
    -------
    dict of artist id to name
        The first that is written; None where none is.
    """
    names = usable_table.dropna(subset=["artist_id"]).groupby("artist_id")["artist"].first()
    return {str(artist): None if pd.isna(name) else str(name) for artist, name in names.items()}


def scores(
    songs: Embeddings,
    enrolments: Mapping[str, Sequence[str]],
    tests: Embeddings,
    *,
    plda: Plda | None,
    enrolment: str,
) -> np.ndarray:
    """Score songs against artists, by PLDA or by cosine.

    Parameters
    ----------
    songs : Embeddings
        Of the enrolled.
    enrolments : mapping of artist to track ids
        Who is enrolled by what.
    tests : Embeddings
        Of songs.
    plda : Plda or None
        None for cosine.
    enrolment : str
        How PLDA enrols.

    Returns
    -------
    np.ndarray [shape=(n_artists, n_tests)]
        Scores as the system makes them.
    """
    from artist_transfer.recognition.scoring import cosine_scores, enrol_vectors

    if plda is None:
        return cosine_scores(enrol_vectors(songs, enrolments), tests)
    return plda.scores(plda.enrol(songs, enrolments, by=enrolment), tests)


def open_set_tops(ratios: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the highest ratio of songs with and without their own artist among the enrolled.

    Parameters
    ----------
    ratios : np.ndarray [shape=(n_artists, n_tests)]
        Of songs whose artists are enrolled.
    truth : np.ndarray [shape=(n_tests,)]
        Row of each song's artist.

    Returns
    -------
    known : np.ndarray [shape=(n_tests,)]
        NaN where another artist has the highest.
    unknown : np.ndarray [shape=(n_tests,)]
        Highest of the others.
    """
    columns = np.arange(ratios.shape[1])
    own = ratios[truth, columns]
    others = ratios.copy()
    others[truth, columns] = -np.inf
    unknown = others.max(axis=0)
    return np.where(own > unknown, own, np.nan), unknown
