"""HDF5 files of the parser for the Telescope Array's networks, in both of its layouts: what is
read, what is refused, and that damage neither hangs nor crashes.
"""

import shutil
from pathlib import Path

import h5py
import numpy as np
import published
import pytest
from damage import fuzz

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.cli import main
from tashower.config import load_config
from tashower.convert.convert import convert, tell_format
from tashower.convert.ta_vem import counts_of, window_begin
from tashower.errors import InputError
from tashower.physics.geometry import direction, opening_angle
from tashower.reconstruction.pulses import find_pulses
from tashower.reconstruction.reconstruct import reconstruct

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "samples" / "ta_dnn.h5"


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copy(SAMPLE, tmp_path / "tiles.h5"))


def change(path, name, column):
    with h5py.File(path, "r+") as file:
        if name in file:
            del file[name]
        if column is not None:
            file[name] = column


def read(name):
    with h5py.File(SAMPLE) as file:
        return file[name][()]


def test_signals_and_waveforms_are_those_of_the_tiles():
    assert tell_format([SAMPLE]) == "ta_dnn"
    events = convert([SAMPLE])
    signal, trace = read("total_signals_up"), read("time_traces_up")
    number = read("detector_positions_id")
    assert events.n_hits == (signal > 0).sum()
    for i in (0, 5):
        hits = np.arange(*events.hit_offset[i : i + 2])
        cell = [
            np.argwhere(number[i] == events.array.station_id[events.hit_station[h]])[0]
            for h in hits
        ]
        vem = events.waveform[hits] / events.counts_per_vem[hits, None]
        np.testing.assert_allclose(vem[..., 0], [trace[i, a, b] for a, b in cell], atol=1e-4)
        vem -= (events.pedestal / events.counts_per_vem)[hits, None]
        difference = vem[..., 0].sum(axis=1) - [signal[i, a, b] for a, b in cell]
        assert 0.05 < difference.std() < 0.8  # pedestals are found, not known


def test_averaged_layers_and_no_traces(copy):
    for name in ("total_signals", "arrival_times"):
        change(copy, name, 0.5 * (read(f"{name}_up") + read(f"{name}_low")))
    for name in ("total_signals", "arrival_times", "time_traces"):
        for layer in ("_up", "_low"):
            change(copy, name + layer, None)
    events = convert([copy])
    assert events.waveform is None
    assert events.array.detector.n_layers == 1


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("detector_positions_abs", None, "detector_positions_abs is missing"),
        (
            "detector_positions_abs",
            np.zeros((8, 7, 6, 3)),
            r"detector_positions_abs has shape \(8, 7, 6, 3\)",
        ),
        ("detector_positions_abs", np.full((8, 7, 7, 3), np.nan), "not finite"),
        ("detector_positions_abs", np.zeros((8, 7, 7, 3)), "at the same place"),
        ("energy", np.zeros(7), r"energy has shape \(7,\)"),
        ("total_signals_up", None, "total_signals or arrival_times is missing"),
        ("time_traces_low", np.full((8, 7, 7, 256), np.inf), "event 0: time_traces"),
        ("mass_number", np.array([b"p"] * 8), "mass_number does not hold numbers"),
        ("mass_number", np.full(8, np.nan), "event 0: true mass_number is nan"),
        ("mass_number", np.full(8, 1.5), "event 0: true mass_number is 1.5"),
        ("mass_number", np.full(8, 2**15), "event 0: true mass_number is 32768"),
        ("energy", h5py.Empty("f8"), "energy does not hold numbers"),
        ("energy", 3.0, "energy is a single number"),
        ("detector_positions_id", np.full((8, 7, 7), np.inf), "detector_positions_id holds inf"),
        ("detector_positions_id", np.full((8, 7, 7), 0.5), "detector_positions_id holds 0.5"),
        ("detector_positions_id", np.zeros((8, 7, 7, 0)), "detector_positions_id holds no"),
    ],
)
def test_wrong_content_is_named(copy, tmp_path, capsys, name, column, message):
    change(copy, name, column)
    with pytest.raises(InputError, match=message) as found:
        convert([copy])
    assert str(copy) in str(found.value)
    assert main(["convert", str(copy), "--to", str(tmp_path / "out.h5")]) == 2
    assert not (tmp_path / "out.h5").exists()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_claim_of_more_than_the_file_can_hold(tmp_path):
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset(
            "detector_positions_abs", (10**6, 100, 100, 3), "f8", chunks=(1, 100, 100, 3)
        )
    with pytest.raises(InputError, match="claims to hold more"):
        convert([tmp_path / "huge.h5"])


