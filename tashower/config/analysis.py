"""The analytic fit, measured events, and scores."""

import itertools
import json
import re
from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from tashower.config.kinds import STRICT, Number, Text, Whole

_ANY_SIGN = {"time_power", "b0", "b1", "b2", "late_fraction"}


def _positive(errors: dict) -> dict:
    bad = [name for name, value in errors.items() if name not in _ANY_SIGN and value <= 0]
    if bad:
        raise ValueError(f"{', '.join(bad)}: must be above 0")
    return errors


ErrorNumber = Literal[
    "time_floor",
    "time_scale",
    "time_power",
    "signal_poisson",
    "signal_fraction",
    "b0",
    "b1",
    "b2",
    "late_fraction",
    "contained_time",
]


@dataclass(frozen=True, config=STRICT)
class ReconstructionConfig:
    """The analytic fit."""

    distance: Literal["axis", "ground"] = Field(
        "axis",
        description="Distance in the lateral distribution and the delay: perpendicular to the "
        "axis, or on the ground.",
    )
    min_stations: Whole = Field(5, ge=4, le=20, description="Cut: stations in the fit.")
    max_chi2_per_ndof: Number = Field(4.0, gt=0, description="Cut: chi2/ndof (Ivanov 2012).")
    max_zenith_deg: Number = Field(
        45.0, gt=0, le=90, description="Cut: reconstructed zenith [deg]."
    )
    min_border_distance_m: Number = Field(
        1200.0, description="Cut: distance of the core inside the border [m]."
    )
    max_pointing_error_deg: Number = Field(
        5.0, gt=0, description="Cut: error of the direction [deg]."
    )
    max_s800_error: Number = Field(0.25, gt=0, description="Cut: relative error of S800.")
    errors: Annotated[dict[ErrorNumber, Number], AfterValidator(_positive)] = Field(
        default_factory=dict,
        description="Numbers of the error model that are given instead of calibrated on simulation "
        "(docs/reconstruction.md); of the Telescope Array: {time_floor: 30, time_power: 0.3, "
        "signal_poisson: 2, signal_fraction: 0.15}.",
    )


def _plain_name(path: str) -> str:
    bad = sorted({letter for letter in path if letter in _SPECIAL or not letter.isprintable()})
    if bad:
        letters = " ".join(
            letter if letter.isprintable() else f"U+{ord(letter):04X}" for letter in bad
        )
        raise ValueError(
            f"the name of {json.dumps(path, ensure_ascii=False)} holds {letters}: the workflow "
            "cannot pass it on; rename the file or link to it"
        )
    if path.startswith("-"):
        raise ValueError(f"{path}: begins like an option; write ./{path}")
    if path != path.strip():
        raise ValueError(f"{json.dumps(path)}: a blank at the begin or the end of a name")
    return path


#: Letters of file names that Snakemake takes for something else, and quotes.
_SPECIAL = frozenset("<>{}\"'`")
Name = Annotated[Text, AfterValidator(_plain_name)]
Path = Annotated[Text, Field(min_length=1), AfterValidator(_plain_name)]


@dataclass(frozen=True, config=STRICT)
class LikelihoodConfig:
    """The likelihood of single stations, for the methods likelihood_edges and
    likelihood_waveforms, which are made of the test sample and of measured events.
    """

    file: Path = Field(
        "auto",
        description="auto: the file that comes with the package, where it was learned from these "
        "stations, showers and fronts and events are simulated; else learned anew where a network "
        "is told of it (inputs.station_likelihood), and none where not; learn: learned anew from "
        "simulation; none: without these methods; or the path of a file of `tashower "
        "station-likelihood`.",
    )
    stations: Whole = Field(
        4_000_000,
        ge=10_000,
        le=100_000_000,
        description="Stations that are simulated to learn from, once for leading edges and "
        "signals, and once for waveforms.",
    )


def _in_folders(paths: tuple) -> tuple:
    """A network is called like the folder of its checkpoint."""
    folders = {}
    for path in paths:
        name = PurePath(path).parent.name
        if not re.fullmatch("[a-z][a-z0-9_]*", name):
            raise ValueError(
                f"{path}: the network is called like its folder, which must match ^[a-z][a-z0-9_]*$"
            )
        if name in folders:
            raise ValueError(f"{path}: its folder is called like that of {folders[name]}")
        folders[name] = path
    return paths


@dataclass(frozen=True, config=STRICT)
class DataConfig:
    """Measured events: with files here the workflow converts, fits and reports them, beside the
    simulation of the same configuration.
    """

    files: tuple[Path, ...] = Field(
        (),
        description="Files of a known format (docs/new_data.md); none: the workflow simulates, "
        "trains and scores.",
    )
    format: Literal["auto", "tables", "ta_dst", "ta_text", "ta_dnn", "hisparc", "auger"] = Field(
        "auto", description="Their format; auto: told from the content."
    )
    stations: Name = Field(
        "",
        description="Table of all stations (station, x_m, y_m, z_m) for formats that do not hold "
        "them.",
    )
    calibration: Name = Field(
        "",
        description="Calibration of the fit; empty: made from the simulation of this "
        "configuration.",
    )
    checkpoints: Annotated[tuple[Path, ...], AfterValidator(_in_folders)] = Field(
        (),
        description="Trained networks to apply, each called like the folder that it lies in; one "
        "that was trained for another array is refused.",
    )


def _increasing(edges: tuple) -> tuple:
    if len(edges) < 2:
        raise ValueError("at least two edges are needed")
    if any(b <= a for a, b in itertools.pairwise(edges)):
        raise ValueError("the edges do not increase")
    return edges


Edges = Annotated[
    tuple[Number, ...], AfterValidator(_increasing), Field(json_schema_extra={"minItems": 2})
]


@dataclass(frozen=True, config=STRICT)
class ScoresConfig:
    """Scores, figures and report."""

    bootstrap: Whole = Field(200, ge=10, le=100000, description="Resamplings behind every error.")
    energy_edges_log10_ev: Edges = Field(
        (18.5, 18.75, 19.0, 19.25, 19.5, 19.75, 20.0),
        description="Edges of the bins in true log10(E/eV).",
    )
    zenith_edges_deg: Edges = Field(
        (0.0, 15.0, 25.0, 35.0, 45.0), description="Edges of the bins in true zenith [deg]."
    )
    examples: Whole = Field(3, ge=0, le=20, description="Events shown in the report.")
