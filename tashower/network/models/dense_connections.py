"""The model `dense_connections`: every layer sees what all before it found (DenseNet, Huang et al.
2017, arXiv:1608.06993).
"""

import torch
from torch import nn

from tashower.network.contracts import ModelInputs
from tashower.network.layers import Sizes, TileNetwork, convolution

#: Channels of the stations to one that a layer adds (choice: of 48 channels it would be 12,
#: the growth rate of the smallest networks of Huang et al.).
PER_GROWTH = 4


class Layer(nn.Module):
    """Batch normalisation, ReLU and a 3x3 convolution; its channels are put behind the input's."""

    def __init__(self, channels: int, growth: int):
        super().__init__()
        conv = convolution(channels, growth)
        self.found = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), conv)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, channels, N, N) -> (b, channels + growth, N, N)."""
        return torch.cat([x, self.found(x)], dim=1)


def _grid(channels: int, layers: int) -> nn.Sequential:
    """(b, channels, N, N) -> the same: layers that add channels, and a 1x1 convolution back."""
    growth = channels // PER_GROWTH
    sizes = [channels + k * growth for k in range(layers + 1)]
    back = convolution(sizes[-1], channels, 1)
    return nn.Sequential(*(Layer(size, growth) for size in sizes[:-1]), back)


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
) -> TileNetwork:
    """Densely connected layers.

    Parameters
    ----------
    grid_layers : 3x3 convolutions, each of which adds a quarter of the stations' channels
    pooling : "flat", the dense head sees every cell; "average", the mean over the cells (Lin et
        al. 2014, arXiv:1312.4400)
    others : `layers.Sizes`
    """
    sizes = Sizes(
        waveform_channels, station_channels, dense_channels, dropout, pooling, decoder_weight
    )
    return TileNetwork(inputs, sizes, lambda s: _grid(s, grid_layers))
