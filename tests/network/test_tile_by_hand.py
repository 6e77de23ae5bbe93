"""One event whose tile is worked out by hand: every station feature from the formulas written out
here, with nothing of the package; and corrections in the frame of a turned lattice.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from hits import make_events, make_reconstruction

from tashower.events.array import Detector, regular_array
from tashower.events.model import Events, Pulses, Reconstruction, Truth
from tashower.network.apply import corrected
from tashower.network.sample import correction
from tashower.network.tiles import STATION_FEATURES, make_tiles

C = 0.299792458
SPACING, AREA = 1000.0, 2.5
# Column and row of the lattice, altitude [m].
ALTITUDE = {(1, 1): 20.0, (2, 1): -35.0, (1, 2): 12.0, (2, 2): 50.0, (0, 2): -8.0}
HEADING = 0.4  # of the turned lattice [rad]
FIT = {
    "core_x": 130.0,
    "core_y": -220.0,
    "zenith": 0.61,
    "azimuth": 4.2,
    "s_ref": 31.0,
    "t0": 512.0,
    "curvature": 1.35,
}
# Column and row, arrival time after the plane front [ns] (NaN: no leading edge), upper and lower
# signal [VEM], saturated, start of the window before the arrival [ns].
HITS = (
    ((0, 2), 640.0, (3.5, 4.5), False, 610.0),
    ((1, 1), 150.0, (55.0, 47.0), True, 590.0),
    ((1, 2), math.nan, (1.2, -0.4), False, 600.0),
    ((2, 1), 9000.0, (6.0, 2.0), False, 580.0),  # far too late: clipped
    ((2, 2), 300.0, (21.0, 17.0), False, 570.0),
)
DEAD = (3, 2)


def ground(column, row, heading):
    """East and north [m] of a lattice point; the lattice's middle, (2, 2), is the origin."""
    x, y = (column - 2) * SPACING, (row - 2) * SPACING
    return (
        x * math.cos(heading) - y * math.sin(heading),
        x * math.sin(heading) + y * math.cos(heading),
    )


def by_hand(column, row, heading):
    """(features of a station without its hit, expected signal [VEM], times [ns] of the plane and
    of the curved front).
    """
    z = ALTITUDE.get((column, row), 0.0)
    x, y = ground(column, row, heading)
    dx, dy = x - FIT["core_x"], y - FIT["core_y"]
    sine = math.sin(FIT["zenith"])
    n = sine * math.cos(FIT["azimuth"]), sine * math.sin(FIT["azimuth"]), math.cos(FIT["zenith"])
    along = n[0] * dx + n[1] * dy + n[2] * z  # towards the source
    r = math.sqrt(dx * dx + dy * dy + z * z - along * along + 10.0**2)  # softened as in the fit
    eta = 3.97 - 1.79 * (1.0 / n[2] - 1.0)

    def f(r):
        return (r / 90.0) ** -1.2 * (1 + r / 90.0) ** -(eta - 1.2) * (1 + (r / 1000.0) ** 2) ** -0.6

    ldf = f(r) / f(800.0)
    expected = AREA * FIT["s_ref"] * ldf
    plane = FIT["t0"] - along / C
    front = plane + FIT["curvature"] * (1 + r / 30.0) ** 1.5 * ldf**-0.5
    c, s = math.cos(heading), math.sin(heading)
    features = {
        "exists": 1.0,
        "working": 0.0 if (column, row) == DEAD else 1.0,
        "x": (c * dx + s * dy) / SPACING,
        "y": (c * dy - s * dx) / SPACING,
        "z": z / 100.0,
        "distance": r / SPACING,
        "axis_x": c * n[0] + s * n[1],
        "axis_y": c * n[1] - s * n[0],
        "log_expected": math.log(1.0 + expected),
    }
    return features, expected, plane, front


