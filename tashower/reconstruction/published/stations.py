"""Which stations the stages of the Telescope Array's reconstruction look at. Compiled."""

import math

from tashower.physics.compiled import inner
from tashower.physics.constants import STATION_AREA
from tashower.physics.lateral import log_lateral_distribution, slope_of_secant
from tashower.reconstruction.clusters import BOUND, SIGNAL, TIME
from tashower.reconstruction.joint.model import soft_distance

#: Lengths of the Telescope Array's code are in units of the distance of its stations, 1200 m, and
#: are so on any array: error of the centre of gravity (180 m), and stations nearer to it than this
#: on the ground do not take part in the lateral fit (600 m).
CENTRE_ERROR, CORE_RADIUS = 0.15, 0.5
#: Silent stations take part from so much inside of the farthest station to so much outside
#: (perpendicular to the axis): where the farthest is beyond 1.5, where it is beyond 1, else none.
RING_FAR, RING_NEAR, RING_OUTSIDE = 0.5, 0.25, 0.1
#: Where signals say how large the shower is to begin with (300 and 1800 m).
START_RANGE = (0.25, 1.5)
#: Error of the lateral fit: this times (2 rho + (0.15 rho)^2)^1/2 with rho in VEM/m^2 of 3 m^2, and
#: 3.125 for silence. For stations of another area the first term, and that of silence, are those
#: of Poisson's errors: times 3 m^2/area.
LATERAL_SCALE, LATERAL_POISSON, LATERAL_FRACTION, SILENCE_ERROR = 0.53, 2.0, 0.15, 3.125


@inner
def lateral_error(density, area):
    """Error of an observed density [VEM/m^2] in the lateral fit; 0 is silence."""
    ratio = STATION_AREA / area
    if density <= 0.0:
        return LATERAL_SCALE * SILENCE_ERROR * ratio
    fraction = LATERAL_FRACTION * density
    return LATERAL_SCALE * math.sqrt(LATERAL_POISSON * ratio * density + fraction * fraction)


@inner(inline=False)
def centre_of_gravity(observed):
    """(x, y) [m] of the stations with a time, weighted with their densities."""
    total = x = y = 0.0
    for i in range(len(observed.x)):
        if observed.use[i] & TIME:
            total += observed.density[i]
            x += observed.density[i] * observed.x[i]
            y += observed.density[i] * observed.y[i]
    return x / total, y / total


@inner(inline=False)
def size_of(p, observed, spacing, description):
    """ln S800 to start from: sum of the signals of the stations with a time, neither near nor far,
    over that of the lateral distribution around the axis of p; 0 without such stations.
    """
    n_z = math.sqrt(1.0 - p[2] * p[2] - p[3] * p[3])
    eta = slope_of_secant(1.0 / n_z)
    seen = expected = 0.0
    for i in range(len(observed.x)):
        if not observed.use[i] & TIME:
            continue
        dx, dy, dz = observed.x[i] - p[0], observed.y[i] - p[1], observed.z[i]
        r, _ = soft_distance(dx, dy, dz, (p[2], p[3], n_z), description.on_ground)
        if START_RANGE[0] * spacing < r < START_RANGE[1] * spacing:
            seen += observed.density[i]
            expected += math.exp(log_lateral_distribution(r, eta, description.lateral))
    return min(max(math.log(seen / expected), -2.0), 9.0) if seen > 0.0 else 0.0


@inner
def distance_from(centre, p, x, y, description):
    """Distance [m] of a place on the ground from an axis through `centre` along that of p."""
    n_z = math.sqrt(1.0 - p[2] * p[2] - p[3] * p[3])
    r, _ = soft_distance(
        x - centre[0], y - centre[1], 0.0, (p[2], p[3], n_z), description.on_ground
    )
    return r


@inner(inline=False)
def lateral_stations(p, centre, observed, array, spacing, description, far):
    """Stations of the lateral fit into the columns of `far`: those of the cluster that are not
    saturated and not near the centre of gravity, and silent ones in a ring around the farthest.

    p : direction; far : `Observed` of the size of the array
    array : (position (n_stations, 3) [m], busy (n_stations,) int32), busy not negative for a
        station with any hit or out of service

    Returns (number of stations, number of those with a signal).
    """
    n = 0
    farthest = 0.0
    for i in range(len(observed.x)):
        if not observed.use[i] & TIME or observed.use[i] & BOUND:
            continue
        dx, dy = observed.x[i] - centre[0], observed.y[i] - centre[1]
        farthest = max(
            farthest, distance_from(centre, p, observed.x[i], observed.y[i], description)
        )
        if dx * dx + dy * dy >= (CORE_RADIUS * spacing) ** 2:
            _take(n, (observed.x[i], observed.y[i], observed.z[i]), observed.density[i], far)
            n += 1
    hit = n
    if farthest >= spacing:
        begin = farthest - (RING_FAR if farthest > 1.5 * spacing else RING_NEAR) * spacing
        end = farthest + RING_OUTSIDE * spacing
        position, busy = array
        for k in range(len(position)):
            if busy[k] >= 0:
                continue
            r = distance_from(centre, p, position[k, 0], position[k, 1], description)
            if begin <= r <= end:
                _take(n, (position[k, 0], position[k, 1], position[k, 2]), 0.0, far)
                n += 1
    for i in range(n):
        far.signal_weight[i] = lateral_error(far.density[i], description.area) ** -2.0
    return n, hit


@inner
def _take(n, place, density, far):
    """Station n of `far`."""
    far.x[n], far.y[n], far.z[n] = place
    far.density[n], far.use[n] = density, SIGNAL
    far.time[n] = far.time_weight[n] = far.shift[n] = far.skew[n] = 0.0
    far.contained[n] = far.late[n] = far.trust[n] = 1.0
