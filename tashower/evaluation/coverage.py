"""Coverage: how often the truth lies inside of the regions that a method states.

A covariance C says that the true value of k parameters lies with probability p where
d^T C^-1 d < chi2_k^-1(p), d = true - reconstructed: inside of an interval (k = 1) or an ellipse
(k = 2). Every event has a depth, the p of the region on whose border the truth lies; if the regions
are right, depths are even between 0 and 1, and the part of the events with a depth below p is p.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tashower.evaluation.bootstrap import Draws, over_trainings, replicates
from tashower.evaluation.scores import mean
from tashower.evaluation.stated import Stated, without_temperature
from tashower.events.model import PARAMETERS, Reconstruction, Truth
from tashower.events.regions import LEVELS, normal_square, probability, squared_distance
from tashower.physics.geometry import direction, opening_angle

#: What has regions, and the number of its parameters.
QUANTITIES = {"direction": 2, "core": 2, "size": 1, "energy": 1}
#: sin(zenith) below which the azimuth is that of `reconstruction.quality.to_angles` for a vertical
#: shower.
_VERTICAL = 1e-9


def depth_of(
    offset: np.ndarray, covariance: np.ndarray, radii: np.ndarray | None = None
) -> np.ndarray:
    """(n,) probability of the region on whose border the truth lies; NaN where the covariance is
    not known, or is none (not positive definite).

    offset : (n, k) true - reconstructed, k = 1 or 2; covariance : (n, k, k)
    radii : (n, len(LEVELS)) as in `regions.normal_square`
    """
    k = offset.shape[1]
    return probability(normal_square(squared_distance(offset, covariance), k, radii), k)


def tangent_plane(table: Reconstruction, truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """((n, 2) true - reconstructed direction [rad], (n, 2, 2) covariance), along the zenith angle
    and across it, in the plane that touches the sphere at the reconstructed direction.

    The length of the first is the opening angle. Right at any zenith: a step in azimuth counts with
    sin(zenith).
    """
    zenith, azimuth = table.zenith, table.azimuth
    true = direction(truth.zenith, truth.azimuth)
    along = direction(zenith + 0.5 * np.pi, azimuth)
    across = direction(np.full_like(zenith, 0.5 * np.pi), azimuth + 0.5 * np.pi)
    offset = np.stack([(true * along).sum(axis=1), (true * across).sum(axis=1)], axis=1)
    angle = opening_angle(true, direction(zenith, azimuth))
    offset *= (angle / np.maximum(np.hypot(*offset.T), 1e-300))[:, None]
    places = [PARAMETERS.index("zenith"), PARAMETERS.index("azimuth")]
    scale = np.stack([np.ones_like(zenith), np.maximum(np.sin(zenith), _VERTICAL)], axis=1)
    covariance = table.covariance[:, places][:, :, places]
    return offset, covariance * scale[:, :, None] * scale[:, None, :]


def depths(
    table: Reconstruction,
    truth: Truth,
    with_size: bool = True,
    radii: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """{quantity of QUANTITIES: (n,) `depth_of`}, only of those for which some event has errors.

    Size and energy: of the logarithms, with the relative errors. The fits find ln S_ref, and an
    interval in it cannot reach below 0.

    with_size : False for a network, whose table holds the size of its fit
    radii : {quantity: (n, len(LEVELS))} where regions are not those of normal distributions
    """
    far = radii or {}
    core = np.stack([truth.core_x - table.core_x, truth.core_y - table.core_y], axis=1)
    size = PARAMETERS.index("s_ref")
    with np.errstate(invalid="ignore", divide="ignore"):
        log_size = np.log(truth.s_ref / table.s_ref)
        log_energy = np.log(truth.energy / table.energy)
        of_size = table.covariance[:, size, size] / table.s_ref**2
        of_energy = (table.energy_error / table.energy) ** 2
    found = {
        "direction": depth_of(*tangent_plane(table, truth), far.get("direction")),
        "core": depth_of(core, table.covariance[:, :2, :2], far.get("core")),
        "size": depth_of(log_size[:, None], of_size[:, None, None]),
        "energy": depth_of(log_energy[:, None], of_energy[:, None, None], far.get("energy")),
    }
    if not with_size:
        del found["size"]
    return {quantity: of for quantity, of in found.items() if np.isfinite(of).any()}


def _of_bin(trainings: Sequence[np.ndarray], rows: np.ndarray, draws: Draws) -> dict:
    """{"n": events with errors, "observed": [value and error for each of LEVELS]}."""
    found = []
    for depth in trainings:
        known = rows[np.isfinite(depth[rows])]
        inside = {level: (depth[known] < level).astype(float) for level in LEVELS}
        found.append(
            replicates(
                lambda w, of=inside: {level: mean(x, w) for level, x in of.items()}, draws, known
            )
        )
    observed = [over_trainings([one[level] for one in found]) for level in LEVELS]
    return {"n": len(known), "observed": observed}


def coverage(
    found: Mapping[str, Mapping[str, np.ndarray]],
    groups: Mapping[str, Sequence[str]],
    bins: Mapping[str, Sequence[np.ndarray]],
    draws: Draws,
) -> dict:
    """Observed coverage of every method with errors.

    Parameters
    ----------
    found : {method: its `depths`}
    groups : {method: its trainings}, of the methods in `found`; of a fit itself
    bins : {kind of bins: [rows of each]}; those of "all" are one bin
    draws : of the same events

    Returns
    -------
    dict : "levels"; "methods": {method: {kind: {quantity: {"n", "observed"}}}}, a list of bins
        where the kind is not "all"; "without": methods that state no errors. "observed" has for
        every level the part of the events whose truth lies inside, "value" and "error".
    """
    methods = {}
    for name, members in groups.items():
        if not found[members[0]]:
            continue
        methods[name] = {
            kind: [
                {
                    quantity: _of_bin([found[m][quantity] for m in members], rows, draws)
                    for quantity in found[members[0]]
                }
                for rows in several
            ]
            for kind, several in bins.items()
        }
        methods[name]["all"] = methods[name]["all"][0]
    without = [name for name in groups if name not in methods]
    return {"levels": list(LEVELS), "methods": methods, "without": without}


def coverage_of_methods(
    tables: Mapping[str, Reconstruction],
    truth: Truth,
    groups: Mapping[str, Sequence[str]],
    stated: Mapping[str, Stated],
    how: tuple,
) -> tuple[dict, dict]:
    """({method: its depths}, `coverage` of them, with "before": that of networks before their
    temperature, and "temperature": {network: {block: factor of each training}}).

    stated : of every method, a network or not
    how : (names of the networks, bins and draws as `coverage` wants them)
    """
    networks, *rest = how
    found = {
        name: depths(table, truth, name not in networks, stated[name].radii)
        for name, table in tables.items()
    }
    factors = {name: stated[name].temperature for name in tables if stated[name].temperature}
    before = {
        name: depths(without_temperature(tables[name], factor), truth, False, stated[name].radii)
        for name, factor in factors.items()
    }
    changed = {name: members for name, members in groups.items() if set(members) <= set(factors)}
    return found, coverage(found, groups, *rest) | {
        "before": coverage(before, changed, *rest)["methods"],
        "temperature": {
            name: {block: [factors[m][block] for m in members] for block in factors[members[0]]}
            for name, members in changed.items()
        },
    }
