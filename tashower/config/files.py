"""What a configuration names or asks for: is it there?"""

import os
from collections.abc import Iterator
from pathlib import Path

from tashower.config.models import Config

#: What stands for a file of station likelihoods.
_WORDS = ("auto", "learn", "none")


def files_of(config: Config) -> Iterator[tuple[str, str]]:
    """(key, path) of every file that a configuration names; what is built in is none."""
    array, data = config.array, config.data
    yield "array.stations", array.stations
    yield "array.lateral", "" if array.lateral == "telescope_array" else array.lateral
    for name, network in config.networks.items():
        yield f"networks.{name}.model", network.model if network.model.endswith(".py") else ""
    yield "likelihood.file", "" if config.likelihood.file in _WORDS else config.likelihood.file
    yield "data.stations", data.stations
    yield "data.calibration", data.calibration
    for key in ("files", "checkpoints"):
        for position, path in enumerate(getattr(data, key)):
            yield f"data.{key}.{position}", path


def missing_files(config: Config, data: bool = True) -> list[str]:
    """A line, with key and folder, for every file of a configuration that is not there.

    What lies in the folder of the results the workflow may make itself.

    data : look for those of section `data` as well
    """
    return [
        f"{key}: {path}: no such file{'' if Path(path).is_absolute() else f' in {Path.cwd()}'}"
        for key, path in files_of(config)
        if path
        and not Path(path).is_file()
        and not (key.startswith("data.") and (not data or _below(path, config.results)))
    ]


def missing_nuisances(config: Config) -> list[str]:
    """A line for every network that is to learn from nuisances, where none are named. The jobs of a
    workflow, which are handed parts of a configuration, do not ask.
    """
    if config.robustness.nuisances:
        return []
    return [
        f"networks.{name}.randomised: robustness.nuisances names nothing that varies"
        for name, network in config.networks.items()
        if network.randomised
    ]


def missing_likelihood(config: Config) -> list[str]:
    """A line for every network that is told of a station likelihood, where the configuration wants
    none; of measured events nothing is trained. Asked by whom `missing_nuisances` is.
    """
    if config.likelihood.file != "none" or config.data.files:
        return []
    return [
        f"networks.{name}.inputs.station_likelihood: needs one, and likelihood.file is none"
        for name, network in config.networks.items()
        if network.inputs.station_likelihood
    ]


def _below(path: str, folder: str) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))
