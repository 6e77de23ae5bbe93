"""Training of the ratio of waveforms, with torch, on one core: which of several showers made a hit,
when leading edge, signal and the shape of the waveform are known.

ln of the probability of candidate i is f_i - ln sum_j exp f_j, f = ln p(leading edge, signal |
shower) + ratio; the loss is minus that of the shower that did it. Whatever the candidates'
distribution, the best f is ln p(everything seen | shower), up to a function of what was seen.
"""

import numpy as np
import torch
from torch.nn import functional

from tashower.calibration.station_likelihood import LARGEST_RATIO, SEEN_RANGE, Ratio
from tashower.likelihood.hits import HitSample
from tashower.likelihood.training import adam, bent, on_one_core, short
from tashower.progress import blocks

#: Neurons of a hidden layer, and of the layer that only the shape goes through (choices).
HIDDEN, ENCODER = 48, 64
#: Hits in a step and largest learning rate (choices).
_BATCH, _RATE = 4096, 6e-3
#: Least rms of a number of the shape that it is divided by (choice).
_LEAST_WIDTH = 0.05


class _Network(torch.nn.Module):
    def __init__(self, sizes: tuple[int, int, int], generator: torch.Generator) -> None:
        super().__init__()
        n_shape, encoder, hidden = sizes

        def weight(rows, columns, gain=1.0):
            values = torch.randn(rows, columns, generator=generator)
            return torch.nn.Parameter(gain * values / columns**0.5)

        def bias(rows):
            return torch.nn.Parameter(torch.zeros(rows))

        self.shape_1, self.shape_bias_1 = weight(encoder, n_shape), bias(encoder)
        self.shape_2, self.shape_bias_2 = weight(hidden, encoder), bias(hidden)
        self.weight_1 = weight(hidden, 7)
        self.weight_2, self.bias_2 = weight(hidden, hidden), bias(hidden)
        self.weight_3 = weight(1, hidden, 0.1)

    def forward(self, shape: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """(n, m) ln ratios for (n, N_SHAPE) reduced shapes and (n, m, 7) inputs."""
        code = bent(functional.linear(shape, self.shape_1, self.shape_bias_1))
        code = functional.linear(code, self.shape_2, self.shape_bias_2)
        seen = 0.5 * torch.clamp(inputs[..., 5:], *SEEN_RANGE)
        x = torch.cat([inputs[..., :5], seen], dim=-1)
        x = bent(functional.linear(x, self.weight_1) + code[:, None])
        x = bent(functional.linear(x, self.weight_2, self.bias_2))
        x = functional.linear(x, self.weight_3)[..., 0]
        return LARGEST_RATIO * bent(x / LARGEST_RATIO)


def log_probabilities(log_density: torch.Tensor, ratio: torch.Tensor) -> torch.Tensor:
    """(n, m) ln of the probability of every candidate; both arguments (n, m)."""
    return torch.log_softmax(log_density + ratio, dim=1)


def train_ratio(sample: HitSample, epochs: float, seed: int) -> Ratio:
    """The ratio of a sample of hits: Adam (Kingma and Ba 2015, arXiv:1412.6980), one rise and one
    fall of the learning rate.

    Parameters
    ----------
    sample : all of it is trained on
    epochs : how often each hit is seen, on average
    seed : of weights and order
    """
    with on_one_core():
        return _train(sample, epochs, seed)


def _train(sample, epochs, seed):
    mean = sample.shape.mean(axis=0, dtype=float)
    width = np.maximum(sample.shape.std(axis=0, dtype=float), _LEAST_WIDTH)
    columns = [torch.from_numpy(column) for column in sample]
    generator = torch.Generator().manual_seed(seed)
    network = _Network((len(mean), ENCODER, HIDDEN), generator)
    middle, inverse = torch.tensor(mean).float(), torch.tensor(1.0 / width).float()
    n = len(sample.shape)
    batch = min(_BATCH, n)
    steps = max(int(epochs * n / batch), 2)
    step = adam(network, _RATE, steps)
    order, place = torch.randperm(n, generator=generator), 0
    for rows in blocks("train ratio of waveforms", steps, 100, "steps"):
        for _ in range(rows.start, rows.stop):
            if place + batch > n:
                order, place = torch.randperm(n, generator=generator), 0
            i = order[place : place + batch]
            place += batch
            shape, inputs, log_density = (column[i] for column in columns)
            ratio = network((shape - middle) * inverse, inputs)
            step(-log_probabilities(log_density, ratio)[:, 0].mean())
    found = {name: short(value) for name, value in network.named_parameters()}
    found["weight_3"] = found["weight_3"][0]
    return Ratio(mean=short(torch.tensor(mean)), width=short(torch.tensor(width)), **found)
