"""The one-dimensional convolutional nets of ISMIR: Basic, Siamese and tag-label, one tower for all three.

Park, Lee, Park, Ha, Nam: *Representation Learning of Music Using Artist Labels* (ISMIR 2018), section 2 and figure 1;
what the paper leaves open (kernels, pools, batch norm, initial weights) is that of the authors' released code.

Conventions: crops are ``(batch, frame, band)``, log10(1 + 10 · mel), standardised by the one mean and deviation that
the net carries. The convolutions slide over frames only; bands are their input channels. They are computed as 2-D
convolutions of height 1 with channels last, which takes 0.7 of the time of torch's 1-D ones on a CPU. In ``batch norm
→ ReLU → max pooling`` the pooling is computed before the ReLU: the ReLU is monotone, so the numbers are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from artist_transfer.errors import ArtistTransferError

Kind = Literal["basic", "siamese", "tag"]

FILTERS = (128, 128, 128, 128, 256)
KERNELS = (4, 4, 4, 2, 1)
POOLS = (4, 4, 4, 2, 1)
CROP = 129  # frames, 3 s
BATCH_NORM_EPS = 1e-3
BATCH_NORM_MOMENTUM = 0.01  # of the new value, as torch counts; Keras's 0.99 of the old one
_LEAST_CROP = 128  # what the pools divide to one frame
_INITIAL_WEIGHTS = 13  # keeps these random numbers apart from the others that a seed makes


@dataclass(frozen=True)
class ArtistNetConfig:
    """What a net is built from.

    Parameters
    ----------
    kind : {"basic", "siamese", "tag"}
        Softmax over artists; features compared by cosine, without an output layer; sigmoids over tags.
    n_outputs : int
        Artists (2 or more), or tags (1 or more); 0 for a Siamese net.
    n_mels : int >= 1
        Mel bands of a crop.
    crop : int >= 128
        Frames of a crop.
    width : float > 0
        Multiplies all numbers of filters, and so the 256 features.
    dropout : float, 0 to below 1
        After the last activation (the released code never connected it: 0).

    Raises
    ------
    ArtistTransferError
        If a value is out of bounds.
    """

    kind: Kind
    n_outputs: int = 0
    n_mels: int = 128
    crop: int = CROP
    width: float = 1.0
    dropout: float = 0.5

    def __post_init__(self) -> None:
        """Check the values."""
        if self.kind not in get_args(Kind):
            raise ArtistTransferError(f"net kind {self.kind!r} is unknown; allowed are {', '.join(get_args(Kind))}")
        least = {"basic": 2, "tag": 1, "siamese": 0}[self.kind]
        if self.n_outputs < least or (self.kind == "siamese" and self.n_outputs):
            allowed = "none" if self.kind == "siamese" else f"{least} or more"
            raise ArtistTransferError(f"a {self.kind} net with {self.n_outputs} outputs: allowed is {allowed}")
        if self.n_mels < 1 or self.crop < _LEAST_CROP:
            raise ArtistTransferError(
                f"four poolings need {_LEAST_CROP} frames or more, and a band, got {self.n_mels} bands and "
                f"{self.crop} frames"
            )
        if not self.width > 0:
            raise ArtistTransferError(f"the width of a net must be above 0, got {self.width}")
        if not 0 <= self.dropout < 1:
            raise ArtistTransferError(f"the dropout of a net must be from 0 to below 1, got {self.dropout}")

    @property
    def filters(self) -> tuple[int, ...]:
        """Filters of the five convolutions."""
        return tuple(max(1, round(self.width * filters)) for filters in FILTERS)

    @property
    def features(self) -> int:
        """Number of features, 256 at width 1."""
        return self.filters[-1]


class Block(nn.Module):
    """Convolution, batch norm, ReLU, max pooling.

    Parameters
    ----------
    n_in, n_out : int >= 1
        Channels.
    kernel, pool : int >= 1
        Frames.
    """

    def __init__(self, n_in: int, n_out: int, *, kernel: int, pool: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_in, n_out, kernel)
        self.norm = nn.BatchNorm2d(n_out, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)
        self.kernel, self.pool = kernel, pool

    def forward(self, x: Tensor) -> Tensor:
        """Map frames to fewer frames.

        Parameters
        ----------
        x : Tensor [shape=(batch, frame, n_in)]
            Input.

        Returns
        -------
        Tensor [shape=(batch, frame // pool, n_out), >= 0]
            Output.
        """
        if self.kernel > 1:  # as many frames out as in; an even kernel pads one more on the right
            x = F.pad(x, (0, 0, (self.kernel - 1) // 2, self.kernel // 2))
        x = x.transpose(1, 2).unsqueeze(2)  # (batch, channel, 1, frame), channels last in memory
        x = self.norm(F.conv2d(x, self.conv.weight.unsqueeze(2), self.conv.bias))
        if self.pool > 1:
            x = F.max_pool2d(x, (1, self.pool))  # leaves out what does not fill a pool
        return F.relu(x).squeeze(2).transpose(1, 2)


class ArtistNet(nn.Module):
    """Five blocks, an average over what frames are left, and for all but the Siamese kind a linear output.

    Parameters
    ----------
    config : ArtistNetConfig
        Kind and sizes.
    seed : int >= 0
        Initial weights: He uniform for the convolutions, Glorot uniform for the output, as in the released code. Those
        of the convolutions do not depend on the kind.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ArtistNetConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        channels = (config.n_mels, *config.filters)
        with torch.random.fork_rng(devices=[]):  # the layers' own initial weights would move the caller's generator
            self.blocks = nn.ModuleList(
                Block(channels[i], channels[i + 1], kernel=KERNELS[i], pool=POOLS[i]) for i in range(len(KERNELS))
            )
            self.head = nn.Linear(config.features, config.n_outputs) if config.n_outputs else None
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))
        self._initialise(seed)

    def _initialise(self, seed: int) -> None:
        with torch.no_grad():
            for number, block in enumerate(self.blocks):
                assert isinstance(block, Block) and block.conv.bias is not None
                nn.init.kaiming_uniform_(block.conv.weight, nonlinearity="relu", generator=_generator(seed, number))
                block.conv.bias.zero_()
            if self.head is not None:
                nn.init.xavier_uniform_(self.head.weight, generator=_generator(seed, len(self.blocks)))
                self.head.bias.zero_()

    def set_statistics(self, mean: float, std: float) -> None:
        """Take the numbers that crops are standardised by, those of the training frames.

        Parameters
        ----------
        mean : float, finite
            Mean over all frames and bands.
        std : float > 0, finite
            Standard deviation.

        Raises
        ------
        ArtistTransferError
            If they are out of bounds.
        """
        if not (np.isfinite(mean) and np.isfinite(std) and std > 0):
            raise ArtistTransferError(f"mean {mean} and deviation {std} of the frames: finite is allowed, and std > 0")
        with torch.no_grad():
            self.mean.fill_(float(mean))
            self.std.fill_(float(std))

    def average_evenly(self, seen: int) -> None:
        """Let batch norms average over all batches seen, until there are a hundred; from then on by their momentum.

        A net that makes ten thousands of updates does not notice. With few, running averages that start from 0 and 1
        would be those of no batch, and the net in evaluation mode another one than was trained.

        Parameters
        ----------
        seen : int >= 0
            Batches before the next one.
        """
        for block in self.blocks:
            assert isinstance(block, Block)
            block.norm.momentum = max(BATCH_NORM_MOMENTUM, 1 / (seen + 1))

    def standardise(self, x: Tensor) -> Tensor:
        """Turn raw log-mel of any float type into what the first convolution takes.

        Parameters
        ----------
        x : Tensor [any shape]
            log10(1 + 10 · mel).

        Returns
        -------
        Tensor
            Zero mean and unit deviation over the training frames, in the type of the statistics.
        """
        return (x.to(self.mean.dtype) - self.mean) / self.std

    def block_outputs(self, x: Tensor) -> list[Tensor]:
        """Return what each block makes; 129 frames become 32, 8, 2, 1 and 1.

        Parameters
        ----------
        x : Tensor [shape=(batch, frame, band)]
            Standardised crops.

        Returns
        -------
        list of Tensor [shape=(batch, frame, filter)]
            After pooling.
        """
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return outputs

    def _last(self, x: Tensor) -> Tensor:
        if x.dim() != 3 or x.shape[1] < _LEAST_CROP or x.shape[2] != self.config.n_mels:
            raise ArtistTransferError(
                f"crops of shape {tuple(x.shape)}: allowed is (batch, {_LEAST_CROP} frames or more, "
                f"{self.config.n_mels} bands)"
            )
        for block in self.blocks:
            x = block(x)
        return x  # (batch, 1, 256)

    def encode(self, x: Tensor) -> Tensor:
        """Return the features of crops, those that are transferred and compared (ISMIR, section 4.1).

        Parameters
        ----------
        x : Tensor [shape=(batch, 129, band)]
            Standardised crops.

        Returns
        -------
        Tensor [shape=(batch, 256), >= 0]
            Before dropout.
        """
        return self._last(x).mean(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the loss works on.

        Parameters
        ----------
        x : Tensor [shape=(batch, 129, band)]
            Standardised crops.

        Returns
        -------
        Tensor [shape=(batch, n_outputs)]
            Logits; of a Siamese net its features, shape=(batch, 256). Both after dropout.
        """
        features = F.dropout(self._last(x), self.config.dropout, self.training).mean(dim=1)  # (batch, 256)
        return features if self.head is None else self.head(features)

    def kernels(self) -> list[Tensor]:
        """Return the kernels of the convolutions, which alone are under the L2 penalty (as in the released code)."""
        return [block.conv.weight for block in self.blocks if isinstance(block, Block)]


def _generator(seed: int, layer: int) -> torch.Generator:
    state = np.random.SeedSequence([seed, _INITIAL_WEIGHTS, layer]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