def features_of_hit(hit, heading):
    """All features of a station with a hit."""
    place, after, (upper, lower), saturated, _ = hit
    features, expected, plane, front = by_hand(*place, heading)
    upper, lower = max(upper, 0.0), max(lower, 0.0)
    mean = (upper + lower) / 2.0
    features |= {
        "hit": 1.0,
        "timed": 0.0 if math.isnan(after) else 1.0,
        "saturated": float(saturated),
        "log_upper": math.log(1.0 + upper),
        "log_lower": math.log(1.0 + lower),
        "signal_residual": math.log((1.0 + mean) / (1.0 + expected)),
        "plane_time": 0.0,
        "front_residual": 0.0,
        "relative_residual": 0.0,
        "window_start": (window_start(hit, heading) - front) / 1000.0,
    }
    if not math.isnan(after):
        late = plane + after - front
        features["plane_time"] = min(after / 1000.0, 5.0)
        features["front_residual"] = math.asinh(min(late / 100.0, 50.0))
        features["relative_residual"] = math.asinh(min(2.0 * late / (front - plane + 20.0), 50.0))
    return features


def window_start(hit, heading):
    place, after, _, _, before = hit
    return by_hand(*place, heading)[2] + (0.0 if math.isnan(after) else min(after, 1000.0)) - before


def the_event(heading):
    """(Events, Pulses, Reconstruction) of the one event."""
    array = regular_array(5, 5, SPACING, detector=Detector(AREA, 2, 20.0, 32))
    position = np.array(
        [(*ground(c, r, heading), ALTITUDE.get((c, r), 0.0)) for c, r in array.lattice.tolist()]
    )
    array = replace(array, position=position)
    number = {tuple(cell): i for i, cell in enumerate(array.lattice.tolist())}
    plane = np.array([by_hand(*hit[0], heading)[2] for hit in HITS])
    pulses = Pulses(
        arrival_time=plane + np.array([hit[1] for hit in HITS]),
        signal=np.array([hit[2] for hit in HITS]),
        saturated=np.array([hit[3] for hit in HITS]),
        n_peaks=np.ones((len(HITS), 2), np.int16),
        area_over_peak=np.full(len(HITS), 100.0),
    )
    events = Events(
        array=array,
        event_id=np.array([9]),
        hit_offset=np.array([0, len(HITS)]),
        hit_station=np.array([number[hit[0]] for hit in HITS], np.int32),
        hit_time=np.array([window_start(hit, heading) for hit in HITS]),
        waveform=None,
        pedestal=None,
        counts_per_vem=None,
        dead_offset=np.array([0, 1]),
        dead_station=np.array([number[DEAD]], np.int32),
    )
    fit = Reconstruction(
        event_id=events.event_id,
        **{name: np.array([value]) for name, value in FIT.items()},
        energy=np.array([10.0]),
        energy_error=np.array([1.0]),
        covariance=np.full((1, 7, 7), np.nan),
        chi2=np.zeros(1),
        ndof=np.ones(1, np.int32),
        n_stations=np.full(1, 5, np.int32),
        n_excluded=np.zeros(1, np.int32),
        flags=np.zeros(1, np.uint16),
    )
    return events, pulses, fit


@pytest.mark.parametrize("heading", [0.0, HEADING, -HEADING])
def test_every_station_feature(heading):
    """The tile's middle is the core's nearest lattice point, so its 4 x 4 cells begin one and a
    half spacings before the core, rounded.
    """
    tiles = make_tiles(*the_event(heading), 4, 32, with_waveforms=False)
    c, s = math.cos(heading), math.sin(heading)
    core = (
        2.0 + (c * FIT["core_x"] + s * FIT["core_y"]) / SPACING,
        2.0 + (c * FIT["core_y"] - s * FIT["core_x"]) / SPACING,
    )
    begin = round(core[0] - 1.5), round(core[1] - 1.5)
    hits = {hit[0]: hit for hit in HITS}
    seen = 0
    for i in range(4):
        for j in range(4):
            place = begin[0] + i, begin[1] + j
            found = dict(zip(STATION_FEATURES, tiles.cells[0, i, j].tolist(), strict=True))
            if not (0 <= place[0] < 5 and 0 <= place[1] < 5):
                expected = {}
            elif place in hits:
                expected = features_of_hit(hits[place], heading)
                seen += 1
            else:
                expected = by_hand(*place, heading)[0]
            for name in STATION_FEATURES:
                assert found[name] == pytest.approx(expected.get(name, 0.0), rel=2e-6, abs=2e-6), (
                    f"{name} at {place}"
                )
    assert seen >= 4