def test_damaged_files(rng, tmp_path):
    assert fuzz(rng, tmp_path, SAMPLE.read_bytes(), ".h5", 100) > 10


@pytest.mark.slow
def test_hundreds_of_damaged_files(rng, tmp_path):
    assert fuzz(rng, tmp_path, SAMPLE.read_bytes(), ".h5", 300) > 30


CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "ta_dnn"


def sparse_copy(path, packed):
    """The sample with every dataset that the parser saves without zeros as such a group."""
    columns = {}
    with h5py.File(SAMPLE) as file:
        columns = {name: item[()] for name, item in file.items()}
    with h5py.File(path, "w") as file:
        for name, column in columns.items():
            if name.startswith(("time", "arrival", "detector")):
                published.sparse(file, name, column.astype(np.float32), packed)
            else:
                file[name] = column
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_arrays_without_their_zeros(tmp_path, packed):
    """As the parser saves them (dstparser/cli/io.py), indices as they are or as steps."""
    whole, found = convert([SAMPLE]), convert([sparse_copy(tmp_path / "s.h5", packed)])
    np.testing.assert_array_equal(found.hit_station, whole.hit_station)
    np.testing.assert_array_equal(found.waveform, whole.waveform)
    np.testing.assert_allclose(found.hit_time, whole.hit_time, atol=0.01)
    np.testing.assert_allclose(found.array.position, whole.array.position, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("shape", None, "a group without nz_data and shape"),
        ("nz_idxs", None, "neither nz_idxs nor"),
        ("nz_idxs", 10**9, "do not fit its shape"),
        ("nz_idxs", -1, "do not fit its shape"),
        ("shape", 10**6, "claims to hold more"),
        ("shape", -8, "it has no shape"),
        ("nz_idxs", 0.5, "nz_idxs holds 0.5, where a whole number"),
        ("shape", np.nan, "shape holds nan"),
    ],
)
def test_groups_that_do_not_fit(tmp_path, name, value, message):
    path = sparse_copy(tmp_path / "s.h5", False)
    with h5py.File(path, "r+") as file:
        group = file["time_traces_up"]
        column = group[name][()]
        del group[name]
        if value is not None:
            column = column.astype(np.result_type(column, type(value)))
            column[0] = value
            group[name] = column
    with pytest.raises(InputError, match=message):
        convert([path])


def test_packed_indices_that_do_not_fit(tmp_path):
    path = sparse_copy(tmp_path / "s.h5", True)
    with h5py.File(path, "r+") as file:
        file["time_traces_up/ic_idxs"][0] = 10**6
    with pytest.raises(InputError, match="do not fit together"):
        convert([path])


def test_the_pedestal_is_taken_out_of_the_traces():
    """Signals are those that the file states, fits those of the dump of the same events."""
    events = convert([SAMPLE])
    pulses = find_pulses(events)
    stated = read("total_signals_up")
    number = read("detector_positions_id")
    event = events.hit_event
    for h in range(0, events.n_hits, 7):
        cell = number[event[h]] == events.array.station_id[events.hit_station[h]]
        assert pulses.signal[h, 0] == pytest.approx(stated[event[h]][cell][0], abs=1.5, rel=0.02)
    settings, table = load_config().reconstruction, read_calibration(DEFAULT)
    ours = reconstruct(events, table, settings)[0]["constrained"]
    text = convert([SAMPLE.with_name("telescope_array.txt")])
    theirs = reconstruct(text, table, settings)[0]["constrained"]
    away = opening_angle(*(direction(t.zenith, t.azimuth) for t in (ours, theirs)))
    assert np.degrees(away).max() < 0.5  # times are those of whole bins
    np.testing.assert_allclose(ours.energy, theirs.energy, rtol=0.15)


