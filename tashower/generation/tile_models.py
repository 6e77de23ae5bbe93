"""The two networks of the adversarial training on tiles.

A tile (N, N, 2 + C L) holds in every cell a hit (0 or 1), its reduced time, and its light in C
cells of time and L layers as asinh(VEM/0.1); all 0 where there is no hit. Most cells are empty:
tiles of b events are a list of the others (`Cells`).
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from tashower.generation.tile_sample import EVENT_CONDITION, LIGHT_SCALE, STATION_CONDITION

#: Light in a cell of time that is none [VEM] (choice: a tenth of the least lit one).
LEAST_LIGHT = 0.01
#: Before anything is learned a station without a hit has a probability exp(-mu), mu this times the
#: signal that is expected there [VEM] (choice: as in the simulation).
PARTICLES_PER_VEM = 0.6
#: Mean of ln|z|, z normal: -(gamma + ln 2)/2 with Euler's constant.
_MEAN_LOG_NORMAL = -0.6352
#: Least part of the light that the mean of hits has in a cell of time (choice).
LEAST_PART = 1e-3
#: Least rms that is told apart where it is measured (choice).
_LEAST_RMS = 0.01
#: Least probability of a hit with which an empty cell is told what it would look like as one
#: (choice).
LEAST_PROBABILITY = 0.02
_WORKING, _EXPECTED = STATION_CONDITION.index("working"), STATION_CONDITION.index("log_expected")
_GROUND, _GROUND_CHANNELS = 4, 24  # where the transposed convolutions along time start
#: Of the random numbers in the shape of waveforms, of that shape for large signals, and how much
#: more it is for one particle, at first (choices).
_NOISE_GAIN, _WAVE_GAIN, _FEW = 3.0, 2.5, 4.0
_TERMS = 10  # that mean time, signal and shape of a hit are linear in, at first


class TileShape(NamedTuple):
    """Sizes of tiles and networks."""

    n: int  #: N
    cells: int  #: C
    layers: int  #: L
    latent: int = 16  #: random numbers of an event
    noise: int = 12  #: ... and of every cell
    width: int = 48  #: of the layers

    @property
    def channels(self) -> int:
        """Numbers in a cell of a tile."""
        return 2 + self.cells * self.layers


class Shower(NamedTuple):
    """What b tiles are of."""

    condition: torch.Tensor  #: (b, 8), `tile_sample.EVENT_CONDITION`
    maps: torch.Tensor  #: (b, N, N, 7), `tile_sample.STATION_CONDITION`


class Cells(NamedTuple):
    """Cells of b tiles that are not empty."""

    place: torch.Tensor  #: (a,) int64, event N N + cell, increasing
    content: torch.Tensor  #: (a, 2 + C L)
    #: (a,) 1 where there is a hit, 0 where `content` says what it would look like; None: the hit
    gate: torch.Tensor | None = None


class Random(NamedTuple):
    """What makes two generated tiles of the same shower differ."""

    latent: torch.Tensor  #: (b, latent) normal
    noise: torch.Tensor  #: (b, N, N, noise) normal
    uniform: torch.Tensor  #: (b, N, N) in (0, 1): decides whether there is a hit


def draw_random(shape: TileShape, b: int, generator: torch.Generator) -> Random:
    """`Random` of b tiles, on the CPU."""
    tile = (b, shape.n, shape.n)
    return Random(
        torch.randn(b, shape.latent, generator=generator),
        torch.randn(*tile, shape.noise, generator=generator),
        torch.rand(tile, generator=generator).clamp(1e-6, 1.0 - 1e-6),
    )


def straight_through(logit: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """1 with probability sigmoid(logit), else 0; its gradient is that of a sigmoid.

    With logistic noise ln(u/(1 - u)) the sum is above 0 with just that probability (Maddison et
    al. 2017, arXiv:1611.00712, section 3); the step is replaced by a sigmoid in the gradient alone
    (Bengio et al. 2013, arXiv:1308.3432).
    """
    soft = torch.sigmoid(logit + torch.logit(uniform))
    hard = (soft > 0.5).to(soft.dtype)
    return hard + (soft - soft.detach())  # exactly 0 or 1


def station_terms(maps: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    """(a, 10) terms of cells; maps (a, 7) and condition (a, 8) of each."""
    e, t, r, along = maps[:, 1] / 3.0, maps[:, 2], maps[:, 3], maps[:, 4]
    bends = functional.relu(e), functional.relu(e - 1.0)
    secant = condition[:, EVENT_CONDITION.index("secant")]
    return torch.stack([torch.ones_like(e), e, e * e, e**3, *bends, t, r, along, secant], 1)


class Generator(nn.Module):
    """From random numbers and a shower to a tile.

    Transposed convolutions make maps of the tile from the event's numbers (Radford et al. 2016,
    arXiv:1511.06434; for air showers Erdmann et al. 2018, arXiv:1802.03325); a small network at
    every cell, with random numbers of its own, makes hit, time and signals from them, and
    transposed convolutions along the time the shape of the waveforms. They say what differs from
    the mean of hits (`start`), so that the networks need not learn the lateral distribution and the
    front. A hit comes with a probability 1 - exp(-mu). mu differs from that of the mean shower, and
    the rms of times and signals from that of hits, by a factor e at most: the gradient through a
    mask is crude, and without a bound it ends with cores that have no hits.
    """

    def __init__(self, shape: TileShape):
        super().__init__()
        self.shape, w = shape, shape.width
        self.side = -(-shape.n // 4)
        self.event = nn.Linear(shape.latent + len(EVENT_CONDITION), w * self.side**2)
        self.up = nn.Sequential(
            nn.SiLU(),
            nn.ConvTranspose2d(w, w // 2, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(w // 2, w // 2, 4, stride=2, padding=1),
        )
        seen = w // 2 + len(STATION_CONDITION) + len(EVENT_CONDITION) + shape.noise
        self.station = nn.Sequential(
            nn.Linear(seen, w), nn.SiLU(), nn.Linear(w, w), nn.SiLU(), nn.Linear(w, w), nn.SiLU()
        )
        # Hit, time, signals; and ln of what their random numbers count.
        self.numbers = nn.Linear(w, 2 + shape.layers)
        self.spread = nn.Linear(w, 2 + shape.layers)
        with torch.no_grad():
            self.numbers.weight *= 0.3
            self.spread.weight *= 0.3
            self.spread.bias.zero_()
        self.register_buffer("rms", torch.zeros(_TERMS, 2 + shape.layers))
        self.register_buffer("mean", torch.zeros(_TERMS, 2))
        self.rate = nn.Parameter(torch.tensor(PARTICLES_PER_VEM).log())
        self.first = nn.Linear(w + shape.noise, _GROUND_CHANNELS * _GROUND)
        with torch.no_grad():
            self.first.weight[:, w:] *= _NOISE_GAIN
        ups, channels, cells = [], _GROUND_CHANNELS, _GROUND
        while cells < shape.cells:
            cells *= 2
            less = shape.layers if cells >= shape.cells else max(channels // 2, 8)
            ups += [nn.SiLU(), nn.ConvTranspose1d(channels, less, 4, stride=2, padding=1)]
            channels = less
        self.waves = nn.Sequential(*ups)
        self.register_buffer("usual", torch.zeros(_TERMS, shape.cells, shape.layers))

    @torch.no_grad()
    def start(self, cells: Cells, shower: Shower) -> None:
        """Begin with the least squares of reduced time, ln of the signal, and parts of the signal
        in the cells of time, of simulated hits, and with the rms that they leave.
        """
        cell = cells.place // self.shape.n**2
        terms = station_terms(shower.maps.flatten(0, 2)[cells.place], shower.condition[cell])
        vem = LIGHT_SCALE * torch.sinh(cells.content[:, 2:].unflatten(1, (self.shape.cells, -1)))
        signal = vem.sum(1).clamp(min=LIGHT_SCALE)
        seen = torch.stack([cells.content[:, 1], signal.mean(1).log()], 1)
        both = torch.cat([seen, (vem / signal[:, None]).flatten(1)], 1).double()
        found = torch.linalg.lstsq(terms.double(), both).solution.float()
        self.mean.copy_(found[:, :2])
        self.usual.copy_(found[:, 2:].unflatten(1, self.usual.shape[1:]))
        # Half of the difference of two layers goes to each of them.
        layers = (signal[:, :1] / signal[:, -1:]).log() / 2.0**0.5
        layers = layers.expand(-1, self.shape.layers)
        left = torch.cat([seen - terms @ self.mean, layers], 1)
        log_rms = (left.abs() + _LEAST_RMS).log() - _MEAN_LOG_NORMAL
        self.rms.copy_(torch.linalg.lstsq(terms.double(), log_rms.double()).solution.float())

    def forward(self, shower: Shower, random: Random, possible: bool = False) -> Cells:
        """The cells with a hit; `possible`: also those that could have had one, with a `gate` that
        is 0 there and has a gradient.
        """
        shape, (condition, maps) = self.shape, shower
        x = self.event(torch.cat([random.latent, condition], 1))
        x = self.up(x.view(len(condition), -1, self.side, self.side))
        x = x[:, :, : shape.n, : shape.n].permute(0, 2, 3, 1)
        event = condition[:, None, None].expand(-1, shape.n, shape.n, -1)
        h = self.station(torch.cat([x, maps, event, random.noise], 3).flatten(0, 2))
        maps, noise = maps.flatten(0, 2), random.noise.flatten(0, 2)
        numbers = self.numbers(h)
        terms = station_terms(maps, event.flatten(0, 2))
        usual = terms @ self.mean
        spread = torch.exp((terms @ self.rms).clamp(-5.0, 1.0) + torch.tanh(self.spread(h)))
        off = spread * noise[:, : spread.shape[1]]
        time = usual[:, 0] + numbers[:, 1] + off[:, 0]
        log_signal = usual[:, 1:] + numbers[:, 2:] + off[:, 1:2] + off[:, 2:]
        change = self.rate + torch.tanh(numbers[:, 0])
        mean = torch.exp((maps[:, _EXPECTED] + change).clamp(-9.0, 3.5))
        logit = mean + torch.log(-torch.expm1(-mean))  # of a probability 1 - exp(-mean)
        hit = straight_through(logit, random.uniform.flatten()) * maps[:, _WORKING]
        there = hit > 0.5
        if possible:
            there |= (torch.sigmoid(logit) > LEAST_PROBABILITY) & (maps[:, _WORKING] > 0.5)
        place = there.nonzero()[:, 0]
        seen = torch.cat([h[place], noise[place]], 1)
        light = self._light(seen, log_signal[place], terms[place])
        one = torch.ones_like(time[place, None])
        content = torch.cat([one, time[place, None], light.flatten(1)], 1)
        return Cells(place, content, hit[place] if possible else None)

    def _light(
        self, h: torch.Tensor, log_signal: torch.Tensor, terms: torch.Tensor
    ) -> torch.Tensor:
        """(a, C, L) asinh of the light: parts of the signal, those below LEAST_LIGHT none, and
        the others the more.
        """
        usual = (terms @ self.usual.flatten(1)).clamp(min=LEAST_PART).log()
        waves = self.waves(self.first(h).view(-1, _GROUND_CHANNELS, _GROUND))
        signal = torch.exp(log_signal.clamp(-6.0, 11.0))[:, None]
        gain = _WAVE_GAIN * (1.0 + _FEW * torch.rsqrt(1.0 + signal))
        waves = gain * waves[..., : self.shape.cells].transpose(1, 2)
        waves = waves + usual.view(waves.shape)
        vem = functional.relu(signal * torch.softmax(waves, 1) - LEAST_LIGHT)
        vem = vem * (signal / (vem.sum(1, keepdim=True) + LEAST_LIGHT))
        return torch.asinh(vem / LIGHT_SCALE)


#: Pulls that the critic is shown, and the least rms that they are measured in (choice: no number of
#: a tile is to change them by more than 5).
_PULLS, _LEAST_PULLED = 3, 0.2
#: Numbers of a waveform that the critic is shown beside the waveform, for each layer.
SHOWN = ("log_signal", "excess", "middle", "width", "peak")


def shown_of(content: torch.Tensor, log_expected: torch.Tensor, cells: int) -> torch.Tensor:
    """(a, SHOWN L + 1) what physicists look at: ln(1 + S/0.1 VEM) of a layer and its excess over
    that of a mean shower, mean and rms place of the light among the cells of time, the part of the
    largest cell; and the difference of the first and the last layer's logarithm. 0 without light.

    Smooth, and of bounded slope in the asinh of the light: the gradient penalty is not upset.
    """
    vem = LIGHT_SCALE * torch.sinh(content[:, 2:].unflatten(1, (cells, -1)))
    signal = vem.sum(1)
    weight = vem / (signal + LIGHT_SCALE)[:, None]
    place = torch.linspace(-1.0, 1.0, cells, device=content.device)[:, None]
    middle = (weight * place).sum(1)
    width = (weight * (place - middle[:, None]) ** 2).sum(1)
    log_signal = torch.log1p(signal / LIGHT_SCALE)
    mean = torch.log1p(torch.exp(log_expected) / LIGHT_SCALE)[:, None]
    parts = [
        *(log_signal, log_signal - mean * content[:, :1], 3.0 * middle),
        *(3.0 * ((width + 1e-3).sqrt() - 1e-3**0.5), 3.0 * weight.amax(1)),
        log_signal[:, :1] - log_signal[:, -1:],
    ]
    return torch.cat(parts, 1)


class Critic(nn.Module):
    """One number of a tile and its shower: how real it looks. No normalisation over a batch: the
    penalty is every tile's own (Gulrajani et al. 2017, section 4).
    """

    def __init__(self, shape: TileShape):
        super().__init__()
        self.shape, w = shape, shape.width
        self.register_buffer("mean", torch.zeros(_TERMS, 2))
        self.register_buffer("rms", torch.zeros(_TERMS, 2 + shape.layers))
        seen = shape.channels + len(SHOWN) * shape.layers + 1 + 2 * _PULLS
        seen += len(STATION_CONDITION) + len(EVENT_CONDITION)
        act = nn.LeakyReLU(0.2)
        self.station = nn.Sequential(
            nn.Linear(seen, 2 * w), act, nn.Linear(2 * w, w), act, nn.Linear(w, w), act
        )
        # Convolutions over 2 x 2 cells with stride 2, as matrix products.
        self.down = nn.ModuleList(
            nn.Linear(4 * channels, w) for channels in (w + len(STATION_CONDITION), w)
        )
        self.act = act
        left = -(-shape.n // 4)
        seen = w * left**2 + w + len(EVENT_CONDITION)
        self.last = nn.Sequential(nn.Linear(seen, w), act, nn.Linear(w, 1))

    def start(self, generator: Generator) -> None:
        """Measure times and signals from the regression that the generator begins with."""
        self.mean.copy_(generator.mean)
        self.rms.copy_(generator.rms)

    def _pulls(self, content: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
        """(a, 6) asinh(p) and ln(1 + p^2) of the pulls p of time, ln of the signal, and ln of the
        ratio of the layers, by the regression: how far, and how widely spread. 0 without a hit.
        """
        rms = torch.exp(terms @ self.rms).clamp(min=_LEAST_PULLED)
        vem = LIGHT_SCALE * torch.sinh(content[:, 2:].unflatten(1, (self.shape.cells, -1)))
        signal = vem.sum(1) + LIGHT_SCALE
        seen = torch.stack([content[:, 1], signal.mean(1).log()], 1) - terms @ self.mean
        layers = (signal[:, :1] / signal[:, -1:]).log() / 2.0**0.5
        pulls = torch.cat([seen, layers], 1) / rms[:, :_PULLS]
        return content[:, :1] * torch.cat([torch.asinh(pulls), torch.log1p(pulls**2)], 1)

    def forward(self, cells: Cells, shower: Shower) -> torch.Tensor:
        """(b,) how real tiles look."""
        n, (condition, maps) = self.shape.n, shower
        b, (place, content, gate) = len(condition), cells
        event = place // (n * n)
        there = maps.flatten(0, 2)[place]
        shown = shown_of(content, there[:, _EXPECTED], self.shape.cells)
        pulls = self._pulls(content, station_terms(there, condition[event]))
        h = self.station(torch.cat([content, shown, pulls, there, condition[event]], 1))
        # Whether a cell is empty or one that is 0 makes no difference. The gradient of a gate is
        # what a hit with this content would change, not what a little of one would.
        h = h * (content[:, 0] if gate is None else gate)[:, None]
        tile = torch.zeros(b * n * n, h.shape[1], dtype=h.dtype, device=h.device)
        tile = tile.index_copy(0, place, h).view(b, n, n, -1)
        total = tile.sum((1, 2)) / n  # of all stations, whatever their place
        missing = -n % 4
        x = functional.pad(torch.cat([tile, maps], 3), (0, 0, 0, missing, 0, missing))
        for layer in self.down:
            x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).transpose(2, 3).flatten(3)
            x = self.act(layer(x))
        far = x.flatten(1)
        return self.last(torch.cat([far, total, condition], 1))[:, 0]
