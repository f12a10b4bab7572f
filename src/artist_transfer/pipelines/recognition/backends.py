"""Scores of one encoder's vectors: by cosine and by PLDA, each also normalised by a cohort of training artists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.recognition.params import RecognitionBlock
from artist_transfer.pipelines.recognition.unheard import HeardTrials

if TYPE_CHECKING:
    import torch

    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.evaluation.recognition import RecognitionProtocol
    from artist_transfer.recognition.plda import PldaModels

COSINE, PLDA = "cosine", "plda"
NORMED = "_s_norm"

Cell = tuple[str, str]
"""A target's name and a role: validation or test."""
Scores = dict[Cell, np.ndarray]
"""Matrices (models, tests) by target and role."""


@dataclass(frozen=True)
class Learned:
    """The songs that systems of a fold and set learned from, and what they are tried on.

    Attributes
    ----------
    train_ids : tuple of str
        Songs of the training artists, of the run's own corpus.
    artists : mapping of track id to artist id
        Theirs.
    protocols : mapping of Cell to RecognitionProtocol
        Trials.
    """

    train_ids: tuple[str, ...]
    artists: Mapping[str, str]
    protocols: Mapping[Cell, RecognitionProtocol]

    def heard_in(self, vectors: Embeddings) -> Learned:
        """Keep the training songs that there are vectors of.

        Parameters
        ----------
        vectors : Embeddings
            Of the run's own corpus.

        Returns
        -------
        Learned
            With the same trials.
        """
        there = set(vectors.track_ids)
        return replace(self, train_ids=tuple(track for track in self.train_ids if track in there))

    def cohort(self, most: int) -> dict[str, list[str]]:
        """Choose the songs that s-norm compares with: one of every artist, then a second of every artist, and so on.

        Parameters
        ----------
        most : int
            How many.

        Returns
        -------
        dict of track id to list of that track id
            Each song by itself, as a model and as a test: what the scores of a test song have to be compared with are
            scores of single songs.
        """
        from artist_transfer.corpora.songs import drawn_order

        own: dict[str, list[str]] = {}
        for track in drawn_order(self.train_ids, seed=0, purpose="cohort songs"):
            own.setdefault(self.artists[track], []).append(track)
        order = drawn_order(own, seed=0, purpose="cohort artists")
        rounds = max(map(len, own.values()), default=0)
        songs = [own[artist][k] for k in range(rounds) for artist in order if k < len(own[artist])]
        return {track: [track] for track in songs[:most]}


def vector_scores(
    vectors: Mapping[str, Embeddings],
    learned: Learned,
    recognition: RecognitionBlock,
    *,
    device: torch.device,
    skip: Callable[[str, str], None],
) -> dict[str, Scores]:
    """Score an encoder's vectors in every way.

    Parameters
    ----------
    vectors : mapping of target to Embeddings
        ``self`` has the training songs too. Songs may be missing: see `artist_transfer.pipelines.recognition.unheard`.
    learned : Learned
        Training songs and trials.
    recognition : RecognitionBlock
        How.
    device : torch.device
        Where PLDA works.
    skip : callable
        Told a scoring that is not possible and the reason.

    Returns
    -------
    dict of scoring to Scores
        cosine, plda, and with `s_norm` their normalised forms.
    """
    found: dict[str, Scores] = {}
    learned = learned.heard_in(vectors["self"])
    for scoring, score in ((COSINE, _cosine), (PLDA, _plda)):
        try:
            found[scoring], normed = score(vectors, learned, recognition, device)
        except ArtistTransferError as error:
            skip(scoring, str(error))
            continue
        if recognition.s_norm:
            try:
                found[scoring + NORMED] = {cell: normed[cell]() for cell in learned.protocols}
            except ArtistTransferError as error:
                skip(scoring + NORMED, str(error))
    return found


