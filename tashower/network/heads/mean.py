"""The correction itself, by a robust loss; no errors."""

import torch

#: Weight of each target in the loss: the direction is the published aim, core and energy come
#: along.
TARGET_WEIGHTS = (1.0, 1.0, 0.25, 0.25, 0.25)
#: Corrections beyond this many rms count linearly (Huber 1964): a handful of failed fits must not
#: rule the gradient.
HUBER = 4.0


def n_outputs(n_targets: int) -> int:
    """As many as targets."""
    return n_targets


def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Huber loss of normalised corrections (b, 5), weighted by `TARGET_WEIGHTS`; a scalar."""
    weights = torch.tensor(TARGET_WEIGHTS, device=output.device)
    each = torch.nn.functional.huber_loss(output.float(), target, reduction="none", delta=HUBER)
    return (each * weights).mean()


def predict(output: torch.Tensor) -> tuple[torch.Tensor, None]:
    """The output; no covariance."""
    return output, None