def test_a_front_is_at_least_a_little_curved():
    """A fitted curvature below 0.1 ns counts as 0.1 ns."""
    events, pulses, fit = the_event(0.0)
    flat, least = (
        make_tiles(events, pulses, replace(fit, curvature=np.array([a])), 4, 32, False).cells
        for a in (-0.5, 0.1)
    )
    np.testing.assert_array_equal(flat, least)
    more = make_tiles(events, pulses, replace(fit, curvature=np.array([0.2])), 4, 32, False).cells
    assert (more != least).any()


@pytest.mark.parametrize("heading", [0.0, HEADING, 2.0, -2.5])
def test_corrections_are_turned_back_from_the_lattice(heading):
    """A vertical fit, corrected along the lattice's first axis, comes from the direction in which
    that axis points; the core moves there, and across is to the left.
    """
    fit = the_event(0.0)[2]
    upright = replace(fit, zenith=np.zeros(1), core_x=np.zeros(1), core_y=np.zeros(1))
    for vector, turn in (((1.0, 0.0), 0.0), ((0.0, 1.0), math.pi / 2)):
        step = np.array([[*np.multiply(0.1, vector), *np.multiply(300.0, vector), 0.2]])
        found = corrected(upright, np.array([0]), step, heading)
        towards = heading + turn
        assert found.zenith[0] == pytest.approx(math.asin(0.1), rel=1e-9)
        assert math.cos(found.azimuth[0] - towards) == pytest.approx(1.0, abs=1e-12)
        assert found.core_x[0] == pytest.approx(300.0 * math.cos(towards), abs=1e-9)
        assert found.core_y[0] == pytest.approx(300.0 * math.sin(towards), abs=1e-9)
        assert found.energy[0] == pytest.approx(10.0 * 10.0**0.2)
        assert np.isnan(found.covariance).all()


@pytest.mark.parametrize("heading", [0.0, HEADING, 2.0, -2.5])
def test_the_true_correction_gives_the_truth(rng, heading):
    """`correction` into the frame of the lattice and `corrected` out of it are inverse."""
    events = make_events(rng, 40)
    fit, truth = make_reconstruction(rng, events), events.truth
    rows = np.flatnonzero(fit.valid)
    assert isinstance(truth, Truth)
    found = corrected(fit, rows, correction(fit, truth, heading)[rows].astype(float), heading)
    for name in ("zenith", "azimuth", "core_x", "core_y", "energy"):
        np.testing.assert_allclose(
            getattr(found, name)[rows], getattr(truth, name)[rows], rtol=2e-5, err_msg=name
        )
    assert (np.isnan(found.zenith) == ~fit.valid).all()
    assert ((found.flags & 1) == (fit.flags & 1)).all()


def test_a_correction_beyond_the_horizon_is_shortened():
    fit = the_event(0.0)[2]
    found = corrected(fit, np.array([0]), np.array([[3.0, 4.0, 0.0, 0.0, 0.0]]))
    assert found.zenith[0] == pytest.approx(math.pi / 2)
    n_x = math.sin(FIT["zenith"]) * math.cos(FIT["azimuth"]) + 3.0
    n_y = math.sin(FIT["zenith"]) * math.sin(FIT["azimuth"]) + 4.0
    assert found.azimuth[0] == pytest.approx(math.atan2(n_y, n_x))


def test_an_event_without_a_correction_is_invalid():
    fit = the_event(0.0)[2]
    found = corrected(fit, np.zeros(0, int), np.zeros((0, 5)))
    assert found.flags[0] & 1
    assert np.isnan([found.zenith[0], found.azimuth[0], found.core_x[0], found.energy[0]]).all()


def test_the_error_of_the_energy_is_that_of_its_logarithm():
    fit = the_event(0.0)[2]
    covariance = np.diag([1e-4, 1e-4, 900.0, 900.0, 0.05**2])[None]
    found = corrected(fit, np.array([0]), np.zeros((1, 5)), 0.3, covariance)
    assert found.energy_error[0] == pytest.approx(found.energy[0] * 0.05 * math.log(10))
    assert np.isnan(corrected(fit, np.array([0]), np.zeros((1, 5))).energy_error[0])
