"""Telescope Array DST files with the banks of the published layout, byte by byte
(tests/published.py), and real events where they are at hand.
"""

import struct
from collections import Counter
from pathlib import Path

import independent
import numpy as np
import published
import pytest
from published import CLOCK, FITS, PAIRS, PED, PLACE, SINGLE, USEC, VEM, banks, pulse

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.cli import main
from tashower.config import load_config
from tashower.convert.convert import convert
from tashower.convert.ta_dst import Options, read_batches
from tashower.convert.ta_standard import unpack_rufldf
from tashower.convert.ta_windows import put_waveforms, window_starts, within_half
from tashower.errors import InputError
from tashower.io.event_file import read_events
from tashower.reconstruction.pulses import find_pulses
from tashower.reconstruction.reconstruct import reconstruct

SHARED = Path(__file__).resolve().parents[3] / "shared"
REAL = SHARED / "data" / "ta_dst" / "real_two_events.dst.gz"
needs_real_events = pytest.mark.skipif(not REAL.is_file(), reason="real events are not shipped")


def written(path, *args, **options):
    path.write_bytes(published.dst(banks(*args, **options)))
    return path


def stations_of(events, indices):
    return events.array.station_id[indices].tolist()


def test_both_readers_read_the_published_bytes(tmp_path):
    """The layout here and in the second reader is the same."""
    found = independent.banks(written(tmp_path / "p.dst"))
    assert [number for number, _, _ in found] == [
        published.EVENT,
        13112,
        13101,
        13103,
        published.STOP,
    ]
    assert independent.bsdinfo(2, found[0 + 1][2]) == (1012, 2411)
    assert independent.rusdraw(found[2][2])["nofwf"] == 7
    assert independent.rufptn(found[3][2])["vem"][0] == VEM


def test_hits_are_those_of_rufptn(tmp_path):
    """Hit by hit, its windows, pedestal, counts per VEM and place."""
    events = convert([written(tmp_path / "p.dst")])
    assert events.event_id.tolist() == [335]
    assert stations_of(events, events.hit_station) == [1010, 1011, 1012, 1013, 1014]
    assert events.rejected.tolist() == [False, True, True, False, False]
    good = ~events.rejected
    np.testing.assert_allclose(events.pedestal[good], [PED[::-1]] * 3)
    np.testing.assert_allclose(events.counts_per_vem[good], [VEM[::-1]] * 3)
    height = np.array([100, 90, 70, 80, 60])
    np.testing.assert_array_equal(events.waveform[:, 30, 1], 6 + height)
    np.testing.assert_array_equal(events.waveform[:, 30, 0], 5 + 2 * height)
    start = np.array([0, 20, 15, 1000, 60]) / CLOCK * 1e9
    np.testing.assert_allclose(events.hit_time - events.hit_time[0], start, atol=1e-3)
    assert np.isnan(find_pulses(events).signal[~good]).all()
    first = 4_728_300 / CLOCK * 1e9 - USEC * 1e3
    assert events.hit_time[0] == pytest.approx(first, abs=1e-3)
    place = np.array([PLACE[s] for s in range(1010, 1015)]) * 1200.0
    np.testing.assert_allclose(
        events.array.position[events.hit_station][:, :2], place[:, :2], atol=1e-6
    )


def test_what_is_no_measurement_is_kept_and_out_of_service(tmp_path, capsys):
    """isgood 0, vem -1 and stations that bsdinfo lists; second hits are only counted."""
    path = written(tmp_path / "p.dst")
    notes = Counter()
    list(read_batches(path, {}, notes=notes))
    assert sorted(notes.values()) == [1, 2]
    assert main(["convert", str(path), "--to", str(tmp_path / "e.h5")]) == 0
    said = capsys.readouterr().err
    assert "not used: 2 hits of stations out of service" in said
    assert "not used: 1 further hits of a station" in said
    events = read_events(tmp_path / "e.h5")
    assert stations_of(events, events.dead_station) == [1011, 1012, 2411]
    assert stations_of(events, events.hit_station[events.rejected]) == [1011, 1012]


