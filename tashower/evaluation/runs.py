"""Finished runs that are compared: their scores, and where the files are still there, what every
method found in every event.
"""

import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tashower.errors import InputError
from tashower.evaluation.sample import read_sample
from tashower.evaluation.tables import VERSION
from tashower.events.model import Reconstruction, Truth
from tashower.io.hdf5 import checksum_of
from tashower.io.json_file import read_json
from tashower.io.stages import chunk_names
from tashower.io.statements import statement_in
from tashower.types import FilePath

#: Columns of the truth that say which shower an event is; all others follow from how it was made.
_SHOWER = ("shower_id", "mass_number", "energy", "zenith", "azimuth", "core_x", "core_y")
#: In these words, with these units and factors.
_WORDS = (("energy", "EeV", 1.0), ("zenith", "deg", 180.0 / np.pi), ("core_x", "m", 1.0))


class Run(NamedTuple):
    """One finished run."""

    name: str  #: by which it goes in tables
    folder: Path
    scores: dict  #: content of its scores.json
    checksum: str  #: of that file
    methods: dict[str, Reconstruction] | None  #: of every triggered event; None: not known
    truth: Truth | None
    why: str  #: why nothing is known of single events; empty: it is
    made: dict[str, dict]  #: {kind of file: what one of them states of how it was made}

    @property
    def event_id(self) -> np.ndarray:
        """(n_events,) ids of the events."""
        return next(iter(self.methods.values())).event_id

    def members(self, method: str) -> list[str]:
        """Names of the trainings of a method: itself, and those that differ by their seed alone."""
        return self.scores["trainings"].get(method, [method])


def _names(paths: Sequence[Path]) -> list[str]:
    """Short names of folders: what is different at their end."""
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-length:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    raise InputError(f"{paths[0]}: is there twice: two different runs are needed")


def _test_sample(folder: Path, scores: dict) -> tuple[list, list, dict]:
    """(event files, reconstruction files, {network: files}) of the test sample of a run."""
    names = chunk_names(scores["configuration"], "test")
    networks = [n for members in scores["trainings"].values() for n in members]

    def files(room):
        return [folder / room / f"{name}.h5" for name in names]

    of_networks = {name: files(f"networks/{name}/test") for name in networks}
    return files("events/test"), files("reconstructions/test"), of_networks


def _per_event(folder: Path, scores: dict) -> tuple[dict | None, Truth | None, str]:
    """(methods, truth, why there is neither) of a run."""
    try:
        events, fits, networks = _test_sample(folder, scores)
    except (KeyError, TypeError, ZeroDivisionError):
        return None, None, "its scores do not say which files they were made from"
    paths = [*events, *fits, *(path for several in networks.values() for path in several)]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        return None, None, f"{missing[0]} is not there"
    stated = {checksum for _, checksum in scores["made_from"]}
    for path in paths:
        if checksum_of(path) not in stated:
            raise InputError(
                f"{path}: {folder / 'scores.json'} was made from another one: score again"
            )
    sample = read_sample(events, fits, networks)
    return sample.methods, sample.truth, ""


def _made(folder: Path, scores: dict) -> dict[str, dict]:
    """{kind of file: what the first of them states}, of those that are there."""
    found = {"scores": scores}
    patterns = {
        "events": "events/test/*.h5",
        "calibration": "calibration.json",
        "fits": "reconstructions/test/*.h5",
        "training curves": "networks/*/history.json",
        "corrections": "networks/*/test/*.h5",
    }
    for kind, pattern in patterns.items():
        path = next(iter(sorted(folder.glob(pattern))), None)
        stated = None if path is None else statement_in(path)
        if stated is not None:
            found[kind] = stated
    return found


def read_runs(paths: Sequence[FilePath], per_event: bool = True) -> list[Run]:
    """Runs from their folders, or from their scores.json.

    Parameters
    ----------
    per_event : read what was found in every event, where it is there

    Raises
    ------
    InputError : no scores, damaged files, files that others were scored than those that are there,
        one run twice.
    """
    files = [Path(path) / "scores.json" if Path(path).is_dir() else Path(path) for path in paths]
    folders = [Path(os.path.abspath(path)).parent for path in files]
    runs = []
    for path, name in zip(files, _names(folders), strict=True):
        scores = read_json(path, "tashower scores", (1, 2, VERSION))
        if scores["version"] != VERSION:
            raise InputError(f"{path}: scores of version {scores['version']}: score again")
        known = _per_event(path.parent, scores) if per_event else (None, None, "not asked for")
        made = _made(path.parent, scores)
        runs.append(Run(name, path.parent, scores, checksum_of(path), *known, made))
    return runs


def _told(truth: Truth, row: int) -> str:
    return ", ".join(
        f"{name} {getattr(truth, name)[row] * factor:.4g} {unit}" for name, unit, factor in _WORDS
    )


def common_rows(runs: Sequence[Run]) -> list[np.ndarray]:
    """For each run the rows of the events that all runs have, in the same order.

    Raises
    ------
    InputError : no such events; an event of one id is another shower in another run.
    """
    for run in runs:
        if len(np.unique(run.event_id)) < len(run.event_id):
            raise InputError(f"{run.folder}: several events have one id: they cannot be paired")
    common = runs[0].event_id
    for run in runs[1:]:
        common = np.intersect1d(common, run.event_id)
    rows = []
    for run in runs:
        order = np.argsort(run.event_id)
        rows.append(order[np.searchsorted(run.event_id, common, sorter=order)])
    first = runs[0]
    for run, there in zip(runs[1:], rows[1:], strict=True):
        same = np.all(
            [
                np.isclose(getattr(first.truth, k)[rows[0]], getattr(run.truth, k)[there], 1e-9)
                for k in _SHOWER
            ],
            axis=0,
        )
        if not same.all():
            k = int(np.flatnonzero(~same)[0])
            raise InputError(
                f"{run.folder}: event {common[k]} is another shower ({_told(run.truth, there[k])}) "
                f"than in {first.folder} ({_told(first.truth, rows[0][k])}), as {(~same).sum()} of "
                f"{len(common)} are: they cannot be paired (--unpaired compares the scores alone)"
            )
    if not len(common):
        where = ", ".join(str(run.folder) for run in runs)
        raise InputError(f"{where}: have no event in common (--unpaired compares the scores alone)")
    return rows


def same_otherwise(runs: Sequence[Run], rows: Sequence[np.ndarray]) -> bool:
    """Whether the common showers are the same in everything that the truth holds, of which not all
    decides which shower it is.
    """
    first = runs[0].truth
    return all(
        np.allclose(
            getattr(run.truth, f.name)[there], getattr(first, f.name)[rows[0]], 1e-6, equal_nan=True
        )
        for run, there in zip(runs[1:], rows[1:], strict=True)
        for f in fields(first)
    )
