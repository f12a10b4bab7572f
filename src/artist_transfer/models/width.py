"""The wide single-task net: as many parameters as several nets together (AGF, section 4.3, wSTN)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.dcnn import DcnnConfig

TOLERANCE = 0.01
_STEPS = 60
_NARROWEST = 1 / 1024  # where every layer has one channel left


def parameters_of(config: DcnnConfig) -> int:
    """Count the trainable parameters of a net without building it.

    Parameters
    ----------
    config : DcnnConfig
        The net.

    Returns
    -------
    int
        The same as `artist_transfer.models.dcnn.count_parameters` of the net.
    """
    c, wide = config.channels, config.features
    trunk = 25 * c[0] + c[0]
    tower = 9 * c[0] * c[1] + 2 * c[1]  # convolution without bias, batch norm
    tower += 9 * c[1] * c[2] + c[2]
    tower += 9 * c[2] * c[3] + 2 * c[3]
    tower += 9 * c[3] * c[4] + c[4]
    tower += 9 * c[4] * c[5] + c[5]
    tower += c[5] * c[6] + 2 * c[6]
    tower += 2 * c[6] + c[6] * wide + 2 * wide
    heads = sum(wide * n_out + n_out for _, n_out in config.outputs)
    n_tasks = len(config.outputs)
    return (1 if config.shared else n_tasks) * trunk + n_tasks * tower + heads


def solve_width(config: DcnnConfig, nets: Sequence[DcnnConfig]) -> float:
    """Find the width at which one net has as many parameters as several others together.

    Parameters
    ----------
    config : DcnnConfig
        The net; its own width does not matter.
    nets : sequence of DcnnConfig
        The others.

    Returns
    -------
    float
        The width whose count comes closest, within 1 %.

    Raises
    ------
    ArtistTransferError
        If no width comes within 1 %.
    """
    wanted = sum(parameters_of(net) for net in nets)

    def count(width: float) -> int:
        return parameters_of(replace(config, width=width))

    # the bounds widen only where nothing within them is near: a width that they hold stays the same to the last digit
    low, high = 1 / 16, 2.0 * max(1, len(nets))
    while count(low) > (1 + TOLERANCE) * wanted and low > _NARROWEST:
        low /= 2
    while count(high) < (1 - TOLERANCE) * wanted:
        high *= 2
    for _ in range(_STEPS):  # the count grows with the width, in steps
        middle = (low + high) / 2
        low, high = (middle, high) if count(middle) < wanted else (low, middle)
    width = min((low, high), key=lambda value: abs(count(value) - wanted))
    if abs(count(width) - wanted) > TOLERANCE * wanted:
        raise ArtistTransferError(
            f"no width gives {wanted} parameters within {TOLERANCE:.0%}; the nearest, {width:.3f}, gives {count(width)}"
        )
    return round(width, 4) if count(round(width, 4)) == count(width) else width
