"""Where the joint fit starts: plane front, centre of gravity, size. Compiled."""

import math

from tashower.calibration.prior import prior_log_curvature
from tashower.physics.compiled import inner
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.lateral import log_lateral_distribution, slope_of_secant
from tashower.reconstruction.clusters import TIME
from tashower.reconstruction.joint.model import soft_distance

#: Sine of the largest zenith that a plane front is given.
LARGEST_SINE = 0.9


@inner(inline=False)
def solve_normal_equations(a):
    """Solve three equations with a positive definite matrix a[:, :3] and right side a[:, 3] by
    Gauss elimination; the solution is put into a[:, 3], the matrix is destroyed.
    """
    for j in range(3):
        for i in range(j + 1, 3):
            ratio = a[i, j] / a[j, j]
            for k in range(j, 4):
                a[i, k] -= ratio * a[j, k]
    a[2, 3] = a[2, 3] / a[2, 2]
    a[1, 3] = (a[1, 3] - a[1, 2] * a[2, 3]) / a[1, 1]
    a[0, 3] = (a[0, 3] - a[0, 1] * a[1, 3] - a[0, 2] * a[2, 3]) / a[0, 0]


@inner(inline=False)
def start_plane(observed, p, a):
    """A plane front to start from: sets p[2], p[3] (n_x, n_y) and p[5] (t0 at the core in p[0],
    p[1]); False if the stations lie on a line.

    t = t0 - n.(x - core)/c, equal weights, with n_z of the round before at the altitudes and three
    rounds: least squares on level ground, close to it elsewhere (`methods.plane` is exact).
    a : (3, 4) work space.
    """
    n_z = 1.0
    for _ in range(3):
        for j in range(3):
            for k in range(4):
                a[j, k] = 0.0
        for i in range(len(observed.x)):
            if not observed.use[i] & TIME:
                continue
            row = (
                -(observed.x[i] - p[0]) / SPEED_OF_LIGHT,
                -(observed.y[i] - p[1]) / SPEED_OF_LIGHT,
                1.0,
                observed.time[i] + n_z * observed.z[i] / SPEED_OF_LIGHT,
            )
            for j in range(3):
                for k in range(4):
                    a[j, k] += row[j] * row[k]
        determinant = a[0, 0] * a[1, 1] - a[0, 1] * a[0, 1]
        scale = a[0, 0] + a[1, 1]
        spread = (
            determinant
            - (a[0, 2] ** 2 * a[1, 1] + a[1, 2] ** 2 * a[0, 0] - 2.0 * a[0, 1] * a[0, 2] * a[1, 2])
            / a[2, 2]
        )
        if not spread > 1e-4 * scale * scale:
            return False
        solve_normal_equations(a)
        p[2], p[3], p[5] = a[0, 3], a[1, 3], a[2, 3]
        sine = math.hypot(p[2], p[3])
        if sine > LARGEST_SINE:  # a horizontal front: start from 64 degrees
            p[2] *= LARGEST_SINE / sine
            p[3] *= LARGEST_SINE / sine
        n_z = math.sqrt(1.0 - p[2] * p[2] - p[3] * p[3])
    return True


@inner(inline=False)
def start_core(observed, p):
    """Core at the centre of gravity of the stations, weighted with the square root of the
    density.
    """
    total = x = y = 0.0
    for i in range(len(observed.x)):
        if observed.use[i] & TIME:
            weight = math.sqrt(max(observed.density[i], 0.1))
            total += weight
            x += weight * observed.x[i]
            y += weight * observed.y[i]
    p[0], p[1] = x / total, y / total


@inner(inline=False)
def start_size(observed, p, settings):
    """S800 and curvature for the core and direction in p: mean of ln(S_i/LDF_i), and the prior's
    mean.
    """
    description = settings.description
    n_z = math.sqrt(1.0 - p[2] * p[2] - p[3] * p[3])
    eta = slope_of_secant(1.0 / n_z)
    total, count = 0.0, 0
    for i in range(len(observed.x)):
        if observed.use[i] & TIME and observed.density[i] > 0.0:
            dx, dy, dz = observed.x[i] - p[0], observed.y[i] - p[1], observed.z[i]
            r, _ = soft_distance(dx, dy, dz, (p[2], p[3], n_z), description.on_ground)
            log_ldf = log_lateral_distribution(r, eta, description.lateral)
            total += math.log(observed.density[i]) - log_ldf
            count += 1
    p[4] = min(max(total / max(count, 1), -2.0), 9.0)
    p[6] = math.exp(prior_log_curvature(n_z, p[4], settings.prior))
