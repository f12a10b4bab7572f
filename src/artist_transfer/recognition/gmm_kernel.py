"""Responsibilities of diagonal Gaussians by two matrix products a chunk of frames.

Frames are standardised by the mixture's own mean and deviation, so that single precision is enough; then, with
``f = [x, 1, x²]``, the logarithm of every weighted density is one product ``f @ matrix``, and all sufficient statistics
are one product ``fᵀ @ responsibilities``. Chunks are summed in double precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from artist_transfer.errors import ArtistTransferError

PRECISIONS = {"single": torch.float32, "double": torch.float64}
LEAST = -70.0  # log of a density over the greatest: below it numbers turn denormal, and a CPU twenty times slower
_CPU_CHUNK, _GPU_CHUNK = 2048, 1 << 17  # frames: on a CPU 256 responsibilities of each stay in the cache


@dataclass(frozen=True, eq=False)
class Expected:
    """What the mixture says of a chunk of frames.

    Attributes
    ----------
    features : Tensor [shape=(frame, 2 * coefficient + 1)]
        ``[x, 1, x²]``, standardised.
    densities : Tensor [shape=(frame, mixture)]
        Weighted densities over their greatest: responsibilities but for a factor of each frame.
    totals : Tensor [shape=(frame, 1)]
        Their sums; dividing by them gives the responsibilities.
    log_likelihood : Tensor [shape=(frame,)], float64
    """

    features: Tensor
    densities: Tensor
    totals: Tensor
    log_likelihood: Tensor


class Kernel:
    """A mixture made ready for products.

    Parameters
    ----------
    weights : np.ndarray [shape=(mixture,)]
    means, variances : np.ndarray [shape=(mixture, coefficient)]
    device : torch.device or str
    precision : {"single", "double"}
        Of the products; statistics and likelihoods are summed in double precision in any case.

    Raises
    ------
    ArtistTransferError
        If the precision is unknown.
    """

    def __init__(
        self,
        weights: np.ndarray,
        means: np.ndarray,
        variances: np.ndarray,
        *,
        device: torch.device | str = "cpu",
        precision: str = "single",
    ) -> None:
        if precision not in PRECISIONS:
            raise ArtistTransferError(f"precision: {precision!r} is unknown; allowed are {', '.join(PRECISIONS)}")
        self.device, self.dtype = torch.device(device), PRECISIONS[precision]
        self.n_mixtures, self.width = means.shape
        self.shift = weights @ means
        self.scale = np.sqrt(weights @ (variances + (means - self.shift) ** 2))
        centred, spread = (means - self.shift) / self.scale, variances / self.scale**2
        constant = np.log(weights) - 0.5 * (np.log(2 * np.pi * variances) + centred**2 / spread).sum(axis=1)
        matrix = np.concatenate([(centred / spread).T, constant[None], (-0.5 / spread).T])  # (2 coefficient + 1, …)
        self.matrix = self.tensor(matrix)
        self._shift, self._inverse = self.tensor(self.shift), self.tensor(1.0 / self.scale)
        self._buffers: dict[str, Tensor] = {}

    def tensor(self, values: np.ndarray) -> Tensor:
        """Return values on the device, in the precision of the products.

        Parameters
        ----------
        values : np.ndarray

        Returns
        -------
        Tensor
        """
        return torch.as_tensor(np.ascontiguousarray(values)).to(self.device, self.dtype)

    def features(self, rows: np.ndarray) -> Tensor:
        """Return ``[x, 1, x²]`` of standardised frames, in a buffer that the next call uses again.

        Parameters
        ----------
        rows : np.ndarray [shape=(frame, coefficient)]

        Returns
        -------
        Tensor [shape=(frame, 2 * coefficient + 1)]
        """
        x = self.tensor(rows)
        width = self.width
        out = self._buffer("features", len(x), 2 * width + 1)
        torch.sub(x, self._shift, out=out[:, :width])  # never in place: it may be the caller's own memory
        out[:, :width] *= self._inverse
        out[:, width] = 1
        torch.square(out[:, :width], out=out[:, width + 1 :])
        return out

    def expect(self, rows: np.ndarray) -> Expected:
        """Compute likelihoods and responsibilities of a chunk, in buffers that the next call uses again.

        Parameters
        ----------
        rows : np.ndarray [shape=(frame, coefficient)]

        Returns
        -------
        Expected
        """
        features = self.features(rows)
        joint = torch.mm(features, self.matrix, out=self._buffer("joint", len(rows), self.n_mixtures))
        greatest = joint.amax(dim=1, keepdim=True)  # (frame, 1)
        densities = joint.sub_(greatest).clamp_(min=LEAST).exp_()
        totals = densities.sum(dim=1, keepdim=True)
        return Expected(features, densities, totals, (greatest.double() + totals.double().log()).squeeze(1))

    def log_responsibilities(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return features and the logarithm of the responsibilities of a chunk, in buffers as above.

        Parameters
        ----------
        rows : np.ndarray [shape=(frame, coefficient)]

        Returns
        -------
        features : Tensor [shape=(frame, 2 * coefficient + 1)]
        logarithms : Tensor [shape=(frame, mixture)]
        """
        features = self.features(rows)
        joint = torch.mm(features, self.matrix, out=self._buffer("joint", len(rows), self.n_mixtures))
        greatest = joint.amax(dim=1, keepdim=True)
        totals = joint.sub_(greatest).clamp(min=LEAST).exp_().sum(dim=1, keepdim=True)
        return features, joint.sub_(totals.log_())

    def raw_first(self, zeroth: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Return first-order sums of the frames as they are, given those of standardised ones.

        Parameters
        ----------
        zeroth : np.ndarray [shape=(…, mixture)]
        first : np.ndarray [shape=(…, mixture, coefficient)]

        Returns
        -------
        np.ndarray [shape=(…, mixture, coefficient)]
        """
        return first * self.scale + zeroth[..., None] * self.shift

    def _buffer(self, name: str, rows: int, columns: int) -> Tensor:
        held = self._buffers.get(name)
        if held is None or len(held) < rows:
            held = self._buffers[name] = torch.empty((rows, columns), device=self.device, dtype=self.dtype)
        return held[:rows]


def log_likelihood(kernel: Kernel, x: np.ndarray, *, chunk: int = 8192) -> np.ndarray:
    """Return the log-likelihood of each frame.

    Parameters
    ----------
    kernel : Kernel
    x : np.ndarray [shape=(n, coefficient)]
    chunk : int > 0

    Returns
    -------
    np.ndarray [shape=(n,)], float64

    Raises
    ------
    ArtistTransferError
        If the number of coefficients is another one.
    """
    if x.ndim != 2 or x.shape[1] != kernel.width:
        raise ArtistTransferError(f"GMM: fitted on {kernel.width} coefficients, found frames of shape {x.shape}")
    size = chunk_size(chunk, kernel.device)
    out = np.empty(len(x))
    for at in range(0, len(x), size):
        out[at : at + size] = kernel.expect(np.asarray(x[at : at + size])).log_likelihood.cpu().numpy()
    return out


def chunk_size(chunk: int | None, device: torch.device | str) -> int:
    """Return how many frames are worked on at once.

    Parameters
    ----------
    chunk : int > 0 or None
        None is what suits the device.
    device : torch.device or str

    Returns
    -------
    int

    Raises
    ------
    ArtistTransferError
        If it is not positive.
    """
    if chunk is None:
        return _CPU_CHUNK if torch.device(device).type == "cpu" else _GPU_CHUNK
    if chunk < 1:
        raise ArtistTransferError(f"chunk: {chunk} frames; allowed is at least 1")
    return chunk
