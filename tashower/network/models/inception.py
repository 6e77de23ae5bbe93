"""The model `inception`: four ways through every layer side by side, 3x3 kernels factorised into
3x1 and 1x3 (Szegedy et al. 2015, arXiv:1409.4842; 2016, arXiv:1512.00567).
"""

import torch
from torch import nn

from tashower.network.contracts import ModelInputs
from tashower.network.layers import Sizes, TileNetwork, convolution, normalised


def factorised(channels: int) -> nn.Sequential:
    """3x1, then 1x3: the reach of a 3x3 kernel with 6 instead of 9 weights."""
    kernels = ((3, 1), (1, 3))
    return nn.Sequential(*(normalised(convolution(channels, channels, k)) for k in kernels))


class Inception(nn.Module):
    """1x1; 1x1 and one 3x3; 1x1 and two 3x3; mean of 3x3 and 1x1: a quarter of the channels each,
    what is left over to the first.
    """

    def __init__(self, channels: int):
        super().__init__()
        quarter = channels // 4

        def begin(out):
            return normalised(convolution(channels, out, 1))

        self.ways = nn.ModuleList(
            [
                begin(channels - 3 * quarter),
                nn.Sequential(begin(quarter), factorised(quarter)),
                nn.Sequential(begin(quarter), factorised(quarter), factorised(quarter)),
                nn.Sequential(nn.AvgPool2d(3, 1, padding=1), begin(quarter)),
            ]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, channels, N, N) -> the same."""
        return torch.cat([way(x) for way in self.ways], dim=1)


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
    """Inception layers.

    Parameters
    ----------
    grid_layers : inception layers
    pooling : "flat", the dense head sees every cell; "average", the mean over the cells (Lin et
        al. 2014, arXiv:1312.4400)
    others : `layers.Sizes`
    """
    sizes = Sizes(
        waveform_channels, station_channels, dense_channels, dropout, pooling, decoder_weight
    )
    return TileNetwork(
        inputs, sizes, lambda s: nn.Sequential(*(Inception(s) for _ in range(grid_layers)))
    )
