"""Training: one readable loop."""

import json
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from tashower.config import Config, NetworkSettings, as_dict
from tashower.errors import InputError
from tashower.io.hdf5 import made_from
from tashower.io.stages import code_of_stage, stated
from tashower.network.checkpoint import (
    array_description,
    check_array,
    choose_device,
    save_checkpoint,
    write_history,
)
from tashower.network.contracts import (
    ModelInputs,
    build_model,
    check_options,
    find_head,
    find_model,
)
from tashower.network.epoch import Learner, Run, say, seed_of, train_epoch, validate
from tashower.network.normalisation import measure
from tashower.network.predict import Trained
from tashower.network.processes import join_processes, leave_processes, together, told
from tashower.network.sample import Sample, map_sample, read_sample, store_sample
from tashower.network.state import load_state, save_state
from tashower.network.tiles import STATION_FEATURES, TARGETS
from tashower.reconstruction.features import EVENT_FEATURES
from tashower.types import FilePath

#: Part of the steps over which the learning rate rises.
WARM_UP = 0.1


def _samples(settings: NetworkSettings, events_paths, fits_paths, arrays: list) -> Iterator[Sample]:
    """The samples of the files, one by one; `arrays` gets the array of each."""
    if len(events_paths) != len(fits_paths):
        raise InputError(
            f"{len(events_paths)} event files, but {len(fits_paths)} reconstruction files"
        )
    bin_width = settings.inputs.bin_width_ns
    for events_path, fits_path in zip(events_paths, fits_paths, strict=True):
        sample, array = read_sample(
            events_path, fits_path, settings.corrects, settings.inputs, only_good=True
        )
        if sample.targets is None:
            raise InputError(f"{events_path}: no truth to learn from")
        if arrays:
            check_array({"array": array_description(arrays[0], bin_width)}, array, events_path)
        arrays.append(array)
        yield sample


def _store(settings: NetworkSettings, folder: Path, files: dict) -> dict:
    """Write both samples to disk; returns the description of their array. Raises InputError as
    `train_network`.
    """
    arrays, sizes = [], []
    for split, (events, fits) in files.items():
        store_sample(folder / split, _samples(settings, events, fits, arrays))
        sizes.append(len(map_sample(folder / split).rows))
    least = 2 * settings.training.batch_size
    if sizes[0] < least or sizes[1] < 10:
        raise InputError(
            f"{sizes[0]} events to train and {sizes[1]} to validate pass the cuts:"
            f" {least} and 10 are needed"
        )
    description = array_description(arrays[0], settings.inputs.bin_width_ns)
    return description | {"n_layers": arrays[0].detector.n_layers}


def _schedule(optimiser, steps: int):
    """Learning rate: a linear rise over WARM_UP of the steps, times half a cosine down to 0."""

    def rate(step):
        warm = min(1.0, (step + 1) / max(1.0, WARM_UP * steps))
        # No numpy number: the state is loaded back as plain values only.
        return warm * 0.5 * (1.0 + math.cos(math.pi * min(step / steps, 1.0)))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


def train_network(
    config: Config,
    name: str,
    train_events: Sequence[FilePath],
    train_fits: Sequence[FilePath],
    validation_events: Sequence[FilePath],
    validation_fits: Sequence[FilePath],
    output: FilePath,
) -> None:
    """Train one network of `config.networks`; write its best checkpoint to `output` and the curve
    to history.json beside it.

    The samples go to a folder beside the checkpoint and are mapped into memory: they may be larger
    than it. Started by torchrun, the processes share every step. After every epoch the state goes
    to a file beside the checkpoint: a killed training that is started again with the same
    configuration, files and code goes on from there and ends with the same weights; else it starts
    anew. Normalisation comes from the training sample only; the validation sample decides which
    epoch is best, and when to stop.

    The weights depend on the seed, the name and settings of this network, its files and nothing
    else: not on other networks of the configuration.

    Raises
    ------
    InputError : files that do not belong together or hold nothing to learn from; a model or head
        that is none; no room in the GPU's memory.
    """
    settings = config.networks[name]
    torch.set_num_threads(settings.training.threads)
    device = choose_device(settings.training.device)
    # Words that are none are refused before the samples are made.
    model, head = find_model(settings.model), find_head(settings.head)
    check_options(model, settings.options)
    processes = join_processes(device)
    run = Run(name, config.seed, settings, model, head, device, processes)
    folder, state_path = Path(f"{output}.sample"), Path(f"{output}.state")
    files = {
        "train": (train_events, train_fits),
        "validation": (validation_events, validation_fits),
    }
    try:
        paths = [path for pair in files.values() for group in pair for path in group]
        inputs = made_from(paths)
        array = told(_store(settings, folder, files) if processes.first else None, processes)
        content = _train(run, folder, array, inputs, state_path)
        if processes.first:
            array.pop("n_layers")
            history, how = content.pop("history"), stated("train", as_dict(config), name)
            content |= {"array": array, "made_from": inputs, **how}
            write_history(Path(output).with_name("history.json"), history, how, inputs)
            save_checkpoint(output, content)
            state_path.unlink(missing_ok=True)
    except torch.OutOfMemoryError:
        raise InputError(
            f"train {name}: the GPU's memory is too small: lower training.batch_size"
            f" ({settings.training.batch_size})"
        ) from None
    finally:
        if processes.first:
            shutil.rmtree(folder, ignore_errors=True)
    leave_processes(processes)


