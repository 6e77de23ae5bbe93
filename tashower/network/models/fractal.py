"""The model `fractal`: columns of 1, 2, 4, ... convolutions, joined by their mean wherever they end
together, with drop-path (FractalNet, Larsson et al. 2017, arXiv:1605.07648).
"""

import torch
from torch import nn

from tashower.network.contracts import ModelInputs
from tashower.network.layers import Sizes, TileNetwork, convolution, normalised


def join(found: torch.Tensor, kept: torch.Tensor | None) -> torch.Tensor:
    """Mean over the columns that are kept: (k, b, C, N, N), (k, b) -> (b, C, N, N); None: all."""
    if kept is None:
        return found.mean(dim=0)
    part = kept / kept.sum(dim=0)
    return (part.to(found.dtype)[:, :, None, None, None] * found).sum(dim=0)


class Fractal(nn.Module):
    """Columns of 2^c convolutions, c = 0 ... columns - 1: the fractal f(x) = join(f(f(x)),
    conv(x)), unrolled.

    Drop-path, in training: of half of the events every path into a join is left out with
    probability `rate`, but never all; the other half sees a single column, drawn for each event.
    (Larsson et al. draw for a whole step; for events alone no convolution is without a gradient.)
    With rate 0 there is neither.
    """

    def __init__(self, channels: int, columns: int, rate: float):
        super().__init__()
        self.rate = rate
        self.columns = nn.ModuleList(
            nn.ModuleList(normalised(convolution(channels, channels)) for _ in range(2**c))
            for c in range(columns)
        )

    def kept(self, ends: list[int], only: torch.Tensor) -> torch.Tensor:
        """(k, b) bool: which of the columns `ends`, which end in a join, each event sees there.

        only : (b,) the column of an event that sees a single one, -1 for others
        """
        b, device = len(only), only.device
        kept = torch.rand(len(ends), b, device=device) >= self.rate
        spared = torch.randint(len(ends), (b,), device=device)
        kept[spared, torch.arange(b, device=device)] |= ~kept.any(dim=0)
        chosen = torch.tensor(ends, device=device)[:, None] == only
        # A join that the event's column does not reach leads nowhere.
        chosen |= ~chosen.any(dim=0)
        return torch.where(only < 0, kept, chosen)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, channels, N, N) -> the same."""
        n, rows = len(self.columns), len(self.columns[-1])
        only = None
        if self.training and self.rate > 0:
            only = torch.randint(n, (len(x),), device=x.device)
            only[torch.rand(len(x), device=x.device) < 0.5] = -1
        begun = n * [x]
        for row in range(1, rows + 1):
            ends = [c for c in range(n) if row % (rows >> c) == 0]
            found = [self.columns[c][row // (rows >> c) - 1](begun[c]) for c in ends]
            joined = join(torch.stack(found), None if only is None else self.kept(ends, only))
            for c in ends:
                begun[c] = joined
        return begun[0]


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
    drop_path: float = 0.15,
) -> TileNetwork:
    """A fractal of convolutions.

    Parameters
    ----------
    grid_layers : columns: the longest has 2^(grid_layers - 1) convolutions
    drop_path : part of the paths into a join that are left out in training; 0: also no single
        columns
    pooling : "flat", the dense head sees every cell; "average", the mean over the cells (Lin et
        al. 2014, arXiv:1312.4400)
    others : `layers.Sizes`
    """
    sizes = Sizes(
        waveform_channels, station_channels, dense_channels, dropout, pooling, decoder_weight
    )
    return TileNetwork(inputs, sizes, lambda s: Fractal(s, grid_layers, drop_path))
