"""What the rest of a job needs of the track table, tried before hours of decoding.

Whatever is refused here could not have succeeded later: files that turn out unusable only make a corpus smaller.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.agf_study.params import read_numbers
from artist_transfer.pipelines.artist_learning.params import SetsBlock
from artist_transfer.pipelines.recognition.params import RecognitionBlock
from artist_transfer.pipelines.splitting.nodes import balanced_params
from artist_transfer.pipelines.splitting.params import SplittingBlock

FIRST_NAMED = 5
RECOGNISED = 5
"""Artists that recognition needs at least: two that are recognised, two to calibrate on, one to learn from."""


@dataclass(frozen=True)
class SplitParams:
    """What a split is made of, but its seed.

    Attributes
    ----------
    kind : str
        stratified, artist_disjoint, official or balanced.
    splitting : SplittingBlock
        Its shares.
    folds : int
        Its folds.
    """

    kind: str
    splitting: SplittingBlock
    folds: int

    def of(self, track_table: pd.DataFrame) -> pd.DataFrame:
        """Make the split as if every file were usable: one that fails now cannot succeed later.

        Parameters
        ----------
        track_table : pd.DataFrame
            All tracks.

        Returns
        -------
        pd.DataFrame
            ``track_id, fold, side``.

        Raises
        ------
        ArtistTransferError
            If the corpus is too small for the split.
        """
        from artist_transfer.corpora.splits import make_split

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the real split says what there is to say
            return make_split(
                track_table.assign(audio_hash=track_table["track_id"]),
                kind=self.kind,
                seed=0,
                test_share=self.splitting.test_share,
                folds=self.folds,
                balanced=balanced_params(self.splitting.balanced),
            )


def try_embeddings(track_table: pd.DataFrame, path: str) -> None:
    """Read somebody else's features once, to find out whether they are of these tracks.

    Parameters
    ----------
    track_table : pd.DataFrame
        All tracks.
    path : str
        The file.

    Raises
    ------
    ArtistTransferError
        If the file is not what it should be.
    """
    from artist_transfer.evaluation.embeddings_file import read_embeddings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # missing tracks are told when the features are used
        read_embeddings(path, track_ids=track_table["track_id"].tolist())


def try_sets(track_table: pd.DataFrame, params: SplitParams, sets: SetsBlock, kinds: Sequence[str]) -> None:
    """Count the artists with enough songs on all sides: no split can give more of them to the training side.

    Parameters
    ----------
    track_table : pd.DataFrame
        All tracks.
    params : SplitParams
        The split.
    sets : SetsBlock
        Artists and songs.
    kinds : sequence of str
        Kinds of net; a tag-label net alone needs no artists. An artist list has artists of its own.

    Raises
    ------
    ArtistTransferError
        If there are too few.
    """
    if sets.artist_list is not None or set(kinds) <= {"tag"}:
        return
    largest = max(read_numbers(sets.sizes, least=2)) if sets.sizes is not None else 2
    have = len(artists_with(track_table, sets.songs))
    if have >= largest:
        return
    split = params.of(track_table)
    train = [rows.loc[rows["side"] == "train", "track_id"] for _, rows in split.groupby("fold")]
    most = min(len(artists_with(track_table[track_table["track_id"].isin(own)], sets.songs)) for own in train)
    asked = "two artists or more are needed" if sets.sizes is None else f"sets.sizes={sets.sizes}"
    allowed = f"sets.sizes up to {most:,}, or null for all of them" if most >= 2 else "fewer sets.songs"
    raise ArtistTransferError(
        f"{asked}, but {have:,} artists of this corpus have sets.songs={sets.songs} songs or more, about {most:,} of "
        f"them on the training side of split={params.kind}; allowed: {allowed}."
    )


def try_unseen(track_table: pd.DataFrame, params: SplitParams, sets: SetsBlock, recognition: RecognitionBlock) -> None:
    """Look whether there can be artists that nothing has learned from.

    Parameters
    ----------
    track_table : pd.DataFrame
        All tracks.
    params : SplitParams
        The split.
    sets : SetsBlock
        Songs of an artist that is learned.
    recognition : RecognitionBlock
        Songs of an artist that is recognised.

    Raises
    ------
    ArtistTransferError
        If the split has an artist who would be learned from on another side, too, or too few have enough songs.
    """
    enrol, test = recognition.protocol.enrol, recognition.protocol.test
    have = len(artists_with(track_table, enrol + test))
    if have < RECOGNISED:
        raise ArtistTransferError(
            f"recognition.protocol.enrol={enrol} and recognition.protocol.test={test}: {have} artists of this corpus "
            f"have {enrol + test} songs or more, and {RECOGNISED} are needed at least (two to be recognised, two to "
            "calibrate on, one to learn from); allowed: fewer songs."
        )
    if params.kind == "artist_disjoint":
        return
    both = learned_and_tested(track_table, params.of(track_table), sets.songs)
    if both:
        more = f" and {len(both) - FIRST_NAMED:,} more" if len(both) > FIRST_NAMED else ""
        raise ArtistTransferError(
            f"split={params.kind}: {len(both):,} artists of the training side have songs on another side, too "
            f"({', '.join(both[:FIRST_NAMED])}{more}), and recognition is of artists that nothing has learned from; "
            "allowed: --params split=artist_disjoint."
        )


def artists_with(tracks: pd.DataFrame, songs: int) -> list[str]:
    """Find the artists that have enough songs.

    Parameters
    ----------
    tracks : pd.DataFrame
        Tracks in any order.
    songs : int
        How many are enough; clips of one recording are one.

    Returns
    -------
    list of str
        Their ids, sorted.
    """
    from artist_transfer.corpora.songs import find_songs, songs_by_artist

    own = songs_by_artist(find_songs(tracks.sort_values("track_id", ignore_index=True)), seed=0)
    return sorted(artist for artist, each in own.items() if len(each) >= songs)


def learned_and_tested(track_table: pd.DataFrame, split_table: pd.DataFrame, songs: int) -> list[str]:
    """Find artists that have enough songs in training to be learned, and songs on another side of the same fold.

    Parameters
    ----------
    track_table : pd.DataFrame
        All tracks.
    split_table : pd.DataFrame
        Their sides.
    songs : int
        How many are enough.

    Returns
    -------
    list of str
        Their ids, sorted.
    """
    joined = split_table.merge(track_table, on="track_id")
    found: set[str] = set()
    for _, rows in joined.groupby("fold"):
        others = rows[rows["side"].isin(["validation", "test", "unseen"])]
        found |= set(artists_with(rows[rows["side"] == "train"], songs)) & set(others["artist_id"].dropna())
    return sorted(found)
