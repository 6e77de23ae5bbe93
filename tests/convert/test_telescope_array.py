"""Telescope Array formats: container, banks, round trips, what is refused."""

import struct
import tracemalloc
from dataclasses import replace

import independent
import numpy as np
import pytest
from damage import fuzz

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.cli import main
from tashower.config import load_config
from tashower.convert.convert import convert, convert_file, tell_format
from tashower.convert.dst import BLOCK, checksum, read_banks, write_banks
from tashower.convert.ta_banks import RUSDRAW, unpack_rusdraw
from tashower.convert.ta_export import write_dst
from tashower.convert.ta_text_export import write_text
from tashower.convert.ta_windows import clock_counts
from tashower.errors import InputError
from tashower.events.model import select_events
from tashower.io.event_file import read_events, write_events
from tashower.io.reconstruction_file import read_reconstruction
from tashower.reconstruction.pulses import find_pulses
from tashower.reconstruction.reconstruct import reconstruct
from tashower.simulation.simulate import simulate_events


@pytest.fixture(scope="module")
def events():
    return simulate_events(
        load_config("{array: {columns: 9, rows: 9}, showers: {core_margin_m: -2400}}"),
        "test",
        0,
        25,
    )


@pytest.fixture(scope="module")
def written(events, tmp_path_factory):
    """The events in each format: {name: path}."""
    folder = tmp_path_factory.mktemp("ta")
    pulses = find_pulses(events)
    paths = {name: folder / f"e.{name}" for name in ("dst", "dst.gz", "dst.bz2", "txt")}
    for name, path in paths.items():
        (write_text if name == "txt" else write_dst)(path, events, pulses)
    return paths


def test_checksum_of_the_published_check_value():
    assert checksum(b"123456789") == 0x2189
    assert checksum(b"") == 0


@pytest.mark.parametrize("sizes", [[0], [1, 2, 3], [31_900, 50, 31_950], [200_000], [40] * 3000])
def test_banks_of_any_size_round_trip(tmp_path, rng, sizes):
    banks = [(100 + i, i % 3, rng.bytes(n)) for i, n in enumerate(sizes)]
    write_banks(tmp_path / "x.dst", banks)
    assert (tmp_path / "x.dst").stat().st_size % BLOCK == 0
    assert list(read_banks(tmp_path / "x.dst")) == banks


@pytest.mark.parametrize("name", ["dst", "dst.gz", "dst.bz2", "txt"])
def test_simulated_events_round_trip(events, written, name):
    found = convert([written[name]])
    array, theirs = found.array, events.array
    assert array.kind == "square"
    np.testing.assert_array_equal(found.hit_offset, events.hit_offset)
    np.testing.assert_array_equal(
        array.station_id[found.hit_station], theirs.station_id[events.hit_station]
    )
    np.testing.assert_array_equal(found.waveform, events.waveform)
    np.testing.assert_allclose(found.hit_time, events.hit_time, atol=0.2)
    mine = array.position[found.hit_station]
    np.testing.assert_allclose(mine[:, :2], theirs.position[events.hit_station][:, :2], atol=1e-3)
    shift = mine[:, 2] - theirs.position[events.hit_station][:, 2]
    assert np.ptp(shift) < 1e-3  # altitudes relative to another reference
    np.testing.assert_allclose(found.counts_per_vem, events.counts_per_vem, rtol=1e-6)
    if name != "txt":  # the text dump has no pedestal
        np.testing.assert_allclose(found.pedestal, events.pedestal, rtol=1e-6)
        np.testing.assert_array_equal(
            found.event_id, np.where(events.event_id > 0, events.event_id, found.event_id)
        )
    for key in ("energy", "zenith", "azimuth", "mass_number"):
        np.testing.assert_allclose(
            getattr(found.truth, key), getattr(events.truth, key), rtol=1e-5, atol=1e-6
        )
    np.testing.assert_allclose(found.truth.core_x, events.truth.core_x, atol=0.01)
    dead = [
        set(theirs.station_id[events.dead_station[a:b]])
        for a, b in zip(events.dead_offset, events.dead_offset[1:], strict=False)
    ]
    again = [
        set(array.station_id[found.dead_station[a:b]])
        for a, b in zip(found.dead_offset, found.dead_offset[1:], strict=False)
    ]
    assert all(b <= a for a, b in zip(dead, again, strict=True))


