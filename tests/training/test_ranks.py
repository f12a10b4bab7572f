"""The process group that ranks talk in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from artist_transfer.training.ranks import PATIENCE, GroupRanks


@pytest.fixture
def alone_in_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")
def test_ranks_on_gpus_wait_for_each_other_as_long_on_the_cpu(alone_in_a_group: None) -> None:
    """Rank 0 writes checkpoints and finished nets, and machines read their frames, while the others wait here."""
    talk = GroupRanks(torch.device("cuda"))._talk
    assert talk is not None
    assert talk._get_backend(torch.device("cpu")).options._timeout == PATIENCE
    assert GroupRanks(torch.device("cpu"))._talk is None
