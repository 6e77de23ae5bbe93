"""One event as a picture: footprint, waveforms, shower front, lateral distribution, parameters."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tashower.events.model import Events, Pulses
from tashower.io import provenance
from tashower.physics.geometry import axis_components, axis_distance, plane_delay
from tashower.physics.lateral import log_lateral_distribution, slope
from tashower.physics.shower_front import front_delay

_TRUE, _LAYERS = "#009E73", ("#0072B2", "#D55E00")
_FITTED = {"free": "#555555", "constrained": "#0072B2"}
_OTHER = "#D55E00"
_SHORT = {"free": "free fit", "constrained": "constrained fit", "plane": "plane front"}
_MOST_WAVEFORMS = 8
_FARTHEST = 1000.0  # from the front [ns] that a hit may lie to be drawn with it


def _row(table, index) -> dict | None:
    """Parameters of one event, or None where invalid."""
    values = {
        name: float(getattr(table, name)[index])
        for name in ("core_x", "core_y", "zenith", "azimuth", "s800", "t0", "curvature", "energy")
    }
    return values if np.isfinite([values["zenith"], values["core_x"]]).all() else None


def _around(reference, position):
    """(axis distance, plane delay) of stations (n, 3) for the shower `reference`."""
    d = (position[:, 0] - reference["core_x"], position[:, 1] - reference["core_y"], position[:, 2])
    n = axis_components(reference["zenith"], reference["azimuth"])
    return np.maximum(axis_distance(*d, *n), 10.0), plane_delay(*d, *n)


def _footprint(axis, events: Events, index, hits, time, signal, showers) -> None:
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
    for name, shower, colour in showers:
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


def _waveforms(axis, events: Events, order, rows, r, plane, reference) -> None:
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


def _curves(
    front,
    residual,
    lateral,
    lateral_residual,
    r,
    time,
    density,
    saturated,
    showers,
    plane_of,
    array,
) -> None:
    form = array.lateral
    fine = np.linspace(max(50.0, r.min() * 0.7), r.max() * 1.15, 300)
    lowest, highest = 0.0, 1.0
    for name, shower, colour in showers:
        eta = shower.get("slope", slope(shower["zenith"]))
        own_r, plane = plane_of(shower)
        after = time - shower["t0"] - plane
        log_ldf = log_lateral_distribution(own_r, eta, form)
        expected = front_delay(own_r, log_ldf, shower["curvature"], array.front)
        line = {"color": colour, "ls": "--" if colour == _OTHER else "-", "label": name}
        front.plot(own_r, after, "o", color=colour, ms=4)
        lowest, highest = min(lowest, np.nanmin(after)), max(highest, np.nanmax(after))
        front.plot(
            fine,
            front_delay(
                fine, log_lateral_distribution(fine, eta, form), shower["curvature"], array.front
            ),
            **line,
        )
        residual.plot(own_r, after - expected, "o", color=colour, ms=4)
        lateral.plot(own_r[~saturated], density[~saturated], "o", color=colour, ms=4)
        lateral.plot(own_r[saturated], density[saturated], "^", mfc="none", color=colour, ms=6)
        lateral.plot(
            fine, shower["s800"] * np.exp(log_lateral_distribution(fine, eta, form)), **line
        )
        off = np.log(np.maximum(density, 0.05) / (shower["s800"] * np.exp(log_ldf)))
        lateral_residual.plot(own_r[~saturated], off[~saturated], "o", color=colour, ms=4)
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
    if saturated.any():
        lateral.plot([], [], "^", mfc="none", color="k", ms=6, label="saturated: lower limit")
    front.legend(fontsize=8)
    lateral.legend(fontsize=8)


def _parameter_table(axis, showers, size: str) -> None:
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
            f"{s['s800']:.1f}",
            f"{s['curvature']:.2f}",
        ]
        for _, s, _ in showers
    ]
    if columns:
        text = [list(row) for row in zip(*columns, strict=True)]
        found = axis.table(
            text,
            rowLabels=names,
            colLabels=[name for name, _, _ in showers],
            loc="center",
            cellLoc="right",
        )
        found.auto_set_font_size(False)
        found.set_fontsize(9)
        found.scale(1, 1.5)


def event_figure(events: Events, index: int, tables: dict, pulses: Pulses) -> Figure:
    """Event number `index` with its true shower and the given reconstructions {method: table}.

    A network states no t0 of its own: its front is drawn with that of the fit it corrects. Without
        any valid reconstruction and
    without truth only footprint and waveforms appear.
    """
    rows = np.arange(*events.hit_offset[index : index + 2])
    hits = events.hit_station[rows]
    signal = pulses.signal[rows].mean(axis=1)
    time = np.where(
        np.isfinite(pulses.arrival_time[rows]), pulses.arrival_time[rows], events.hit_time[rows]
    )
    showers = []
    if events.truth is not None:
        truth = {
            n: float(getattr(events.truth, n)[index])
            for n in (
                "core_x",
                "core_y",
                "zenith",
                "azimuth",
                "s800",
                "t0",
                "curvature",
                "energy",
                "slope",
            )
        }
        showers.append(("true", truth, _TRUE))
    for name, table in tables.items():
        found = _row(table, index)
        if name == "plane" and any(label in _SHORT.values() for label, _, _ in showers):
            continue  # only where the fit has no result
        if name == "plane" and found is not None:
            found["curvature"] = 0.0
        if found is not None and (name in _FITTED or len(tables) <= 3 or name == list(tables)[2]):
            showers.append((_SHORT.get(name, "network"), found, _FITTED.get(name, _OTHER)))
    reference = showers[0][1] if showers else None
    position = events.array.position[hits]
    r, plane = (
        _around(reference, position) if reference else (np.zeros(len(hits)), np.zeros(len(hits)))
    )
    # Accidental hits stay in the footprint; in the other panels they would squeeze everything else.
    near = np.ones(len(hits), bool)
    if reference:
        log_ldf = log_lateral_distribution(r, slope(reference["zenith"]), events.array.lateral)
        after = time - reference["t0"] - plane
        near = np.abs(after) < _FARTHEST + 2.0 * front_delay(
            r, log_ldf, reference["curvature"], events.array.front
        )
        near &= np.abs(after) < 6.0 * _FARTHEST
    # Without waveforms their column is left out.
    columns = 2 if events.waveform is None else 3
    figure = Figure(figsize=(5.4 * columns, 9.5), layout="constrained")
    grid = figure.add_gridspec(
        4, columns, height_ratios=(3, 1, 3, 1.6), width_ratios=(1.25, 1.0, 1.0)[:columns]
    )
    _footprint(figure.add_subplot(grid[0:3, 0]), events, index, hits, time, signal, showers)
    if events.waveform is not None and len(rows):
        _waveforms(
            figure.add_subplot(grid[0:4, 2]),
            events,
            np.flatnonzero(near)[np.argsort(r[near])],
            rows,
            r,
            plane,
            reference,
        )
    if reference and near.any():
        axes = [figure.add_subplot(grid[k, 1]) for k in range(4)]
        _curves(
            *axes,
            r[near],
            time[near],
            signal[near] / events.array.detector.area,
            pulses.saturated[rows][near],
            showers,
            lambda shower: _around(shower, position[near]),
            events.array,
        )
    _parameter_table(figure.add_subplot(grid[3, 0]), showers, events.array.size_name)
    figure.suptitle(
        f"event {int(events.event_id[index])}, {len(rows)} stations with a hit"
        + (
            f"; {(~near).sum()} of them far from the front, not drawn on the right"
            if not near.all()
            else ""
        )
    )
    return figure


def draw_event(events: Events, index: int, tables: dict, pulses: Pulses, path) -> None:
    """Write the picture that `event_figure` draws."""
    figure = event_figure(events, index, tables, pulses)
    figure.savefig(path, dpi=100, metadata=provenance.of_picture(Path(path).suffix))
