"""HiSPARC and Auger files."""

import copy
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from damage import fuzz
from nasty import nasty_json
from scipy.optimize import least_squares

from tashower.convert.convert import convert, tell_format
from tashower.convert.json_events import east_north_up
from tashower.errors import InputError
from tashower.physics.geometry import axis_components, plane_delay
from tashower.reconstruction.methods.plane import fit_planes
from tashower.reconstruction.pulses import find_pulses

#: Real files that are not part of this repository.
CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
HISPARC = CASES.parent / "data" / "hisparc"

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
        {
            "id": 100 + i,
            "x": x,
            "y": y,
            "z": 1400 + i,
            "timeNS": t,
            "signal": s,
            "isLowGainSaturated": i == 0,
        }
        for i, (x, y, t, s) in enumerate(
            [
                (-4131.80, 444.45, 39209205, 907.87),
                (-5630.69, 447.75, 39211642, 393.0),
                (-4886.17, -851.87, 39213289, 225.7),
                (-4876.79, 1746.19, 39207623, 138.99),
                (-3375.15, 1743.80, 39205298, 96.21),
            ]
        )
    ],
}


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_tangent_plane_in_metres():
    """A degree of latitude is 111.3 km at 52 degrees; longitude shrinks with the cosine; up is
    up.
    """
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
        ("mips", {}, "mips"),
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


def release_event():
    """An event under the names of the open data release: `info.id`, `t` [ns], `sat`,
    `isSelected`.
    """
    stations = [
        {
            "id": 600 + k,
            "name": f"S{k}",
            "x": x,
            "y": y,
            "z": 1400.0 + k,
            "t": t,
            "dt": 12.0,
            "signal": s,
            "dsignal": 1.0,
            "sat": k % 3,
            "isSelected": 1,
            "pmt1": [],
            "pmt2": [],
            "pmt3": [],
        }
        for k, (x, y, t, s) in enumerate(
            [
                (-28950.0, 4599.0, 78365952, 7.23),
                (-28200.0, 5898.0, 78365016, 3.97),
                (-28200.0, 3300.0, 78368858, 36.65),
                (-27450.0, 4599.0, 78367697, 74.69),
            ]
        )
    ]
    return {
        "meta": {"type": "auger data release", "release": 1, "format": 1},
        "info": {"id": 71656066300, "sdid": 3566570, "gpstime": 865918276},
        "sdrec": {
            "theta": 40.0,
            "phi": 130.0,
            "energy": 10.0,
            "x": 0.0,
            "y": 3500.0,
            "s1000": 60.0,
        },
        "stations": stations,
    }


def test_auger_release(tmp_path):
    """sat 1 is the high gain alone: the signal holds; 2 is a lower limit."""
    events = convert([write(tmp_path / "a.json", release_event())])
    assert events.event_id.tolist() == [71656066300]
    np.testing.assert_array_equal(events.hit_time, [936, 0, 3842, 2681])
    np.testing.assert_array_equal(events.pulses.saturated, [False, False, True, False])
    np.testing.assert_allclose(events.array.position[:, 2], [-1.5, -0.5, 0.5, 1.5])
    assert (events.standard.core_x[0], events.standard.s_ref[0]) == (0.0, 60.0)


def test_stations_that_are_not_selected_are_kept_named_and_not_used(tmp_path, caplog):
    """Event 081847956000 of the open data: five stations, whose plane is 53.41, 53.75 deg."""
    content = copy.deepcopy(AUGER)
    for station in content["stations"]:
        station["isSelected"] = 1
    content["stations"].append(
        {
            "id": 999,
            "x": -3000.0,
            "y": -850.0,
            "z": 0.0,
            "timeNS": 39209305,
            "signal": 3.0,
            "isSelected": 0,
        }
    )
    events = convert([write(tmp_path / "a.json", content)])
    assert events.array.station_id[events.hit_station[events.rejected]].tolist() == [999]
    assert (events.n_hits, int(events.rejected.sum())) == (6, 1)
    assert "999" in caplog.text
    found = find_pulses(events)
    np.testing.assert_array_equal(np.isnan(found.arrival_time), events.rejected)
    fit = fit_planes(events, found)
    assert fit.n_stations[0] == 5
    without = convert([write(tmp_path / "b.json", AUGER)])
    alone = fit_planes(without, find_pulses(without))
    assert fit.zenith[0] == pytest.approx(alone.zenith[0], abs=1e-9)


def test_null_signal_is_a_station_out_of_service(tmp_path):
    content = release_event()
    content["stations"][1]["signal"] = None
    events = convert([write(tmp_path / "a.json", content)])
    assert events.array.station_id[events.dead_station].tolist() == [601]
    assert events.array.station_id[events.hit_station].tolist() == [600, 602, 603]
    hisparc, _, _ = hisparc_event()
    hisparc["events"][2]["mips"] = None
    events = convert([write(tmp_path / "h.json", hisparc)])
    assert events.array.station_id[events.dead_station].tolist() == [503]
    assert events.n_hits == 3


