"""Refined event files, and refiners on disk."""

import json
import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tashower.errors import InputError
from tashower.events.model import Events, concatenate_events
from tashower.generation.measured import CONDITIONS, check_alike
from tashower.generation.refine import Fitted, fit_refiner, refine_events, reweight_events
from tashower.generation.refiner import STEPS, Refiner
from tashower.generation.reweight import Standard
from tashower.io.event_file import read_events, write_events
from tashower.io.hdf5 import made_from, read_attributes
from tashower.network.checkpoint import (
    array_description,
    check_array,
    load_checkpoint,
    save_checkpoint,
)
from tashower.types import FilePath

#: What a refiner calls itself, and its version.
FORM = ("tashower refiner", 1)
_log = logging.getLogger("tashower")


class Wanted(NamedTuple):
    """What is asked for."""

    towards: Sequence[FilePath] = ()  #: data; none: `checkpoint` is applied
    method: str = "adversarial"
    checkpoint: FilePath | None = None  #: to write with `towards`, to read without
    seed: int = 1
    steps: int = STEPS


def save_refiner(path: FilePath, fitted: Fitted, about: dict) -> None:
    """Write a refiner; about : what else it states."""
    refiner = fitted.refiner
    content = {
        "format": FORM[0],
        "version": FORM[1],
        "made": [refiner.n_layers, len(CONDITIONS), refiner.scale, refiner.noise, refiner.whole],
        "mean": fitted.standard.mean.tolist(),
        "width": fitted.standard.width.tolist(),
        "part": fitted.part,
        "found": fitted.found,
        "weights": refiner.state_dict(),
        **about,
    }
    save_checkpoint(path, content)


def load_refiner(path: FilePath) -> tuple[Fitted, dict]:
    """Read a refiner, and all that its file states.

    Raises
    ------
    InputError : no such file, damaged, not a refiner, another version.
    """
    content = load_checkpoint(path, "cpu", (FORM,))
    refiner = Refiner(*content["made"])
    refiner.load_state_dict(content["weights"])
    standard = Standard(np.array(content["mean"]), np.array(content["width"]))
    return Fitted(refiner, standard, content["part"], content["found"]), content


class Refined(NamedTuple):
    """What was made."""

    events: Events
    found: dict  #: what the file's attribute `refined` states


def refine_file(path: FilePath, output: FilePath, wanted: Wanted) -> Refined:
    """Move the simulated events of a file towards data, and write them as an event file, with
    their truth.

    Raises
    ------
    InputError : files without waveforms, of other detectors, or too small; no data and no refiner;
        a refiner for another array.
    """
    simulated, attributes = read_events(path), read_attributes(path)
    data = None
    if wanted.towards:
        parts = [read_events(one) for one in wanted.towards]
        try:
            data = concatenate_events(parts)
        except ValueError:
            names = ", ".join(map(str, wanted.towards))
            raise InputError(f"--towards {names}: were measured with different arrays") from None
        check_alike(simulated, data, (path, wanted.towards[0]))
    inputs = [path, *wanted.towards]
    if wanted.method == "reweight":
        if data is None or wanted.checkpoint is not None:
            raise InputError("--method reweight: needs --towards, and no --checkpoint")
        events, found = reweight_events(
            simulated, data, wanted.seed, (path, wanted.towards[0]), wanted.steps
        )
    else:
        if data is None:
            if wanted.checkpoint is None:
                raise InputError("--towards: data are needed, or a --checkpoint made with some")
            check_alike(simulated, simulated, (path, path))
            fitted, content = load_refiner(wanted.checkpoint)
            check_array(content, simulated.array, path)
            inputs.append(wanted.checkpoint)
        else:
            names = path, wanted.towards[0]
            fitted = fit_refiner(simulated, data, wanted.seed, wanted.steps, names)
            if wanted.checkpoint is not None:
                about = {
                    "array": array_description(simulated.array),
                    "made_from": made_from(inputs),
                }
                save_refiner(wanted.checkpoint, fitted, about)
        events = refine_events(simulated, fitted, wanted.seed)
        found = fitted.found | {"changed": fitted.part}
    found = {"method": wanted.method, "seed": wanted.seed, **found}
    configuration = json.loads(attributes.get("configuration", "{}"))
    more = {"refined": json.dumps(found)}
    write_events(output, events, configuration, inputs, "refine", more)
    return Refined(events, found)


def as_text(found: dict) -> str:
    """One sentence that says what was found."""
    text = f"AUC {found['auc_before']:.3f} +- {found['auc_before_error']:.3f} on held-out "
    text += "events" if found["method"] == "reweight" else "stations"
    if not found["changed"]:
        return f"{text}: nothing that could be mended, the events are as they were"
    text += f", {found['auc_after']:.3f} afterwards"
    if "effective_sample_size" in found:
        text += f"; weights worth {found['effective_sample_size']:,.0f} events"
    return text
