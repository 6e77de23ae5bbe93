"""The figures, one function each. Colours are safe for colour-blind readers (Okabe and Ito 2008)."""

import itertools

import matplotlib.pyplot as plt
import numpy as np

from tashower.evaluation.tables import cells, full_network, label
from tashower.events.model import PARAMETERS
from tashower.io import provenance

_PALETTE = ("#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_FIT_COLOURS = {"free": "#555555", "constrained": "#0072B2"}
_MARKERS = {"free": "s", "constrained": "D"}
#: 68 % angular resolution of the Telescope Array surface detector: log10(E/eV) from, to, [deg]
#: (ApJL 768 (2013) L1).
PUBLISHED_ANGLE = ((18.0, 18.5, 2.4), (18.5, 19.0, 2.1), (19.0, 20.0, 1.4))
plt.rcParams.update(
    {
        "font.size": 11,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "figure.constrained_layout.use": True,
        "savefig.dpi": 130,
    }
)


def colours(names) -> dict:
    """A colour for each method; fits keep theirs."""
    palette = itertools.cycle(_PALETTE)
    return {name: _FIT_COLOURS.get(name) or next(palette) for name in names}


def _save(figure, folder, name) -> None:
    figure.savefig(folder / f"{name}.png", metadata=provenance.of_picture())
    plt.close(figure)


def _points(axis, scores, by, quantity, relative_to=None) -> None:
    """A quantity of every method against the middles of the bins, with bootstrap errors, spread a
    little sideways.

    relative_to : a method; its value divides that of the others (the error stays that of the
        numerator)
    """
    key = "energy_edges_log10_ev" if by == "by_energy" else "zenith_edges_deg"
    edges = np.array(scores["configuration"]["scores"][key], dtype=float)
    middle, width = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)

    def column(name, part):
        return np.array(
            [
                np.nan if e[quantity][part] is None else e[quantity][part]
                for e in scores["methods"][name][by]
            ]
        )

    unit = 1.0 if relative_to is None else column(relative_to, "value")
    colour = colours(scores["methods"])
    n = len(scores["methods"])
    for k, name in enumerate(scores["methods"]):
        if name == relative_to:
            continue
        axis.errorbar(
            middle + width * 0.6 / n * (k - 0.5 * (n - 1)),
            column(name, "value") / unit,
            column(name, "error") / unit,
            fmt=_MARKERS.get(name, "o"),
            ms=5,
            color=colour[name],
            lw=1.2,
            capsize=2,
            label=label(name),
        )
    for edge in edges:
        axis.axvline(edge, color="#bbbbbb", lw=0.6, zorder=0)
    axis.grid(False, axis="x")


def draw_angular_resolution(scores, folder) -> None:
    """68 % opening angle against energy, with the Telescope Array's published values, and its ratio
    to that of the free fit.
    """
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7.5, 7), sharex=True, height_ratios=(2, 1))
    _points(top, scores, "by_energy", "angle_68_deg")
    low, high = top.get_xlim()
    for begin, end, value in PUBLISHED_ANGLE:
        if min(end, high) - max(begin, low) > 0.1:
            first = not any(line.get_label().startswith("TA") for line in top.collections)
            top.hlines(
                value,
                max(begin, low),
                min(end, high),
                color="k",
                ls=":",
                label="TA published (2013)" if first else None,
            )
    top.set(ylabel="68 % opening angle [deg]", xlim=(low, high))
    top.set_ylim(0, None)
    top.legend(fontsize=9)
    _points(bottom, scores, "by_energy", "angle_68_deg", relative_to="free")
    bottom.axhline(1, color=_FIT_COLOURS["free"], lw=0.8)
    bottom.set(xlabel="log10(true energy / eV)", ylabel="ratio to the free fit")
    _save(figure, folder, "angular_resolution")


def draw_energy_resolution(scores, folder) -> None:
    """68 % resolution and bias of the energy against energy."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7.5, 7), sharex=True, height_ratios=(2, 1))
    _points(top, scores, "by_energy", "log_energy_68")
    _points(bottom, scores, "by_energy", "log_energy_bias")
    top.set(ylabel="half of the middle 68 % of ln(E / true E)")
    top.set_ylim(0, None)
    bottom.axhline(0, color="k", lw=0.8)
    bottom.set(xlabel="log10(true energy / eV)", ylabel="mean ln(E / true E)")
    top.legend(fontsize=9)
    _save(figure, folder, "energy_resolution")


def draw_zenith_bias(scores, folder) -> None:
    """Bias of energy, zenith and core against zenith."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2))
    for axis, (quantity, text) in zip(
        axes,
        (
            ("log_energy_bias", "mean ln(E / true E)"),
            ("zenith_bias_deg", "mean zenith - true zenith [deg]"),
            ("core_bias_m", "mean shift of the core towards the source [m]"),
        ),
        strict=True,
    ):
        _points(axis, scores, "by_zenith", quantity)
        axis.axhline(0, color="k", lw=0.8)
        axis.set(xlabel="true zenith [deg]", ylabel=text)
    axes[0].legend(fontsize=8)
    _save(figure, folder, "zenith_bias")


