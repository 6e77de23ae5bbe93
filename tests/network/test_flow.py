"""The head `flow`: its density against quadrature, the change of variables and toys."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import cumulative_trapezoid
from scipy.stats import gumbel_r, kstest, norm, qmc
from scipy.stats import t as student

from tashower.network.heads import flow, gaussian


def draw(*shape, seed=3):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def densities(output, target):
    """Density of every target (k, n) for one output (1, m)."""
    each = [flow.loss(output, one[None]).item() for one in target]
    return np.exp(-np.array(each))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_density_holds_one_and_draws_follow_it(seed):
    """One target, by the trapezium rule; Kolmogorov and Smirnov's test of 2000 draws."""
    output = draw(1, flow.n_outputs(1), seed=seed)
    x = torch.sinh(torch.linspace(-9.0, 9.0, 2001, dtype=torch.float64))
    whole = cumulative_trapezoid(densities(output, x[:, None].float()), x, initial=0.0)
    assert whole[-1] == pytest.approx(1.0, abs=2e-3)
    points = norm.ppf(qmc.Halton(1, rng=seed).random(2000))
    found = flow.draw(output, torch.from_numpy(points))[0, :, 0].numpy()
    assert kstest(found, lambda value: np.interp(value, x, whole)).pvalue > 0.01


def test_density_and_draws_are_one_change_of_variables():
    """p(t(u)) |dt/du| is the normal density of u, in five dimensions."""
    for seed in range(4):
        output, u = draw(1, flow.n_outputs(5), seed=seed), draw(5, seed=seed + 10).double()
        matrix = torch.autograd.functional.jacobian(
            lambda one, output=output: flow.draw(output, one[None])[0, 0], u
        )
        target = flow.draw(output, u[None])[0].float()
        wanted = 0.5 * (u**2).sum() + 2.5 * math.log(2.0 * math.pi)
        wanted = wanted + torch.linalg.slogdet(matrix).logabsdet
        assert flow.loss(output, target).item() == pytest.approx(wanted.item(), rel=1e-4, abs=1e-4)


def test_mean_and_covariance_are_those_of_the_density():
    output = 0.7 * draw(6, flow.n_outputs(2))
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    pairs = torch.from_numpy(np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2))
    weight = torch.from_numpy(np.outer(weights, weights).ravel() / (2.0 * np.pi))
    found = flow.draw(output, pairs)
    mean = torch.einsum("k,bkn->bn", weight, found)
    off = found - mean[:, None]
    center, covariance = flow.predict(output)
    torch.testing.assert_close(center, mean, rtol=1e-5, atol=1e-6)
    wanted = torch.einsum("k,bki,bkj->bij", weight, off, off)
    torch.testing.assert_close(covariance, wanted, rtol=1e-4, atol=1e-6)


def test_without_skewness_and_tails_it_is_the_gaussian_head():
    output, target = draw(30, gaussian.n_outputs(5)), draw(30, 5, seed=8)
    whole = torch.cat([output, torch.zeros(30, 10)], dim=1)
    torch.testing.assert_close(flow.loss(whole, target), gaussian.loss(output, target))
    for a, b in zip(flow.predict(whole), gaussian.predict(output), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [1e2, 1e6, 1e12])
def test_gradient_of_any_output_is_finite(size):
    output = (size * draw(50, flow.n_outputs(5))).requires_grad_()
    with torch.no_grad():
        output[:, 10:20] = 0.0  # U beyond its diagonal has no bound, in `gaussian` neither
        output[:, :5] = output[:, :5].clamp(-1e3, 1e3)
    loss = flow.loss(output, 1e2 * draw(50, 5, seed=4))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(output.grad).all()
    mean, covariance = flow.predict(output.detach())
    assert torch.isfinite(mean).all()
    assert (torch.linalg.eigvalsh(covariance) > 0).all()


def fitted(head, target):
    """-ln likelihood of the best constant output, and that output."""
    output = torch.zeros(1, head.n_outputs(target.shape[1]), requires_grad=True)
    fit = torch.optim.LBFGS([output], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        fit.zero_grad()
        loss = head.loss(output.expand(len(target), -1), target)
        loss.backward()
        return loss

    fit.step(closure)
    return closure().item(), output.detach()


def test_tails_and_skewness_are_learned(rng):
    """Of Student's t with 4 degrees of freedom and of extreme values, mixed: no gain from a normal
    distribution's shape, and nearly the true likelihood from the flow's.
    """
    tails, skew = student(4).rvs(4000, random_state=rng), gumbel_r.rvs(size=4000, random_state=rng)
    matrix = np.array([[1.0, 0.5], [0.0, 1.0]])
    target = torch.from_numpy(np.stack([tails, skew], axis=1) @ matrix.T).float()
    true = -(student(4).logpdf(tails) + gumbel_r.logpdf(skew)).mean()
    (normal, _), (found, output) = fitted(gaussian, target), fitted(flow, target)
    assert found - true < 0.03
    assert normal - true > 0.12
    points = torch.from_numpy(norm.ppf(qmc.Sobol(2, rng=1).random(4096)))
    simulated = flow.draw(output, points)[0].numpy()
    for level in (0.05, 0.25, 0.5, 0.75, 0.95):
        for column in range(2):
            of_data, of_flow = (np.quantile(x[:, column], level) for x in (target, simulated))
            assert of_flow == pytest.approx(of_data, abs=0.2)
