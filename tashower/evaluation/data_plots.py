"""Figures of measured events: what was found, where methods differ, stations around the fit, data
against simulation.
"""

import numpy as np

from tashower.evaluation.plots import colours, plt
from tashower.evaluation.tables import label
from tashower.events.model import Events, Pulses, Reconstruction, expected_at_hits
from tashower.io import provenance
from tashower.physics.geometry import direction, opening_angle

_DATA, _SIMULATION = "#D55E00", "#555555"


def _hist(axis, values, edges=None, **style) -> None:
    """A histogram of what is finite; nothing where nothing is."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    if len(values):
        axis.hist(values, 30 if edges is None else edges, histtype="step", lw=1.4, **style)


def _save(figure, folder, name) -> None:
    figure.savefig(folder / f"{name}.png", metadata=provenance.of_picture())
    plt.close(figure)


def draw_distributions(methods: dict[str, Reconstruction], size: str, folder) -> None:
    """Direction, size and quality of every method; size : what the fitted size is called."""
    figure, axes = plt.subplots(2, 4, figsize=(16, 7.4))
    colour = colours(methods)
    columns = (
        ("zenith [deg]", lambda t: np.degrees(t.zenith), np.linspace(0, 75, 31)),
        ("azimuth [deg]", lambda t: np.degrees(t.azimuth), np.linspace(0, 360, 25)),
        (f"log10({size} / (VEM/m$^2$))", lambda t: np.log10(t.s800), np.linspace(-1, 3.5, 46)),
        ("log10(E / eV)", lambda t: np.log10(t.energy) + 18, np.linspace(17, 21, 41)),
        (
            "stations in the fit",
            lambda t: np.where(t.valid, t.n_stations, np.nan),
            np.arange(2.5, 40.5),
        ),
        ("chi$^2$/ndof", lambda t: t.chi2 / np.maximum(t.ndof, 1), np.linspace(0, 8, 41)),
        ("curvature a [ns]", lambda t: t.curvature, np.linspace(0, 3, 31)),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        for axis, (text, column, edges) in zip(axes.flat, columns, strict=False):
            for name, table in methods.items():
                _hist(axis, column(table), edges, color=colour[name], label=label(name))
            axis.set(xlabel=text, ylabel="events")
    last = axes.flat[-1]
    for name, table in methods.items():
        last.plot(table.core_x / 1e3, table.core_y / 1e3, ".", ms=3, color=colour[name])
    last.set(xlabel="core x [km]", ylabel="core y [km]", aspect="equal")
    axes.flat[0].legend(fontsize=7)
    _save(figure, folder, "distributions")


def draw_differences(methods: dict[str, Reconstruction], folder) -> None:
    """Angle and energy between the free fit and every other method, event by event."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4))
    free, colour = methods["free"], colours(methods)
    axis_free = direction(free.zenith, free.azimuth)
    for name, table in methods.items():
        if name == "free":
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            angle = np.degrees(opening_angle(direction(table.zenith, table.azimuth), axis_free))
            ratio = np.log(table.energy / free.energy)
        _hist(
            left,
            np.minimum(angle, 10.0),
            np.linspace(0, 10, 51),
            color=colour[name],
            label=label(name),
        )
        _hist(
            right,
            np.clip(ratio, -1, 1),
            np.linspace(-1, 1, 51),
            color=colour[name],
            label=label(name),
        )
    left.set(xlabel="angle to the free fit [deg] (last bin: and more)", ylabel="events")
    right.set(xlabel="ln(E / E of the free fit)", ylabel="events")
    for axis in (left, right):
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8)
    _save(figure, folder, "differences")


def station_residuals(
    events: Events, pulses: Pulses, fit: Reconstruction, pull=None
) -> dict[str, np.ndarray]:
    """Hits of events with a fit: distance r [m], time after the fitted front [ns],
    ln(density/fitted), saturated.

    pull : (n_hits,) time, less its expected shift, over its error; None: left out
    """
    hit = events.hit_event
    r, log_ldf, front = expected_at_hits(fit, events)
    keep = (
        np.isfinite(fit.s800[hit]) & np.isfinite(fit.core_x[hit]) & np.isfinite(pulses.arrival_time)
    )
    hit, r, log_ldf, front = hit[keep], r[keep], log_ldf[keep], front[keep]
    density = np.maximum(pulses.signal[keep].mean(axis=1), 1e-3) / events.array.detector.area
    return ({} if pull is None else {"pull": pull[keep]}) | {
        "r": r,
        "time": pulses.arrival_time[keep] - front,
        "signal": np.log(density) - np.log(fit.s800[hit]) - log_ldf,
        "saturated": pulses.saturated[keep],
    }


