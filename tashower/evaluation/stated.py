"""What a network states of its own errors beside its table: factors, regions, and its domain."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tashower.evaluation.bootstrap import Draws, over_trainings, replicates
from tashower.evaluation.scores import mean
from tashower.events.model import FLAGS, PARAMETERS, Reconstruction
from tashower.events.regions import LEVELS
from tashower.io.hdf5 import read_attributes
from tashower.io.reconstruction_file import read_reconstruction
from tashower.types import FilePath

#: The block of each of PARAMETERS that a factor belongs to; of the row of the size the energy's.
_BLOCK_OF = {
    "core_x": "core",
    "core_y": "core",
    "zenith": "direction",
    "azimuth": "direction",
    "s_ref": "energy",
}


class Stated(NamedTuple):
    """Of a method; of a fit all are empty."""

    #: {"direction", "core", "energy": factor that the errors were multiplied by}
    temperature: Mapping[str, float] = {}
    #: {"direction", "core", "energy": (n, len(LEVELS))} of `regions.normal_square`
    radii: Mapping[str, np.ndarray] = {}
    #: {"limit", "false_alarms", "n_validation"} of the network's domain
    domain: Mapping[str, float] = {}


def read_stated(paths: Sequence[FilePath]) -> Stated:
    """What the files of one network state, in the order of their events; the factors and the domain
    are those of its checkpoint, the same in all.
    """
    attributes = read_attributes(paths[0])
    columns = [read_reconstruction(path)[2] for path in paths]
    radii = {}
    for block in ("direction", "core", "energy"):
        names = [f"region_{block}_{round(100 * level)}" for level in LEVELS]
        if all(name in of for of in columns for name in names):
            parts = [np.stack([of[name] for name in names], axis=1) for of in columns]
            radii[block] = np.concatenate(parts)
    known = {key: json.loads(attributes.get(key) or "{}") for key in ("temperature", "domain")}
    return Stated(known["temperature"], radii, known["domain"])


def of_rows(stated: Stated, rows: np.ndarray) -> Stated:
    """Of these events alone."""
    return stated._replace(radii={block: of[rows] for block, of in stated.radii.items()})


def without_temperature(table: Reconstruction, temperature: Mapping) -> Reconstruction:
    """The table with errors as the network stated them, before its factors."""
    each = np.array([temperature[_BLOCK_OF[n]] if n in _BLOCK_OF else 1.0 for n in PARAMETERS])
    return replace(
        table,
        covariance=table.covariance / np.outer(each, each),
        energy_error=table.energy_error / temperature["energy"],
    )


def flagged(
    tables: Sequence[Reconstruction], stated: Stated, rows: np.ndarray, draws: Draws
) -> dict:
    """{"n", "false_alarms", "flagged"} of the events `rows`: how many there are, the part that the
    network says it would flag of events like those of its training, and the part that it does.

    tables : of every training of one network; stated : of the first
    """
    bit = FLAGS.index("outside_domain")
    found = []
    for table in tables:
        outside = (table.flags[rows] >> bit & 1).astype(float)
        found.append(replicates(lambda w, x=outside: {"": mean(x, w)}, draws, rows)[""])
    return {
        "n": len(rows),
        "false_alarms": stated.domain["false_alarms"],
        "flagged": over_trainings(found),
    }
