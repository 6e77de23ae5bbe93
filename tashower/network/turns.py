"""Events in several orientations at once. No turn changes a waveform: it is encoded once."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from tashower.network.tiles import STATION_FEATURES, cell_permutation, feature_matrix


class Turns(nn.Module):
    """A network asked for several orientations of the tile at once.

    Parameters
    ----------
    network : of the contract of `tashower.network.contracts`
    orientations : k of `tiles.ORIENTATIONS`
    tile, kind : N, and the lattice
    n_features : F of the cells
    """

    def __init__(
        self,
        network: nn.Module,
        orientations: Sequence[int],
        tile: int,
        kind: str = "square",
        n_features: int = len(STATION_FEATURES),
    ):
        super().__init__()
        self.network, self.n = network, len(orientations)
        source = np.array([cell_permutation(tile, one, kind) for one in orientations])
        matrix = np.array([feature_matrix(one, kind, n_features).T for one in orientations])
        self.register_buffer("source", torch.from_numpy(source), persistent=False)
        self.register_buffer("goes_to", torch.from_numpy(np.argsort(source)), persistent=False)
        self.register_buffer("matrix", torch.from_numpy(matrix).float(), persistent=False)

    def forward(
        self,
        cells: torch.Tensor,
        event_features: torch.Tensor,
        waveform: torch.Tensor,
        waveform_place: torch.Tensor,
    ) -> torch.Tensor:
        """(k, b, n_outputs) of the network; arguments as those of every model, normalised, in
        orientation 0.
        """
        b, n = cells.shape[:2]
        x = cells.flatten(1, 2)[:, self.source].transpose(0, 1)  # (k, b, N N, F)
        x = x @ self.matrix[:, None].to(x.dtype)
        event, cell = waveform_place // (n * n), waveform_place % (n * n)
        turn = torch.arange(self.n, device=cells.device)[:, None] * b
        place = (turn + event) * (n * n) + self.goes_to[:, cell]  # (k, h)
        if not getattr(self.network, "encodes_once", False):
            waveform, place = waveform.repeat(self.n, 1, 1), place.flatten()
        output = self.network(
            x.reshape(self.n * b, n, n, -1), event_features.repeat(self.n, 1), waveform, place
        )
        return output.unflatten(0, (self.n, b))