def draw_opening_angles(scores, material, folder) -> None:
    """Distribution of the opening angle, and the part of events beyond it."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6))
    found = material["found"]
    colour = colours(found)
    largest = np.degrees(np.quantile(found["free"].angle, 0.995))
    for name, r in found.items():
        angle = np.degrees(r.angle)
        left.hist(
            angle,
            np.linspace(0, largest, 50),
            histtype="step",
            color=colour[name],
            lw=1.4,
            label=label(name),
        )
        ordered = np.sort(angle)
        right.plot(
            ordered,
            1.0 - np.arange(len(ordered)) / len(ordered),
            color=colour[name],
            lw=1.4,
            label=label(name),
        )
    left.set(xlabel="opening angle to the true direction [deg]", ylabel="events", xlim=(0, largest))
    right.set(
        xlabel="opening angle to the true direction [deg]",
        ylabel="part of the events beyond it",
        yscale="log",
    )
    right.set_ylim(1.0 / max(len(found["free"].angle), 2), 1)
    right.axhline(1 - 0.6827, color="k", lw=0.8, ls=":")
    left.legend(fontsize=9)
    _save(figure, folder, "opening_angles")


def draw_residual_maps(scores, material, folder) -> None:
    """Direction residuals of the fits and of the network that sees most in the plane of the
    direction cosines.
    """
    found = material["found"]
    names = ["free", "constrained", *([full_network(scores)] if scores["networks"] else [])]
    largest = np.degrees(np.quantile(np.abs(found["free"].axis[:, :2]), 0.985))
    figure, axes = plt.subplots(
        1, len(names), figsize=(4.4 * len(names), 4.4), sharex=True, sharey=True
    )
    edges = np.linspace(-largest, largest, 51)
    for axis, name in zip(axes, names, strict=True):
        x, y = np.degrees(found[name].axis[:, 0]), np.degrees(found[name].axis[:, 1])
        count, _, _ = np.histogram2d(x, y, [edges, edges])
        axis.pcolormesh(
            edges, edges, np.where(count > 0, count, np.nan).T, cmap="viridis", norm="log"
        )
        axis.plot(x.mean(), y.mean(), "+", color="#D55E00", ms=12, mew=2)
        axis.set(title=label(name), xlabel="$n_x$ - true $n_x$ [deg]", aspect="equal")
    axes[0].set_ylabel("$n_y$ - true $n_y$ [deg]")
    _save(figure, folder, "residual_maps")


def draw_ev_table(scores, folder) -> None:
    """The 2 x 2 table of explained variances, published and ours."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    titles = (
        "published (TA, arXiv:2005.07117)",
        "this run, against the free fit",
        "this run, against the constrained fit",
    )
    for axis, title, which in zip(axes, titles, (None, "free", "constrained"), strict=True):
        grid, text = np.full((2, 2), np.nan), {}
        for cell in cells(scores):
            i, j = (0 if cell["event_features"] else 1), (0 if cell["waveforms"] else 1)
            entry = (
                {"value": cell["value"], "error": None} if which is None else cell["ours"][which]
            )
            if entry is not None and entry["value"] is not None:
                grid[i, j] = entry["value"]
                text[i, j] = f"{entry['value']:.3f}" + (
                    "" if entry["error"] is None else f"\n± {entry['error']:.3f}"
                )
        axis.imshow(grid, cmap="Blues", vmin=-0.05, vmax=0.5)
        for (i, j), words in text.items():
            axis.text(
                j,
                i,
                words,
                ha="center",
                va="center",
                fontsize=14,
                color="white" if grid[i, j] > 0.3 else "black",
            )
        axis.set_xticks([0, 1], ["waveforms", "no waveforms"])
        axis.set_yticks([0, 1], ["event\nfeatures", "no event\nfeatures"])
        axis.set_title(title, fontsize=11)
        axis.grid(False)
    _save(figure, folder, "explained_variance")


def draw_training_curves(scores, folder) -> None:
    """Losses and explained variance of the validation sample against the epoch."""
    histories = scores["histories"]
    if not histories:
        return
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4))
    colour = colours(scores["methods"])
    for name, history in histories.items():
        epoch = [h["epoch"] for h in history]
        left.plot(epoch, [h["train_loss"] for h in history], color=colour[name], ls=":")
        left.plot(
            epoch,
            [h["validation_loss"] for h in history],
            color=colour[name],
            marker="o",
            ms=3,
            label=label(name),
        )
        right.plot(
            epoch,
            [h["validation_ev"] for h in history],
            color=colour[name],
            marker="o",
            ms=3,
            label=label(name),
        )
    left.set(xlabel="epoch", ylabel="loss (dotted: training, line: validation)")
    right.set(xlabel="epoch", ylabel="explained variance of the direction, validation")
    right.legend(fontsize=9)
    _save(figure, folder, "training_curves")


def draw_pulls(scores, material, folder) -> None:
    """Pulls of the seven parameters of the free fit against a unit Gaussian."""
    figure, axes = plt.subplots(2, 4, figsize=(14, 6.6), sharex=True, sharey=True)
    edges = np.linspace(-5, 5, 61)
    middle = 0.5 * (edges[1:] + edges[:-1])
    for axis, name, pull in zip(axes.flat, PARAMETERS, material["pulls"].T, strict=False):
        entry = scores["pulls_of_free_fit"][name]
        axis.hist(pull, edges, density=True, color="#9ecae1")
        axis.plot(middle, np.exp(-0.5 * middle**2) / np.sqrt(2 * np.pi), color="k", lw=1)
        axis.set_title(
            f"{name}: mean {entry['mean']:+.3f}, width {entry['width']:.3f}", fontsize=10
        )
    axes.flat[-1].axis("off")
    for axis in axes[1]:
        axis.set_xlabel("(fitted - true) / error")
    for axis in axes[:, 0]:
        axis.set_ylabel("density")
    _save(figure, folder, "pulls")


def draw_all(scores, material, folder) -> None:
    """Every figure into a folder."""
    draw_angular_resolution(scores, folder)
    draw_energy_resolution(scores, folder)
    draw_zenith_bias(scores, folder)
    draw_opening_angles(scores, material, folder)
    draw_residual_maps(scores, material, folder)
    draw_ev_table(scores, folder)
    draw_training_curves(scores, folder)
    draw_pulls(scores, material, folder)
