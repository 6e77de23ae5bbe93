"""Event features of hand-made events."""

from dataclasses import replace

import numpy as np
import pytest
from hits import make_events, make_reconstruction

from tashower.events.array import regular_array
from tashower.events.model import Pulses, Reconstruction
from tashower.reconstruction.features import EVENT_FEATURES, event_features


def vertical(event_id, core=(0.0, 0.0), s_ref=10.0):
    """A vertical shower, with marked numbers elsewhere."""
    n = len(event_id)
    full = {
        name: np.full(n, value)
        for name, value in (
            ("core_x", core[0]),
            ("core_y", core[1]),
            ("zenith", 0.0),
            ("azimuth", 0.0),
            ("s_ref", s_ref),
            ("t0", 0.0),
            ("curvature", 1.7),
            ("energy", 9.0),
            ("energy_error", 1.0),
            ("chi2", 12.0),
        )
    }
    return Reconstruction(
        event_id=event_id,
        covariance=np.zeros((n, 7, 7)),
        ndof=np.full(n, 6, np.int32),
        n_stations=np.full(n, 7, np.int32),
        n_excluded=np.full(n, 2, np.int32),
        flags=np.zeros(n, np.uint16),
        **full,
    )


@pytest.fixture
def event(rng):
    """Three hits at 1000, 1200 and 2000 m from a vertical shower, and one below 1.4 VEM."""
    array = regular_array(5, 5, 1000.0)
    array = replace(array, position=array.position.copy())
    for i, r in enumerate((1000.0, 1200.0, 2000.0, 800.0)):
        array.position[i] = (0.0, r, 0.0) if i % 2 else (-r, 0.0, 0.0)
    events = replace(
        make_events(rng, 1, array),
        hit_offset=np.array([0, 4]),
        hit_station=np.arange(4, dtype=np.int32),
        hit_time=np.zeros(4),
        waveform=None,
    )
    pulses = Pulses(
        arrival_time=np.zeros(4),
        signal=np.array([[30.0, 10.0], [8.0, 4.0], [1.0, 3.0], [1.3, 1.3]]),
        saturated=np.zeros(4, bool),
        n_peaks=np.array([[3, 1], [1, 2], [0, 4], [9, 9]], np.int16),
        area_over_peak=np.array([200.0, 220.0, 300.0, 999.0]),
    )
    return events, pulses


def test_every_feature_of_a_hand_made_event(event):
    found = {
        name: value[0]
        for name, value in event_features(*event, vertical(np.zeros(1, np.int64))).items()
    }
    assert tuple(found) == EVENT_FEATURES
    assert found["curvature"] == 1.7
    assert found["area_over_peak"] == pytest.approx(220.0)  # the three points lie on a line
    assert found["area_over_peak_slope"] == pytest.approx(100.0)
    assert found["n_stations"] == 7
    assert found["n_excluded"] == 2
    assert found["chi2_per_ndof"] == 2.0
    assert found["s_b3"] == pytest.approx((20 * 1 + 6 * 1.2**3 + 2 * 8) / 10)
    assert found["s_b45"] == pytest.approx((20 * 1 + 6 * 1.2**4.5 + 2 * 2**4.5) / 10)
    assert found["total_signal"] == pytest.approx(28.0)
    assert found["layer_asymmetry"] == pytest.approx((39 - 17) / 56)
    assert found["n_peaks"] == 11
    assert found["n_peaks_strongest"] == 4
    assert found["n_peaks_upper"] == 2  # 3 - 1
    assert found["n_peaks_lower"] == 5  # (2 - 1) + (4 - 0)
    assert found["zenith"] == 0.0
    assert found["s_ref"] == 10.0


def test_distance_is_perpendicular_to_the_axis(event):
    inclined = replace(vertical(np.zeros(1, np.int64)), zenith=np.array([1.0]))  # from the east
    found = event_features(*event, inclined)
    across = (20 * np.cos(1.0) ** 3 + 6 * 1.2**3 + 2 * (2 * np.cos(1.0)) ** 3) / 10
    assert found["s_b3"][0] == pytest.approx(across)
    turned = replace(inclined, azimuth=np.array([np.pi / 2]))
    other = (20 + 6 * (1.2 * np.cos(1.0)) ** 3 + 16) / 10
    assert event_features(*event, turned)["s_b3"][0] == pytest.approx(other)


def test_invalid_events_have_no_features(rng):
    events = make_events(rng, 30)
    table = make_reconstruction(rng, events)
    for name, column in event_features(events, events.pulses, table).items():
        assert np.isnan(column[0]), name
        assert column.shape == (30,)


def test_too_few_points_give_no_slope(event):
    events, pulses = event
    near = replace(pulses, area_over_peak=np.array([200.0, np.nan, 300.0, 1.0]))
    found = event_features(events, near, vertical(np.zeros(1, np.int64)))
    assert np.isnan(found["area_over_peak"][0])
    assert np.isnan(found["area_over_peak_slope"][0])
    assert found["n_peaks"][0] == 11


def test_events_without_hits(rng):
    events = make_events(rng, 2)
    empty = replace(
        events,
        hit_offset=np.zeros(3, np.int64),
        hit_station=events.hit_station[:0],
        hit_time=events.hit_time[:0],
        waveform=None,
    )
    pulses = Pulses(*(getattr(events.pulses, f)[:0] for f in Pulses.__dataclass_fields__))
    found = event_features(empty, pulses, vertical(events.event_id))
    assert (found["total_signal"] == 0).all()
    assert np.isnan(found["layer_asymmetry"]).all()


def test_peaks_of_the_strongest_station(event):
    events, pulses = event
    signal = np.array([[10.0, 10.0], [30.0, 10.0], [1.0, 3.0], [1.3, 1.3]])
    found = event_features(events, replace(pulses, signal=signal), vertical(np.zeros(1, np.int64)))
    assert found["n_peaks_strongest"][0] == 1 + 2
