"""The ladder: every method against every fit, on the same events and with the same draws."""

from collections.abc import Mapping, Sequence

import numpy as np

from tashower.evaluation.bootstrap import over_trainings
from tashower.evaluation.scores import explained

#: The 68 % size of the residuals of each quantity, as `scores.statistics` calls it.
SIZES = {"axis": "angle_68_deg", "core": "core_68_m", "log_energy": "log_energy_68"}


def against(method: Mapping, fit: Mapping) -> dict[str, dict[str, np.ndarray]]:
    """What a method gains on a fit, of replicates that `scores.statistics` gave of the same draws.

    Returns {quantity: {"ratio_68", "ev_68", "ev", "ev_without_worst"}}, (b,) each: the ratio of
    the 68 % sizes; 1 - ratio^2, the explained variance of Gaussian residuals with this ratio; the
    explained variance; that of the variances without the worst 1 % of each of the two.
    """
    result = {}
    for quantity, size in SIZES.items():
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(fit[size] > 0, method[size] / fit[size], np.nan)
        result[quantity] = {
            "ratio_68": ratio,
            "ev_68": 1.0 - ratio**2,
            "ev": explained(method[f"variance_{quantity}"], fit[f"variance_{quantity}"]),
            "ev_without_worst": explained(method[f"kept_{quantity}"], fit[f"kept_{quantity}"]),
        }
    return result


def rung(trainings: Sequence[Mapping], fit: Mapping) -> dict[str, dict[str, dict]]:
    """`against` of a method with values and paired errors.

    trainings : of a network one or more, of any other method one
    """
    found = [against(one, fit) for one in trainings]
    return {
        quantity: {name: over_trainings([one[quantity][name] for one in found]) for name in names}
        for quantity, names in found[0].items()
    }
