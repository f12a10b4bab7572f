"""Nets on disk: weights as safetensors, the configuration as JSON, declared done by a manifest; nothing pickled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from artist_transfer.artifacts import atomic_path, commit_folder, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.artist_net import ArtistNet, ArtistNetConfig
from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet

WEIGHTS = "net.safetensors"
CONFIG = "net.json"


def save_net(
    folder: str | Path, net: MultiTaskNet | ArtistNet, *, details: Mapping[str, Any], also: Sequence[str] = ()
) -> dict[str, Any]:
    """Write a net; its folder counts as done when this returns.

    Parameters
    ----------
    folder : str or Path
        Where ``net.safetensors``, ``net.json`` and ``manifest.json`` go.
    net : MultiTaskNet or ArtistNet
        The net, on any device.
    details : mapping
        What JSON can hold: seed, parameters, checksums of the inputs.
    also : sequence of str
        Further files that are already in the folder and belong to it.

    Returns
    -------
    dict
        The details as written.

    Raises
    ------
    ArtistTransferError
        If the weights cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder = Path(folder)
    family = "artist" if isinstance(net, ArtistNet) else "dcnn"
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    try:
        with atomic_path(folder / WEIGHTS) as temporary:
            save_file(tensors, temporary)
    except SafetensorError as error:
        raise ArtistTransferError(f"{folder / WEIGHTS}: the net cannot be written: {error}") from error
    write_json(folder / CONFIG, {"family": family, "config": asdict(net.config), "details": dict(details)})
    return commit_folder(folder, files=[WEIGHTS, CONFIG, *also], details=details)


def load_net(folder: str | Path, device: torch.device | str = "cpu") -> MultiTaskNet:
    """Read a net for artist group factors that `save_net` wrote, ready for inference.

    Parameters
    ----------
    folder : str or Path
        Its folder.
    device : torch.device or str
        Where the net is to live.

    Returns
    -------
    MultiTaskNet
        In evaluation mode.

    Raises
    ------
    ArtistTransferError
        If the folder is not there or not complete, a checksum is wrong, the net is of another family, or the weights
        don't fit the configuration.
    """
    net = _load(folder, "dcnn")
    assert isinstance(net, MultiTaskNet)
    return net.to(device).eval()


def load_artist_net(folder: str | Path, device: torch.device | str = "cpu") -> ArtistNet:
    """Read an artist-label or tag-label net that `save_net` wrote, ready for inference.

    Parameters
    ----------
    folder : str or Path
        Its folder.
    device : torch.device or str
        Where the net is to live.

    Returns
    -------
    ArtistNet
        In evaluation mode.

    Raises
    ------
    ArtistTransferError
        As `load_net` does.
    """
    net = _load(folder, "artist")
    assert isinstance(net, ArtistNet)
    return net.to(device).eval()


def _load(folder: str | Path, family: str) -> MultiTaskNet | ArtistNet:
    from safetensors.torch import load_file

    folder = Path(folder)
    if open_folder(folder) is None:
        raise ArtistTransferError(
            f"{folder}: no whole net here; {WEIGHTS}, {CONFIG} and manifest.json with their right checksums are "
            "needed. Train it again."
        )
    try:
        facts = read_json(folder / CONFIG)
        if facts["family"] != family:
            raise ArtistTransferError(f"{folder}: the net is of family {facts['family']!r}, {family!r} is needed here")
        config = facts["config"]
        net: MultiTaskNet | ArtistNet
        if family == "artist":
            net = ArtistNet(ArtistNetConfig(**config))
        else:
            net = MultiTaskNet(DcnnConfig(**{**config, "outputs": tuple((t, n) for t, n in config["outputs"])}))
        net.load_state_dict(load_file(folder / WEIGHTS))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ArtistTransferError(f"{folder}: the weights don't fit the configuration: {error}") from error
    return net
