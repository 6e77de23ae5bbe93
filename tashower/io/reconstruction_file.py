"""Reconstruction files: what methods found in the events of one file (docs/event_format.md),
written, read and checked.
"""

import json
from collections.abc import Sequence

import numpy as np

from tashower.errors import InputError
from tashower.events.model import FLAGS, PARAMETERS, Pulses, Reconstruction
from tashower.io.event_file import columns_of, table_of, with_present_names
from tashower.io.hdf5 import read_arrays, write_arrays
from tashower.types import FilePath

#: Version of the reconstruction file.
RECONSTRUCTION_VERSION = "1.3"


def write_reconstruction(
    path: FilePath,
    reconstructions: dict,
    configuration: dict,
    pulses: Pulses | None = None,
    features: dict | None = None,
    inputs: Sequence[FilePath] = (),
    stage: str = "",
    attributes: dict | None = None,
) -> None:
    """Write reconstructions {method: Reconstruction} of one event file, with the pulses and event
    features behind them.

    `features` is {name: (n_events,) array}; `stage` one of `stages.STAGES`, or ""; `attributes`
    further root attributes.
    """
    groups = {f"{method}": columns_of(table) for method, table in reconstructions.items()}
    groups["pulses"] = columns_of(pulses)
    groups["features"] = features or {}
    attributes = {
        "methods": json.dumps(list(reconstructions)),
        "parameters": PARAMETERS,
        "flags": FLAGS,
        **(attributes or {}),
    }
    how = (configuration, inputs, attributes, stage)
    write_arrays(path, "reconstruction", RECONSTRUCTION_VERSION, groups, *how)


def read_reconstruction(
    path: FilePath,
) -> tuple[dict[str, Reconstruction], Pulses | None, dict[str, np.ndarray]]:
    """Read a reconstruction file: ({method: Reconstruction}, Pulses or None, {feature: array}).

    Raises
    ------
    InputError : names the file and what is wrong.
    """
    groups, attributes = read_arrays(path, "reconstruction", RECONSTRUCTION_VERSION)
    methods = json.loads(attributes.get("methods", "[]"))
    missing = [m for m in methods if m not in groups]
    if missing or not methods:
        raise InputError(f"{path}: reconstruction {', '.join(missing) or '(any)'} is missing")
    n_events = len(groups[methods[0]].get("event_id", ()))
    tables = {m: table_of(Reconstruction, groups[m], path, n_events) for m in methods}
    pulses = groups.get("pulses") or None
    if pulses is not None:
        pulses = table_of(Pulses, pulses, path, len(pulses.get("arrival_time", ())))
    return tables, pulses, with_present_names(groups.get("features", {}))
