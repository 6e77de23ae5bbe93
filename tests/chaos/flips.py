"""Bits flipped one at a time in files of every kind of ours: each is refused when it is read."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from chaos.foreign import where_of
from chaos.inputs import ROOT
from chaos.trials import Outcome, quiet, run_trials
from tashower.calibration.calibration import DEFAULT, read_calibration, write_calibration
from tashower.config import load_config
from tashower.errors import InputError
from tashower.events.model import select_events
from tashower.io.event_file import read_events, write_events
from tashower.io.json_file import as_json, parsed_json, read_json
from tashower.io.reconstruction_file import read_reconstruction, write_reconstruction
from tashower.reconstruction.reconstruct import reconstruct

GOOD = ("refused",)


def _checkpoint(path) -> None:
    # Imported here: a second that the other kinds do not need.
    import torch

    from tashower.network.checkpoint import save_checkpoint, write_history

    weights = {f"layer{k}": torch.arange(300.0) / (k + 1) for k in range(3)}
    save_checkpoint(path / "c.pt", {"name": "a", "weights": weights, "options": {"n": 3}})
    write_history(path / "history.json", [{"epoch": 1, "train_loss": 0.25}], {}, [])


def _read_checkpoint(path) -> dict:
    from tashower.network.checkpoint import load_checkpoint

    return load_checkpoint(path)


def files_in(folder: Path) -> dict[str, tuple[Path, Callable]]:
    """{kind: (a file of it, what reads it)}; the files are written."""
    events = select_events(read_events(ROOT / "data" / "sample.h5"), np.arange(50) < 2)
    calibration = read_calibration(DEFAULT)
    tables, pulses, features = reconstruct(events, calibration, load_config().reconstruction)
    write_events(folder / "events.h5", replace(events, pulses=pulses), {"seed": 1})
    write_reconstruction(folder / "fits.h5", tables, {}, pulses, features, [])
    write_calibration(folder / "calibration.json", calibration, {"seed": 1})
    scores = {"format": "tashower scores", "version": 2, "methods": {"free": {"ev": [0.5] * 50}}}
    (folder / "scores.json").write_bytes(as_json(scores, finite=True))
    _checkpoint(folder)
    return {
        "event file": (folder / "events.h5", read_events),
        "reconstruction file": (folder / "fits.h5", read_reconstruction),
        "calibration (JSON)": (folder / "calibration.json", read_calibration),
        "checkpoint (.pt)": (folder / "c.pt", _read_checkpoint),
        "scores.json": (
            folder / "scores.json",
            partial(read_json, kind="tashower scores", versions=(2,)),
        ),
        "history.json": (folder / "history.json", parsed_json),
    }


def flip(path: Path, read: Callable, seed: int, k: int) -> tuple[str, str]:
    """(word, what was said) of flip k: "refused" with a message that names the file; else what is
    wrong. Half of the flips are in the first and last 600 bytes, where the stamps are.
    """
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng([seed, k])
    edge = min(600, len(data))
    at = int(rng.integers(len(data)))
    if k % 2:
        at = int(rng.integers(edge)) if k % 4 == 1 else len(data) - 1 - int(rng.integers(edge))
    data[at] ^= 1 << int(rng.integers(8))
    damaged = path.with_name(f"damaged-{path.name}")
    damaged.write_bytes(data)
    try:
        read(damaged)
    except InputError as error:
        clear = str(damaged) in str(error) and "\n" not in str(error)
        return ("refused", "") if clear else ("unclear", str(error)[:100])
    except BaseException as error:
        return "traceback", where_of(error)
    return "unnoticed", f"byte {at} of {len(data)}"


def flips(n: int, seed: int = 1) -> dict[str, Outcome]:
    """{kind of file: outcome} of n flipped bits in each."""
    with quiet(), tempfile.TemporaryDirectory(prefix="flips-") as folder:
        return {
            kind: run_trials(partial(flip, path, read, seed), range(n), GOOD)
            for kind, (path, read) in files_in(Path(folder)).items()
        }