def test_altitudes_of_some_stations_only_are_refused(tmp_path):
    content = release_event()
    del content["stations"][2]["z"]
    with pytest.raises(InputError, match="1 stations have no altitude"):
        convert([write(tmp_path / "a.json", content)])


@pytest.mark.parametrize(
    ("mips", "signal"),
    [
        ([2.0, 3.0, -1, -1], 10.0),  # 5 in 2 of 4 detectors
        ([-999, 2.0, 3.0, 1.0], 8.0),  # 6 in 3
        ([-999, 2.5], 10.0),
        ([0.0, 0.0, 0.0, -0.1], -0.1),  # noise
    ],
)
def test_no_value_is_no_particle(tmp_path, mips, signal):
    content, _, _ = hisparc_event()
    content["events"][1]["mips"] = mips
    found = convert([write(tmp_path / "c.json", content)])
    assert found.pulses.signal[1, 0] == pytest.approx(signal)


def test_a_station_without_any_value_is_left_out_and_named(tmp_path, caplog):
    content, _, _ = hisparc_event()
    content["events"][1]["mips"] = [-999, -999, -1, -1]
    events = convert([write(tmp_path / "c.json", content)])
    assert events.n_hits == 3
    assert "station 502" in caplog.text
    assert events.array.station_id[events.dead_station].tolist() == [502]


@pytest.mark.parametrize("make", [lambda: hisparc_event()[0], release_event])
def test_a_list_is_several_events(tmp_path, make):
    first, second = make(), make()
    for name in ("pk", "info"):
        if name in second:
            second[name] = 78 if name == "pk" else {"id": 78}
    key = "events" if "events" in second else "stations"
    second[key] = second[key][:3]
    events = convert([write(tmp_path / "l.json", [first, second])])
    assert events.event_id[1] == 78
    np.testing.assert_array_equal(np.diff(events.hit_offset), [4, 3])


def test_times_across_a_second(tmp_path):
    """999,999,900 ns of one second, 40 and 120 of the next."""
    content, _, _ = hisparc_event()
    for station, (s, ns) in zip(
        content["events"], [(908, 999999900), (909, 40), (909, 120), (908, 999999990)], strict=True
    ):
        station["timestamp"], station["nanoseconds"] = 1393717000 + s, ns
    found = convert([write(tmp_path / "c.json", content)])
    np.testing.assert_array_equal(found.hit_time, [0, 140, 220, 90])


def test_gps_nanoseconds_as_whole_numbers(tmp_path):
    content = release_event()
    for station in content["stations"]:
        station["t"] += 865918276 * 10**9
    found = convert([write(tmp_path / "a.json", content)])
    np.testing.assert_array_equal(found.hit_time, [936, 0, 3842, 2681])


def test_gps_nanoseconds_that_went_through_a_float_are_refused(tmp_path):
    content = release_event()
    for station in content["stations"]:
        station["t"] = float(station["t"] + 865918276 * 10**9)
    with pytest.raises(InputError, match="written as a float, which lacks its last digits"):
        convert([write(tmp_path / "a.json", content)])


@pytest.mark.skipif(not HISPARC.is_dir(), reason="real coincidences are not shipped")
@pytest.mark.parametrize(
    ("name", "zenith", "azimuth"),
    [("coinc_aa34bad", 46.1, -23.9), ("jsparc_data_n3_eee7cd8", 36.8, 145.0)],
)
def test_real_coincidences(name, zenith, azimuth):
    """Equal to scipy's least squares within 0.01 degrees, and to the experiment's own direction
    within the digits that it states.
    """
    events = convert([HISPARC / f"{name}.json"])
    fit = fit_planes(events, find_pulses(events))
    position = events.array.position[events.hit_station]
    time = find_pulses(events).arrival_time

    def off(p):
        n = np.array([p[0], p[1], np.sqrt(max(1.0 - p[0] ** 2 - p[1] ** 2, 1e-12))])
        return time - p[2] * 100.0 + position @ n / 0.299792458

    start = axis_components(fit.zenith[0] + 0.02, fit.azimuth[0] - 0.03)[:2]
    tolerance = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
    found = least_squares(off, [*start, time.mean() / 100.0], **tolerance).x
    n = axis_components(fit.zenith[0], fit.azimuth[0])
    assert np.degrees(np.hypot(found[0] - n[0], found[1] - n[1])) < 0.01
    assert np.degrees(fit.zenith[0]) == pytest.approx(zenith, abs=0.06)
    turned = (np.degrees(fit.azimuth[0]) - azimuth + 180.0) % 360.0 - 180.0
    assert turned == pytest.approx(0.0, abs=0.06)


