"""Event files that other programs write: what the rest relies on is checked where they are read."""

import json
from dataclasses import fields, replace

import h5py
import numpy as np
import pytest
from hits import make_events

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import load_config
from tashower.errors import InputError
from tashower.events.array import (
    Detector,
    array_from_positions,
    border_distance,
    neighbour_table,
    regular_array,
)
from tashower.events.model import Events
from tashower.io.event_checks import check_detector
from tashower.io.event_file import read_events, write_events
from tashower.io.foreign_hdf5 import numbers_of, wholes_of
from tashower.reconstruction.reconstruct import reconstruct


def by_others(tmp_path, rng, columns=None, attributes=None):
    """An event file without a stamp, with columns and attributes replaced; None: left out."""
    path = tmp_path / "e.h5"
    write_events(path, make_events(rng, 4), {})
    path.write_bytes(path.read_bytes()[512:])
    with h5py.File(path, "r+") as file:
        for name, column in (columns or {}).items():
            del file[name]
            if column is not None:
                file[name] = column
        for name, value in (attributes or {}).items():
            del file.attrs[name]
            if value is not None:
                file.attrs[name] = value
    return path


def lattice(*rows):
    """That of 30 stations, the first ones at these points."""
    found = regular_array(6, 5, 1200.0).lattice
    found[: len(rows)] = np.reshape(rows, (-1, 2))
    return found


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("array/lattice", lattice((2**31 - 1, 2**31 - 1)), r"array/lattice spans .* points"),
        ("array/lattice", lattice((1, 1)), "two stations at the same point"),
        ("array/lattice", lattice()[:-1], r"array/lattice is not \(30, 2\)"),
        ("array/lattice", lattice() + 0.5, "array/lattice holds 0.5, where a whole"),
        ("array/station_id", np.arange(30.0) + 2.0**31, "array/station_id holds a number beyond"),
        ("array/station_id", np.full(30, np.nan), "array/station_id holds nan"),
        ("array/station_id", np.arange(30, dtype="u8") + 2**63, "where a whole number"),
        ("array/station_id", np.arange(60).reshape(30, 2), "station_id is not one number"),
        ("array/position", np.array([b"x"] * 30), "array/position does not hold numbers"),
        ("array/position", h5py.Empty("f8"), "array/position does not hold numbers"),
        ("array/position", 3.0, "array/position is a single number"),
        ("events/event_id", np.zeros((4, 1), np.int64), "event_id is not one number an event"),
        ("events/event_id", np.array([1, 2, 3, 2.0**60]), "events/event_id holds 1.15"),
        ("hits/waveform", np.zeros(3, complex), "hits/waveform does not hold numbers"),
        ("truth/energy", np.zeros((4, 2)), r"truth/energy has shape \(4, 2\), \(4,\) needed"),
    ],
)
def test_columns(tmp_path, rng, name, column, message):
    path = by_others(tmp_path, rng, {name: column})
    with pytest.raises(InputError, match=message) as error:
        read_events(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("spacing", "far", "attribute spacing is 'far', which is not a number"),
        ("spacing", np.nan, "attribute spacing is 'nan'"),
        ("spacing", -1.0, "attribute spacing is -1 m"),
        ("spacing", None, "spacing is missing"),
        ("front_power", np.inf, "attribute front_power"),
        ("lateral_scale", np.arange(3), "attribute lateral_scale"),
        ("lateral_reference", 0.0, "attribute lateral_reference is 0, which is not positive"),
        ("front_distance", -30.0, "attribute front_distance is -30, which is not positive"),
        ("lattice_kind", "round", "attribute lattice_kind is 'round'"),
        ("detector", "[1]", "attribute detector is not a dictionary"),
        ("detector", "[" * 60_000, "attribute detector is not a dictionary"),
        ("detector", '{"area": -1}', "its detector has area '-1'"),
        ("detector", '{"n_bins": 1.5}', "its detector has n_bins '1.5'"),
        ("detector", '{"n_bins": null}', "its detector has n_bins 'inf'"),
        ("detector", '{"n_layers": true}', "its detector has n_layers 'True'"),
        ("electronics", '{"edge_sigma": "5"}', "its detector has edge_sigma '5'"),
    ],
)
def test_attributes(tmp_path, rng, name, value, message):
    path = by_others(tmp_path, rng, attributes={name: value})
    with pytest.raises(InputError, match=message) as error:
        read_events(path)
    assert str(path) in str(error.value)


