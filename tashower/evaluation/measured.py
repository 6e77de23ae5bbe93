"""Measured events in numbers: what was found, stations around the fit, data against simulation."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tashower.evaluation.explained import cuts_of
from tashower.evaluation.names import label
from tashower.evaluation.p_values import CLEAR, TwoSamples, above_p, chi2_p, p_text, two_samples
from tashower.evaluation.rounding import NOTHING, number, with_error
from tashower.events.model import (
    FLAGS,
    PARAMETERS,
    Events,
    Pulses,
    Reconstruction,
    expected_at_hits,
)

#: A feature is outside of what a network knows when this part of the data, or more, lies outside of
#: the middle 99 % of the simulation.
WARN_FRACTION = 0.05
#: ... or when the two distributions differ by more than this.
WARN_DISTANCE = 0.25
#: What a network takes from the fit that it corrects.
OF_FIT = "of the fit"
#: Features with their units, as they stand at axes.
_FEATURES = {
    "curvature": "curvature a [ns]",
    "area_over_peak": "area over peak at 1200 m [ns]",
    "area_over_peak_slope": "its slope [ns/km]",
    "n_stations": "stations in the fit",
    "n_excluded": "stations rejected",
    "chi2_per_ndof": "chi2/ndof",
    "s_b3": "S_b, b = 3 [m²]",
    "s_b45": "S_b, b = 4.5 [m²]",
    "total_signal": "total signal [VEM]",
    "layer_asymmetry": "(upper − lower)/(upper + lower)",
    "n_peaks": "peaks of all waveforms",
    "n_peaks_strongest": "peaks of the strongest station",
    "n_peaks_upper": "peaks of the upper layer alone",
    "n_peaks_lower": "peaks of the lower layer alone",
    "zenith": "zenith [rad]",
    "s_ref": "fitted size [VEM/m²]",
    "peaks": "peaks of a station",
    "saturated": "saturated (0 or 1)",
}


def station_residuals(
    events: Events, pulses: Pulses, fit: Reconstruction, pull: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Hits of events with a fit: distance r [m], time after the fitted front [ns],
    ln(density/fitted), saturated.

    pull : (n_hits,) time, less its expected shift, over its error; None: left out
    """
    expected = expected_at_hits(fit, events)
    keep = np.isfinite(expected.density) & np.isfinite(pulses.arrival_time)
    density = np.maximum(pulses.signal[keep].mean(axis=1), 1e-3) / events.array.detector.area
    return ({} if pull is None else {"pull": pull[keep]}) | {
        "r": expected.distance[keep],
        "time": (pulses.arrival_time - expected.time)[keep],
        "signal": np.log(density / expected.density[keep]),
        "saturated": pulses.saturated[keep],
    }


