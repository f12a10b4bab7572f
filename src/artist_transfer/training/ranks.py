"""What the processes of one training tell each other: gradients, wishes and checkpoints.

Every rank takes the same steps in the same order and draws the same batches, each its own part of them. After a
backward pass the gradients are averaged, so that weights and moments stay equal without ever being sent. `Ranks` is
the one process that trains alone; `GroupRanks` is one of several.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from artist_transfer.errors import ArtistTransferError

Checkpoint = tuple[dict[str, Tensor], dict[str, Any]]
AfterBackward = Callable[[Tensor], Tensor]

PATIENCE = timedelta(hours=1)  # with another rank, which may be reading its frames
_GPU_VOTES = 20  # steps; a vote waits for the slowest rank, and a step on a GPU is short


class PeerLost(Exception):  # noqa: N818  (not an error of this rank)
    """Another rank has gone while this one spoke to it."""


class Ranks:
    """A process that trains alone."""

    rank: int = 0
    world: int = 1

    def any(self, wish: bool, step: int) -> bool:
        """Say whether one of the ranks wishes something; all get the same answer.

        Parameters
        ----------
        wish : bool
            Of this rank; wishes must last until they are heard.
        step : int >= 0
            Updates done, the same on all ranks.

        Returns
        -------
        bool
            Always False between the steps at which ranks vote.
        """
        return wish

    def reducer(self, net: nn.Module) -> AfterBackward | None:
        """Return what is to be called between the backward pass and the step of the optimiser.

        Parameters
        ----------
        net : nn.Module
            The net whose gradients are averaged over the ranks.

        Returns
        -------
        callable or None
            Takes this rank's loss and returns the mean over the ranks; None if there is nothing to be done.
        """
        return None

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Collect a tensor of one shape from every rank.

        Parameters
        ----------
        tensor : Tensor
            On the CPU.

        Returns
        -------
        list of Tensor
            By rank.
        """
        return [tensor]

    def from_first(self, read: Callable[[], Checkpoint | None]) -> Checkpoint | None:
        """Read a checkpoint on rank 0 and give it to all.

        Parameters
        ----------
        read : callable
            Called on rank 0 only.

        Returns
        -------
        tensors, state : dict of str to Tensor, dict
            On the CPU; or None.
        """
        return read()

    def same(self, signature: str) -> None:
        """Refuse to go on if the ranks would train different things.

        Parameters
        ----------
        signature : str
            Fingerprint of data and parameters, of one length.

        Raises
        ------
        ArtistTransferError
            If it is another one on another rank.
        """


ALONE = Ranks()


class GroupRanks(Ranks):
    """One rank of torch's default process group.

    Parameters
    ----------
    device : torch.device
        Where gradients are: the default group must be able to reduce there. All other talk is on the CPU.
    """

    def __init__(self, device: torch.device) -> None:
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        on_gpu = device.type == "cuda"
        self._votes = _GPU_VOTES if on_gpu else 1
        self._talk = dist.new_group(backend="gloo", timeout=PATIENCE) if on_gpu else None  # None is the default group

    def any(self, wish: bool, step: int) -> bool:
        """Say whether one of the ranks wishes something."""
        if step % self._votes:
            return False
        vote = torch.tensor([wish], dtype=torch.uint8)
        with _talking():
            dist.all_reduce(vote, dist.ReduceOp.MAX, group=self._talk)
        return bool(vote)

    def reducer(self, net: nn.Module) -> AfterBackward | None:
        """Average gradients and loss in one go."""
        parameters = list(net.parameters())

        def reduce(loss: Tensor) -> Tensor:
            gradients = [p.grad for p in parameters if p.grad is not None]  # of the task's trunk and tower
            flat = torch.cat([*(g.flatten() for g in gradients), loss.to(gradients[0].dtype).flatten()])
            with _talking():
                dist.all_reduce(flat)
            *means, mean_loss = (flat / self.world).split([*(g.numel() for g in gradients), 1])
            for gradient, mean in zip(gradients, means, strict=True):
                gradient.copy_(mean.view(gradient.shape))  # into the old memory: the optimiser relies on its layout
            return mean_loss.view(()).to(loss.dtype)

        return reduce

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Collect a tensor from every rank."""
        gathered = [torch.empty_like(tensor) for _ in range(self.world)]
        with _talking():
            dist.all_gather(gathered, tensor, group=self._talk)
        return gathered

    def from_first(self, read: Callable[[], Checkpoint | None]) -> Checkpoint | None:
        """Read a checkpoint on rank 0 and give it to all."""
        from safetensors.torch import load, save  # a benchmark without checkpoints runs without it

        found = read() if self.rank == 0 else None
        state = self._broadcast(json.dumps(found[1]).encode() if found else b"")
        tensors = self._broadcast(save(found[0]) if found else b"")
        return (load(tensors), json.loads(state)) if state else None

    def same(self, signature: str) -> None:
        """Refuse to go on if the ranks would train different things."""
        signatures = self.gather(torch.frombuffer(bytearray(signature.encode()), dtype=torch.uint8))
        others = [rank for rank, other in enumerate(signatures) if not torch.equal(other, signatures[0])]
        if others:
            raise ArtistTransferError(
                f"ranks {others} of {self.world} would train something else than rank 0: tracks, frames, targets and "
                "training parameters must be the same on all machines"
            )

    def share(self, net: nn.Module) -> None:
        """Give rank 0's weights and statistics to all.

        Parameters
        ----------
        net : nn.Module
            The same on all ranks but for its numbers.
        """
        with _talking(), torch.no_grad():
            for tensor in net.state_dict().values():
                value = tensor.cpu().contiguous()
                dist.broadcast(value, 0, group=self._talk)
                tensor.copy_(value)

    def barrier(self) -> None:
        """Wait until all ranks are here."""
        with _talking():
            dist.barrier(group=self._talk)

    def _broadcast(self, content: bytes) -> bytes:
        size = torch.tensor([len(content)])
        with _talking():
            dist.broadcast(size, 0, group=self._talk)
            data = torch.empty(int(size), dtype=torch.uint8)
            if self.rank == 0 and content:
                data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
            if len(data):
                dist.broadcast(data, 0, group=self._talk)
        return data.numpy().tobytes()


@contextmanager
def _talking() -> Iterator[None]:
    """Tell the end of another rank from an error of this one, so that the right one is reported."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise PeerLost(f"another rank has gone, or cannot be reached: {error}") from error
