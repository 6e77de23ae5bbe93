"""Flow matching: regression, drawing, times."""

import numpy as np
import pytest
import torch

from tashower.generation.flow import _any_time, _at_once, _delay_of
from tashower.generation.flow_network import Flow, Scaler
from tashower.generation.stations import IN_TIME, is_in_time, reduced
from tashower.physics.station import reduced_time


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


def test_the_regression_finds_mean_and_width(generator):
    c = torch.randn(20_000, 2, generator=generator)
    mean = torch.stack([1.0 + 2.0 * c[:, 0], torch.sin(c[:, 1])], dim=1)
    width = torch.stack([torch.exp(0.5 * c[:, 1]), 0.2 + 0.0 * c[:, 0]], dim=1)
    x = mean + width * torch.randn(20_000, 2, generator=generator)
    scaler = Scaler(2, 2, (0,))
    reduced_numbers = scaler.fit(c, x, generator)
    some = c[c.abs().max(dim=1).values < 1.5]
    found_mean, found_width = scaler.scales(some)
    inside = c.abs().max(dim=1).values < 1.5
    assert (found_mean - mean[inside]).abs().mean() < 0.05
    assert (torch.log(found_width / width[inside])).abs().mean() < 0.06
    torch.testing.assert_close(scaler.reduce(x, c), reduced_numbers, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(scaler.restore(reduced_numbers, c), x, rtol=1e-3, atol=1e-3)


def test_covariances_are_taken_away_in_every_class(generator):
    """Correlated the one way for small numbers of a condition and the other for large ones."""
    n = 120_000
    c = torch.stack([torch.rand(n, generator=generator), torch.arange(n) % 2.0], dim=1)
    sign = torch.where((c[:, 0] > 0.5) ^ (c[:, 1] > 0.5), -0.8, 0.8)
    one, two = torch.randn(2, n, generator=generator)
    x = torch.stack([one, sign * one + 0.6 * two], dim=1)
    scaler = Scaler(2, 2, (0,), 1)
    z = scaler.fit(c, x, generator)
    for part in (c[:, 0] > 0.5, c[:, 0] < 0.5):
        for flag in (0.0, 1.0):
            some = z[part & (c[:, 1] == flag)]
            torch.testing.assert_close(some.T @ some / len(some), torch.eye(2), rtol=0, atol=0.2)
    torch.testing.assert_close(scaler.restore(z, c), x, rtol=1e-3, atol=1e-3)


def test_what_is_drawn_of_a_known_velocity(generator):
    """dx/dt = a x: a midpoint step of size h multiplies by 1 + a h + (a h)^2/2."""
    flow = Flow(Scaler(2, 3, (0,)), 8, 1)
    c, noise = torch.randn(5, 2, generator=generator), torch.randn(5, 3, generator=generator)
    flow.scaler.mean[-1] = 2.0
    flow.scaler.log_width[-1] = np.log(3.0)
    untrained = flow.draw(noise, c, 4)  # its last layer is zero
    torch.testing.assert_close(untrained, 2.0 + 3.0 * noise)
    assert torch.equal(flow.draw(noise[[4]], c[[4]], 4), untrained[[4]])
    flow.velocity.forward = lambda x, t, c: 0.7 * x
    h = 0.7 / 4
    torch.testing.assert_close(flow.draw(noise, c, 4), 2.0 + 3.0 * noise * (1 + h + h * h / 2) ** 4)
    flow.velocity.forward = lambda x, t, c: 2.0 * t + 0.0 * x
    torch.testing.assert_close(flow.draw(noise, c, 3), 2.0 + 3.0 * (noise + 1.0))


def test_the_loss_of_a_perfect_velocity_is_the_noise_that_cannot_be_known(generator):
    """Of x_1 = 0 the velocity -x_t/(1 - t) is exact; of v = 0 the loss is the mean of
    (x_1 - x_0)^2.
    """
    flow = Flow(Scaler(1, 2, (0,)), 8, 1)
    x, c = torch.zeros(4000, 2), torch.zeros(4000, 1)
    assert float(flow.loss(x, c, generator).detach()) == pytest.approx(1.0, abs=0.05)
    flow.velocity.forward = lambda x, t, c: -x / (1.0 - t)
    assert float(flow.loss(x, c, generator)) < 1e-6


def test_reduced_times_and_delays_are_each_other_s_inverse(rng):
    conditions = np.stack(
        [rng.normal(0, 1, 50), rng.normal(0, 1, 50), rng.normal(0, 0.3, 50), 1 + rng.random(50)]
        + [np.log(rng.uniform(10, 4000, 50))],
        axis=1,
    )
    delay = rng.uniform(-3000, 30_000, 50)
    time = reduced(delay, conditions)
    np.testing.assert_allclose(time, reduced_time(delay, conditions[:, 2], conditions[:, 4])[0])
    np.testing.assert_allclose(_delay_of(time, conditions), delay, rtol=1e-9, atol=1e-6)


def test_background_comes_at_any_time_but_that_of_the_front(learned):
    from types import SimpleNamespace

    n = 4000
    conditions = np.tile([[0.0, 0.0, 0.0, 1.2, np.log(1000.0)]], (n, 1))
    at = SimpleNamespace(plane=np.full(n, 500.0), conditions=conditions, shower=np.zeros(n, int))
    task = SimpleNamespace(truth=SimpleNamespace(t0=np.array([100.0])))
    u = (np.arange(n) + 0.5) / n
    time = _any_time(u, at, np.arange(n), task)
    assert time.min() == pytest.approx(100.0 - 32_000.0, abs=20)
    assert time.max() == pytest.approx(100.0 + 32_000.0, abs=20)
    assert not is_in_time(reduced(time - 500.0, conditions)).any()
    assert np.diff(time).max() == pytest.approx(
        np.diff(_delay_of(np.array(IN_TIME), conditions[:2]))[0], rel=0.02
    )


def test_a_row_does_not_depend_on_its_company():
    torch.manual_seed(1)
    layer = torch.nn.Sequential(torch.nn.Linear(7, 40), torch.nn.Tanh(), torch.nn.Linear(40, 3))
    x = torch.randn(1100, 7)
    with torch.no_grad():
        whole = _at_once(layer, x)
        assert torch.equal(whole[[3, 700, 1099]], _at_once(layer, x[[3, 700, 1099]]))
        torch.testing.assert_close(whole, layer(x))
