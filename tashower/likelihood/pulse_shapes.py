"""The shape of a waveform in seven numbers, and how they and the leading edge are distributed for a
signal at a place in a shower: a mixture density network (Bishop 1994, Aston University
NCRG/94/004) with full covariances.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.special import gammaincc
from torch.nn import functional

from tashower.events.model import Events, Pulses
from tashower.likelihood.training import adam, bent, on_one_core
from tashower.reconstruction.likelihood.shapes import INTERVALS, LINEAR, waveform_shapes

#: What describes a shape: ln of the times after the leading edge when half and nine tenths of the
#: light are there, and of area over peak [ns]; ln of the part of the light after LATE_FROM; ln of
#: the ratio of the layers, without its sign; ln of the number of peaks; ln of how far the waveform
#: goes below its pedestal [0.1 VEM per bin] (all of them ln(1 + x), or with an offset).
SHAPE_NUMBERS = (
    *("half of the light", "nine tenths", "area over peak", "late light"),
    *("ratio of the layers", "peaks", "below the pedestal"),
)
LATE_FROM = 980.0  # [ns] after the leading edge (choice)
#: Those of a hit: its reduced time, and SHAPE_NUMBERS.
N_NUMBERS = 1 + len(SHAPE_NUMBERS)
#: Parts of the mixture, neurons of a hidden layer, hits in a step, learning rate and steps
#: (choices).
_PARTS, _HIDDEN, _BATCH, _RATE, _STEPS = 4, 24, 512, 1e-2, 800
#: Times are ln(1 + t/20 ns) (choice: a bin of the Telescope Array); parts of the light have this
#: added before their logarithm (choice).
_TIME_UNIT, _LEAST_PART = 20.0, 1e-3
#: Narrowest part of the mixture, of the rms of a number, and farthest value in training (choices).
_NARROWEST, _FARTHEST = 0.15, 6.0
#: Noise that is added in training to inputs and numbers, of their rms, against learning hits by
#: heart (Bishop 1995, doi:10.1162/neco.1995.7.1.108; sizes are choices).
_NOISE = 0.2, 0.1
_INSIDE = 1e-4, 1.0 - 1e-4  # part of the distribution, so that no hit decides a sum (choice)


def shape_numbers(events: Events, pulses: Pulses) -> np.ndarray:
    """(n_hits, len(SHAPE_NUMBERS)) numbers; NaN without a leading edge, or waveforms."""
    if events.waveform is None:
        return np.full((events.n_hits, len(SHAPE_NUMBERS)), np.nan)
    light = LINEAR * np.expm1(
        waveform_shapes(events, pulses)[:, : len(INTERVALS) - 1].astype(float)
    )
    total = np.maximum(light.sum(axis=1), 1e-6)
    grown = np.concatenate([np.zeros((len(light), 1)), np.cumsum(light, axis=1)], axis=1)
    part = grown / total[:, None]
    columns = []
    for level in (0.5, 0.9):
        i = np.clip((part < level).sum(axis=1), 1, len(INTERVALS) - 1)
        row = np.arange(len(part))
        low, high = part[row, i - 1], part[row, i]
        inside = np.clip((level - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
        time = INTERVALS[i - 1] + inside * (INTERVALS[i] - INTERVALS[i - 1])
        columns.append(np.log1p(np.maximum(time - INTERVALS[0], 0.0) / _TIME_UNIT))
    columns.append(np.log1p(pulses.area_over_peak / _TIME_UNIT))
    late = light[:, np.searchsorted(INTERVALS, LATE_FROM) :].sum(axis=1) / total
    columns.append(np.log(late + _LEAST_PART))
    signal = np.maximum(pulses.signal, LINEAR)
    columns.append(np.abs(np.log(signal[:, 0] / signal[:, -1])))
    columns.append(np.log1p(pulses.n_peaks.mean(axis=1)))
    below = (events.pedestal - events.waveform.min(axis=1)) / events.counts_per_vem
    columns.append(np.log1p(np.maximum(below.mean(axis=1), 0.0) / LINEAR))
    found = np.stack(columns, axis=1)
    found[~np.isfinite(pulses.arrival_time)] = np.nan
    return found


class ShapeDensity(NamedTuple):
    """Inputs are five conditions, ln(signal/expected signal) and whether it is saturated."""

    low: np.ndarray  #: (7,) inputs are kept within these
    high: np.ndarray  #: (7,)
    mean: np.ndarray  #: (7,)
    width: np.ndarray  #: (7,)
    middle: np.ndarray  #: (N_NUMBERS,)
    spread: np.ndarray  #: (N_NUMBERS,)
    weights: tuple  #: of three layers, (weight, bias) each


def shape_inputs(
    conditions: np.ndarray, log_signal: np.ndarray, saturated: np.ndarray
) -> np.ndarray:
    """(n, 7) inputs of a `ShapeDensity`."""
    return np.column_stack([conditions, log_signal - conditions[:, 0], saturated])


def _parts(outputs: torch.Tensor) -> tuple:
    """(ln weights (n, K), means (n, K, D), lower triangular roots of the inverse covariances) of
    the network's outputs.
    """
    n, d = len(outputs), N_NUMBERS
    outputs = outputs.reshape(n, _PARTS, 1 + d + d * (d + 1) // 2)
    root = torch.zeros(n, _PARTS, d, d, dtype=outputs.dtype)
    row, column = torch.tril_indices(d, d, -1)
    root[:, :, row, column] = outputs[..., 1 + 2 * d :]
    log_inverse = torch.clamp(outputs[..., 1 + d : 1 + 2 * d], max=-np.log(_NARROWEST))
    root = root + torch.diag_embed(torch.exp(log_inverse))
    return torch.log_softmax(outputs[..., 0], 1), outputs[..., 1 : 1 + d], root


def _forward(layers, x: torch.Tensor) -> torch.Tensor:
    for weight, bias in layers[:-1]:
        x = bent(functional.linear(x, weight, bias))
    return functional.linear(x, *layers[-1])


class _Network(torch.nn.Module):
    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        outputs = _PARTS * (1 + N_NUMBERS + N_NUMBERS * (N_NUMBERS + 1) // 2)
        sizes = [(_HIDDEN, 7), (_HIDDEN, _HIDDEN), (outputs, _HIDDEN)]
        self.weights = torch.nn.ParameterList(
            torch.randn(size, generator=generator) * gain / size[1] ** 0.5
            for size, gain in zip(sizes, (1.0, 1.0, 0.1), strict=True)
        )
        self.biases = torch.nn.ParameterList(torch.zeros(size[0]) for size in sizes)
        with torch.no_grad():  # parts that begin alike stay alike
            self.biases[2].normal_(0.0, 0.3, generator=generator)

    def layers(self) -> list:
        """Pairs of weight and bias, as `_forward` takes them."""
        return list(zip(self.weights, self.biases, strict=True))


def train_shapes(
    inputs: np.ndarray, numbers: np.ndarray, seed: int, steps: int = _STEPS
) -> ShapeDensity:
    """The density of `numbers` (n, N_NUMBERS) for `inputs` (n, 7): Adam (Kingma and Ba 2015,
    arXiv:1412.6980); seed : of weights and order.
    """
    with on_one_core():
        low, high = np.quantile(inputs, [1e-3, 1.0 - 1e-3], axis=0)
        mean, width = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), 1e-3)
        middle = np.median(numbers, axis=0)
        spread = np.maximum(numbers.std(axis=0), 1e-2)
        x = torch.tensor((np.clip(inputs, low, high) - mean) / width).float()
        y = torch.tensor(np.clip((numbers - middle) / spread, -_FARTHEST, _FARTHEST)).float()
        generator = torch.Generator().manual_seed(seed)
        network = _Network(generator)
        step = adam(network, _RATE, steps)
        for _ in range(steps):
            i = torch.randint(len(x), (min(_BATCH, len(x)),), generator=generator)
            near, seen = (
                column[i] + rms * torch.randn(len(i), column.shape[1], generator=generator)
                for column, rms in zip((x, y), _NOISE, strict=True)
            )
            log_weight, m, root = _parts(_forward(network.layers(), near))
            white = ((seen[:, None] - m)[..., None, :] * root).sum(-1)
            log_volume = torch.diagonal(root, dim1=-2, dim2=-1).log().sum(-1)
            terms = log_weight + log_volume - 0.5 * (white * white).sum(-1)
            step(-torch.logsumexp(terms, 1).mean())
        layers = tuple((w.detach(), b.detach()) for w, b in network.layers())
    return ShapeDensity(low, high, mean, width, middle, spread, layers)


def shape_tails(
    density: ShapeDensity, inputs: np.ndarray, numbers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """((n,) sum over the parts of weight times the probability of a point as far out of the part,
    (n, N_NUMBERS) numbers where each of them alone is normally distributed); NaN where a number is.

    Of one part the first is the probability of a lower density; of several it is a measure of
    oddness alone, which `anomalies` calibrates.
    """
    with torch.no_grad(), on_one_core():
        x = (np.clip(inputs, density.low, density.high) - density.mean) / density.width
        y = torch.tensor((numbers - density.middle) / density.spread)
        layers = [(w.double(), b.double()) for w, b in density.weights]
        log_weight, m, root = _parts(_forward(layers, torch.tensor(x)))
        white = ((y[:, None] - m)[..., None, :] * root).sum(-1)
        distance, weight = (white * white).sum(-1).numpy(), log_weight.exp()
        inverse = torch.linalg.inv(root)
        width = (inverse * inverse).sum(-1).sqrt()
        below = (weight[..., None] * torch.special.ndtr((y[:, None] - m) / width)).sum(1)
        z = torch.special.ndtri(below.clamp(*_INSIDE)).numpy()
    tail = (weight.numpy() * gammaincc(0.5 * N_NUMBERS, 0.5 * distance)).sum(axis=1)
    return np.maximum(tail, 1e-300), z
