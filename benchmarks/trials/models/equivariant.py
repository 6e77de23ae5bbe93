"""The grid, equivariant by construction: its answer is the mean over the tile's equal orientations,
turned back, already in training. Eight times the layers over the grid, one encoding of a waveform.
"""

import numpy as np
import torch
from torch import nn

from tashower.network.models.grid import model as grid
from tashower.network.tiles import ORIENTATIONS, target_matrix
from tashower.network.turns import Turns


class Equivariant(nn.Module):
    """Mean over orientations of what a network says of corrections, turned back."""

    def __init__(self, network: nn.Module, tile: int, kind: str):
        super().__init__()
        equal = ORIENTATIONS[kind]
        self.turns = Turns(network, equal, tile, kind)
        back = np.stack([target_matrix(one, kind) for one in equal]) / len(equal)
        self.register_buffer("back", torch.from_numpy(back).float(), persistent=False)

    def forward(self, cells, event_features, waveform, waveform_place):
        """(b, 5), as of every model."""
        said = self.turns(cells, event_features, waveform, waveform_place)  # (k, b, 5)
        return torch.einsum("kbi,kij->bj", said.float(), self.back)


def model(inputs, **options):
    """The grid of these options, with the head `mean`."""
    return Equivariant(grid(inputs, **options), inputs.tile, inputs.lattice)
