"""An index of embeddings on disk: vectors of length 1, what is known of their tracks, and the net they came from.

A folder with ``embeddings.npy`` (float32, normalised), ``tracks.parquet``, ``left_out.parquet``, ``index.json`` and,
beyond the size to which neighbours are found exactly, ``neighbours.faiss``. The manifest is written last, so a build
that was killed leaves no index. Vectors of different nets cannot be compared, so an index knows its encoder and
refuses another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from artist_transfer.artifacts import atomic_path, commit_folder, fingerprint, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.search.groups import Artists, Songs, artists_of, songs_of
from artist_transfer.search.neighbours import EXACT_UP_TO, Approximate

KIND = "search"
COLUMNS = ("track_id", "recording_id", "artist_id", "artist", "title", "genre_top", "path")
VECTORS, TRACKS, LEFT_OUT, FACTS, NEIGHBOURS = (
    "embeddings.npy", "tracks.parquet", "left_out.parquet", "index.json", "neighbours.faiss",
)  # fmt: skip
ENCODING = ("segments", "placement")  # what an encoder says beside its net
NO_EMBEDDING = "no embedding"
ALL_ZERO = "the embedding is all zero, so it has no direction"
_CHUNK = 1 << 15  # rows normalised at once


@dataclass(frozen=True)
class Encoder:
    """What made the vectors.

    Attributes
    ----------
    name : str
        Of the net.
    width : int > 0
        Columns of a vector.
    front_end : str
        Of the spectrogram that it reads.
    weights_sha256 : str
        Of its weights, so that two trainings of one architecture are told apart.
    segments : int > 0 or None
        Segments of a song, at most, that one vector is the mean of; None if it is not known.
    placement : str or None
        Where in the song they are, see `artist_transfer.models.encoding.segment_starts`.
    """

    name: str
    width: int
    front_end: str
    weights_sha256: str
    segments: int | None = None
    placement: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not self.name or not self.width > 0:
            raise ArtistTransferError(f"encoder: name {self.name!r}, width {self.width}: a name and a width > 0 needed")

    @property
    def encoding(self) -> dict[str, Any] | None:
        """How a song becomes one vector, as `artist_transfer.models.encoding.encode_songs` takes it, if it is known."""
        if self.segments is None or self.placement is None:
            return None
        return {"segments": self.segments, "placement": self.placement}


@dataclass(frozen=True, eq=False)
class SearchIndex:
    """An opened index.

    Attributes
    ----------
    folder : Path
    encoder : Encoder
    tracks : pd.DataFrame [columns: track_id, recording_id, artist_id, artist, title, genre_top, path]
        Sorted by track_id; missing is None.
    vectors : np.ndarray [shape=(n_tracks, width)], float32 of length 1, memory-mapped
    left_out : pd.DataFrame [columns: track_id, reason]
        Tracks of the corpus that cannot be found, and why.
    facts : dict
        ``n_tracks``, ``n_songs``, ``n_artists``, ``exact_up_to``, ``neighbours`` and ``sha256``, which names the
        content.
    """

    folder: Path
    encoder: Encoder
    tracks: pd.DataFrame
    vectors: np.ndarray
    left_out: pd.DataFrame
    facts: dict[str, Any]

    @cached_property
    def songs(self) -> Songs:
        """What is found: one vector a recording."""
        return songs_of(self.tracks, self.vectors)

    @cached_property
    def artists(self) -> Artists:
        """Artists as the means of their songs."""
        return artists_of(self.songs)

    @cached_property
    def approximate(self) -> Approximate | None:
        """The faiss index, if there are too many songs to look at each."""
        facts = self.facts["neighbours"]
        return Approximate.read(self.folder / NEIGHBOURS, facts) if facts["method"] != "exact" else None

    def check(self, encoder: Encoder, *, what: str = "the query") -> None:
        """Refuse vectors of another net, or of songs that were cut up in another way.

        Parameters
        ----------
        encoder : Encoder
            What made the vectors that are to be compared with these.
        what : str
            Whose vectors they are, for the error.

        Raises
        ------
        ArtistTransferError
            Naming what differs.
        """
        differing = {
            field.name: f"{getattr(encoder, field.name)!r} instead of {getattr(self.encoder, field.name)!r}"
            for field in fields(Encoder)
            if getattr(encoder, field.name) != getattr(self.encoder, field.name)
        }
        if differing:
            how = "in another way" if set(differing) <= set(ENCODING) else "by another net"
            raise ArtistTransferError(
                f"search index {self.folder.name}: {what} was encoded {how}: "
                f"{'; '.join(f'{name} {said}' for name, said in differing.items())}. Such vectors cannot be compared: "
                "encode both with the same net and the same segments"
            )


def build_index(
    folder: str | Path,
    embeddings: Embeddings,
    track_table: pd.DataFrame,
    encoder: Encoder,
    *,
    exact_up_to: int = EXACT_UP_TO,
    seed: int = 0,
) -> SearchIndex:
    """Write an index and open it.

    Parameters
    ----------
    folder : str or Path
        Where it goes; made.
    embeddings : Embeddings
        One vector a track.
    track_table : pd.DataFrame [columns: track_id, recording_id, artist_id, artist, title, genre_top, path, …]
        All tracks of the corpus. Those without a vector, and those whose vector is all zero, are left out and listed.
    encoder : Encoder
        What made the vectors.
    exact_up_to : int >= 0
        Songs beyond which neighbours are found by faiss.
    seed : int >= 0
        Of faiss' clustering.

    Returns
    -------
    SearchIndex

    Raises
    ------
    ArtistTransferError
        If the vectors are not as wide as the encoder's, a track is not in the table, or nothing remains.
    """
    if embeddings.width != encoder.width:
        raise ArtistTransferError(
            f"search index: the vectors have {embeddings.width} columns, those of {encoder.name} have {encoder.width}"
        )
    tracks, left_out = _kept(embeddings, track_table)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / VECTORS) as path:
        _write_vectors(path, embeddings, tracks["track_id"].tolist())
    _write_texts(folder / TRACKS, tracks)
    _write_texts(folder / LEFT_OUT, left_out)
    vectors = np.load(folder / VECTORS, mmap_mode="r")
    songs = songs_of(tracks, vectors)
    files = [VECTORS, TRACKS, LEFT_OUT, FACTS]
    found_by: dict[str, Any] = {"method": "exact"}
    if len(songs.table) > exact_up_to:
        approximate = Approximate.build(songs.vectors, seed=seed)
        with atomic_path(folder / NEIGHBOURS) as path:
            approximate.write(path)
        found_by = approximate.facts()
        files.append(NEIGHBOURS)
    facts = {
        "encoder": asdict(encoder),
        "n_tracks": len(tracks),
        "n_songs": len(songs.table),
        "n_artists": int(tracks["artist_id"].nunique()),
        "n_left_out": len(left_out),
        "exact_up_to": exact_up_to,
        "neighbours": found_by,
        "sha256": fingerprint(tracks, vectors, asdict(encoder)),
    }
    write_json(folder / FACTS, facts)
    commit_folder(folder, files=files, details=facts)
    return open_index(folder)


def cached_index(
    cache_root: str | Path,
    embeddings: Embeddings,
    track_table: pd.DataFrame,
    encoder: Encoder,
    *,
    exact_up_to: int = EXACT_UP_TO,
    seed: int = 0,
) -> SearchIndex:
    """Open the index of these embeddings, built first if it is not there or damaged.

    Parameters
    ----------
    cache_root : str or Path
        The index is in ``<cache_root>/search/<fingerprint>``.
    embeddings, track_table, encoder, exact_up_to, seed
        As in `build_index`.

    Returns
    -------
    SearchIndex
    """
    known = track_table[[name for name in COLUMNS if name in track_table.columns]]
    ids, vectors = list(embeddings.track_ids), embeddings.vectors
    folder = Path(cache_root) / KIND / fingerprint(ids, vectors, known, encoder, exact_up_to, seed)
    if open_folder(folder) is not None:
        return open_index(folder, verified=True)
    return build_index(folder, embeddings, track_table, encoder, exact_up_to=exact_up_to, seed=seed)


def open_index(folder: str | Path, *, encoder: Encoder | None = None, verified: bool = False) -> SearchIndex:
    """Open an index; its vectors stay on disk until they are read.

    Parameters
    ----------
    folder : str or Path
    encoder : Encoder, optional
        What its vectors have to come from.
    verified : bool
        Whether its checksums were looked at already.

    Returns
    -------
    SearchIndex

    Raises
    ------
    ArtistTransferError
        If there is none, it is damaged or not finished, or of another net.
    """
    folder = Path(folder)
    if not verified and open_folder(folder) is None:
        raise ArtistTransferError(f"{folder} holds no finished search index: embed the corpus again to build it")
    facts = read_json(folder / FACTS)
    index = SearchIndex(
        folder,
        Encoder(**facts["encoder"]),
        _read_texts(folder / TRACKS),
        np.load(folder / VECTORS, mmap_mode="r"),
        _read_texts(folder / LEFT_OUT),
        facts,
    )
    if index.vectors.shape != (len(index.tracks), index.encoder.width):
        raise ArtistTransferError(
            f"search index {folder}: vectors of shape {index.vectors.shape} do not fit {len(index.tracks)} tracks of "
            f"{index.encoder.name} with {index.encoder.width} columns"
        )
    if encoder is not None:
        index.check(encoder, what="what is asked for")
    return index


def _kept(embeddings: Embeddings, track_table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Divide the corpus into tracks that can be found and tracks that cannot."""
    missing = [name for name in ("track_id", "path") if name not in track_table.columns]
    if missing:
        raise ArtistTransferError(f"search index: the track table has no column {missing[0]!r}")
    known = set(track_table["track_id"])
    strange = [track for track in embeddings.track_ids if track not in known]
    if strange:
        raise ArtistTransferError(
            f"search index: {len(strange)} embedded tracks are not in the track table, the first is {strange[0]!r}"
        )
    zero = {track for track, norm in zip(embeddings.track_ids, _norms(embeddings.vectors)) if norm == 0}
    kept = set(embeddings.track_ids) - zero
    if not kept:
        raise ArtistTransferError("search index: no track has an embedding, so there is nothing to search")
    table = track_table.sort_values("track_id", ignore_index=True)
    table = table.reindex(columns=list(COLUMNS)).astype(object).where(lambda cells: cells.notna(), None)
    table["recording_id"] = table["recording_id"].where(table["recording_id"].notna(), table["track_id"])
    mask = table["track_id"].isin(kept)
    rest = table.loc[~mask, "track_id"]
    reasons = [ALL_ZERO if track in zero else NO_EMBEDDING for track in rest]
    left_out = pd.DataFrame({"track_id": rest.tolist(), "reason": reasons}, dtype=object)
    return table[mask].reset_index(drop=True), left_out