def test_whole_numbers_of_another_kind_are_taken(tmp_path, rng):
    """Columns as other languages write them, and electronics without noise."""
    original = read_events(by_others(tmp_path, rng))
    columns = {
        "hits/hit_station": original.hit_station.astype(float),
        "events/hit_offset": original.hit_offset.astype(np.int16),
        "array/lattice": original.array.lattice.astype(">i8"),
    }
    electronics = json.dumps({"noise_counts": 0})
    found = read_events(_replaced(tmp_path / "e.h5", columns, electronics))
    for f in fields(Events):
        if f.name in ("hit_station", "hit_offset"):
            column = getattr(found, f.name)
            np.testing.assert_array_equal(column, getattr(original, f.name))
            assert column.dtype == getattr(original, f.name).dtype
    assert found.array.lattice.dtype == np.int32
    assert found.array.detector.noise_counts == 0


def _replaced(path, columns, electronics):
    with h5py.File(path, "r+") as file:
        for name, column in columns.items():
            del file[name]
            file[name] = column
        file.attrs["electronics"] = electronics
    return path


def test_a_detector_of_unknown_words():
    assert check_detector({"area": 2, "colour": "red"}, "x") == replace(Detector(), area=2)


def test_numbers_of_datasets(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["good"], file["text"], file["names"] = np.arange(3), "a", np.array([b"a"])
        assert numbers_of(file["good"], "a.h5").tolist() == [0, 1, 2]
        assert numbers_of(file["names"], "a.h5", "S").tolist() == [b"a"]
        for name in ("text", "names"):
            with pytest.raises(InputError, match=rf"a\.h5: {name} does not hold numbers"):
                numbers_of(file[name], "a.h5")


@pytest.mark.parametrize("kind", ["i1", "u2", "f4", "f8", ">i4", "bool"])
def test_whole_numbers(kind):
    column = np.array([0, 1, 1], kind)
    found = wholes_of(column, "x", "a.h5")
    assert found.tolist() == [0, 1, 1]
    assert found.dtype == np.int64


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e300, 2.0**53 + 2])
def test_what_is_no_whole_number(value):
    with pytest.raises(InputError, match=r"a\.h5: x holds"):
        wholes_of(np.array([1.0, value]), "x", "a.h5")


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_arrays_of_few_stations_are_fitted_without_a_hull(rng, n):
    """No station, or stations on one line, have no inside; events on them have no result."""
    position = np.column_stack([np.arange(n) * 1000.0, np.zeros(n), np.zeros(n)])
    array = array_from_positions(np.arange(n), position)
    distance = border_distance(array, np.array([0.0, np.nan]), np.array([0.0, 0.0]))
    assert distance[0] == -np.inf
    assert np.isnan(distance[1])
    if n == 0:
        assert neighbour_table(replace(array, kind="square")).shape == (0, 8)
    one = make_events(rng, 1)
    nothing = np.zeros(0, np.int64)
    empty = replace(
        one,
        array=replace(array, kind="square"),
        hit_offset=np.zeros(2, np.int64),
        dead_offset=np.zeros(2, np.int64),
        hit_station=nothing.astype(np.int32),
        dead_station=nothing.astype(np.int32),
        hit_time=nothing.astype(float),
        **{name: getattr(one, name)[:0] for name in ("waveform", "pedestal", "counts_per_vem")},
        pulses=None,
        saturated=None,
        truth=None,
        standard=None,
    )
    tables, *_ = reconstruct(empty, read_calibration(DEFAULT), load_config().reconstruction)
    assert not tables["free"].valid.any()


def test_numbers_of_stations_that_do_not_fit():
    position = np.array([[0.0, 0, 0], [1000, 0, 0]])
    for number in (2**31, -(2**31) - 1, 2**62):
        with pytest.raises(InputError, match=f"station {number}: numbers of stations"):
            array_from_positions(np.array([1, number]), position)
