"""Steps of an adversarial training on tiles: Wasserstein distance with gradient penalty.

The critic D and the generator G play

    min_G max_D  E[D(x)] - E[D(G(z))] - lambda E[(|grad D(x^)| - 1)^2]

(Gulrajani et al. 2017, arXiv:1704.00028, eq. 3, after Arjovsky et al. 2017, arXiv:1701.07875; for
air showers Erdmann et al. 2018, arXiv:1802.03325), x simulated tiles, x^ = e x + (1 - e) G(z) with
e uniform in (0, 1). Both see the shower that the tile is of; a pair (x, G(z)) is of the same
shower. The first two terms are the Wasserstein distance, as far as the critic knows it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from tashower.generation.tile_models import (
    Cells,
    Critic,
    Generator,
    Random,
    Shower,
    TileShape,
    draw_random,
)
from tashower.generation.tile_sample import TileSample

#: Memory of Adam, of the gradient and of its square (Gulrajani et al. 2017, algorithm 1).
BETAS = (0.0, 0.9)
#: Part of the mean of the generator's weights that a step keeps; tiles are made with the mean
#: (Yazici et al. 2019, arXiv:1806.04498; the number is a choice).
KEPT = 0.99


class Play(NamedTuple):
    """How the two are trained."""

    critic_steps: int = 3  #: of the critic, for one of the generator
    penalty: float = 10.0  #: lambda
    generator_rate: float = 1e-3  #: learning rates at the beginning; they fall to 0
    critic_rate: float = 1e-3


class Batch(NamedTuple):
    """Simulated tiles and their showers."""

    cells: Cells
    shower: Shower

    def to(self, device: torch.device | str) -> "Batch":
        """The same there."""
        cells = Cells(*(x.to(device) for x in self.cells[:2]))
        return Batch(cells, Shower(*(x.to(device) for x in self.shower)))


def make_batch(sample: TileSample, rows: np.ndarray) -> Batch:
    """Tiles of the given events, on the CPU."""
    n = sample.maps.shape[1]
    begin, end = np.searchsorted(sample.hit_event, [rows, rows + 1])
    count = end - begin
    hits = np.repeat(begin - np.cumsum(count) + count, count) + np.arange(count.sum())
    place = np.repeat(np.arange(len(rows)), count) * n * n + sample.hit_cell[hits]
    light = sample.light[hits].astype(np.float32).reshape(len(hits), -1)
    one = np.ones((len(hits), 1), np.float32)
    content = np.concatenate([one, sample.time[hits, None], light], axis=1)
    order = np.argsort(place, kind="stable")
    columns = (place[order], content[order], sample.condition[rows], sample.maps[rows])
    place, content, condition, maps = (torch.from_numpy(column) for column in columns)
    return Batch(Cells(place, content), Shower(condition, maps))


def interpolated(real: Cells, fake: Cells, between: torch.Tensor, n_cells: int) -> Cells:
    """e x + (1 - e) x~ of tiles; cells that are empty in both stay out.

    between : e (b,); n_cells : N N
    """
    place, index = torch.unique(torch.cat([real.place, fake.place]), return_inverse=True)
    e = between[torch.cat([real.place, fake.place]) // n_cells]
    weight = torch.cat([e[: len(real.place)], 1.0 - e[len(real.place) :]])
    both = torch.cat([real.content, fake.content]) * weight[:, None]
    content = both.new_zeros(len(place), both.shape[1]).index_add(0, index, both)
    return Cells(place, content)


def gradient_penalty(
    critic: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, tile: torch.Tensor
) -> torch.Tensor:
    """Mean over tiles of (|grad D(x)| - 1)^2 (Gulrajani et al. 2017, eq. 3).

    Parameters
    ----------
    critic : (b,) of cells (a, channels)
    x : (a, channels), cells of all tiles
    tile : (a,) index of the tile that each belongs to
    """
    x = x.detach().requires_grad_(True)
    value = critic(x)
    (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    square = value.new_zeros(len(value)).index_add(0, tile, slope.square().sum(1))
    return (((square + 1e-12).sqrt() - 1.0) ** 2).mean()


class Players(NamedTuple):
    """What a training changes."""

    generator: Generator
    critic: Critic
    average: torch.optim.swa_utils.AveragedModel
    generator_optimiser: torch.optim.Optimizer
    critic_optimiser: torch.optim.Optimizer


def make_players(
    shape: TileShape, play: Play, batch: Batch, device: torch.device | str = "cpu"
) -> Players:
    """Networks with weights from torch's own random numbers, and their optimisers; batch : tiles
    whose mean the generator begins with.
    """
    generator, critic = Generator(shape), Critic(shape).to(device)
    generator.start(*batch)
    generator = generator.to(device)
    critic.start(generator)
    average = torch.optim.swa_utils.AveragedModel(
        generator, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(KEPT)
    )
    rates = (play.generator_rate, play.critic_rate)
    optimisers = (
        torch.optim.Adam(network.parameters(), lr=rate, betas=BETAS, fused=True)
        for network, rate in zip((generator, critic), rates, strict=True)
    )
    return Players(generator, critic, average, *optimisers)


def _random(players: Players, batch: Batch, random: torch.Generator) -> Random:
    device, b = batch.shower.condition.device, len(batch.shower.condition)
    return Random(*(x.to(device) for x in draw_random(players.generator.shape, b, random)))


def critic_step(
    players: Players, play: Play, batch: Batch, random: torch.Generator
) -> tuple[float, float]:
    """One step of the critic; returns (distance, penalty without lambda) before it."""
    critic, (real, shower) = players.critic, batch
    with torch.no_grad():
        fake = players.generator(shower, _random(players, batch, random))
    n_cells, b = critic.shape.n**2, len(shower.condition)
    both = Cells(
        torch.cat([real.place, fake.place + b * n_cells]), torch.cat([real.content, fake.content])
    )
    value = critic(both, Shower(*(torch.cat([column, column]) for column in shower)))
    distance = value[:b].mean() - value[b:].mean()
    between = torch.rand(b, generator=random).to(shower.condition.device)
    place, x, _ = interpolated(real, fake, between, n_cells)
    penalty = gradient_penalty(lambda x: critic(Cells(place, x), shower), x, place // n_cells)
    players.critic_optimiser.zero_grad(set_to_none=True)
    (play.penalty * penalty - distance).backward()
    players.critic_optimiser.step()
    return distance.item(), penalty.item()


def generator_step(players: Players, batch: Batch, random: torch.Generator) -> float:
    """One step of the generator; returns its loss -E[D(G(z))] before it. Of the batch only the
    showers are used.
    """
    fake = players.generator(batch.shower, _random(players, batch, random), possible=True)
    players.critic.requires_grad_(False)
    loss = -players.critic(fake, batch.shower).mean()
    players.generator_optimiser.zero_grad(set_to_none=True)
    loss.backward()
    players.generator_optimiser.step()
    players.critic.requires_grad_(True)
    players.average.update_parameters(players.generator)
    return loss.item()


def set_rates(players: Players, play: Play, part: float) -> None:
    """Learning rates after `part` of the training: constant in its first half, then down to 0."""
    # No numpy number: the state is loaded back as plain values only.
    factor = float(min(1.0, 2.0 * (1.0 - part)))
    optimisers = (players.generator_optimiser, players.critic_optimiser)
    rates = (play.generator_rate, play.critic_rate)
    for optimiser, rate in zip(optimisers, rates, strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate * factor


@torch.no_grad()
def distance_of(players: Players, batch: Batch, random: torch.Generator) -> float:
    """E[D(x)] - E[D(G(z))] of tiles that were not trained with, and the mean generator."""
    fake = players.average(batch.shower, _random(players, batch, random))
    real = players.critic(*batch)
    return float(real.mean() - players.critic(fake, batch.shower).mean())