def test_the_lower_layer_comes_first_in_the_file(events, written):
    number, _, payload = next(b for b in read_banks(written["dst"]) if b[0] == RUSDRAW)
    raw = unpack_rusdraw([payload], ["here"])
    assert number == RUSDRAW
    first = events.waveform[0, :128]  # of two windows
    np.testing.assert_array_equal(raw.window["fadc"][0, 0], first[:, 1])
    np.testing.assert_array_equal(raw.window["fadc"][0, 1], first[:, 0])


def test_direction_of_travel_in_the_file(events, written):
    theta, phi = next(
        struct.unpack_from("<ff", b[2], 24) for b in read_banks(written["dst"]) if b[0] == 13105
    )
    assert theta == pytest.approx(events.truth.zenith[0], abs=1e-5)
    turned = (phi - events.truth.azimuth[0]) % (2 * np.pi)
    assert turned == pytest.approx(np.pi, abs=1e-5)


def test_clock_counts_are_better_than_a_nanosecond(rng):
    time = 381_966_000.0 + rng.uniform(-40_000, 40_000, 1000)
    count, rate = clock_counts(time)
    np.testing.assert_allclose(count / rate * 1e9, time, atol=0.3)


def test_first_of_consecutive_windows_is_kept(events, tmp_path):
    """A station that was read out three times in a row, and once long before by an accidental
    muon.
    """
    from tashower.convert.ta_banks import pack_rusdraw

    wave = np.full((4, 2, 128), 6)
    wave[:, :, 30:40] += np.array([200, 90, 30, 10])[:, None, None]
    time = 3e8 + np.array([0.0, 2560.0, 5120.0, -30_000.0])
    count, rate = clock_counts(time)
    payload = pack_rusdraw(
        {"event_num": 5},
        [1010] * 4,
        count,
        rate,
        wave,
        {"pchmip": 40, "pchped": 48, "mip": 40.0, "lhpchped": [46, 44], "rhpchped": [51, 53]},
    )
    write_banks(tmp_path / "w.dst", [(RUSDRAW, 0, payload)])
    found = convert([tmp_path / "w.dst"], windows=1, counts_per_vem=40.0)
    assert found.n_hits == 1
    np.testing.assert_array_equal(found.counts_per_vem, 40.0)
    # Lower layer first in the file; widths of the sums of 8 bins.
    np.testing.assert_allclose(found.pedestal_rms, [[9 / 8 / 2.33, 5 / 8 / 2.33]], rtol=1e-6)
    assert found.hit_time[0] == pytest.approx(3e8, abs=0.5)
    np.testing.assert_array_equal(found.waveform[0, :, 0], wave[0, 1])
    assert found.pedestal[0, 0] == 6.0


