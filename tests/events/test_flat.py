"""Events and reconstructions as sequences and as flat tables."""

import sys
from dataclasses import fields, replace

import numpy as np
import pytest

import tashower as ts
from tashower.events.model import PARAMETERS, Reconstruction, select_events
from tashower.reconstruction.pulses import find_pulses


@pytest.fixture(scope="module")
def events():
    return ts.simulate(40, seed=3, array={"columns": 6, "rows": 6})


@pytest.fixture
def table():
    n = 4
    number = np.arange(1.0, n + 1.0)
    covariance = np.zeros((n, 7, 7))
    covariance[:, range(7), range(7)] = (np.arange(7.0) + number[:, None]) ** 2
    columns = {name: 10.0 * k + number for k, name in enumerate(PARAMETERS)}
    columns["zenith"] = np.radians([10.0, 20.0, 30.0, np.nan])
    return Reconstruction(
        event_id=np.array([7, 3, 9, 1]),
        **columns,
        energy=np.array([1.0, 2.0, 30.0, np.nan]),
        energy_error=np.array([0.1, 0.2, 3.0, np.nan]),
        covariance=covariance,
        chi2=number,
        ndof=np.arange(n, dtype=np.int32),
        n_stations=np.arange(n, dtype=np.int32),
        n_excluded=np.zeros(n, np.int32),
        flags=np.array([0, 2, 0, 1], np.uint16),
    )


def test_length_and_iteration(events, table):
    assert len(events) == events.n_events > 10
    assert len(table) == 4
    singles = list(events)
    assert [len(e) for e in singles] == [1] * len(events)
    assert [int(e.event_id[0]) for e in singles] == events.event_id.tolist()
    assert sum(e.n_hits for e in singles) == events.n_hits
    assert [int(r.event_id[0]) for r in table] == [7, 3, 9, 1]


@pytest.mark.parametrize(
    ("which", "rows"),
    [
        (3, [3]),
        (np.int64(3), [3]),
        (-1, [-1]),
        (slice(2, 8, 3), [2, 5]),
        ([4, 0, 4], [4, 0, 4]),
        (np.array([5, 1]), [5, 1]),
        ([], []),
    ],
)
def test_choosing_events(events, which, rows):
    found, wanted = events[which], select_events(events, np.array(rows, int))
    np.testing.assert_array_equal(found.event_id, wanted.event_id)
    np.testing.assert_array_equal(found.waveform, wanted.waveform)
    np.testing.assert_array_equal(found.truth.energy, wanted.truth.energy)


def test_choosing_with_a_mask(events, table):
    mask = events.truth.energy > np.median(events.truth.energy)
    np.testing.assert_array_equal(events[mask].event_id, events.event_id[mask])
    assert table[table.passes_cuts].event_id.tolist() == [7, 9]
    assert table[-2].event_id.tolist() == [9]


@pytest.mark.parametrize("which", [4, -5, [0, 9], "a", 1.5, np.ones((2, 2), int), [True]])
def test_rows_that_do_not_exist(table, which):
    with pytest.raises(IndexError):
        table[which]


def test_what_is_in_it_is_said(events, table):
    text = repr(events)
    for part in (f"{len(events)} events", f"{events.n_hits} hits", "36 stations", "square, 1200 m"):
        assert part in text
    assert text.endswith("256 bins x 2 layers, truth>")
    bare = replace(events, waveform=None, truth=None, pulses=find_pulses(events))
    assert repr(bare).endswith("no waveforms, pulses, no truth>")
    assert repr(events[0]).startswith("<Events: 1 event, ")
    assert repr(table) == (
        "<Reconstruction: 4 events, 3 valid, 2 pass the cuts; medians: energy 2 EeV, "
        "zenith 20.0 deg, size 42.5 VEM/m^2>"
    )
    nothing = table[[]]
    assert repr(nothing) == "<Reconstruction: 0 events, 0 valid, 0 pass the cuts>"


def test_structured_reconstruction(table):
    rows = table.to_structured()
    own = [f.name for f in fields(table) if getattr(table, f.name) is not None]
    assert rows.dtype.names == (*own, "valid", "passes_cuts")
    assert "xmax" not in own  # of a method that says nothing of it
    assert "xmax" in replace(table, xmax=np.zeros(4)).to_structured().dtype.names
    for name in own:
        np.testing.assert_array_equal(rows[name], getattr(table, name))
        assert rows.dtype[name].base == getattr(table, name).dtype
    assert rows["covariance"].shape == (4, 7, 7)
    assert rows["passes_cuts"].tolist() == [True, False, True, False]


def test_pandas_reconstruction(table):
    pytest.importorskip("pandas")
    frame = table.to_pandas()
    assert len(frame) == 4
    assert "covariance" not in frame
    for k, name in enumerate(PARAMETERS):
        np.testing.assert_array_equal(frame[f"{name}_error"], k + np.arange(1.0, 5.0))
    np.testing.assert_array_equal(frame["core_y"], table.core_y)
    assert frame["valid"].tolist() == [True, True, True, False]


def test_hits_one_by_one(events):
    pulses = find_pulses(events)
    rows = events.hits_to_structured(pulses)
    assert len(rows) == events.n_hits
    k = events.n_hits - 1
    station = events.hit_station[k]
    assert rows["event"][k] == len(events) - 1
    assert rows["event_id"][k] == events.event_id[-1]
    assert rows["station_id"][k] == events.array.station_id[station]
    assert [rows[c][k] for c in "xyz"] == events.array.position[station].tolist()
    assert rows["time"][k] == events.hit_time[k]
    np.testing.assert_array_equal(rows["signal"], pulses.signal)
    np.testing.assert_array_equal(rows["arrival_time"], pulses.arrival_time)
    np.testing.assert_array_equal(rows["pedestal"], events.pedestal)
    assert "signal" not in events.hits_to_structured().dtype.names
    own = replace(events, pulses=pulses, waveform=None, pedestal=None, counts_per_vem=None)
    assert "signal" in own.hits_to_structured().dtype.names
    assert "pedestal" not in own.hits_to_structured().dtype.names
    with pytest.raises(ValueError, match="pulses of"):
        events[0].hits_to_structured(pulses)


def test_pandas_hits(events):
    pytest.importorskip("pandas")
    pulses = find_pulses(events)
    frame = events.hits_to_pandas(pulses)
    np.testing.assert_array_equal(frame["signal_1"], pulses.signal[:, 1])
    np.testing.assert_array_equal(frame.groupby("event").size(), np.diff(events.hit_offset))


def test_without_pandas_the_message_says_what_to_do(table, events, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    for ask in (table.to_pandas, events.hits_to_pandas):
        with pytest.raises(ImportError, match="pip install pandas, or take to_structured"):
            ask()
