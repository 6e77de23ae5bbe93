"""The model `grid`: a waveform encoder shared by all stations, separable convolutions over the
grid, a dense head (after Ivanov et al. 2020, arXiv:2005.07117).
"""

import torch
from torch import nn

from tashower.network.contracts import ModelInputs
from tashower.network.layers import Sizes, TileNetwork, convolution


class GridBlock(nn.Module):
    """Residual separable convolution over the grid: each channel over its neighbours, then the
    channels of each cell.
    """

    def __init__(self, channels: int, batch_normalisation: bool):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels) if batch_normalisation else nn.Identity()
        self.neighbours = convolution(channels, channels, groups=channels)
        self.mix = nn.Sequential(
            convolution(channels, 2 * channels, 1),
            nn.ReLU(),
            convolution(2 * channels, channels, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, channels, N, N) -> the same."""
        return x + self.mix(self.neighbours(self.norm(x)))


def model(
    inputs: ModelInputs,
    *,
    waveform_channels: int = 16,
    station_channels: int = 32,
    grid_layers: int = 2,
    dense_channels: int = 128,
    dropout: float = 0.1,
    pooling: str = "flat",
    decoder_weight: float = 0.0,
    batch_normalisation: bool = True,
) -> TileNetwork:
    """The network of the grid, for `inputs`.

    Parameters
    ----------
    grid_layers : residual separable convolutions over the grid
    pooling : "flat", the dense head sees every cell; "average", the mean over the cells (Lin et
        al. 2014, arXiv:1312.4400)
    batch_normalisation : before every convolution over the grid (Ioffe and Szegedy 2015,
        arXiv:1502.03167)
    others : `layers.Sizes`
    """
    sizes = Sizes(
        waveform_channels, station_channels, dense_channels, dropout, pooling, decoder_weight
    )
    return TileNetwork(
        inputs,
        sizes,
        lambda s: nn.Sequential(*(GridBlock(s, batch_normalisation) for _ in range(grid_layers))),
    )
