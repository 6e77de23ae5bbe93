"""Explained variance of the correction, as published and here."""

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import baselines, short
from tashower.evaluation.tables import cells


def _table(axis, entries: dict) -> None:
    """entries : {(event features, waveforms): {"value", "error"} or None}."""
    grid = np.full((2, 2), np.nan)
    for (features, waveforms), entry in entries.items():
        if entry is None or entry["value"] is None:
            continue
        i, j = int(not features), int(not waveforms)
        grid[i, j] = entry["value"]
        words = f"{entry['value']:.3f}"
        if entry["error"] is not None:
            words += f"\n± {entry['error']:.3f}"
        colour = "white" if grid[i, j] > 0.3 else "black"
        axis.text(j, i, words, ha="center", va="center", fontsize=14, color=colour)
    axis.imshow(grid, cmap="Blues", vmin=-0.05, vmax=0.5)
    axis.set_xticks([0, 1], ["waveforms", "no waveforms"])
    axis.set_yticks([0, 1], ["event\nfeatures", "no event\nfeatures"])
    axis.grid(False)


@figure_in_style
def explained_variance(scores: dict) -> Figure:
    """The 2 x 2 table of explained variances: published, and ours against every baseline."""
    fits = baselines(scores)
    figure = Figure(figsize=(13 / 3 * (1 + len(fits)), 4))
    axes = figure.subplots(1, 1 + len(fits))
    rows = {(cell["event_features"], cell["waveforms"]): cell for cell in cells(scores)}
    published = {key: {"value": cell["value"], "error": None} for key, cell in rows.items()}
    _table(axes[0], published)
    axes[0].set_title("published (TA, arXiv:2005.07117)", fontsize=11)
    for axis, fit in zip(axes[1:], fits, strict=True):
        _table(axis, {key: cell["ours"][fit] for key, cell in rows.items()})
        axis.set_title(f"this run, against the {short(fit)}", fontsize=11)
    return figure