def two_sample_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Largest distance of the two empirical distributions (Kolmogorov and Smirnov), NaN left out;
    NaN without values.
    """
    return two_samples(a, b).distance


def name_with_unit(feature: str) -> str:
    """A feature of events or stations as it stands at an axis, with its unit."""
    return _FEATURES.get(feature, feature)


def station_features(pulses: Pulses) -> dict[str, np.ndarray]:
    """What is known of a single hit, NaN where there is nothing: {name: (n_hits,)}."""
    signal = pulses.signal.mean(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            "log10 signal [VEM]": np.where(signal > 0, np.log10(signal), np.nan),
            "area over peak [ns]": pulses.area_over_peak,
            "peaks": pulses.n_peaks.mean(axis=1).astype(float),
            "saturated": pulses.saturated.astype(float),
        }
        if pulses.signal.shape[1] == 2:
            found["ln(upper/lower)"] = np.where(
                (pulses.signal > 1.0).all(axis=1),
                np.log(pulses.signal[:, 0] / pulses.signal[:, 1]),
                np.nan,
            )
    return found


def _unlike(a, b, found: TwoSamples, looks: int, independent) -> tuple[float, str]:
    """(part [%] of a outside of the middle 99 % of b, "" or how a is unlike b)."""
    low, high = np.quantile(b, [0.005, 0.995])
    outside = np.mean((a < low) | (a > high))
    n = len(a) if independent is None else min(len(a), independent[0])
    far = outside > WARN_FRACTION and looks * above_p(outside * n, n, 0.01) < CLEAR
    other = found.distance > WARN_DISTANCE and looks * found.p_value < CLEAR
    text = f"{100 * outside:.0f} % outside, distance {found.distance:.2f}, {p_text(found.p_value)}"
    return 100 * outside, text if far or other else ""


def domain_rows(
    data: dict[str, np.ndarray],
    simulation: dict[str, np.ndarray],
    independent: tuple[int, int] | None = None,
) -> tuple[list[list[str]], list[str]]:
    """(table with header, warnings) of features of data against simulation.

    A warning needs a large difference and one that chance does not make: its p-value times the
    number of features is below `p_values.CLEAR`.

    independent : how many of the values of each are independent (events, for stations); None: all
    """
    outside_of = "outside of the simulation's middle 99 %"
    head = ["feature", "data, median", "n", "simulation, median", "n"]
    rows = [[*head, "distance", "p-value", outside_of]]
    warnings = []
    for name in data:
        a, b = (x[name][np.isfinite(x[name])] for x in (data, simulation))
        text = name_with_unit(name)
        if not len(a) or not len(b):
            rows.append([text, "—", f"{len(a):,}", "—", f"{len(b):,}", "—", "—", "—"])
            continue
        found = two_samples(a, b, independent)
        outside, unlike = _unlike(a, b, found, len(data), independent)
        numbers = (f"{np.median(a):.3g}", f"{found.n:,}", f"{np.median(b):.3g}", f"{found.m:,}")
        n = found.n if independent is None else min(found.n, independent[0])
        said = [f"{found.distance:.2f}", p_text(found.p_value, n), f"{outside:.1f} %"]
        rows.append([text, *numbers, *said])
        if unlike:
            warnings.append(f"{text}: {unlike}")
    return rows, warnings


class Errors(NamedTuple):
    """Errors that a method states, (n,) each; NaN where it states none."""

    parameters: dict[str, np.ndarray]  #: of PARAMETERS
    direction: (
        np.ndarray
    )  #: [deg], length of (error of the zenith, sin zenith error of the azimuth)
    core: np.ndarray  #: [m]


def errors_of(t: Reconstruction) -> Errors:
    """The errors that a table states."""
    with np.errstate(invalid="ignore"):
        sigma = np.sqrt(np.diagonal(t.covariance, axis1=1, axis2=2)).T
    of = dict(zip(PARAMETERS, sigma, strict=True))
    direction = np.degrees(np.hypot(of["zenith"], np.sin(t.zenith) * of["azimuth"]))
    return Errors(of, direction, np.hypot(of["core_x"], of["core_y"]))


def count_rows(
    methods: dict[str, Reconstruction], networks: Iterable[str], size: str = "S800"
) -> list[list[str]]:
    """How many events have a result and pass the cuts, by method, and the medians of the errors
    that the method states for those with a result; with header.

    networks : names of the methods that are networks; size : what the fitted size is called
    """
    stated = ("direction [deg]", "core [m]", f"{size} [%]", "energy [%]")
    head = ["method", "events with a result", "pass the quality cuts"]
    head += [f"median error, {text}" for text in stated]
    rows = [[*head, "most frequent failures"]]
    for name, table in methods.items():
        parts = ((np.mean(table.flags >> bit & 1), flag) for bit, flag in enumerate(FLAGS))
        failed = sorted(parts, reverse=True)[:3]
        words = ", ".join(f"{flag} {100 * part:.0f} %" for part, flag in failed if part > 0)
        errors = errors_of(table)
        with np.errstate(invalid="ignore", divide="ignore"):
            of_size = 100 * errors.parameters["s_ref"] / table.s_ref
            of_energy = 100 * table.energy_error / table.energy
        columns = (errors.direction, errors.core, of_size, of_energy)
        rows.append(
            [
                label(name, networks),
                f"{table.valid.sum():,} of {len(table.valid):,}",
                f"{table.passes_cuts.sum():,}",
                *(_median(column[table.valid]) for column in columns),
                words or "none",
            ]
        )
    return rows


def _median(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    return with_error(float(np.median(values)), digits=2) if len(values) else NOTHING


def cut_rows(
    methods: dict[str, Reconstruction], networks: Iterable[str], settings: Mapping, size: str
) -> list[list[str]]:
    """How many events fail each of the cuts, by method, with what the cut is; with header.

    settings : section `reconstruction` of the configuration; size : of the fitted size
    """
    rows = [["cut", "fails it", *(label(name, networks) for name in methods)]]
    for bit, cut in enumerate(cuts_of(settings, size)):
        counts = [int((table.flags >> bit & 1).sum()) for table in methods.values()]
        if any(counts):
            rows.append([cut.flag, cut.meaning, *(f"{n:,}" for n in counts)])
    return rows


def event_rows(
    events: Events, methods: dict[str, Reconstruction], networks: Iterable[str] = (), most: int = 50
) -> list[list[str]]:
    """A line for each event and method with a result, of up to `most` events, with header; errors
    are those that the method states. Xmax and ln A have columns where a method says them.
    """
    size = events.array.size_name
    massive = any(table.says_mass for table in methods.values())
    rows = [
        [
            *("event id", "method", "stations", "zenith [deg]", "azimuth [deg]"),
            *("error of the direction [deg]", "core x, east [m]", "core y, north [m]"),
            *(f"{size} [VEM/m²]", "energy [EeV]", "chi2/ndof", "p-value", "cuts"),
            *(("Xmax [g/cm²]", "ln A") if massive else ()),
        ]
    ]
    hits = np.diff(events.hit_offset)
    errors = {name: errors_of(table) for name, table in methods.items()}
    for i in range(min(events.n_events, most)):
        event = str(events.event_id[i])
        found = [name for name, table in methods.items() if _known(table, i)]
        if not found:
            nothing = ["—"] * (len(rows[0]) - 3)
            rows.append([event, "none has a result", f"{hits[i]} hit", *nothing])
        for name in found:
            row = _row(name in networks, methods[name], errors[name], i)
            row += _mass_of(methods[name], i) if massive else []
            rows.append([event, label(name, networks), *row])
            event = ""
    return rows


def _mass_of(t: Reconstruction, i: int) -> list[str]:
    """Xmax and ln A of event i, with errors."""
    return [
        with_error(t.of_mass(name)[i], t.of_mass(f"{name}_error")[i], places=places)
        for name, places in (("xmax", 0), ("ln_a", 1))
    ]


def _known(t: Reconstruction, i: int) -> bool:
    return bool(t.valid[i] and np.isfinite(t.zenith[i]))


def _row(corrects: bool, t: Reconstruction, errors: Errors, i: int) -> list[str]:
    """corrects : it is a network, whose size and chi2 are those of the fit that it corrects."""
    error = {name: column[i] for name, column in errors.parameters.items()}
    chi2, ndof = float(t.chi2[i]), int(t.ndof[i])
    quotient, p = "—", "—"
    if np.isfinite(chi2) and ndof >= 1:
        quotient, p = (
            f"{number(chi2, 1 if chi2 < 1000 else 0)}/{ndof}",
            p_text(float(chi2_p(chi2, ndof))),
        )
    failed = [flag for bit, flag in enumerate(FLAGS) if t.flags[i] >> bit & 1]
    return [
        str(t.n_stations[i]),
        with_error(np.degrees(t.zenith[i]), np.degrees(error["zenith"]), places=2),
        with_error(np.degrees(t.azimuth[i]), np.degrees(error["azimuth"]), places=2),
        with_error(errors.direction[i], digits=2),
        *(with_error(getattr(t, n)[i], error[n], places=0) for n in ("core_x", "core_y")),
        OF_FIT if corrects else with_error(t.s_ref[i], error["s_ref"]),
        with_error(t.energy[i], t.energy_error[i]),
        *((OF_FIT, OF_FIT) if corrects else (quotient, p.removeprefix("p = ").replace("p ", ""))),
        ", ".join(failed) or "passes",
    ]
