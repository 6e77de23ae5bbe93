"""Which events are scored: cuts that all methods have in common, their own, and looser ones."""

from collections.abc import Mapping

import numpy as np

from tashower.errors import InputError
from tashower.evaluation.names import BASELINES, REFERENCE
from tashower.events.model import FLAGS, Reconstruction

#: Flags that the looser cuts forgive (choice: they cut what is badly measured, the others what is
#: not to be believed, or beyond the zenith angles of the fit).
FORGIVEN = ("few_stations", "border", "pointing_error", "s800_error")
#: What an event is unlike is said of networks alone, and is no cut of the fit that they correct.
_OF_NETWORKS = np.uint16(1 << FLAGS.index("outside_domain"))
#: Stations that the looser cuts ask for (choice: those of a geometry with curvature).
FEWEST_STATIONS = 4


def complete(table: Reconstruction) -> np.ndarray:
    """(n_events,) bool: direction, core and energy are known."""
    return np.isfinite(table.zenith) & np.isfinite(table.core_x) & np.isfinite(table.energy)


def in_common(methods: Mapping[str, Reconstruction]) -> np.ndarray:
    """(n_events,) bool: the events that pass the cuts of the reference fit and have a result from
    every method.

    Raises
    ------
    InputError : fewer than ten.
    """
    good = methods[REFERENCE].passes_cuts.copy()
    for name, table in methods.items():
        good &= complete(table)
        if name in BASELINES:
            good &= table.valid
    if good.sum() < 10:
        raise InputError(f"{good.sum()} events pass the cuts: at least 10 are needed for scores")
    return good


def own(table: Reconstruction) -> np.ndarray:
    """(n_events,) bool: the events that pass the method's own cuts; those of a network are the cuts
    of the fit that it corrects.
    """
    return ((table.flags & ~_OF_NETWORKS) == 0) & complete(table)


def looser(table: Reconstruction) -> np.ndarray:
    """(n_events,) bool: the events with FEWEST_STATIONS and no flag but the FORGIVEN."""
    forgiven = sum(1 << FLAGS.index(name) for name in FORGIVEN)
    others = table.flags & np.uint16(~forgiven & 0xFFFF) & ~_OF_NETWORKS
    return (others == 0) & (table.n_stations >= FEWEST_STATIONS) & complete(table)
