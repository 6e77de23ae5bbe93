"""Permutation importance in the terms of the scores: how much explained variance of the direction
is lost, and how much wider its 68 % angle becomes, where an input is permuted.
"""

from typing import NamedTuple

import numpy as np

from tashower.evaluation.bootstrap import draw_showers, entry, replicates
from tashower.evaluation.scores import explained_variance, residuals, resolution_68
from tashower.events.model import Reconstruction, Truth, select_rows
from tashower.network.apply import corrected
from tashower.network.insight.permutation import Permuted
from tashower.physics.geometry import direction, opening_angle

#: Bootstrap samples (choice).
SAMPLES = 400


class Importance(NamedTuple):
    """Of every input {"value", "error"} each, with paired bootstrap errors."""

    names: list[str]
    among: list[str]  #: "hits" or "events", between which it was permuted
    change: list[dict]  #: 68 % angle [deg] between the directions with and without
    ev_lost: list[dict] | None  #: explained variance of the direction; None without a truth
    angle_gained: list[dict] | None  #: 68 % angle to the true direction [deg]
    whole: dict[str, dict]  #: "ev", "angle" of the network and "fit" of the fit, as they are
    n: int  #: events


def _directions(fit: Reconstruction, correction: np.ndarray, heading: float) -> Reconstruction:
    return corrected(fit, np.arange(len(fit)), correction, heading)


def _of_truth(table: Reconstruction, fit: Reconstruction, truth: Truth, draws) -> dict:
    """Replicates of "ev" and "angle"."""
    mine, its = residuals(table, truth), residuals(fit, truth)
    return replicates(
        lambda w: {
            "ev": explained_variance(mine.axis, its.axis, w),
            "angle": resolution_68(np.degrees(mine.angle), w),
        },
        draws,
        np.arange(len(fit)),
    )


def importance(
    permuted: Permuted, fit: Reconstruction, truth: Truth | None, heading: float, seed: int = 0
) -> Importance:
    """`Importance` of the inputs of `network.insight.permutation.permutations`.

    fit, truth : of the same events; scored are those that pass the fit's cuts, all where none does
    heading : of the lattice [rad]
    """
    good = np.flatnonzero(fit.passes_cuts if fit.passes_cuts.any() else fit.valid)
    fit = select_rows(fit, good)
    truth = None if truth is None else select_rows(truth, good)
    shower = fit.event_id if truth is None else truth.shower_id
    draws = draw_showers(shower, SAMPLES, seed)
    whole = _directions(fit, permuted.whole[good], heading)
    axis = direction(whole.zenith, whole.azimuth)
    change, ev_lost, angle_gained = [], [], []
    base = None if truth is None else _of_truth(whole, fit, truth, draws)
    for without in permuted.without:
        table = _directions(fit, without[good], heading)
        moved = np.degrees(opening_angle(axis, direction(table.zenith, table.azimuth)))
        found = replicates(
            lambda w, moved=moved: {"moved": resolution_68(moved, w)}, draws, np.arange(len(fit))
        )
        change.append(entry(found["moved"]))
        if base is not None:
            found = _of_truth(table, fit, truth, draws)
            ev_lost.append(entry(base["ev"] - found["ev"]))
            angle_gained.append(entry(found["angle"] - base["angle"]))
    scores = {}
    if base is not None:
        scores = {name: entry(value) for name, value in base.items()}
        scores["fit"] = entry(_of_truth(fit, fit, truth, draws)["angle"])
    known = base is not None
    return Importance(
        [one.name for one in permuted.inputs],
        [one.among for one in permuted.inputs],
        change,
        ev_lost if known else None,
        angle_gained if known else None,
        scores,
        len(fit),
    )
