"""The targets themselves, by a robust loss or another; no errors."""

from types import SimpleNamespace

import torch

#: Weight of each correction in the loss: the direction is the published aim, core and energy come
#: along. Other targets count alike.
TARGET_WEIGHTS = (1.0, 1.0, 0.25, 0.25, 0.25)
#: Corrections beyond this many rms count linearly (Huber 1964): a handful of failed fits must not
#: rule the gradient.
HUBER = 4.0


def n_outputs(n_targets: int) -> int:
    """As many as targets."""
    return n_targets


def _weights(target: torch.Tensor) -> torch.Tensor:
    """(n,) weights of normalised targets (b, n)."""
    n = target.shape[1]
    weights = TARGET_WEIGHTS if n == len(TARGET_WEIGHTS) else (1.0,) * n
    return torch.tensor(weights, device=target.device)


def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Huber loss of normalised targets (b, n), corrections weighted by `TARGET_WEIGHTS`; a
    scalar.
    """
    weights = _weights(target)
    each = torch.nn.functional.huber_loss(output.float(), target, reduction="none", delta=HUBER)
    return (each * weights).mean()


def gaussian(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Half of the squares of normalised targets (b, n), corrections weighted by `TARGET_WEIGHTS`; a
    scalar: -ln of normal densities whose widths are 1 over the weights' roots, but for a constant.
    """
    return (0.5 * (output.float() - target).square() * _weights(target)).mean()


def _unit(cosines: torch.Tensor) -> torch.Tensor:
    """(b, 3) unit vectors of direction cosines (b, 2); beyond the horizon: on it."""
    up = (1.0 - cosines.square().sum(dim=1, keepdim=True)).clamp(min=1e-12).sqrt()
    return torch.nn.functional.normalize(torch.cat([cosines, up], dim=1), dim=1)


def von_mises_fisher(
    output: torch.Tensor, target: torch.Tensor, fitted: torch.Tensor, width: torch.Tensor
) -> torch.Tensor:
    """kappa (1 - cos angle) between true and corrected direction, -ln of the density of Fisher
    (1953, eq. 1, doi:10.1098/rspa.1953.0064) but for a constant; core and energy as in `loss`.

    fitted : (b, 2) direction cosines that are corrected; width : normalised 1 in direction cosines,
    a scalar. The concentration kappa is 1/width^2 (choice), so that for small corrections of
    vertical showers this is `gaussian`. Not included: a concentration for each event.
    """
    output = output.float()
    apart = _unit(fitted + width * output[:, :2]) - _unit(fitted + width * target[:, :2])
    direction = 0.5 * apart.square().sum(dim=1) / width**2  # 1 - cos, to full precision
    weights = torch.tensor(TARGET_WEIGHTS[2:], device=output.device)
    rest = torch.nn.functional.huber_loss(
        output[:, 2:], target[:, 2:], reduction="none", delta=HUBER
    )
    return (direction + (rest * weights).sum(dim=1)).mean() / target.shape[1]


def with_loss(name: str) -> SimpleNamespace:
    """This head with the loss "gaussian" or "von_mises_fisher"; one on the sphere, which says
    `on_sphere`, gets `fitted` and `width` as well.
    """
    losses = {"gaussian": gaussian, "von_mises_fisher": von_mises_fisher}
    return SimpleNamespace(
        n_outputs=n_outputs,
        loss=losses[name],
        predict=predict,
        on_sphere=name == "von_mises_fisher",
    )


def predict(output: torch.Tensor) -> tuple[torch.Tensor, None]:
    """The output; no covariance."""
    return output, None
