"""A second estimate of the limit, which shares no density with the posteriors: the Fisher
information of every station, from the score that the simulation knows, regressed on what a station
shows.

The joint score s(z) of a station, z its onset and particles, is a closed form (`scores`). Its mean
given what was seen is the score of what was seen, E[s | data] (Fisher's identity; Brehmer, Cranmer,
Louppe and Pavez 2018, doi:10.1103/PhysRevD.98.052004), and the least mean square error finds it.
For any regressed s_hat

    I_joint >= I_seen = I_joint - E[(s - E[s|data])^2] >= I_joint - E[(s - s_hat)^2],

so that a poor regression gives too little information, never too much. I_joint, that of onset
and particles known, is a closed form. An event's information is the sum of J^T I J over its
stations, silent ones too, with J the derivatives of a station's quantities by the nine numbers of
the shower, plus the precision of the prior.

What bounds what: the inverse of the mean of that sum over showers is below the mean square error of
every estimator (van Trees 1968, Detection, Estimation, and Modulation Theory I, section 2.4; Gill
and Levit 1995, doi:10.2307/3318681), and so, by Jensen's inequality, is not the mean of the
inverses, which is what is given here: it is that bound for showers that vary little around each.
The mean variance of the exact posterior is the least mean square error. It comes near the bound
where many stations make posteriors normal, and is above it where they are not. With less than the
information of the data, I_joint - E[(s - s_hat)^2], the value is too high; with I_joint too low.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from tashower.calibration.station_likelihood import LEAST_SIGNAL, Variety
from tashower.config import Config
from tashower.likelihood.coordinates import N_SHOWER, shower_rows
from tashower.likelihood.known import known_particles
from tashower.likelihood.scores import (
    N_QUANTITIES,
    joint_information,
    joint_scores,
    particle_scores,
    station_quantities,
)
from tashower.likelihood.stations import conditions_of, draw_stations
from tashower.likelihood.training import adam, bent, on_one_core
from tashower.physics.station import reduced_time, station_conditions
from tashower.progress import blocks
from tashower.reconstruction.likelihood.shapes import N_SHAPE, waveform_shapes
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.recorded import record_stations
from tashower.simulation.simulate import array_from_config, rows_of, setup_of
from tashower.simulation.stations import Setup

#: What a station shows: leading edge and signal, the waveform's shape, too, or every particle, by
#: the station's clock or at its true time.
LEVELS = ("edges", "waveforms", "particles by the clock", "particles")
#: Neurons of a layer; stations in a step; largest learning rate (choices).
_HIDDEN, _BATCH, _RATE = 64, 4096, 4e-3
#: Particles beyond which their number is not expected to be seen better (a choice that shapes what
#: the networks have to learn, and not what is right).
_MANY = 300.0
_BLOCK = 50_000
#: Steps for derivatives by the nine numbers of a shower, and stations that expect fewer particles
#: are left out (choices).
_STEPS = np.array([0.3, 0.3, 1e-5, 1e-5, 1e-4, 0.1, 1e-4, 1e-4, 1e-4])
_LEAST_EXPECTED = 0.003
_ROWS, _COLUMNS = np.tril_indices(N_QUANTITIES)


class ScoreSample(NamedTuple):
    """Stations, their scores in units of the roots of `scores.joint_information`, and what was
    seen of them.
    """

    conditions: np.ndarray  #: (n, 5), `physics.station.StationConditions`
    few: np.ndarray  #: (n, 7) what a score is learned in units of
    joint: np.ndarray  #: (n, 7) of onset, as the clock has it, and particles
    seen: np.ndarray  #: (n, 6) hit, saturated, and of hits u, v and both magnified
    shape: np.ndarray  #: (n, N_SHAPE) float32, zeros without a hit
    particles: np.ndarray  #: (2, n, 7) scores of particles by the clock, and at their true times


def few_of(quantities: np.ndarray) -> np.ndarray:
    """(..., 7) 1 where there are few particles, less where there are many."""
    muons, electrons = (1.0 / np.sqrt(1.0 + np.exp(quantities[..., k]) / _MANY) for k in (2, 3))
    one = np.ones(muons.shape)
    return np.stack([one, one, muons, electrons, muons, muons, electrons], axis=-1)


def sample_scores(config: Config, first: int, n: int) -> ScoreSample:
    """Simulate stations number `first` to `first + n - 1`; `first` in steps of 50,000."""
    parts: Iterator = []
    for rows in blocks("simulate scores", n, _BLOCK, "stations"):
        begin = first + rows.start
        parts.append(_scores(config, begin, rows.stop - rows.start))
    columns = list(zip(*parts, strict=True))
    return ScoreSample(
        *(np.concatenate(column) for column in columns[:-1]), np.concatenate(columns[-1], axis=1)
    )


def _scores(config, first, n):
    array = array_from_config(config)
    seed = config.seed + 7919 * (first // _BLOCK) + 2
    truth, clock = draw_stations(config, first, n), float(config.detector.clock_ns)
    setup = setup_of(config, array, seed)
    events, particles = record_stations(truth, config, seed)
    shape = setup.delays.electron_shape
    quantities = station_quantities(rows_of(truth, setup), truth.t0, np.zeros((1, 3)), setup)[:, 0]
    gamma = setup.delays.muon_sigma == 0.0
    some, row = np.zeros(n, bool), particles.shower
    some[row] = True
    rng = np.random.default_rng([config.seed % 2**32, first, 5])
    error = clock * rng.standard_normal(len(row))
    error = np.where(particles.clock != 0.0, particles.clock, error)
    late = particles._replace(shift=particles.shift + error)
    found = []
    for of, rms in (
        (joint_scores(late, shape, clock), clock),
        (particle_scores(late, known_particles(late, shape, clock), shape), clock),
        (particle_scores(particles, known_particles(particles, shape), shape), 0.0),
    ):
        score = np.zeros((n, N_QUANTITIES))
        score[:, 2:4] = -np.exp(quantities[:, 2:4])
        score[row] = of
        information = joint_information(quantities, shape, gamma, rms)
        found.append(score / np.sqrt(np.maximum(information, 1e-300)))
    conditions, plane = conditions_of(truth, config, array)
    return (
        conditions,
        few_of(quantities),
        found[0],
        *_seen(events, truth, (conditions, plane)),
        np.stack(found[1:]),
    )


def _seen(events, truth, expected):
    conditions, plane = expected
    pulses = find_pulses(events)
    signal = pulses.signal.mean(axis=1)
    good = np.isfinite(pulses.arrival_time) & (signal >= LEAST_SIGNAL)
    which = events.hit_event[good]
    seen = np.zeros((len(conditions), 6))
    shape = np.zeros((len(conditions), N_SHAPE), np.float32)
    shape[which] = waveform_shapes(events, pulses)[good]
    delay = pulses.arrival_time[good] - truth.t0[which] - plane[which]
    u, _ = reduced_time(delay, conditions[which, 2], conditions[which, 4])
    v = np.log(signal[good]) - conditions[which, 0]
    seen[which, 0], seen[which, 1] = 1.0, pulses.saturated[good]
    seen[which, 2], seen[which, 3] = np.clip(u, -4.0, 6.0) / 2.0, np.clip(v, -4.0, 4.0) / 2.0
    # Where much is expected little of either says much.
    seen[which, 4] = np.clip(v * np.exp(0.5 * np.minimum(conditions[which, 0], 8.0)), -4.0, 4.0)
    seen[which, 5] = np.clip(4.0 * u, -4.0, 4.0)
    return seen, shape


class _Network(torch.nn.Module):
    """(n, outputs) of (n, inputs): two hidden layers."""

    def __init__(self, inputs: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [(_HIDDEN, inputs), (_HIDDEN, _HIDDEN), (outputs, _HIDDEN)]
        self.weights = torch.nn.ParameterList(
            gain * torch.randn(size, generator=generator) / size[1] ** 0.5
            for size, gain in zip(sizes, (1.0, 1.0, 0.1), strict=True)
        )
        self.biases = torch.nn.ParameterList(torch.zeros(size[0]) for size in sizes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs (n, k) of inputs (n, m)."""
        for layer in (0, 1):
            x = bent(functional.linear(x, self.weights[layer], self.biases[layer]))
        return functional.linear(x, self.weights[2], self.biases[2])


