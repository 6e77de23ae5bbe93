"""Normalisation of inputs and targets, from the training sample only, kept in the checkpoint."""

import warnings

import numpy as np
import torch

from tashower.network.sample import Sample
from tashower.network.targets import PREDICTED
from tashower.network.tiles import WITH_SCORES
from tashower.reconstruction.likelihood.station_scores import STATION_SCORES

#: Station features that are masks and stay as they are.
_MASKS = ("exists", "working", "hit", "timed", "saturated")
#: Station features that only a hit has; their statistics leave out the other cells.
_OF_HITS = (
    "log_upper",
    "log_lower",
    "signal_residual",
    "plane_time",
    "front_residual",
    "relative_residual",
    "window_start",
    *STATION_SCORES,
)


def measure(sample: Sample) -> dict[str, torch.Tensor]:
    """Means and widths.

    Station features: mean and rms over the cells that have them; x and y and the axis keep mean 0
    and share one width, so that they can be turned. Event features: median and interquartile range,
    NaN left out. Waveforms: one rms. Targets: rms, the same for both components of a vector, mean
    0; of targets that are no corrections mean and rms around it.
    """
    every = max(1, len(sample.rows) // 1_000_000)  # of a huge sample, a part says as much
    cells = sample.tiles.cells
    flat = cells.reshape(-1, cells.shape[-1])[:: max(1, len(cells) // 5000)]
    names = WITH_SCORES[: cells.shape[-1]]
    mean, width = np.zeros(len(names)), np.ones(len(names))
    for i, name in enumerate(names):
        if name in _MASKS:
            continue
        of = flat[:, names.index("hit" if name in _OF_HITS else "exists")] > 0
        vector = name in ("x", "y", "axis_x", "axis_y")
        mean[i] = 0.0 if vector else flat[of, i].mean()
        width[i] = np.sqrt(np.mean((flat[of, i] - mean[i]) ** 2))
    for a, b in (("x", "y"), ("axis_x", "axis_y")):
        i, j = names.index(a), names.index(b)
        width[[i, j]] = np.sqrt(0.5 * (width[i] ** 2 + width[j] ** 2))
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a feature that no event has
        low, middle, high = np.nanquantile(
            sample.event_features[::every], [0.25, 0.5, 0.75], axis=0
        )
    of, targets = PREDICTED[sample.predicts], sample.targets[::every].astype(float)
    middle_of = targets.mean(axis=0) if of.centred else np.zeros(targets.shape[1])
    target = np.sqrt(np.mean((targets - middle_of) ** 2, axis=0))
    for pair in map(list, of.vectors):
        target[pair] = np.sqrt(np.mean(target[pair] ** 2))
    some = sample.tiles.waveform[:20_000].astype(np.float32)
    values = {
        "station_mean": mean,
        "station_width": np.maximum(width, 1e-6),
        "event_mean": np.nan_to_num(middle),
        "event_width": np.maximum(np.nan_to_num(high - low), 1e-6),
        "target_mean": middle_of,
        "target_width": np.maximum(target, 1e-12),
        "waveform_width": np.array([np.sqrt(np.mean(some**2)) if some.size else 1.0]),
    }
    return {name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()}


def normalised_targets(targets: torch.Tensor, norm: dict[str, torch.Tensor]) -> torch.Tensor:
    """(n, k) targets less their mean, over their width; checkpoints of older versions, whose
    networks correct, have no mean.
    """
    return (targets - norm.get("target_mean", 0.0)) / norm["target_width"]


def in_units(
    found: np.ndarray, covariance: np.ndarray | None, norm: dict[str, torch.Tensor]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Normalised answers (n, k) and their covariance (n, k, k) in the units of the targets."""
    width = norm["target_width"].cpu().numpy()
    mean = norm["target_mean"].cpu().numpy() if "target_mean" in norm else 0.0
    spread = None if covariance is None else covariance * np.outer(width, width)
    return found * width + mean, spread


def normalise(batch: tuple, norm: dict[str, torch.Tensor], event_features: bool) -> tuple:
    """(cells, event features, waveform, place, targets) of `take_batch`, normalised.

    What a cell does not have stays 0. Event features are compressed (arcsinh), NaN becomes 0, the
    median; without event features their tensor is (b, 0).
    """
    cells, features, waveform, place, targets = batch
    names = WITH_SCORES[: cells.shape[-1]]
    hit = cells[..., names.index("hit"), None]
    exists = cells[..., names.index("exists"), None]
    of_hits = torch.tensor([name in _OF_HITS for name in names], device=cells.device)
    cells = (
        (cells - norm["station_mean"]) / norm["station_width"] * torch.where(of_hits, hit, exists)
    )
    features = torch.nan_to_num(
        torch.asinh((features - norm["event_mean"]) / norm["event_width"]), nan=0.0
    )
    if not event_features:
        features = features[:, :0]
    if targets is not None:
        targets = normalised_targets(targets, norm)
    return cells, features, waveform / norm["waveform_width"], place, targets
