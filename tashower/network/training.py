"""Training: one readable loop."""

import json
import math
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from tashower.config import Config, NetworkSettings, as_dict
from tashower.errors import InputError
from tashower.io.hdf5 import made_from
from tashower.network.checkpoint import (
    array_description,
    check_array,
    choose_device,
    save_aside,
    save_checkpoint,
    write_history,
)
from tashower.network.model import ShowerNetwork
from tashower.network.normalisation import measure, normalise
from tashower.network.processes import (
    Processes,
    join_processes,
    leave_processes,
    mean_over,
    together,
    told,
)
from tashower.network.sample import (
    Sample,
    map_sample,
    read_ahead,
    read_sample,
    store_sample,
    take_batch,
)
from tashower.network.tiles import ORIENTATIONS, STATION_FEATURES, TARGETS, target_matrix
from tashower.reconstruction.features import EVENT_FEATURES

#: Weight of each target in the loss: the direction is the published aim, core and energy come
#: along.
TARGET_WEIGHTS = (1.0, 1.0, 0.25, 0.25, 0.25)
#: Corrections beyond this many rms count linearly (Huber 1964): a handful of failed fits must not
#: rule the gradient.
HUBER = 4.0
#: Part of the steps over which the learning rate rises.
WARM_UP = 0.1
_SECONDS_BETWEEN_REPORTS = 10.0
_SEED_TAG = 777  # keeps these streams apart from those of the simulation


