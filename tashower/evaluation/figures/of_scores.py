"""All figures of scores."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from tashower.evaluation.comparison import Scored
from tashower.evaluation.figures.coverage import coverage
from tashower.evaluation.figures.directions import opening_angles, residual_maps
from tashower.evaluation.figures.explained_variance import explained_variance
from tashower.evaluation.figures.ladder import ladder
from tashower.evaluation.figures.pulls import pulls
from tashower.evaluation.figures.resolution import (
    angular_resolution,
    energy_resolution,
    zenith_bias,
)
from tashower.evaluation.figures.training import training_curves

#: Figures of scores, in the order in which they are drawn.
FIGURES = (
    "ladder",
    *("angular_resolution", "energy_resolution", "zenith_bias", "opening_angles"),
    *("residual_maps", "explained_variance", "training_curves", "pulls", "coverage"),
)


def names_of(scores: dict) -> list[str]:
    """Names of the figures that `figures_of` makes of scores."""
    needed = {
        "training_curves": scores["histories"],
        "explained_variance": scores["networks"],
        "coverage": scores["coverage"]["methods"],
    }
    return [name for name in FIGURES if needed.get(name, True)]


def figures_of(scores: dict, scored: Scored) -> Iterator[tuple[str, Figure]]:
    """(name, figure) of all figures of scores, made one after the other."""
    yield "ladder", ladder(scores)
    yield "angular_resolution", angular_resolution(scores)
    yield "energy_resolution", energy_resolution(scores)
    yield "zenith_bias", zenith_bias(scores)
    yield "opening_angles", opening_angles(scores, scored.residuals)
    yield "residual_maps", residual_maps(scores, scored.residuals)
    if scores["networks"]:
        yield "explained_variance", explained_variance(scores)
    if scores["histories"]:
        yield "training_curves", training_curves(scores)
    yield "pulls", pulls(scores, scored.pulls)
    if scores["coverage"]["methods"]:
        yield "coverage", coverage(scores, scored.depths)