def _band(axis, r, values) -> None:
    """Points, and median and middle 68 % in bins of distance with ten points or more."""
    axis.plot(r, values, ".", ms=2, color="#9ecae1", rasterized=True)
    edges = np.linspace(0, np.max(r) if len(r) else 1.0, 16)
    which = np.digitize(r, edges) - 1
    rows = [
        (0.5 * (edges[k] + edges[k + 1]), *np.quantile(values[which == k], [0.159, 0.5, 0.841]))
        for k in range(15)
        if (which == k).sum() >= 10
    ]
    if rows:
        middle, low, median, high = np.array(rows).T
        axis.fill_between(middle, low, high, color="#0072B2", alpha=0.25, label="middle 68 %")
        axis.plot(middle, median, color="#0072B2", label="median")
        axis.legend(fontsize=9)
    axis.axhline(0, color="k", lw=0.8)
    axis.set_xlabel("distance to the fitted axis [m]")


def draw_residuals(residuals, folder) -> None:
    """Times and signals around the free fit against distance. Accidental hits lie far off."""
    with_pull = "pull" in residuals
    figure, (left, right, *more) = plt.subplots(
        1, 2 + with_pull, figsize=(18 if with_pull else 13, 4.8)
    )
    near = np.abs(residuals["time"]) < 3000.0
    if with_pull:
        _band(more[0], residuals["r"][near], np.clip(residuals["pull"][near], -6.0, 6.0))
        more[0].set_ylabel("pull of the time")
    _band(left, residuals["r"][near], residuals["time"][near])
    left.set_ylabel("time after the fitted front [ns]")
    kept = ~residuals["saturated"] & near
    _band(right, residuals["r"][kept], residuals["signal"][kept])
    right.set_ylabel("ln(density / fitted)")
    _save(figure, folder, "residuals")


def two_sample_distance(a, b) -> float:
    """Largest distance of the two empirical distributions (Kolmogorov and Smirnov), NaN left out;
    NaN without values.
    """
    a, b = (np.sort(np.asarray(x, float)[np.isfinite(x)]) for x in (a, b))
    if not len(a) or not len(b):
        return np.nan
    x = np.concatenate([a, b])
    return float(
        np.abs(
            np.searchsorted(a, x, "right") / len(a) - np.searchsorted(b, x, "right") / len(b)
        ).max()
    )


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


def draw_domain(
    data: dict[str, np.ndarray], simulation: dict[str, np.ndarray], folder, name: str = "domain"
) -> None:
    """Every feature of the data against the simulation's, both with unit area; the picture is
    called `name`.
    """
    rows = -(-len(data) // 4)
    figure, axes = plt.subplots(rows, 4, figsize=(16, 3 * rows), squeeze=False)
    for axis, feature in zip(axes.flat, data, strict=False):
        both = np.concatenate([x[feature][np.isfinite(x[feature])] for x in (data, simulation)])
        if len(both):
            edges = np.linspace(*np.quantile(both, [0.005, 0.995]), 31) if np.ptp(both) > 0 else 10
            for values, colour, text in (
                (simulation[feature], _SIMULATION, "simulation"),
                (data[feature], _DATA, "data"),
            ):
                values = values[np.isfinite(values)]
                if len(values):
                    unit = np.full(len(values), 1 / len(values))
                    axis.hist(
                        values,
                        edges,
                        weights=unit,
                        histtype="step",
                        color=colour,
                        lw=1.4,
                        label=text,
                    )
        axis.set_title(
            f"{feature}: distance {two_sample_distance(data[feature], simulation[feature]):.2f}",
            fontsize=10,
        )
    for axis in list(axes.flat)[len(data) :]:
        axis.axis("off")
    if axes.flat[0].get_legend_handles_labels()[0]:
        axes.flat[0].legend(fontsize=9)
    _save(figure, folder, name)
