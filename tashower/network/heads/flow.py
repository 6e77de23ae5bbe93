"""The correction and its whole density, by a flow: a triangular map of the targets, and on each of
its axes one that makes tails and skewness.

With the m and U of the head `gaussian`, z = U (t - m), and on every axis (after Jones and Pewsey
2009, Biometrika 96, 761, doi:10.1093/biomet/asp053, section 2, with a scale c)

    u = c/delta sinh(delta asinh(z/c) - epsilon),    u normal of mean 0 and variance 1,

so that -ln p(t) is the sum over the axes of
u^2/2 - ln cosh(delta asinh(z/c) - epsilon) + ln(1 + z^2/c^2)/2 - ln U_ii + ln(2 pi)/2. Within c the
density is that of a normal distribution whatever delta is, so that tails do not move the widths;
beyond, tails are longer with delta below 1 and shorter above. epsilon is the skewness. delta = 1
and epsilon = 0 are the head `gaussian`. The order of outputs is that of `gaussian`, epsilon,
ln delta.

Density and draws are in closed form; mean and covariance are sums over the nodes of Gauss and
Hermite. Splines on the axes are more flexible, but their tails beyond the last knot are those of a
normal distribution, and failed fits lie there.

Not included: what no triangular map makes even, as a width of one target that depends on the true
value of another.
"""

import math

import numpy as np
import torch

from tashower.network.heads import gaussian

#: c, where tails begin, in widths (choice: most of the events lie within, and learn the width).
TAIL_BEGINS = 2.0
#: Largest |epsilon| and |ln delta|, towards which they bend: skewness and tails beyond do not
#: change much, and nothing overflows (choice).
LARGEST_SKEWNESS = 1.0
LARGEST_LOG_TAIL = math.log(3.0)
_NODES = 32


def n_outputs(n_targets: int) -> int:
    """Those of `gaussian`, and two for each target."""
    return gaussian.n_outputs(n_targets) + 2 * n_targets


def _bent(x: torch.Tensor, largest: float) -> torch.Tensor:
    return largest * torch.tanh(x / largest)


def _split(output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(outputs of `gaussian`, epsilon (b, n), ln delta (b, n))."""
    n = (math.isqrt(49 + 8 * output.shape[1]) - 7) // 2  # n (n + 7)/2 outputs
    normal, skewness, log_tail = torch.split(output, [output.shape[1] - 2 * n, n, n], dim=1)
    return normal, _bent(skewness, LARGEST_SKEWNESS), _bent(log_tail, LARGEST_LOG_TAIL)


def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """-ln of the density of the normalised targets (b, n), mean over the events; a scalar."""
    normal, skewness, log_tail = _split(output.double())
    mean, log_diagonal, upper = gaussian.parts(normal)
    z = torch.einsum("bij,bj->bi", upper, target.double() - mean) / TAIL_BEGINS
    w = log_tail.exp() * torch.asinh(z) - skewness
    u = TAIL_BEGINS * torch.exp(-log_tail) * torch.sinh(w)
    # ln cosh, without overflow.
    log_cosh = w.abs() + torch.nn.functional.softplus(-2.0 * w.abs()) - math.log(2.0)
    each = 0.5 * u**2 - log_cosh + 0.5 * torch.log1p(z**2) - log_diagonal
    constant = 0.5 * target.shape[1] * math.log(2.0 * math.pi)
    return (each.sum(dim=1).mean() + constant).float()


def _places(points: torch.Tensor, skewness: torch.Tensor, log_tail: torch.Tensor) -> torch.Tensor:
    """z (b, k, n) of normal points u (k, n)."""
    tail = log_tail.exp()[:, None]
    bent = torch.asinh(points * tail / TAIL_BEGINS) + skewness[:, None]
    return TAIL_BEGINS * torch.sinh(bent / tail)


def predict(output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (b, n) and covariance (b, n, n) of the normalised targets."""
    normal, skewness, log_tail = _split(output.double())
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weight = torch.from_numpy(weights / weights.sum()).to(output.device)
    points = torch.from_numpy(nodes).to(output.device)[:, None]
    z = _places(points, skewness, log_tail)
    shift = torch.einsum("k,bkn->bn", weight, z)
    variance = torch.einsum("k,bkn->bn", weight, (z - shift[:, None]) ** 2)
    mean, root = gaussian.center_and_root(normal)
    mean = mean + torch.einsum("bij,bj->bi", root, shift)
    return mean, (root * variance[:, None]) @ root.transpose(1, 2)


def draw(output: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """(b, k, n) normalised targets to which the density maps k normal points (k, n)."""
    normal, skewness, log_tail = _split(output.double())
    mean, root = gaussian.center_and_root(normal)
    return mean[:, None] + _places(points, skewness, log_tail) @ root.transpose(1, 2)
