"""Are the errors of a network right? Factors from the validation sample that make them so.

A network trained for its likelihood states widths that are right on the training sample; after
many epochs they are too small on others. One factor of all widths, the temperature, from a sample
that taught nothing sets their mean right (for classes Guo et al. 2017, arXiv:1706.04599; for
regression Laves et al. 2020, arXiv:2009.05112). Here there are three, of direction, core and
energy; thousands of events give each to a per cent.

Not included: errors that are wrong in one part of the sample and right in another.
"""

import numpy as np

from tashower.events.regions import normal_square, radius, squared_distance
from tashower.network.targets import CORRECTION

#: What has a factor of its own in a correction, and its places among the targets.
BLOCKS = CORRECTION.blocks
#: Probability of the region that has to be right: what is called one sigma (choice; a mean square
#: would be ruled by the tails).
LEVEL = 0.6827


def temperature(
    offset: np.ndarray,
    covariance: np.ndarray,
    radii: dict[str, np.ndarray] | None = None,
    blocks: dict[str, tuple[int, ...]] = BLOCKS,
) -> dict[str, float]:
    """{block: factor of its widths} with which LEVEL of the events lie inside of their regions.

    Parameters
    ----------
    offset : (n, k) true - predicted targets
    covariance : (n, k, k) as the network states it
    radii : of `predict.regions`; None: the regions are those of normal distributions
    blocks : of the `Targets`

    Widths that are all f times too large have the factor 1/f.
    """
    found = {}
    for block, places in blocks.items():
        k, at = len(places), list(places)
        square = squared_distance(offset[:, at], covariance[:, at][:, :, at])
        square = normal_square(square, k, None if radii is None else radii[block])
        found[block] = float(np.sqrt(np.nanquantile(square, LEVEL)) / radius(LEVEL, k))
    return found


def scaled(
    covariance: np.ndarray, factors: dict[str, float], blocks: dict[str, tuple[int, ...]] = BLOCKS
) -> np.ndarray:
    """(n, k, k) with the widths of every block times its factor; correlations stay."""
    each = np.ones(covariance.shape[-1])
    for block, places in blocks.items():
        each[list(places)] = factors[block]
    return covariance * np.outer(each, each)
