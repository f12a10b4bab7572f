"""The deep convolutional nets of AGF: single-task and multi-task, by table 2.

Kim, Won, Serra, Liem: *Transfer Learning of Artist Group Factors to Musical Genre Classification* (WWW 2018),
section 3.2 and table 2. Each task has a tower of its own; the first convolution and its pooling may be shared.

Conventions: a tensor of crops is ``(batch, 1, band, frame)``, raw log-mel in dB; the net standardises it by the
band statistics that it carries, so that a saved net needs nothing beside it. In ``conv → (batch norm) → ELU →
max pooling`` the pooling is computed before the ELU: the ELU is monotone, so the numbers are the same, and the
exponentials are taken of a quarter of the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from artist_transfer.errors import ArtistTransferError
from artist_transfer.tasks import task_rank

CHANNELS = (16, 32, 64, 64, 128, 256, 256)
KERNELS = (5, 3, 3, 3, 3, 3, 1)
POOLS = ((2, 1), (2, 2), (2, 2), (2, 2), (2, 2))  # (band, frame), after the first five convolutions
FEATURES = 256
_INITIAL_WEIGHTS = 11  # keeps these random numbers apart from the others that a seed makes


@dataclass(frozen=True)
class DcnnConfig:
    """What a net is built from.

    Parameters
    ----------
    outputs : tuple of (str, int), or mapping of str to int
        Task letters and their numbers of classes or groups, each >= 2; kept in the order gsedm, others behind.
    width : float > 0
        Multiplies all channels and the dense layer (the paper's wSTN).
    shared : bool
        Whether the tasks share the first convolution and its pooling.
    n_mels : int >= 32
        Mel bands of a crop.
    crop : int >= 16
        Frames of a crop.

    Raises
    ------
    ArtistTransferError
        If a value is out of bounds.
    """

    outputs: tuple[tuple[str, int], ...]
    width: float = 1.0
    shared: bool = True
    n_mels: int = 128
    crop: int = 43

    def __post_init__(self) -> None:
        """Bring the outputs into canonical order and check everything."""
        pairs = self.outputs.items() if isinstance(self.outputs, Mapping) else self.outputs
        outputs = sorted(((str(task), int(n_out)) for task, n_out in pairs), key=lambda pair: task_rank(pair[0]))
        object.__setattr__(self, "outputs", tuple(outputs))
        if not outputs or len(dict(outputs)) != len(outputs):
            raise ArtistTransferError(f"a net needs one or more different tasks, got {self.tasks}")
        for task, n_out in outputs:
            if not task.isidentifier() or n_out < 2:
                raise ArtistTransferError(f"task {task!r} has {n_out} outputs; a name and two or more are needed")
        if not self.width > 0:
            raise ArtistTransferError(f"the width of a net must be above 0, got {self.width}")
        if self.n_mels < 32 or self.crop < 16:
            raise ArtistTransferError(
                f"five poolings need 32 bands and 16 frames or more, got {self.n_mels} bands and {self.crop} frames"
            )

    @property
    def tasks(self) -> tuple[str, ...]:
        """Task letters in order."""
        return tuple(task for task, _ in self.outputs)

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the seven convolutions."""
        return tuple(max(1, round(self.width * channels)) for channels in CHANNELS)

    @property
    def features(self) -> int:
        """Number of transferred features of a task, 256 at width 1."""
        return max(1, round(self.width * FEATURES))


def _conv(n_in: int, n_out: int, layer: int, *, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, KERNELS[layer], padding=KERNELS[layer] // 2, bias=bias)


class SharedTrunk(nn.Module):
    """First convolution and its pooling: the block that a multi-task net shares (AGF, section 3.2.2).

    Parameters
    ----------
    config : DcnnConfig
        Sizes.
    """

    def __init__(self, config: DcnnConfig) -> None:
        super().__init__()
        self.conv1 = _conv(1, config.channels[0], 0, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map standardised crops to the first feature maps.

        Parameters
        ----------
        x : Tensor [shape=(batch, 1, band, frame)]
            Standardised log-mel.

        Returns
        -------
        Tensor [shape=(batch, 16, band / 2, frame)]
            Feature maps.
        """
        x = self.conv1(x)  # (batch, 16, 128, 43)
        return F.elu(F.max_pool2d(x, POOLS[0]))  # (batch, 16, 64, 43)


class Tower(nn.Module):
    """All that a task has for itself: convolutions 2 to 7, the dense layer and the output (AGF, table 2).

    Parameters
    ----------
    config : DcnnConfig
        Sizes.
    n_out : int >= 2
        Classes or groups of the task.
    """

    def __init__(self, config: DcnnConfig, n_out: int) -> None:
        super().__init__()
        c, wide = config.channels, config.features
        self.conv2 = _conv(c[0], c[1], 1, bias=False)  # what a batch norm follows needs no bias
        self.norm2 = nn.BatchNorm2d(c[1])
        self.conv3 = _conv(c[1], c[2], 2, bias=True)
        self.conv4 = _conv(c[2], c[3], 3, bias=False)
        self.norm4 = nn.BatchNorm2d(c[3])
        self.conv5 = _conv(c[3], c[4], 4, bias=True)
        self.conv6 = _conv(c[4], c[5], 5, bias=True)
        self.conv7 = _conv(c[5], c[6], 6, bias=False)
        self.norm7 = nn.BatchNorm2d(c[6])
        self.norm_pooled = nn.BatchNorm1d(c[6])
        self.dense = nn.Linear(c[6], wide, bias=False)
        self.norm_dense = nn.BatchNorm1d(wide)
        self.out = nn.Linear(wide, n_out)

    def features(self, x: Tensor) -> Tensor:
        """Map the first feature maps to the features that are transferred.

        Parameters
        ----------
        x : Tensor [shape=(batch, 16, 64, 43)]
            Output of the trunk.

        Returns
        -------
        Tensor [shape=(batch, 256)]
            Activations after dense, batch norm and ELU, before their dropout.
        """
        x = F.elu(F.max_pool2d(self.norm2(self.conv2(x)), POOLS[1]))  # (batch, 32, 32, 21)
        x = F.dropout(x, 0.1, self.training)
        x = F.elu(F.max_pool2d(self.conv3(x), POOLS[2]))  # (batch, 64, 16, 10)
        x = F.elu(F.max_pool2d(self.norm4(self.conv4(x)), POOLS[3]))  # (batch, 64, 8, 5)
        x = F.dropout(x, 0.1, self.training)
        x = F.elu(F.max_pool2d(self.conv5(x), POOLS[4]))  # (batch, 128, 4, 2)
        x = F.elu(self.conv6(x))  # (batch, 256, 4, 2)
        x = F.elu(self.norm7(self.conv7(x)))  # (batch, 256, 4, 2)
        x = self.norm_pooled(x.mean(dim=(2, 3)))  # (batch, 256)
        return F.elu(self.norm_dense(self.dense(x)))  # (batch, 256)

    def forward(self, x: Tensor) -> Tensor:
        """Map the first feature maps to logits.

        Parameters
        ----------
        x : Tensor [shape=(batch, 16, 64, 43)]
            Output of the trunk.

        Returns
        -------
        Tensor [shape=(batch, n_out)]
            Logits, before the softmax.
        """
        return self.out(F.dropout(self.features(x), 0.5, self.training))


class MultiTaskNet(nn.Module):
    """A tower for each task on one shared trunk, or on a trunk each; with one task it is the STN.

    Parameters
    ----------
    config : DcnnConfig
        Tasks and sizes.
    seed : int >= 0
        Initial weights: Glorot uniform. A task's depend on the seed and its name only, not on the other tasks or
        on the device.
    """

    band_mean: Tensor
    band_std: Tensor

    def __init__(self, config: DcnnConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):  # the layers' own initial weights would move the caller's generator
            names = ("shared",) if config.shared else config.tasks
            self.trunks = nn.ModuleDict({name: SharedTrunk(config) for name in names})
            self.towers = nn.ModuleDict({task: Tower(config, n_out) for task, n_out in config.outputs})
        self.register_buffer("band_mean", torch.zeros(config.n_mels, 1))  # (band, 1)
        self.register_buffer("band_std", torch.ones(config.n_mels, 1))
        for part, modules in (("trunk", self.trunks), ("tower", self.towers)):
            for name, module in modules.items():
                _initialise(module, [seed, _INITIAL_WEIGHTS, *f"{part}.{name}".encode()])

    def set_band_statistics(self, mean: np.ndarray, std: np.ndarray) -> None:
        """Take the statistics that crops are standardised by, those of the training tracks.

        Parameters
        ----------
        mean, std : np.ndarray [shape=(n_mels,)], dB, finite, std > 0
            Mean and standard deviation of each band.

        Raises
        ------
        ArtistTransferError
            If they are of another shape, not finite, or a deviation is not positive.
        """
        n_mels = self.config.n_mels
        if np.shape(mean) != (n_mels,) or np.shape(std) != (n_mels,):
            raise ArtistTransferError(f"band statistics need {n_mels} values, got {np.shape(mean)}, {np.shape(std)}")
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (np.asarray(std) > 0).all()):
            raise ArtistTransferError("band statistics must be finite, with standard deviations above 0")
        with torch.no_grad():
            self.band_mean.copy_(torch.as_tensor(mean)[:, None])
            self.band_std.copy_(torch.as_tensor(std)[:, None])

    def standardise(self, x: Tensor) -> Tensor:
        """Turn raw log-mel of any float type into what the first convolution takes.

        Parameters
        ----------
        x : Tensor [shape=(batch, 1, band, frame)], dB
            Raw log-mel.

        Returns
        -------
        Tensor [shape=(batch, 1, band, frame)]
            Zero mean and unit deviation by band over the training tracks, in the type of the statistics.
        """
        return (x.to(self.band_mean.dtype) - self.band_mean) / self.band_std

    def trunk_of(self, task: str) -> nn.Module:
        """Return the trunk below a task's tower.

        Parameters
        ----------
        task : str
            One of the tasks of the configuration.

        Returns
        -------
        nn.Module
            The shared one, or the task's own.
        """
        return self.trunks["shared" if self.config.shared else task]

    def _trunk(self, x: Tensor, task: str) -> Tensor:
        return self.trunk_of(task)(self.standardise(x))

    def forward(self, x: Tensor, task: str) -> Tensor:
        """Return a task's logits.

        Parameters
        ----------
        x : Tensor [shape=(batch, 1, band, frame)], dB
            Raw log-mel.
        task : str
            One of the tasks of the configuration.

        Returns
        -------
        Tensor [shape=(batch, n_out)]
            Logits, before the softmax.
        """
        return self.towers[task](self._trunk(x, task))

    def features(self, x: Tensor, task: str) -> Tensor:
        """Return a task's transferred features (AGF, section 3.2.3).

        Parameters
        ----------
        x : Tensor [shape=(batch, 1, band, frame)], dB
            Raw log-mel.
        task : str
            One of the tasks of the configuration.

        Returns
        -------
        Tensor [shape=(batch, 256)]
            Activations after dense, batch norm and ELU, before their dropout.
        """
        return self._tower(task).features(self._trunk(x, task))

    def features_all(self, x: Tensor) -> dict[str, Tensor]:
        """Return every task's features; a shared trunk runs once.

        Parameters
        ----------
        x : Tensor [shape=(batch, 1, band, frame)], dB
            Raw log-mel.

        Returns
        -------
        dict of str to Tensor [shape=(batch, 256)]
            In the order of the configuration's tasks.
        """
        if not self.config.shared:
            return {task: self.features(x, task) for task in self.config.tasks}
        maps = self._trunk(x, self.config.tasks[0])  # (batch, 16, 64, 43)
        return {task: self._tower(task).features(maps) for task in self.config.tasks}

    def _tower(self, task: str) -> Tower:
        tower = self.towers[task]
        assert isinstance(tower, Tower)
        return tower


def _initialise(module: nn.Module, key: list[int]) -> None:
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1))
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter, generator=generator)
            elif name.endswith("bias"):
                parameter.zero_()


def count_parameters(net: nn.Module) -> int:
    """Count trainable parameters; the genre STN of 16 classes has 566,320.

    Parameters
    ----------
    net : nn.Module
        Any net.

    Returns
    -------
    int
        Their number.
    """
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