def _identity(run: Run, inputs: list) -> dict:
    """What a state must agree in for the training to go on from it."""
    code = code_of_stage("train", {"networks": {run.name: _plain(run.settings)}})
    return {
        "configuration": [run.seed, run.name, _plain(run.settings), run.processes.world],
        "code": [code, run.model.sha256],
        "inputs": inputs,
    }


def _plain(settings) -> dict:
    return json.loads(json.dumps(asdict(settings)))


def _model_inputs(run: Run, array: dict, n_outputs: int) -> ModelInputs:
    inputs = run.settings.inputs
    return ModelInputs(
        tile=inputs.tile,
        n_bins=inputs.n_bins,
        n_layers=array["n_layers"],
        station_features=STATION_FEATURES,
        event_features=tuple(EVENT_FEATURES) if inputs.event_features else (),
        waveforms=inputs.waveforms,
        lattice=array["lattice"],
        n_outputs=n_outputs,
    )


def _train(run: Run, folder: Path, array: dict, made_of: list, state_path: Path) -> dict:
    """Train on the stored samples; returns the content of the checkpoint, and the curve as
    `history`.
    """
    settings = run.settings.training
    sample, validation = map_sample(folder / "train"), map_sample(folder / "validation")
    norm = {key: value.to(run.device) for key, value in measure(sample).items()}
    inputs = _model_inputs(run, array, run.head.n_outputs(len(TARGETS)))
    torch.manual_seed(int(seed_of(run.seed, run.name, 0).spawn(1)[0].generate_state(1)[0]))
    network = build_model(run.model, inputs, run.settings.options).to(run.device)
    trained = Trained(network, run.head, norm, run.settings.inputs.event_features)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = _schedule(
        optimiser, settings.epochs * max(1, len(sample.rows) // settings.batch_size)
    )
    learner = Learner(together(network, run.processes, run.device), optimiser, schedule)
    say(
        run,
        f"{len(sample.rows):,} events on {run.processes.world} x {run.device},"
        f" {len(validation.rows):,} to validate",
    )
    best, history = _epochs(learner, trained, (sample, validation), run, (made_of, state_path))
    model = run.model
    return {
        "name": run.name,
        "model": {"form": model.form, "source": model.source, "sha256": model.sha256},
        "options": dict(run.settings.options),
        "model_inputs": json.loads(json.dumps(asdict(inputs))),
        "head": run.settings.head,
        "inputs": asdict(run.settings.inputs),
        "corrects": run.settings.corrects,
        "station_features": list(STATION_FEATURES),
        "event_features": list(EVENT_FEATURES),
        "targets": list(TARGETS),
        "normalisation": {key: value.cpu() for key, value in norm.items()},
        "weights": {key: value.cpu() for key, value in best["weights"].items()},
        "best_epoch": best["epoch"],
        "threads": settings.threads,
        "history": history,
    }


def _epochs(
    learner: Learner, trained: Trained, samples: tuple, run: Run, begun: tuple
) -> tuple[dict, list[dict]]:
    """Epoch after epoch, until the last or until none has been better for a while.

    samples : (training, validation); begun : (checksums of the files, path of the state)

    Returns (best epoch, its loss and weights; the curve).
    """
    settings, (sample, validation), (made_of, state_path) = run.settings.training, samples, begun
    identity = _identity(run, made_of)
    network = trained.network
    parts = {"network": network, "optimiser": learner.optimiser, "schedule": learner.schedule}
    best, history, said = load_state(state_path, identity, parts, run.device)
    if said:
        say(run, said)
    while len(history) < min(settings.epochs, best["epoch"] + settings.patience):
        epoch, started = len(history), time.monotonic()
        learning_rate = learner.schedule.get_last_lr()[0]
        train_loss = train_epoch(learner, trained, sample, run, epoch)
        seconds = time.monotonic() - started
        found = validate(trained, validation, run.device) if run.processes.first else None
        loss, ev = told(found, run.processes)
        if not np.isfinite(train_loss + loss):
            raise InputError(
                f"train {run.name}: the loss is not finite in epoch {epoch + 1};"
                " lower training.learning_rate"
            )
        history.append(
            {
                "epoch": epoch + 1,
                "train_loss": train_loss,
                "validation_loss": loss,
                "validation_ev": ev,
                "learning_rate": learning_rate,
                "seconds": seconds,
            }
        )
        if loss < best["loss"]:
            weights = {k: v.detach().clone() for k, v in network.state_dict().items()}
            best = {"loss": loss, "weights": weights, "epoch": epoch + 1}
        say(
            run,
            f"epoch {epoch + 1}/{settings.epochs}, loss {train_loss:.4f}, validation {loss:.4f},"
            f" EV of the direction {ev:.3f}, {len(sample.rows) / seconds:,.0f} events/s",
        )
        if run.processes.first:
            save_state(state_path, identity, parts, best, history)
    return best, history
