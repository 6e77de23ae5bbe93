"""What the built-in models share: the encoder of the waveforms, the dense head, the decoder of an
auxiliary loss, and layers that several of them have.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from tashower.errors import InputError
from tashower.network.contracts import ModelInputs


class WaveformEncoder(nn.Module):
    """Waveforms of hit stations to a few numbers each: (h, T, L) -> (h, channels).

    Convolutions whose stride is their width, written as matrix products over pieces of the
    waveform: on a CPU several times faster than overlapping ones.
    """

    def __init__(self, n_bins: int, n_layers: int, channels: int):
        super().__init__()
        self.padded = -(-n_bins // 16) * 16
        self.pieces = nn.Linear(4 * n_layers, channels)
        self.pairs = nn.Linear(2 * channels, 2 * channels)
        self.quads = nn.Linear(4 * channels, 2 * channels)
        self.out = nn.Linear(2 * channels * self.padded // 16, channels)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """(h, T, L) -> (h, channels)."""
        h, n_bins, n_layers = waveform.shape
        x = nn.functional.pad(waveform, (0, 0, 0, self.padded - n_bins))
        x = torch.relu(self.pieces(x.reshape(h, self.padded // 4, 4 * n_layers)))  # (h, T/4, C)
        x = torch.relu(self.pairs(x.reshape(h, self.padded // 8, 2 * x.shape[2])))  # (h, T/8, 2C)
        x = torch.relu(self.quads(x.reshape(h, self.padded // 16, 2 * x.shape[2])))  # (h, T/16, 2C)
        return self.out(x.flatten(1))


class WaveformDecoder(nn.Module):
    """The waveforms again from what the encoder made of them: (h, channels) -> (h, T, L).

    Two transposed convolutions of width and stride 4 (Zeiler et al. 2010,
    doi:10.1109/CVPR.2010.5539957; Dumoulin and Visin 2016, arXiv:1603.07285): pieces do not
    overlap, which keeps their borders out of the waveform (Odena et al. 2016,
    doi:10.23915/distill.00003).
    """

    def __init__(self, n_bins: int, n_layers: int, channels: int):
        super().__init__()
        self.n_bins, self.pieces = n_bins, -(-n_bins // 16)
        self.begin = nn.Linear(channels, channels * self.pieces)
        self.wider = nn.ConvTranspose1d(channels, channels, 4, stride=4)
        self.widest = nn.ConvTranspose1d(channels, n_layers, 4, stride=4)

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """(h, channels) -> (h, T, L)."""
        x = torch.relu(self.begin(code)).unflatten(1, (code.shape[1], self.pieces))  # (h, C, T/16)
        x = self.widest(torch.relu(self.wider(x)))  # (h, L, T)
        return x[..., : self.n_bins].transpose(1, 2)


def reconstruction_loss(found: torch.Tensor, waveform: torch.Tensor) -> torch.Tensor:
    """Mean square of found minus true over all bins of (h, T, L), in normalised ln(1 + VEM): 1 for
    a decoder that says nothing; 0 where no station has a waveform.
    """
    return (found.float() - waveform).square().sum() / max(1, waveform.numel())


class PerCell(nn.Conv2d):
    """A convolution of width 1, of the channels of each cell, written as a matrix product: on a CPU
    faster than torch's own.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, channels, N, N) -> (b, out, N, N)."""
        x = nn.functional.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return x.permute(0, 3, 1, 2)


