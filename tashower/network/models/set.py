"""The model `set`: attention over the stations of an event, wherever they stand (Vaswani et al.
2017, arXiv:1706.03762; for sets Lee et al. 2019, arXiv:1810.00825).

A station is a token: its features and what the shared encoder says of its waveform; tokens look at
each other. Then they are summed at places around the fitted core, each by how near it stands
(Gaussian weights), and dense layers follow: a shift of core or axis is a sum of place times
residual, which attention alone learns much more slowly (docs/network_trials.md). The order of the
stations and the cells that they stand in mean nothing, so that the network serves arrays without a
lattice.
"""

import torch
from torch import nn

from tashower.errors import InputError
from tashower.network.contracts import ModelInputs
from tashower.network.layers import WaveformEncoder, dense_head

#: Features that the network looks at by name: whether there is a station, and where.
_USED = ("exists", "x", "y")
#: Outermost places, in rms of the stations' coordinates: a square filled evenly ends at 1.7.
_FARTHEST = 1.7


class AttentionBlock(nn.Module):
    """Every token looks at all that are there, then each is transformed for itself; both are added
    to what came in (normalised before: Xiong et al. 2020, arXiv:2002.04745).
    """

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        # No bias for the keys: it would change all weights of a token alike, that is none.
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels)
        self.mix = nn.Linear(channels, channels)
        self.each = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, 2 * channels),
            nn.ReLU(),
            nn.Linear(2 * channels, channels),
        )

    def forward(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """(b, K, C) -> the same; there (b, 1, 1, K): tokens that are looked at."""
        y = self.norm(x)
        q, k, v = (
            part(y).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )  # (b, heads, K, C/heads)
        y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=there)
        x = x + self.mix(y.transpose(1, 2).flatten(2))
        return x + self.each(x)


class SetNetwork(nn.Module):
    """Correction of the fit from stations and event features; parameters as those of `model`."""

    encodes_once = True

    def __init__(
        self,
        inputs: ModelInputs,
        waveform_channels: int,
        station_channels: int,
        attention_layers: int,
        heads: int,
        places: int,
        dense_channels: int,
        dropout: float,
    ):
        super().__init__()
        self.exists, *self.at = (inputs.station_features.index(name) for name in _USED)
        self.encoder = (
            WaveformEncoder(inputs.n_bins, inputs.n_layers, waveform_channels)
            if inputs.waveforms
            else None
        )
        self.waveform_channels = waveform_channels if inputs.waveforms else 0
        self.station = nn.Sequential(
            nn.Linear(len(inputs.station_features) + self.waveform_channels, station_channels),
            nn.ReLU(),
            nn.Linear(station_channels, station_channels),
        )
        self.blocks = nn.ModuleList(
            AttentionBlock(station_channels, heads) for _ in range(attention_layers)
        )
        self.norm = nn.BatchNorm1d(station_channels)
        along = torch.linspace(-_FARTHEST, _FARTHEST, places)
        middles = torch.stack(torch.meshgrid(along, along, indexing="ij"), dim=2).reshape(-1, 2)
        self.register_buffer("middles", middles, persistent=False)
        self.width = 0.9 * _FARTHEST / max(places - 1, 1)
        self.flat = nn.Linear(station_channels * places**2, dense_channels)
        self.head = dense_head(inputs, dense_channels, dropout)

    def forward(
        self,
        cells: torch.Tensor,
        event_features: torch.Tensor,
        waveform: torch.Tensor,
        waveform_place: torch.Tensor,
    ) -> torch.Tensor:
        """Output of the head, (b, n_outputs); arguments as those of every model."""
        x = cells.flatten(1, 2)  # (b, N N, F)
        there, at = x[..., self.exists] > 0, x[..., self.at]
        if self.encoder is not None:
            encoded = x.new_zeros(there.numel(), self.waveform_channels)
            # Stations without a hit stay 0.
            encoded[waveform_place] = self.encoder(waveform).to(encoded.dtype)
            x = torch.cat([x, encoded.view(*there.shape, self.waveform_channels)], dim=2)
        x = self.station(x)
        # Where no station is at all, all look at what counts for nothing below.
        looked = (there | ~there.any(dim=1, keepdim=True))[:, None, None]
        for block in self.blocks:
            x = block(x, looked)
        x = self.norm(x.flatten(0, 1)).view_as(x)
        away = (at[:, :, None] - self.middles).square().sum(dim=3)  # (b, N N, places^2)
        near = torch.exp(-0.5 * away / self.width**2) * there[..., None]
        x = (near.transpose(1, 2) @ x).flatten(1)
        x = torch.cat([self.head[0](self.flat(x)), event_features], dim=1)
        return self.head[1:](x)


def model(
    inputs: ModelInputs,
    *,
    waveform_channels: int = 16,
    station_channels: int = 32,
    attention_layers: int = 1,
    heads: int = 4,
    places: int = 6,
    dense_channels: int = 128,
    dropout: float = 0.1,
) -> SetNetwork:
    """The network of stations anywhere, for `inputs`.

    Parameters
    ----------
    waveform_channels : width of the waveform encoder
    station_channels : width of a station's token, a multiple of heads
    attention_layers : times that the stations look at each other
    heads : parts of a token that look for different things
    places : along a side of the square of places to which stations count by their nearness
    dense_channels, dropout : width of the dense part at the end, and dropout in it

    Raises
    ------
    InputError : station_channels is no multiple of heads.
    """
    if station_channels % heads:
        raise InputError(
            f"model set: station_channels ({station_channels}) is no multiple of heads ({heads})"
        )
    return SetNetwork(
        inputs,
        waveform_channels,
        station_channels,
        attention_layers,
        heads,
        places,
        dense_channels,
        dropout,
    )
