"""The model `lenet`: 3x3 convolutions, each followed by pooling (LeNet-5, LeCun et al. 1998,
doi:10.1109/5.726791); ReLU in place of its sigmoids, and one width for all layers (choices).
"""

from torch import nn

from tashower.network.contracts import ModelInputs
from tashower.network.layers import Sizes, TileNetwork, convolution


def _layer(channels: int) -> nn.Sequential:
    """(b, channels, N, N) -> (b, channels, ceil(N/2), ceil(N/2)): means of 2 x 2 cells, at the
    border of those that there are.
    """
    pool = nn.AvgPool2d(2, ceil_mode=True)
    return nn.Sequential(convolution(channels, channels), nn.ReLU(), pool)


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
    """Convolutions with pooling: each layer halves the tile.

    Parameters
    ----------
    grid_layers : convolutions, each with a pooling
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