@pytest.mark.parametrize("name", ["dst", "txt"])
def test_stations_with_several_windows_round_trip(events, tmp_path, name):
    """Waveforms of 256 bins are two consecutive windows of a station; who keeps one gets the first
    half, three: the pedestal behind.
    """
    array = events.array
    assert array.detector.n_bins == 256
    events = replace(events, waveform=events.waveform[:, :128])
    late = np.roll(events.waveform[:, ::-1], 7, axis=0)
    long = replace(events, array=array, waveform=np.concatenate([events.waveform, late], axis=1))
    path = tmp_path / f"w.{name}"
    (write_text if name == "txt" else write_dst)(path, long, find_pulses(long))
    both, one, three = (convert([path], windows=n) for n in (2, 1, 3))
    np.testing.assert_array_equal(both.waveform, long.waveform)
    np.testing.assert_array_equal(one.waveform, events.waveform)
    np.testing.assert_array_equal(three.waveform[:, :256], long.waveform)
    # What is padded adds nothing to the signal, though pedestals are no whole numbers.
    assert np.ptp(np.modf(three.pedestal)[0]) > 0.5
    padded = (three.waveform[:, 256:] - three.pedestal[:, None]).sum(axis=1)
    assert np.abs(padded / three.counts_per_vem).max() < 0.05
    signal = [find_pulses(found).signal for found in (both, three)]
    np.testing.assert_allclose(*signal, atol=0.1)
    assert (both.array.detector.n_bins, three.array.detector.n_bins) == (256, 384)
    for found in (both, one, three):
        np.testing.assert_allclose(found.hit_time, events.hit_time, atol=0.2)
    # A second reader sees two windows of each station, 128 bins of 20 ns apart.
    rows = slice(*events.hit_offset[:2])
    station = np.repeat(events.array.station_id[events.hit_station[rows]], 2)
    if name == "dst":
        raw = independent.rusdraw(
            next(payload for number, _, payload in independent.banks(path) if number == 13101)
        )
        assert raw["xxyy"] == tuple(station)
        second = np.array(raw["clkcnt"]) / np.array(raw["mclkcnt"])
        np.testing.assert_array_equal(np.array(raw["fadc"])[1::2, 0], late[rows, :, 1])
    else:
        sections = independent.text(path)
        window = np.array(sections["SD waveform DATA"][0]).reshape(-1, 259)
        np.testing.assert_array_equal(window[:, 0], station)
        np.testing.assert_array_equal(window[1::2, 3:131], late[rows, :, 1])
        second = window[:, 1] / window[:, 2]
        assert (np.array(sections["SD meta DATA"][0])[11::12] == 2).all()
    np.testing.assert_allclose(np.diff(second)[::2] * 1e9, 2560.0, atol=0.5)


def test_windows_are_a_matter_of_the_telescope_array(tmp_path):
    (tmp_path / "a.json").write_text('{"stations": [{"station": 1}], "sdrec": {}}')
    with pytest.raises(InputError, match="--windows 2"):
        convert([tmp_path / "a.json"], windows=2)


def test_files_are_converted_part_by_part_as_in_memory(events, written, tmp_path, monkeypatch):
    """However many events are converted at once."""
    whole = convert([written["dst"]])
    for size in (1, 7, 1000):
        monkeypatch.setattr("tashower.convert.ta_dst.EVENTS_AT_ONCE", size)
        for path in (written["dst"], written["txt"]):
            convert_file([path], tmp_path / "e.h5")
            found = read_events(tmp_path / "e.h5")
            np.testing.assert_array_equal(found.hit_offset, whole.hit_offset)
            np.testing.assert_array_equal(
                found.array.station_id[found.hit_station], whole.array.station_id[whole.hit_station]
            )
            np.testing.assert_array_equal(found.waveform, whole.waveform)
            np.testing.assert_allclose(found.truth.energy, whole.truth.energy, rtol=1e-6)
            assert found.standard is None
            if path == written["dst"]:
                np.testing.assert_array_equal(found.dead_offset, whole.dead_offset)
                np.testing.assert_array_equal(found.dead_station, whole.dead_station)
                np.testing.assert_array_equal(found.event_id, whole.event_id)
                np.testing.assert_allclose(
                    found.array.position, whole.array.position, atol=1e-9
                )  # sums in another order


def test_a_file_without_events(tmp_path):
    write_banks(tmp_path / "n.dst", [])
    for found in (convert([tmp_path / "n.dst"]), read_back(tmp_path)):
        assert found.n_events == found.n_hits == 0
        assert found.truth is None


def read_back(folder):
    convert_file([folder / "n.dst"], folder / "n.h5")
    return read_events(folder / "n.h5")


@pytest.mark.slow
def test_an_event_of_a_million_hits_is_refused(small, tmp_path):
    lines = small[".txt"].decode().split("\n")
    k = lines.index("SD meta DATA") + 1
    lines[k] = " ".join(lines[k].split()[:12] * 10**6)
    (tmp_path / "a.txt").write_text("\n".join(lines))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"a\.txt: event 0: 1000000 hits"):
        convert([tmp_path / "a.txt"])
    assert tracemalloc.get_traced_memory()[1] < 1e9
    tracemalloc.stop()
    write_banks(tmp_path / "a.dst", [(RUSDRAW, 0, bytes(24 * 10**6))])
    with pytest.raises(InputError, match="a bank of more than"):
        convert([tmp_path / "a.dst"])


