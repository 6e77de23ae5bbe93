"""From the fit's own parameters to those of the result: angles, biases taken away, quality
flags.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.calibration.energy import beyond_events
from tashower.calibration.prior import mean_curvature
from tashower.events.array import Array, border_distance
from tashower.events.model import FLAGS
from tashower.physics.geometry import azimuth_of
from tashower.reconstruction.joint.outliers import OUTLIER_CHI2
from tashower.reconstruction.methods import TABLE, Context

#: Results outside of these are not showers: invalid. S800 [VEM/m^2], error of the direction [rad],
#: core outside the array [m].
SANE_SIZE = (0.05, 2e4)
LARGEST_DIRECTION_ERROR = math.radians(30.0)
FARTHEST_OUTSIDE = 3000.0
#: A curvature farther from the mean of showers than this many standard deviations (its error and
#: the width of the prior) is no shower's. Choice: 2 in 1,000 simulated showers of the free fit.
FARTHEST_CURVATURE = 5.0
#: What silent stations may add to the sum beyond the cut on chi2. Choice: 1 or 2 in 1,000
#: simulated showers.
ALLOWED_SILENCE = 6.0
#: Signal that may lie outside of the cluster: so many VEM for each of its stations (single muons,
#: far stations that stand alone) and a part of all signal. Choices: of 7,600 simulated showers none
#: has more.
ALLOWED_LEFT_OUT = (1.2, 0.02)


class FitSums(NamedTuple):
    """What a fit says of every event beside its parameters; (n,) each."""

    chi2: np.ndarray
    ndof: np.ndarray
    used: np.ndarray  #: stations with a time
    good: np.ndarray  #: converged
    rejected: np.ndarray  #: stations that were rejected
    silent_rejected: np.ndarray  #: silent ones among them
    silence: np.ndarray  #: terms of the silent stations that were not rejected
    signal: np.ndarray  #: of all usable hits [VEM]
    left_out: np.ndarray  #: that of hits outside of the cluster that was fitted [VEM]


def to_angles(p: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and covariance of (core, zenith, azimuth, S800, t0, a) from those of (core, n_x,
    n_y, ln S800, t0, a).
    """
    n_x, n_y = p[:, 2], p[:, 3]
    sine2 = np.minimum(n_x**2 + n_y**2, 1.0)
    sine, cosine = np.sqrt(sine2), np.sqrt(1.0 - sine2)
    # At the very vertical any azimuth is as good; a Jacobian of rank 6 would lose an error.
    safe, tilted = np.maximum(sine, 1e-9), sine > 1e-9
    c_x, c_y = np.where(tilted, n_x, 1e-9), np.where(tilted, n_y, 0.0)
    jacobian = np.zeros_like(covariance)
    for i in (0, 1, 5, 6):
        jacobian[:, i, i] = 1.0
    with np.errstate(divide="ignore"):  # horizontal: no shower
        jacobian[:, 2, 2], jacobian[:, 2, 3] = c_x / (safe * cosine), c_y / (safe * cosine)
    jacobian[:, 3, 2], jacobian[:, 3, 3] = -c_y / safe**2, c_x / safe**2
    s_ref = np.exp(np.clip(p[:, 4], -700, 700))
    jacobian[:, 4, 4] = s_ref
    angles = p.copy()
    angles[:, 2] = np.arcsin(sine)
    angles[:, 3] = azimuth_of(n_x, n_y)
    angles[:, 4] = s_ref
    with np.errstate(invalid="ignore", over="ignore"):  # of what is no shower
        return angles, jacobian @ covariance @ jacobian.transpose(0, 2, 1)


def curvature_of_showers(p: np.ndarray, covariance: np.ndarray, prior: tuple) -> np.ndarray:
    """(n,) bool: the curvature is positive, and within FARTHEST_CURVATURE standard deviations of
    the prior's mean for this zenith and S800.

    p, covariance : of `to_angles`, without correction: those of which the prior was found
    prior : coefficients and width, as of `Calibration`
    """
    coefficients, width = prior
    mean = mean_curvature(p[:, 2], p[:, 4], coefficients)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        variance = covariance[:, 6, 6] + (width * mean) ** 2
        off = np.abs(p[:, 6] - mean) / np.sqrt(variance)
        return (p[:, 6] > 0) & (off < FARTHEST_CURVATURE)


def quality_flags(
    array: Array,
    p: np.ndarray,
    covariance: np.ndarray,
    sums: FitSums,
    context: Context,
    curved: np.ndarray | None = None,
) -> np.ndarray:
    """(n,) bit mask of the quality flags, in the order of `events.model.FLAGS`.

    p, covariance : of `to_angles`; sums : `FitSums`
    curved : (n,) `curvature_of_showers` of the parameters as they were fitted; None: of these, with
        the calibration's prior

    The cut on chi2 counts a rejected station with a signal as one more degree of freedom worth
    OUTLIER_CHI2: what fits only because half of its stations were thrown away does not fit. The
    terms of silent stations, which chi2 does not count, have a cut of their own: a result that
    expects much where nothing was seen does not fit either.
    """
    chi2, ndof, used, good, rejected, silent, silence, signal, left_out = sums
    outliers = rejected - silent
    total, largest = chi2 + OUTLIER_CHI2 * outliers, context.settings.max_chi2_per_ndof
    settings, calibration = context.settings, context.calibration
    if curved is None:
        prior = calibration.curvature_coefficients, calibration.curvature_width
        curved = curvature_of_showers(p, covariance, prior)
    with np.errstate(invalid="ignore", divide="ignore"):
        pointing = np.sqrt(covariance[:, 2, 2] + np.sin(p[:, 2]) ** 2 * covariance[:, 3, 3])
        inside = border_distance(array, p[:, 0], p[:, 1])
        sane = (
            good
            & np.isfinite(p).all(axis=1)
            & np.isfinite(covariance).all(axis=(1, 2))
            & (ndof >= 0)
            & (chi2 >= 0)
        )
        sane &= (p[:, 4] > SANE_SIZE[0]) & (p[:, 4] < SANE_SIZE[1]) & (inside > -FARTHEST_OUTSIDE)
        sane &= (pointing < LARGEST_DIRECTION_ERROR) & (covariance[:, 2, 2] > 0)
        failed = {
            "invalid": ~sane,
            "few_stations": used < settings.min_stations,
            "bad_chi2": ~((ndof >= 1) & (total < largest * (ndof + outliers))),
            "zenith": ~(p[:, 2] < np.radians(settings.max_zenith_deg)),
            "border": ~(inside >= settings.min_border_distance_m),
            "pointing_error": ~(pointing < np.radians(settings.max_pointing_error_deg)),
            "s800_error": ~(np.sqrt(covariance[:, 4, 4]) < settings.max_s800_error * p[:, 4]),
            "silent_rejected": silent > 0,
            "curvature": ~curved,
            "extrapolated": (context.primary == TABLE)
            & beyond_events(calibration.energy, p[:, 4], p[:, 2]),
            "silence": ~(total + silence < largest * (ndof + outliers) + ALLOWED_SILENCE),
            "left_out": ~(left_out < ALLOWED_LEFT_OUT[0] * used + ALLOWED_LEFT_OUT[1] * signal),
        }
    return sum(
        failed[name].astype(np.uint16) << np.uint16(bit)
        for bit, name in enumerate(FLAGS)
        if name in failed
    )
