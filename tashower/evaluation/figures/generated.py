"""Generated events against real ones."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.judged import MASK, OF_EVENTS, OF_STATIONS, Compared, Sample
from tashower.evaluation.judged_tables import AGAINST, against_of, name_of
from tashower.evaluation.names import PALETTE
from tashower.evaluation.p_values import p_text
from tashower.evaluation.two_samples import Profile

_REAL, _FILL = "#666666", "#DDDDDD"
_MARKERS, _DASHES = ("o", "s", "D", "^", "v"), ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))
_CLASSES = 30
#: Size of a panel of two [inches] (choice).
_WIDE = (6.0, 4.2)


def _look(k: int) -> tuple[str, str, str | tuple]:
    return PALETTE[k % len(PALETTE)], _MARKERS[k % len(_MARKERS)], _DASHES[k % len(_DASHES)]


def _edges(values: np.ndarray) -> np.ndarray:
    """Of a histogram: of numbers, or halves of them as means of two layers are, whole classes."""
    low, high = np.quantile(values, [0.003, 0.997])
    for unit in (1.0, 0.5):
        if np.array_equal(values, unit * np.round(values / unit)):
            step = unit * max(1, int(np.ceil((high - low + unit) / unit / _CLASSES)))
            return np.arange(low - 0.5 * unit, high + step + 0.5 * unit, step)
    return np.linspace(low, high, _CLASSES + 1) if high > low else np.array([low - 0.5, low + 0.5])


def _histogram(axis, name: str, columns: Sequence[np.ndarray], compared: Sequence[Compared]):
    columns = [column[np.isfinite(column)] for column in columns]
    axis.set(xlabel=name_of(name), ylabel="part in a class")
    if not all(len(column) for column in columns):
        axis.text(0.5, 0.5, "nothing to compare", ha="center", transform=axis.transAxes)
        return
    edges = _edges(np.concatenate(columns))
    for k, values in enumerate(columns):
        part = np.histogram(values, edges)[0] / len(values)
        if not k:
            axis.stairs(part, edges, fill=True, color=_FILL)
            axis.stairs(part, edges, color=_REAL)
        else:
            colour, _, dashes = _look(k - 1)
            axis.stairs(part, edges, color=colour, ls=dashes, lw=1.6)
    found = [one.distributions[name] for one in compared if name in one.distributions]
    if len(found) <= 2:
        texts = [f"{one.distance:.3f}, {p_text(one.p_value)}" for one in found]
        axis.set_title("distance " + "; ".join(texts), fontsize=9)


def _legend(figure: Figure, reference: Sample, compared: Sequence[Compared], line: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [Patch(fc=_FILL, ec=_REAL, label=f"{reference.name} (reference)")]
    for k, one in enumerate(compared):
        colour, marker, dashes = _look(k)
        style = {"ls": dashes} if line else {"ls": "none", "marker": marker}
        handles.append(Line2D([], [], color=colour, label=one.name, **style))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9)


def _grid(n: int, columns: int = 4, size: tuple[float, float] = (4.0, 3.1)):
    """(figure, n axes of that size in rows of so many)."""
    rows = -(-n // columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows + 0.5))
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[n:]:
        axis.axis("off")
    return figure, axes[:n]


@figure_in_style
def distributions(
    names: Sequence[str],
    of: Callable[[Sample], Mapping[str, np.ndarray]],
    samples: Sequence[Sample],
    compared: Sequence[Compared],
) -> Figure:
    """Histograms of columns of unit area, the reference filled.

    of : columns of a sample; samples : the reference first, the others as in `compared`
    """
    names = [name for name in names if all(name in of(sample) for sample in samples)]
    figure, axes = _grid(len(names))
    for axis, name in zip(axes, names, strict=True):
        _histogram(axis, name, [of(sample)[name] for sample in samples], compared)
    _legend(figure, samples[0], compared, True)
    return figure


def of_events(samples: Sequence[Sample], compared: Sequence[Compared]) -> Figure:
    """Distributions of events."""
    return distributions(list(OF_EVENTS), lambda s: s.of_events, samples, compared)


def of_stations(samples: Sequence[Sample], compared: Sequence[Compared]) -> Figure:
    """Distributions of stations."""
    return distributions(list(OF_STATIONS), lambda s: s.of_stations, samples, compared)


def of_fits(samples: Sequence[Sample], compared: Sequence[Compared], method: str) -> Figure:
    """Distributions of what one fit gives."""
    names = [n for n in samples[0].of_events if n.endswith(f"_{method}") and n[:5] != "valid"]
    return distributions(names, lambda s: s.of_events, samples, compared)


def _profile(axis, profiles: Sequence[Profile], kind: str) -> None:
    """Reference as a band of its error, others as points with errors."""
    shown = getattr(profiles[0], kind)[0], getattr(profiles[0], f"{kind}_error")[0]
    edges = profiles[0].edges
    low, high = shown[0] - shown[1], shown[0] + shown[1]
    axis.stairs(high, edges, baseline=low, fill=True, color=_FILL)
    axis.stairs(shown[0], edges, baseline=None, color=_REAL)
    middle, width = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    for k, profile in enumerate(profiles):
        colour, marker, _ = _look(k)
        values, errors = getattr(profile, kind)[1], getattr(profile, f"{kind}_error")[1]
        place = middle + width * 0.12 * (k - 0.5 * (len(profiles) - 1))
        style = {"fmt": marker, "ms": 4, "color": colour, "capsize": 2, "lw": 1.2}
        axis.errorbar(place, values, errors, **style)
    axis.use_sticky_edges = False
    axis.margins(0.03, 0.06)
    if len(profiles) <= 2:
        texts = [p_text(getattr(profile, f"p_{kind}")) for profile in profiles]
        axis.set_title("; ".join(texts), fontsize=9)


@figure_in_style
def profiles(reference: Sample, compared: Sequence[Compared]) -> Figure:
    """Mean and spread of what stations show, against distance, signal or expected signal."""
    names = [name for name in compared[0].profiles if name != MASK]
    panels = [(name, kind) for name in names for kind in ("mean", "spread")]
    panels.append((MASK, "mean"))
    figure, axes = _grid(len(panels))
    for axis, (name, kind) in zip(axes, panels, strict=True):
        _profile(axis, [one.profiles[name] for one in compared], kind)
        text = name_of(name) if name == MASK else f"{kind} of {name_of(name)}"
        axis.set(xlabel=against_of(name), ylabel=text)
        axis.yaxis.label.set_fontsize(9)
    _legend(figure, reference, compared, False)
    return figure


@figure_in_style
def efficiency(reference: Sample, compared: Sequence[Compared]) -> Figure:
    """Part of the thrown showers that trigger, against energy and zenith."""
    compared = [one for one in compared if one.efficiency]
    figure, axes = _grid(2, 2, _WIDE)
    for axis, name in zip(axes, ("energy", "zenith"), strict=True):
        _profile(axis, [one.efficiency[name] for one in compared], "mean")
        axis.set(xlabel=AGAINST[name], ylabel="trigger efficiency")
    _legend(figure, reference, compared, False)
    return figure


def _operating(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(false, true positives) of all thresholds, from the highest."""
    scores = np.concatenate([first, second])
    order = np.argsort(-scores, kind="stable")
    is_second = (np.arange(len(scores)) >= len(first))[order]
    true, false = np.cumsum(is_second) / len(second), np.cumsum(~is_second) / len(first)
    return np.append(0.0, false), np.append(0.0, true)