def test_rufptn_without_its_end_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"event 0: bank rufptn has 1408 bytes, 1992 needed"):
        convert([written(tmp_path / "p.dst", tail=False)])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("wfindex", 7, "station 1010: windows that are not there"),
        ("nfold", 0, "station 1010: windows that are not there"),
        ("wfindex", 2, "station 1010: windows of another station"),
        ("xyz", (np.nan, 0, 0), "station 1010: its position is not a number"),
        ("vem", (0.0, 40.0), "station 1010: counts per VEM that are not positive"),
    ],
)
def test_pulses_that_do_not_fit_their_windows(tmp_path, name, value, message):
    windows = [(1010, 4_728_300, CLOCK, *pulse(9))] * 2 + [(1011, 4_728_300, CLOCK, *pulse(9))]
    hit = {"isgood": 4, "wfindex": 0, "xxyy": 1010, "nfold": 1, "xyz": (0, 0, 0), "ped": PED}
    hit |= {"vem": VEM, "pulsa": (3.0, 3.0), name: value}
    content = [(13101, 1, published.rusdraw(5, USEC, windows)), (13103, 1, published.rufptn([hit]))]
    (tmp_path / "p.dst").write_bytes(published.dst(content))
    with pytest.raises(InputError, match=message):
        convert([tmp_path / "p.dst"])


def test_without_rufptn_the_calibration_has_to_be_given(tmp_path, capsys):
    """The mip of rusdraw is no calibration; what is given is used as it is."""
    path = written(tmp_path / "p.dst", pulses=False)
    assert main(["convert", str(path), "--to", str(tmp_path / "e.h5")]) == 2
    said = capsys.readouterr().err
    assert "--counts-per-vem" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "e.h5").exists()
    words = ["convert", str(path), "--to", str(tmp_path / "e.h5"), "--counts-per-vem", "42.5"]
    assert main(words) == 0
    events = read_events(tmp_path / "e.h5")
    np.testing.assert_array_equal(events.counts_per_vem, 42.5)
    np.testing.assert_array_equal(events.pedestal, [[6.0, 5.0]] * len(events.pedestal))
    assert stations_of(events, events.hit_station) == [1010, 1011, 1012, 1013, 1014]
    assert stations_of(events, events.hit_station[events.rejected]) == [1012]
    # rufptn has the last word where it is there.
    with_pulses = convert([written(tmp_path / "q.dst")], counts_per_vem=42.5)
    measured = ~with_pulses.rejected
    np.testing.assert_allclose(with_pulses.counts_per_vem[measured], [VEM[::-1]] * 3)
    for value in ("0", "-40", "nan"):
        assert main([*words[:-1], value]) == 2
        assert "ounts" in capsys.readouterr().err.splitlines()[-1]
    with pytest.raises(InputError, match="--counts-per-vem"):
        convert([SHARED.parent / "no.txt"], "ta_text", counts_per_vem=40.0)


def test_windows_stand_where_the_clock_says_and_the_rest_adds_nothing(tmp_path):
    """Pedestals are no whole numbers: what stands between and behind windows has their sum."""
    events = convert([written(tmp_path / "p.dst")], windows=3)
    waveform = events.waveform[0].astype(float)
    assert waveform[190 + 30, 0] == 5 + 2 * 50
    for part in (waveform[128:190], waveform[190 + 128 :]):
        assert np.abs((part - PED[::-1]).sum(axis=0) / VEM[::-1]).max() < 0.05
        assert np.abs(part - PED[::-1]).max() < 1.0
    alone = find_pulses(convert([tmp_path / "p.dst"])).signal[1:]
    np.testing.assert_allclose(find_pulses(events).signal[1:], alone, atol=0.05)


@pytest.mark.parametrize("base", [0.0, 5.0, 5.4999, 6.125, 7.875, 6.0625])
def test_padding_is_less_than_a_count_off_over_any_bins(base):
    waveform = np.zeros((1, 1280, 2), np.uint16)
    keep = np.full((1, 10), -1)
    assert (
        put_waveforms(
            np.zeros((1, 2, 128), np.int32),
            keep,
            keep * 0,
            np.full((1, 2), base),
            np.zeros(1, bool),
            waveform,
        )
        < 0
    )
    total = np.cumsum(waveform[0, :, 0] - base)
    assert np.abs(total).max() <= 0.5
    assert np.ptp(total) <= 1.0


def test_windows_that_the_clocks_let_overlap_follow_each_other():
    time = np.array([0.1, 0.1 + 100 * 20e-9, 0.1 + 400 * 20e-9])
    starts = window_starts(time, np.array([[0, 1, 2], [2, -1, -1]]))
    np.testing.assert_array_equal(starts[0], [0, 128, 400])


def test_an_event_across_the_border_of_a_second(tmp_path):
    """The later windows count from the next second."""
    begin = CLOCK - 30
    events = convert([written(tmp_path / "p.dst", first=begin, usec=999_990)])
    start = np.array([0, 20, 15, 1000, 60]) / CLOCK * 1e9
    np.testing.assert_allclose(events.hit_time - events.hit_time[0], start, atol=1e-3)
    np.testing.assert_allclose(within_half(np.array([0.75, -0.75, 0.25])), [-0.25, 0.25, 0.25])


