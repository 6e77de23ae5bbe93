"""Training of a station's mixture density network, with torch, on one core.

The loss of a station is minus ln of the density that `reconstruction.likelihood` evaluates: of a
miss P(no hit); of a hit P(hit) times P(saturated) or P(not saturated) times the density of time and
signal of such hits.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.nn import functional

from tashower.calibration.station_likelihood import Density
from tashower.likelihood.stations import StationSample
from tashower.progress import blocks

#: Neurons of a hidden layer, and parts of the mixture (choices).
HIDDEN, PARTS = 48, 6
#: Stations in a step, largest learning rate, and largest norm of a gradient (choices).
_BATCH, _RATE, _CLIP = 4096, 6e-3, 1.0
_LARGEST_RATE = 8.0
_LOG_2PI = float(np.log(2.0 * np.pi))


def bent(x: torch.Tensor) -> torch.Tensor:
    """x/sqrt(1 + x^2)."""
    return x * torch.rsqrt(1.0 + x * x)


@contextmanager
def on_one_core() -> Iterator[None]:
    """Sums are rounded the same everywhere."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def adam(network: torch.nn.Module, rate: float, steps: int) -> Callable[[torch.Tensor], None]:
    """A step of Adam for a loss; the learning rate rises once to `rate`, and falls."""
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=steps, pct_start=0.1
    )

    def step(loss: torch.Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        optimiser.step()
        schedule.step()

    return step


def network_outputs(density: Density, reduced: torch.Tensor) -> torch.Tensor:
    """(n, 12 K + 2) outputs of a `Density` for (n, 5) reduced conditions, float32."""
    w1, b1, w2, b2, w3, b3 = (torch.tensor(column).float() for column in density[4:])
    x = bent(functional.linear(reduced, w1, b1))
    return functional.linear(bent(functional.linear(x, w2, b2)), w3, b3)


class _Network(torch.nn.Module):
    def __init__(self, hidden: int, parts: int, generator: torch.Generator) -> None:
        super().__init__()
        self.parts = parts
        sizes = [(hidden, 5), (hidden, hidden), (12 * parts + 2, hidden)]
        gains = (1.2, 1.0, 0.2)
        self.weights = torch.nn.ParameterList(
            gain * torch.randn(size, generator=generator) / size[1] ** 0.5
            for size, gain in zip(sizes, gains, strict=True)
        )
        self.biases = torch.nn.ParameterList(torch.zeros(size[0]) for size in sizes)
        with torch.no_grad():
            self.biases[0].uniform_(-2.0, 2.0, generator=generator)
            for begin in (parts, 7 * parts):
                self.biases[2][begin : begin + parts] = torch.linspace(-0.5, 3.0, parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 12 K + 2) outputs for (n, 5) reduced conditions."""
        for layer in (0, 1):
            x = functional.linear(x, self.weights[layer], self.biases[layer])
            x = bent(x)
        return functional.linear(x, self.weights[2], self.biases[2])


def _log_mixture(outputs, seen):
    """(n,) ln of the mixture of K parts, from its 6 K outputs."""
    parts = outputs.shape[1] // 6
    weight, m, n, log_s, log_q, rho = (outputs[:, i * parts : (i + 1) * parts] for i in range(6))
    u, v = (column[:, None] for column in seen)
    a = (u - m) * torch.exp(-log_s)
    b = (v - n) * torch.exp(-log_q) - rho * a
    terms = torch.log_softmax(weight, 1) - 0.5 * (a * a + b * b) - log_s - log_q - _LOG_2PI
    return torch.logsumexp(terms, 1)


def log_density_of(
    outputs: torch.Tensor,
    log_signal: torch.Tensor,
    hit: torch.Tensor,
    saturated: torch.Tensor,
    seen: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """(n,) ln of the density of (u, v), or of the probability of a miss.

    outputs : (n, 12 K + 2) of the network; seen : (u, v), (n,) each, anything where there is no hit
    """
    rate = torch.exp(torch.clamp(log_signal + outputs[:, -2], max=_LARGEST_RATE))
    log_hit = torch.log(-torch.expm1(-rate - 1e-9))
    half = (outputs.shape[1] - 2) // 2
    unsaturated = _log_mixture(outputs[:, :half], seen)
    clipped = _log_mixture(outputs[:, half : 2 * half], seen)
    of_hit = torch.where(
        saturated,
        clipped + functional.logsigmoid(outputs[:, -1]),
        unsaturated + functional.logsigmoid(-outputs[:, -1]),
    )
    return torch.where(hit, log_hit + of_hit, -rate)


def train_density(
    sample: StationSample, epochs: float, seed: int, hidden: int = HIDDEN, parts: int = PARTS
) -> Density:
    """The mixture density network of a sample of stations: Adam (Kingma and Ba 2015,
    arXiv:1412.6980), one rise and one fall of the learning rate.

    Parameters
    ----------
    sample : all of it is trained on: more stations are cheaper than to keep some back
    epochs : how often each is seen, on average
    seed : of weights and order
    """
    with on_one_core():
        return _train(sample, epochs, seed, hidden, parts)


def _train(sample, epochs, seed, hidden, parts):
    conditions = sample.conditions
    mean, width = conditions.mean(axis=0), conditions.std(axis=0)
    low, high = np.quantile(conditions, [1e-4, 1.0 - 1e-4], axis=0)
    reduced = (np.clip(conditions, low, high) - mean) / width
    columns = [
        torch.tensor(column, dtype=torch.float32)
        for column in (reduced, conditions[:, 0], sample.time, sample.ratio)
    ]
    hit, saturated = torch.tensor(sample.hit), torch.tensor(sample.saturated)
    generator = torch.Generator().manual_seed(seed)
    network = _Network(hidden, parts, generator)
    n = len(reduced)
    batch = min(_BATCH, n)
    steps = max(int(epochs * n / batch), 2)
    step = adam(network, _RATE, steps)
    order, place = torch.randperm(n, generator=generator), 0
    for rows in blocks("train station likelihood", steps, 100, "steps"):
        for _ in range(rows.start, rows.stop):
            if place + batch > n:
                order, place = torch.randperm(n, generator=generator), 0
            i = order[place : place + batch]
            place += batch
            x, log_signal, time, ratio = (column[i] for column in columns)
            density = log_density_of(network(x), log_signal, hit[i], saturated[i], (time, ratio))
            step(-density.mean())
    weights = [short(w) for w in network.weights]
    biases = [short(b) for b in network.biases]
    layers = [array for pair in zip(weights, biases, strict=True) for array in pair]
    return Density(low, high, mean, width, *layers)


def short(parameters: torch.Tensor) -> np.ndarray:
    """Numbers with no more digits than single precision needs, so that a file of them is short."""
    return np.vectorize(lambda x: float(f"{x:.9g}"))(parameters.detach().double().numpy())
