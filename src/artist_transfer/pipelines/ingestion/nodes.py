"""Nodes of ingestion: from the files of a corpus to the track table."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from artist_transfer.artifacts import fingerprint
from artist_transfer.pipelines.artist_learning.listed import find_listed
from artist_transfer.pipelines.artist_learning.params import ArtistStudyBlock, SetsBlock, read_kinds
from artist_transfer.pipelines.ingestion.params import IngestionBlock
from artist_transfer.pipelines.ingestion.tries import SplitParams, try_embeddings, try_sets, try_unseen
from artist_transfer.pipelines.recognition.params import RecognitionBlock
from artist_transfer.pipelines.splitting.params import SplittingBlock

log = logging.getLogger(__name__)

SYNTHETIC_FOLDER = Path("data/01_raw/synthetic")


def read_corpus(
    corpus: str,
    corpus_root: str | None,
    ingestion: IngestionBlock,
    workers: int | None,
    split: str,
    splitting: SplittingBlock,
    folds: int,
    embeddings: str | None,
    sets: SetsBlock,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Read the corpus that the parameters name; the embedded one is written first.

    What the rest of the job needs of the table is tried here, before hours of decoding: that it is large enough for
    the split, that somebody else's features are of its tracks, and that an artist list is of its songs.

    Parameters
    ----------
    corpus : str
        synthetic, synthetic_msd, fma, table, folder, msd, gtzan, magnatagatune, jamendo or labelled.
    corpus_root : str or None
        Its folder; None for the embedded corpora.
    ingestion : IngestionBlock
        What each kind of corpus needs to know.
    workers : int or None
        Processes that write the embedded corpus; None for all cores.
    split : str
        Kind of the split.
    splitting : SplittingBlock
        Its shares.
    folds : int
        Its folds.
    embeddings : str or None
        File with somebody else's features.
    sets : SetsBlock
        Whether the sets of artists come from a list.

    Returns
    -------
    track_table, exclusion_table, list_name_table : pd.DataFrame
        As of `read_tracks`.
    corpus_facts : dict
        ``corpus``, ``root``, the reader's ``notes``, its ``lists`` by hash, and how many songs it ``left_out``.

    Raises
    ------
    ArtistTransferError
        If the corpus cannot be read, or cannot carry the job.
    """
    table, exclusions, names, facts = read_tracks(corpus, corpus_root, ingestion, workers)
    SplitParams(split, splitting, folds).of(table)
    if embeddings is not None:
        try_embeddings(table, embeddings)
    if sets.artist_list is not None:
        find_listed(sets.artist_list, names)
    return table, exclusions, names, facts


@dataclass(frozen=True)
class ArtistCorpus:
    """The node of jobs that learn artists, for given kinds of net or for those that the study names.

    Parameters
    ----------
    kinds : tuple of str
        basic, siamese, tag; empty: `artist_study.kinds`.
    """

    kinds: tuple[str, ...] = ()

    def read_corpus(
        self,
        corpus: str,
        corpus_root: str | None,
        ingestion: IngestionBlock,
        workers: int | None,
        split: str,
        splitting: SplittingBlock,
        folds: int,
        embeddings: str | None,
        sets: SetsBlock,
        study: ArtistStudyBlock,
    ) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
        """Read the corpus, and try whether it has artists enough to learn.

        Parameters
        ----------
        corpus, corpus_root, ingestion, workers, split, splitting, folds, embeddings, sets
            As of the function `read_corpus`.
        study : ArtistStudyBlock
            Kinds of net, where the job has none of its own.

        Returns
        -------
        track_table, exclusion_table, list_name_table, corpus_facts
            As of `read_corpus`.

        Raises
        ------
        ArtistTransferError
            If the corpus cannot be read, or cannot carry the job.
        """
        read = read_corpus(corpus, corpus_root, ingestion, workers, split, splitting, folds, embeddings, sets)
        try_sets(read[0], SplitParams(split, splitting, folds), sets, self.kinds or read_kinds(study.kinds))
        return read

    def read_for_recognition(
        self,
        corpus: str,
        corpus_root: str | None,
        ingestion: IngestionBlock,
        workers: int | None,
        split: str,
        splitting: SplittingBlock,
        folds: int,
        embeddings: str | None,
        sets: SetsBlock,
        study: ArtistStudyBlock,
        recognition: RecognitionBlock,
    ) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
        """Read the corpus, and try whether it has artists enough to learn and others to recognise.

        Parameters
        ----------
        corpus, corpus_root, ingestion, workers, split, splitting, folds, embeddings, sets, study
            As of `read_corpus`.
        recognition : RecognitionBlock
            Songs of an artist that is recognised.

        Returns
        -------
        track_table, exclusion_table, list_name_table, corpus_facts
            As of `read_corpus`.

        Raises
        ------
        ArtistTransferError
            If the corpus cannot be read, or cannot carry the job.
        """
        read = self.read_corpus(
            corpus, corpus_root, ingestion, workers, split, splitting, folds, embeddings, sets, study
        )
        try_unseen(read[0], SplitParams(split, splitting, folds), sets, recognition)
        return read


