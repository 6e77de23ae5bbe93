"""The layers of any model, found by what their outputs depend on and by their shapes: nothing is
asked of a model but its contract.

A layer of the waveforms has an output for every hit (first dimension h) that depends on the
waveforms; one of the tile an output for every cell that depends on the cells. Which dimension holds
the channels is known of torch's own layers; what changes no shape (an activation) takes it from the
layer before it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from tashower.network.insight.subject import Seen

#: Layers whose channels are their second dimension, and their last one.
_SECOND = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
)
_LAST = (nn.Linear, nn.LayerNorm, nn.Embedding)


class Layer(NamedTuple):
    """A layer of a network."""

    name: str  #: as `named_modules` has it
    module: nn.Module
    channels: int  #: dimension of its output that holds them
    places: tuple[int, ...]  #: sizes of the dimensions between: time, or the cells


class _Call(NamedTuple):
    name: str
    module: nn.Module
    output: torch.Tensor


@contextmanager
def _recorded(network: nn.Module) -> Iterator[list[_Call]]:
    """The calls of all modules within, in the order in which they end."""
    calls: list[_Call] = []

    def hook(name):
        def note(module, args, output):
            if isinstance(output, torch.Tensor) and output.is_floating_point():
                calls.append(_Call(name, module, output))

        return note

    handles = [m.register_forward_hook(hook(name)) for name, m in network.named_modules() if name]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _calls_that_depend(network: nn.Module, what: Seen, on: str) -> list[_Call]:
    """Calls whose output depends on one of the inputs."""
    inputs = what._replace(**{on: getattr(what, on).detach().requires_grad_()})
    with torch.enable_grad(), _recorded(network) as calls:
        network(*inputs)
    return [call for call in calls if call.output.requires_grad]


def _known_channels(module: nn.Module, output: torch.Tensor, before: tuple | None) -> int | None:
    """Dimension of the channels; before : (shape, that dimension) of the layer before."""
    if isinstance(module, _SECOND):
        return 1
    if isinstance(module, _LAST):
        return output.ndim - 1
    return before[1] if before is not None and before[0] == output.shape else None


def waveform_layers(network: nn.Module, what: Seen) -> list[Layer]:
    """Layers of the waveform encoder in order; none where a network has no such encoder. `places`:
    the pieces in time, empty where the output has no time.
    """
    if not len(what.waveform):
        return []
    found, before = [], None
    for name, module, output in _calls_that_depend(network, what, "waveform"):
        leaf = not any(True for _ in module.children())
        if not leaf or output.ndim < 2 or len(output) != len(what.waveform):
            before = before if not leaf else None
            continue
        channels = _known_channels(module, output, before)
        before = None if channels is None else (output.shape, channels)
        if channels is not None:
            places = tuple(s for k, s in enumerate(output.shape) if k not in (0, channels))
            found.append(Layer(name, module, channels, places))
    return found


def _cell_channels(shape: torch.Size, n: int, b: int) -> list[int]:
    """Dimensions that may be the channels of an output for every cell of b tiles of n x n."""
    patterns = {
        1: [(b, None, n, n), (b, None, n * n), (b * n * n, None)],
        2: [(b, n * n, None)],
        3: [(b, n, n, None)],
    }
    return [
        channels
        for channels, forms in patterns.items()
        for form in forms
        if len(form) == len(shape)
        and all(a is None or a == s for a, s in zip(form, shape, strict=True))
    ]


def tile_layer(network: nn.Module, what: Seen) -> Layer | None:
    """The last layer of the tile, before cells are lost; None where a network has none."""
    b, n = what.cells.shape[:2]
    last, before = None, None
    for name, module, output in _calls_that_depend(network, what, "cells"):
        possible = _cell_channels(output.shape, n, b)
        known = _known_channels(module, output, before)
        channels = known if known in possible else (possible[0] if possible else None)
        before = None if channels is None else (output.shape, channels)
        if channels is not None:
            last = Layer(name, module, channels, (n, n))
    return last


@contextmanager
def kept_output(layer: Layer) -> Iterator[list[torch.Tensor]]:
    """What the layer gives while the block runs, each (first dimension, places, channels), with
    the places in one dimension.
    """
    outputs: list[torch.Tensor] = []
    handle = layer.module.register_forward_hook(lambda module, args, output: outputs.append(output))
    try:
        yield outputs
    finally:
        handle.remove()


def by_place(layer: Layer, values: torch.Tensor) -> torch.Tensor:
    """An output, or its gradient, as (first dimension, places, channels)."""
    values = values.movedim(layer.channels, -1)
    return values.reshape(len(values), -1, values.shape[-1])


def _jacobian(values: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
    """(n, *shape of `of`) gradients of n values."""
    one = torch.eye(len(values), dtype=values.dtype, device=values.device)
    try:
        return torch.autograd.grad(values, of, one, is_grads_batched=True, retain_graph=True)[0]
    except RuntimeError:  # layers that torch cannot batch, as recurrent ones
        return torch.stack([torch.autograd.grad(v, of, retain_graph=True)[0] for v in values])


def pieces(field: np.ndarray, n_bins: int) -> np.ndarray:
    """(n + 1,) bins at which the pieces end that n places in time stand for: halfway between the
    middles of their fields; alike where every place depends on everything.
    """
    middle = field.mean(axis=1)
    if len(field) < 2 or (np.diff(middle) <= 0).any():
        return np.linspace(0.0, n_bins, len(field) + 1)
    between = 0.5 * (middle[1:] + middle[:-1])
    return np.concatenate([[field[0, 0]], between, [field[-1, 1]]])


def receptive_field(
    network: nn.Module, layer: Layer, what: Seen, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(gradient (places, channels, T, L) of a layer's outputs with respect to the waveform of one
    hit, field (places, 2): first bin that each place depends on, one after its last).

    The waveform is noise, so that no activation is at rest; of a linear layer the gradient is its
    filter, at its place.
    """
    n_bins, n_layers = what.waveform.shape[1:]
    noise = torch.as_tensor(rng.normal(size=(n_bins, n_layers)), dtype=what.waveform.dtype)
    noise = noise.to(what.waveform.device).requires_grad_()
    waveform = torch.cat([noise[None], what.waveform[1:]])
    with torch.enable_grad(), kept_output(layer) as outputs:
        network(*what._replace(waveform=waveform))
        first = by_place(layer, outputs[-1])[0]
        found = _jacobian(first.flatten(), noise)
    found = found.reshape(*first.shape, n_bins, n_layers).cpu().numpy()
    reached = (found != 0).any(axis=(1, 3))  # (places, T)
    field = np.stack([reached.argmax(axis=1), n_bins - reached[:, ::-1].argmax(axis=1)], axis=1)
    field[~reached.any(axis=1)] = 0
    return found, field
