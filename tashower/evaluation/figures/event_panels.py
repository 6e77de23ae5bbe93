"""The panels of a picture of one event."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from tashower.events.array import Array, description_of
from tashower.events.model import Events
from tashower.physics.description import Expected, ShowerParameters, expected
from tashower.physics.geometry import axis_components
from tashower.physics.lateral import log_lateral_distribution, slope
from tashower.physics.shower_front import front_delay

_LAYERS = ("#0072B2", "#D55E00")
_MOST_WAVEFORMS = 8


class Shower(NamedTuple):
    """A true or a reconstructed shower to draw."""

    name: str
    values: dict[str, float]
    colour: str
    dashed: bool


class Hits(NamedTuple):
    """Stations with a hit, one row for each."""

    position: np.ndarray  #: (n, 3) [m]
    time: np.ndarray  #: (n,) [ns]
    density: np.ndarray  #: (n,) [VEM/m^2]
    saturated: np.ndarray  #: (n,) bool


def expected_of(shower: dict, position: np.ndarray, array: Array) -> Expected:
    """What the formulas put at stations (n, 3) for a shower, with its own slope if it has one."""
    parameters = ShowerParameters(*(shower[name] for name in ShowerParameters._fields))
    return expected(parameters, position, description_of(array), shower.get("slope"))


def footprint(
    axis: Axes,
    events: Events,
    index: int,
    hits: np.ndarray,
    time: np.ndarray,
    signal: np.ndarray,
    showers: list[Shower],
    rejected: np.ndarray,
) -> None:
    """Stations, times and signals of an event seen from above, and the showers' cores and axes;
    hits, rejected : indices of the stations with a hit, and with one that is no measurement.
    """
    position = events.array.position
    dead = events.dead_station[slice(*events.dead_offset[index : index + 2])]
    axis.plot(
        position[:, 0] / 1e3, position[:, 1] / 1e3, ".", color="#bbbbbb", ms=4, label="silent"
    )
    axis.plot(
        position[dead, 0] / 1e3,
        position[dead, 1] / 1e3,
        "x",
        color="#888888",
        ms=6,
        label="out of service",
    )
    if len(rejected):
        axis.plot(
            *position[rejected, :2].T / 1e3,
            "s",
            mfc="none",
            color="#888888",
            ms=8,
            label="hit that is no measurement",
        )
    where = position[hits] / 1e3
    points = axis.scatter(
        where[:, 0],
        where[:, 1],
        s=20 + 35 * np.log1p(np.maximum(signal, 0)),
        c=(time - np.nanmin(time)) / 1e3,
        cmap="viridis",
        edgecolors="k",
        linewidths=0.5,
        zorder=3,
    )
    axis.figure.colorbar(points, ax=axis, label="arrival time [us]", shrink=0.8)
    for name, shower, colour, _ in showers:
        n_x, n_y, _ = axis_components(shower["zenith"], shower["azimuth"])
        x, y = shower["core_x"] / 1e3, shower["core_y"] / 1e3
        long = 2.5e-3 * events.array.spacing
        axis.annotate(
            "",
            (x, y),
            (x + long * n_x, y + long * n_y),
            arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.6},
            zorder=4,
        )
        axis.plot(x, y, "+", color=colour, ms=12, mew=2, label=name, zorder=5)
    centre = np.average(where[:, :2], axis=0, weights=np.maximum(signal, 0.1))
    half = np.abs(where[:, :2] - centre).max() + 1e-3 * events.array.spacing
    axis.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - half, centre[1] + half))
    axis.set(
        xlabel="x east [km]",
        ylabel="y north [km]",
        aspect="equal",
        title="footprint: colour time, size signal",
    )
    axis.legend(fontsize=8, loc="upper right")


def waveforms(
    axis: Axes,
    events: Events,
    order: np.ndarray,
    rows: np.ndarray,
    r: np.ndarray,
    plane: np.ndarray,
    reference: dict | None,
) -> None:
    """Waveforms of a few of the stations `order` (indices into rows, r and plane, by distance)
    after the plane front; reference : the shower whose t0 is 0; None: no shift.
    """
    detector = events.array.detector
    start = (reference or {"t0": 0.0})["t0"]
    edges = np.arange(detector.n_bins) * detector.bin_width
    shown = order[np.linspace(0, len(order) - 1, min(_MOST_WAVEFORMS, len(order))).astype(int)]
    for k, i in enumerate(dict.fromkeys(shown)):
        h = rows[i]
        vem = (events.waveform[h] - events.pedestal[h]) / events.counts_per_vem[h]
        height = max(vem.max(), 1e-3)
        time = (events.hit_time[h] - start - plane[i] + edges) / 1e3
        for layer in range(detector.n_layers):
            axis.step(
                time,
                -k + 0.75 * vem[:, layer] / height,
                where="post",
                color=_LAYERS[layer % 2],
                lw=0.9,
            )
        axis.text(
            0.99,
            -k + 0.72,
            f"{r[i]:.0f} m, highest bin {height:.2g} VEM",
            fontsize=8,
            ha="right",
            transform=axis.get_yaxis_transform(),
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1},
        )
    names = (
        ("upper", "lower")
        if detector.n_layers == 2
        else tuple(f"layer {i}" for i in range(detector.n_layers))
    )
    for layer, name in enumerate(names):
        axis.plot([], [], color=_LAYERS[layer % 2], label=name)
    axis.set(
        xlabel="time after the plane front [us]",
        yticks=[],
        title="waveforms by distance",
        ylim=(-k - 0.35 if len(shown) else 0, 1.0),
    )
    axis.legend(fontsize=8, loc="lower right", ncols=2)


def _curve(axes, fine, hits: Hits, shower: Shower, array: Array) -> np.ndarray:
    """Draw a shower and the hits around it; returns the times after its plane front [ns]."""
    front, residual, lateral, lateral_residual = axes
    values, colour = shower.values, shower.colour
    eta = values.get("slope", slope(values["zenith"]))
    here = expected_of(values, hits.position, array)
    r, after = here.distance, hits.time - here.plane_time
    log_ldf_fine = log_lateral_distribution(fine, eta, array.lateral)
    line = {"color": colour, "ls": "--" if shower.dashed else "-", "label": shower.name}
    front.plot(r, after, "o", color=colour, ms=4)
    front.plot(fine, front_delay(fine, log_ldf_fine, values["curvature"], array.front), **line)
    residual.plot(r, after - here.delay, "o", color=colour, ms=4)
    limit, measured = hits.saturated, ~hits.saturated
    lateral.plot(r[measured], hits.density[measured], "o", color=colour, ms=4)
    lateral.plot(r[limit], hits.density[limit], "^", mfc="none", color=colour, ms=6)
    lateral.plot(fine, values["s_ref"] * np.exp(log_ldf_fine), **line)
    off = np.log(np.maximum(hits.density, 0.05) / here.density)
    lateral_residual.plot(r[measured], off[measured], "o", color=colour, ms=4)
    return after


def curves(
    axes: Sequence[Axes], r: np.ndarray, hits: Hits, showers: list[Shower], array: Array
) -> None:
    """Shower front and lateral distribution, each with residuals below, on four axes; r : distances
    of the hits [m] that the curves span.
    """
    front, residual, lateral, lateral_residual = axes
    fine = np.linspace(max(50.0, r.min() * 0.7), r.max() * 1.15, 300)
    lowest, highest = 0.0, 1.0
    for shower in showers:
        after = _curve(axes, fine, hits, shower, array)
        after = after[np.isfinite(after)]
        lowest, highest = after.min(initial=lowest), after.max(initial=highest)
    # The curves go on where no station is: the picture is of the stations.
    front.set(
        ylabel="time after plane [ns]",
        title="shower front",
        ylim=(min(lowest, 0.0) - 0.05 * highest, 1.25 * highest),
    )
    residual.set(xlabel="distance to the axis [m]", ylabel="t - front [ns]")
    lateral.set(ylabel="signal density [VEM/m$^2$]", yscale="log", title="lateral distribution")
    lateral_residual.set(xlabel="distance to the axis [m]", ylabel="ln(S / LDF)")
    for axis in (residual, lateral_residual):
        axis.axhline(0, color="k", lw=0.8)
    if hits.saturated.any():
        lateral.plot([], [], "^", mfc="none", color="k", ms=6, label="saturated: lower limit")
    front.legend(fontsize=8)
    lateral.legend(fontsize=8)


def parameter_table(axis: Axes, showers: list[Shower], size: str) -> None:
    """Parameters of the showers side by side; size : what the fitted size is called."""
    axis.axis("off")
    names = (
        "energy [EeV]",
        "zenith [deg]",
        "azimuth [deg]",
        "core x [m]",
        "core y [m]",
        f"{size} [VEM/m$^2$]",
        "a [ns]",
    )
    columns = [
        [
            f"{s['energy']:.1f}",
            f"{np.degrees(s['zenith']):.2f}",
            f"{np.degrees(s['azimuth']):.2f}",
            f"{s['core_x']:.0f}",
            f"{s['core_y']:.0f}",
            f"{s['s_ref']:.1f}",
            f"{s['curvature']:.2f}",
        ]
        for _, s, _, _ in showers
    ]
    if columns:
        text = [list(row) for row in zip(*columns, strict=True)]
        found = axis.table(
            text,
            rowLabels=names,
            colLabels=[shower.name for shower in showers],
            loc="center",
            cellLoc="right",
        )
        found.auto_set_font_size(False)
        found.set_fontsize(9)
        found.scale(1, 1.5)
