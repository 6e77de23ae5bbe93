"""HiSPARC and Auger files."""

import copy
import json

import numpy as np
import pytest
from damage import fuzz

from tashower.convert.convert import convert, tell_format
from tashower.convert.json_events import east_north_up
from tashower.errors import InputError
from tashower.physics.geometry import axis_components, plane_delay

ORIGIN = (4.951, 52.356, 55.0)


def hisparc_event(zenith=0.6, azimuth=2.0):
    """Four stations, times of a plane front."""
    offsets = np.array([[0.0, 0.0], [0.0012, 0.0], [0.0, 0.0009], [-0.0011, -0.0005]])
    places = [(ORIGIN[0] + a, ORIGIN[1] + b, ORIGIN[2] + 3 * i) for i, (a, b) in enumerate(offsets)]
    position = east_north_up(*np.array(places).T, np.mean(places, axis=0))
    delay = plane_delay(*position.T, *axis_components(zenith, azimuth))
    stations = [
        {
            "number": 501 + i,
            "longitude": place[0],
            "latitude": place[1],
            "altitude": place[2],
            "timestamp": 1_400_000_000,
            "nanoseconds": 500_000_000 + round(t),
            "mips": [1.0 + i, 0.5, 2.0, 1.5],
            "traces": [[0, 1], [2, 3]],
        }
        for i, (place, t) in enumerate(zip(places, delay, strict=True))
    ]
    return (
        {"timestamp": 1_400_000_000, "nanoseconds": 500_000_000, "pk": 77, "events": stations},
        position,
        delay,
    )


AUGER = {
    "id": 81847956000,
    "stations": [
        {"id": 100 + i, "x": x, "y": y, "z": 1400 + i, "timeNS": t, "signal": s, "isLowGainSaturated": i == 0}
        for i, (x, y, t, s) in enumerate([
            (-4131.80, 444.45, 39209205, 907.87), (-5630.69, 447.75, 39211642, 393.0), (-4886.17, -851.87, 39213289, 225.7),
            (-4876.79, 1746.19, 39207623, 138.99), (-3375.15, 1743.80, 39205298, 96.21),
        ])
    ],
}  # fmt: skip


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_tangent_plane_in_metres():
    """A degree of latitude is 111.3 km at 52 degrees; longitude shrinks with the cosine; up is up."""
    found = east_north_up(
        [5.0, 5.001, 5.0, 5.0], [52.0, 52.0, 52.001, 52.0], [0.0, 0.0, 0.0, 10.0], (5.0, 52.0, 0.0)
    )
    np.testing.assert_allclose(found[0], 0, atol=1e-6)
    np.testing.assert_allclose(found[1, :2], [68.68, 0.0], atol=0.05)
    np.testing.assert_allclose(found[2, :2], [0.0, 111.26], atol=0.05)
    np.testing.assert_allclose(found[3], [0, 0, 10], atol=1e-3)


def test_hisparc_coincidence(tmp_path):
    content, position, delay = hisparc_event()
    path = write(tmp_path / "c.json", content)
    assert tell_format([path]) == "hisparc"
    events = convert([path])
    np.testing.assert_allclose(events.array.position, position, atol=1e-6)
    np.testing.assert_allclose(events.hit_time, np.round(delay) - np.round(delay).min(), atol=1e-6)
    np.testing.assert_allclose(events.pulses.signal[:, 0], [5, 6, 7, 8])
    assert events.array.detector.area == 2.0
    assert events.event_id[0] == 77


def test_several_coincidences_share_an_array(tmp_path):
    content, _, _ = hisparc_event()
    other = copy.deepcopy(content)
    other["events"] = other["events"][:3]
    other["pk"] = 78
    events = convert([write(tmp_path / "a.json", content), write(tmp_path / "b.json", other)])
    assert events.n_events == 2
    assert events.array.n_stations == 4
    np.testing.assert_array_equal(np.diff(events.hit_offset), [4, 3])


def test_two_detector_stations_count_double(tmp_path):
    content, _, _ = hisparc_event()
    content["events"][0]["mips"] = [1.0, 2.0]
    assert convert([write(tmp_path / "a.json", content)]).pulses.signal[0, 0] == 6.0


def test_auger_event(tmp_path):
    path = write(tmp_path / "a.json", AUGER)
    assert tell_format([path]) == "auger"
    events = convert([path])
    assert events.n_hits == 5
    assert events.pulses.saturated.tolist() == [True, False, False, False, False]
    assert events.array.kind == "hexagonal"
    assert events.array.spacing == pytest.approx(1500.0, rel=0.002)
    # In axial coordinates the first station is one step from each of the others.
    steps = events.array.lattice[1:] - events.array.lattice[0]
    assert {tuple(step) for step in steps.tolist()} <= {
        (1, 0),
        (-1, 0),
        (0, 1),
        (0, -1),
        (1, -1),
        (-1, 1),
    }
    np.testing.assert_allclose(np.sort(events.hit_time), np.sort([3907, 6344, 7991, 2325, 0]))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("mips", None, "mips"),
        ("mips", [1, 2, 3], "mips"),
        ("mips", ["a", 1], "mips"),
        ("longitude", "east", "longitude"),
        ("nanoseconds", None, "nanoseconds"),
        ("number", 502, "two hits"),
        ("latitude", float("nan"), "latitude"),
    ],
)
def test_bad_hisparc_files(tmp_path, key, value, message):
    content, _, _ = hisparc_event()
    content["events"][0][key] = value
    with pytest.raises(InputError, match=message) as error:
        convert([write(tmp_path / "c.json", content)])
    assert "c.json" in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "{", '{"events": 3, "nanoseconds": 1}', '{"stations": []}', "[" * 100_000],
)
def test_other_json_is_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"x\.json"):
        convert([path])


@pytest.mark.parametrize("content", [hisparc_event()[0], AUGER], ids=["hisparc", "auger"])
def test_damaged_files(rng, tmp_path, content):
    assert fuzz(rng, tmp_path, json.dumps(content).encode(), ".json", 100) > 20


@pytest.mark.slow
@pytest.mark.parametrize("content", [hisparc_event()[0], AUGER], ids=["hisparc", "auger"])
def test_a_thousand_damaged_files(rng, tmp_path, content):
    assert fuzz(rng, tmp_path, json.dumps(content).encode(), ".json", 1000) > 200
