"""Lists on disk: anybody can read, hash and score them; scores that are of other trials or no numbers are refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.recognition_protocol import RecognitionProtocol
from artist_transfer.evaluation.trial_lists import (
    check_scores,
    hash_of_files,
    read_scores,
    read_trials,
    write_scores,
    write_trials,
)

ODD = ("007", "NA", 'the "quoted", with comma', "Ümlaut — 音", " spaced ", "# hash", "two\nlines", "nan", "1e3")


def protocol(artists: tuple[str, ...] = ("a", "b", "c"), tests: int = 2) -> RecognitionProtocol:
    enrolled = [(artist, f"{artist}/e{k}") for artist in artists for k in range(3)]
    tested = [(artist, f"{artist}/t{k}") for artist in artists for k in range(tests)]
    columns = ["artist_id", "track_id"]
    return RecognitionProtocol(pd.DataFrame(enrolled, columns=columns), pd.DataFrame(tested, columns=columns))


def some_scores(of: RecognitionProtocol) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(of.artists), len(of.test_ids)))


@pytest.fixture
def written(tmp_path: Path) -> tuple[RecognitionProtocol, np.ndarray, Path]:
    drawn = protocol()
    scores = some_scores(drawn)
    write_scores(tmp_path / "scores.csv", drawn, scores)
    return drawn, scores, tmp_path / "scores.csv"


@pytest.mark.parametrize("artists", [("a", "b", "c"), ODD])
def test_there_and_back(artists: tuple[str, ...], tmp_path: Path) -> None:
    drawn = protocol(artists)
    assert write_trials(tmp_path / "lists", drawn) == drawn.hash
    again = read_trials(tmp_path / "lists", expected=drawn.hash)
    assert again.hash == drawn.hash and again.artists == tuple(sorted(artists))
    pd.testing.assert_frame_equal(again.enrolments, drawn.enrolments)
    pd.testing.assert_frame_equal(again.tests, drawn.tests)
    scores = some_scores(drawn)
    write_scores(tmp_path / "scores.csv", drawn, scores)
    np.testing.assert_array_equal(read_scores(tmp_path / "scores.csv", again), scores)  # to the last bit


def test_the_hash_is_that_of_the_files(tmp_path: Path) -> None:
    drawn = protocol(ODD)
    write_trials(tmp_path, drawn)
    both = (tmp_path / "enrolments.csv").read_bytes() + (tmp_path / "trials.csv").read_bytes()
    assert drawn.hash == hashlib.sha256(both).hexdigest() == hash_of_files(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_trials(tmp_path, drawn)
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_anybody_can_read_and_score_them(tmp_path: Path) -> None:
    """With nothing but a reader of CSV."""
    drawn = protocol()
    write_trials(tmp_path, drawn)
    trials = pd.read_csv(tmp_path / "trials.csv")
    assert trials.to_csv(index=False, lineterminator="\n") == (tmp_path / "trials.csv").read_text()
    np.testing.assert_array_equal(trials["target"].to_numpy().reshape(3, 6), drawn.targets())
    trials["score"] = np.arange(len(trials)) / 7
    shuffled = trials.sample(frac=1, random_state=0)[["score", "track_id", "target", "model"]]
    shuffled.to_csv(tmp_path / "mine.csv", index=False)
    np.testing.assert_allclose(read_scores(tmp_path / "mine.csv", drawn), (np.arange(18) / 7).reshape(3, 6))
    write_scores(tmp_path / "scores.csv", drawn, np.eye(3, 6), mark=False)
    assert list(pd.read_csv(tmp_path / "scores.csv").columns) == ["model", "track_id", "score"]
    assert read_scores(tmp_path / "scores.csv", drawn).sum() == 3


def edited(path: Path, **changes: object) -> None:
    """Change cells ``row: score`` below the mark and the header."""
    lines = path.read_text().splitlines()
    for row, value in changes.items():
        at = int(row[1:]) + 1
        lines[at] = ",".join([*lines[at].split(",")[:2], str(value)])
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf", "", "high", "1,5"])
def test_no_finite_number(written: tuple, value: str) -> None:
    drawn, _, path = written
    edited(path, r3=value, r7=value)
    if value == "1,5":  # one cell too many
        with pytest.raises(ArtistTransferError, match=r"scores.csv: cannot be read as CSV"):
            read_scores(path, drawn)
        return
    said = r"scores.csv: 2 scores are no finite numbers, the first in row 3: '.*' of model 'a' and track 'b/t0'"
    with pytest.raises(ArtistTransferError, match=said):
        read_scores(path, drawn)


def test_trials_that_are_missing_twice_or_unknown(written: tuple) -> None:
    drawn, _, path = written
    lines = path.read_text().splitlines(keepends=True)
    for kept, said in (
        (lines[:5] + lines[6:9] + lines[10:], "2 trials of 18 are missing, the first: model 'a' and track 'b/t1'"),
        ([*lines, lines[4]], "1 trials of 18 stand twice or more, the first: model 'a' and track 'b/t0'"),
        ([*lines, "a,strange,1\n", "z,a/t0,1\n"], "2 trials are not in the list, the first in row 19: .*'strange'"),
        (lines[:2], "18 trials of 18 are missing"),
    ):
        path.write_text("".join(kept))
        with pytest.raises(ArtistTransferError, match=said):
            read_scores(path, drawn)


def test_scores_of_another_list(written: tuple) -> None:
    drawn, scores, path = written
    fewer = RecognitionProtocol(drawn.enrolments.drop(index=0), drawn.tests)  # the same trials, another enrolment
    with pytest.raises(ArtistTransferError, match=f"is of the trials {drawn.hash}, but the list is {fewer.hash}"):
        read_scores(path, fewer)
    path.write_text(path.read_text().replace(f"# trials {drawn.hash}\n", ""))
    np.testing.assert_array_equal(read_scores(path, fewer), scores)  # nobody said which list


def test_files_that_are_no_lists(tmp_path: Path, written: tuple) -> None:
    drawn, _, path = written
    with pytest.raises(ArtistTransferError, match=r"absent.csv: cannot be read"):
        read_scores(tmp_path / "absent.csv", drawn)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ArtistTransferError, match=r"empty.csv: cannot be read"):
        read_scores(tmp_path / "empty.csv", drawn)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArtistTransferError, match=r"bytes.csv: cannot be read"):
        read_scores(tmp_path / "bytes.csv", drawn)
    path.write_text(path.read_text().replace("track_id", "song"))
    with pytest.raises(ArtistTransferError, match=r"no column track_id; there are model, song, score"):
        read_scores(path, drawn)


def test_lists_that_were_changed(tmp_path: Path) -> None:
    drawn = protocol()
    write_trials(tmp_path, drawn)
    trials, enrolments = (tmp_path / name for name in ("trials.csv", "enrolments.csv"))
    good = {path: path.read_text() for path in (trials, enrolments)}
    for path, old, new, said in (
        (trials, "a,a/t0,1", "a,a/t0,yes", "row 1: target must be 1 or 0, found 'yes'"),
        (trials, "a,b/t0,0", "a,b/t0,1", "target of several models: 'b/t0'"),
        (trials, "a,a/t0,1", "a,a/t0,0", "target of no model: 'a/t0'"),
        (trials, "a,b/t0,0\n", "", "1 trials of 18 are missing"),
        (trials, "a,b/t0,0\n", "a,b/t0,0\n" * 2, "1 trials of 18 stand twice"),
        (enrolments, "a,a/e0\n", "", f"the lists have the hash .*, expected was {drawn.hash}"),
        (enrolments, "a,a/e0\n", "a,a/t0\n", "twice: 'a/t0'"),
    ):
        path.write_text(good[path].replace(old, new, 1))
        with pytest.raises(ArtistTransferError, match=said):
            read_trials(tmp_path)
        path.write_text(good[path])
    with pytest.raises(ArtistTransferError, match="expected was 0000"):
        read_trials(tmp_path, expected="0000")
    (tmp_path / "trials.json").unlink()
    assert read_trials(tmp_path).hash == drawn.hash


def test_a_matrix_of_other_trials_or_not_finite(tmp_path: Path) -> None:
    drawn = protocol()
    scores = some_scores(drawn)
    scores[1, 4] = np.nan
    said = r"net: 1 scores are not finite, the first \(nan\) of model 'b' and track 'c/t0'"
    with pytest.raises(ArtistTransferError, match=said):
        check_scores(scores, drawn, name="net")
    with pytest.raises(ArtistTransferError, match="not finite"):
        write_scores(tmp_path / "scores.csv", drawn, scores)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ArtistTransferError, match=r"3 models and 6 tests, but a shape of \(6, 3\)"):
        check_scores(scores.T, drawn)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "cannot be read as JSON"),
        ("{", "cannot be read as JSON"),
        ("[]", "has no sha256"),
        ("{}", "has no sha256"),
        ('{"sha256": 1}', "has no sha256"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("\xff", "cannot be read as JSON"),
    ],
)
def test_a_damaged_card_is_named(tmp_path: Path, content: str, said: str) -> None:
    drawn = protocol()
    write_trials(tmp_path, drawn)
    (tmp_path / "trials.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ArtistTransferError, match=rf"trials.json: {said}"):
        read_trials(tmp_path)
    assert read_trials(tmp_path, expected=drawn.hash).hash == drawn.hash


def test_scores_with_a_mark_of_bytes_or_cells_to_spare(written: tuple) -> None:
    drawn, scores, path = written
    good = path.read_text()
    path.write_text("\ufeff" + good)  # as spreadsheets write it
    np.testing.assert_array_equal(read_scores(path, drawn), scores)
    mark, header, *rows = good.splitlines()
    for surplus in (",", ",7"):
        path.write_text("\n".join([mark, header, *(f"{row}{surplus}" for row in rows)]) + "\n")
        with pytest.raises(ArtistTransferError, match="rows have more cells than the header"):
            read_scores(path, drawn)
