"""The published fit on two events of the Telescope Array, against the experiment's own fits of them
(`ta_events`).
"""

import math

import numpy as np
import pytest
from reconstruction.ta_events import BOTH, FREE, HITS, LATERAL, USUAL
from reconstruction.test_published import observed_of

from tashower.events.array import array_from_positions
from tashower.events.model import Events, Pulses
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.geometry import direction, opening_angle
from tashower.reconstruction.joint.model import Quadratic
from tashower.reconstruction.methods.published import fit_stages
from tashower.reconstruction.published.geometry import (
    FREE_SPREAD,
    PULSE_ERROR,
    USUAL_DELAY,
    USUAL_SPREAD,
    GeometrySettings,
    Pull,
    evaluate_geometry,
)

UNIT = 1200.0
TIME = UNIT / SPEED_OF_LIGHT


def usual(theta):
    """A(z) [ns] as the Telescope Array writes it, degrees."""
    if theta < 25.0:
        return 3.3836 - 0.01848 * theta
    if theta < 35.0:
        cubic = (theta - 0.2614963683) * (theta * theta - 134.7902422 * theta + 4558.524091)
        return 0.6511268210e-4 * cubic
    return math.exp(-3.2e-2 * theta + 2.0)


def sum_of(event, fit, pulse_error=None):
    """The sum of the front fit in plain numpy at (theta, phi, core, t0[, a]) of travel; its numbers
    are those of the package. Distances are the Telescope Array's, which leave the altitude out.
    """
    hits = HITS[event]
    theta, phi, x, y, t0 = fit[:5]
    zenith, azimuth = np.radians([theta, phi])
    dx, dy = hits[:, 0] - x, hits[:, 1] - y
    along = np.sin(zenith) * (np.cos(azimuth) * dx + np.sin(azimuth) * dy)
    r = np.sqrt(dx**2 + dy**2 - along**2) * UNIT
    density = hits[:, 5] / 3.0
    if len(fit) == 5:
        delay = USUAL_DELAY * usual(theta) * (1 + r / 30.0) ** 1.5 / np.sqrt(density)
        spread = USUAL_SPREAD * usual(theta) * (1 + r / 30.0) ** 1.5 * density**-0.3
    else:
        late = (1.0 - along * UNIT / 12_000.0) ** 1.05
        delay = fit[5] * late * (1 + r / 30.0) ** 1.35 / np.sqrt(density)
        spread = FREE_SPREAD * late * (1 + r / 30.0) ** 1.5 * density**-0.3
    plane = (t0 + along - hits[:, 2] * np.cos(zenith)) * TIME
    error = hits[:, 4] * TIME if pulse_error is None else pulse_error
    residual = (hits[:, 3] * TIME - plane - delay) ** 2 / (spread**2 + error**2)
    centre = (density[:, None] * hits[:, :2]).sum(axis=0) / density.sum()
    return residual.sum() + ((centre[0] - x) ** 2 + (centre[1] - y) ** 2) / 0.15**2


@pytest.mark.parametrize("event", HITS)
def test_the_formulas_give_their_chi2(event):
    """To six digits, with the errors of the pulses that the file states."""
    for fit in (USUAL[event][:5] + USUAL[event][5:], FREE[event]):
        point = fit[:5] + fit[6:]
        assert sum_of(event, point) == pytest.approx(fit[5], abs=5e-5)
        for k in range(len(point)):  # and they are minima
            for step in (-1e-2, 1e-2):
                moved = [*point[:k], point[k] + step, *point[k + 1 :]]
                assert sum_of(event, moved) > fit[5] - 5e-5