def test_positions_from_a_list_or_nominal(events, written, tmp_path):
    stations = tmp_path / "stations.csv"
    array = events.array
    lines = [
        f"{s},{x},{y},{z}" for s, (x, y, z) in zip(array.station_id, array.position, strict=True)
    ]
    stations.write_text("station,x_m,y_m,z_m\n" + "\n".join(lines) + "\n")
    found = convert([written["dst"]], stations=stations)
    assert found.array.n_stations == array.n_stations
    np.testing.assert_array_equal(found.array.lattice, array.lattice)
    stations.write_text("station,x_m,y_m,z_m\n" + "\n".join(lines[:5]) + "\n")
    with pytest.raises(InputError, match="is not in the list of stations"):
        convert([written["dst"]], stations=stations)


@pytest.mark.parametrize("name", ["dst", "txt"])
def test_command_line_there_and_back(events, written, name, tmp_path, capsys):
    out = tmp_path / "e.h5"
    assert main(["convert", str(written[name]), "--to", str(out)]) == 0
    assert "25 events" in capsys.readouterr().out.replace(str(events.n_events), "25")
    back = tmp_path / f"again.{name}"
    assert (
        main(
            [
                "export",
                str(out),
                "--to",
                str(back),
                "--format",
                "ta_text" if name == "txt" else "ta_dst",
            ]
        )
        == 0
    )
    np.testing.assert_array_equal(convert([back]).waveform, read_events(out).waveform)


def test_converted_events_are_fitted_like_the_original(events, written, tmp_path):
    from tashower.calibration.calibration import DEFAULT, read_calibration
    from tashower.reconstruction.reconstruct import reconstruct

    settings = load_config().reconstruction
    mine, theirs = (
        reconstruct(e, read_calibration(DEFAULT), settings)[0]["free"]
        for e in (events, convert([written["dst"]]))
    )
    both = mine.passes_cuts & theirs.passes_cuts
    assert both.sum() >= 5
    np.testing.assert_allclose(mine.zenith[both], theirs.zenith[both], atol=2e-3)
    np.testing.assert_allclose(mine.core_x[both], theirs.core_x[both], atol=10)


def test_formats_that_cannot_hold_the_events_are_refused(events, tmp_path):
    pulses = find_pulses(events)
    other = replace(
        events, array=replace(events.array, detector=replace(events.array.detector, bin_width=25.0))
    )
    for write, name in ((write_dst, "a.dst"), (write_text, "a.txt")):
        with pytest.raises(InputError, match="20 ns"):
            write(tmp_path / name, other, pulses)
        odd = replace(events.array, detector=replace(events.array.detector, n_bins=130))
        with pytest.raises(InputError, match="multiples of 128"):
            write(tmp_path / name, replace(events, array=odd), pulses)
        with pytest.raises(InputError, match="waveforms"):
            write(tmp_path / name, replace(events, waveform=None), pulses)
        assert not (tmp_path / name).exists()


@pytest.fixture(scope="module")
def small(events, tmp_path_factory):
    """Bytes of three events in each format."""
    folder, three = tmp_path_factory.mktemp("small"), select_events(events, [0, 1, 2])
    pulses = find_pulses(three)
    write_dst(folder / "a.dst", three, pulses)
    write_text(folder / "a.txt", three, pulses)
    return {".dst": (folder / "a.dst").read_bytes(), ".txt": (folder / "a.txt").read_bytes()}


@pytest.mark.parametrize("suffix", [".dst", ".txt"])
def test_damaged_files(rng, small, suffix, tmp_path):
    assert fuzz(rng, tmp_path, small[suffix], suffix, 100) > 20


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".dst", ".txt"])
def test_a_thousand_damaged_files(rng, small, suffix, tmp_path):
    assert fuzz(rng, tmp_path, small[suffix], suffix, 1000) > 200