def read_tracks(
    corpus: str, corpus_root: str | None, ingestion: IngestionBlock, workers: int | None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Read the corpus that the parameters name, for a job that splits nothing.

    Parameters
    ----------
    corpus : str
        Its kind.
    corpus_root : str or None
        Its folder; None for the embedded corpora.
    ingestion : IngestionBlock
        What each kind of corpus needs to know.
    workers : int or None
        Processes that write the embedded corpus; None for all cores.

    Returns
    -------
    track_table : pd.DataFrame
        One row a clip.
    exclusion_table : pd.DataFrame
        ``track_id, reason`` of what the corpus names but the reader leaves out: mismatches, songs without preview, ….
    list_name_table : pd.DataFrame
        ``track_id, list_name``: what an artist list calls the song, its 7digital id where there is one, else its id.
    corpus_facts : dict
        ``corpus``, ``root``, the reader's ``notes``, its ``lists`` by hash, and how many songs it ``left_out``.
    """
    embedded = corpus in ("synthetic", "synthetic_msd")
    root = write_embedded(corpus, ingestion, workers) if embedded else Path(corpus_root or "")
    reading = read_kind(corpus, root, ingestion)
    log.info("Corpus %s in %s: %s", corpus, root, ", ".join(f"{count} {what}" for what, count in reading.notes.items()))
    if reading.left_out:
        log.info("%d tracks are left out; exclusion_table names each with its reason", len(reading.left_out))
    facts = {"corpus": corpus, "root": root.as_posix(), "notes": reading.notes, "lists": reading.lists}
    names = reading.list_names or {track: track for track in reading.table["track_id"]}
    name_table = pd.DataFrame(sorted(names.items()), columns=["track_id", "list_name"], dtype="str")
    return reading.table, reading.exclusions(), name_table, facts | {"left_out": len(reading.left_out)}


@dataclass(frozen=True)
class Reading:
    """What a reader found.

    Attributes
    ----------
    table : pd.DataFrame
        The track table.
    notes : dict of str to int
        Counts.
    lists : dict or None
        Official lists by name and hash.
    left_out : list of dict
        ``track_id, reason`` of what the corpus names but the reader leaves out.
    list_names : dict of track id to str, optional
        What an artist list calls the songs, if not by their ids.
    """

    table: pd.DataFrame
    notes: dict[str, int]
    lists: dict[str, Any] | None = None
    left_out: list[dict[str, str]] = field(default_factory=list)
    list_names: dict[str, str] | None = None

    def exclusions(self) -> pd.DataFrame:
        """Return what was left out, as a table sorted by track."""
        rows = sorted((each["track_id"], each["reason"]) for each in self.left_out)
        return pd.DataFrame(rows, columns=["track_id", "reason"], dtype="str")


def read_kind(corpus: str, root: Path, ingestion: IngestionBlock) -> Reading:
    """Read a corpus by the reader of its kind.

    Parameters
    ----------
    corpus : str
        The kind.
    root : Path
        Its folder.
    ingestion : IngestionBlock
        What each reader needs to know.

    Returns
    -------
    Reading
        Track table and facts.
    """
    from artist_transfer.corpora.fma import read_fma
    from artist_transfer.corpora.folder import read_folder
    from artist_transfer.corpora.gtzan import read_gtzan
    from artist_transfer.corpora.jamendo import read_jamendo
    from artist_transfer.corpora.labelled import read_labelled
    from artist_transfer.corpora.magnatagatune import read_magnatagatune
    from artist_transfer.corpora.msd import load_msd
    from artist_transfer.corpora.table import read_table

    if corpus in ("msd", "synthetic_msd"):
        block = ingestion.msd if corpus == "msd" else ingestion.msd.model_copy(update={"tags": "frequent"})
        found = load_msd(root, **block.model_dump())
        sevens = found.songs["track_7digitalid"].reindex(found.track_table["track_id"]).dropna().to_dict()
        return Reading(found.track_table, found.notes, None, found.exclusions.to_dict("records"), sevens)
    if corpus == "synthetic":
        return Reading(*read_fma(root, subset="small"))
    readers: dict[str, Callable[..., Any]] = {
        "fma": read_fma,
        "table": read_table,
        "folder": read_folder,
        "gtzan": read_gtzan,
        "magnatagatune": read_magnatagatune,
        "jamendo": read_jamendo,
        "labelled": read_labelled,
    }
    table, notes, *listed = readers[corpus](root, **getattr(ingestion, corpus).model_dump())
    lists = listed[0] if listed else None
    left_out = listed[1].to_dict("records") if len(listed) > 1 else []  # what of the official lists is not there
    return Reading(table, notes, lists, left_out)


def write_embedded(corpus: str, ingestion: IngestionBlock, workers: int | None) -> Path:
    """Write the embedded corpus, as FMA or as a Million Song Dataset.

    Parameters
    ----------
    corpus : {"synthetic", "synthetic_msd"}
        Its shape.
    ingestion : IngestionBlock
        Its block ``synthetic``.
    workers : int or None
        Processes; None for all cores.

    Returns
    -------
    Path
        The corpus root.
    """
    fma = write_synthetic(ingestion, workers)
    if corpus == "synthetic":
        return fma
    from artist_transfer.corpora.fma import read_fma
    from artist_transfer.corpora.synthetic_msd import write_msd

    table, _ = read_fma(fma, subset="small")
    return Path(write_msd(SYNTHETIC_FOLDER / f"{fma.name}_msd", table, audio_root=fma))


def write_synthetic(ingestion: IngestionBlock, workers: int | None) -> Path:
    """Write the embedded default corpus, once for each set of its parameters.

    Parameters
    ----------
    ingestion : IngestionBlock
        Its block ``synthetic``.
    workers : int or None
        Processes; None for all cores.

    Returns
    -------
    Path
        The corpus root.
    """
    from artist_transfer.corpora.synthetic import SyntheticParams, generate

    params = SyntheticParams(**ingestion.synthetic.model_dump())
    return generate(SYNTHETIC_FOLDER / fingerprint(params), params, n_workers=workers)
