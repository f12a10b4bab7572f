"""Enrolment, cosine and s-norm: by hand, whatever the chunks, and refusals by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.enrolment import enrol
from artist_transfer.recognition.scoring import cosine_scores, enrol_vectors, s_norm


def named(vectors: np.ndarray, letter: str = "t") -> Embeddings:
    return Embeddings(tuple(f"{letter}{k:03d}" for k in range(len(vectors))), vectors)


def example(seed: int = 0) -> tuple[Embeddings, dict[str, list[str]], Embeddings]:
    draw = np.random.default_rng(seed)
    songs = named(draw.normal(size=(30, 5)).astype(np.float32) + 0.5)
    enrolments = {f"m{k}": list(songs.track_ids[5 * k : 5 * k + 3]) for k in (3, 0, 5, 1)}
    return songs, enrolments, named(draw.normal(size=(11, 5)), "s")


def test_models_are_averages_of_directions() -> None:
    songs, enrolments, _ = example()
    models = enrol_vectors(songs, enrolments)
    assert models.track_ids == ("m3", "m0", "m5", "m1")
    for own, ids in zip(models.vectors, enrolments.values()):
        units = [x / np.linalg.norm(x) for x in songs.of(ids).astype(float)]
        mean = np.mean(units, axis=0)
        np.testing.assert_allclose(own, mean / np.linalg.norm(mean), atol=1e-12)
    owner = {x: name for name, ids in enrolments.items() for x in ids}
    same = enrol(songs, owner, owner)
    np.testing.assert_allclose(models.of(same.artists), same.vectors, atol=1e-12)
    longer = Embeddings(songs.track_ids, songs.vectors * np.linspace(0.01, 100, 30)[:, None])
    np.testing.assert_allclose(enrol_vectors(longer, enrolments).vectors, models.vectors, atol=1e-6)


def test_cosines_are_scikit_learns_and_equal_vectors_tie() -> None:
    songs, enrolments, tests = example(1)
    models = enrol_vectors(songs, enrolments)
    scores = cosine_scores(models, tests)
    assert scores.shape == (4, 11)
    np.testing.assert_allclose(scores, cosine_similarity(models.vectors, tests.vectors), atol=1e-9)
    for rows in (1, 3, 50):
        np.testing.assert_array_equal(cosine_scores(models, tests, rows=rows), scores)
    twice = named(np.repeat(tests.vectors, 2, axis=0) * np.linspace(0.1, 9, 22)[:, None], "s")
    found = cosine_scores(models, twice)
    np.testing.assert_array_equal(found[:, ::2], found[:, 1::2])


def test_s_norm_by_hand() -> None:
    scores = np.array([[1.0, 3.0], [2.0, -1.0]])
    on_cohort = np.array([[0.0, 2.0, 4.0], [1.0, 1.0, 4.0]])  # means 2, 2; deviations √(8/3), √2
    on_tests = np.array([[0.0, 1.0], [2.0, 5.0], [1.0, 3.0]])  # means 1, 3; deviations √(2/3), √(8/3)
    own, other = np.sqrt(8 / 3), np.sqrt(2 / 3)
    expected = [
        [((1 - 2) / own + (1 - 1) / other) / 2, ((3 - 2) / own + (3 - 3) / own) / 2],
        [((2 - 2) / np.sqrt(2) + (2 - 1) / other) / 2, ((-1 - 2) / np.sqrt(2) + (-1 - 3) / own) / 2],
    ]
    np.testing.assert_allclose(s_norm(scores, on_cohort, on_tests), expected, atol=1e-12)
    nearest = s_norm(scores, on_cohort, on_tests, top=2)  # of the first model 2 and 4, of the first song 1 and 2
    assert nearest[0, 0] == pytest.approx(((1 - 3) / 1 + (1 - 1.5) / 0.5) / 2)
    assert nearest[0, 1] == pytest.approx(((3 - 3) / 1 + (3 - 4) / 1) / 2)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), top=st.one_of(st.none(), st.integers(2, 9)), chunk=st.integers(1, 9))
def test_s_norm_forgets_units_and_the_order_of_the_cohort(seed: int, top: int | None, chunk: int) -> None:
    draw = np.random.default_rng(seed)
    scores, on_cohort, on_tests = draw.normal(size=(7, 4)), draw.normal(size=(7, 9)), draw.normal(size=(9, 4))
    expected = s_norm(scores, on_cohort, on_tests, top=top)
    a, b = draw.uniform(0.1, 10), draw.normal()
    again = s_norm(a * scores + b, a * on_cohort + b, a * on_tests + b, top=top)
    np.testing.assert_allclose(again, expected, atol=1e-8)
    one, other = draw.permutation(9), draw.permutation(9)
    turned = s_norm(scores, on_cohort[:, one], on_tests[other], top=top, chunk=chunk)
    np.testing.assert_array_equal(turned, expected)


def test_s_norm_takes_away_what_belongs_to_one_side() -> None:
    draw = np.random.default_rng(3)
    shift, stretch = draw.normal(size=(20, 1)), draw.uniform(0.2, 5, size=(20, 1))
    base, on_tests = draw.normal(size=(20, 50)), draw.normal(size=(400, 50))
    on_cohort = draw.normal(size=(20, 400))
    plain = s_norm(base, on_cohort, on_tests)
    z_only = 2 * s_norm(stretch * base + shift, stretch * on_cohort + shift, on_tests)
    z_only -= (stretch * base + shift - on_tests.mean(axis=0)) / on_tests.std(axis=0)
    model_part = 2 * plain - (base - on_tests.mean(axis=0)) / on_tests.std(axis=0)
    np.testing.assert_allclose(z_only, model_part, atol=1e-9)


def test_refusals() -> None:
    songs, enrolments, _ = example()
    vectors = songs.vectors.copy()
    vectors[songs.track_ids.index(enrolments["m5"][1])] = 0
    with pytest.raises(ArtistTransferError, match=r"artist 'm5': no cosine can be taken of a zero vector: 't026'"):
        enrol_vectors(Embeddings(songs.track_ids, vectors), enrolments)
    with pytest.raises(
        ArtistTransferError, match="artist 'x': embeddings: no vector of 1 tracks, the first is 'nobody'"
    ):
        enrol_vectors(songs, {"x": ["nobody"]})
    with pytest.raises(ArtistTransferError, match="no song of 'x'"):
        enrol_vectors(songs, enrolments | {"x": []})
    with pytest.raises(ArtistTransferError, match="cancel out: 'x'"):
        enrol_vectors(named(np.array([[1.0, 2], [-1, -2]])), {"x": ["t000", "t001"]})
    with pytest.raises(ArtistTransferError, match="width 5 cannot be compared with vectors of width 2"):
        cosine_scores(enrol_vectors(songs, enrolments), named(np.ones((1, 2))))
    with pytest.raises(ArtistTransferError, match="zero vector: 's000'"):
        cosine_scores(enrol_vectors(songs, enrolments), named(np.zeros((1, 5)), "s"))

    draw = np.random.default_rng(0)
    scores, on_cohort, on_tests = draw.normal(size=(3, 4)), draw.normal(size=(3, 6)), draw.normal(size=(6, 4))
    flat, silent = on_cohort.copy(), on_tests.copy()
    flat[1], silent[:, 2] = 0.1, 0.3
    with pytest.raises(ArtistTransferError, match=r"1 models do not vary.*: 'b'"):
        s_norm(scores, flat, on_tests, models=["a", "b", "c"])
    with pytest.raises(ArtistTransferError, match=r"1 test songs do not vary.*: number 2"):
        s_norm(scores, on_cohort, silent)
    with pytest.raises(ArtistTransferError, match=r"needed, found \(3, 4\), \(6, 3\), \(6, 4\)"):
        s_norm(scores, on_cohort.T, on_tests)
    for top in (1, 7):
        with pytest.raises(ArtistTransferError, match=rf"from 2 to the size of the cohort \(6\), found {top}"):
            s_norm(scores, on_cohort, on_tests, top=top)
    on_tests[0, 0] = np.nan
    with pytest.raises(ArtistTransferError, match="1 of the cohort on tests are not finite"):
        s_norm(scores, on_cohort, on_tests)
