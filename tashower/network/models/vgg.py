"""The model `vgg`: a plain stack of 3x3 convolutions (Simonyan and Zisserman 2015,
arXiv:1409.1556), without their pooling: a tile has no more cells than their last layers.
"""

from torch import nn

from tashower.network.contracts import ModelInputs
from tashower.network.layers import Sizes, TileNetwork, convolution


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
    """A stack of 3x3 convolutions and ReLU.

    Parameters
    ----------
    grid_layers : convolutions
    pooling : "flat", the dense head sees every cell; "average", the mean over the cells (Lin et
        al. 2014, arXiv:1312.4400)
    others : `layers.Sizes`
    """
    sizes = Sizes(
        waveform_channels, station_channels, dense_channels, dropout, pooling, decoder_weight
    )
    return TileNetwork(
        inputs,
        sizes,
        lambda s: nn.Sequential(
            *(nn.Sequential(convolution(s, s), nn.ReLU()) for _ in range(grid_layers))
        ),
    )
