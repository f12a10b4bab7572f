"""Scores of song vectors against artists: enrolment by average, cosine, and normalisation of scores by a cohort.

References
----------
DeepArtistID: Park, Lee, Park, Ha, Nam, "Representation Learning of Music Using Artist Labels", first version,
section 3: the songs of an artist are summarised to one model, scored by cosine.
Shum, Dehak, Dehak, Glass, "Unsupervised speaker adaptation based on the cosine similarity for text-independent speaker
verification", Odyssey 2010: symmetric normalisation. Matějka et al., "Analysis of score normalization in multilingual
speaker recognition", Interspeech 2017: adaptive, with the nearest of the cohort.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import GRID, check_width, map_blocks, some, unit_vectors
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.recognition.plda import check_enrolments

CHUNK = 256  # rows at once
NEGLIGIBLE = 1e-9


def enrol_vectors(embeddings: Embeddings, enrolments: Mapping[str, Sequence[str]]) -> Embeddings:
    """Average the length-normalised vectors of each artist's songs, and normalise again.

    Parameters
    ----------
    embeddings : Embeddings
        Others than the enrolled songs may be among them.
    enrolments : mapping of artist to track ids

    Returns
    -------
    Embeddings, float64, of length 1
        One an artist; `track_ids` are the artists, in the order of the enrolments.

    Raises
    ------
    ArtistTransferError
        If an artist has no song or a song twice, or its songs have no vector, a zero vector, or cancel out.
    """
    check_enrolments(enrolments)
    vectors = np.empty((len(enrolments), embeddings.width))
    none = []
    for row, (artist, songs) in enumerate(enrolments.items()):
        try:
            units = unit_vectors(embeddings, embeddings.rows(sorted(songs)))
        except ArtistTransferError as error:
            raise ArtistTransferError(f"enrolment of artist {artist!r}: {error}") from error
        mean = units.mean(axis=0)
        length = float(np.linalg.norm(mean))
        if length <= NEGLIGIBLE:
            none.append(artist)
            continue
        vectors[row] = mean / length
    if none:
        raise ArtistTransferError(f"enrolment: the songs of an artist cancel out: {some(none)}")
    return Embeddings(tuple(enrolments), vectors)


def cosine_scores(models: Embeddings, tests: Embeddings, *, rows: int | None = None) -> np.ndarray:
    """Take the cosine of every model with every test song.

    Parameters
    ----------
    models, tests : Embeddings
    rows : int > 0, optional
        Models at once; changes nothing but memory and time.

    Returns
    -------
    np.ndarray [shape=(n_models, n_tests)], float64
        On a grid of 2⁻³⁰, so that equal vectors tie exactly.

    Raises
    ------
    ArtistTransferError
        If the widths differ, or a vector is zero (named).
    """
    check_width(models, tests)
    out = np.empty((len(models.track_ids), len(tests.track_ids)))

    def keep(start: int, block: np.ndarray) -> None:
        np.divide(block, GRID, out=out[start : start + len(block)])

    for _ in map_blocks(keep, unit_vectors(models), unit_vectors(tests), rows=rows):
        pass
    return out


def s_norm(
    scores: np.ndarray,
    models_on_cohort: np.ndarray,
    cohort_on_tests: np.ndarray,
    *,
    top: int | None = None,
    models: Sequence[str] | None = None,
    tests: Sequence[str] | None = None,
    chunk: int = CHUNK,
) -> np.ndarray:
    """Normalise scores by those of a cohort, symmetrically: the mean of both sides' z-scores.

    The cohort must be songs or artists of the training set, none of them under test.

    Parameters
    ----------
    scores : np.ndarray [shape=(n_models, n_tests)]
    models_on_cohort : np.ndarray [shape=(n_models, n_cohort)]
        Of each model with the songs of the cohort.
    cohort_on_tests : np.ndarray [shape=(n_cohort, n_tests)]
        Of each of the cohort, as a model, with the test songs.
    top : int > 1, optional
        Only the largest of each model's and of each test song's cohort scores; default all.
    models, tests : sequence of str, optional
        Their names, for errors.
    chunk : int > 0
        Rows at once; changes nothing but memory and time.

    Returns
    -------
    np.ndarray [shape=(n_models, n_tests)], float64

    Raises
    ------
    ArtistTransferError
        If shapes do not fit, a score is not finite, `top` is impossible, or the cohort scores of a model or a test song
        do not vary (named).
    """
    scores, on_cohort, on_tests = (np.asarray(x, dtype=np.float64) for x in (scores, models_on_cohort, cohort_on_tests))
    _check(scores, on_cohort, on_tests, top)
    mean_m, deviation_m = _moments(on_cohort, top, chunk, "model", models)
    mean_t, deviation_t = _moments(on_tests.T, top, chunk, "test song", tests)
    out = np.empty_like(scores)
    for start in range(0, len(out), chunk):
        here = slice(start, start + chunk)
        out[here] = (scores[here] - mean_m[here, None]) / deviation_m[here, None]
        out[here] += (scores[here] - mean_t) / deviation_t
    out /= 2
    return out


def _moments(
    cohort: np.ndarray, top: int | None, chunk: int, what: str, names: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each row's largest."""
    mean, deviation = np.empty(len(cohort)), np.empty(len(cohort))
    size = cohort.shape[1]
    for start in range(0, len(cohort), chunk):
        part = np.ascontiguousarray(cohort[start : start + chunk])
        if top is not None and top < size:
            part = np.partition(part, size - top, axis=1)[:, size - top :]
        part = np.sort(part, axis=1)  # what they sum to does not depend on the order of the cohort
        mean[start : start + chunk], deviation[start : start + chunk] = part.mean(axis=1), part.std(axis=1)
    flat = np.flatnonzero(deviation <= NEGLIGIBLE * (np.abs(mean) + NEGLIGIBLE))
    if len(flat):
        named = some([names[int(k)] for k in flat]) if names is not None else f"number {flat[0]}"
        raise ArtistTransferError(
            f"s-norm: the cohort scores of {len(flat)} {what}s do not vary, so nothing can be divided by: {named}"
        )
    return mean, deviation


def _check(scores: np.ndarray, on_cohort: np.ndarray, on_tests: np.ndarray, top: int | None) -> None:
    shapes = scores.shape, on_cohort.shape, on_tests.shape
    fits = all(len(shape) == 2 for shape in shapes)
    fits = fits and shapes[1] == (shapes[0][0], shapes[2][0]) and shapes[2][1] == shapes[0][1]
    if not fits:
        raise ArtistTransferError(
            "s-norm: scores (models, tests), models on cohort (models, cohort) and cohort on tests (cohort, tests) are "
            f"needed, found {', '.join(map(str, shapes))}"
        )
    size = shapes[1][1]
    if size < 2 or (top is not None and not 2 <= top <= size):
        raise ArtistTransferError(f"s-norm: top must be from 2 to the size of the cohort ({size}), found {top}")
    for name, part in zip(("scores", "models on cohort", "cohort on tests"), (scores, on_cohort, on_tests)):
        bad = int((~np.isfinite(part)).sum())
        if bad:
            raise ArtistTransferError(f"s-norm: {bad} of the {name} are not finite")
