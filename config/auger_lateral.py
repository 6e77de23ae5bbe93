"""Lateral distribution for `array.lateral`: the modified NKG form that the Pierre Auger Observatory
fits (Roth 2003, astro-ph/0308392).

S(r) ~ ((r/700 m) (1 + r/700 m))^beta with beta = 0.9 sec z - 3.3: the numbers of beta are recalled
from Barnhill et al. (29th ICRC, 2005), not taken from the paper; replace them by those of your
analysis.
"""

import numpy as np


def log_lateral(r: np.ndarray, zenith: np.ndarray) -> np.ndarray:
    """ln of the signal density, up to a constant; r [m], zenith [rad], arrays of one shape."""
    beta = 0.9 / np.cos(zenith) - 3.3
    return beta * (np.log(r / 700.0) + np.log(1.0 + r / 700.0))