def _seed(config: Config, name: str, epoch: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(
        [config.seed, _SEED_TAG, list(config.networks).index(name), epoch]
    )


def loss_of(predicted, targets) -> torch.Tensor:
    """Huber loss of normalised corrections, weighted by `TARGET_WEIGHTS`; a scalar."""
    weights = torch.tensor(TARGET_WEIGHTS, device=predicted.device)
    each = torch.nn.functional.huber_loss(predicted.float(), targets, reduction="none", delta=HUBER)
    return (each * weights).mean()


def explained_variance(predicted, targets) -> float:
    """1 - sum Var(true - predicted) / sum Var(true) over the two direction cosines; (n, 5) arrays."""
    return float(
        1.0 - (targets - predicted)[:, :2].var(axis=0).sum() / targets[:, :2].var(axis=0).sum()
    )


@torch.no_grad()
def predict(
    network, sample: Sample, norm, event_features: bool, device, orientations=(0,), batch_size=1024
) -> np.ndarray:
    """Normalised corrections (n, 5), the mean over the given orientations of the tile (turned
    back).
    """
    network.eval()
    total = np.zeros((len(sample.rows), len(TARGETS)))
    for orientation in orientations:
        back = target_matrix(
            orientation, sample.kind
        )  # orthogonal: right-multiplication turns back
        for first in range(0, len(sample.rows), batch_size):
            rows = np.arange(first, min(first + batch_size, len(sample.rows)))
            cells, features, waveform, place, _ = normalise(
                take_batch(sample, rows, orientation, device), norm, event_features
            )
            total[rows] += network(cells, features, waveform, place).float().cpu().numpy() @ back
    return total / len(orientations)


def _samples(settings: NetworkSettings, events_paths, fits_paths, arrays: list) -> Iterator[Sample]:
    """The samples of the files, one by one; `arrays` gets the array of each."""
    if len(events_paths) != len(fits_paths):
        raise InputError(
            f"{len(events_paths)} event files, but {len(fits_paths)} reconstruction files"
        )
    n = settings.inputs
    for events_path, fits_path in zip(events_paths, fits_paths, strict=True):
        sample, array = read_sample(
            events_path,
            fits_path,
            settings.corrects,
            n.tile,
            n.n_bins,
            n.waveforms,
            True,
            n.bin_width_ns,
        )
        if sample.targets is None:
            raise InputError(f"{events_path}: no truth to learn from")
        if arrays:
            check_array({"array": array_description(arrays[0], n.bin_width_ns)}, array, events_path)
        arrays.append(array)
        yield sample


def _architecture(settings: NetworkSettings, n_layers: int) -> dict:
    n = settings.inputs
    return {
        "tile": n.tile,
        "n_bins": n.n_bins,
        "n_layers": n_layers,
        "n_station_features": len(STATION_FEATURES),
        "n_event_features": len(EVENT_FEATURES) * n.event_features,
        "n_targets": len(TARGETS),
        "waveforms": n.waveforms,
        **settings.options,
    }


def _batches(sample: Sample, config: Config, name: str, epoch: int, processes: Processes):
    """(batch on the CPU, share of this process in the step) of every step of an epoch: all events
    in random order, each step in a random orientation. Every process gets its part of each step.
    """
    settings = config.networks[name].training
    rng = np.random.default_rng(_seed(config, name, epoch))
    torch.manual_seed(int(rng.integers(2**62)) + processes.rank)  # dropout
    order, equal = rng.permutation(len(sample.rows)), ORIENTATIONS[sample.kind]
    steps = np.array_split(order, max(1, len(order) // settings.batch_size))
    items = [(rows, int(rng.choice(equal)) if settings.augment else 0) for rows in steps]

    def make(item):
        rows, orientation = item
        own = np.sort(rows[processes.rank :: processes.world])
        return take_batch(sample, own, orientation, "cpu"), len(own) * processes.world / len(rows)

    return len(items), read_ahead(make, items)


def _train_epoch(
    network, optimiser, schedule, sample, norm, config, name, epoch, device, processes
) -> float:
    """One pass over the training sample; returns the mean loss."""
    event_features = config.networks[name].inputs.event_features
    network.train()
    n_steps, batches = _batches(sample, config, name, epoch, processes)
    total, reported = 0.0, time.monotonic()
    for step, (batch, share) in enumerate(batches):
        batch = normalise(tuple(part.to(device) for part in batch), norm, event_features)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            predicted = network(*batch[:4])
        loss = loss_of(predicted, batch[4]) * share
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        total += loss.item() / n_steps
        if processes.first and time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            print(
                f"train {name}: epoch {epoch + 1}, step {step + 1}/{n_steps}",
                file=sys.stderr,
                flush=True,
            )
    return mean_over(total, processes)


def _schedule(optimiser, steps: int):
    """Learning rate: a linear rise over WARM_UP of the steps, times half a cosine down to 0."""

    def rate(step):
        warm = min(1.0, (step + 1) / max(1.0, WARM_UP * steps))
        # No numpy number: the state is loaded back as plain values only.
        return warm * 0.5 * (1.0 + math.cos(math.pi * min(step / steps, 1.0)))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


def _load_state(path: Path, identity: str, parts: dict, device) -> tuple[dict, list[dict]]:
    """(best, history) of a training that was interrupted, its network, optimiser and schedule put
    back; else of a new one.
    """
    new: tuple[dict, list[dict]] = {"loss": np.inf, "weights": None, "epoch": 0}, []
    if not path.is_file():
        return new
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        if state["identity"] != identity:
            return new
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except Exception as error:  # torch raises many kinds for a damaged file
        path.unlink()
        raise InputError(
            f"{path}: damaged ({type(error).__name__}), and removed: start again"
        ) from None
    history = json.loads(state["history"])
    print(f"{path}: goes on after epoch {len(history)}", file=sys.stderr, flush=True)
    return state["best"], history


def _save_state(path: Path, identity: str, parts: dict, best: dict, history: list[dict]) -> None:
    state = {"identity": identity, "best": best, "history": json.dumps(history)}
    save_aside(path, state | {name: part.state_dict() for name, part in parts.items()})


def _store(
    config, name, folder, train_events, train_fits, validation_events, validation_fits
) -> dict:
    """Write both samples to disk; returns the description of their array. Raises InputError as
    `train_network`.
    """
    settings = config.networks[name]
    batch_size = settings.training.batch_size
    arrays, sizes = [], []
    for split, events, fits in (
        ("train", train_events, train_fits),
        ("validation", validation_events, validation_fits),
    ):
        store_sample(folder / split, _samples(settings, events, fits, arrays))
        sizes.append(len(map_sample(folder / split).rows))
    if sizes[0] < 2 * batch_size or sizes[1] < 10:
        raise InputError(
            f"{sizes[0]} events to train and {sizes[1]} to validate pass the cuts: "
            f"{2 * batch_size} and 10 are needed"
        )
    described = array_description(arrays[0], settings.inputs.bin_width_ns)
    return described | {"n_layers": arrays[0].detector.n_layers}


def train_network(
    config: Config, name: str, train_events, train_fits, validation_events, validation_fits, output
) -> None:
    """Train one network of `config.networks`; write its best checkpoint to `output` and the curve
    to history.json beside it.

    The samples go to a folder beside the checkpoint and are mapped into memory: they may be larger
        than it. Started by torchrun,
    the processes share every step. After every epoch the state goes to a file beside the
        checkpoint: a killed training that is
    started again goes on from there and ends with the same weights. Normalisation comes from the
    training sample only; the validation sample decides which epoch is best, and when to stop.

    Raises
    ------
    InputError : files that do not belong together or hold nothing to learn from; no room in the
        GPU's memory.
    """
    settings = config.networks[name]
    if settings.model != "grid" or settings.head != "mean":
        raise InputError(
            f"networks.{name}: {settings.model} with head {settings.head} is not there"
        )
    torch.set_num_threads(settings.training.threads)
    device = choose_device(settings.training.device)
    processes = join_processes(device)
    folder = Path(f"{output}.sample")
    files = (train_events, train_fits, validation_events, validation_fits)
    try:
        array = told(_store(config, name, folder, *files) if processes.first else None, processes)
        content = _train(
            config, name, folder, array.pop("n_layers"), Path(f"{output}.state"), device, processes
        )
        if processes.first:
            content |= {
                "array": array,
                "made_from": made_from([path for group in files for path in group]),
            }
            history = content.pop("history")
            write_history(
                Path(output).with_name("history.json"),
                history,
                content["configuration"],
                content["made_from"],
            )
            save_checkpoint(output, content)
            Path(f"{output}.state").unlink(missing_ok=True)
    except torch.OutOfMemoryError:
        raise InputError(
            f"train {name}: the GPU's memory is too small: "
            f"lower training.batch_size ({settings.training.batch_size})"
        ) from None
    finally:
        if processes.first:
            shutil.rmtree(folder, ignore_errors=True)
    leave_processes(processes)


def _train(config, name, folder, n_layers, state_path, device, processes) -> dict:
    """Train on the stored samples; returns the content of the checkpoint, and the curve as
    `history`.
    """
    network_settings = config.networks[name]
    settings, inputs = network_settings.training, network_settings.inputs
    sample, validation = map_sample(folder / "train"), map_sample(folder / "validation")
    norm = {key: value.to(device) for key, value in measure(sample).items()}
    torch.manual_seed(int(_seed(config, name, 0).spawn(1)[0].generate_state(1)[0]))
    architecture = _architecture(network_settings, n_layers)
    network = ShowerNetwork(**architecture).to(device)
    trained = together(network, processes, device)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = _schedule(
        optimiser, settings.epochs * max(1, len(sample.rows) // settings.batch_size)
    )
    identity = json.dumps(
        [as_dict(config), name, len(sample.rows), processes.world], sort_keys=True
    )
    parts = {"network": network, "optimiser": optimiser, "schedule": schedule}
    best, history = _load_state(state_path, identity, parts, device)
    _say(
        processes,
        f"train {name}: {len(sample.rows):,} events on {processes.world} x {device}, {len(validation.rows):,} to validate",
    )
    while len(history) < min(settings.epochs, best["epoch"] + settings.patience):
        epoch, started = len(history), time.monotonic()
        learning_rate = schedule.get_last_lr()[0]
        train_loss = _train_epoch(
            trained, optimiser, schedule, sample, norm, config, name, epoch, device, processes
        )
        seconds = time.monotonic() - started
        loss, ev = told(
            _validate(network, validation, norm, inputs, device) if processes.first else None,
            processes,
        )
        if not np.isfinite(train_loss + loss):
            raise InputError(
                f"train {name}: the loss is not finite in epoch {epoch + 1}; lower training.learning_rate"
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
        _say(
            processes,
            f"train {name}: epoch {epoch + 1}/{settings.epochs}, loss {train_loss:.4f}, validation {loss:.4f}, "
            f"EV of the direction {ev:.3f}, {len(sample.rows) / seconds:,.0f} events/s",
        )
        if processes.first:
            _save_state(state_path, identity, parts, best, history)
    return {
        "name": name,
        "inputs": {"waveforms": inputs.waveforms, "event_features": inputs.event_features},
        "correct": network_settings.corrects,
        "architecture": architecture,
        "bin_width_ns": inputs.bin_width_ns,
        "station_features": list(STATION_FEATURES),
        "event_features": list(EVENT_FEATURES),
        "targets": list(TARGETS),
        "normalisation": {key: value.cpu() for key, value in norm.items()},
        "weights": {key: value.cpu() for key, value in best["weights"].items()},
        "configuration": as_dict(config),
        "best_epoch": best["epoch"],
        "threads": settings.threads,
        "history": history,
    }


def _validate(network, validation: Sample, norm, inputs, device) -> tuple[float, float]:
    """(loss, explained variance of the direction) on the validation sample."""
    targets = validation.targets / norm["target_width"].cpu().numpy()
    predicted = predict(network, validation, norm, inputs.event_features, device)
    return loss_of(
        torch.from_numpy(predicted), torch.from_numpy(targets)
    ).item(), explained_variance(predicted, targets)


def _say(processes: Processes, text: str) -> None:
    if processes.first:
        print(text, file=sys.stderr, flush=True)
