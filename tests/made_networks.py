"""Small networks with random weights and samples of random content, for several test files."""

import re
from pathlib import Path

import numpy as np
import torch

from tashower.network.contracts import ModelInputs, build_model, find_model
from tashower.network.sample import Sample
from tashower.network.tiles import STATION_FEATURES, TARGETS, Tiles
from tashower.reconstruction.features import EVENT_FEATURES

N, T = 4, 32
#: Options that make the built-in models small.
SMALL = {
    "grid": {"waveform_channels": 8, "station_channels": 8, "grid_layers": 1, "dense_channels": 16},
    "set": {"waveform_channels": 8, "station_channels": 8, "attention_layers": 1, "heads": 2},
}
DOC = Path(__file__).resolve().parents[1] / "docs" / "own_network.md"
#: The file of docs/own_network.md.
USERS = re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)[0]


def described(features=True, waveforms=True, lattice="square", outputs=5):
    """What a network of a tile of N x N sees, with T bins of two layers."""
    names = tuple(EVENT_FEATURES) if features else ()
    return ModelInputs(N, T, 2, STATION_FEATURES, names, waveforms, lattice, outputs)


def built(form, inputs):
    """The module of a model, with random weights."""
    torch.manual_seed(2)
    network = build_model(find_model(form), inputs, SMALL.get(form, {}))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


def random_sample(rng, n=40, kind="square"):
    """Events with three waveforms each."""
    cells = rng.normal(size=(n, N, N, len(STATION_FEATURES))).astype(np.float32)
    for mask in ("exists", "working", "hit", "timed"):
        cells[..., STATION_FEATURES.index(mask)] = 1.0
    waveform = rng.normal(size=(3 * n, T, 2)).astype(np.float16)
    tiles = Tiles(cells, waveform, np.repeat(np.arange(n), 3), np.tile([1, 5, 14], n))
    features = rng.normal(size=(n, len(EVENT_FEATURES))).astype(np.float32)
    targets = rng.normal(size=(n, len(TARGETS))).astype(np.float32)
    return Sample(tiles, features, targets, np.arange(n + 1) * 3, np.arange(n), kind)


def normalisation():
    """Of random content: nothing is 0 or 1, and vectors can be turned."""
    mean = torch.full((len(STATION_FEATURES),), 0.3)
    mean[[STATION_FEATURES.index(name) for name in ("x", "y", "axis_x", "axis_y")]] = 0.0
    return {
        "station_mean": mean,
        "station_width": torch.full((len(STATION_FEATURES),), 1.3),
        "event_mean": torch.full((len(EVENT_FEATURES),), 0.2),
        "event_width": torch.full((len(EVENT_FEATURES),), 1.2),
        "target_width": torch.tensor([0.01, 0.01, 50.0, 50.0, 0.1]),
        "waveform_width": torch.tensor([1.1]),
    }
