"""The model `dilated`: 3x3 convolutions whose kernels reach over 1, 2, 4, 1, ... cells (Yu and
Koltun 2016, arXiv:1511.07122).
"""

from torch import nn

from tashower.network.contracts import ModelInputs
from tashower.network.layers import Sizes, TileNetwork, convolution


def dilations(layers: int, tile: int) -> list[int]:
    """1, 2, 4, and again; never beyond the tile. Three see 15 cells: of the largest tile, 8, every
    cell sees every other.
    """
    return [min(2 ** (k % 3), tile - 1) for k in range(layers)]


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
    """Dilated convolutions and ReLU.

    Parameters
    ----------
    grid_layers : dilated convolutions
    pooling : "flat", the dense head sees every cell; "average", the mean over the cells (Lin et
        al. 2014, arXiv:1312.4400)
    others : `layers.Sizes`
    """
    sizes = Sizes(
        waveform_channels, station_channels, dense_channels, dropout, pooling, decoder_weight
    )
    reach = dilations(grid_layers, inputs.tile)

    def layer(channels, dilation):
        return nn.Sequential(convolution(channels, channels, dilation=dilation), nn.ReLU())

    return TileNetwork(inputs, sizes, lambda s: nn.Sequential(*(layer(s, d) for d in reach)))