def test_the_earliest_hit_has_the_time_zero(copy):
    """It is a hit; without the mask of working stations 0 means that there is none."""
    assert (read("arrival_times_up")[read("total_signals_up") > 0] == 0).sum() > 0
    all_of_them = convert([copy]).n_hits
    change(copy, "detector_good", None)
    assert convert([copy]).n_hits < all_of_them == (read("total_signals_up") > 0).sum()


def test_counts_of_traces_in_vem(rng):
    """Counts are exact where the traces are counts over counts per VEM; means of layers are not."""
    counts = np.rint(rng.normal(8.3, 0.75, (50, 128))).astype(int)
    counts[:, 40:60] += rng.integers(0, 2000, (50, 20))
    per_vem = rng.uniform(25, 65, 50)
    vem = (counts / per_vem[:, None]).astype(np.float32)
    found, pedestal, factor = counts_of(vem)
    np.testing.assert_array_equal(found, counts)
    np.testing.assert_allclose(factor, per_vem, rtol=1e-4)
    np.testing.assert_allclose(pedestal, 8.3, atol=0.4)
    mean = 0.5 * (vem + np.roll(vem, 1, axis=0))
    found, pedestal, factor = counts_of(mean)
    np.testing.assert_array_equal(factor, 40.0)
    total = (found - pedestal[:, None]).sum(axis=1) / factor
    expected = mean.sum(axis=1) - 64 * 8.3 * (1 / per_vem + 1 / np.roll(per_vem, 1))
    np.testing.assert_allclose(total, expected, atol=1.5)
    flat = counts_of(np.full((1, 128), 0.1))
    assert (flat[0] == flat[0][0, 0]).all()


def test_windows_begin_where_the_pulses_say(rng):
    counts = rng.integers(5, 8, (3, 128, 2))
    counts[0, 30:40, 0] += 50
    counts[0, 27:40, 1] += 50
    counts[1, 20:30, 1] += 50
    counts[1, 10:13, 0] += 50  # three bins are no pulse
    pedestal = np.full((3, 2), 6.0)
    time = np.array([[1000.0, 940.0], [5.0, 800.0], [700.0, 900.0]])
    np.testing.assert_allclose(window_begin(time, counts, pedestal), [400.0, 400.0, 240.0])


