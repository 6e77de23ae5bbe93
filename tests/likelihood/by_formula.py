"""The density of a station by its formulas, in numpy, and compiled."""

import numpy as np
from scipy import stats

from tashower.calibration.station_likelihood import Density
from tashower.physics.compiled import compiled
from tashower.physics.station import reduced_time
from tashower.reconstruction.likelihood.density import (
    SATURATED,
    SILENT,
    STRAY,
    Block,
    Learned,
    Seen,
    compiled_density,
    log_density,
    rows_space,
)
from tashower.reconstruction.likelihood.ratio import compiled_ratio

HIDDEN, PARTS = 8, 3


def random_density():
    """A density that was never trained."""
    rng = np.random.default_rng(2)
    outputs = 12 * PARTS + 2
    return Density(
        np.full(5, -3.0),
        np.full(5, 9.0),
        np.array([2.0, 0.5, 0.0, 1.2, 6.5]),
        np.array([1.5, 1.0, 0.3, 0.2, 0.7]),
        rng.normal(size=(HIDDEN, 5)),
        rng.normal(size=HIDDEN),
        rng.normal(size=(HIDDEN, HIDDEN)),
        rng.normal(size=HIDDEN),
        0.4 * rng.normal(size=(outputs, HIDDEN)),
        0.4 * rng.normal(size=outputs),
    )


def outputs_of(density, conditions):
    """(n, 12 K + 2) outputs, in numpy."""

    def bent(x):
        return x / np.sqrt(1.0 + x * x)

    x = (np.clip(conditions, density.low, density.high) - density.mean) / density.width
    x = bent(x @ density.weight_1.T + density.bias_1)
    x = bent(x @ density.weight_2.T + density.bias_2)
    return x @ density.weight_3.T + density.bias_3


def rows(n=40, seed=3):
    """(conditions (n, 5), delays [ns], ln signals, ln of the background's density)."""
    rng = np.random.default_rng(seed)
    conditions = np.array([2.0, 0.5, 0.0, 1.2, 6.5]) + rng.normal(size=(n, 5)) * [2, 1, 0.3, 0.1, 1]
    return conditions, rng.normal(300.0, 300.0, n), rng.normal(2.0, 1.5, n), rng.uniform(-18, -9, n)


@compiled
def evaluated(density, conditions, delay, seen, kind, soft):
    n = len(delay)
    space = rows_space(density, n)
    space.conditions[:] = conditions.T
    space.delay[:] = delay
    log_density(density, space, seen, (Block(0, n, kind, -1, *soft),), True)
    return space.result, space.by.T.copy()


def found(density, rows, kind, soft=(0.0, 0.0)):
    conditions, delay, log_signal, background = rows
    code = np.zeros((len(delay), 0), np.float32)
    seen = Seen(np.zeros(len(delay)), log_signal, background, code)
    learned = Learned(compiled_density(density), compiled_ratio(None))
    return evaluated(learned, conditions, delay, seen, kind, soft)


def expected(density, rows, kind, soft=(0.0, 0.0)):
    """The formulas of `calibration.station_likelihood`, with scipy's distributions."""
    conditions, delay, log_signal, background = rows
    out = outputs_of(density, conditions)
    rate = np.exp(np.minimum(conditions[:, 0] + out[:, -2], 8.0))
    if kind == SILENT:
        return np.log(np.exp(-rate) + STRAY)
    saturated = 1.0 / (1.0 + np.exp(-out[:, -1]))
    half = (out.shape[1] - 2) // 2
    part = out[:, half:-2] if kind == SATURATED else out[:, :half]
    w, m, n, s, q, rho = np.split(part, 6, axis=1)
    w = np.exp(w) / np.exp(w).sum(axis=1, keepdims=True)
    s, q = np.exp(s + soft[0]), np.exp(q + soft[1])
    u, log_slope = reduced_time(delay, conditions[:, 2], conditions[:, 4])
    v = log_signal - conditions[:, 0]
    a = (u[:, None] - m) / s
    mixture = (
        w * stats.norm.pdf(u[:, None], m, s) * stats.norm.pdf(v[:, None], n + rho * q * a, q)
    ).sum(axis=1)
    flag = saturated if kind == SATURATED else 1.0 - saturated
    of_shower = (1.0 - np.exp(-rate)) * flag * mixture * np.exp(log_slope)
    return np.log(of_shower + np.exp(background) * (np.exp(-rate) + STRAY))
