"""Activation maps, and Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2):

    alpha_k = (1/Z) sum_places dy/dA_k(place),    L = ReLU(sum_k alpha_k A_k)

of the last layer that still has places: cells of the tile, or pieces of a waveform. y is the answer
in its units (a regression instead of a class), so that L without its ReLU is kept: where it is
positive a place makes y larger (that is Grad-CAM), where it is negative smaller. Of a waveform the
places are those of one hit: every station has weights of its own.
"""

from typing import NamedTuple

import numpy as np
import torch

from tashower.network.insight.layers import (
    Layer,
    by_place,
    kept_output,
    pieces,
    receptive_field,
    tile_layer,
    waveform_layers,
)
from tashower.network.insight.subject import Subject, answer, seen


class Maps(NamedTuple):
    """Maps of some events; NaN or None: a network without such a layer."""

    rows: np.ndarray  #: (n,) which events of the subject
    answer: np.ndarray  #: (n,) y, in its units
    tile_layer: str  #: name of the layer; empty where there is none
    channels: np.ndarray  #: (n, N, N, C) activations of the tile
    weights: np.ndarray  #: (n, C) alpha_k
    tile: np.ndarray  #: (n, N, N) sum_k alpha_k A_k
    waveform_layer: str  #: empty where there is none
    #: (n + 1,) the hits of event i are hit_offset[i]:hit_offset[i + 1]
    hit_offset: np.ndarray
    along: np.ndarray  #: (h, pieces) sum_k alpha_k A_k along the waveforms
    ends: np.ndarray  #: (pieces + 1,) bins between which the pieces lie


def class_activation(
    activation: torch.Tensor, gradient: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(alpha (n, C), sum_k alpha_k A_k (n, places)) of activations and gradients (n, places, C).

    What no gradient passes through counts as no activation: an activation function that is no
    layer of its own cuts it off.
    """
    alpha = gradient.mean(dim=1)
    passed = torch.where(gradient == 0, 0.0, activation)
    return alpha, torch.einsum("nc,npc->np", alpha, passed)


def _gradients(subject: Subject, question: str, rows: np.ndarray, layers: list[Layer]) -> tuple:
    """(answer, [(activation, gradient) (first dimension, places, C) of each layer])."""
    what = seen(subject, rows)
    what = what._replace(cells=what.cells.requires_grad_(), waveform=what.waveform.requires_grad_())
    with torch.enable_grad():
        kept = [kept_output(layer) for layer in layers]
        outputs = [one.__enter__() for one in kept]
        try:
            y = answer(subject, question, what)
        finally:
            for one in kept:
                one.__exit__(None, None, None)
        tensors = [output[-1] for output in outputs]
        found = torch.autograd.grad(y.sum(), tensors, allow_unused=True) if tensors else []
    pairs = [
        (by_place(layer, a.detach()), by_place(layer, torch.zeros_like(a) if g is None else g))
        for layer, a, g in zip(layers, tensors, found, strict=True)
    ]
    return y.detach().cpu().numpy().astype(float), pairs


def _time_layer(subject: Subject, rows: np.ndarray) -> Layer | None:
    """The last layer of the waveform encoder that has more than one piece in time."""
    layers = waveform_layers(subject.trained.network, seen(subject, rows))
    return next((la for la in reversed(layers) if la.places and max(la.places) > 1), None)


def maps(subject: Subject, question: str, rows: np.ndarray, seed: int = 0) -> Maps:
    """Activations and Grad-CAM of some events, `rows` (n,)."""
    rows = np.asarray(rows)
    network, n = subject.trained.network, subject.sample.tiles.cells.shape[1]
    of_tile, of_time = tile_layer(network, seen(subject, rows)), _time_layer(subject, rows)
    layers = [layer for layer in (of_tile, of_time) if layer is not None]
    y, pairs = _gradients(subject, question, rows, layers)
    first = subject.sample.first_waveform
    offset = np.concatenate([[0], np.cumsum(first[rows + 1] - first[rows])])
    channels, weights = np.zeros((len(rows), n, n, 0)), np.zeros((len(rows), 0))
    tile, along = np.full((len(rows), n, n), np.nan), np.zeros((offset[-1], 0))
    ends = np.zeros(0)
    if of_tile is not None:
        activation, gradient = (part.reshape(len(rows), n * n, -1) for part in pairs[0])
        alpha, cam = class_activation(activation, gradient)
        channels = activation.reshape(len(rows), n, n, -1).cpu().numpy()
        weights, tile = alpha.cpu().numpy(), cam.reshape(len(rows), n, n).cpu().numpy()
    if of_time is not None:
        along = class_activation(*pairs[-1])[1].cpu().numpy()
        what = seen(subject, rows[:1] if first[rows[0] + 1] > first[rows[0]] else rows)
        field = receptive_field(network, of_time, what, np.random.default_rng(seed))[1]
        ends = pieces(field, what.waveform.shape[1])
    names = [layer.name if layer else "" for layer in (of_tile, of_time)]
    return Maps(rows, y, names[0], channels, weights, tile, names[1], offset, along, ends)
