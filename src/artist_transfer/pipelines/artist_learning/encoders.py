"""Encoders by name, and the vectors that they give the tracks of a corpus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.artifacts import atomic_path, commit_folder, fingerprint, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_learning.params import KINDS, EncodingBlock
from artist_transfer.pipelines.feature_learning.learning import source_key

if TYPE_CHECKING:
    import torch

    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.models.artist_net import ArtistNet
    from artist_transfer.search.index import Encoder

RELEASED = "ismir2018_siamese"
FETCHED = Path("data/01_raw/released")
VECTORS, TRACKS = "embeddings.npy", "tracks.json"


@dataclass(frozen=True)
class NamedNet:
    """A net and what it is called.

    Attributes
    ----------
    name : str
        Of the encoder.
    net : ArtistNet
        In evaluation mode.
    key : str
        Fingerprint of its weights.
    """

    name: str
    net: ArtistNet
    key: str

    @classmethod
    def of(cls, name: str, net: ArtistNet) -> NamedNet:
        """Fingerprint a net's weights."""
        weights = {key: value.detach().cpu().numpy() for key, value in sorted(net.state_dict().items())}
        return cls(name, net, fingerprint("artist net weights", weights))

    @property
    def encoder(self) -> Encoder:
        """What an index says of its encoder."""
        from artist_transfer.search.index import Encoder

        return Encoder(self.name, self.net.config.features, "ismir", self.key)

    def encoder_of(self, encoding: EncodingBlock) -> Encoder:
        """Return what an index says of its encoder and of how songs became one vector.

        Parameters
        ----------
        encoding : EncodingBlock
            Segments of a song.

        Returns
        -------
        Encoder
            Both.
        """
        return replace(self.encoder, **encoding.model_dump())


def find_encoder(encoder: str, *, cache_root: str, released_weights: str | None) -> NamedNet:
    """Load the net that a parameter names.

    Parameters
    ----------
    encoder : str
        ``basic``, ``siamese`` or ``tag`` (the last one trained), ``ismir2018_siamese`` (the authors' weights), or the
        folder of a net.
    cache_root : str
        Where trained nets are.
    released_weights : str or None
        The authors' file; None fetches it.

    Returns
    -------
    NamedNet
        The net.

    Raises
    ------
    ArtistTransferError
        If there is no such net; says what to do.
    """
    from artist_transfer.models.files import load_artist_net
    from artist_transfer.models.released import load_ismir2018
    from artist_transfer.released_files import fetch_released

    if encoder == RELEASED:
        path = Path(released_weights) if released_weights else fetch_released(FETCHED)
        return NamedNet.of(RELEASED, load_ismir2018(path))
    if encoder in KINDS:
        note = Path(cache_root) / "encoders" / f"{encoder}.json"
        if not note.is_file():
            job = {"basic": "artist_basic", "siamese": "artist_siamese", "tag": "tag_basic"}[encoder]
            raise ArtistTransferError(
                f"encoder={encoder}: no such net has been trained yet ({note} is not there). Run `kedro run "
                f"--pipeline={job}` first, or take the authors' net: --params encoder={RELEASED}"
            )
        return NamedNet.of(encoder, load_artist_net(read_json(note)["folder"]))
    if not Path(encoder).is_dir():
        raise ArtistTransferError(
            f"encoder={encoder}: allowed are {', '.join(KINDS)}, {RELEASED}, or the folder of a trained net"
        )
    return NamedNet.of(Path(encoder).name, load_artist_net(encoder))


def embed(
    named: NamedNet,
    usable_table: pd.DataFrame,
    mel_manifest: Mapping[str, Any],
    encoding: EncodingBlock,
    *,
    device: torch.device,
    cache_root: str,
) -> tuple[Embeddings, dict[str, str]]:
    """Encode all tracks of a corpus, once.

    Parameters
    ----------
    named : NamedNet
        The net.
    usable_table : pd.DataFrame
        The tracks.
    mel_manifest : mapping
        Spectrograms of the ismir front end.
    encoding : EncodingBlock
        Segments of a song.
    device : torch.device
        Where the net works.
    cache_root : str
        Kept in ``<cache_root>/embeddings/<fingerprint>``.

    Returns
    -------
    embeddings : Embeddings
        Of the tracks that are long enough.
    left_out : dict of str to str
        The others, with the reason.
    """
    import numpy as np

    from artist_transfer.audio.store import MelStore
    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.models.encoding import encode_songs

    tracks = usable_table.sort_values("track_id", ignore_index=True)
    key = fingerprint(
        "embeddings", 1, named.key, encoding.model_dump(), source_key(tracks, mel_manifest["front_end"]), device.type
    )
    folder = Path(cache_root) / "embeddings" / key
    if open_folder(folder) is None:
        store = MelStore(mel_manifest, tracks)
        ids = tracks["track_id"].tolist()
        vectors, left_out = encode_songs(named.net, store, ids, device=device, **encoding.model_dump())
        with atomic_path(folder / VECTORS) as path, open(path, "wb") as stream:
            np.save(stream, vectors)
        kept = [track for track in ids if track not in left_out]
        write_json(folder / TRACKS, {"track_ids": kept, "left_out": left_out})
        commit_folder(folder, files=[VECTORS, TRACKS], details={"encoder": named.name, "width": vectors.shape[1]})
    told = read_json(folder / TRACKS)
    vectors = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
    return Embeddings(tuple(told["track_ids"]), vectors), told["left_out"]
