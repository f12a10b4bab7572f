"""An artist-label net on disk: the same net back, or an error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.models.artist_net import ArtistNet, ArtistNetConfig
from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet
from artist_transfer.models.files import CONFIG, WEIGHTS, load_artist_net, load_net, save_net

torch.set_num_threads(1)


@pytest.mark.parametrize(("kind", "n"), [("basic", 5), ("siamese", 0), ("tag", 3)])
def test_round_trip(kind: str, n: int, tmp_path: Path) -> None:
    net = ArtistNet(ArtistNetConfig(kind, n, n_mels=8, crop=140, width=0.25, dropout=0.3), seed=5).train()
    with torch.no_grad():
        net(torch.randn(8, 140, 8))  # moves the batch norm statistics
    net.set_statistics(0.2, 0.3)
    save_net(tmp_path, net.eval(), details={"seed": 5})
    back = load_artist_net(tmp_path)
    assert back.config == net.config and not back.training
    assert back.state_dict().keys() == net.state_dict().keys()
    assert all(torch.equal(value, back.state_dict()[name]) for name, value in net.state_dict().items())
    x = torch.randn(4, 140, 8)
    assert torch.equal(back(back.standardise(x)), net(net.standardise(x)))


def test_each_family_is_read_as_what_it_is(tmp_path: Path) -> None:
    save_net(tmp_path / "artist", ArtistNet(ArtistNetConfig("siamese", n_mels=8, width=0.1)), details={})
    save_net(tmp_path / "dcnn", MultiTaskNet(DcnnConfig(outputs={"g": 3}, width=0.1, n_mels=32)), details={})
    with pytest.raises(ArtistTransferError, match="'artist', 'dcnn' is needed"):
        load_net(tmp_path / "artist")
    with pytest.raises(ArtistTransferError, match="'dcnn', 'artist' is needed"):
        load_artist_net(tmp_path / "dcnn")
    assert isinstance(load_net(tmp_path / "dcnn"), MultiTaskNet)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_damage_is_an_error(tmp_path: Path, name: str) -> None:
    save_net(tmp_path, ArtistNet(ArtistNetConfig("siamese", n_mels=8, width=0.1)), details={})
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.warns(ArtistTransferWarning, match=name), pytest.raises(ArtistTransferError, match="no whole net"):
        load_artist_net(tmp_path)


def test_weights_of_another_configuration_are_an_error(tmp_path: Path) -> None:
    net = ArtistNet(ArtistNetConfig("basic", 4, n_mels=8, width=0.1))
    net.config = ArtistNetConfig("basic", 5, n_mels=8, width=0.1)
    save_net(tmp_path, net, details={})
    with pytest.raises(ArtistTransferError, match="don't fit"):
        load_artist_net(tmp_path)
