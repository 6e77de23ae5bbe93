"""Fits of a single event run again: which stations they rejected, and which errors they gave to
times, which tables of results do not hold.

A fit is taken for the one of a table where chi2, degrees of freedom and numbers of stations agree.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from tashower.calibration.calibration import Calibration
from tashower.events.model import Events, Pulses, Reconstruction
from tashower.reconstruction.clusters import REJECTED_BITS, TIME
from tashower.reconstruction.joint.fit import fit_one
from tashower.reconstruction.joint.minimise import scratch_space
from tashower.reconstruction.joint.model import Observed, set_weights
from tashower.reconstruction.joint.observe import (
    count,
    geometry_of,
    hit_columns,
    observe,
    work_space,
)
from tashower.reconstruction.methods.fits import fit_settings
from tashower.reconstruction.methods.published import fit_stages, published_settings
from tashower.reconstruction.published.fit import Stages, fit_fronts
from tashower.reconstruction.published.together import (
    FEWEST_STATIONS,
    choose_for_joint,
    set_published_weights,
)

#: Fits of `tashower.reconstruction.joint`.
JOINT = ("free", "constrained", "complete")


class Made(NamedTuple):
    """With what results were made, as far as it is known, and which event they are of."""

    calibration: Calibration | None = None  #: None: not at hand
    distance: str = "axis"  #: from where the fits measure distances: "axis" or "ground"
    versions: Mapping[str, str] = {}  #: {method: what made it}
    networks: Collection[str] = ()  #: methods that are corrections of a fit
    place: str = ""  #: where the event is found
    why: str = ""  #: why there is no fit
    odd: str = ""  #: what is odd of the event, where that was asked
    odd_stations: Collection[int] = ()  #: indices of stations that are flagged


class Again(NamedTuple):
    """A fit that was run again."""

    observed: Observed  #: the stations that it looked at, as it left them
    chosen: np.ndarray  #: hits, or -1 - station, as of `clusters.choose_stations`
    p: np.ndarray  #: (7,) the fit's own parameters, before biases are taken away; t0 absolute
    sums: tuple[float, int, int, int]  #: chi2, ndof, stations used, stations rejected


def observed_stations(events: Events, pulses: Pulses) -> tuple[Observed, float, np.ndarray]:
    """(`Observed` of a single event, the time that its times are relative to [ns], the hits, or -1
    - station).
    """
    work = work_space(events.array.n_stations)
    hits, area = hit_columns(events, pulses), float(events.array.detector.area)
    observed, origin = observe(0, hits, geometry_of(events), area, work)
    return observed, origin, work.chosen[: len(observed.x)].copy()


def _joint(name: str, events: Events, pulses: Pulses, made: Made) -> Again | None:
    settings = fit_settings(made.calibration, events.array, name, made.distance)
    observed, origin, chosen = observed_stations(events, pulses)
    p, covariance, start = np.zeros(7), np.zeros((7, 7)), np.full(7, np.nan)
    chi2, ndof, used, rejected, good, _ = fit_one(
        observed, settings, p, covariance, start, scratch_space()
    )
    if not good:
        return None
    use = observed.use.copy()
    observed.use[:] = np.where(use >> REJECTED_BITS, use >> REJECTED_BITS, use)
    set_weights(p, observed, settings)  # those of the rejected ones, too
    observed.use[:] = use
    p[5] += origin
    return Again(observed, chosen, p, (chi2, ndof, used, rejected))


def _published(events: Events, pulses: Pulses, made: Made) -> Again | None:
    found = fit_stages(events, pulses, made.distance)
    settings = published_settings(events.array, made.distance)
    observed, origin, chosen = observed_stations(events, pulses)
    if count(observed, TIME) < FEWEST_STATIONS or not found.sums[0, 4]:
        return None
    # Once more, for the stations that it leaves out.
    stages = Stages(*(np.full_like(column, np.nan) for column in found))
    fit_fronts(0, observed, settings, stages, scratch_space())
    p = found.p[0].copy()
    p[5] -= origin
    choose_for_joint(p, observed, settings)
    use = observed.use.copy()
    observed.use[chosen >= 0] |= TIME  # errors of those that were left out, too
    set_published_weights(p, observed, settings.joint)
    observed.use[:] = use
    chi2, ndof, used, left_out = found.sums[0, :4]
    return Again(observed, chosen, found.p[0], (chi2, int(ndof), int(used), int(left_out)))


def run_again(
    name: str, table: Reconstruction, events: Events, pulses: Pulses, made: Made
) -> Again | None:
    """The method of this name again on a single event; None where it is no fit of ours, its
    calibration is not at hand, or it gives another result than the table.
    """
    calibration = made.calibration
    if name == "published":
        again = _published(events, pulses, made)
    elif name in JOINT and calibration and (name != "complete" or calibration.completion):
        again = _joint(name, events, pulses, made)
    else:
        again = None
    if again is None:
        return None
    chi2, *numbers = again.sums
    same = numbers == [table.ndof[0], table.n_stations[0], table.n_excluded[0]]
    return again if same and np.isclose(chi2, table.chi2[0], rtol=1e-4) else None
