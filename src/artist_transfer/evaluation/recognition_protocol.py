"""A protocol of artist recognition: artists, the songs that enrol them, the songs that are tested, and its hash.

Every artist has one model, and every test song is compared with every model: M models and n test songs are n target
trials and n · (M − 1) non-target trials. Matrices of scores are (M, n), models in the order of
`RecognitionProtocol.artists`, songs in that of `RecognitionProtocol.test_ids`.

The hash is that of the two lists in CSV, enrolments and then trials, so it says who is enrolled by what and tested on
what, and anybody can take it of the files.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import some


@dataclass(frozen=True, eq=False)
class RecognitionProtocol:
    """Artists, the songs that enrol them and the songs that are tested.

    Parameters
    ----------
    enrolments, tests : pd.DataFrame
        ``artist_id, track_id``; put in order of artist and track.
    counts : dict of str to int
        What takes part and what does not, in words.
    left_out : dict of reason to dict of artist to int
        Candidates that do not take part, with the number of songs that they have.

    Raises
    ------
    ArtistTransferError
        If there are fewer than two artists, one has nothing to enrol or nothing to test, a track stands twice, or an
        artist or track is missing.
    """

    enrolments: pd.DataFrame
    tests: pd.DataFrame
    counts: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sort both tables and check that they fit together."""
        for name in ("enrolments", "tests"):
            table = getattr(self, name).loc[:, ["artist_id", "track_id"]]
            if table.isna().any(axis=None):
                raise ArtistTransferError(f"recognition: {name} with a song that has no artist or no id")
            table = table.astype("str")
            object.__setattr__(self, name, table.sort_values(["artist_id", "track_id"], ignore_index=True))
        tracks = Counter([*self.enrolments["track_id"], *self.tests["track_id"]])
        twice = sorted(track for track, n in tracks.items() if n > 1)
        if twice:
            raise ArtistTransferError(f"recognition: each track may be enrolled or tested once; twice: {some(twice)}")
        enrolled, tested = set(self.enrolments["artist_id"]), set(self.tests["artist_id"])
        if enrolled != tested:
            raise ArtistTransferError(
                f"recognition: artists without a song to enrol: {some(sorted(tested - enrolled)) or 'none'};"
                f" without one to test: {some(sorted(enrolled - tested)) or 'none'}"
            )
        if len(enrolled) < 2:
            raise ArtistTransferError(f"recognition: takes two artists or more, found {len(enrolled)}")

    @cached_property
    def artists(self) -> tuple[str, ...]:
        """The M artists, sorted: rows of a matrix of scores."""
        return tuple(sorted(set(self.enrolments["artist_id"])))

    @cached_property
    def test_ids(self) -> tuple[str, ...]:
        """The n test songs by artist and track: columns of a matrix of scores."""
        return tuple(self.tests["track_id"])

    @cached_property
    def truth(self) -> np.ndarray:
        """The artist of each test song, as its place in `artists` [shape=(n,)]."""
        return np.searchsorted(np.array(self.artists, dtype=str), self.tests["artist_id"].to_numpy(dtype=str))

    @cached_property
    def enrolment_groups(self) -> dict[str, tuple[str, ...]]:
        """The songs that enrol each artist, artists and songs in order."""
        return {str(artist): tuple(own["track_id"]) for artist, own in self.enrolments.groupby("artist_id")}

    def targets(self) -> np.ndarray:
        """Say which trials are of the same artist.

        Returns
        -------
        np.ndarray [shape=(M, n)], bool
        """
        return np.arange(len(self.artists))[:, None] == self.truth[None, :]

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the list of enrolments followed by the list of trials, as `trial_lists.write_trials` writes them.

        64 hexadecimal digits: ``cat enrolments.csv trials.csv | sha256sum``.
        """
        digest = hashlib.sha256()
        for line in self._lines():
            digest.update(line.encode())
        return digest.hexdigest()

    def _lines(self) -> Iterator[str]:
        yield from enrolment_lines(self.enrolment_groups)
        yield from trial_lines(self.artists, self.test_ids, self.truth)


def enrolment_lines(groups: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Give the text of the list of enrolments.

    Parameters
    ----------
    groups : mapping of model to sequence of track id
        In the order wanted.

    Yields
    ------
    str
        Parts of the text.
    """
    yield "model,track_id\n"
    for model, tracks in groups.items():
        yield "".join(f"{csv_cell(model)},{csv_cell(track)}\n" for track in tracks)


def trial_lines(models: Sequence[str], track_ids: Sequence[str], truth: np.ndarray) -> Iterator[str]:
    """Give the text of the list of trials.

    Parameters
    ----------
    models : sequence of str
    track_ids : sequence of str [length n]
    truth : np.ndarray [shape=(n,)]
        The model of each track's artist, as its place.

    Yields
    ------
    str
        Parts of the text, one a model.
    """
    yield "model,track_id,target\n"
    cells = [csv_cell(track) for track in track_ids]
    for k, model in enumerate(models):
        name = csv_cell(model)
        yield "".join(f"{name},{cell},{int(of == k)}\n" for cell, of in zip(cells, truth.tolist()))


def csv_cell(text: str) -> str:
    """Quote a text where CSV needs it.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    if not any(mark in text for mark in ',"\n\r') and text == text.strip() and not text.startswith("#"):
        return text
    held = io.StringIO()
    csv.writer(held, quoting=csv.QUOTE_ALL, lineterminator="").writerow([text])
    return held.getvalue()