def _norms(vectors: np.ndarray) -> np.ndarray:
    pieces = [np.abs(vectors[k : k + _CHUNK]).max(axis=1) for k in range(0, len(vectors), _CHUNK)]
    return np.concatenate(pieces) if pieces else np.zeros(0)


def _write_vectors(path: Path, embeddings: Embeddings, track_ids: list[str]) -> None:
    rows = embeddings.rows(track_ids)
    with open(path, "wb") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(rows), embeddings.width)}
        np.lib.format.write_array_header_1_0(stream, header)
        for k in range(0, len(rows), _CHUNK):
            piece = np.asarray(embeddings.vectors[rows[k : k + _CHUNK]], dtype=np.float64)
            piece /= np.abs(piece).max(axis=1, keepdims=True)  # the squares of a tiny vector would be 0
            piece /= np.linalg.norm(piece, axis=1, keepdims=True)
            stream.write(np.ascontiguousarray(piece, dtype="<f4").tobytes())


def _write_texts(path: Path, table: pd.DataFrame) -> None:
    schema = pyarrow.schema([(str(name), pyarrow.string()) for name in table.columns])
    with atomic_path(path) as temporary:
        pyarrow.parquet.write_table(pyarrow.Table.from_pandas(table, schema, preserve_index=False), temporary)


def _read_texts(path: Path) -> pd.DataFrame:
    columns: Mapping[str, list[str | None]] = pyarrow.parquet.read_table(path).to_pydict()
    return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})
