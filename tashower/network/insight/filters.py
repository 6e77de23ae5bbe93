"""Filters of the first layer of a waveform encoder, and the pulses that excite each most."""

from typing import NamedTuple

import numpy as np
import torch

from tashower.network.insight.layers import (
    Layer,
    by_place,
    kept_output,
    receptive_field,
    waveform_layers,
)
from tashower.network.insight.subject import Subject, seen
from tashower.progress import blocks

#: Events in a batch (choice: memory).
_BATCH = 256


class Filters(NamedTuple):
    """Filters, the strongest first: by the largest output that a pulse of the sample gets."""

    layer: str  #: name of the layer
    weight: np.ndarray  #: (C, K, L) per ln(1 + VEM) and bin
    channel: np.ndarray  #: (C,) which output of the layer each is
    hit: np.ndarray  #: (C, k) hits that excite it most, rows of the sample's waveforms
    first: np.ndarray  #: (C, k) bin of the waveform at which the filter begins there
    output: np.ndarray  #: (C, k) of the layer; with its constant


def _strongest(subject: Subject, layer: Layer, n_pulses: int) -> tuple:
    """(output (C, k), hit, place) of the strongest outputs of every channel, one for each hit."""
    best: tuple | None = None
    begin = subject.sample.first_waveform
    for part in blocks("explain: pulses", subject.n, _BATCH):
        rows = np.arange(part.start, part.stop)
        if begin[part.stop] == begin[part.start]:
            continue
        with torch.no_grad(), kept_output(layer) as outputs:
            subject.trained.network(*seen(subject, rows))
        value, place = by_place(layer, outputs[-1]).max(dim=1)  # (h, C)
        hit = torch.arange(begin[part.start], begin[part.stop])[:, None].expand(value.shape)
        found = [value.T.cpu(), hit.T, place.T.cpu()]
        if best is not None:
            found = [torch.cat(pair, dim=1) for pair in zip(best, found, strict=True)]
        order = found[0].argsort(dim=1, descending=True)[:, :n_pulses]
        best = tuple(part.gather(1, order) for part in found)
    return tuple(part.numpy() for part in best)


def first_filters(subject: Subject, n_pulses: int = 3, seed: int = 0) -> Filters | None:
    """The filters of the first layer that sees waveforms; None where a network has none, or the
    sample no hit.

    n_pulses : k, pulses of the sample for each filter, each of another hit
    """
    begin = subject.sample.first_waveform
    with_hit = np.flatnonzero(np.diff(begin))[:4]
    if not len(with_hit):
        return None
    what = seen(subject, with_hit)
    layers = waveform_layers(subject.trained.network, what)
    if not layers:
        return None
    layer = layers[0]
    rng = np.random.default_rng(seed)
    gradient, field = receptive_field(subject.trained.network, layer, what, rng)
    # A place whose field is whole: at the ends filters are cut by the padding.
    length = field[:, 1] - field[:, 0]
    middle = int(np.argmax(length == length.max()))
    width = subject.trained.normalisation["waveform_width"].cpu().numpy()
    weight = gradient[middle][:, slice(*field[middle])] / width
    output, hit, place = _strongest(subject, layer, n_pulses)
    # Where the filter begins: ends that are cut lie before the first bin.
    first = np.where(field[place, 0] > 0, field[place, 0], field[place, 1] - length.max())
    order = np.argsort(-output[:, 0], kind="stable")
    parts = (weight, np.arange(len(weight)), hit, first, output)
    return Filters(layer.name, *(part[order] for part in parts))