class Regression(NamedTuple):
    """A mean given inputs, by least squares: the inputs are kept within `low` and `high`."""

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    width: np.ndarray
    network: torch.nn.Module

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """(n, outputs) for (n, inputs)."""
        x = (np.clip(inputs, self.low, self.high) - self.mean) / self.width
        with torch.no_grad():
            parts = [self.network(part) for part in torch.tensor(x).float().split(100_000)]
        return torch.cat(parts).double().numpy()


def regress(
    inputs: np.ndarray, units: np.ndarray, targets: np.ndarray, epochs: float, seed: int
) -> Regression:
    """The function f that makes the mean of (targets - units f(inputs))^2 small; (n, k) each."""
    low, high = np.quantile(inputs, [1e-4, 1.0 - 1e-4], axis=0)
    clipped = np.clip(inputs, low, high)
    mean, width = clipped.mean(axis=0), np.maximum(clipped.std(axis=0), 0.05)
    x = torch.tensor((clipped - mean) / width).float()
    unit, y = torch.tensor(units).float(), torch.tensor(targets).float()
    generator = torch.Generator().manual_seed(seed)
    network = _Network(x.shape[1], y.shape[1], generator)
    n = len(x)
    batch = min(_BATCH, n)
    steps = max(int(epochs * n / batch), 2)
    step = adam(network, _RATE, steps)
    order, place = torch.randperm(n, generator=generator), 0
    with on_one_core():
        for rows in blocks("regress", steps, 100, "steps"):
            for _ in range(rows.start, rows.stop):
                if place + batch > n:
                    order, place = torch.randperm(n, generator=generator), 0
                i = order[place : place + batch]
                place += batch
                step((y[i] - unit[i] * network(x[i])).square().mean())
    return Regression(low, high, mean, width, network)