def test_lists_of_hits(tmp_path):
    """Windows by their offsets, one hit of a station, units of 1200 m and cm."""
    published.lists(tmp_path / "l.h5", published.lists_of_hits())
    events = convert([tmp_path / "l.h5"])
    assert tell_format([tmp_path / "l.h5"]) == "ta_dnn"
    station = events.array.station_id[events.hit_station]
    assert station.tolist() == [1010, 1011, 1012, 1010, 1013]
    # The second window of 1011 is left out; of 1013 the hit that is further into the event is used.
    np.testing.assert_array_equal(events.waveform[:, 30, 1], 6 + np.array([50, 60, 80, 90, 100]))
    np.testing.assert_array_equal(
        events.waveform[:, 30, 0], 6 + 2 * np.array([50, 60, 80, 90, 100])
    )
    np.testing.assert_allclose(events.counts_per_vem, [[44.0, 40.0]] * 5, rtol=1e-5)
    time = np.array([1.0, 1.5, 2.0, 3.0, 3.5]) * 1200.0 / 0.299792458 - 28 * 20.0
    np.testing.assert_allclose(events.hit_time, time)
    np.testing.assert_allclose(
        events.array.position[0], [(10 - 12.2435) * 1200, (10 - 16.4406) * 1200, 0], atol=1e-6
    )
    t, s = events.truth, events.standard
    np.testing.assert_allclose([t.core_x, t.core_y], [[1000.0, 3000.0], [-2000.0, 4000.0]])
    np.testing.assert_allclose([s.core_x, s.core_y], [[1200.0, 3600.0], [-2400.0, 4800.0]])
    np.testing.assert_allclose(np.sin(t.zenith), 0.6)
    np.testing.assert_allclose(s.azimuth, [0.0, np.pi / 2])
    np.testing.assert_array_equal(s.s_ref, [40.0, 60.0])
    assert t.mass_number.tolist() == [1, 56]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tt_offsets", None, "tt_offsets is missing"),
        ("hit_offsets", np.array([0, 3, 7]), "hit_offsets does not lead from 0 to 6"),
        ("hit_offsets", np.array([0, 4, 3, 6]), "has shape"),
        ("hit_tt_offsets", np.array([0, 1, 1, 4, 5, 6, 7]), "a hit without windows"),
        ("detector_ids", np.array([1, 2, 3, 1, 4, 4]), "100 column"),
        ("arrival_times", np.full((6, 2), np.nan), "arrival_times holds a number"),
        ("time_traces", np.full((7, 2, 128), np.inf, np.float32), "time_traces is not a number"),
        ("status", np.array([b"4"] * 6), "status does not hold numbers"),
        ("status", np.array([4, 4, 5, 4, 4, np.nan]), "status holds nan"),
        ("detector_ids", np.array([1010.5, 1011, 1012, 1010, 1013, 1013]), "detector_ids holds"),
        ("mass_number", np.array([1, np.inf]), "event 1: true mass_number is inf"),
    ],
)
def test_lists_that_do_not_fit(tmp_path, name, value, message):
    columns = {
        k: v for k, v in (published.lists_of_hits() | {name: value}).items() if v is not None
    }
    published.lists(tmp_path / "l.h5", columns)
    with pytest.raises(InputError, match=message) as found:
        convert([tmp_path / "l.h5"])
    assert str(tmp_path / "l.h5") in str(found.value)


def test_damaged_lists(rng, tmp_path):
    published.lists(tmp_path / "l.h5", published.lists_of_hits())
    assert fuzz(rng, tmp_path, (tmp_path / "l.h5").read_bytes(), ".h5", 30) > 3


@pytest.mark.skipif(not CASES.is_dir(), reason="cases are not shipped")
@pytest.mark.parametrize("name", ["plain", "sparse3"])
def test_files_of_the_parser(name):
    """As the public parser writes them (not part of this repository): signals as stated."""
    events = convert([CASES / f"{name}.h5"])
    np.testing.assert_allclose(events.truth.energy, 20.0)
    np.testing.assert_allclose(
        [events.truth.core_x, events.truth.core_y], [[5000] * 3, [-3000] * 3]
    )
    np.testing.assert_allclose(events.standard.core_x, 5000.0)
    np.testing.assert_allclose(events.standard.energy, 21.0)
    with h5py.File(CASES / "plain.h5") as file:
        stated = np.sort(file["total_signals_up"][()].ravel())[-events.n_hits :]
    # Ours end where the waveform is back at the pedestal.
    np.testing.assert_allclose(np.sort(find_pulses(events).signal[:, 0]), stated, atol=0.16)


def test_times_are_in_the_unit_of_the_parser(copy):
    """It takes 4000 ns for the time that light needs for 1200 m."""
    before = convert([copy]).hit_time
    for layer in ("_up", "_low"):
        change(copy, f"arrival_times{layer}", read(f"arrival_times{layer}") + 4000.0 * 10)
    np.testing.assert_allclose(convert([copy]).hit_time - before, 12000 / 0.299792458)
