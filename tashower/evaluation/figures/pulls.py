"""Does the fit know its errors?"""

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.tables import pulls_of_fit
from tashower.events.model import PARAMETERS


@figure_in_style
def pulls(scores: dict, found: np.ndarray) -> Figure:
    """Pulls of the seven parameters of the first baseline, (n_events, 7), against a unit
    Gaussian.
    """
    figure = Figure(figsize=(14, 6.6))
    axes = figure.subplots(2, 4, sharex=True, sharey=True)
    edges = np.linspace(-5, 5, 61)
    middle = 0.5 * (edges[1:] + edges[:-1])
    for axis, name, pull in zip(axes.flat, PARAMETERS, found.T, strict=False):
        entry = pulls_of_fit(scores)[name]
        axis.hist(pull, edges, density=True, color="#9ecae1")
        axis.plot(middle, np.exp(-0.5 * middle**2) / np.sqrt(2 * np.pi), color="k", lw=1)
        text = f"{name}: mean {entry['mean']:+.3f}, width {entry['width']:.3f}"
        axis.set_title(text, fontsize=10)
    axes.flat[-1].axis("off")
    for axis in axes[1]:
        axis.set_xlabel("(fitted - true) / error")
    for axis in axes[:, 0]:
        axis.set_ylabel("density")
    return figure
