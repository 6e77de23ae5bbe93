"""What a trained network says about a sample."""

from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import ndtri
from scipy.stats import qmc

from tashower.events.regions import LEVELS, radius, squared_distance
from tashower.network.normalisation import normalise, normalised_targets
from tashower.network.sample import Sample, read_ahead, take_batch
from tashower.network.targets import CORRECTION, PREDICTED, Targets
from tashower.network.temperature import temperature
from tashower.network.tiles import ORIENTATIONS, target_matrix
from tashower.network.turns import Turns
from tashower.progress import counted

#: Points by which the regions of a density are found, two to this power (choice: the part of one
#: event's density within is right to two per cent, of many events on average to far less).
_POINTS = 9
_BLOCK = 512  # events at a time


class Trained(NamedTuple):
    """A network and what is needed to ask it."""

    network: torch.nn.Module
    head: ModuleType  #: of `tashower.network.heads`
    normalisation: dict  #: of `normalisation.measure`, on the network's device
    event_features: bool  #: whether it reads them


def explained_variance(
    predicted: np.ndarray, targets: np.ndarray, of: Targets = CORRECTION
) -> float:
    """1 - sum Var(true - predicted) / sum Var(true) of what is shown of the targets, of corrections
    the direction cosines; (n, k) arrays.
    """
    at = slice(of.shown_places[0], of.shown_places[-1] + 1)
    return float(
        1.0 - (targets - predicted)[:, at].var(axis=0).sum() / targets[:, at].var(axis=0).sum()
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
    n_targets = len(PREDICTED[sample.predicts].names)
    return torch.cat(parts) if parts else torch.zeros(0, trained.head.n_outputs(n_targets))


@torch.no_grad()
def turned_outputs(
    trained: Trained,
    sample: Sample,
    device: torch.device | str,
    orientations: Sequence[int],
    batch_size: int = 64,
) -> torch.Tensor:
    """Outputs (k, n, n_outputs) of the network, float32 on the CPU, for tiles in k orientations.

    Of a batch of events all orientations are asked for at once; the batch is small because k of
    them have to fit into a processor's cache.
    """
    trained.network.eval()
    n, tile = len(sample.rows), sample.tiles.cells.shape[1]
    n_features = sample.tiles.cells.shape[-1]
    turns = Turns(trained.network, orientations, tile, sample.kind, n_features).to(device)
    n_outputs = trained.head.n_outputs(len(PREDICTED[sample.predicts].names))
    found = torch.zeros(len(orientations), n, n_outputs)
    starts = range(0, n, batch_size)

    def make(first):
        return take_batch(sample, np.arange(first, min(first + batch_size, n)), 0, device)

    made = read_ahead(make, starts)
    for first, raw in zip(starts, counted("apply", made, len(starts), "batches"), strict=True):
        *batch, _ = normalise(raw, trained.normalisation, trained.event_features)
        found[:, first : first + batch_size] = turns(*batch).float().cpu()
    return found


def predict(
    trained: Trained, sample: Sample, device: torch.device | str, orientations: Sequence[int] = (0,)
) -> tuple[np.ndarray, np.ndarray | None]:
    """Normalised answers (n, k) and their covariance (n, k, k), None where the head has none: means
    over the given orientations of the tile, turned back.

    The error of the mean answer is smaller than the mean covariance says by the spread of the
    answers over the orientations; that is not taken away (choice).
    """
    of = PREDICTED[sample.predicts]
    total, spread = np.zeros((len(sample.rows), len(of.names))), None
    found = turned_outputs(trained, sample, device, orientations)
    for orientation, output in zip(orientations, found, strict=True):
        # Orthogonal: right-multiplication turns back.
        back = target_matrix(orientation, sample.kind, of)
        mean, covariance = trained.head.predict(output)
        total += mean.numpy() @ back
        if covariance is not None:
            spread = (0.0 if spread is None else spread) + back.T @ covariance.numpy() @ back
    n = len(orientations)
    return total / n, None if spread is None else spread / n


def _normal_points(n_targets: int) -> torch.Tensor:
    """(k, n_targets) points that are as even as points can be under a normal density (Sobol)."""
    even = qmc.Sobol(n_targets, scramble=False).random_base2(_POINTS) + 0.5 ** (_POINTS + 1)
    return torch.from_numpy(ndtri(even))


def _radii(
    head: ModuleType, output: torch.Tensor, points: torch.Tensor, of: Targets = CORRECTION
) -> dict[str, np.ndarray]:
    """{block: (b, len(LEVELS))} of the densities of some events."""
    mean, covariance = (part.numpy() for part in head.predict(output))
    offset = head.draw(output, points).numpy() - mean[:, None]
    found = {}
    for block, places in of.blocks.items():
        at = list(places)
        square = squared_distance(offset[..., at], covariance[:, None][..., at, :][..., at])
        of_levels = np.sqrt(np.quantile(square, LEVELS, axis=1)).T
        found[block] = of_levels / radius(np.array(LEVELS), len(at))
    return found


def regions(
    trained: Trained, sample: Sample, device: torch.device | str, orientations: Sequence[int] = (0,)
) -> dict[str, np.ndarray] | None:
    """{block: (n, len(LEVELS))} how far out the ellipses of the covariance lie that hold LEVELS of
    the density, over those of a normal distribution: means over the orientations. None where the
    head's density is normal, or there is none.
    """
    if not hasattr(trained.head, "draw"):
        return None
    of = PREDICTED[sample.predicts]
    points, n = _normal_points(len(of.names)), len(sample.rows)
    total = {block: np.zeros((n, len(LEVELS))) for block in of.blocks}
    for output in turned_outputs(trained, sample, device, orientations):
        for first in range(0, n, _BLOCK):
            rows = slice(first, first + _BLOCK)
            for block, found in _radii(trained.head, output[rows], points, of).items():
                total[block][rows] += found / len(orientations)
    return total


def temperature_of(
    trained: Trained, sample: Sample, device: torch.device | str
) -> dict[str, float] | None:
    """`temperature.temperature` of a sample with targets, of what the network says as it is
    applied: the mean over the orientations. None where it states no errors.
    """
    equal = ORIENTATIONS[sample.kind]
    if trained.head.predict(outputs(trained, sample, device)[:1])[1] is None:
        return None
    found, covariance = predict(trained, sample, device, equal)
    norm = {key: value.cpu() for key, value in trained.normalisation.items()}
    targets = normalised_targets(torch.from_numpy(np.array(sample.targets)), norm).numpy()
    radii = regions(trained, sample, device, equal)
    blocks = PREDICTED[sample.predicts].blocks
    return temperature(targets - found, covariance, radii, blocks)
