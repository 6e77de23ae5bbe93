"""The grid in the frame of the shower: places, axis and corrections along and across the fitted
azimuth; which cell a station is in stays.
"""

import torch
from torch import nn

from tashower.network.models.grid import model as grid
from tashower.network.tiles import VECTORS

#: Places of the corrections that are vectors: direction and core.
_CORRECTIONS = ((0, 1), (2, 3))


def turned(values: torch.Tensor, pairs, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """values (..., k) with the components in `pairs` turned by minus the angle."""
    values = values.clone()
    for i, j in pairs:
        x, y = values[..., i].clone(), values[..., j].clone()
        values[..., i], values[..., j] = cos * x + sin * y, cos * y - sin * x
    return values


class ShowerFrame(nn.Module):
    """A network that sees and says vectors along and across the fitted direction."""

    encodes_once = True

    def __init__(self, network: nn.Module, station_features):
        super().__init__()
        self.network = network
        self.pairs = [tuple(station_features.index(one) for one in pair) for pair in VECTORS]
        self.axis = self.pairs[-1]

    def forward(self, cells, event_features, waveform, waveform_place):
        """(b, 5), as of every model."""
        # Every station that exists has the same axis; components share one width and have no mean.
        x, y = (cells[..., i].sum((1, 2)) for i in self.axis)
        length = torch.hypot(x, y)
        vertical = length < 1e-6
        cos = torch.where(vertical, 1.0, x / length.clamp(min=1e-6))
        sin = torch.where(vertical, 0.0, y / length.clamp(min=1e-6))
        seen = turned(cells, self.pairs, cos[:, None, None], sin[:, None, None])
        said = self.network(seen, event_features, waveform, waveform_place)
        return turned(said, _CORRECTIONS, cos, -sin)


def model(inputs, **options):
    """The grid of these options, with the head `mean`."""
    return ShowerFrame(grid(inputs, **options), inputs.station_features)