@pytest.mark.parametrize("more", [None, (18.18, 18.19)])
def test_the_fits_of_the_file_are_the_standard_reconstruction(tmp_path, more):
    """Lateral distribution and geometry together, in the published layout and in that of 2024."""
    ldf = published.rufldf(PAIRS, SINGLE, (5, 14), more)
    geometry = published.rusdgeom([1, 2, 1], FITS, (7, 7, 6))
    assert len(ldf) == 320
    path = written(tmp_path / "p.dst", more=[(13104, 1, geometry), (13107, 1, ldf)])
    found = convert([path]).standard
    assert found.valid.all()
    assert np.degrees(found.zenith[0]) == pytest.approx(31.2)
    assert np.degrees(found.azimuth[0]) == pytest.approx(356.3)
    assert found.core_x[0] == pytest.approx((7.25 - 12.2435) * 1200)
    assert found.core_y[0] == pytest.approx((11.35 - 16.4406) * 1200)
    assert (found.s_ref[0], found.energy[0], found.chi2[0]) == (50.2, 20.1, 13.5)
    assert found.ndof[0] == (14 if more is None else 0)
    assert found.n_stations[0] == 4
    sigma = np.sqrt(np.diagonal(found.covariance[0]))
    expected = [36.0, 30.0, np.radians(1.2), np.radians(2.2), 50.2 * 32.0 / 250.0]
    np.testing.assert_allclose(sigma[:5], expected)
    assert np.isnan(sigma[5:]).all()
    assert np.isnan(found.t0[0])
    if more is None:
        assert independent.rufldf(ldf)["ndof"] == (5, 14)
    assert independent.rusdgeom(geometry) == (3, (31.0, 31.6, 31.9))


def test_without_a_fit_of_both_the_geometry_stands_alone(tmp_path):
    pairs = [*PAIRS[:-1], (9.5, 1e6)]  # did not converge
    ldf = published.rufldf(pairs, SINGLE, (5, 14))
    geometry = published.rusdgeom([1, 1], FITS, (7, 7, 6))
    found = convert([written(tmp_path / "p.dst", more=[(13104, 1, geometry), (13107, 1, ldf)])])
    assert np.degrees(found.standard.zenith[0]) == pytest.approx(31.9)
    assert found.standard.core_x[0] == pytest.approx((7.15 - 12.2435) * 1200)
    assert found.standard.ndof[0] == 6
    assert np.isnan(found.standard.s_ref[0])
    # Banks of zeros are no result, and neither is a zenith of 200 degrees.
    nothing = published.rufldf([(0.0, 0.0)] * 14, [0.0] * 11, (0, 0))
    zeros = published.rusdgeom([], [(0.0,) * 3] * 11, (0, 0, 0))
    none = convert([written(tmp_path / "n.dst", more=[(13104, 1, zeros), (13107, 1, nothing)])])
    assert none.standard is None
    wrong = published.rufldf(PAIRS, [200.0, *SINGLE[1:]], (5, 14))
    assert convert([written(tmp_path / "w.dst", more=[(13107, 1, wrong)])]).standard is None


def test_rufldf_version_0_has_no_correction_of_the_atmosphere():
    values = [value for k, pair in enumerate(PAIRS) for value in pair if k != 12]
    payload = struct.pack("<37d", *values, *SINGLE) + struct.pack("<2i", 5, 14)
    found = unpack_rufldf(payload, 0, "here")
    assert found["chi2"].tolist() == [9.5, 13.5]
    assert (found["theta"], found["tdist"], found["ndof"].tolist()) == (31.2, 4.9, [5, 14])


@pytest.mark.parametrize(("number", "size"), [(13104, 3), (13104, 40), (13104, 300), (13107, 319)])
def test_fits_that_are_too_short_are_refused(tmp_path, number, size):
    whole = {13104: published.rusdgeom([1, 2, 1], FITS, (7, 7, 6))}
    whole[13107] = published.rufldf(PAIRS, SINGLE, (5, 14))
    path = written(tmp_path / "p.dst", more=[(number, 1, whole[number][:size])])
    with pytest.raises(InputError, match="event 0: bank ru"):
        convert([path])


