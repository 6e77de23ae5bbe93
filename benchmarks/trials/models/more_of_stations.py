"""The grid with further numbers of every station that was hit. They come behind the bins of its
waveform.
"""

from dataclasses import replace

import torch
from torch import nn

from tashower.network.models.grid import model as grid


class MoreOfStations(nn.Module):
    """A network whose cells have more features than the tile."""

    encodes_once = True

    def __init__(self, network: nn.Module, n_bins: int, more: int):
        super().__init__()
        self.network, self.n_bins, self.more = network, n_bins, more

    def forward(self, cells, event_features, waveform, waveform_place):
        """(b, n_outputs), as of every model."""
        b, n = cells.shape[:2]
        beside = waveform[:, self.n_bins :].flatten(1)  # (h, more); none where it is tried
        added = cells.new_zeros(b * n * n, self.more)
        if beside.shape[1]:
            added[waveform_place] = beside
        cells = torch.cat([cells, added.view(b, n, n, self.more)], dim=3)
        return self.network(cells, event_features, waveform[:, : self.n_bins], waveform_place)


def model(inputs, *, more: int, **options):
    """The grid of these options; more : how many numbers, a multiple of the layers."""
    names = (*inputs.station_features, *(f"more_{k}" for k in range(more)))
    network = grid(replace(inputs, station_features=names), **options)
    return MoreOfStations(network, inputs.n_bins, more)