def convolution(
    channels: int, out: int, kernel: int | tuple[int, int] = 3, dilation: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution over the grid that keeps its size; with 0 beyond the border."""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    if (height, width, groups) == (1, 1, 1):
        return PerCell(channels, out, 1)
    padding = (dilation * (height // 2), dilation * (width // 2))
    return nn.Conv2d(
        channels, out, (height, width), padding=padding, dilation=dilation, groups=groups
    )


def normalised(conv: nn.Conv2d) -> nn.Sequential:
    """A convolution, batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167), ReLU. The
    convolution loses its bias, which the normalisation would take out.
    """
    conv.register_parameter("bias", None)
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU())


class Sizes(NamedTuple):
    """Options of all built-in models, but for what is their own."""

    waveform_channels: int  #: width of the waveform encoder
    station_channels: int  #: width of the grid's layers
    dense_channels: int  #: width of the dense head
    dropout: float  #: in the dense head
    pooling: str  #: "flat": the head sees every cell; "average": the mean over the cells
    decoder_weight: float  #: of the auxiliary loss; 0: no decoder


def dense_head(inputs: ModelInputs, channels: int, dropout: float) -> nn.Sequential:
    """The end of all built-in models: the event features join after its first layer, a ReLU of the
    (b, channels) that it is given. It starts at an output of 0, which is no correction.
    """
    head = nn.Sequential(
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(channels + len(inputs.event_features), channels),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(channels, inputs.n_outputs),
    )
    nn.init.zeros_(head[-1].weight)
    nn.init.zeros_(head[-1].bias)
    return head


class TileNetwork(nn.Module):
    """Correction of the fit from a tile and event features: encoder, layers over the grid, dense
    head. Of all built-in models these are the same, but for the layers over the grid.

    With a weight of the decoder it gives, in training, also the auxiliary loss of
    `tashower.network.contracts`: the encoder's numbers have to tell the waveforms.

    Parameters
    ----------
    make_grid : function of the number of channels S, that makes a module of (b, S, N, N) ->
        (b, S', N', N')

    Raises
    ------
    InputError : stations that stand on no lattice; a pooling that is none.
    """

    encodes_once = True

    def __init__(self, inputs: ModelInputs, sizes: Sizes, make_grid: Callable[[int], nn.Module]):
        super().__init__()
        if inputs.lattice == "irregular":
            raise InputError(
                "a model of the grid needs stations on a square or hexagonal lattice, and these"
                " stand on none: model set takes any"
            )
        if sizes.pooling not in ("flat", "average"):
            raise InputError(f"pooling {sizes.pooling}: is neither flat nor average")
        described = (inputs.n_bins, inputs.n_layers, sizes.waveform_channels)
        self.encoder = WaveformEncoder(*described) if inputs.waveforms else None
        self.waveform_channels = sizes.waveform_channels if inputs.waveforms else 0
        self.average = sizes.pooling == "average"
        channels = sizes.station_channels
        self.station = nn.Sequential(
            convolution(len(inputs.station_features) + self.waveform_channels, channels, 1),
            nn.ReLU(),
            convolution(channels, channels, 1),
        )
        self.grid = make_grid(channels)
        empty = torch.zeros(1, channels, inputs.tile, inputs.tile)
        with torch.no_grad():
            reduced = self._reduced(self.grid.eval()(empty)).shape[1]
        self.grid.train()
        self.flat = nn.Linear(reduced, sizes.dense_channels)
        self.head = dense_head(inputs, sizes.dense_channels, sizes.dropout)
        self.decoder_weight = sizes.decoder_weight if inputs.waveforms else 0.0
        self.decoder = WaveformDecoder(*described) if self.decoder_weight > 0 else None

    def _reduced(self, x: torch.Tensor) -> torch.Tensor:
        """(b, S', N', N') -> (b, S' N' N') or, averaged, (b, S')."""
        return x.mean(dim=(2, 3)) if self.average else x.flatten(1)

    def forward(
        self,
        cells: torch.Tensor,
        event_features: torch.Tensor,
        waveform: torch.Tensor,
        waveform_place: torch.Tensor,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Output of the head, (b, n_outputs); in training, with a decoder, (output, weighted loss).

        cells : (b, N, N, F); event_features : (b, E), E = 0 without them; waveform : (h, T, L) of
        the hits of all events of the batch; waveform_place : (h,) = event N N + cell
        """
        b, n = cells.shape[:2]
        x = cells
        if self.encoder is not None:
            code = self.encoder(waveform)
            encoded = cells.new_zeros(b * n * n, self.waveform_channels)
            encoded[waveform_place] = code.to(encoded.dtype)  # stations without a hit stay 0
            x = torch.cat([x, encoded.view(b, n, n, -1)], dim=-1)  # (b, N, N, F + C)
        x = self.grid(self.station(x.permute(0, 3, 1, 2)))  # (b, S', N', N')
        x = self.flat(self._reduced(x))  # -> (b, D)
        x = torch.cat([self.head[0](x), event_features], dim=1)  # (b, D + E)
        output = self.head[1:](x)
        if self.decoder is None or not self.training:
            return output
        return output, self.decoder_weight * reconstruction_loss(self.decoder(code), waveform)