def inputs_of(sample: ScoreSample, level: str) -> np.ndarray:
    """What a score is regressed on, of LEVELS "edges" or "waveforms"."""
    columns = [sample.conditions, sample.seen]
    return np.concatenate(columns + [sample.shape] * (level == "waveforms"), axis=1)


def _units(level, few):
    """(n, 28) what the information of a level is learned in units of, beside the joint one: where
    particles are known, their number always is.
    """
    if level in LEVELS[2:]:
        return np.ones((len(few), len(_ROWS)))
    return few[:, _ROWS] * few[:, _COLUMNS]


def learn_information(
    sample: ScoreSample, other: ScoreSample, epochs: float, seed: int
) -> dict[str, Regression]:
    """{level: regression of the information of a station on its conditions}, in units of the roots
    of the joint information (with the clock, but for "particles") and of `_units`: the lower
    triangle of I_joint - E[(s - s_hat)^2].

    sample : scores are regressed on it; other : the information of those is
    """
    found = {}
    whole = (_ROWS == _COLUMNS).astype(float)
    for level in LEVELS:
        if level in LEVELS[2:]:
            score = other.particles[LEVELS.index(level) - 2]
            target = score[:, _ROWS] * score[:, _COLUMNS]
        else:
            told = regress(inputs_of(sample, level), sample.few, sample.joint, epochs, seed)
            left = other.joint - other.few * told(inputs_of(other, level))
            target = whole - left[:, _ROWS] * left[:, _COLUMNS]
        found[level] = regress(other.conditions, _units(level, other.few), target, epochs, seed)
    return found


