"""Training of generators: one loop for all kinds, with progress, and a state to go on from."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from tashower.config import Config, GeneratorSettings, as_dict
from tashower.errors import InputError
from tashower.generation.checkpoint import module_of, save_generator
from tashower.io.hdf5 import made_from
from tashower.io.stages import code_of_stage, stated
from tashower.network.checkpoint import choose_device, write_history
from tashower.network.epoch import seed_of
from tashower.network.state import load_state, save_state
from tashower.types import FilePath

_log = logging.getLogger("tashower")


class Asked(NamedTuple):
    """One training: what is to be learned from which files."""

    name: str
    config: Config
    settings: GeneratorSettings
    device: torch.device
    train: tuple[Path, ...]  #: event files
    validation: tuple[Path, ...]

    def rng(self, epoch: int) -> np.random.Generator:
        """Random numbers of an epoch (1, 2, ...); 0: of what comes before the first."""
        return np.random.default_rng(seed_of(self.config.seed, self.name, epoch))


class Learning(NamedTuple):
    """A training that has begun: what `begin(asked)` of a kind's module gives."""

    #: Everything that changes and has a `state_dict`; "network" is what the checkpoint keeps.
    parts: dict[str, Any]
    #: One pass (1, 2, ...), which leaves its losses by name: "train_loss", "validation_loss", and
    #: what else is worth a curve. Its random numbers are `asked.rng(epoch)`'s, so that a training
    #: that goes on ends as one that was never interrupted.
    epoch: Callable[[int], dict[str, float]]
    content: dict  #: of the checkpoint, but for the weights; with `array`
    best: bool = True  #: kept are the weights of the lowest validation loss; else the last


def train_generator(
    config: Config,
    name: str,
    train_events: Sequence[FilePath],
    validation_events: Sequence[FilePath],
    output: FilePath,
) -> None:
    """Train one generator of `config.generators`; write its checkpoint to `output` and the curve to
    history.json beside it.

    After every epoch the state goes to a file beside the checkpoint: a killed training that is
    started again with the same configuration, files and code goes on from there and ends with the
    same weights; else it starts anew.

    Raises
    ------
    InputError : files without truth or with nothing to learn from, a loss that is not finite.
    """
    settings = config.generators[name]
    torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    paths = [Path(path) for path in (*train_events, *validation_events)]
    inputs = made_from(paths)
    n = len(train_events)
    asked = Asked(name, config, settings, device, tuple(paths[:n]), tuple(paths[n:]))
    learning = module_of(settings.kind).begin(asked)
    how = stated("train-generator", as_dict(config), name)
    best, history = _epochs(learning, asked, inputs, Path(output))
    weights = best["weights"] if learning.best else learning.parts["network"].state_dict()
    write_history(Path(output).with_name("history.json"), history, how, inputs)
    content = {
        "kind": settings.kind,
        "name": name,
        "options": dict(settings.options),
        **learning.content,
        "made_from": inputs,
        **how,
        "weights": {key: value.detach().cpu() for key, value in weights.items()},
        "epoch": best["epoch"] if learning.best else len(history),
    }
    save_generator(output, content)
    _state_path(output).unlink(missing_ok=True)


def _state_path(output: FilePath) -> Path:
    return Path(f"{output}.state")


def _identity(asked: Asked, inputs: list) -> dict:
    """What a state must agree in for the training to go on from it."""
    settings = json.loads(json.dumps(asdict(asked.settings)))
    kind = {"generators": {asked.name: {"kind": asked.settings.kind}}}
    return {
        "configuration": [asked.config.seed, asked.name, settings],
        "code": code_of_stage("train-generator", kind),
        "inputs": inputs,
    }


def _epochs(learning: Learning, asked: Asked, inputs: list, output: Path) -> tuple[dict, list]:
    """Epoch after epoch; returns (best epoch, its loss and weights; the curve)."""
    path, identity = _state_path(output), _identity(asked, inputs)
    best, history, said = load_state(path, identity, learning.parts, asked.device)
    if said:
        _log.info(f"train {asked.name}: {said}")
    while len(history) < asked.settings.epochs:
        epoch, started = len(history) + 1, time.monotonic()
        losses = learning.epoch(epoch)
        if not np.isfinite(list(losses.values())).all():
            raise InputError(
                f"train {asked.name}: the loss is not finite in epoch {epoch};"
                f" lower generators.{asked.name}.learning_rate"
            )
        seconds = time.monotonic() - started
        history.append({"epoch": epoch, **losses, "seconds": seconds})
        if losses["validation_loss"] < best["loss"]:
            network = learning.parts["network"]
            weights = {k: v.detach().clone() for k, v in network.state_dict().items()}
            best = {"loss": losses["validation_loss"], "weights": weights, "epoch": epoch}
        text = ", ".join(f"{key.replace('_', ' ')} {value:.4f}" for key, value in losses.items())
        total = asked.settings.epochs
        _log.info(f"train {asked.name}: epoch {epoch}/{total}, {text}, {seconds:.0f} s")
        save_state(path, identity, learning.parts, best, history)
    return best, history
