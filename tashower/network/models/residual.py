"""The model `residual`: what a layer finds is added to what it got (ResNet, He et al. 2016,
arXiv:1512.03385, in the order of arXiv:1603.05027), with stochastic depth as an option (Huang et
al. 2016, arXiv:1603.09382).
"""

import torch
from torch import nn

from tashower.network.contracts import ModelInputs
from tashower.network.layers import Sizes, TileNetwork, convolution


def stochastic_depth(x: torch.Tensor, rate: float, training: bool) -> torch.Tensor:
    """In training 0 for a part `rate` of the events and 1/(1 - rate) times as large for the others,
    so that the mean stays; when applied, x.
    """
    if not training or rate == 0.0:
        return x
    kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= rate
    return x * kept / (1.0 - rate)


class Residual(nn.Module):
    """x + two 3x3 convolutions of it, each after batch normalisation and ReLU.

    dropped : part of the events of a step for which the sum is x alone (`stochastic_depth`)
    """

    def __init__(self, channels: int, dropped: float = 0.0):
        super().__init__()
        self.dropped = dropped
        first = convolution(channels, channels)
        first.register_parameter("bias", None)  # the second normalisation would take it out
        self.branch = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            first,
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            convolution(channels, channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, channels, N, N) -> the same."""
        return x + stochastic_depth(self.branch(x), self.dropped, self.training)


def dropped_rates(n: int, last: float) -> list[float]:
    """Rates of n blocks: a line from 0 before the first to `last` (arXiv:1603.09382, eq. 4)."""
    return [last * (k + 1) / n for k in range(n)]


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
    drop_path: float = 0.0,
) -> TileNetwork:
    """Residual blocks.

    Parameters
    ----------
    grid_layers : residual blocks of two 3x3 convolutions
    drop_path : stochastic depth: part of the events of a step that do not see the last block; less
        for those before it
    pooling : "flat", the dense head sees every cell; "average", the mean over the cells (Lin et
        al. 2014, arXiv:1312.4400)
    others : `layers.Sizes`
    """
    sizes = Sizes(
        waveform_channels, station_channels, dense_channels, dropout, pooling, decoder_weight
    )
    rates = dropped_rates(grid_layers, drop_path)
    return TileNetwork(
        inputs, sizes, lambda s: nn.Sequential(*(Residual(s, rate) for rate in rates))
    )