def test_truncation_anywhere(rng, small, tmp_path):
    """One byte less at the end, or anything less, is said."""
    data = small[".dst"]
    for length in rng.integers(0, len(data), 100):
        (tmp_path / "t.dst").write_bytes(data[:length])
        with pytest.raises(InputError, match=r"t\.dst"):
            convert([tmp_path / "t.dst"], "ta_dst")


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"\x1f\x8bnot gzip", b"BZhnot bzip2", b"`b" + bytes(40_000)]
)
def test_other_files_are_refused_and_leave_nothing(tmp_path, content, capsys):
    path = tmp_path / "x.dst"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.dst"):
        tell_format([path])
    assert main(["convert", str(path), "--to", str(tmp_path / "o.h5")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["x.dst"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dst", "txt"])
def test_the_standard_reconstruction_is_kept(events, tmp_path, name):
    pulses = find_pulses(events)
    tables, _, _ = reconstruct(events, read_calibration(DEFAULT), load_config().reconstruction)
    standard = tables["constrained"]
    assert standard.valid.any()
    path = tmp_path / f"e.{name}"
    (write_text if name == "txt" else write_dst)(path, replace(events, standard=standard), pulses)
    found = convert([path])
    np.testing.assert_array_equal(found.standard.valid, standard.valid)
    names = {
        "zenith": 1e-8,
        "azimuth": 1e-7,
        "core_x": 0.01,
        "core_y": 0.01,
        "s_ref": 1e-5,
        "energy": 1e-5,
        "chi2": 1e-5,
    }
    for key, tolerance in names.items():
        one, other = getattr(found.standard, key), getattr(standard, key)
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=tolerance, err_msg=key)
    np.testing.assert_array_equal(found.standard.ndof, standard.ndof)
    errors = [
        np.sqrt(np.diagonal(t.covariance[t.valid], axis1=1, axis2=2)[:, :5])
        for t in (found.standard, standard)
    ]
    np.testing.assert_allclose(*errors, rtol=1e-6)
    if name == "dst":  # a second reader finds it
        banks = [
            independent.rufldf(bank[2]) for bank in independent.banks(path) if bank[0] == 13107
        ]
        theta = np.radians([bank["theta"] for bank in banks])
        np.testing.assert_allclose(theta, standard.zenith[standard.valid])
        phi = np.radians([bank["phi"] for bank in banks])
        np.testing.assert_allclose(np.cos(phi - standard.azimuth[standard.valid]), -1.0)
        x = [(bank["xcore"][1] - 12.2435) * 1200.0 for bank in banks]
        np.testing.assert_allclose(x, standard.core_x[standard.valid])
    # It goes through file, fit and report.
    write_events(tmp_path / "e.h5", found, {})
    assert (
        main(
            [
                "fit",
                str(tmp_path / "e.h5"),
                "--calibration",
                str(DEFAULT),
                "--output",
                str(tmp_path / "f.h5"),
            ]
        )
        == 0
    )
    np.testing.assert_array_equal(
        read_reconstruction(tmp_path / "f.h5")[0]["standard"].zenith, found.standard.zenith
    )
    words = [
        "report-data",
        "--events",
        str(tmp_path / "e.h5"),
        "--fits",
        str(tmp_path / "f.h5"),
        "--calibration",
        str(DEFAULT),
    ]
    assert main([*words, "--output", str(tmp_path / "r.html")]) == 0
    assert "standard reconstruction (of the file)" in (tmp_path / "r.html").read_text()


def test_without_a_standard_reconstruction_there_is_none(written):
    assert convert([written["txt"]]).standard is None


@pytest.mark.parametrize("name", ["dst", "dst.gz"])
def test_an_independent_reader_accepts_the_dst(events, written, name):
    """Block structure, order of the banks, units, direction of travel, lower layer first."""
    found = independent.banks(written[name])
    starts = [k for k, bank in enumerate(found) if bank[0] == 1400000023]
    assert len(starts) == events.n_events
    for k in starts:
        assert {bank[0] for bank in found[k : k + 6]} == {
            1400000023,
            13101,
            13103,
            13105,
            13112,
            1400000101,
        }
        assert found[k + 5][0] == 1400000101
    truth = events.truth
    for i, k in enumerate(starts):
        by_id = {bank[0]: bank[2] for bank in found[k : k + 6]}
        rows = slice(*events.hit_offset[i : i + 2])
        raw = independent.rusdraw(by_id[13101])
        # Every station has two windows.
        assert raw["xxyy"][::2] == tuple(events.array.station_id[events.hit_station[rows]])
        assert raw["xxyy"][1::2] == raw["xxyy"][::2]
        counts = np.array(raw["fadc"])  # (windows, lower and upper, bins)
        for half in (0, 1):
            seen = events.waveform[rows, 128 * half : 128 * (half + 1)]
            np.testing.assert_array_equal(counts[half::2, 0], seen[..., 1])
            np.testing.assert_array_equal(counts[half::2, 1], seen[..., 0])
        second = (np.array(raw["clkcnt"]) / np.array(raw["mclkcnt"]))[::2]
        np.testing.assert_allclose(np.diff(second) * 1e9, np.diff(events.hit_time[rows]), atol=0.4)
        assert (np.abs(np.array(raw["mclkcnt"]) - 50_000_000) < 1000).all()
        found_pulses = independent.rufptn(by_id[13103])
        assert found_pulses["xxyy"] == raw["xxyy"][::2]
        assert set(found_pulses["isgood"]) <= {4, 5}
        assert found_pulses["wfindex"] == tuple(range(0, raw["nofwf"], 2))
        for name, column in (("vem", events.counts_per_vem), ("ped", events.pedestal)):
            np.testing.assert_allclose(found_pulses[name], column[rows][:, ::-1], rtol=1e-6)
        place = events.array.position[events.hit_station[rows]] / 1200.0
        np.testing.assert_allclose(found_pulses["xyzclf"], place, atol=1e-9)
        pulses = find_pulses(select_events(events, [i]))
        np.testing.assert_allclose(found_pulses["pulsa"], pulses.signal[:, ::-1], rtol=1e-6)
        # Units of 1200 m over the speed of light, from the earliest hit.
        late = (pulses.arrival_time - np.nanmin(pulses.arrival_time)) / (1200.0 / 0.299792458)
        np.testing.assert_allclose(np.array(found_pulses["reltime"])[:, 0], np.nan_to_num(late))
        starts_at = second * 1e9 - 1e9 * (found_pulses["tearliest"][0] % 1)
        into = (late * 1200.0 / 0.299792458 - starts_at)[np.isfinite(late)]
        assert ((into > 0) & (into < 128 * 20)).all()  # pulses are in their windows
        dead = events.dead_station[slice(*events.dead_offset[i : i + 2])]
        assert independent.bsdinfo(0, by_id[13112]) == tuple(events.array.station_id[dead])
        particle, energy, theta, phi, core = independent.rusdmc(by_id[13105])
        assert {14: 1, 402: 4, 1407: 14, 5626: 56}[particle] == truth.mass_number[i]
        assert energy == pytest.approx(truth.energy[i], rel=1e-6)
        assert theta == pytest.approx(truth.zenith[i], abs=1e-6)
        assert np.cos(phi - truth.azimuth[i]) == pytest.approx(
            -1.0, abs=1e-9
        )  # it travels where it does not come from
        assert core[:2] == pytest.approx(
            (100 * truth.core_x[i], 100 * truth.core_y[i]), rel=1e-5, abs=1.0
        )


def test_an_independent_reader_accepts_the_text_dump(events, written):
    sections = independent.text(written["txt"])
    assert {name: len(lines) for name, lines in sections.items()} == dict.fromkeys(
        sections, events.n_events
    )
    for i in range(events.n_events):
        rows = slice(*events.hit_offset[i : i + 2])
        event = sections["EVENT DATA"][i]
        assert len(event) == 61
        assert event[10] == 2 * (rows.stop - rows.start)
        assert np.cos(event[3] - events.truth.azimuth[i]) == pytest.approx(-1.0, abs=1e-9)
        window = np.array(sections["SD waveform DATA"][i]).reshape(-1, 259)
        for half in (0, 1):  # every station has two windows
            seen = events.waveform[rows, 128 * half : 128 * (half + 1)]
            np.testing.assert_array_equal(window[half::2, 3:131], seen[..., 1])
            np.testing.assert_array_equal(window[half::2, 131:], seen[..., 0])
        meta = np.array(sections["SD meta DATA"][i]).reshape(-1, 12)
        np.testing.assert_allclose(
            meta[:, 6:9] * 1200.0, events.array.position[events.hit_station[rows]], atol=0.01
        )
        np.testing.assert_allclose(meta[:, 9:11], events.counts_per_vem[rows][:, ::-1], rtol=1e-6)
