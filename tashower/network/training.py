"""Training: one readable loop."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from tashower.calibration.station_likelihood import (
    DEFAULT,
    StationLikelihood,
    read_station_likelihood,
)
from tashower.config import Config, NetworkSettings, as_dict
from tashower.errors import InputError
from tashower.io.hdf5 import made_from
from tashower.io.json_file import parsed_json
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
from tashower.network.domain import measure_domain
from tashower.network.epoch import Learner, Run, end_epoch, say, seed_of, train_epoch, validate
from tashower.network.kept import Log, find_tensorboard, keep_epoch, remove_later
from tashower.network.normalisation import measure
from tashower.network.optimisation import initialise, make_average, make_optimiser, make_schedule
from tashower.network.predict import Trained, temperature_of
from tashower.network.processes import join_processes, leave_processes, together, told
from tashower.network.sample import Sample, map_sample, read_sample, store_sample
from tashower.network.state import load_state, save_state
from tashower.network.targets import PREDICTED
from tashower.network.tiles import STATION_FEATURES, WITH_SCORES
from tashower.reconstruction.features import EVENT_FEATURES
from tashower.types import FilePath


def _samples(
    settings: NetworkSettings, files: tuple, stations: StationLikelihood | None, arrays: list
) -> Iterator[Sample]:
    """The samples of (event files, fits), one by one; `arrays` gets the array of each."""
    events_paths, fits_paths = files
    if len(events_paths) != len(fits_paths):
        raise InputError(
            f"{len(events_paths)} event files, but {len(fits_paths)} reconstruction files"
        )
    bin_width = settings.inputs.bin_width_ns
    for events_path, fits_path in zip(events_paths, fits_paths, strict=True):
        sample, array = read_sample(
            *(events_path, fits_path, settings.corrects, settings.inputs),
            only_good=True,
            predicts=settings.predicts,
            stations=stations,
        )
        if sample.targets is None:
            raise InputError(f"{events_path}: no truth to learn from")
        if not np.isfinite(sample.targets).all():
            names = " or ".join(PREDICTED[settings.predicts].names)
            raise InputError(f"{events_path}: events without a true {names}, to learn from")
        if arrays:
            check_array({"array": array_description(arrays[0], bin_width)}, array, events_path)
        arrays.append(array)
        yield sample


def _store(
    settings: NetworkSettings, folder: Path, files: dict, stations: StationLikelihood | None
) -> dict:
    """Write both samples to disk; returns the description of their array. Raises InputError as
    `train_network`.
    """
    arrays, sizes = [], []
    for split, pair in files.items():
        store_sample(folder / split, _samples(settings, pair, stations, arrays))
        sizes.append(len(map_sample(folder / split).rows))
    least = 2 * settings.training.batch_size
    if sizes[0] < least or sizes[1] < 10:
        raise InputError(
            f"{sizes[0]} events to train and {sizes[1]} to validate pass the cuts:"
            f" {least} and 10 are needed"
        )
    description = array_description(arrays[0], settings.inputs.bin_width_ns)
    return description | {"n_layers": arrays[0].detector.n_layers}


def train_network(
    config: Config,
    name: str,
    train_events: Sequence[FilePath],
    train_fits: Sequence[FilePath],
    validation_events: Sequence[FilePath],
    validation_fits: Sequence[FilePath],
    output: FilePath,
    station_likelihood: FilePath | None = None,
) -> None:
    """Train one network of `config.networks`; write its best checkpoint to `output` and the curve
    to history.json beside it.

    The samples go to a folder beside the checkpoint and are mapped into memory: they may be larger
    than it. Started by torchrun, the processes share every step. After every epoch the state goes
    to a file beside the checkpoint: a killed training that is started again with the same
    configuration, files and code goes on from there and ends with the same weights; else it starts
    anew. Normalisation comes from the training sample only; the validation sample decides which
    epoch is best, and when to stop. What `training.checkpoints` and `training.tensorboard` ask for
    lies beside the checkpoint, too (`kept`); what an earlier training left of it is removed.

    The weights depend on the seed, the name and settings of this network, its files and nothing
    else: not on other networks of the configuration.

    station_likelihood : file of the one that the network is told of, which the checkpoint keeps;
        None: that of the package. Networks that are not told of one do without.

    Raises
    ------
    InputError : files that do not belong together or hold nothing to learn from; a model or head
        that is none; no room in the GPU's memory; no package tensorboard where it is to be written.
    """
    settings = config.networks[name]
    torch.set_num_threads(settings.training.threads)
    device = choose_device(settings.training.device)
    # Words that are none are refused before the samples are made.
    model, head = find_model(settings.model), find_head(settings.head, settings.loss)
    check_options(model, settings.options)
    if settings.training.tensorboard:
        find_tensorboard()
    processes = join_processes(device)
    run = Run(name, config.seed, settings, model, head, device, processes)
    folder = Path(f"{output}.sample")
    files = {
        "train": (train_events, train_fits),
        "validation": (validation_events, validation_fits),
    }
    try:
        paths = [path for pair in files.values() for group in pair for path in group]
        kept = stations = None
        if settings.inputs.station_likelihood:
            paths.append(station_likelihood or DEFAULT)
            kept = parsed_json(paths[-1])
            stations = read_station_likelihood(paths[-1])
        inputs = made_from(paths)
        array = told(
            _store(settings, folder, files, stations) if processes.first else None, processes
        )
        how = stated("train", as_dict(config), name)
        about = {"array": array, "made_from": inputs, "station_likelihood": kept, **how}
        content, history = train_stored(run, folder, about, Path(output))
        if processes.first:
            write_history(Path(output).with_name("history.json"), history, how, inputs)
            save_checkpoint(output, content)
            _state_path(output).unlink(missing_ok=True)
    except torch.OutOfMemoryError:
        raise InputError(
            f"train {name}: the GPU's memory is too small: lower training.batch_size"
            f" ({settings.training.batch_size})"
        ) from None
    finally:
        if processes.first:
            shutil.rmtree(folder, ignore_errors=True)
    leave_processes(processes)


def _state_path(output: FilePath) -> Path:
    return Path(f"{output}.state")


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


def _model_inputs(run: Run, array: dict, n_layers: int) -> ModelInputs:
    inputs = run.settings.inputs
    return ModelInputs(
        tile=inputs.tile,
        n_bins=inputs.n_bins,
        n_layers=n_layers,
        station_features=WITH_SCORES if inputs.station_likelihood else STATION_FEATURES,
        event_features=tuple(EVENT_FEATURES) if inputs.event_features else (),
        waveforms=inputs.waveforms,
        lattice=array["lattice"],
        n_outputs=run.head.n_outputs(len(run.targets.names)),
    )


def train_stored(run: Run, folder: Path, about: dict, output: Path) -> tuple[dict, list[dict]]:
    """Train on samples of `sample.store_sample`; the state of the training lies beside `output`.

    Parameters
    ----------
    folder : holds `train` and `validation`
    about : what the checkpoint states of its origin (`made_from`) and `array`
        (`checkpoint.array_description` and `n_layers`, which is taken out)
    output : where the checkpoint will be

    Returns
    -------
    (content of the checkpoint, the curve)
    """
    settings = run.settings.training
    sample, validation = map_sample(folder / "train"), map_sample(folder / "validation")
    norm = {key: value.to(run.device) for key, value in measure(sample).items()}
    inputs = _model_inputs(run, about["array"], about["array"].pop("n_layers"))
    torch.manual_seed(int(seed_of(run.seed, run.name, 0).spawn(1)[0].generate_state(1)[0]))
    network = build_model(run.model, inputs, run.settings.options)
    initialise(network, settings.initialisation)
    network = network.to(run.device)
    trained = Trained(network, run.head, norm, run.settings.inputs.event_features)
    optimiser = make_optimiser(network, settings)
    steps = settings.epochs * max(1, len(sample.rows) // settings.batch_size)
    learner = Learner(
        together(network, run.processes, run.device),
        optimiser,
        *make_schedule(optimiser, settings, steps),
        make_average(network, settings),
    )
    say(
        run,
        f"{len(sample.rows):,} events on {run.processes.world} x {run.device},"
        f" {len(validation.rows):,} to validate",
    )
    model = run.model
    content = {
        "name": run.name,
        "model": {"form": model.form, "source": model.source, "sha256": model.sha256},
        "options": dict(run.settings.options),
        "model_inputs": json.loads(json.dumps(asdict(inputs))),
        "head": run.settings.head,
        "inputs": asdict(run.settings.inputs),
        "corrects": run.settings.corrects,
        "station_features": list(inputs.station_features),
        "event_features": list(EVENT_FEATURES),
        "targets": list(run.targets.names),
        "normalisation": {key: value.cpu() for key, value in norm.items()},
        "threads": settings.threads,
        "domain": measure_domain(sample, validation),
        **about,
    }
    best, history = _epochs(learner, trained, (sample, validation), run, (content, output))
    network.load_state_dict(best["weights"])
    weights = {key: value.cpu() for key, value in best["weights"].items()}
    content |= {"weights": weights, "best_epoch": best["epoch"]}
    return content | {"temperature": temperature_of(trained, validation, run.device)}, history


def _waited(history: list[dict], min_delta: float) -> int:
    """Epochs since the validation loss was last lower by more than `min_delta` than when it was so
    before.
    """
    lowest, waited = np.inf, 0
    for epoch in history:
        better = epoch["validation_loss"] < lowest - min_delta
        lowest, waited = (epoch["validation_loss"], 0) if better else (lowest, waited + 1)
    return waited


def _epochs(
    learner: Learner, trained: Trained, samples: tuple, run: Run, kept: tuple
) -> tuple[dict, list[dict]]:
    """Epoch after epoch, until the last or until none has been better for a while.

    samples : (training, validation); kept : (checkpoint but for its weights, its path)

    Returns (best epoch, its loss and weights; the curve).
    """
    settings, (sample, validation), (content, output) = run.settings.training, samples, kept
    identity, state_path = _identity(run, content["made_from"]), _state_path(output)
    parts = {**learner._asdict(), "network": trained.network}
    parts = {name: part for name, part in parts.items() if part is not None}
    best, history, said = load_state(state_path, identity, parts, run.device)
    if said:
        say(run, said)
    if run.processes.first:
        remove_later(output, len(history))
    log = Log(output, settings.tensorboard and run.processes.first)
    log.write(*history)
    while len(history) < settings.epochs and _waited(history, settings.min_delta) < (
        settings.patience
    ):
        epoch, started = len(history), time.monotonic()
        learning_rate = learner.optimiser.param_groups[0]["lr"]
        train_loss = train_epoch(learner, trained, sample, run, epoch)
        seconds = time.monotonic() - started
        judged = end_epoch(learner, trained, sample, run, epoch)
        found = validate(judged, validation, run.device) if run.processes.first else None
        loss, ev = told(found, run.processes)
        if not np.isfinite(train_loss + loss):
            raise InputError(
                f"train {run.name}: the loss is not finite in epoch {epoch + 1};"
                " lower training.learning_rate"
            )
        if learner.plateau is not None:
            learner.plateau.step(loss)
        history.append(
            {
                "epoch": epoch + 1,
                "train_loss": train_loss,
                "validation_loss": loss,
                "validation_ev": ev,
                "learning_rate": learning_rate,
                "events": len(sample.rows),
                "seconds": seconds,
            }
        )
        if loss < best["loss"]:
            weights = {k: v.detach().clone() for k, v in judged.network.state_dict().items()}
            best = {"loss": loss, "weights": weights, "epoch": epoch + 1}
        say(
            run,
            f"epoch {epoch + 1}/{settings.epochs}, loss {train_loss:.4f}, validation {loss:.4f},"
            f" EV of {run.targets.shown} {ev:.3f}, {len(sample.rows) / seconds:,.0f} events/s",
        )
        if run.processes.first:
            one = content | {"epoch": epoch + 1}
            keep_epoch(output, settings.checkpoints, one, judged.network)
            save_state(state_path, identity, parts, best, history)
            log.write(history[-1])
    log.close()
    return best, history