def discriminated(vectors: Mapping[str, Embeddings], learned: Learned, n_components: int) -> dict[str, Embeddings]:
    """Project vectors by a linear discriminant of the training artists.

    Parameters
    ----------
    vectors : mapping of target to Embeddings
        Of one encoder.
    learned : Learned
        Training songs.
    n_components : int
        At most.

    Returns
    -------
    dict of target to Embeddings
        Projected.
    """
    from artist_transfer.evaluation.linear_discriminant import fit_linear_discriminant

    train_ids = learned.heard_in(vectors["self"]).train_ids
    fitted = fit_linear_discriminant(
        vectors["self"], learned.artists, train_ids, n_components=n_components, solver="eigen", shrinkage="auto"
    )
    return {target: fitted.transform(own) for target, own in vectors.items()}


Normed = dict[Cell, Callable[[], np.ndarray]]


def _cosine(
    vectors: Mapping[str, Embeddings], learned: Learned, recognition: RecognitionBlock, device: torch.device
) -> tuple[Scores, Normed]:
    from artist_transfer.recognition.scoring import cosine_scores, enrol_vectors

    plain: Scores = {}
    normed: Normed = {}
    for cell, protocol in learned.protocols.items():
        own = vectors[cell[0]]
        trials = HeardTrials.of(protocol, own)
        models, tests = enrol_vectors(own, trials.groups), own.subset(trials.test_ids)
        scores = cosine_scores(models, tests)
        plain[cell] = trials.spread(scores)

        def normalise(
            trials: HeardTrials = trials,
            models: Embeddings = models,
            tests: Embeddings = tests,
            scores: np.ndarray = scores,
        ) -> np.ndarray:
            cohort = vectors["self"].subset(list(learned.cohort(recognition.cohort)))
            on_cohort, on_tests = cosine_scores(models, cohort), cosine_scores(cohort, tests)
            return trials.spread(normalised(scores, on_cohort, on_tests, recognition, trials))

        normed[cell] = normalise
    return plain, normed


def _plda(
    vectors: Mapping[str, Embeddings], learned: Learned, recognition: RecognitionBlock, device: torch.device
) -> tuple[Scores, Normed]:
    from artist_transfer.recognition.plda_fit import fit_plda

    settings = recognition.plda.model_dump(exclude={"enrolment"})
    plda, _ = fit_plda(vectors["self"], learned.artists, learned.train_ids, device=device, **settings)
    by = recognition.plda.enrolment
    plain: Scores = {}
    normed: Normed = {}
    for cell, protocol in learned.protocols.items():
        own = vectors[cell[0]]
        trials = HeardTrials.of(protocol, own)
        models, tests = plda.enrol(own, trials.groups, by=by), own.subset(trials.test_ids)
        scores = plda.scores(models, tests, device=device)
        plain[cell] = trials.spread(scores)

        def normalise(
            trials: HeardTrials = trials,
            models: PldaModels = models,
            tests: Embeddings = tests,
            scores: np.ndarray = scores,
        ) -> np.ndarray:
            songs = learned.cohort(recognition.cohort)
            cohort = plda.enrol(vectors["self"], songs, by=by)
            on_cohort = plda.scores(models, vectors["self"].subset(list(songs)), device=device)
            on_tests = plda.scores(cohort, tests, device=device)
            return trials.spread(normalised(scores, on_cohort, on_tests, recognition, trials))

        normed[cell] = normalise
    return plain, normed


def normalised(
    scores: np.ndarray,
    models_on_cohort: np.ndarray,
    cohort_on_tests: np.ndarray,
    recognition: RecognitionBlock,
    protocol: RecognitionProtocol | HeardTrials,
) -> np.ndarray:
    """Apply s-norm with the parameters of the run.

    Parameters
    ----------
    scores, models_on_cohort, cohort_on_tests : np.ndarray
        As `artist_transfer.recognition.scoring.s_norm` takes them.
    recognition : RecognitionBlock
        How many of the cohort.
    protocol : RecognitionProtocol or HeardTrials
        Names, for errors.

    Returns
    -------
    np.ndarray
        Normalised scores.
    """
    from artist_transfer.recognition.scoring import s_norm

    top = recognition.cohort_top
    return s_norm(
        scores,
        models_on_cohort,
        cohort_on_tests,
        top=None if top is None else min(top, models_on_cohort.shape[1]),
        models=protocol.artists,
        tests=protocol.test_ids,
    )
