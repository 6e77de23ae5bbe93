"""Plane front alone: a direction from three stations on, for any array and any front."""

import math

import numpy as np

from tashower.calibration.errors import ErrorModel
from tashower.events.model import PARAMETERS, Events, Pulses, Reconstruction
from tashower.physics.compiled import compiled, inner
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.geometry import azimuth_of
from tashower.reconstruction.clusters import TIME
from tashower.reconstruction.joint.observe import (
    count,
    geometry_of,
    hit_columns,
    observe,
    work_space,
)
from tashower.reconstruction.joint.start import (
    LARGEST_SINE,
    solve_normal_equations,
    start_core,
    start_plane,
)
from tashower.reconstruction.methods import Context
from tashower.reconstruction.quality import to_angles

#: Fewest stations with a time.
FEWEST_STATIONS = 3
_MOST_STEPS = 50
_CLOSE = 1e-13  # a step of the direction cosines that changes nothing


@inner(inline=False)
def _normal_equations(observed, p, a):
    """Sums of the linearised least squares at p into a (3, 4); returns the sum of squared residuals
    [ns^2].

    t = t0 - (n_x dx + n_y dy + n_z dz)/c with n_z = (1 - n_x^2 - n_y^2)^1/2, whose derivative is
    where the altitude acts. Columns of a : n_x, n_y, t0, right side.
    """
    n_z = math.sqrt(max(1.0 - p[2] * p[2] - p[3] * p[3], 1e-12))
    for j in range(3):
        for k in range(4):
            a[j, k] = 0.0
    total = 0.0
    for i in range(len(observed.x)):
        if not observed.use[i] & TIME:
            continue
        dx, dy, dz = observed.x[i] - p[0], observed.y[i] - p[1], observed.z[i]
        expected = p[5] - (p[2] * dx + p[3] * dy + n_z * dz) / SPEED_OF_LIGHT
        residual = observed.time[i] - expected
        row = (
            -(dx - dz * p[2] / n_z) / SPEED_OF_LIGHT,
            -(dy - dz * p[3] / n_z) / SPEED_OF_LIGHT,
            1.0,
            residual,
        )
        for j in range(3):
            for k in range(4):
                a[j, k] += row[j] * row[k]
        total += residual * residual
    return total


@inner(inline=False)
def _least_squares(observed, p, a, trial):
    """Gauss-Newton from p (n_x, n_y, t0 in p[2], p[3], p[5]), with steps halved until they help;
    returns (sum of squares, converged). The normal equations at the end stay in a.
    """
    total = _normal_equations(observed, p, a)
    for _ in range(_MOST_STEPS):
        solve_normal_equations(a)
        d_x, d_y, d_t = a[0, 3], a[1, 3], a[2, 3]
        length, better = 1.0, False
        while length > 1e-6:
            trial[0], trial[1] = p[0], p[1]
            trial[2], trial[3] = p[2] + length * d_x, p[3] + length * d_y
            trial[5] = p[5] + length * d_t
            if trial[2] * trial[2] + trial[3] * trial[3] < 1.0:
                new = _normal_equations(observed, trial, a)
                if new <= total:
                    better = True
                    break
            length *= 0.5
        # Rounding: at the minimum no step can help any more.
        done = not better or max(abs(length * d_x), abs(length * d_y)) < _CLOSE
        if better:
            p[2], p[3], p[5], total = trial[2], trial[3], trial[5], new
        if done:
            small = max(abs(d_x), abs(d_y)) < 1e-8
            _normal_equations(observed, p, a)
            return total, small
    return total, False


