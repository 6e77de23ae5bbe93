"""How showers are described, and what the two formulas put at a station for such a shower."""

from typing import Any, NamedTuple

import numpy as np

from tashower.physics.compiled import formula
from tashower.physics.constants import STATION_AREA
from tashower.physics.geometry import axis_components, plane_delay
from tashower.physics.lateral import TELESCOPE_ARRAY, Lateral, log_lateral_distribution, slope
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, Front, front_delay

#: The distance to the axis is sqrt(r^2 + this^2) [m]: keeps formulas off the singularity of the
#: lateral distribution, with a derivative everywhere. Choice: a few times the size of a station.
SOFTENING = 10.0
#: Largest zenith for which the slope of the lateral distribution is evaluated [rad]: beyond, at 69
#: degrees, it would turn over.
LARGEST_ZENITH = 1.2


class Description(NamedTuple):
    """How showers are described: what the formulas need to say what a station sees."""

    lateral: Lateral = TELESCOPE_ARRAY
    front: Front = TELESCOPE_ARRAY_FRONT
    area: float = STATION_AREA  #: of a station [m^2]
    on_ground: bool = False  #: distances are measured on the ground, not from the axis


class ShowerParameters(NamedTuple):
    """The seven parameters of the two formulas, of any shapes that broadcast."""

    zenith: np.ndarray  #: [rad]
    azimuth: np.ndarray  #: [rad]
    core_x: np.ndarray  #: [m]
    core_y: np.ndarray  #: [m]
    s_ref: np.ndarray  #: [VEM/m^2]
    t0: np.ndarray  #: [ns]
    curvature: np.ndarray  #: a [ns]


def parameters_at(table: Any, rows: np.ndarray | slice) -> ShowerParameters:
    """The parameters of the given rows of a Truth or a Reconstruction."""
    return ShowerParameters(*(getattr(table, name)[rows] for name in ShowerParameters._fields))


class Expected(NamedTuple):
    """What the formulas put at a station; all of one shape."""

    distance: np.ndarray  #: softened distance to the axis [m]
    log_ldf: np.ndarray  #: ln LDF there
    density: np.ndarray  #: [VEM/m^2]
    plane_time: np.ndarray  #: passage of the plane front [ns]
    delay: np.ndarray  #: of the front behind the plane [ns]

    @property
    def time(self) -> np.ndarray:
        """Passage of the front [ns]."""
        return self.plane_time + self.delay


@formula
def softened(r2):
    """Distance [m] that formulas are evaluated at, for a squared distance r2 [m^2]."""
    return np.sqrt(np.maximum(r2, 0.0) + SOFTENING * SOFTENING)


def expected(
    shower: ShowerParameters,
    position: np.ndarray,
    description: Description,
    eta: np.ndarray | None = None,
) -> Expected:
    """What the formulas put at stations.

        t = t0 - n.d/c + a (1 + r/R_L)^1.5 LDF(r)^-0.5        S = S_ref LDF(r)

    (Ivanov et al. 2020, arXiv:2005.07117, section 2; R_L and the powers are those of the
    description), d = position - core.

    Parameters
    ----------
    shower : of shapes that broadcast with those of the positions; NaN gives NaN
    position : (..., 3) [m]
    description : which lateral distribution and front, and where distances are measured
    eta : slope of the lateral distribution; None: the mean of the zenith

    Returns
    -------
    Expected : arrays of the broadcast shape

    Examples
    --------
    Vertical, 800 m from the axis, softened by 0.06 m: density = S800 within 1e-4.
    """
    dx, dy = position[..., 0] - shower.core_x, position[..., 1] - shower.core_y
    dz = position[..., 2]
    n_x, n_y, n_z = axis_components(shower.zenith, shower.azimuth)
    q = n_x * dx + n_y * dy + n_z * dz
    ground2 = dx * dx + dy * dy
    r = softened(ground2 if description.on_ground else ground2 + dz * dz - q * q)
    if eta is None:
        eta = slope(np.minimum(shower.zenith, LARGEST_ZENITH))
    log_ldf = log_lateral_distribution(r, eta, description.lateral)
    return Expected(
        r,
        log_ldf,
        shower.s_ref * np.exp(log_ldf),
        shower.t0 + plane_delay(dx, dy, dz, n_x, n_y, n_z),
        front_delay(r, log_ldf, shower.curvature, description.front),
    )