@pytest.mark.skipif(not HISPARC.is_dir(), reason="real coincidences are not shipped")
def test_a_coincidence_that_no_plane_fits_is_invalid():
    events = convert([HISPARC / "jsparc_data_n4_7bc5732.json"])
    assert not fit_planes(events, find_pulses(events)).valid[0]


def test_silent_stations_come_from_a_list(tmp_path):
    lines = [f"{s['id']},{s['x']},{s['y']},{s['z']},1" for s in release_event()["stations"]]
    text = "station,x_m,y_m,z_m,working\n" + "\n".join(lines)
    (tmp_path / "s.csv").write_text(f"{text}\n700,-26700,5898,1400,1\n701,-26700,3300,1400,False\n")
    path = write(tmp_path / "a.json", release_event())
    events = convert([path], stations=tmp_path / "s.csv")
    assert events.array.n_stations == 6
    assert events.array.station_id[events.dead_station].tolist() == [701]
    (tmp_path / "s.csv").write_text(text)
    assert convert([path], stations=tmp_path / "s.csv").array.n_stations == 4
    (tmp_path / "s.csv").write_text(text.replace("603,", "604,"))
    with pytest.raises(InputError, match=r"a\.json: event 71656066300: station 603"):
        convert([path], stations=tmp_path / "s.csv")
    (tmp_path / "s.csv").write_text(text.replace("603,", "Cristalino,"))
    with pytest.raises(InputError, match=r"s\.csv: stations are numbers"):
        convert([path], stations=tmp_path / "s.csv")


@pytest.mark.parametrize("pack", [lambda b: b"\xef\xbb\xbf" + b, gzip.compress])
def test_byte_order_mark_and_gzip(tmp_path, pack):
    path = tmp_path / "a.json.gz"
    path.write_bytes(pack(json.dumps(release_event()).encode()))
    assert convert([path]).n_hits == 4


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("t", 10**400, "nanoseconds"),
        ("x", 10**400, "x = "),
        ("x", 1e300, "x = "),
        ("signal", float("inf"), "signal"),
        ("signal", 1e20, "signal"),
        ("id", 2**40, "whole number"),
        ("id", "Cristalino", "whole number"),
        ("id", "²", "whole number"),
        ("id", 10**400, "whole number"),
        ("t", "9" * 5000, "nanoseconds"),
        ("sat", None, "sat"),
        ("isSelected", "no", "isSelected"),
    ],
)
def test_bad_auger_files(tmp_path, key, value, message):
    content = release_event()
    content["stations"][0][key] = value
    with pytest.raises(InputError, match=message) as error:
        convert([write(tmp_path / "a.json", content)])
    assert "a.json: event 71656066300" in str(error.value)


def test_numbers_of_events_that_do_not_fit(tmp_path):
    content = release_event()
    content["info"]["id"] = 2**63
    with pytest.raises(InputError, match="whole number below"):
        convert([write(tmp_path / "a.json", content)])


@pytest.mark.parametrize("name", ["hisparc", "auger"])
@pytest.mark.parametrize("n", [150, pytest.param(3000, marks=pytest.mark.slow)])
def test_files_with_a_wrong_structure(rng, tmp_path, name, n):
    content = hisparc_event()[0] if name == "hisparc" else release_event()
    refused = fuzz(
        rng, tmp_path, b"", ".json", n, damage=lambda rng, data: nasty_json(rng, content)
    )
    assert refused > n // 3


@pytest.mark.skipif(not CASES.is_dir(), reason="no cases beside")
def test_cases():
    release = convert([CASES / "auger" / "release_schema.json"])
    assert release.event_id.tolist() == [71656066300]
    rejected = convert([CASES / "auger" / "with_rejected_station.json"])
    assert (rejected.n_hits, int(rejected.rejected.sum())) == (6, 1)
    found = convert([CASES / "hisparc" / "sentinels.json"])
    np.testing.assert_allclose(found.pulses.signal[:, 0], [7, 10, 8, 0.5])
    assert convert([CASES / "hisparc" / "list_of_events.json"]).n_events == 2


@pytest.mark.parametrize("content", [hisparc_event()[0], AUGER], ids=["hisparc", "auger"])
def test_damaged_files(rng, tmp_path, content):
    assert fuzz(rng, tmp_path, json.dumps(content).encode(), ".json", 100) > 20


@pytest.mark.slow
@pytest.mark.parametrize("content", [hisparc_event()[0], AUGER], ids=["hisparc", "auger"])
def test_a_thousand_damaged_files(rng, tmp_path, content):
    assert fuzz(rng, tmp_path, json.dumps(content).encode(), ".json", 1000) > 200
