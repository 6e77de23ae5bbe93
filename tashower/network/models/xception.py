"""The model `xception`: residual blocks of separable convolutions, each channel over its neighbours
and then the channels of each cell (Chollet 2017, arXiv:1610.02357).
"""

import torch
from torch import nn

from tashower.network.contracts import ModelInputs
from tashower.network.layers import Sizes, TileNetwork, convolution


def separable(channels: int) -> nn.Sequential:
    """3x3 for each channel, then 1x1 over the channels, without a bias and nothing in between: 9 C
    + C^2 weights instead of 9 C^2.
    """
    steps = [
        convolution(channels, channels, 3, groups=channels),
        convolution(channels, channels, 1),
    ]
    for step in steps:
        step.register_parameter("bias", None)
    return nn.Sequential(*steps)


class Separable(nn.Module):
    """x + two separable convolutions of it, each between ReLU and batch normalisation."""

    def __init__(self, channels: int):
        super().__init__()
        steps = (nn.ReLU(), separable(channels), nn.BatchNorm2d(channels))
        more = (nn.ReLU(), separable(channels), nn.BatchNorm2d(channels))
        self.branch = nn.Sequential(*steps, *more)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, channels, N, N) -> the same."""
        return x + self.branch(x)


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
    """Residual blocks of separable convolutions.

    Parameters
    ----------
    grid_layers : residual blocks of two separable convolutions
    pooling : "flat", the dense head sees every cell; "average", the mean over the cells (Lin et
        al. 2014, arXiv:1312.4400)
    others : `layers.Sizes`
    """
    sizes = Sizes(
        waveform_channels, station_channels, dense_channels, dropout, pooling, decoder_weight
    )
    return TileNetwork(
        inputs, sizes, lambda s: nn.Sequential(*(Separable(s) for _ in range(grid_layers)))
    )
