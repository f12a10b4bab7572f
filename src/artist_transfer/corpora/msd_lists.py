"""The Million Song Dataset's lists of what is wrong with it: mismatches and duplicates.

``sid_mismatches.txt`` (19,094 lines) names pairs of song and track whose names do not agree, so that the audio of the
track may be another song: ``ERROR: <SO… TR…> artist  -  title  !=  artist  -  title``. Only the two ids are read, for
the names hold every separator there is. ``sid_matches_manually_accepted.txt`` takes some of them back, in lines
``< ERROR: <SO… TR…> …``. Source: http://millionsongdataset.com/blog/12-2-12-fixing-matching-errors/.

``msd_duplicates.txt`` (53,471 groups) names tracks that are one recording: comments ``#``, a line ``%…`` begins a
group, lines ``TR…`` with artist and title are its tracks. Source:
http://millionsongdataset.com/blog/11-3-15-921810-song-dataset-duplicates/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from artist_transfer.corpora._lines import refuse_row, text_lines
from artist_transfer.corpora.schema import SOURCE_ROW

MISMATCH_COLUMNS = ("song_id", "track_id", SOURCE_ROW)
DUPLICATE_COLUMNS = ("group", "track_id", SOURCE_ROW)

_IDS = r"ERROR: <(SO[A-Z0-9]{16}) (TR[A-Z0-9]{16})>"
_MISMATCH = re.compile(rf"^{_IDS}")
_ACCEPTED = re.compile(rf"^< {_IDS}")
_TRACK = re.compile(r"^(TR[A-Z0-9]{16})(?![A-Za-z0-9])")


def read_mismatches(path: str | Path) -> pd.DataFrame:
    """Read ``sid_mismatches.txt``.

    Parameters
    ----------
    path : str or Path
        The file; gzipped if its name ends in ``.gz``.

    Returns
    -------
    pd.DataFrame [shape=(n, 3)]
        ``song_id``, ``track_id``, ``source_row``, in the order of the file.

    Raises
    ------
    ArtistTransferError
        If the file is missing or a line is something else; names file and row.
    """
    path, pairs = Path(path), []
    for row, line in text_lines(path, errors="replace"):
        found = _MISMATCH.match(line)
        if found:
            pairs.append((found[1], found[2], row))
        elif line.strip() and not line.startswith("#"):
            refuse_row(path, row, f"must be like 'ERROR: <SO… TR…> …' with ids of 18 characters, found {line!r:.80}")
    return pd.DataFrame(pairs, columns=list(MISMATCH_COLUMNS))


def read_accepted(path: str | Path) -> pd.DataFrame:
    """Read ``sid_matches_manually_accepted.txt``: mismatches that were listened to and are none.

    Parameters
    ----------
    path : str or Path
        The file. It is the output of a comparison; lines that do not begin with ``< ERROR:`` say nothing.

    Returns
    -------
    pd.DataFrame [shape=(n, 3)]
        As of `read_mismatches`.

    Raises
    ------
    ArtistTransferError
        If the file is missing or a line ``< ERROR:`` has no two ids.
    """
    path, pairs = Path(path), []
    for row, line in text_lines(path, errors="replace"):
        if not line.startswith("< ERROR:"):
            continue
        found = _ACCEPTED.match(line)
        if not found:
            refuse_row(path, row, f"must be like '< ERROR: <SO… TR…> …', found {line!r:.80}")
        pairs.append((found[1], found[2], row))
    return pd.DataFrame(pairs, columns=list(MISMATCH_COLUMNS))


def read_duplicates(path: str | Path) -> pd.DataFrame:
    """Read ``msd_duplicates.txt``.

    Parameters
    ----------
    path : str or Path
        The file; gzipped if its name ends in ``.gz``.

    Returns
    -------
    pd.DataFrame [shape=(n, 3)]
        ``group`` (from 0, in the order of the file), ``track_id``, ``source_row``.

    Raises
    ------
    ArtistTransferError
        If the file is missing, a track stands before the first group or a line is neither comment, group nor
        track; names file and row.
    """
    path, members, group = Path(path), [], -1
    for row, line in text_lines(path, errors="replace"):
        if line.startswith("%"):
            group += 1
        elif line.strip() and not line.startswith("#"):
            found = _TRACK.match(line)
            if not found:
                refuse_row(path, row, f"must be a comment '#', a group '%' or a track 'TR…', found {line!r:.80}")
            if group < 0:
                refuse_row(path, row, f"track {found[1]} stands before the first group; a line '%…' begins one")
            members.append((group, found[1], row))
    return pd.DataFrame(members, columns=list(DUPLICATE_COLUMNS))


def apply_mismatches(
    songs: pd.DataFrame, mismatches: pd.DataFrame, *, accepted: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Find the tracks that a list of mismatches takes out.

    Parameters
    ----------
    songs : pd.DataFrame [index: track_id]
        The corpus; ``song_id`` where it is known.
    mismatches : pd.DataFrame
        Of `read_mismatches`.
    accepted : pd.DataFrame, optional
        Of `read_accepted`; these pairs are no mismatches.

    Returns
    -------
    exclusions : pd.DataFrame [columns: track_id, reason]
        The tracks of the corpus that are mismatched, sorted, each once.
    counts : dict of int
        ``mismatch lines``, ``mismatch lines taken back``, ``mismatch lines of other tracks``, ``mismatch lines with
        another song id`` (the track goes all the same: what it sounds like is in doubt).
    """
    pairs = list(zip(mismatches["song_id"], mismatches["track_id"], strict=True))
    taken_back = set() if accepted is None else set(zip(accepted["song_id"], accepted["track_id"], strict=True))
    left = [pair for pair in pairs if pair not in taken_back]
    known = songs["song_id"].to_dict()
    own = [(song, track) for song, track in left if track in known]
    reasons = {track: f"mismatched: song {song} is not track {track}" for song, track in reversed(own)}
    exclusions = pd.DataFrame(sorted(reasons.items()), columns=["track_id", "reason"], dtype="str")
    return exclusions, {
        "mismatch lines": len(pairs),
        "mismatch lines taken back": len(pairs) - len(left),
        "mismatch lines of other tracks": len(left) - len(own),
        "mismatch lines with another song id": sum(pd.notna(known[t]) and known[t] != s for s, t in own),
    }


def group_recordings(
    track_ids: Iterable[str], groups: Iterable[Iterable[str]]
) -> tuple[dict[str, str], Mapping[str, int]]:
    """Give tracks that are one recording one id; groups that share a track become one.

    Parameters
    ----------
    track_ids : iterable of str
        The tracks of the corpus.
    groups : iterable of iterables of str
        Track ids that are one recording; those that are not in the corpus are passed over.

    Returns
    -------
    recording_of : dict
        Track id to recording id: the smallest track id of its group.
    counts : dict of int
        ``duplicate groups`` with two tracks or more in the corpus, ``tracks in them``.
    """
    leader = {track: track for track in track_ids}

    def find(track: str) -> str:
        while leader[track] != track:
            leader[track] = track = leader[leader[track]]
        return track

    for group in groups:
        roots = {find(track) for track in group if track in leader}
        if roots:
            smallest = min(roots)
            for root in roots:
                leader[root] = smallest
    recording_of = {track: find(track) for track in leader}
    sizes = pd.Series(list(recording_of.values()), dtype="str").value_counts()
    return recording_of, {
        "duplicate groups": int((sizes > 1).sum()),
        "tracks in them": int(sizes[sizes > 1].sum()),
    }
