"""The networks of `station_flow`: regression, velocity, and the four parts together."""

import itertools
import math

import torch
from torch import nn
from torch.nn import functional

#: Width of the small networks, random features of a regression (choices).
_SMALL, _FEATURES = 128, 192
#: Least width of a number given its conditions, in units of its own width (choice).
_LEAST_WIDTH = 0.03
_RIDGE = 1e-4
#: Classes of a condition in which covariances are measured, least variance of a reduced number, and
#: how many rows the covariance of all counts for in a class (choices).
_CLASSES, _LEAST_VARIANCE, _PRIOR = 8, 1e-3, 500.0
_FREQUENCIES = 8  # of the time in a flow's input


class Scaler(nn.Module):
    """Reduces numbers to such that are roughly independent normal ones, given conditions: least
    squares in random features (Rahimi and Recht 2008) of the numbers and of ln of the distance from
    the mean; then the square root of their covariance, in classes of one condition and of a flag.

    Parameters
    ----------
    conditions, numbers : how many there are
    key, flag : conditions whose mean decides the class, and one that is 0 or 1; None: there is none
    """

    def __init__(
        self, conditions: int, numbers: int, key: tuple[int, ...], flag: int | None = None
    ) -> None:
        super().__init__()
        self.key, self.flag = list(key), flag
        for name, shape in (
            ("direction", (conditions, _FEATURES)),
            ("phase", (_FEATURES,)),
            ("mean", (_FEATURES + conditions + 1, numbers)),
            ("log_width", (_FEATURES + conditions + 1, numbers)),
            ("least", (numbers,)),
            ("edges", (_CLASSES - 1,)),
        ):
            self.register_buffer(name, torch.zeros(shape))
        self.register_buffer("root", torch.eye(numbers).repeat(2 * _CLASSES, 1, 1))

    def features(self, c: torch.Tensor) -> torch.Tensor:
        """(n, features) of conditions."""
        bent = torch.tanh(c @ self.direction + self.phase)
        return torch.cat([bent, c, torch.ones_like(c[:, :1])], dim=1)

    def classes(self, c: torch.Tensor) -> torch.Tensor:
        """(n,) class of each row."""
        found = torch.bucketize(c[:, self.key].mean(dim=1), self.edges)
        return found if self.flag is None else found + _CLASSES * (c[:, self.flag] > 0.5)

    def fit(self, c: torch.Tensor, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Measure all of it on numbers x (n, numbers) with conditions c (n, conditions); returns
        the reduced numbers.
        """
        self.direction.normal_(generator=generator).mul_(0.7)
        self.phase.uniform_(-2.0, 2.0, generator=generator)
        features = self.features(c)
        square = (features.T @ features).double() / len(c)
        square += _RIDGE * torch.eye(len(square), dtype=torch.double)

        def solved(y):
            return torch.linalg.solve(square, (features.T @ y).double() / len(c)).float()

        self.mean.copy_(solved(x))
        left = x - features @ self.mean
        self.least.copy_(_LEAST_WIDTH * left.std(dim=0) + 1e-6)
        # The mean of ln|z| of a normal z is -0.635.
        self.log_width.copy_(solved(torch.log(left.abs() + self.least) + 0.635))
        left /= self.scales(c)[1]
        rest = left.square().mean(dim=0).sqrt()
        self.log_width[-1] += torch.log(rest)
        self.least *= rest
        left /= rest
        self.edges.copy_(
            torch.quantile(c[:100_000, self.key].mean(dim=1), torch.arange(1, _CLASSES) / _CLASSES)
        )
        of_all, own = left.T @ left / len(c), self.classes(c)
        for number in range(len(self.root)):
            rows = left[own == number]
            covariance = (rows.T @ rows + _PRIOR * of_all) / (len(rows) + _PRIOR)
            covariance += _LEAST_VARIANCE * torch.eye(len(covariance))
            self.root[number] = torch.linalg.cholesky(covariance.double()).float()
            left[own == number] = torch.linalg.solve_triangular(
                self.root[number], rows.T, upper=False
            ).T
        return left

    def scales(self, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(mean, width) given conditions."""
        features = self.features(c)
        return features @ self.mean, torch.exp(features @ self.log_width) + self.least

    def reduce(self, x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        """The reduced numbers."""
        mean, width = self.scales(c)
        left, own = (x - mean) / width, self.classes(c)
        for number in own.unique():
            rows = own == number
            left[rows] = torch.linalg.solve_triangular(
                self.root[number], left[rows].T, upper=False
            ).T
        return left

    def restore(self, z: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        """The numbers again, each row for itself."""
        mean, width = self.scales(c)
        return mean + width * torch.bmm(self.root[self.classes(c)], z[:, :, None])[:, :, 0]


def dense(*sizes: int) -> nn.Sequential:
    """Linear layers with SiLU between them."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class Velocity(nn.Module):
    """v(x, t | c): residual layers, to each of which time and conditions are added."""

    def __init__(self, numbers: int, conditions: int, channels: int, layers: int) -> None:
        super().__init__()
        given = conditions + 2 * _FREQUENCIES + 1
        self.first = nn.Linear(numbers, channels)
        self.given = dense(given, channels, channels)
        self.up = nn.ModuleList(nn.Linear(channels, channels) for _ in range(layers))
        self.down = nn.ModuleList(nn.Linear(channels, channels) for _ in range(layers))
        self.add = nn.ModuleList(nn.Linear(channels, channels, bias=False) for _ in range(layers))
        self.last = nn.Linear(channels, numbers)
        for layer in (*self.down, self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        waves = 2.0 * math.pi * torch.arange(1, _FREQUENCIES + 1) / 4.0
        self.register_buffer("waves", waves, persistent=False)

    def forward(self, x: torch.Tensor, t: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        """(n, numbers) velocity at x (n, numbers), t (n, 1), given c (n, conditions)."""
        angle = t * self.waves
        e = functional.silu(self.given(torch.cat([c, t, angle.sin(), angle.cos()], dim=1)))
        h = self.first(x)
        for up, down, add in zip(self.up, self.down, self.add, strict=True):
            h = h + down(functional.silu(up(functional.silu(h)) + add(e)))
        return self.last(functional.silu(h))


class Flow(nn.Module):
    """Numbers given conditions: regression, and a flow of what it leaves."""

    def __init__(self, scaler: Scaler, channels: int, layers: int) -> None:
        super().__init__()
        self.scaler = scaler
        conditions, numbers = len(scaler.direction), len(scaler.least)
        self.velocity = Velocity(numbers, conditions, channels, layers)

    def loss(self, x_1: torch.Tensor, c: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Mean square of the velocity's error, at random times; x_1 : reduced numbers."""
        x_0 = torch.randn(x_1.shape, generator=generator)
        t = torch.rand((len(x_1), 1), generator=generator)
        x_t = x_0 + t * (x_1 - x_0)
        return (self.velocity(x_t, t, c) - (x_1 - x_0)).square().mean()

    def draw(self, noise: torch.Tensor, c: torch.Tensor, steps: int) -> torch.Tensor:
        """Numbers given c from standard normal noise, by the midpoint rule."""
        x, step = noise, 1.0 / steps
        for i in range(steps):
            t = torch.full((len(x), 1), i * step)
            middle = x + 0.5 * step * self.velocity(x, t, c)
            x = x + step * self.velocity(middle, t + 0.5 * step, c)
        return self.scaler.restore(x, c)


class StationFlow(nn.Module):
    """The four networks, and how their conditions are reduced.

    numbers : (parts of the light, groups of bins)
    """

    def __init__(self, numbers: tuple[int, int], layers: int, options: dict) -> None:
        super().__init__()
        self.layers, self.steps = layers, int(options["steps"])
        self.parts, self.groups = numbers
        seen = 1 + self.parts * layers
        for name in ("low", "high", "mean", "width"):
            self.register_buffer(name, torch.zeros(5))
        self.register_buffer("seen_mean", torch.zeros(seen))
        self.register_buffer("seen_width", torch.ones(seen))
        self.kinds = dense(5, _SMALL, _SMALL, 3)
        self.seen = Flow(Scaler(6, seen, (0,), 5), _SMALL, 3)
        self.further = dense(6 + seen, _SMALL, 1)
        sums = tuple(range(7, 6 + seen))
        self.waveform = Flow(
            Scaler(7 + seen, self.groups * layers, sums, 6 + seen),
            int(options["channels"]),
            int(options["layers"]),
        )

    def reduced(self, conditions: torch.Tensor) -> torch.Tensor:
        """(n, 5) conditions within the range of the training, on a scale of 1."""
        kept = torch.minimum(torch.maximum(conditions, self.low), self.high)
        return (kept - self.mean) / self.width

    def with_seen(self, c: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """Conditions and what was seen: crossing and sums, on a scale of 1."""
        return torch.cat([c, (seen - self.seen_mean) / self.seen_width], dim=1)
