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
from tashower.network.normalisation import normalise
from tashower.network.predict import Trained, explained_variance, outputs
from tashower.network.processes import Processes, mean_over
from tashower.network.sample import Sample, read_ahead, take_batch
from tashower.network.tiles import ORIENTATIONS
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


class Learner(NamedTuple):
    """What a step changes."""

    network: torch.nn.Module  #: as `processes.together` made it
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler


def seed_of(seed: int, name: str, epoch: int) -> np.random.SeedSequence:
    """Of one epoch of one network: by its name, so that the others do not matter."""
    of_name = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    return np.random.SeedSequence([seed, _SEED_TAG, of_name, epoch])


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


def train_epoch(learner: Learner, trained: Trained, sample: Sample, run: Run, epoch: int) -> float:
    """One pass over the training sample; returns the mean loss."""
    device = run.device
    learner.network.train()
    n_steps, made = batches(sample, run, epoch)
    total = 0.0
    task = f"train {run.name}: epoch {epoch + 1}"
    for batch, share in counted(task, made, n_steps, "steps", run.processes.first):
        batch = normalise(
            tuple(part.to(device) for part in batch), trained.normalisation, trained.event_features
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            output = learner.network(*batch[:4])
        loss = trained.head.loss(output, batch[4]) * share
        learner.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.network.parameters(), 1.0)
        learner.optimiser.step()
        learner.schedule.step()
        total += loss.item() / n_steps
    return mean_over(total, run.processes)


def validate(
    trained: Trained, validation: Sample, device: torch.device | str
) -> tuple[float, float]:
    """(loss, explained variance of the direction) on the validation sample."""
    targets = validation.targets / trained.normalisation["target_width"].cpu().numpy()
    output = outputs(trained, validation, device)
    mean = trained.head.predict(output)[0].numpy().astype(float)
    loss = trained.head.loss(output, torch.from_numpy(targets)).item()
    return loss, explained_variance(mean, targets)
