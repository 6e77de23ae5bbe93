"""The complete fit: exact for what it describes, and where it differs from the constrained one."""

from dataclasses import replace

import numpy as np
import pytest
from reconstruction.toy import ERRORS, calibration, draw_truth, toy_events

from tashower.calibration.asymmetry import (
    Asymmetry,
    Completion,
    attenuation_at,
    mean_share,
    signal_shift,
)
from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.calibration.errors import time_error, time_spread
from tashower.config import load_config
from tashower.events.model import expected_at_hits
from tashower.io.event_file import read_events
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.early_late import late_time_factor, lighter_factor
from tashower.physics.geometry import direction, opening_angle
from tashower.physics.shower_front import curvature_zenith_dependence
from tashower.reconstruction.clusters import BOUND, REJECTED_BITS, SIGNAL, SILENT, TAKEN_BACK, TIME
from tashower.reconstruction.joint.model import Observed
from tashower.reconstruction.joint.outliers import reject_again, take_back
from tashower.reconstruction.methods import Context
from tashower.reconstruction.methods.fits import fit_complete, fit_constrained
from tashower.reconstruction.pulses import find_pulses

SETTINGS = load_config().reconstruction
ASYMMETRY = Asymmetry(share=(-1.1, 1.5), attenuation=(175.0, 1000.0), correlation=-0.5)


def asymmetric_events(rng, azimuth, zenith=0.7):
    """Exact showers with early and late stations: (events, pulses, context)."""
    truth = draw_truth(rng, 6, zenith=zenith, azimuth=azimuth, core=(130.0, -220.0), s_ref=60.0)
    events, pulses = toy_events(rng, truth, exact=True)
    expected, hit = expected_at_hits(truth, events), events.hit_event
    along = (expected.plane_time - truth.t0[hit]) * SPEED_OF_LIGHT
    lighter = lighter_factor(
        along,
        expected.distance,
        np.tan(zenith),
        mean_share(1 / np.cos(zenith), ASYMMETRY.share),
        attenuation_at(1 / np.cos(zenith), ASYMMETRY),
    )
    late = late_time_factor(along)
    pulses = replace(
        pulses,
        arrival_time=pulses.arrival_time + expected.delay * (late - 1.0),
        signal=pulses.signal * lighter[:, None],
    )
    made = calibration(truth)
    made = replace(made, completion=Completion(made.errors, ASYMMETRY))
    return events, pulses, Context(made, SETTINGS)


@pytest.mark.parametrize("azimuth", [0.4, 2.1, -2.5, -0.9])
def test_exact_early_and_late_stations_come_back(rng, azimuth):
    events, pulses, context = asymmetric_events(rng, azimuth)
    truth = events.truth

    def off(fit):
        core = np.hypot(fit.core_x - truth.core_x, fit.core_y - truth.core_y)
        angle = np.degrees(
            opening_angle(
                direction(fit.zenith, fit.azimuth), direction(truth.zenith, truth.azimuth)
            )
        )
        return core.max(), angle.max()

    core, angle = off(fit_complete(events, pulses, context))
    assert core < 0.1
    assert angle < 0.002
    core, angle = off(fit_constrained(events, pulses, context))
    assert core > 6.0


def test_a_signal_tells_its_time(rng):
    """Signals that scatter, and times that follow them: only the right correlation, with the right
    sign, finds the direction.
    """
    truth = draw_truth(rng, 40, s_ref=50.0)
    events, pulses = toy_events(rng, truth, exact=True)
    expected, hit = expected_at_hits(truth, events), events.hit_event
    more = np.clip(rng.normal(0.0, 0.25, events.n_hits), -0.6, 0.6)
    right = ASYMMETRY._replace(attenuation=(1e12, 1e12), length=1e15)
    factor = curvature_zenith_dependence(truth.zenith[hit])
    spread = time_spread(expected.distance, np.log(expected.density), factor, ERRORS)
    shift = spread * signal_shift(np.exp(more), 1.0, right)
    moved = replace(
        pulses,
        signal=pulses.signal * np.exp(more)[:, None],
        arrival_time=pulses.arrival_time + shift,
    )
    axis = direction(truth.zenith, truth.azimuth)
    made, angles = calibration(truth), []
    for correlation in (-0.5, 0.0, 0.5):
        completion = Completion(made.errors, right._replace(correlation=correlation))
        context = Context(replace(made, completion=completion), SETTINGS)
        found = fit_complete(events, moved, context)
        angle = opening_angle(direction(found.zenith, found.azimuth), axis)
        angles.append(np.degrees(np.nanmedian(angle)))
    assert angles[0] < 0.95 * angles[1] < 0.95 * 0.95 * angles[2]


