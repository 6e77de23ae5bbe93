"""Heads: what every head passes, and the covariance against answers that are known."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from tashower.network.contracts import built_in, find_head
from tashower.network.heads import gaussian, mean
from tashower.network.predict import explained_variance


@pytest.fixture(params=built_in("heads"))
def head(request):
    return find_head(request.param)


def draw(*shape, seed=3):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_output_zero_is_no_correction_of_width_one(head):
    found, covariance = head.predict(torch.zeros(7, head.n_outputs(5)))
    torch.testing.assert_close(found.double(), torch.zeros(7, 5).double(), rtol=0.0, atol=1e-12)
    if covariance is not None:
        torch.testing.assert_close(covariance, torch.eye(5).double().expand(7, 5, 5))


def test_loss_falls_towards_the_target_and_its_gradient_reaches_every_output(head):
    target = draw(200, 5)
    output = (0.1 * draw(200, head.n_outputs(5), seed=4)).requires_grad_()
    loss = head.loss(output, target)
    loss.backward()
    assert loss.shape == ()
    assert (output.grad.abs().sum(dim=0) > 0).all()
    nearer = output.detach().clone()
    nearer[:, :5] += 0.5 * (target - nearer[:, :5])
    assert head.loss(nearer, target) < loss


def test_events_count_alike_and_alone(head):
    target, output = draw(40, 5), draw(40, head.n_outputs(5), seed=4)
    each = torch.stack([head.loss(output[i : i + 1], target[i : i + 1]) for i in range(40)])
    torch.testing.assert_close(head.loss(output, target), each.mean())


def test_bf16_outputs_are_taken(head):
    output = draw(40, head.n_outputs(5), seed=4)
    low = head.loss(output.bfloat16(), draw(40, 5))
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, head.loss(output, draw(40, 5)), rtol=0.05, atol=0.0)


def test_the_mean_counts_a_failed_fit_linearly():
    targets = draw(1000, 5)
    assert mean.loss(targets, targets) == 0
    half = 0.5 * targets.numpy()
    assert explained_variance(half, targets.numpy()) == pytest.approx(0.75)
    assert explained_variance(half + 7.0, targets.numpy()) == pytest.approx(0.75)
    wild = targets.clone()
    wild[0, 0] = 1e4
    assert mean.loss(targets, wild) < 10
    far = targets + 100.0 * torch.eye(5)[0]  # huber(100) = 4 (100 - 2), weight 1 of 5 targets
    assert mean.loss(targets, far).item() == pytest.approx(4 * 98 / 5, rel=1e-4)
    far = targets + 100.0 * torch.eye(5)[4]
    assert mean.loss(targets, far).item() == pytest.approx(0.25 * 4 * 98 / 5, rel=1e-4)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_gaussian_is_the_density_of_its_own_prediction(n):
    """The loss against scipy's density with the mean and covariance that the head predicts."""
    output, target = draw(30, gaussian.n_outputs(n)), draw(30, n, seed=8)
    center, covariance = gaussian.predict(output)
    wanted = [
        -multivariate_normal.logpdf(t, m, c)
        for t, m, c in zip(target.numpy(), center.numpy(), covariance.numpy(), strict=True)
    ]
    assert gaussian.loss(output, target).item() == pytest.approx(np.mean(wanted), rel=1e-5)


def test_gaussian_of_any_output_has_a_covariance():
    output = 1e3 * draw(30, gaussian.n_outputs(3))
    output[:, 6:] = 0.0
    widths = torch.linalg.eigvalsh(gaussian.predict(output)[1]).sqrt()
    assert (widths > 0.99 * np.exp(-7.0)).all()
    assert (widths < 1.01 * np.exp(7.0)).all()


def test_gaussian_recovers_the_linear_answer():
    """t = A x + noise: the most likely A is that of least squares, the most likely covariance the
    mean square of the residuals, both exactly.
    """
    n, m = 400, 3
    x = draw(n, m)
    root = torch.tril(draw(5, 5, seed=5)) + 2.0 * torch.eye(5)
    target = x @ draw(m, 5, seed=6) + 0.3 * draw(n, 5, seed=7) @ root.T
    matrix = torch.zeros(m, 5, requires_grad=True)
    rest = torch.zeros(gaussian.n_outputs(5) - 5, requires_grad=True)
    fit = torch.optim.LBFGS(
        [matrix, rest], max_iter=500, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def output():
        return torch.cat([x @ matrix, rest.expand(n, -1)], dim=1)

    def closure():
        fit.zero_grad()
        loss = gaussian.loss(output(), target)
        loss.backward()
        return loss

    fit.step(closure)
    least = torch.linalg.lstsq(x.double(), target.double()).solution
    residual = target.double() - x.double() @ least
    center, covariance = gaussian.predict(output().detach())
    torch.testing.assert_close(matrix.detach().double(), least, atol=2e-3, rtol=0.0)
    wanted = residual.T @ residual / n
    torch.testing.assert_close(covariance[0], wanted, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(center, x.double() @ least, atol=5e-3, rtol=0.0)
    # And it is near the covariance that the noise was drawn with.
    torch.testing.assert_close(wanted, 0.09 * (root @ root.T).double(), atol=0.2, rtol=0.2)
