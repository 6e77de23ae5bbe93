"""Waveforms of others: floats, noise, saturation, damaged arrays."""

import numpy as np
import pytest

from tashower.cli import main
from tashower.convert.convert import convert
from tashower.convert.waveforms import Waveforms, measured_noise
from tashower.errors import InputError
from tashower.io.event_file import read_events
from tashower.reconstruction.pulses import find_pulses

STATIONS = "station,x_m,y_m\n1,0,0\n2,1500,0\n3,0,1500\n4,1500,1500\n"
HITS = "event,station,time_ns\n" + "".join(f"0,{k + 1},{100 * (k + 1)}\n" for k in range(4))
HEADER = (
    "stations: s.csv\nhits: h.csv\nwaveforms: w.npy\narea_m2: 10\nbin_width_ns: 25\n"
    "pedestal: 1.2\ncounts_per_vem: 1\n"
)


@pytest.fixture
def read(tmp_path):
    def read(waveform, more="", hits=HITS):
        (tmp_path / "s.csv").write_text(STATIONS)
        (tmp_path / "h.csv").write_text(hits)
        (tmp_path / "header.yaml").write_text(HEADER + more)
        if isinstance(waveform, bytes):
            (tmp_path / "w.npy").write_bytes(waveform)
        else:
            np.save(tmp_path / "w.npy", waveform)
        return convert([tmp_path / "header.yaml"])

    return read


def pulse(height=5.0, pedestal=1.2, dtype=float):
    """Four traces of 80 bins with a pulse of four bins."""
    waveform = np.full((4, 80, 1), pedestal)
    waveform[:, 20:24] += height
    return waveform.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, ">f8", np.float16])
def test_floats_stay_floats(read, dtype):
    events = read(pulse(dtype=dtype))
    assert events.waveform.dtype == np.float32
    np.testing.assert_allclose(find_pulses(events).signal, 20.0, rtol=2e-3)
    np.testing.assert_allclose(events.waveform, pulse(dtype=dtype).astype(float), rtol=1e-6)


def test_float_waveforms_in_files(read, tmp_path):
    read(pulse())
    assert main(["convert", str(tmp_path / "header.yaml"), "--to", str(tmp_path / "e.h5")]) == 0
    events = read_events(tmp_path / "e.h5")
    assert events.waveform.dtype == np.float32
    np.testing.assert_allclose(find_pulses(events).signal, 20.0, rtol=1e-6)
    assert events.array.detector.saturation_counts == np.inf


@pytest.mark.parametrize("dtype", [np.int32, np.float64, ">u2"])
def test_whole_numbers_become_counts(read, dtype):
    events = read(pulse(50, 6, dtype), "noise_counts: 0.75\n")
    assert events.waveform.dtype == np.uint16


def test_negative_counts_are_kept(read):
    waveform = pulse(50, 0, int)
    waveform[:, 40] = -1
    assert read(waveform).waveform.min() == -1.0


def test_pulses_that_go_down_are_refused(read):
    with pytest.raises(InputError, match="turn the sign"):
        read(pulse(-50, 0))


def test_stated_electronics_are_used(read):
    """Threshold, saturation and peaks follow the header."""
    waveform = pulse(5.0)
    stated = "noise_counts: 0.1\nsaturation_counts: 100\n"
    found = find_pulses(read(waveform, stated))
    assert np.isfinite(found.arrival_time).all()
    assert not found.saturated.any()
    assert (found.n_peaks == 1).all()
    loud = find_pulses(read(waveform, "noise_counts: 2\n"))
    assert np.isnan(loud.arrival_time).all()
    assert (loud.n_peaks == 0).all()
    assert np.isnan(find_pulses(read(waveform, f"{stated}edge_bins: 5\n")).arrival_time).all()
    assert np.isnan(find_pulses(read(waveform, f"{stated}edge_sigma: 60\n")).arrival_time).all()
    assert find_pulses(read(waveform, "saturation_counts: 6.0\n")).saturated.all()
    assert find_pulses(read(waveform, "saturation_vem: 3.9\n")).saturated.all()
    assert not find_pulses(read(waveform, "saturation_vem: 4.1\n")).saturated.any()


def test_unstated_levels_are_not_the_telescope_arrays(read, caplog):
    """4000 counts are no saturation where nobody says so; a column can."""
    detector = read(pulse(4000.0)).array.detector
    assert detector.saturation_counts == detector.saturation_vem == np.inf
    assert "saturation" in caplog.text
    hits = "\n".join(
        f"{line},{'saturated' if k == 0 else int(k == 2)}" for k, line in enumerate(HITS.split())
    )
    events = read(pulse(4000.0), hits=hits)
    np.testing.assert_array_equal(find_pulses(events).saturated, [False, True, False, False])


def test_measured_noise(rng, tmp_path):
    """That of Gaussian noise, wherever the pulse is; digitisation alone has 1/sqrt(12)."""
    clean = np.zeros((400, 128, 2))
    for begin in (5, 60, 118):
        waveform = clean + rng.normal(10, 0.8, clean.shape)
        waveform[:, begin : begin + 10] += 300
        assert measured_noise(Waveforms(tmp_path, waveform, np.float32)) == pytest.approx(
            0.8, rel=0.03
        )
    whole = np.full((4, 64, 1), 6)
    assert measured_noise(Waveforms(tmp_path, whole, np.uint16)) == pytest.approx(12**-0.5)
    with pytest.raises(InputError, match="neither pulses nor noise"):
        measured_noise(Waveforms(tmp_path, whole, np.float32))
    with pytest.raises(InputError, match="state noise_counts"):
        measured_noise(Waveforms(tmp_path, whole[:, :12], np.uint16))


def npy(shape, data, descr="<u2"):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00" + bytes(200),
        npy("(4, 80", bytes(640)),
        npy("(4, 81)", bytes(640)),
        npy("(3, 80)", bytes(640)),
        npy("(-4, 80)", bytes(640)),
        npy("(4, 0)", b""),
        npy("(0, 80)", b""),
        npy("(4, 80, 3)", bytes(2000)),
        npy("(10**999, 80)", bytes(640)),
        npy(f"({2**62}, {2**62})", bytes(640)),
        npy("(4, 80)", bytes(640), "|O"),
        npy("(4, 80)", bytes(1280), "|S2"),
        npy("(4, 80)", bytes(640), "<q9"),
        npy("(4, 80)", np.full(320, np.nan, "<f4").tobytes(), "<f4"),
        npy("(4, 80)", np.full(320, np.inf, "<f4").tobytes(), "<f4"),
        b"PK\x03\x04" + bytes(100),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_damaged_arrays_are_one_message(read, content):
    with pytest.raises(InputError, match=r"w\.npy: ") as error:
        read(content)
    assert len(str(error.value)) < 400
