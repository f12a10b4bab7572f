"""Lists of trials that anybody can score, and the scores that come back.

A folder of lists has three files, all CSV in UTF-8 with a header, commas and plain line feeds:

* ``enrolments.csv``: ``model, track_id`` — the songs of which each artist's model is made;
* ``trials.csv``: ``model, track_id, target`` — every test song with every model; target is 1 or 0;
* ``trials.json``: the hash of the lists and the number of rows. ``cat enrolments.csv trials.csv | sha256sum`` prints
  the same hash.

Scores come as ``model, track_id, score`` with one row a trial in any order, higher for more alike. A first line ``#
trials <hash>`` says which list they are of; `write_scores` writes it, and it is compared if it is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from artist_transfer.artifacts import atomic_path, read_json, write_json
from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import some
from artist_transfer.evaluation.csv_file import read_csv_strictly
from artist_transfer.evaluation.recognition_protocol import (
    RecognitionProtocol,
    csv_cell,
    enrolment_lines,
    trial_lines,
)

ENROLMENTS, TRIALS, CARD = "enrolments.csv", "trials.csv", "trials.json"
MARK = "# trials "
YES, NO = ("1", "true", "True", "target"), ("0", "false", "False", "nontarget")


def write_trials(folder: str | Path, protocol: RecognitionProtocol) -> str:
    """Write the lists of a protocol.

    Parameters
    ----------
    folder : str or Path
        It is made; files of these names are replaced.
    protocol : RecognitionProtocol

    Returns
    -------
    str
        The hash of the lists.
    """
    folder = Path(folder)
    _write(folder / ENROLMENTS, enrolment_lines(protocol.enrolment_groups))
    _write(folder / TRIALS, trial_lines(protocol.artists, protocol.test_ids, protocol.truth))
    enrolled, n = len(protocol.enrolments), len(protocol.test_ids)
    card = {"sha256": protocol.hash, "enrolments": enrolled, "models": len(protocol.artists), "tests": n}
    write_json(folder / CARD, card | {"trials": n * len(protocol.artists)})
    return protocol.hash


def read_trials(folder: str | Path, *, expected: str | None = None) -> RecognitionProtocol:
    """Read the lists of a protocol.

    Parameters
    ----------
    folder : str or Path
        As of `write_trials`.
    expected : str, optional
        The hash that the lists must have; without it that of ``trials.json``, if the file is there.

    Returns
    -------
    RecognitionProtocol
        Without what was left out.

    Raises
    ------
    ArtistTransferError
        If a file or column is missing, a target is neither 1 nor 0, a trial is missing or stands twice, a track has
        several artists or none, or the hash is another.
    """
    folder = Path(folder)
    enrolments, trials = _read(folder / ENROLMENTS, 2), _read(folder / TRIALS, 3)
    is_target = trials["target"].isin(YES)
    strange = np.flatnonzero(~(is_target | trials["target"].isin(NO)))
    if len(strange):
        row = trials.iloc[strange[0]]
        _refuse(folder / TRIALS, f"row {row.name}: target must be 1 or 0, found {row['target']!r}")
    targets = trials[is_target]
    several = targets[targets.duplicated("track_id")]
    if len(several):
        _refuse(
            folder / TRIALS, f"tracks that are a target of several models: {some(sorted(set(several['track_id'])))}"
        )
    nobody = sorted(set(trials["track_id"]) - set(targets["track_id"]))
    if nobody:
        _refuse(folder / TRIALS, f"tracks that are a target of no model: {some(nobody)}")
    protocol = RecognitionProtocol(
        enrolments.rename(columns={"model": "artist_id"}), targets.rename(columns={"model": "artist_id"})
    )
    _places(trials, protocol, folder / TRIALS)
    found = expected
    if expected is None and (folder / CARD).is_file():
        found = _carded_hash(folder / CARD)
    if found is not None and protocol.hash != found:
        raise ArtistTransferError(f"{folder}: the lists have the hash {protocol.hash}, expected was {found}")
    return protocol


def write_scores(path: str | Path, protocol: RecognitionProtocol, scores: np.ndarray, *, mark: bool = True) -> None:
    """Write the scores of a list of trials.

    Parameters
    ----------
    path : str or Path
    protocol : RecognitionProtocol
        Of M models and n tests.
    scores : np.ndarray [shape=(M, n)], finite
    mark : bool
        Whether the first line says which list they are of.

    Raises
    ------
    ArtistTransferError
        If the shape is another or a score is not finite; the trial is named.
    """
    check_scores(scores, protocol)
    cells = [csv_cell(track) for track in protocol.test_ids]

    def lines() -> Iterator[str]:
        yield f"{MARK}{protocol.hash}\n" * mark + "model,track_id,score\n"
        for model, row in zip(protocol.artists, scores):
            name = csv_cell(model)
            # as many digits as it takes to read the same number again
            yield "".join(f"{name},{cell},{value!r}\n" for cell, value in zip(cells, row.tolist()))

    _write(Path(path), lines())


def read_scores(path: str | Path, protocol: RecognitionProtocol) -> np.ndarray:
    """Read the scores of a list of trials.

    Parameters
    ----------
    path : str or Path
        ``model, track_id, score``, rows and columns in any order; other columns are not read.
    protocol : RecognitionProtocol
        Of M models and n tests.

    Returns
    -------
    np.ndarray [shape=(M, n)], float64, finite

    Raises
    ------
    ArtistTransferError
        If the file says that it is of another list, a column is missing, a score is no finite number (its row is
        named), or trials are missing, unknown or stand twice (they are counted and named).
    """
    path = Path(path)
    table = _read(path, 3, values="score", expected=protocol.hash)
    values = pd.to_numeric(table["score"], errors="coerce").to_numpy(dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        row = table.iloc[bad[0]]
        _refuse(
            path,
            f"{len(bad):,} scores are no finite numbers, the first in row {row.name}: {row['score']!r} of model"
            f" {row['model']!r} and track {row['track_id']!r}",
        )
    scores = np.empty(len(protocol.artists) * len(protocol.test_ids))
    scores[_places(table, protocol, path)] = values
    return scores.reshape(len(protocol.artists), -1)


def check_scores(scores: np.ndarray, protocol: RecognitionProtocol, *, name: str = "scores") -> None:
    """Refuse a matrix that is not of these trials or not finite.

    Parameters
    ----------
    scores : np.ndarray
    protocol : RecognitionProtocol
        Of M models and n tests.
    name : str
        What the message calls it.

    Raises
    ------
    ArtistTransferError
        If the shape is not (M, n) or a score is not finite; the trial is named.
    """
    shape = len(protocol.artists), len(protocol.test_ids)
    if np.shape(scores) != shape:
        raise ArtistTransferError(f"{name}: {shape[0]} models and {shape[1]} tests, but a shape of {np.shape(scores)}")
    bad = np.argwhere(~np.isfinite(scores))
    if len(bad):
        model, test = bad[0]
        raise ArtistTransferError(
            f"{name}: {len(bad):,} scores are not finite, the first ({scores[model, test]}) of model"
            f" {protocol.artists[model]!r} and track {protocol.test_ids[test]!r}"
        )


def _places(table: pd.DataFrame, protocol: RecognitionProtocol, path: Path) -> np.ndarray:
    """Give each row's place in a matrix read by rows; all are there, each once."""
    model = pd.Index(protocol.artists).get_indexer(table["model"])
    test = pd.Index(protocol.test_ids).get_indexer(table["track_id"])
    unknown = np.flatnonzero((model < 0) | (test < 0))
    if len(unknown):
        row = table.iloc[unknown[0]]
        _refuse(
            path,
            f"{len(unknown):,} trials are not in the list, the first in row {row.name}: model {row['model']!r} and"
            f" track {row['track_id']!r}",
        )
    places = np.asarray(model * len(protocol.test_ids) + test)
    times = np.bincount(places, minlength=len(protocol.artists) * len(protocol.test_ids))
    for problem, found in (("stand twice or more", times > 1), ("are missing", times == 0)):
        if found.any():
            at = np.flatnonzero(found)
            first, second = divmod(int(at[0]), len(protocol.test_ids))
            _refuse(
                path,
                f"{len(at):,} trials of {len(times):,} {problem}, the first: model {protocol.artists[first]!r} and"
                f" track {protocol.test_ids[second]!r}",
            )
    return places