@figure_in_style
def classifier(real: Compared, compared: Sequence[Compared]) -> Figure:
    """Receiver operating characteristics of the classifiers."""
    kinds = [kind for kind in ("events", "stations") if kind in real.scores]
    figure, axes = _grid(len(kinds), max(len(kinds), 1), _WIDE)
    for axis, kind in zip(axes, kinds, strict=True):
        axis.plot([0, 1], [0, 1], color="k", lw=0.7)
        for k, one in enumerate((real, *compared)):
            colour, _, dashes = (_REAL, "", "-") if not k else _look(k - 1)
            if kind in one.scores:
                text = f"{one.name}: {one.areas[kind].value:.3f} ± {one.areas[kind].error:.3f}"
                line = _operating(*one.scores[kind])
                axis.plot(*line, color=colour, ls=dashes, lw=1.6, label=text)
        axis.set(xlabel="part of the reference taken for the other")
        axis.set(ylabel="part of the other found", title=kind, xlim=(0, 1), ylim=(0, 1))
        axis.legend(fontsize=8, loc="lower right", title="area")
    return figure


@figure_in_style
def copies(reference: Sample, compared: Sequence[Compared]) -> Figure:
    """Distances to the nearest event of the training sample, cumulated."""
    compared = [one for one in compared if one.copies is not None]
    figure, axes = _grid(2, 2, _WIDE)
    texts = ("distance to the nearest event of the training sample", "over that to the second")
    pairs = (("nearest", "real"), ("ratio", "real_ratio"))
    for axis, text, (ours, theirs) in zip(axes, texts, pairs, strict=True):
        curves = [(getattr(compared[0].copies, theirs), reference.name, (_REAL, "", "-"))]
        curves += [(getattr(c.copies, ours), c.name, _look(k)) for k, c in enumerate(compared)]
        for values, name, (colour, _, dashes) in curves:
            axis.ecdf(values, color=colour, ls=dashes, lw=1.6, label=name)
        axis.set(xlabel=text, ylabel="part of the events up to here")
        axis.legend(fontsize=9)
    return figure