def with_a_late_station(rng, sigmas):
    """(events, pulses, context, truth) of exact showers in which the sixth strongest station is
    late by some standard deviations.
    """
    truth = draw_truth(rng, 24, s_ref=50.0)
    events, pulses = toy_events(rng, truth, exact=True)
    order = np.lexsort((-pulses.signal[:, 0], events.hit_event))
    chosen = order[events.hit_offset[:-1] + 5]
    expected = expected_at_hits(truth, events)
    factor = curvature_zenith_dependence(truth.zenith)
    sigma = time_error(expected.distance[chosen], expected.density[chosen], factor, ERRORS)
    time = pulses.arrival_time.copy()
    time[chosen] += sigmas * sigma
    context = Context(calibration(truth), SETTINGS)
    return events, replace(pulses, arrival_time=time), context, truth


def test_a_late_station_moves_it_less(rng):
    """3.2 standard deviations late, which rejects no station: 1/(1 + (3.2/4)^2) of its weight."""
    events, pulses, context, truth = with_a_late_station(rng, 3.2)
    axis = direction(truth.zenith, truth.azimuth)
    fits = [fit(events, pulses, context) for fit in (fit_complete, fit_constrained)]
    kept = (fits[0].n_excluded == 0) & (fits[1].n_excluded == 0)
    assert kept.mean() > 0.7
    one, other = (opening_angle(direction(f.zenith, f.azimuth), axis)[kept].mean() for f in fits)
    assert 0.4 * other < one < 0.85 * other


def test_chi2_counts_what_was_trusted_less(rng):
    """The late station is in chi2 as it would be in the constrained fit, or more."""
    events, pulses, context, _ = with_a_late_station(rng, 3.2)
    fits = [fit(events, pulses, context) for fit in (fit_complete, fit_constrained)]
    kept = (fits[0].n_excluded == 0) & (fits[1].n_excluded == 0)
    assert (fits[0].chi2[kept] > 0.95 * fits[1].chi2[kept]).all()


def test_weights_are_those_of_its_own_result():
    """Started again from its result it stays there."""
    events = read_events("data/sample.h5")
    pulses = find_pulses(events)
    context = Context(read_calibration(DEFAULT), SETTINGS)
    raw = replace(context.calibration, pulls={})
    context = context._replace(calibration=raw)
    first = fit_complete(events, pulses, context)
    axis = direction(first.zenith, first.azimuth)
    columns = [first.core_x, first.core_y, *axis[:, :2].T, np.log(first.s_ref), first.t0]
    again = fit_complete(events, pulses, context, np.stack([*columns, first.curvature], axis=1))
    good = first.passes_cuts & again.valid
    moved = np.degrees(opening_angle(axis, direction(again.zenith, again.azimuth)))[good]
    assert (moved < 0.03).mean() > 0.97


def test_rejected_hits_are_taken_back_and_rejected_again():
    """Those alone, each with what it was."""
    n = 5
    columns = [np.zeros(n) for _ in range(len(Observed._fields) - 1)]
    use = np.array([TIME + SIGNAL, TIME + SIGNAL, TIME + BOUND, SILENT, 0], np.int32)
    observed = Observed(*columns[:3], use, *columns[3:])
    before = use.copy()
    use[[1, 2]] <<= REJECTED_BITS
    rejected = use.copy()
    assert take_back(observed) == 2
    assert (use & ~np.int32(TAKEN_BACK)).tolist() == before.tolist()
    assert take_back(observed) == 0
    assert reject_again(observed) == 2
    assert ((use >> REJECTED_BITS) > 0).tolist() == ((rejected >> REJECTED_BITS) > 0).tolist()