def prior_precision(point: np.ndarray, variety: Variety) -> np.ndarray:
    """(9, 9) minus the second derivatives of ln of the prior, at a shower (9,) that it expects."""
    n_z = np.sqrt(1.0 - point[2] ** 2 - point[3] ** 2)
    s, c = 1.0 / n_z - 1.0, variety.coefficients
    by_s = c[:, 1] + 2.0 * s * c[:, 2] + point[4] * c[:, 4]
    slope = np.zeros((3, N_SHOWER))
    slope[:, 2:4] = -by_s[:, None] * point[2:4] / n_z**3
    slope[:, 4] = -(c[:, 3] + s * c[:, 4])
    slope[:, 6:] = np.eye(3)
    return slope.T @ np.linalg.inv(variety.covariance) @ slope


def _conditions(point, row, position, setup):
    """(k, 5) conditions of stations for a shower: (9,) and its (14,) row."""
    n_z = np.sqrt(1.0 - point[2] ** 2 - point[3] ** 2)
    share = 1.0 / (1.0 + np.exp(-point[7]))
    shower = point[2], point[3], n_z, point[4], point[6], share, point[8], row[13]
    place = position[:, 0] - point[0], position[:, 1] - point[1], position[:, 2]
    found, _ = station_conditions(place, shower, setup.stations.lateral, setup.conditions.area)
    return np.stack(np.broadcast_arrays(*found), axis=1)


def _whole(triangle):
    """(n, 7, 7) symmetric matrices without negative eigenvalues, from their lower triangles."""
    matrix = np.zeros((len(triangle), N_QUANTITIES, N_QUANTITIES))
    matrix[:, _ROWS, _COLUMNS] = matrix[:, _COLUMNS, _ROWS] = triangle
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.clip(values, 0.0, 1.0)[:, None]) @ vectors.transpose(0, 2, 1)


def event_information(
    point: np.ndarray, works: np.ndarray, learned: dict[str, Regression], setup: Setup
) -> dict[str, np.ndarray]:
    """{level: (9, 9) information of all stations of an event}, prior left out; "joint": with onsets
    and particles known by the clock.

    point : (9,) true shower, columns as of `coordinates.shower_rows`
    works : (k,) stations of `setup` that are not out of service
    """
    setup = setup._replace(
        stations=setup.stations._replace(position=setup.stations.position[works])
    )
    position = setup.stations.position
    moved = point + np.concatenate([np.zeros((1, N_SHOWER)), np.diag(_STEPS), -np.diag(_STEPS)])
    moved[:, 5] -= point[5]
    rows = shower_rows(moved, setup)
    all_of_them = station_quantities(rows, moved[:, 5], position, setup)
    expects = np.exp(all_of_them[0, :, 2:4]).sum(axis=1) > _LEAST_EXPECTED
    quantities, other = all_of_them[0, expects], all_of_them[1:, expects]
    slope = (other[:N_SHOWER] - other[N_SHOWER:]) / (2.0 * _STEPS[:, None, None])
    conditions = _conditions(point, rows[0], position[expects], setup)
    few = few_of(quantities)
    shape, gamma = setup.delays.electron_shape, setup.delays.muon_sigma == 0.0
    clock = setup.conditions.clock
    found = {}
    for level in ("joint", *learned):
        rms = 0.0 if level == "particles" else clock
        root = np.sqrt(joint_information(quantities, shape, gamma, rms))
        if level == "joint":
            part = np.broadcast_to(np.eye(N_QUANTITIES), (len(root),) + 2 * (N_QUANTITIES,))
        else:
            part = _whole(_units(level, few) * learned[level](conditions))
        by = np.einsum("psq,sq->spq", slope, root)
        found[level] = np.einsum("spq,sqr,str->pt", by, part, by)
    return found


def direction_variance(covariance: np.ndarray, point: np.ndarray) -> float:
    """Variance of the direction on the sphere [rad^2] of a (9, 9) covariance at a shower (9,)."""
    n_x, n_y = point[2], point[3]
    n_z2 = 1.0 - n_x * n_x - n_y * n_y
    c = covariance
    along = n_x * n_x * c[2, 2] + 2.0 * n_x * n_y * c[2, 3] + n_y * n_y * c[3, 3]
    return float(c[2, 2] + c[3, 3] + along / n_z2)
