"""Arrival time of the shower front.

    t(r) = t0 + t_plane + a (1 + r/R_L)^1.5 LDF(r)^-0.5

(Ivanov et al. 2020, arXiv:2005.07117, section 2; after Linsley 1986 and Teshima et al. 1986), R_L =
30 m. The curvature parameter `a` is in ns: it is the delay that the bracket multiplies.

Why this shape: if every particle arrives tau behind the front, tau = s (1 + r/R_L)^1.5 Gamma(shape
2), the first of n particles comes s (1 + r/R_L)^1.5 sqrt(2) Gamma(3/2)/sqrt(n) later on average for
large n, and n is proportional to S800 LDF(r).

R_L, the power and that of the LDF are numbers of the array's description (`Front`). Simulated
particles follow the formula above by construction in one of the simulation's fronts; in its default
an onset is added to it (`front_delay_with_onset`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tashower.physics.compiled import formula
from tashower.physics.constants import FRONT_SCALE


class Front(NamedTuple):
    """Numbers of the front formula: delay = a (1 + r/distance)^power LDF^-density_power."""

    distance: float = FRONT_SCALE  #: [m]
    power: float = 1.5
    density_power: float = 0.5


#: The front of the Telescope Array's formula. A paraboloid whose delay does not depend on the
#: density is close to Front(1.0, 2.0, 0.0).
TELESCOPE_ARRAY_FRONT = Front()


#: Onset of all particles' delays per (1 + r/30 m)^1.5 [ns], whatever the zenith: of the muons of a
#: hadronic cascade at 600 to 2000 m (docs/simulation.md).
FRONT_ONSET = 0.34


@formula
def thickness_shape(r):
    """(1 + r/30 m)^1.5: how delays and the thickness of the front grow with r [m]."""
    y = 1.0 + r / FRONT_SCALE
    return y * np.sqrt(y)


@formula
def log_delay_derivative(r, front):
    """d ln (1 + r/R)^p / dr = p/(R + r) [1/m], for R and p of the front."""
    return front.power / (front.distance + r)


@formula
def front_delay(r, log_ldf, curvature, front):
    """Delay [ns] of the front behind the plane through the core: a (1 + r/R)^p LDF^-q.

    Parameters
    ----------
    r : perpendicular distance to the axis [m]
    log_ldf : ln LDF(r) (`lateral.log_lateral_distribution`)
    curvature : a [ns]
    front : R, p and q (`Front`)

    Examples
    --------
    At r = 800 m, LDF = 1: front_delay(800, 0, 1.0, TELESCOPE_ARRAY_FRONT) = (1 + 800/30)^1.5 =
    145.5.
    """
    y = 1.0 + r / front.distance
    # A square root is several times faster than a power.
    shape = y * np.sqrt(y) if front.power == 1.5 else y**front.power
    return curvature * shape * np.exp(-front.density_power * log_ldf)


@formula
def front_delay_with_onset(r, log_ldf, curvature, onset, front):
    """Delay [ns] of a front before whose onset no particle comes: (onset + a LDF^-q) (1 + r/R)^p.

    The onset does not shrink with the density, as that of muons does not, whose shortest way is a
    straight line from where they were made; a is what the first of n particles adds to it. With
    `FRONT_ONSET` and the Telescope Array's R, p and q this describes the mean first arrival of the
    simulation's front `sourced` to 4 % rms (docs/front_shape.md), `front_delay` alone to 20 %.

    Parameters
    ----------
    r, log_ldf, front : as of `front_delay`
    curvature : a [ns]; not that of `front_delay`, which contains the onset
    onset : [ns]; 0 gives `front_delay`

    Examples
    --------
    At r = 800 m, LDF = 1: front_delay_with_onset(800, 0, 1.0, 0.34, TELESCOPE_ARRAY_FRONT) = 1.34
    (1 + 800/30)^1.5 = 195.0.
    """
    return front_delay(r, log_ldf, curvature, front) + front_delay(r, 0.0, onset, front)


@formula
def curvature_beyond_onset(curvature, log_ldf, onset, front):
    """The a [ns] of `front_delay_with_onset` that gives the delay of `front_delay` with `curvature`
    where ln LDF is log_ldf: a - onset LDF^q, whatever the distance.

    The true `curvature` of a simulated shower holds at 1 km. NaN stays NaN; the result may be
    negative where the delay is less than the onset.
    """
    return curvature - onset * np.exp(front.density_power * log_ldf)


def curvature_zenith_dependence(zenith: ArrayLike) -> np.ndarray:
    """Curvature of the front at a zenith angle [rad] relative to a vertical shower, dimensionless,
    1 at 0.

    The Telescope Array's standard reconstruction (Ivanov 2012, PhD thesis, Rutgers): in degrees,
    3.3836 - 0.01848 z below 25, a cubic from 25 to 35, exp(2.0 - 0.032 z) above. Only the ratio to
    0 degrees is used: the absolute size depends on units and on S800.
    """
    z = np.degrees(np.asarray(zenith, dtype=float))
    low = 3.3836 - 0.01848 * z
    middle = -7.76168e-2 + 2.99113e-1 * z - 8.79358e-3 * z**2 + 6.51127e-5 * z**3
    high = np.exp(-3.2e-2 * z + 2.0)
    return np.where(z < 25.0, low, np.where(z < 35.0, middle, high)) / 3.3836