def _read(path: Path, columns: int, *, values: str = "target", expected: str | None = None) -> pd.DataFrame:
    """Read texts as they are (an artist may be called NA, or 007); the index is the row, from 1 below the header."""
    names = ["model", "track_id", values][:columns]
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            if first.startswith(MARK):
                if expected is not None and first[len(MARK) :].strip() != expected:
                    _refuse(path, f"is of the trials {first[len(MARK) :].strip()}, but the list is {expected}")
            else:
                stream.seek(0)
            table = read_csv_strictly(stream, dtype=str, keep_default_na=False, na_filter=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ArtistTransferError(f"{path}: cannot be read as CSV: {error}") from error
    missing = [name for name in names if name not in table.columns]
    if missing:
        _refuse(path, f"no column {', '.join(missing)}; there are {', '.join(map(str, table.columns))}")
    table.index = pd.RangeIndex(1, len(table) + 1)
    return table[names]


def _carded_hash(path: Path) -> str:
    try:
        card = read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise ArtistTransferError(f"{path}: cannot be read as JSON: {error}") from error
    found = card.get("sha256") if isinstance(card, dict) else None
    if not isinstance(found, str):
        _refuse(path, "has no sha256, the hash of the lists; without this file the lists are taken as they are")
    return found


def _write(path: Path, lines: Iterable[str]) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        for line in lines:
            stream.write(line.encode())


def hash_of_files(folder: str | Path) -> str:
    """Hash lists as they lie on disk.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    str
        64 hexadecimal digits; that of the protocol unless somebody changed a byte.
    """
    digest = hashlib.sha256()
    for name in (ENROLMENTS, TRIALS):
        digest.update((Path(folder) / name).read_bytes())
    return digest.hexdigest()


def _refuse(path: Path, problem: str) -> NoReturn:
    raise ArtistTransferError(f"{path}: {problem}.")
