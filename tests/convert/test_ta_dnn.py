"""HDF5 files of dense tiles: what is refused, and that damage neither hangs nor crashes."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from damage import fuzz

from tashower.cli import main
from tashower.convert.convert import convert, tell_format
from tashower.errors import InputError

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
        # The mean of 16 bins with 0.75 counts of noise, times 128, and 40 counts per VEM.
        assert 0.2 < difference.std() < 128 * 0.75 / 4 / 40 * 1.5


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
        ("time_traces_low", np.full((8, 7, 7, 128), np.inf), "event 0: time_traces"),
        ("mass_number", np.array([b"p"] * 8), "mass_number does not hold numbers"),
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
def test_a_thousand_damaged_files(rng, tmp_path):
    assert fuzz(rng, tmp_path, SAMPLE.read_bytes(), ".h5", 1000) > 100