@compiled
def _fit_all(hits, geometry, area, found):
    """Plane front of every event.

    found : (p (n, 7) columns 0 to 3 and 5, NaN where there is none; normal matrices (n, 3, 3); sum
        of squares (n,); number of stations (n,))
    """
    p, matrix, squares, used = found
    work, normal, trial = work_space(len(geometry.position)), np.zeros((3, 4)), np.zeros(7)
    for i in range(len(hits.offset) - 1):
        observed, origin = observe(i, hits, geometry, area, work)
        used[i] = count(observed, TIME)
        if used[i] < FEWEST_STATIONS:
            continue
        row = np.zeros(7)
        start_core(observed, row)
        if not start_plane(observed, row, normal):
            continue
        total, good = _least_squares(observed, row, normal, trial)
        if good and math.hypot(row[2], row[3]) < LARGEST_SINE:
            row[5] += origin
            p[i] = row
            matrix[i] = normal[:, :3]
            squares[i] = total


def fit_planes(events: Events, pulses: Pulses, context: Context | None = None) -> Reconstruction:
    """Direction of a plane front through the arrival times of every event's cluster, least squares
    with equal weights.

        t = t0 - n.(x - core)/c,      n_z = (1 - n_x^2 - n_y^2)^1/2

    minimised exactly, altitudes included: an exact front comes back to 1e-6 rad. The core is the
    centre of gravity of the stations (weights: root of the density), t0 the time there. S800,
    curvature and energy are NaN.

    chi2 = sum of (t - t_fit)^2/sigma^2 with sigma the error of a time near the core (`time_floor`
    of the calibration's error model; 30 ns without one). The covariance of zenith, azimuth and t0
    is that of sigma, times chi2/ndof where that is above 1: a front that is no plane has a large
    chi2 and large errors. The covariance of everything else is NaN.

    Invalid: fewer than three stations, stations on a line, times that no plane fits (a front slower
    than light at less than 64 degrees).

    Not included: the curvature of the front, weights by distance or signal.
    """
    n = events.n_events
    p, used = np.full((n, 7), np.nan), np.zeros(n, np.int32)
    matrix, squares = np.full((n, 3, 3), np.nan), np.full(n, np.nan)
    area = float(events.array.detector.area)
    found = (p, matrix, squares, used)
    _fit_all(hit_columns(events, pulses), geometry_of(events), area, found)
    errors = ErrorModel() if context is None else context.calibration.errors
    ndof = np.maximum(used - 3, 0).astype(np.int32)
    chi2 = squares / errors.time_floor**2
    with np.errstate(invalid="ignore", divide="ignore"):
        zenith = np.arcsin(np.hypot(p[:, 2], p[:, 3]))
        scale = np.where(ndof > 0, np.maximum(1.0, chi2 / np.maximum(ndof, 1)), 1.0)
    covariance = _covariance(p, matrix, scale * errors.time_floor**2)
    nothing = np.full(n, np.nan)
    return Reconstruction(
        event_id=events.event_id,
        core_x=p[:, 0].copy(),
        core_y=p[:, 1].copy(),
        zenith=zenith,
        azimuth=azimuth_of(p[:, 2], p[:, 3]),
        s_ref=nothing.copy(),
        t0=p[:, 5].copy(),
        curvature=nothing.copy(),
        energy=nothing.copy(),
        energy_error=nothing.copy(),
        covariance=covariance,
        chi2=chi2,
        ndof=ndof,
        n_stations=used,
        n_excluded=np.zeros(n, np.int32),
        flags=np.isnan(zenith).astype(np.uint16),
    )


def _covariance(p, matrix, variance) -> np.ndarray:
    """(n, 7, 7) of PARAMETERS from normal matrices in (n_x, n_y, t0) and the variance of a time;
    NaN where not known.
    """
    fitted = [PARAMETERS.index(name) for name in ("zenith", "azimuth", "t0")]
    inner_block = np.full((len(p), 7, 7), 0.0)
    valid = np.isfinite(matrix).all(axis=(1, 2))
    block = np.ix_(valid, fitted, fitted)
    inner_block[block] = np.linalg.inv(matrix[valid]) * variance[valid, None, None]
    _, turned = to_angles(np.where(np.isfinite(p), p, 0.0), inner_block)
    covariance = np.full((len(p), 7, 7), np.nan)
    covariance[block] = turned[block]
    return covariance
