"""The authors' released Siamese net of ISMIR, read from their Keras file without Keras.

Park, Lee, Park, Ha, Nam: *Representation Learning of Music Using Artist Labels* (ISMIR 2018); the weights are under
the MIT licence at https://github.com/jongpillee/ismir2018-artist: 10,000 artists, 4 negatives, margin 0.4. The file
is HDF5 with arrays and JSON, nothing pickled. It is no part of this package: see `artist_transfer.released_files`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from artist_transfer.artifacts import sha256_of
from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.artist_net import KERNELS, ArtistNet, ArtistNetConfig

if TYPE_CHECKING:
    import h5py


@dataclass(frozen=True)
class ReleasedWeights:
    """A file of weights on the network.

    Parameters
    ----------
    name : str
        File name here.
    url : str
        Its address.
    sha256 : str, 64 hexadecimal digits
        Its checksum.
    size : int, bytes
        Its size.
    mean, std : float
        What the net's input is standardised by; the file does not say.
    """

    name: str
    url: str
    sha256: str
    size: int
    mean: float
    std: float


RELEASED = ReleasedWeights(
    name="ismir2018_siamese_10000.h5",
    url=(
        "https://github.com/jongpillee/ismir2018-artist/raw/68841d227fef71ac76b44e704007e50452042a38/"
        "models/model_siamese_10000_4_0.40/model_siamese_10000.h5"
    ),
    sha256="3b3ad09c321786c8ea388269ee3c35ab540734ce5209f40a430f1c9b0a25f753",
    size=2_210_360,
    mean=0.22620339,
    std=0.25794547,
)


def load_ismir2018(path: str | Path, *, sha256: str | None = RELEASED.sha256) -> ArtistNet:
    """Read the authors' Keras file into our net.

    Parameters
    ----------
    path : str or Path
        ``ismir2018_siamese_10000.h5``.
    sha256 : str or None
        Checksum that the file must have, looked at before the file is opened; None takes any file of this shape, such
        as one that was trained with the authors' code.

    Returns
    -------
    ArtistNet
        Siamese, on the CPU, in evaluation mode, with the released mean and deviation.

    Raises
    ------
    ArtistTransferError
        If the file is not there, not the authors', not HDF5, or not of the net's shape; the layer is named.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtistTransferError(f"{path}: no such file; `artist_transfer.released_files.fetch_released` gets it")
    found = sha256_of(path) if sha256 is not None else None
    if found != sha256:
        raise ArtistTransferError(
            f"{path} is not the released file: its SHA-256 is {found}, {sha256} is expected; remove it and fetch it "
            "again, or give sha256=None to read another Keras file of the same net"
        )
    import h5py  # only for this one file

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ArtistTransferError(f"{path} cannot be read as HDF5: {error}") from error
    net = ArtistNet(ArtistNetConfig("siamese", dropout=0.0))
    with file:
        net.load_state_dict(_state(file, net, path=path))
    net.set_statistics(RELEASED.mean, RELEASED.std)
    return net.eval()


def _state(file: h5py.File, net: ArtistNet, *, path: Path) -> dict[str, Tensor]:
    """Translate Keras's arrays; a kernel there is (frame, in, out)."""
    state = net.state_dict()
    for i in range(len(KERNELS)):
        conv, norm = f"conv1d_{i + 1}", f"batch_normalization_{i + 1}"
        names = {
            "conv.weight": (conv, "kernel:0"),
            "conv.bias": (conv, "bias:0"),
            "norm.weight": (norm, "gamma:0"),
            "norm.bias": (norm, "beta:0"),
            "norm.running_mean": (norm, "moving_mean:0"),
            "norm.running_var": (norm, "moving_variance:0"),
        }
        for ours, (layer, array) in names.items():
            key = f"blocks.{i}.{ours}"
            shape = tuple(state[key].shape)
            theirs = shape[::-1] if ours == "conv.weight" else shape
            values = _array(file, f"model_weights/{layer}/{layer}/{array}", shape=theirs, path=path)
            state[key] = torch.from_numpy(np.ascontiguousarray(values.T if ours == "conv.weight" else values))
    return state


def _array(file: h5py.File, name: str, *, shape: tuple[int, ...], path: Path) -> np.ndarray:
    try:
        node = file[name]
        found = tuple(node.shape)  # before anything is read: a lying file could ask for any amount of memory
        values = np.asarray(node[()], dtype=np.float32) if found == shape else None
    except (KeyError, OSError, ValueError, TypeError, AttributeError) as error:
        raise ArtistTransferError(f"{path}: {name} is missing or cannot be read; {shape} is expected there") from error
    if values is None:
        raise ArtistTransferError(f"{path}: {name} has the shape {found}, {shape} is expected")
    if not np.isfinite(values).all():
        raise ArtistTransferError(f"{path}: {name} has values that are not finite")
    return values
