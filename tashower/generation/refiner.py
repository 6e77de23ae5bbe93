"""The network that changes simulated waveforms, and its training against a critic.

Refined simulation: Shrivastava et al. 2017 (arXiv:1612.07828), who keep the change small by a term
of its own; with the Wasserstein distance and a penalty of the critic's gradient for the waveforms
of air showers: Erdmann et al. 2018 (arXiv:1802.03325).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tashower.generation.adversarial import gradient_penalty
from tashower.generation.measured import Measured, Scorer, compared
from tashower.progress import counted

#: Taps of the filter, the first of them this many bins before the light (choices: two pulse lengths
#: of the Telescope Array are 24 bins).
TAPS, AHEAD = 14, 2
#: Bounds of what a refiner can do (choices): of the filter's taps, of ln of a bin's light, of the
#: noise that is added [noise of a bin], and of a late pulse [VEM].
LARGEST_TAP, LARGEST_LOG, LARGEST_NOISE, LARGEST_PULSE = 0.3, 0.3, 2.0, 6.0
#: Bins of the pulse that may be added and its peak's place; a parabola of unit area (choice).
_PULSE = 9
#: Steps of the refiner, those of the critic for each, hits in a step, learning rates (choices).
STEPS, CRITIC_STEPS, BATCH, RATES = 400, 3, 128, (2e-3, 1e-3)
#: Weights of the critic's gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028) and of the
#: mean change of a bin of arsinh(w/s) (choice).
PENALTY, SELF_REGULARISATION = 10.0, 1.0
_CHANNELS = 8
_LARGEST_COUNT = 4095.0


class Chance(NamedTuple):
    """Random inputs of m hits."""

    noise: torch.Tensor  #: (m, n_layers, n_bins) normal
    pulse: torch.Tensor  #: (m, 1, n_bins) one pulse of unit area times a flat number in 0 to 1


def draw_chance(shape: tuple[int, int, int], generator: torch.Generator) -> Chance:
    """`Chance` for (m, n_layers, n_bins) waveforms."""
    m, _, n_bins = shape
    noise = torch.randn(shape, generator=generator)
    place = torch.randint(n_bins, (m,), generator=generator)
    size = torch.rand(m, generator=generator)
    spike = torch.zeros(m, 1, n_bins + _PULSE)
    spike[torch.arange(m), 0, place] = size
    t = torch.linspace(-1.0, 1.0, _PULSE + 2)[1:-1]
    shape_of = (1.0 - t * t) / (1.0 - t * t).sum()
    pulse = functional.conv1d(functional.pad(spike, (_PULSE - 1, 0)), shape_of.flip(0)[None, None])
    return Chance(noise, pulse[:, :, :n_bins])


class Hits(NamedTuple):
    """Simulated hits as tensors."""

    waveform: torch.Tensor  #: (m, n_layers, n_bins) counts above the pedestal
    counts_per_vem: torch.Tensor  #: (m, n_layers)
    pedestal: torch.Tensor  #: (m, n_layers)
    condition: torch.Tensor  #: (m, k) of order 1


class Refiner(nn.Module):
    """Counts above the pedestal to counts above the pedestal.

    Light is filtered (taps that conserve its sum and depend on the conditions), each bin is
    multiplied within bounds, the signal kept, and noise and one late pulse are added; how much of
    which, four convolutions say that see the waveform, the conditions and the random inputs. At
    first it changes nothing.
    """

    def __init__(self, n_layers: int, n_conditions: int, scale: float, noise: float, whole: bool):
        super().__init__()
        self.n_layers, self.scale, self.noise, self.whole = n_layers, scale, noise, whole
        self.taps = nn.Sequential(
            *(nn.Linear(n_conditions, _CHANNELS), nn.SiLU(), nn.Linear(_CHANNELS, TAPS))
        )
        self.told = nn.Linear(n_conditions, _CHANNELS)
        self.first = nn.Conv1d(2 * n_layers + 1, _CHANNELS, 5, padding=2)
        self.middle = nn.ModuleList(
            nn.Conv1d(_CHANNELS, _CHANNELS, 5, padding=2 * d, dilation=d) for d in (2, 4)
        )
        self.last = nn.Conv1d(_CHANNELS, 2 * n_layers + 1, 1)
        for layer in (self.taps[-1], self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        # The variance that noise adds has no slope at 0.
        nn.init.constant_(self.last.bias[n_layers : 2 * n_layers], 0.1)

    def forward(self, hits: Hits, chance: Chance, part: float = 1.0) -> torch.Tensor:
        """(m, n_layers, n_bins); part : of the change that is made, 0 to 1."""
        per_vem = hits.counts_per_vem[:, :, None]
        light = hits.waveform / per_vem
        seen = [torch.asinh(light / self.scale), chance.noise, 4.0 * chance.pulse]
        x = self.first(torch.cat(seen, 1)) + self.told(hits.condition)[:, :, None]
        for layer in self.middle:
            x = x + layer(functional.silu(x))
        said = torch.tanh(self.last(functional.silu(x)))
        n = self.n_layers
        factor = self._conserving(torch.exp(LARGEST_LOG * said[:, :n]), light, per_vem)
        changed = self._filtered(light, hits.condition) * factor
        changed = changed + LARGEST_PULSE * said[:, 2 * n :] * chance.pulse
        counts = changed * per_vem + LARGEST_NOISE * self.noise * said[:, n : 2 * n] * chance.noise
        counts = hits.waveform + part * (counts - hits.waveform)
        return self._digitised(counts, hits.pedestal[:, :, None])

    def _conserving(self, factor, light, per_vem):
        """Factors of which the mean over the light of a hit, all layers together, is 1: signals are
        an energy scale, which no comparison of waveforms knows.
        """
        weight = functional.relu(light - 3.0 * self.noise / per_vem)
        sums = [x.sum((1, 2), keepdim=True) for x in (weight, weight * factor)]
        return torch.where(sums[0] > 0.0, factor * sums[0] / sums[1].clamp_min(1e-9), factor)

    def _filtered(self, light, condition):
        taps = LARGEST_TAP * torch.tanh(self.taps(condition))
        n_bins = light.shape[2]
        padded = functional.pad(light, (TAPS - 1 - AHEAD, AHEAD))
        changed = (1.0 - taps.sum(1))[:, None, None] * light
        for k in range(TAPS):  # tap k looks k - AHEAD bins back
            begin = TAPS - 1 - k
            changed = changed + taps[:, k, None, None] * padded[:, :, begin : begin + n_bins]
        return changed

    def _digitised(self, counts, pedestal):
        """Whole counts in the range of the digitiser; gradients pass through."""
        if not self.whole:
            return counts
        digits = torch.clamp(torch.round(counts + pedestal), 0.0, _LARGEST_COUNT) - pedestal
        return counts + (digits - counts).detach()


def penalty_between(
    critic: Callable[[torch.Tensor], torch.Tensor],
    data: torch.Tensor,
    made: torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:
    """`adversarial.gradient_penalty` of a critic of waveforms (m, n_layers, n_bins), between data
    and what was made.
    """
    u = torch.rand(len(data), 1, 1, generator=generator)
    between = u * data + (1.0 - u) * made
    rows = torch.arange(len(data))
    return gradient_penalty(lambda x: critic(x.view_as(between)), between.flatten(1), rows)


def as_hits(found: Measured, condition: torch.Tensor, n_bins: int | None = None) -> Hits:
    """Tensors of measured hits; n_bins : the first of their bins."""
    return Hits(
        torch.from_numpy(found.waveform[:, :, :n_bins]),
        torch.from_numpy(found.counts_per_vem),
        torch.from_numpy(found.pedestal),
        condition,
    )


def train_refiner(
    refiner: Refiner, simulated: Hits, data: Hits, weights: np.ndarray, seed: int, steps: int
) -> list[dict]:
    """Train a refiner; returns its weights after half of the steps, and after all.

    simulated, data : hits of the first bins alone
    weights : (m,) of the simulated hits, so that their conditions are those of data: where data
        have other showers, those shall not be made of other waveforms
    """
    generator = torch.Generator().manual_seed(seed)
    n_layers, n_conditions = simulated.waveform.shape[1], simulated.condition.shape[1]
    torch.manual_seed(seed)
    critic = Scorer(n_layers, n_conditions)
    rates = RATES
    of_refiner = torch.optim.Adam(refiner.parameters(), rates[0], betas=(0.5, 0.9))
    of_critic = torch.optim.Adam(critic.parameters(), rates[1], betas=(0.5, 0.9))
    falls = torch.optim.lr_scheduler.CosineAnnealingLR(of_refiner, steps)
    chances = torch.from_numpy(weights / weights.sum())

    def draw():
        rows = torch.multinomial(chances, BATCH, True, generator=generator)
        some = Hits(*(column[rows] for column in simulated))
        return some, refiner(some, draw_chance(some.waveform.shape, generator))

    def seen(hits, waveform):
        return compared(waveform, hits.counts_per_vem, refiner.scale)

    kept = []
    for step in counted("train refiner", range(steps), steps, "steps"):
        for _ in range(CRITIC_STEPS):
            with torch.no_grad():
                some, made = draw()
            rows = torch.randint(len(data.waveform), (BATCH,), generator=generator)
            real = Hits(*(column[rows] for column in data))
            x, y = seen(real, real.waveform), seen(some, made)
            distance = critic(x, real.condition).mean() - critic(y, some.condition).mean()
            slope = penalty_between(partial(critic, condition=real.condition), x, y, generator)
            of_critic.zero_grad()
            (PENALTY * slope - distance).backward()
            of_critic.step()
        some, made = draw()
        y = seen(some, made)
        change = (y - seen(some, some.waveform)).abs().mean()
        of_refiner.zero_grad()
        (SELF_REGULARISATION * change - critic(y, some.condition).mean()).backward()
        torch.nn.utils.clip_grad_norm_(refiner.parameters(), 1.0)
        of_refiner.step()
        falls.step()
        if (step + 1) in {-(-steps // 2), steps}:
            kept.append({k: v.detach().clone() for k, v in refiner.state_dict().items()})
    return kept
