"""A net on disk: the same net back, or an error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet
from artist_transfer.models.files import CONFIG, WEIGHTS, load_net, save_net

torch.set_num_threads(1)
CONFIGURATION = DcnnConfig(outputs={"g": 3, "m": 5}, width=0.25, n_mels=32, crop=16)


@pytest.fixture
def net() -> MultiTaskNet:
    net = MultiTaskNet(CONFIGURATION, seed=5).to(memory_format=torch.channels_last)
    net.train()
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(8, 1, 32, 16), "g")  # moves the batch norm statistics
        net.band_mean.fill_(-40.0)
    return net.eval()


def test_round_trip(net: MultiTaskNet, tmp_path: Path) -> None:
    save_net(tmp_path, net, details={"seed": 5})
    back = load_net(tmp_path)
    assert back.config == net.config and not back.training
    assert back.state_dict().keys() == net.state_dict().keys()
    assert all(torch.equal(value, back.state_dict()[name]) for name, value in net.state_dict().items())
    x = 10 * torch.randn(4, 1, 32, 16) - 40
    torch.testing.assert_close(back(x, "m"), net(x, "m"), rtol=1e-5, atol=1e-6)


def test_equal_nets_give_equal_bytes(net: MultiTaskNet, tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_net(tmp_path / name, net, details={"seed": 5})
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["manifest.json", CONFIG, WEIGHTS]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_damage_is_an_error(net: MultiTaskNet, tmp_path: Path, name: str) -> None:
    save_net(tmp_path, net, details={})
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.warns(ArtistTransferWarning, match=name), pytest.raises(ArtistTransferError, match="no whole net"):
        load_net(tmp_path)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match="nowhere"):
        load_net(tmp_path / "nowhere")


def test_weights_of_another_configuration_are_an_error(net: MultiTaskNet, tmp_path: Path) -> None:
    other = MultiTaskNet(DcnnConfig(outputs={"g": 4}, width=0.25, n_mels=32, crop=16))
    other.config = CONFIGURATION
    save_net(tmp_path, other, details={})
    with pytest.raises(ArtistTransferError, match="don't fit"):
        load_net(tmp_path)
