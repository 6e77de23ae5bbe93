"""Measured events in numbers: what was found, stations around the fit, data against simulation."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import ks_2samp

from tashower.evaluation.names import label
from tashower.events.model import FLAGS, Events, Pulses, Reconstruction, expected_at_hits

#: A feature is outside of what a network knows when this part of the data, or more, lies outside of
#: the middle 99 % of the simulation.
WARN_FRACTION = 0.05
#: ... or when the two distributions differ by more than this.
WARN_DISTANCE = 0.25


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
    a, b = (np.asarray(x, float)[np.isfinite(x)] for x in (a, b))
    if not len(a) or not len(b):
        return np.nan
    return float(ks_2samp(a, b, method="asymp").statistic)


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


def domain_rows(
    data: dict[str, np.ndarray], simulation: dict[str, np.ndarray]
) -> tuple[list[list[str]], list[str]]:
    """(table with header, warnings) of features of data against simulation."""
    outside_of = "outside of the simulation's middle 99 %"
    rows = [["feature", "data, median", "simulation, median", "distance", outside_of]]
    warnings = []
    for name in data:
        a, b = (x[name][np.isfinite(x[name])] for x in (data, simulation))
        if not len(a) or not len(b):
            rows.append([name, "—", "—", "—", "—"])
            continue
        low, high = np.quantile(b, [0.005, 0.995])
        outside, distance = 100 * np.mean((a < low) | (a > high)), two_sample_distance(a, b)
        medians = (f"{np.median(x):.3g}" for x in (a, b))
        rows.append([name, *medians, f"{distance:.2f}", f"{outside:.1f} %"])
        if outside > 100 * WARN_FRACTION or distance > WARN_DISTANCE:
            warnings.append(
                f"{name}: {outside:.0f} % of the events outside, distance {distance:.2f}"
            )
    return rows, warnings


def count_rows(methods: dict[str, Reconstruction], networks: Iterable[str]) -> list[list[str]]:
    """How many events have a result and pass the cuts, by method, with header.

    networks : names of the methods that are networks
    """
    rows = [["method", "events with a result", "pass the quality cuts", "most frequent failures"]]
    for name, table in methods.items():
        parts = ((np.mean(table.flags >> bit & 1), flag) for bit, flag in enumerate(FLAGS))
        failed = sorted(parts, reverse=True)[:3]
        words = ", ".join(f"{flag} {100 * part:.0f} %" for part, flag in failed if part > 0)
        rows.append(
            [
                label(name, networks),
                f"{table.valid.sum():,} of {len(table.valid):,}",
                f"{table.passes_cuts.sum():,}",
                words or "none",
            ]
        )
    return rows


def event_rows(events: Events, fits: dict[str, Reconstruction], most: int = 50) -> list[list[str]]:
    """A line per event, up to `most`, with header: of the first of the fits that has a result."""
    columns = ("method", "zenith [deg]", "azimuth [deg]", "core x, y [m]")
    size = (events.array.size_name, "energy [EeV]", "chi2/ndof")
    rows = [["event id", "stations", *columns, *size]]
    hits = np.diff(events.hit_offset)
    for i in range(min(events.n_events, most)):
        row = [str(events.event_id[i]), str(hits[i])]
        name = next((name for name, table in fits.items() if table.valid[i]), None)
        rows.append([*row, *(["none", *["—"] * 6] if name is None else _row(name, fits[name], i))])
    return rows


def _row(name: str, t: Reconstruction, i: int) -> list[str]:
    return [
        label(name),
        f"{np.degrees(t.zenith[i]):.2f}",
        f"{np.degrees(t.azimuth[i]):.2f}",
        f"{t.core_x[i]:.0f}, {t.core_y[i]:.0f}",
        *(f"{x:.3g}" if np.isfinite(x) else "—" for x in (t.s_ref[i], t.energy[i])),
        f"{t.chi2[i] / max(t.ndof[i], 1):.2f}" if np.isfinite(t.chi2[i]) else "—",
    ]