@pytest.mark.parametrize("event", HITS)
@pytest.mark.parametrize("free", [False, True])
def test_the_compiled_sum_is_that_of_the_formulas(event, free):
    """With one error for all pulses; on level ground, as the distances there leave altitudes out,
    and without what softens the distance.
    """
    fit = FREE[event] if free else USUAL[event]
    point = fit[:5] + fit[6:]
    hits = HITS[event].copy()
    density = hits[:, 5] / 3.0
    centre = (density[:, None] * hits[:, :2]).sum(axis=0) / density.sum() * UNIT
    theta, phi = np.radians(fit[:2])
    axis = direction(theta, phi + np.pi)
    observed = observed_of(
        hits[:, :2] * UNIT, hits[:, 3] * TIME + hits[:, 2] * np.cos(theta) * TIME, density
    )
    p = np.array([fit[2] * UNIT, fit[3] * UNIT, axis[0], axis[1], 0.0, fit[4] * TIME, fit[-1]])
    quadratic = Quadratic(np.zeros(7), np.zeros((7, 7)), np.zeros((10, 4)))
    pull = Pull(*centre, 180.0**-2)
    found = evaluate_geometry(
        p, observed, (0, len(hits)), GeometrySettings(free, False), pull, quadratic
    )
    assert found == pytest.approx(sum_of(event, point, PULSE_ERROR), rel=2e-3)


@pytest.fixture(scope="module")
def stages():
    """Our stages of both events, from the hits that the Telescope Array used."""
    station = np.concatenate([hits[:, :3] for hits in HITS.values()]) * UNIT
    n = [len(hits) for hits in HITS.values()]
    values = np.concatenate(list(HITS.values()))
    array = array_from_positions(np.arange(len(station)) + 1, station)
    total = sum(n)
    pulses = Pulses(
        arrival_time=values[:, 3] * TIME,
        signal=np.repeat(values[:, 5:6], 2, axis=1),
        saturated=values[:, 6] > 0,
        n_peaks=np.ones((total, 2), np.int16),
        area_over_peak=np.full(total, 100.0),
    )
    events = Events(
        array=array,
        event_id=np.array(list(HITS)),
        hit_offset=np.array([0, n[0], total]),
        hit_station=np.arange(total, dtype=np.int32),
        hit_time=values[:, 3] * TIME,
        waveform=None,
        pedestal=None,
        counts_per_vem=None,
        dead_offset=np.array([0, total - n[0], total]),
        dead_station=np.r_[n[0] : total, 0 : n[0]].astype(np.int32),
        pulses=pulses,
    )
    return fit_stages(events, pulses)


def off(p, theta, phi):
    """Angle [degrees] between a result and a direction of travel."""
    axis = np.array([p[2], p[3], math.sqrt(1.0 - p[2] ** 2 - p[3] ** 2)])
    return np.degrees(opening_angle(axis, direction(*np.radians([theta, phi + 180.0]))))


@pytest.mark.parametrize("which", range(2))
def test_it_comes_near_their_results(stages, which):
    """Fronts: their errors of pulses, which we have not, are worth 0.2 degrees. Lateral fit:
    within a quarter of its error; ours has no silent stations here.
    """
    event = list(HITS)[which]
    for ours, theirs in ((stages.usual, USUAL), (stages.free, FREE)):
        assert off(ours[which], *theirs[event][:2]) < 0.25
        np.testing.assert_allclose(ours[which, :2] / UNIT, theirs[event][2:4], atol=0.005)
    assert stages.free[which, 6] == pytest.approx(FREE[event][6], rel=0.03)
    x, y, size, error, chi2 = LATERAL[event]
    np.testing.assert_allclose(stages.lateral[which, :2] / UNIT, (x, y), atol=0.03)
    assert abs(stages.lateral[which, 4] - math.log(size)) < 0.25 * error
    assert math.sqrt(stages.quality[which, 6]) == pytest.approx(error, rel=0.03)
    assert stages.quality[which, 2] == pytest.approx(chi2, rel=0.1)
    # The fit of both together is another one (six parameters, delays by the observed density).
    assert off(stages.p[which], *BOTH[event][:2]) < 1.3
