"""The model `squeeze_excitation`: residual blocks in which every channel is weighted by what the
whole tile says (Hu et al. 2018, arXiv:1709.01507).
"""

import torch
from torch import nn

from tashower.network.contracts import ModelInputs
from tashower.network.layers import Sizes, TileNetwork
from tashower.network.models.residual import Residual

#: Channels to one of the gate's inner layer (choice: Hu et al. take 16, of 64 and more channels).
REDUCTION = 4


class Gate(nn.Module):
    """Every channel times a number between 0 and 1, made of the means of all over the tile."""

    def __init__(self, channels: int):
        super().__init__()
        inner = max(1, channels // REDUCTION)
        self.weights = nn.Sequential(
            nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels), nn.Sigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, channels, N, N) -> the same."""
        return x * self.weights(x.mean(dim=(2, 3)))[:, :, None, None]


class Gated(Residual):
    """A residual block with a gate at the end of its branch."""

    def __init__(self, channels: int):
        super().__init__(channels)
        self.branch.append(Gate(channels))


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
    """Residual blocks with gates.

    Parameters
    ----------
    grid_layers : residual blocks of two 3x3 convolutions
    pooling : "flat", the dense head sees every cell; "average", the mean over the cells (Lin et
        al. 2014, arXiv:1312.4400)
    others : `layers.Sizes`
    """
    sizes = Sizes(
        waveform_channels, station_channels, dense_channels, dropout, pooling, decoder_weight
    )
    return TileNetwork(
        inputs, sizes, lambda s: nn.Sequential(*(Gated(s) for _ in range(grid_layers)))
    )
