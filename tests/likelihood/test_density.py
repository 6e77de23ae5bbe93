"""The density of a station: compiled, as torch trains it, and against closed forms."""

import numpy as np
import pytest
import torch
from likelihood.by_formula import expected, found, outputs_of, random_density, rows
from scipy import stats

from tashower.likelihood.stations import StationSample
from tashower.likelihood.training import log_density_of, train_density
from tashower.physics.compiled import compiled
from tashower.physics.station import reduced_time, reduced_time_derivatives
from tashower.reconstruction.likelihood.density import HIT, SATURATED, SILENT
from tashower.reconstruction.likelihood.layers import exponentials


@pytest.fixture(scope="module")
def density():
    return random_density()


@pytest.mark.parametrize("kind", [HIT, SATURATED, SILENT])
@pytest.mark.parametrize("soft", [(0.0, 0.0), (1.3, 1.3), (0.0, 0.9)])
def test_compiled_density_is_that_of_the_formulas(density, kind, soft):
    value, _ = found(density, rows(), kind, soft)
    np.testing.assert_allclose(value, expected(density, rows(), kind, soft), atol=2e-4)


@pytest.mark.parametrize("kind", [HIT, SATURATED, SILENT])
def test_derivatives(density, kind):
    _, slopes = found(density, rows(), kind)
    for i in range(6):
        step = 0.5 if i == 5 else 1e-4
        sides = []
        for sign in (1.0, -1.0):
            conditions, delay, *rest = rows()
            if i == 5:
                delay = delay + sign * step
            else:
                conditions[:, i] += sign * step
            sides.append(expected(density, (conditions, delay, *rest), kind))
        numerical = (sides[0] - sides[1]) / (2.0 * step)
        scale = 1e-2 if i == 5 else 1.0
        np.testing.assert_allclose(slopes[:, i], numerical, rtol=5e-3, atol=3e-3 * scale)


def test_conditions_beyond_the_sample_count_as_its_end(density):
    conditions, *rest = rows()
    far, near = conditions.copy(), conditions.copy()
    far[:, 1], near[:, 1] = 50.0, density.high[1]
    for kind in (HIT, SILENT):
        ends = [found(density, (c, *rest), kind)[0] for c in (far, near)]
        np.testing.assert_array_equal(*ends)


def test_what_is_trained_is_what_is_evaluated(density):
    conditions, delay, log_signal, _ = rows()
    u, log_slope = reduced_time(delay, conditions[:, 2], conditions[:, 4])
    seen = torch.tensor(u), torch.tensor(log_signal - conditions[:, 0])
    outputs = torch.tensor(outputs_of(density, conditions))
    for kind in (HIT, SATURATED):
        n = len(delay)
        trained = log_density_of(
            outputs,
            torch.tensor(conditions[:, 0]),
            torch.ones(n, dtype=torch.bool),
            torch.full((n,), kind == SATURATED),
            seen,
        ).numpy()
        nothing = (conditions, delay, log_signal, np.full(n, -1e3))
        np.testing.assert_allclose(
            trained + log_slope, expected(density, nothing, kind), rtol=1e-6, atol=1e-6
        )


def test_exponentials():
    @compiled
    def run(values):
        bits = np.zeros(len(values), np.int32)
        exponentials(values, bits, bits.view(np.float32), 0, len(values))

    x = np.linspace(-79.0, 79.0, 5001).astype(np.float32)
    y = x.copy()
    run(y)
    np.testing.assert_allclose(y, np.exp(x.astype(float)), rtol=4e-7)
    low = np.array([-1e9], np.float32)
    run(low)
    assert 0.0 <= low[0] < 1e-30


def test_reduced_time():
    """Linear at the onset, logarithmic far behind it; its derivatives are those of differences."""
    scale, distance = 0.1, np.log(970.0)
    width = (1.0 + 970.0 / 30.0) ** 1.5 * np.exp(0.1)
    h = np.hypot(60.0, width / 5.0)
    assert np.isclose(reduced_time(0.34 * width, scale, distance)[0], 0.0, atol=1e-12)
    assert np.isclose(reduced_time(0.34 * width + 7.0 * h, scale, distance)[0], np.arcsinh(7.0))
    assert np.isclose(reduced_time(0.34 * width - 7.0 * h, scale, distance)[0], -np.arcsinh(7.0))
    for delay in (-100.0, 50.0, 700.0):
        at = np.array([delay, scale, distance])
        _u, log_slope, slopes, bent, _ = reduced_time_derivatives(*at)
        assert np.isclose(np.exp(log_slope), slopes[0])
        for i, step in enumerate((1e-2, 1e-5, 1e-5)):
            move = np.eye(3)[i] * step
            up, down = reduced_time(*(at + move)), reduced_time(*(at - move))
            assert np.isclose(slopes[i], (up[0] - down[0]) / (2 * step), rtol=1e-5)
            assert np.isclose(bent[i], (up[1] - down[1]) / (2 * step), rtol=1e-5)


@pytest.mark.slow
def test_first_of_a_poisson_number_of_particles():
    """A station that sees the first of n particles, n Poisson with mean N, delays exponential, by a
    clock with a Gaussian error, and a Gaussian signal: P(hit) = 1 - exp(-N), p(t) the convolution
    of N e^-t exp(-N (1 - e^-t)) with that error, by quadrature.
    """
    rng = np.random.default_rng(5)
    n, clock = 300_000, 0.15
    conditions = np.column_stack([rng.uniform(-1.5, 3.0, n), rng.uniform(-1, 1, (n, 4))])
    mean = np.exp(conditions[:, 0])
    # The first of a Poisson process: N (1 - e^-t) is exponential, below N.
    depth = rng.exponential(size=n)
    hit = depth < mean
    time = np.where(hit, -np.log1p(-np.minimum(depth / mean, 1.0 - 1e-12)), 0.0)
    seen = np.arcsinh((time + clock * rng.normal(size=n)) / 0.3)  # any variable will do
    ratio = rng.normal(0.2 * conditions[:, 1], 0.3)
    sample = StationSample(conditions, hit, np.zeros(n, bool), np.where(hit, seen, 0.0), ratio)
    density = train_density(sample, 20.0, 1, hidden=24, parts=4)
    for log_mean in (-1.0, 0.5, 2.5):
        at = np.tile([log_mean, 0.4, 0.0, 0.0, 0.0], (1, 1))
        out = outputs_of(density, at)[0]
        assert abs(np.exp(-np.exp(log_mean + out[-2])) - np.exp(-np.exp(log_mean))) < 0.01
        w, m, middle, s, q, rho = np.split(out[:24], 6)
        w = np.exp(w) / np.exp(w).sum()
        t = np.array([-0.1, 0.05, 0.2, 0.5, 1.0, 2.0])
        true = np.linspace(0.0, 12.0, 4001)
        came = np.exp(log_mean - true - np.exp(log_mean) * -np.expm1(-true))
        came /= -np.expm1(-np.exp(log_mean))
        before = stats.norm.cdf((t[:, None] - true) / clock)
        exact = np.trapezoid(came * before, true, axis=1)
        u = np.arcsinh(t / 0.3)[:, None]
        learned = (w * stats.norm.cdf((u - m) / np.exp(s))).sum(axis=1)
        np.testing.assert_allclose(learned, exact, atol=0.015)
        assert abs((w * middle).sum() - 0.08) < 0.02
        spread = np.exp(2 * q) * (1 + rho**2) + middle**2
        assert abs(np.sqrt((w * spread).sum() - (w * middle).sum() ** 2) - 0.3) < 0.02
