"""What the leading edge of a station scatters by, against the distance."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style

_PARTS = (
    ("local fluctuation", "tab:green"),
    ("first of few particles", "tab:blue"),
    ("clock", "tab:gray"),
    ("threshold and electronics", "tab:orange"),
)


@figure_in_style
def shares(found: Sequence) -> Figure:
    """The parts of the variance of leading edges as areas, one panel per energy.

    found : `likelihood.shares.Share` each; the covariances, small, are left out
    """
    energies = sorted({share.log_energy for share in found})
    figure = Figure(figsize=(4.2 * len(energies), 4.2))
    axes = figure.subplots(1, len(energies), sharey=True, squeeze=False)[0]
    for axis, energy in zip(axes, energies, strict=True):
        of = sorted((s for s in found if s.log_energy == energy), key=lambda s: s.distance)
        distance = np.array([share.distance for share in of])
        parts = np.array([share.parts[:4] / share.parts[:4].sum() for share in of]).T
        axis.stackplot(distance, 100.0 * parts, colors=[c for _, c in _PARTS], alpha=0.75)
        for share in of:
            axis.annotate(
                f"{share.rms:.0f}",
                (share.distance, 101.0),
                ha="center",
                fontsize=7,
                annotation_clip=False,
            )
        axis.set(xlabel="distance to the axis [m]", ylim=(0, 100), xlim=(distance[0], distance[-1]))
        axis.set_title(f"10^{energy:g} eV (top: rms in ns)", fontsize=10, pad=14)
    axes[0].set_ylabel("part of the variance of the leading edge [%]")
    handles = axes[0].collections[:4]
    figure.legend(handles, [n for n, _ in _PARTS], loc="outside lower center", ncols=4, fontsize=9)
    return figure
