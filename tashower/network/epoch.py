"""One pass over the training sample, and one over the validation sample."""

import hashlib
import logging
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch

from tashower.config import NetworkSettings
from tashower.network.contracts import Model
from tashower.network.normalisation import normalise, normalised_targets
from tashower.network.optimisation import (
    averages_epoch,
    measure_normalisations,
    penalty,
    prepare_gradients,
)
from tashower.network.predict import Trained, explained_variance, outputs
from tashower.network.processes import Processes, mean_over
from tashower.network.sample import Sample, read_ahead, take_batch
from tashower.network.targets import PREDICTED, Targets
from tashower.network.tiles import ORIENTATIONS, STATION_FEATURES
from tashower.progress import counted

_SEED_TAG = 777  # keeps these streams apart from those of the simulation

_log = logging.getLogger("tashower")


class Run(NamedTuple):
    """One training: which network, and where."""

    name: str
    seed: int  #: of the configuration
    settings: NetworkSettings
    model: Model
    head: ModuleType  #: of `tashower.network.heads`
    device: torch.device
    processes: Processes

    @property
    def targets(self) -> Targets:
        """What it learns to predict."""
        return PREDICTED[self.settings.predicts]


class Learner(NamedTuple):
    """What a step changes."""

    network: torch.nn.Module  #: as `processes.together` made it
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler  #: asked after every step
    #: Told the validation loss after every epoch.
    plateau: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
    average: torch.optim.swa_utils.AveragedModel | None = None


def seed_of(seed: int, name: str, epoch: int) -> np.random.SeedSequence:
    """Of one epoch of one network: by its name, so that the others do not matter."""
    of_name = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    return np.random.SeedSequence([seed, _SEED_TAG, of_name, epoch])


def half_precision(run: Run) -> bool:
    """Whether the products of a step are bfloat16."""
    wanted = run.settings.training.precision
    return wanted == "bfloat16" or (wanted == "auto" and run.device.type == "cuda")


def say(run: Run, text: str) -> None:
    """A line of what the training does, once for all its processes."""
    if run.processes.first:
        _log.info(f"train {run.name}: {text}")


def batches(sample: Sample, run: Run, epoch: int) -> tuple[int, Iterator[tuple[tuple, float]]]:
    """(number of steps, (batch on the CPU, share of this process in the step) of each) of an epoch:
    all events in random order, each step in a random orientation. Every process gets its part of
    each step.
    """
    settings, processes = run.settings.training, run.processes
    rng = np.random.default_rng(seed_of(run.seed, run.name, epoch))
    torch.manual_seed(int(rng.integers(2**62)) + processes.rank)  # dropout
    order, equal = rng.permutation(len(sample.rows)), ORIENTATIONS[sample.kind]
    steps = np.array_split(order, max(1, len(order) // settings.batch_size))
    items = [(rows, int(rng.choice(equal)) if settings.augment else 0) for rows in steps]

    def make(item):
        rows, orientation = item
        own = np.sort(rows[processes.rank :: processes.world])
        return take_batch(sample, own, orientation, "cpu"), len(own) * processes.world / len(rows)

    return len(items), read_ahead(make, items)


def _fitted(cells):
    """(b, 2) direction cosines of the fit, from tiles (b, N, N, F) as they are: every cell that
    exists has them.
    """
    exists, x, y = (STATION_FEATURES.index(name) for name in ("exists", "axis_x", "axis_y"))
    n = cells[..., exists].sum((1, 2))
    return cells[..., [x, y]].sum((1, 2)) / (n + (n == 0))[:, None]


def loss_of(
    trained: Trained, output: torch.Tensor, targets: torch.Tensor, cells: torch.Tensor | np.ndarray
) -> torch.Tensor:
    """The head's loss of outputs and normalised targets; cells : tiles, not normalised."""
    if not getattr(trained.head, "on_sphere", False):
        return trained.head.loss(output, targets)
    fitted = torch.as_tensor(_fitted(cells), device=output.device)
    width = trained.normalisation["target_width"][0].to(output.device)
    return trained.head.loss(output, targets, fitted, width)


def train_epoch(learner: Learner, trained: Trained, sample: Sample, run: Run, epoch: int) -> float:
    """One pass over the training sample; returns the mean loss, without the penalty."""
    device, settings = run.device, run.settings.training
    learner.network.train()
    n_steps, made = batches(sample, run, epoch)
    total = 0.0
    task = f"train {run.name}: epoch {epoch + 1}"
    for batch, share in counted(task, made, n_steps, "steps", run.processes.first):
        raw = tuple(part.to(device) for part in batch)
        batch = normalise(raw, trained.normalisation, trained.event_features)
        with torch.autocast(device.type, torch.bfloat16, enabled=half_precision(run)):
            output = learner.network(*batch[:4])
        output, auxiliary = output if isinstance(output, tuple) else (output, 0.0)
        loss = (loss_of(trained, output, batch[4], raw[0]) + auxiliary) * share
        learner.optimiser.zero_grad(set_to_none=True)
        (loss + penalty(trained.network, settings)).backward()
        prepare_gradients(trained.network.parameters(), settings)
        learner.optimiser.step()
        learner.schedule.step()
        if settings.averaging.name == "ema":
            learner.average.update_parameters(trained.network)
        total += loss.item() / n_steps
    return mean_over(total, run.processes)


def end_epoch(learner: Learner, trained: Trained, sample: Sample, run: Run, epoch: int) -> Trained:
    """What is judged and kept after an epoch: the network, or its average where there is one."""
    average, settings = learner.average, run.settings.training
    if averages_epoch(settings, epoch):
        average.update_parameters(trained.network)
        ready = (
            normalise(
                (*(part.to(run.device) for part in batch[:4]), None),
                trained.normalisation,
                trained.event_features,
            )[:4]
            for batch, _ in batches(sample, run, epoch)[1]
        )
        measure_normalisations(average.module, ready)
    elif settings.averaging.name != "ema":
        return trained
    return trained._replace(network=average.module)


def validate(
    trained: Trained, validation: Sample, device: torch.device | str
) -> tuple[float, float]:
    """(loss, explained variance of what is shown of the targets) on the validation sample."""
    norm = {key: value.cpu() for key, value in trained.normalisation.items()}
    targets = normalised_targets(torch.from_numpy(np.array(validation.targets)), norm)
    output = outputs(trained, validation, device)
    mean = trained.head.predict(output)[0].numpy().astype(float)
    loss = loss_of(trained, output, targets, validation.tiles.cells).item()
    return loss, explained_variance(mean, targets.numpy(), PREDICTED[validation.predicts])
