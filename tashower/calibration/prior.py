"""The prior on the curvature of the front: its mean against zenith and size, from simulated
showers.
"""

import numpy as np

from tashower.events.model import Truth
from tashower.physics.compiled import inner


@inner
def prior_log_curvature(n_z, log_s_ref, coefficients):
    """<ln a> of showers of this zenith and S800."""
    s = 1.0 / n_z - 1.0
    c = coefficients
    return c[0] + s * (c[1] + s * c[2]) + log_s_ref * (c[3] + s * c[4])


def fit_curvature_prior(truth: Truth) -> tuple[tuple, float]:
    """Coefficients of <ln a> in zenith and S800, and the rms around it, from true showers."""
    s, log_s_ref = 1.0 / np.cos(truth.zenith) - 1.0, np.log(truth.s_ref)
    columns = np.stack([np.ones_like(s), s, s**2, log_s_ref, s * log_s_ref], axis=1)
    log_a = np.log(truth.curvature)
    coefficients, *_ = np.linalg.lstsq(columns, log_a, rcond=None)
    return tuple(float(c) for c in coefficients), float(np.std(log_a - columns @ coefficients))
