"""What a network costs: parameters, and multiply-adds for an event."""

from typing import NamedTuple

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tashower.errors import InputError
from tashower.network.checkpoint import build_network, inputs_of, load_checkpoint
from tashower.network.contracts import ModelInputs
from tashower.types import FilePath

#: Hit stations of the event that multiply-adds are counted for: the mean of the events of the
#: default configuration, in a tile of 6 x 6 (19.2 in 12,828 of them).
HITS = 19


class Cost(NamedTuple):
    """What a network costs."""

    parameters: int  #: that are trained; with those of an auxiliary head
    multiply_adds: int  #: for an event with HITS hit stations, in one orientation


def multiply_adds(network: torch.nn.Module, inputs: ModelInputs, hits: int = HITS) -> int:
    """Multiplications with additions for one event, as the network is applied: of all matrix
    products, convolutions and attention, counted by torch.utils.flop_counter, which sees every
    operation that runs (half of its operations). Zeros beyond the border count; what is done for
    each number by itself (normalisation, ReLU, means) does not.

    hits : stations with a waveform, at most those of the tile
    """
    n = inputs.tile**2
    hits = min(hits, n) if inputs.waveforms else 0
    batch = (
        torch.zeros(1, inputs.tile, inputs.tile, len(inputs.station_features)),
        torch.zeros(1, len(inputs.event_features)),
        torch.zeros(hits, inputs.n_bins, inputs.n_layers),
        torch.arange(hits),
    )
    counter = FlopCounterMode(display=False)
    # Attention as matrix products: its fused kernel for CPUs is none that the counter knows.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        network.eval()(*batch)
    return counter.get_total_flops() // 2


def cost_of(path: FilePath, model: str, options: dict) -> Cost:
    """The cost of the network in a checkpoint.

    Parameters
    ----------
    model, options : those that it has to have, of the configuration of its scores

    Raises
    ------
    InputError : no checkpoint, or that of another network.
    """
    content = load_checkpoint(path)
    if (content["model"]["form"], content["options"]) != (model, options):
        raise InputError(f"{path}: is another network than the one that was scored")
    network = build_network(content, path, "cpu")
    parameters = sum(p.numel() for p in network.parameters())
    return Cost(parameters, multiply_adds(network, inputs_of(content)))
