"""Events, calibration, fits and features are those that they were: digests of a stored run.

    python tests/test_fingerprint.py > tests/fingerprint.json

makes the file anew, after a change that is meant to change results; CHANGELOG says which and why.
On the kind of processor that made it, with the same kernels of OpenBLAS, every bit has to be the
same; elsewhere, where those round otherwise, means and spreads to a part in a million.
"""

import hashlib
import json
import os
from dataclasses import fields
from pathlib import Path

import llvmlite.binding
import numba
import numpy as np
import pytest

from tashower.config import load_config
from tashower.reconstruction.calibrate import calibrate
from tashower.reconstruction.reconstruct import reconstruct
from tashower.simulation.simulate import simulate_events

STORED = Path(__file__).with_name("fingerprint.json")
# Two descriptions that share no branch: configuration and number of showers.
HEXAGONAL = {
    "array": {
        "lattice": "hexagonal",
        "columns": 12,
        "rows": 12,
        "spacing_m": 750,
        "reference_m": 1000,
        "front_distance_m": 30,
        "front_power": 1.4,
    },
    "detector": {"layers": 1, "area_m2": 10, "bin_width_ns": 25, "bins": 256},
    "showers": {"max_zenith_deg": 60},
    "reconstruction": {"distance": "ground"},
}
SETTINGS = {"telescope_array": ({}, 300), "hexagonal": (HEXAGONAL, 150)}


def entry(column):
    """[digest of the bytes, mean, standard deviation] of an array."""
    column = np.ascontiguousarray(column)
    about = f"{column.dtype}{column.shape}".encode()
    value = column.astype(float)
    some = np.isfinite(value).any()
    return [
        hashlib.sha256(about + column.tobytes()).hexdigest()[:16],
        float(np.nanmean(value)) if some else 0.0,
        float(np.nanstd(value)) if some else 0.0,
    ]


def entries(prefix, table):
    columns = {f.name: getattr(table, f.name) for f in fields(table)}
    return {f"{prefix}.{n}": entry(c) for n, c in columns.items() if isinstance(c, np.ndarray)}


def fingerprint(name):
    """{array: entry} of everything that one configuration makes."""
    values, n = SETTINGS[name]
    config = load_config(json.dumps(values))
    events = simulate_events(config, "test", 0, n)
    made = calibrate(simulate_events(config, "calibration", 0, 800), config.reconstruction)
    tables, pulses, features = reconstruct(events, made, config.reconstruction)
    found = entries("events", events) | entries("truth", events.truth) | entries("pulses", pulses)
    found["calibration.errors"] = entry(np.array(made.errors))
    found["calibration.energy"] = entry(made.energy.log10_energy)
    for method, biases in made.pulls.items():
        found[f"calibration.width.{method}"] = entry(np.array(biases.width))
    for method, table in tables.items():
        found |= entries(method, table)
    return found | {f"features.{key}": entry(column) for key, column in features.items()}


def machine():
    processor, kernels = llvmlite.binding.get_host_cpu_name(), os.environ.get("OPENBLAS_CORETYPE")
    return [processor, kernels, numba.__version__, np.__version__]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "hexagonal" else n for n in SETTINGS]
)
def test_nothing_has_changed(name):
    stored = json.loads(STORED.read_text())
    wanted, found = stored["values"][name], fingerprint(name)
    assert found.keys() == wanted.keys()
    if stored["machine"] == machine():
        assert [key for key in wanted if found[key][0] != wanted[key][0]] == []
    for key in wanted:
        np.testing.assert_allclose(found[key][1:], wanted[key][1:], rtol=1e-6, atol=1e-9)


if __name__ == "__main__":
    values = {name: fingerprint(name) for name in SETTINGS}
    print(json.dumps({"machine": machine(), "values": values}, indent=0))
