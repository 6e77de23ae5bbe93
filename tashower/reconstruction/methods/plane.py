"""Plane front alone: a direction from three stations on, for any array and any front."""

import math

import numpy as np

from tashower.events.model import Events, Pulses, Reconstruction
from tashower.physics.compiled import compiled
from tashower.reconstruction.clusters import TIME
from tashower.reconstruction.joint.observe import (
    count,
    geometry_of,
    hit_columns,
    observe,
    work_space,
)
from tashower.reconstruction.joint.start import LARGEST_SINE, fit_plane, start_core
from tashower.reconstruction.methods import Context

#: Fewest stations with a time.
FEWEST_STATIONS = 3


@compiled
def _fit_all(hits, geometry, area, p, used):
    """Plane front of every event: p (n, 7) columns 0 to 3 and 5, and the number of stations; p NaN
    where there is none.
    """
    work, normal = work_space(len(geometry.position)), np.zeros((3, 4))
    for i in range(len(hits.offset) - 1):
        observed, origin = observe(i, hits, geometry, area, work)
        used[i] = count(observed, TIME)
        if used[i] < FEWEST_STATIONS:
            continue
        row = np.zeros(7)
        start_core(observed, row)
        if fit_plane(observed, row, normal) and math.hypot(row[2], row[3]) < LARGEST_SINE - 1e-9:
            row[5] += origin
            p[i] = row


def fit_planes(events: Events, pulses: Pulses, context: Context | None = None) -> Reconstruction:
    """Direction of a plane front through the arrival times of every event's cluster, least squares
    with equal weights.

    The core is the centre of gravity of the stations (weights: root of the density), t0 the time
        there. S800, curvature, energy,
    chi2 and covariance are NaN. Invalid: fewer than three stations, stations on a line, times that
        no plane fits (a front slower
    than light at less than 64 degrees).
    """
    n = events.n_events
    p, used = np.full((n, 7), np.nan), np.zeros(n, np.int32)
    area = float(events.array.detector.area)
    _fit_all(hit_columns(events, pulses), geometry_of(events), area, p, used)
    zenith, azimuth = (
        np.arcsin(np.hypot(p[:, 2], p[:, 3])),
        np.arctan2(p[:, 3], p[:, 2]) % (2 * np.pi),
    )
    nothing = np.full(n, np.nan)
    return Reconstruction(
        event_id=events.event_id,
        core_x=p[:, 0].copy(),
        core_y=p[:, 1].copy(),
        zenith=zenith,
        azimuth=azimuth,
        s800=nothing.copy(),
        t0=p[:, 5].copy(),
        curvature=nothing.copy(),
        energy=nothing.copy(),
        covariance=np.full((n, 7, 7), np.nan),
        chi2=nothing.copy(),
        ndof=np.maximum(used - 3, 0).astype(np.int32),
        n_stations=used,
        n_excluded=np.zeros(n, np.int32),
        flags=np.isnan(zenith).astype(np.uint16),
    )
