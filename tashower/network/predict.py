"""What a trained network says about a sample."""

from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch

from tashower.network.normalisation import normalise
from tashower.network.sample import Sample, take_batch
from tashower.network.tiles import TARGETS, target_matrix
from tashower.progress import counted


class Trained(NamedTuple):
    """A network and what is needed to ask it."""

    network: torch.nn.Module
    head: ModuleType  #: of `tashower.network.heads`
    normalisation: dict  #: of `normalisation.measure`, on the network's device
    event_features: bool  #: whether it reads them


def explained_variance(predicted: np.ndarray, targets: np.ndarray) -> float:
    """1 - sum Var(true - predicted) / sum Var(true) of the direction cosines; (n, 5) arrays."""
    return float(
        1.0 - (targets - predicted)[:, :2].var(axis=0).sum() / targets[:, :2].var(axis=0).sum()
    )


@torch.no_grad()
def outputs(
    trained: Trained,
    sample: Sample,
    device: torch.device | str,
    orientation: int = 0,
    batch_size: int = 1024,
) -> torch.Tensor:
    """Outputs (n, n_outputs) of the network, float32 on the CPU, for tiles in one orientation."""
    trained.network.eval()
    parts = []
    for first in range(0, len(sample.rows), batch_size):
        rows = np.arange(first, min(first + batch_size, len(sample.rows)))
        *batch, _ = normalise(
            take_batch(sample, rows, orientation, device),
            trained.normalisation,
            trained.event_features,
        )
        parts.append(trained.network(*batch).float().cpu())
    return torch.cat(parts) if parts else torch.zeros(0, trained.head.n_outputs(len(TARGETS)))


def predict(
    trained: Trained, sample: Sample, device: torch.device | str, orientations: Sequence[int] = (0,)
) -> tuple[np.ndarray, np.ndarray | None]:
    """Normalised corrections (n, 5) and their covariance (n, 5, 5), None where the head has none:
    means over the given orientations of the tile, turned back.

    The error of the mean correction is smaller than the mean covariance says by the spread of the
    corrections over the orientations; that is not taken away (choice).
    """
    total, spread = np.zeros((len(sample.rows), len(TARGETS))), None
    for orientation in counted("apply", orientations, len(orientations), "orientations"):
        # Orthogonal: right-multiplication turns back.
        back = target_matrix(orientation, sample.kind)
        mean, covariance = trained.head.predict(outputs(trained, sample, device, orientation))
        total += mean.numpy() @ back
        if covariance is not None:
            spread = (0.0 if spread is None else spread) + back.T @ covariance.numpy() @ back
    n = len(orientations)
    return total / n, None if spread is None else spread / n
