"""What training does to the weights: where they start from, gradients, optimiser, learning rate,
averages. torch has nearly all of it; this is where the configuration names it.
"""

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import lr_scheduler, swa_utils

from tashower.config import TrainingConfig

_STARTS = {
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "he_uniform": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    "he_normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "orthogonal": nn.init.orthogonal_,
}
_LAYERS = (nn.Linear, nn.modules.conv._ConvNd)


def initialise(network: nn.Module, kind: str) -> None:
    """Draw the weights of linear layers and convolutions anew, biases 0; a layer whose weights the
    model set to 0, as those of the output, stays so. kind "model": all stays.

    With n_in and n_out connections of a unit, the variance is 2/(n_in + n_out) (Glorot and Bengio
    2010, AISTATS, eq. 12 and 16), 2/n_in (He et al. 2015, arXiv:1502.01852, eq. 10), or rows or
    columns are orthonormal (Saxe et al. 2014, arXiv:1312.6120).
    """
    if kind == "model":
        return
    for layer in network.modules():
        if isinstance(layer, _LAYERS) and layer.weight.any():
            _STARTS[kind](layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def make_optimiser(network: nn.Module, settings: TrainingConfig) -> torch.optim.Optimizer:
    """The optimiser of the configuration; with the decoupled weight decay that torch gives to AdamW
    alone: before each step all parameters are multiplied by 1 - rate x decay (Loshchilov and Hutter
    2019, arXiv:1711.05101, algorithm 1 with a multiplier that is the learning rate).
    """
    chosen, rate = settings.optimiser, settings.learning_rate
    parameters, betas = list(network.parameters()), (chosen.beta1, chosen.beta2)
    # One pass over the weights; torch has none for complex ones, which a user's model may have.
    fused = all(parameter.is_floating_point() for parameter in parameters) or None
    if chosen.name == "adamw":
        return torch.optim.AdamW(
            parameters, lr=rate, betas=betas, weight_decay=settings.weight_decay, fused=fused
        )
    if chosen.name == "adam":
        return torch.optim.Adam(parameters, lr=rate, betas=betas, fused=fused)
    if chosen.name == "sgd":
        made = torch.optim.SGD(
            parameters, lr=rate, momentum=chosen.momentum, nesterov=chosen.nesterov
        )
    elif chosen.name == "rmsprop":
        made = torch.optim.RMSprop(parameters, lr=rate, alpha=chosen.rho, momentum=chosen.momentum)
    elif chosen.name == "adagrad":
        made = torch.optim.Adagrad(parameters, lr=rate)
    else:
        made = torch.optim.Adadelta(parameters, lr=rate, rho=chosen.rho)
    if settings.weight_decay > 0.0:
        made.register_step_pre_hook(lambda *_: _decay(made, settings.weight_decay))
    return made


@torch.no_grad()
def _decay(optimiser: torch.optim.Optimizer, weight_decay: float) -> None:
    for group in optimiser.param_groups:
        torch._foreach_mul_(group["params"], 1.0 - group["lr"] * weight_decay)


def make_schedule(
    optimiser: torch.optim.Optimizer, settings: TrainingConfig, steps: int
) -> tuple[lr_scheduler.LRScheduler, lr_scheduler.ReduceLROnPlateau | None]:
    """(what is asked after every step, what is told the validation loss after every epoch): a
    linear rise over `warm_up` of the steps, times half a cosine down to 0 or nothing.
    """
    chosen = settings.schedule
    if chosen.name == "cosine":

        def rate(step):
            warm = min(1.0, (step + 1) / max(1.0, chosen.warm_up * steps))
            # No numpy number: the state is loaded back as plain values only.
            return warm * 0.5 * (1.0 + math.cos(math.pi * min(step / steps, 1.0)))

        return lr_scheduler.LambdaLR(optimiser, rate), None
    # The same rise, as factors from step to step, which leave alone what lowers the rate.
    rise = max(1, round(chosen.warm_up * steps))
    warm_up = lr_scheduler.LinearLR(optimiser, 1.0 / rise, total_iters=rise - 1)
    if chosen.name == "constant":
        return warm_up, None
    plateau = lr_scheduler.ReduceLROnPlateau(
        optimiser,
        factor=chosen.factor,
        patience=chosen.patience,
        threshold=chosen.min_delta,
        threshold_mode="abs",
        cooldown=chosen.cooldown,
        min_lr=chosen.min_learning_rate,
        eps=0.0,
    )
    return warm_up, plateau


def penalty(network: nn.Module, settings: TrainingConfig) -> torch.Tensor | float:
    """l1 sum |w| + l2 sum w^2 over weights, which are parameters of two dimensions or more (naive
    elastic net: Zou and Hastie 2005, eq. 3, doi:10.1111/j.1467-9868.2005.00503.x); 0.0 without.
    """
    l1, l2 = settings.penalty.l1, settings.penalty.l2
    weights = [p for p in network.parameters() if p.ndim > 1]
    total: torch.Tensor | float = 0.0
    if l1 > 0.0:
        total = total + l1 * torch.stack([w.abs().sum() for w in weights]).sum()
    if l2 > 0.0:
        total = total + l2 * torch.stack([w.square().sum() for w in weights]).sum()
    return total


@torch.no_grad()
def prepare_gradients(parameters: Iterable[nn.Parameter], settings: TrainingConfig) -> None:
    """Centralise the gradients, each output's over its inputs (Yong et al. 2020, arXiv:2004.01461,
    eq. 1), then limit them; in place.
    """
    chosen, parameters = settings.gradients, list(parameters)
    if chosen.centralise:
        for parameter in parameters:
            if parameter.ndim > 1 and parameter.grad is not None:
                inputs = tuple(range(1, parameter.ndim))
                parameter.grad -= parameter.grad.mean(dim=inputs, keepdim=True)
    if chosen.clip == "norm":
        nn.utils.clip_grad_norm_(parameters, chosen.limit)
    elif chosen.clip == "value":
        nn.utils.clip_grad_value_(parameters, chosen.limit)


def make_average(network: nn.Module, settings: TrainingConfig) -> swa_utils.AveragedModel | None:
    """The average of the network's weights over the steps (ema, with the running statistics of its
    normalisations) or over the ends of epochs (swa); None without.
    """
    chosen = settings.averaging
    if chosen.name == "none":
        return None
    if chosen.name == "swa":
        return swa_utils.AveragedModel(network)
    each = swa_utils.get_ema_multi_avg_fn(chosen.decay)
    return swa_utils.AveragedModel(network, multi_avg_fn=each, use_buffers=True)


def averages_epoch(settings: TrainingConfig, epoch: int) -> bool:
    """Whether the end of an epoch, counted from 0, is one of those that swa averages."""
    chosen = settings.averaging
    return chosen.name == "swa" and epoch + 1 > chosen.start * settings.epochs


class _OfBatch(nn.Module):
    """A network that takes its four inputs as one."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, batch: tuple) -> torch.Tensor:
        """What the network says of (cells, event features, waveform, waveform place)."""
        return self.network(*batch)


def measure_normalisations(network: nn.Module, batches: Iterable[tuple]) -> None:
    """Running statistics of batch normalisations anew, from batches that are ready for the network:
    those of averaged weights are no average (Izmailov et al. 2018, arXiv:1803.05407, section 3.2).
    """
    swa_utils.update_bn(((batch,) for batch in batches), _OfBatch(network))
