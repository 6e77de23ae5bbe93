"""What the shape of a waveform adds: numbers of the shape, the compiled ratio, its training."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from likelihood.by_formula import evaluated, expected, random_density, rows

from tashower.calibration.station_likelihood import (
    DEFAULT,
    LARGEST_RATIO,
    SEEN_RANGE,
    Ratio,
    read_station_likelihood,
)
from tashower.config import load_config
from tashower.events.model import select_events
from tashower.likelihood.hits import CANDIDATES, HitSample, sample_hits
from tashower.likelihood.ratio import _Network, train_ratio
from tashower.physics.station import reduced_time
from tashower.reconstruction.likelihood.density import (
    HIT,
    SATURATED,
    SILENT,
    STRAY,
    Learned,
    Seen,
    compiled_density,
)
from tashower.reconstruction.likelihood.ratio import codes, compiled_ratio
from tashower.reconstruction.likelihood.shapes import INTERVALS, N_SHAPE, waveform_shapes
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.simulate import simulate_events

HIDDEN, ENCODER = 8, 6


@pytest.fixture(scope="module")
def density():
    return random_density()


@pytest.fixture(scope="module")
def ratio():
    rng = np.random.default_rng(7)
    return Ratio(
        rng.normal(1.0, 0.5, N_SHAPE),
        rng.uniform(0.5, 2.0, N_SHAPE),
        rng.normal(size=(ENCODER, N_SHAPE)) / 5.0,
        rng.normal(size=ENCODER),
        rng.normal(size=(HIDDEN, ENCODER)),
        rng.normal(size=HIDDEN),
        rng.normal(size=(HIDDEN, 7)),
        rng.normal(size=(HIDDEN, HIDDEN)),
        rng.normal(size=HIDDEN),
        2.0 * rng.normal(size=HIDDEN),
    )


def shapes(n=40):
    return np.random.default_rng(8).uniform(0.0, 4.0, (n, N_SHAPE)).astype(np.float32)


def bent(x):
    return x / np.sqrt(1.0 + x * x)


def formula(ratio, density, shape, conditions, u, v):
    """ln of the ratio, in numpy: docstring of `calibration.station_likelihood.Ratio`."""
    c = (np.clip(conditions, density.low, density.high) - density.mean) / density.width
    x = bent((shape - ratio.mean) / ratio.width @ ratio.shape_1.T + ratio.shape_bias_1)
    x = x @ ratio.shape_2.T + ratio.shape_bias_2
    seen = 0.5 * np.clip(np.stack([u, v], axis=1), *SEEN_RANGE)
    x = bent(x + np.concatenate([c, seen], axis=1) @ ratio.weight_1.T)
    x = bent(x @ ratio.weight_2.T + ratio.bias_2) @ ratio.weight_3
    return LARGEST_RATIO * bent(x / LARGEST_RATIO)


def found(ratio, density, rows, kind, soft=(0.0, 0.0)):
    conditions, delay, log_signal, background = rows
    seen = Seen(np.zeros(len(delay)), log_signal, background, codes(ratio, shapes()))
    learned = Learned(compiled_density(density), compiled_ratio(ratio))
    return evaluated(learned, conditions, delay, seen, kind, soft)


def with_ratio(ratio, density, rows, kind):
    """ln of the density with the ratio: of the shower alone, what comes by chance has none."""
    conditions, delay, log_signal, background = rows
    if kind == SILENT:
        return expected(density, rows, kind)
    u, _ = reduced_time(delay, conditions[:, 2], conditions[:, 4])
    both = np.exp(expected(density, rows, kind))
    silent = np.exp(expected(density, rows, SILENT)) - STRAY
    stray = np.exp(background) * (silent + STRAY)
    v = log_signal - conditions[:, 0]
    more = np.exp(formula(ratio, density, shapes(), conditions, u, v))
    return np.log((both - stray) * more + stray)


@pytest.mark.parametrize("kind", [HIT, SATURATED, SILENT])
def test_compiled_ratio_is_that_of_the_formula(ratio, density, kind):
    value, _ = found(ratio, density, rows(), kind)
    np.testing.assert_allclose(value, with_ratio(ratio, density, rows(), kind), atol=1e-3)
    if kind != SILENT:
        assert np.ptp(value - expected(density, rows(), kind)) > 1.0


def test_in_a_first_climb_shapes_do_not_count(ratio, density):
    value, _ = found(ratio, density, rows(), HIT, (0.7, 0.7))
    np.testing.assert_allclose(value, expected(density, rows(), HIT, (0.7, 0.7)), atol=2e-4)


@pytest.mark.parametrize("kind", [HIT, SATURATED])
def test_derivatives(ratio, density, kind):
    _, slopes = found(ratio, density, rows(), kind)
    for i in range(6):
        step = 0.5 if i == 5 else 1e-4
        sides = []
        for sign in (1.0, -1.0):
            conditions, delay, *rest = rows()
            if i == 5:
                delay = delay + sign * step
            else:
                conditions[:, i] += sign * step
            sides.append(with_ratio(ratio, density, (conditions, delay, *rest), kind))
        numerical = (sides[0] - sides[1]) / (2.0 * step)
        scale = 1e-2 if i == 5 else 1.0
        np.testing.assert_allclose(slopes[:, i], numerical, rtol=1e-2, atol=1e-2 * scale)


def test_what_is_trained_is_what_is_evaluated(ratio, density):
    network = _Network((N_SHAPE, ENCODER, HIDDEN), torch.Generator())
    with torch.no_grad():
        for name, value in network.named_parameters():
            value.copy_(torch.tensor(getattr(ratio, name)).reshape(value.shape))
    conditions, delay, log_signal, _ = rows()
    u, _ = reduced_time(delay, conditions[:, 2], conditions[:, 4])
    v = log_signal - conditions[:, 0]
    c = (np.clip(conditions, density.low, density.high) - density.mean) / density.width
    inputs = torch.tensor(np.concatenate([c, u[:, None], v[:, None]], axis=1)).float()
    shape = torch.tensor((shapes() - ratio.mean) / ratio.width).float()
    value = network(shape, inputs[:, None])[:, 0].detach().numpy()
    np.testing.assert_allclose(
        value, formula(ratio, density, shapes(), conditions, u, v), atol=1e-4
    )


@pytest.fixture(scope="module")
def events():
    return simulate_events(load_config({"seed": 32}), "test", 0, 30)


def test_shapes_are_the_light_after_the_edge(events):
    """Sums of bins, with parts of the first and the last."""
    pulses = find_pulses(events)
    shape = waveform_shapes(events, pulses)
    assert shape.shape == (events.n_hits, N_SHAPE)
    assert (shape[np.isnan(pulses.arrival_time)] == 0).all()
    h = int(np.flatnonzero(pulses.signal.mean(axis=1) > 10.0)[0])
    light = (events.waveform[h] - events.pedestal[h]) / events.counts_per_vem[h]
    edge = (pulses.arrival_time[h] - events.hit_time[h]) / 20.0 - 0.78  # pulses.EDGE_DELAY
    fine = np.repeat(light / 100.0, 100, axis=0)  # a hundred parts of every bin
    middles = (np.arange(len(fine)) + 0.5) / 100.0
    for i, (low, high) in enumerate(itertools.pairwise(INTERVALS)):
        inside = (middles > edge + low / 20.0) & (middles < edge + high / 20.0)
        upper, lower = fine[inside].sum(axis=0)
        np.testing.assert_allclose(
            [0.1 * np.expm1(shape[h, i]), 0.1 * np.expm1(shape[h, N_SHAPE // 2 + i])],
            [max(0.5 * (upper + lower), 0.0), abs(upper - lower)],
            atol=0.02 + 0.02 * (abs(upper) + abs(lower)),
        )


def test_layers_change_places_and_nothing_changes(events):
    turned = replace(
        events,
        waveform=events.waveform[:, :, ::-1],
        pedestal=events.pedestal[:, ::-1],
        counts_per_vem=events.counts_per_vem[:, ::-1],
    )
    one = waveform_shapes(events, find_pulses(events))
    other = waveform_shapes(turned, find_pulses(turned))
    np.testing.assert_allclose(one, other, atol=1e-4)
    some = select_events(events, [3, 5])
    part = waveform_shapes(some, find_pulses(some))
    hits = np.r_[slice(*events.hit_offset[3:5]), slice(*events.hit_offset[5:7])]
    np.testing.assert_array_equal(part, one[hits])


@pytest.mark.slow
def test_a_closed_form_ratio_is_learned():
    """The shape is a normal variate around a condition, leading edge and signal say nothing."""
    rng = np.random.default_rng(3)
    n = 40_000
    condition = rng.normal(size=(n, CANDIDATES))
    shape = np.zeros((n, N_SHAPE), np.float32)
    shape[:, 0] = condition[:, 0] + rng.normal(size=n)  # N(condition, 1)
    inputs = np.zeros((n, CANDIDATES, 7), np.float32)
    inputs[:, :, 1] = condition
    found = train_ratio(HitSample(shape, inputs, np.zeros((n, CANDIDATES), np.float32)), 20.0, 1)
    x, c = np.meshgrid(np.linspace(-1.5, 1.5, 9), np.linspace(-1.5, 1.5, 9), indexing="ij")
    column = np.zeros((81, N_SHAPE))
    column[:, 0] = x.ravel()
    conditions = np.zeros((81, 5))
    conditions[:, 1] = c.ravel()
    unit = type("Unit", (), {"low": -9.0, "high": 9.0, "mean": 0.0, "width": 1.0})
    value = formula(found, unit, column, conditions, np.zeros(81), np.zeros(81)).reshape(9, 9)
    true = -0.5 * (x - c) ** 2
    # Up to a function of what was seen.
    off = (value - true) - (value - true).mean(axis=1, keepdims=True)
    assert np.abs(off).max() < 0.25
    assert np.sqrt((off**2).mean()) < 0.08


def test_candidates_are_alike_but_for_what_was_seen(density):
    """Without what was seen nobody could tell which of them was simulated."""
    sample = sample_hits(load_config(), 0, 20_000, density)
    again = sample_hits(load_config(), 0, 20_000, density)
    for one, other in zip(sample, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert sample.inputs.shape == (len(sample.shape), CANDIDATES, 7)
    conditions = sample.inputs[:, :, :5].astype(float)
    noise = conditions.std(axis=(0, 1)) / np.sqrt(len(conditions))
    # All have a hit, which the one that was simulated makes a little more likely.
    off = conditions[:, 0].mean(axis=0) - conditions[:, 1:].mean(axis=(0, 1))
    assert (np.abs(off[1:]) < 4.0 * noise[1:] + 0.02).all()
    assert (sample.inputs[:, 1:, 5] != sample.inputs[:, :1, 5]).all()


@pytest.mark.slow
def test_probabilities_of_candidates_are_right():
    """Of independent stations, by expected signal and distance: what has the probability p comes
    with the frequency p, so that the mean of p of the shower that did it is that of sum p^2.
    """
    stations = read_station_likelihood(DEFAULT)
    sample = sample_hits(load_config(), 60_000_000, 100_000, stations.density)
    density, ratio = stations.density, stations.ratio
    conditions = sample.inputs[:, :, :5] * density.width + density.mean
    many = np.repeat(sample.shape, CANDIDATES, axis=0)
    u, v = (sample.inputs[:, :, k].ravel().astype(float) for k in (5, 6))
    added = formula(ratio, density, many, conditions.reshape(-1, 5), u, v)
    gains = []
    for more in (0.0, added.reshape(-1, CANDIDATES)):
        f = sample.log_density + more
        p = np.exp(f - f.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        gains.append(np.log(p[:, 0]).mean())
    assert gains[1] - gains[0] > 0.15
    off = p[:, 0] - (p**2).sum(axis=1)
    signal, distance = conditions[:, 0, 0], conditions[:, 0, 4]
    for values, limits in (
        (signal, np.log([0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 400.0, 1e4])),
        (distance, np.log([100.0, 300.0, 600.0, 900.0, 1200.0, 1600.0, 2200.0, 3000.0])),
    ):
        for low, high in itertools.pairwise(limits):
            chosen = off[(values >= low) & (values < high)]
            noise = chosen.std() / np.sqrt(len(chosen))
            assert abs(chosen.mean()) < 0.01 + 2.0 * noise, (low, high)
    for low, high in itertools.pairwise(np.linspace(0.0, 1.0, 11)):
        inside = (p >= low) & (p < high)
        said, came = p[inside].mean(), inside[:, 0].sum() / inside.sum()
        assert abs(said - came) < 0.01 + 3.0 * np.sqrt(said * (1 - said) / inside.sum())
