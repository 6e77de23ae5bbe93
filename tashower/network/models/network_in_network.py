"""The model `network_in_network`: after every 3x3 convolution a small dense network at each cell
(Lin et al. 2014, arXiv:1312.4400). Its global average pooling is the option `pooling`.
"""

from torch import nn

from tashower.network.contracts import ModelInputs
from tashower.network.layers import Sizes, TileNetwork, convolution


def _layer(channels: int) -> nn.Sequential:
    """A 3x3 convolution and two of 1x1, each with ReLU."""
    steps = [convolution(channels, channels, kernel) for kernel in (3, 1, 1)]
    return nn.Sequential(*(part for step in steps for part in (step, nn.ReLU())))


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
    """Convolutions with a network at each cell.

    Parameters
    ----------
    grid_layers : 3x3 convolutions, each with two of 1x1
    pooling : "flat", the dense head sees every cell; "average", the mean over the cells (Lin et
        al. 2014, arXiv:1312.4400)
    others : `layers.Sizes`
    """
    sizes = Sizes(
        waveform_channels, station_channels, dense_channels, dropout, pooling, decoder_weight
    )
    return TileNetwork(
        inputs, sizes, lambda s: nn.Sequential(*(_layer(s) for _ in range(grid_layers)))
    )
