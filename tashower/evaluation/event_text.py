"""An event in words: its parameters with errors and units, what the cuts say, what made it."""

from typing import NamedTuple

import numpy as np

from tashower.evaluation.names import BASELINES
from tashower.evaluation.refit import Made
from tashower.evaluation.rounding import NOTHING, number, with_error
from tashower.events.model import FLAGS, PARAMETERS, Events, Reconstruction, Truth

#: What a failed cut is about.
FAILED = dict(
    zip(
        FLAGS,
        (
            "no result",
            "few stations",
            "chi2",
            "zenith",
            "core near the border",
            "error of direction",
            "error of {size}",
            "silent station rejected",
            "curvature",
            "energy beyond table",
            "silent stations",
            "signal left out",
            "points of the posterior",
            "unlike the training",
        ),
        strict=True,
    )
)
#: An azimuth that is less sure than this [deg] is none: the shower is vertical (choice).
_NO_AZIMUTH = 90.0


class Row(NamedTuple):
    """A line of the table of an event; a cell may have several lines."""

    name: str
    cells: list[str]


def time_text(value: float) -> str:
    """A time [ns], in microseconds or milliseconds where it is large."""
    for least, unit, size in ((1e6, "ms", 1e6), (1e3, "µs", 1e3)):
        if abs(value) >= least:
            return with_error(value / size, digits=3, unit=unit)
    return with_error(value, digits=3, unit="ns")


def _energy_unit(energy: float) -> tuple[str, float]:
    """(unit, in EeV) in which an energy [EeV] is a number between 1 and 1000."""
    for unit, size in (("EeV", 1.0), ("PeV", 1e-3)):
        if energy >= size:
            return unit, size
    return "TeV", 1e-6


def energy_texts(energy: float, error: float = np.nan) -> tuple[str, str]:
    """(energy with its error and unit, lg(E/eV) with its error) of an energy [EeV]."""
    if not (np.isfinite(energy) and energy > 0):
        return NOTHING, NOTHING
    unit, size = _energy_unit(energy)
    log_error = error / energy / np.log(10.0)
    return (
        with_error(energy / size, error / size, unit=unit),
        with_error(18.0 + np.log10(energy), log_error, digits=4),
    )


def cuts_text(name: str, table: Reconstruction, size: str, made: Made) -> str:
    """Cuts passed, or which are not."""
    flags = int(table.flags[0])
    if flags:
        failed = [FAILED[flag] for bit, flag in enumerate(FLAGS) if flags >> bit & 1]
        return "fails: " + ", ".join(failed).format(size=size)
    if name in made.networks:
        return "passes\n(of the fit)"
    if name == "plane":
        return "none: direction alone"
    return "passes all" if name in BASELINES else "no failure stated"


def _length(value: float, error: float) -> str:
    """A length [m] with its error; without one to the metre."""
    known = np.isfinite(error) and error > 0
    text = with_error(value, error) if known else number(value)
    return text if text == NOTHING else f"{text} m"


def _depth(value: float, error: float = np.nan) -> str:
    """A depth with its error; without one to the g/cm^2."""
    text = with_error(value, error, places=0)
    return text if text == NOTHING else f"{text} g/cm²"


def _mass_cells(table: Reconstruction) -> tuple[str, str]:
    """(Xmax, ln A) with errors; empty of a method that says nothing of them."""
    if not table.says_mass:
        return "", ""
    names = ("xmax", "xmax_error", "ln_a", "ln_a_error")
    xmax, xmax_error, ln_a, ln_a_error = (float(table.of_mass(name)[0]) for name in names)
    text = with_error(ln_a, ln_a_error, places=1)
    return _depth(xmax, xmax_error), text if text == NOTHING else f"ln A = {text}"


def _parameters(table: Reconstruction | Truth, errors: np.ndarray) -> dict[str, str]:
    value = {name: float(getattr(table, name)[0]) for name in PARAMETERS}
    error = dict(zip(PARAMETERS, errors, strict=True))
    angle = {n: np.degrees([value[n], error[n]]) for n in ("zenith", "azimuth")}
    azimuth = with_error(angle["azimuth"][0], angle["azimuth"][1], 4, "°")
    if angle["azimuth"][1] > _NO_AZIMUTH:
        azimuth = "undetermined"
    return {
        "zenith": with_error(*angle["zenith"], 4, "°"),
        "azimuth": azimuth,
        **{name: _length(value[name], error[name]) for name in ("core_x", "core_y")},
        "s_ref": with_error(value["s_ref"], error["s_ref"]),
        "curvature": with_error(value["curvature"], error["curvature"], 3, "ns"),
    }


def true_cells(events: Events) -> list[str]:
    """The true shower of a single event, a cell for each of `row_names`."""
    truth = events.truth
    cells = _parameters(truth, np.full(len(PARAMETERS), np.nan))
    energy = energy_texts(float(truth.energy[0]))
    mass, a = "A not known", int(truth.mass_number[0])
    if a >= 1:
        mass = f"A = {a}, ln A = {np.log(a):.2f}"
    return [*energy, *cells.values(), _depth(float(truth.xmax[0])), "", "", "", "", mass]


def method_cells(name: str, table: Reconstruction, size: str, made: Made) -> list[str]:
    """What a method says of a single event, a cell for each of `row_names`."""
    with np.errstate(invalid="ignore"):
        errors = np.sqrt(np.diagonal(table.covariance[0]))
    cells = _parameters(table, errors)
    energy = energy_texts(float(table.energy[0]), float(table.energy_error[0]))
    of_fit, (depth, mass) = "that of the fit", _mass_cells(table)
    if name in made.networks:  # it corrects direction, core and energy alone, or nothing
        cells["s_ref"] = cells["curvature"] = of_fit
        if depth:
            energy, cells = (of_fit, of_fit), dict.fromkeys(cells, of_fit)
    chi2, ndof = float(table.chi2[0]), int(table.ndof[0])
    quotient = f" = {number(chi2 / ndof, 2)}" if ndof > 0 and np.isfinite(chi2) else ""
    fit = f"{number(chi2, 1)} / {ndof}{quotient}" if np.isfinite(chi2) else NOTHING
    used = f"{table.n_stations[0]} used"
    if table.n_excluded[0]:
        used += f", {table.n_excluded[0]} rejected"
    if name in made.networks:
        fit, used = (f"{text}\n(of the fit)" for text in (fit, used))
    version = made.versions.get(name, NOTHING)
    cuts = cuts_text(name, table, size, made)
    return [*energy, *cells.values(), depth, fit, used, cuts, version, mass]


def row_names(size: str) -> list[str]:
    """Names of the lines of the table of an event."""
    return [
        "energy",
        "lg(E/eV)",
        "zenith",
        "azimuth",
        "core, east",
        "core, north",
        f"{size} [VEM/m²]",
        "curvature a",
        "Xmax",
        "chi2/ndof",
        "stations",
        "quality cuts",
        "made by",
        "primary",
    ]


def rows_of(names: list[str], columns: list[list[str]]) -> list[Row]:
    """The table without lines that say nothing."""
    rows = [Row(name, list(cells)) for name, *cells in zip(names, *columns, strict=True)]
    return [row for row in rows if any(cell not in ("", NOTHING) for cell in row.cells)]
