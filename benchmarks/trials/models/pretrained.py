"""The grid with an encoder whose weights come from a file (`trials.pretraining`)."""

import torch

from tashower.network.models.grid import model as grid


def model(inputs, *, encoder: str, **options):
    """The grid of these options; encoder : the file of weights."""
    network = grid(inputs, **options)
    network.encoder.load_state_dict(torch.load(encoder, weights_only=True))
    return network
