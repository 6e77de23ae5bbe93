"""Cuts on the error that a method states of itself: how many events there are at the resolution
that the cuts of a fit give.

The events that a cut keeps are those whose stated error of the direction is below a threshold. Cuts
are compared at one resolution: the threshold is the largest with which the 68 % angle of the events
kept is that of the events that pass the cuts of the fit. It is found on one half of the showers and
tested on the other, and once more with the halves exchanged; a cut that was tuned to chance loses
its gain there.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from tashower.evaluation import cuts
from tashower.evaluation.bootstrap import Draws, over_trainings, replicates
from tashower.evaluation.measured import errors_of
from tashower.evaluation.scores import ONE_SIGMA, resolution_68, weighted_sums
from tashower.events.model import Reconstruction, Truth
from tashower.physics.geometry import direction, opening_angle


class Judged(NamedTuple):
    """Events of one method, (n,) each."""

    angle: np.ndarray  #: opening angle [rad]; NaN without a result
    error: np.ndarray  #: stated error of the direction [rad]; NaN where there is none
    passes: np.ndarray  #: bool, the cuts of the fit


def judged(table: Reconstruction, truth: Truth) -> Judged:
    """Of a table: the error is the root of the sum of both variances across the direction, and the
    cuts are the table's own.
    """
    error = np.radians(errors_of(table).direction)
    found, true = direction(table.zenith, table.azimuth), direction(truth.zenith, truth.azimuth)
    known = cuts.complete(table) & (error > 0)
    angle = np.where(known, opening_angle(found, true), np.nan)
    return Judged(angle, np.where(known, error, np.nan), cuts.own(table))


def threshold(
    angle: np.ndarray, error: np.ndarray, weights: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """(b,) the largest error below which the 68 % angle of the events is `wanted` (b,) or less;
    -inf where there is none.

    angle, error : (n,); weights : (b, n)

    The 68 % angle is `wanted` or less where at least that part of the weight lies within: the
    cumulated excess of the events within, in the order of the error, is not negative.
    """
    if not len(error):
        return np.full(len(wanted), -np.inf)
    order = np.argsort(error, kind="stable")
    inside = angle[order] <= wanted[:, None]
    excess = np.cumsum(weights[:, order] * (inside - ONE_SIGMA), axis=1)
    good = (excess >= -1e-9) & (np.cumsum(weights[:, order], axis=1) > 0)
    last = len(order) - 1 - np.argmax(good[:, ::-1], axis=1)
    return np.where(good.any(axis=1), error[order][last], -np.inf)


def _kept(one: Judged, halves: np.ndarray, wanted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(b, n) bool: the events that are kept by the threshold of the other half.

    wanted : (2, b) 68 % angle in each half
    """
    kept = np.zeros(weights.shape, bool)
    known = np.isfinite(one.error)
    for half in (0, 1):
        of, other = known & (halves == half), halves != half
        largest = threshold(one.angle[of], one.error[of], weights[:, of], wanted[half])
        kept[:, other] = np.where(known[other], one.error[other], np.inf) <= largest[:, None]
    return kept


def _statistics(one: Judged, fit: Judged, halves: np.ndarray, weights: np.ndarray) -> dict:
    """(b,) parts and 68 % angles [deg] of the events kept by the fit's cuts, and by thresholds."""
    total = weights.sum(axis=1)
    passes = fit.passes & np.isfinite(one.angle)
    found = {
        "fraction_fit_cuts": weighted_sums(weights, passes[:, None])[:, 0] / total,
        "angle_fit_cuts": resolution_68(one.angle[passes], weights[:, passes]),
    }
    for name, reference in (("own", one), ("fit", fit)):
        both = passes & np.isfinite(reference.angle)
        wanted = np.stack(
            [
                resolution_68(
                    reference.angle[both & (halves == h)], weights[:, both & (halves == h)]
                )
                for h in (0, 1)
            ]
        )
        kept = _kept(one, halves, wanted, weights)
        found[f"fraction_{name}"] = (weights * kept).sum(axis=1) / total
        found[f"angle_{name}"] = _each_resolution(one.angle, weights * kept)
        found[f"wanted_{name}"] = resolution_68(reference.angle[both], weights[:, both])
        with np.errstate(divide="ignore", invalid="ignore"):
            found[f"gain_{name}"] = found[f"fraction_{name}"] / found["fraction_fit_cuts"] - 1.0
    return {
        key: np.degrees(value) if key.startswith(("angle", "wanted")) else value
        for key, value in found.items()
    }


def _each_resolution(angle: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(b,) 68 % of the angles with weights that may be 0 where there is no angle."""
    known = np.isfinite(angle)
    return resolution_68(angle[known], weights[:, known])


def error_cuts(
    methods: Mapping[str, Reconstruction],
    groups: Mapping[str, Sequence[str]],
    fits: Mapping[str, str],
    truth: Truth,
    draws: Draws,
) -> dict:
    """Cuts of networks on their own errors against those of the fits that they correct.

    Parameters
    ----------
    groups : {network: its trainings}
    fits : {network: the fit that it corrects}
    draws : of all triggered events

    Returns
    -------
    dict : {network: {"fit", and with value and error: "fraction_fit_cuts", "angle_fit_cuts": part
        of the triggered events that pass the cuts of the fit, and the network's 68 % angle [deg] of
        them; for "own", the same angle, and "fit", that of the fit itself: "wanted_..." the angle
        aimed at, "fraction_..." the part that the network's threshold keeps, "angle_..." their 68 %
        angle, "gain_..." fraction over that of the fit's cuts, less 1}}; only networks that state
        errors. The threshold of every bootstrap sample is its own.
    """
    rows = np.arange(len(truth.energy))
    halves = draws.shower % 2  # throws of one shower stay together
    result = {}
    for name, members in groups.items():
        of = {m: judged(methods[m], truth) for m in members}
        if (
            not all(np.isfinite(one.error).any() for one in of.values())
            or fits[name] not in methods
        ):
            continue
        fit = judged(methods[fits[name]], truth)
        found = [
            replicates(partial(_statistics, one, fit, halves), draws, rows) for one in of.values()
        ]
        entries = {key: over_trainings([one[key] for one in found]) for key in found[0]}
        result[name] = {"fit": fits[name]} | entries
    return result
