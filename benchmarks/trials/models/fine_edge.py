"""The grid with an encoder that looks twice: at the whole waveform in pieces of four bins, and bin
by bin at its beginning, wherever that lies.
"""

import torch
from torch import nn

from tashower.network.layers import WaveformEncoder
from tashower.network.models.grid import model as grid

#: Bins before and after the beginning (choices), and the part of the sum that lies before it.
BEFORE, AFTER, PART = 6, 18, 0.02


class FineEdge(nn.Module):
    """Waveforms to a few numbers: (h, T, L) -> (h, channels)."""

    def __init__(self, n_bins: int, n_layers: int, channels: int):
        super().__init__()
        self.whole = WaveformEncoder(n_bins, n_layers, channels)
        self.edge = nn.Sequential(
            nn.Linear((BEFORE + AFTER) * n_layers + 1, 2 * channels),
            nn.ReLU(),
            nn.Linear(2 * channels, channels),
        )

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """(h, T, L) -> (h, channels)."""
        h, n_bins, _ = waveform.shape
        integral = waveform.clamp(min=0.0).sum(dim=2).cumsum(dim=1)
        begin = (integral < PART * integral[:, -1:]).sum(dim=1).clamp(max=n_bins - 1)
        bins = begin[:, None] + torch.arange(-BEFORE, AFTER, device=waveform.device)
        inside = ((bins >= 0) & (bins < n_bins))[..., None]
        rows = torch.arange(h, device=waveform.device)[:, None]
        near = waveform[rows, bins.clamp(0, n_bins - 1)] * inside
        place = begin[:, None].to(waveform.dtype) / n_bins
        return self.whole(waveform) + self.edge(torch.cat([near.flatten(1), place], dim=1))


def model(inputs, **options):
    """The grid of these options, with another encoder."""
    network = grid(inputs, **options)
    network.encoder = FineEdge(inputs.n_bins, inputs.n_layers, network.waveform_channels)
    return network
