"""What a recogniser answers, and when a song is nobody's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.pipelines.recognition_problem import recogniser

from artist_transfer.artifacts import open_folder
from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.pipelines.recognise.answers import NOBODY, answer_table
from artist_transfer.pipelines.recognise.recogniser import Recogniser, open_set_tops
from artist_transfer.recognition.plda import Plda


def test_the_threshold_has_the_least_expected_error() -> None:
    known, unknown = [1.0, 3.0, np.nan, 5.0], [-1.0, 0.0, 2.0, 4.0]
    one = recogniser(known, unknown)
    for prior in (0.1, 0.5, 0.9):
        threshold, away, taken = one.threshold(prior)
        right = [value for value in known if value == value]
        assert away == (1 + sum(value < threshold for value in right)) / 4
        assert taken == sum(value >= threshold for value in unknown) / 4
        cost = prior * away + (1 - prior) * taken
        for other in np.linspace(-3, 7, 201):
            misses = (1 + sum(value < other for value in right)) / 4
            assert cost <= prior * misses + (1 - prior) * sum(value >= other for value in unknown) / 4 + 1e-12


def test_an_unknown_song_is_nobodys() -> None:
    one = recogniser([4.0, 5.0], [-2.0, -1.0])
    threshold, _, _ = one.threshold(0.5)

    tests = Embeddings(("x", "y"), np.array([[1.0, 0.02], [-1.0, -1.0]]))
    table = answer_table(one, ["x.ogg", "y.ogg"], one.ratios(tests), threshold, top=2)
    assert table.groupby("file")["answer"].first().to_dict() == {"x.ogg": "Anna", "y.ogg": NOBODY}
    assert table["artist"].tolist()[:2] == ["Anna", "Bert"]
    assert table.groupby("file")["score"].apply(lambda s: s.is_monotonic_decreasing).all()


def test_tops_with_and_without_the_own_artist() -> None:
    ratios = np.array([[3.0, 1.0], [2.0, 0.0], [-1.0, 2.0]])
    known, unknown = open_set_tops(ratios, np.array([0, 1]))
    np.testing.assert_array_equal(known, [3.0, np.nan])
    np.testing.assert_array_equal(unknown, [2.0, 2.0])


def test_a_recogniser_is_read_as_it_was_written(tmp_path: Path) -> None:
    one = recogniser([1.0, np.nan], [0.0, -1.0])
    one.save(tmp_path / "r")
    again = Recogniser.load(tmp_path / "r")
    assert (again.enrolments, again.names, again.calibration) == (one.enrolments, one.names, one.calibration)
    np.testing.assert_array_equal(again.known, one.known)
    assert again.threshold(0.5) == one.threshold(0.5)
    (tmp_path / "r" / "vectors.npy").write_bytes(b"damaged")
    with pytest.warns(UserWarning), pytest.raises(ArtistTransferError, match="artist_recognition"):
        Recogniser.load(tmp_path / "r")


def test_no_damaged_file_of_a_recogniser_is_taken_for_whole(tmp_path: Path) -> None:
    plda = Plda.of_parameters(np.zeros(2), np.eye(2), np.eye(2))
    one = replace(recogniser([1.0], [0.0]), plda=plda)
    one.save(tmp_path)
    again = Recogniser.load(tmp_path)
    assert again.plda is not None and again.plda.between.tolist() == plda.between.tolist()
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(files) == 6
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
        with pytest.warns(UserWarning, match=path.name):
            assert open_folder(tmp_path) is None
        one.save(tmp_path)  # as a run does that finds it so
        assert path.read_bytes() == content and open_folder(tmp_path) is not None
