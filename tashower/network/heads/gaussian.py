"""The correction and its full covariance, by the likelihood of a normal distribution.

The outputs are the mean m and an upper triangular matrix U with positive diagonal: the covariance
is C = (U^T U)^-1, so that -ln p(t) = |U (t - m)|^2 / 2 - sum ln U_ii + n/2 ln 2 pi (Williams 1996,
Neural Computation 8, 843, doi:10.1162/neco.1996.8.4.843). The order of outputs is m, ln U_ii, and
the elements of U above its diagonal, row by row.

Not included: tails. An error far beyond its width counts with its square, so failed fits widen the
covariance of the events that look like them.
"""

import math

import torch

#: Widths stay between e^-7 and e^7 rms of the target: the exponential neither overflows nor
#: vanishes (choice).
LARGEST_LOG_WIDTH = 7.0


def n_outputs(n_targets: int) -> int:
    """n for the mean, n (n + 1)/2 for the triangle."""
    return n_targets + n_targets * (n_targets + 1) // 2


def parts(output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(mean (b, n), ln of the diagonal of U (b, n), U (b, n, n))."""
    n = (math.isqrt(9 + 8 * output.shape[1]) - 3) // 2  # n (n + 3)/2 outputs
    mean, log_diagonal, above = torch.split(output, [n, n, n * (n - 1) // 2], dim=1)
    log_diagonal = LARGEST_LOG_WIDTH * torch.tanh(log_diagonal / LARGEST_LOG_WIDTH)
    row, column = torch.triu_indices(n, n, 1)
    upper = torch.diag_embed(log_diagonal.exp())
    upper = upper.index_put((torch.arange(output.shape[0])[:, None], row, column), above)
    return mean, log_diagonal, upper


def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """-ln of the density of the normalised targets (b, n), mean over the events; a scalar."""
    mean, log_diagonal, upper = parts(output.float())
    pull = torch.einsum("bij,bj->bi", upper, target - mean)
    constant = 0.5 * target.shape[1] * math.log(2.0 * math.pi)
    return (0.5 * (pull**2).sum(dim=1) - log_diagonal.sum(dim=1)).mean() + constant


def center_and_root(output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean (b, n), U^-1 (b, n, n)): the covariance is U^-1 U^-T."""
    mean, _, upper = parts(output.double())
    one = torch.eye(mean.shape[1], dtype=upper.dtype, device=upper.device)
    return mean, torch.linalg.solve_triangular(upper, one.expand_as(upper), upper=True)


def predict(output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (b, n) and covariance (b, n, n) of the normalised targets."""
    mean, root = center_and_root(output)
    return mean, root @ root.transpose(1, 2)
