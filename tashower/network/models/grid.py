"""The model `grid`: a waveform encoder shared by all stations, convolutions over the grid, a dense
head (after arXiv:2005.07117).
"""

import torch
from torch import nn

from tashower.network.contracts import ModelInputs


class WaveformEncoder(nn.Module):
    """Waveforms of hit stations to a few numbers each: (h, T, L) -> (h, channels).

    Convolutions whose stride is their width, written as matrix products over pieces of the
    waveform: on a CPU several times faster than overlapping ones.
    """

    def __init__(self, n_bins: int, n_layers: int, channels: int):
        super().__init__()
        self.padded = -(-n_bins // 16) * 16
        self.pieces = nn.Linear(4 * n_layers, channels)
        self.pairs = nn.Linear(2 * channels, 2 * channels)
        self.quads = nn.Linear(4 * channels, 2 * channels)
        self.out = nn.Linear(2 * channels * self.padded // 16, channels)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """(h, T, L) -> (h, channels)."""
        h, n_bins, n_layers = waveform.shape
        x = nn.functional.pad(waveform, (0, 0, 0, self.padded - n_bins))
        x = torch.relu(self.pieces(x.reshape(h, self.padded // 4, 4 * n_layers)))  # (h, T/4, C)
        x = torch.relu(self.pairs(x.reshape(h, self.padded // 8, 2 * x.shape[2])))  # (h, T/8, 2C)
        x = torch.relu(self.quads(x.reshape(h, self.padded // 16, 2 * x.shape[2])))  # (h, T/16, 2C)
        return self.out(x.flatten(1))


class GridBlock(nn.Module):
    """Residual separable convolution over the grid: each channel over its neighbours, then the
    channels of each cell.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.neighbours = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.mix = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 1), nn.ReLU(), nn.Conv2d(2 * channels, channels, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, channels, N, N) -> the same."""
        return x + self.mix(self.neighbours(self.norm(x)))


class GridNetwork(nn.Module):
    """Correction of the fit from a tile and event features; parameters as those of `model`."""

    def __init__(
        self,
        inputs: ModelInputs,
        waveform_channels: int,
        station_channels: int,
        grid_layers: int,
        dense_channels: int,
        dropout: float,
    ):
        super().__init__()
        self.encoder = (
            WaveformEncoder(inputs.n_bins, inputs.n_layers, waveform_channels)
            if inputs.waveforms
            else None
        )
        self.waveform_channels = waveform_channels if inputs.waveforms else 0
        self.station = nn.Sequential(
            nn.Conv2d(len(inputs.station_features) + self.waveform_channels, station_channels, 1),
            nn.ReLU(),
            nn.Conv2d(station_channels, station_channels, 1),
        )
        self.grid = nn.Sequential(*(GridBlock(station_channels) for _ in range(grid_layers)))
        self.flat = nn.Linear(station_channels * inputs.tile**2, dense_channels)
        self.head = nn.Sequential(
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(dense_channels + len(inputs.event_features), dense_channels),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(dense_channels, inputs.n_outputs),
        )
        # Starts at the fit: no correction.
        nn.init.zeros_(self.head[-1].weight)
        nn.init.zeros_(self.head[-1].bias)

    def forward(
        self,
        cells: torch.Tensor,
        event_features: torch.Tensor,
        waveform: torch.Tensor,
        waveform_place: torch.Tensor,
    ) -> torch.Tensor:
        """Output of the head, (b, n_outputs).

        cells : (b, N, N, F); event_features : (b, E), E = 0 without them; waveform : (h, T, L) of
        the hits of all events of the batch; waveform_place : (h,) = event N N + cell
        """
        b, n = cells.shape[:2]
        x = cells
        if self.encoder is not None:
            encoded = cells.new_zeros(b * n * n, self.waveform_channels)
            encoded[waveform_place] = self.encoder(waveform).to(
                encoded.dtype
            )  # stations without a hit stay 0
            x = torch.cat([x, encoded.view(b, n, n, -1)], dim=-1)  # (b, N, N, F + C)
        x = self.grid(self.station(x.permute(0, 3, 1, 2)))  # (b, S, N, N)
        x = self.flat(x.flatten(1))  # (b, S N N) -> (b, D)
        x = torch.cat([self.head[0](x), event_features], dim=1)  # (b, D + E)
        return self.head[1:](x)


def model(
    inputs: ModelInputs,
    *,
    waveform_channels: int = 24,
    station_channels: int = 48,
    grid_layers: int = 3,
    dense_channels: int = 128,
    dropout: float = 0.1,
) -> GridNetwork:
    """The network of the grid, for `inputs`.

    Parameters
    ----------
    waveform_channels : width of the waveform encoder
    station_channels : width of the grid convolutions
    grid_layers : residual separable convolutions over the grid
    dense_channels, dropout : width of the dense part at the end, and dropout in it
    """
    return GridNetwork(
        inputs, waveform_channels, station_channels, grid_layers, dense_channels, dropout
    )