def test_an_event_without_hits(tmp_path, capsys):
    """Converts, beside others and alone."""
    empty = [(published.EVENT, 0, b""), (13101, 1, published.rusdraw(7, USEC, []))]
    empty += [(13103, 1, published.rufptn([])), (published.STOP, 0, b"")]
    (tmp_path / "p.dst").write_bytes(published.dst(banks() + empty))
    assert main(["convert", str(tmp_path / "p.dst"), "--to", str(tmp_path / "e.h5")]) == 0
    assert np.diff(read_events(tmp_path / "e.h5").hit_offset).tolist() == [5, 0]
    capsys.readouterr()
    assert main(["show", str(tmp_path / "e.h5")]) == 0
    assert "hits: 5 (2.5 per event), 2 of them no measurement" in capsys.readouterr().out
    without = [(13101, 1, published.rusdraw(7, USEC, []))]
    (tmp_path / "q.dst").write_bytes(published.dst(without))
    assert convert([tmp_path / "q.dst"]).n_hits == 0


@pytest.fixture(scope="module")
def real():
    """Two real events with the Telescope Array's own values (not part of this repository)."""
    if not REAL.is_file():
        pytest.skip("real events are not shipped")
    return convert([REAL])


def test_the_fit_of_real_events(real):
    t = real.standard
    assert real.event_id.tolist() == [290, 335]
    np.testing.assert_allclose(np.degrees(t.zenith), [60.45, 31.22], atol=0.01)
    np.testing.assert_allclose(np.degrees(t.azimuth), [164.33, 356.29], atol=0.01)
    np.testing.assert_allclose(t.s_ref, [3.760, 50.177], atol=1e-3)
    np.testing.assert_allclose(t.energy, [8.485, 20.123], atol=1e-3)
    np.testing.assert_allclose([t.core_x[1], t.core_y[1]], [-6014.2, -6123.2], atol=0.1)
    sigma = np.degrees(np.sqrt(t.covariance[1, 2, 2]))
    assert sigma == pytest.approx(1.225, abs=1e-3)


def test_hits_of_real_events(real):
    assert np.diff(real.hit_offset).tolist() == [39, 30]
    assert int(real.rejected.sum()) == 2
    out = [set(stations_of(real, real.dead_station[a:b])) for a, b in ((0, 46), (46, 98))]
    assert {1119, 1815} <= out[0]


def test_our_fit_of_real_events(real):
    """Close to the Telescope Array's: directions within a degree, sizes within a half of it."""
    table = reconstruct(real, read_calibration(DEFAULT), load_config().reconstruction)[0]
    ours = table["constrained"]
    np.testing.assert_allclose(np.degrees(ours.zenith), [60.8, 31.65], atol=0.15)
    np.testing.assert_allclose(np.degrees(ours.azimuth), [164.8, 357.0], atol=0.3)
    np.testing.assert_allclose(ours.s_ref, [4.93, 56.1], rtol=0.05)
    np.testing.assert_allclose([ours.core_x[1], ours.core_y[1]], [-6065, -6136], atol=30)
    assert np.log(ours.s_ref / real.standard.s_ref) == pytest.approx([0.27, 0.11], abs=0.08)


@needs_real_events
def test_a_real_event_without_rufptn():
    path = REAL.with_name("real_no_rufptn.dst")
    with pytest.raises(InputError, match="--counts-per-vem"):
        convert([path])
    assert convert([path], counts_per_vem=42.0).n_events == 2


@needs_real_events
def test_monte_carlo_without_waveforms():
    events = convert([REAL.with_name("example.dst.gz")])
    assert (events.n_events, events.n_hits) == (101, 0)
    assert (events.truth.mass_number == 1).all()


def test_positions_that_cannot_be_name_the_file(tmp_path):
    hits = [
        {"isgood": 4, "wfindex": k, "xxyy": 1010 + k, "nfold": 1, "xyz": (1e6 * k, 0, 0)}
        | {"ped": PED, "vem": VEM, "pulsa": (3.0, 3.0)}
        for k in range(3)
    ]
    windows = [(1010 + k, 4_728_300, CLOCK, *pulse(9)) for k in range(3)]
    content = [(13101, 1, published.rusdraw(5, USEC, windows)), (13103, 1, published.rufptn(hits))]
    (tmp_path / "p.dst").write_bytes(published.dst(content))
    with pytest.raises(InputError, match=r"p\.dst: .*positions are metres"):
        convert([tmp_path / "p.dst"])


def test_options_are_used_by_the_reader(tmp_path):
    path = written(tmp_path / "p.dst")
    (batch,) = read_batches(path, {}, Options(windows=2))
    assert batch.waveform.shape == (5, 256, 2)
