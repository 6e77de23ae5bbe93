"""Text dumps as the Telescope Array's public program prints them: sections event by event, numbers
of the width of its format, and what editors do to files.
"""

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from published import CLOCK, USEC, dump_line, dump_sections, per_event, per_file

from tashower.cli import main
from tashower.convert.convert import convert, tell_format
from tashower.convert.ta_text import read_records
from tashower.convert.ta_windows import pedestals
from tashower.errors import InputError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "cases" / "ta_text"
needs_cases = pytest.mark.skipif(not SHARED.is_dir(), reason="cases are not shipped")


def read(tmp_path, text, **options):
    (tmp_path / "e.txt").write_text(text)
    return convert([tmp_path / "e.txt"], **options)


@pytest.mark.parametrize("layout", [per_event, per_file])
def test_one_hit_of_a_station_is_used(tmp_path, layout):
    events = read(tmp_path, layout(dump_sections(), dump_sections()))
    assert tell_format([tmp_path / "e.txt"]) == "ta_text"
    assert events.n_events == 2
    station = events.array.station_id[events.hit_station]
    assert station.tolist() == [711, 810, 1119, 711, 810, 1119]
    assert events.rejected.tolist() == [False, False, True] * 2
    good = ~events.rejected
    np.testing.assert_array_equal(events.waveform[good, 30, 1], [66, 56] * 2)
    np.testing.assert_array_equal(events.waveform[good, 30, 0], [125, 105] * 2)
    np.testing.assert_array_equal(events.pedestal[good], [[5.0, 6.0]] * 4)
    np.testing.assert_array_equal(events.counts_per_vem[good], [[41.0, 40.0]] * 4)
    time = (4_728_300 + np.array([10, 0])) / CLOCK * 1e9 - USEC * 1e3
    np.testing.assert_allclose(events.hit_time[good], np.tile(time, 2), atol=1e-3)
    assert events.array.station_id[events.dead_station].tolist() == [1119, 1119]
    notes = Counter()
    list(read_records(tmp_path / "e.txt", notes=notes))
    assert sorted(notes.values()) == [2, 2]
    long = convert([tmp_path / "e.txt"], windows=3).waveform[0]
    assert long[190 + 30, 1] == 36


def test_hits_of_stations_that_are_listed_are_not_used(tmp_path):
    events = read(tmp_path, per_event(dump_sections(bad="0711 65535 0310 65535")))
    station = events.array.station_id[events.hit_station]
    assert station.tolist() == [711, 810, 1119]
    assert events.rejected.tolist() == [True, False, True]
    assert events.array.station_id[events.dead_station].tolist() == [711, 1119]


def test_the_fit_of_the_dump(tmp_path):
    """Geometry with half a degree on top, core and size of the lateral fit, and their errors."""
    for short in (False, True):
        found = read(tmp_path, per_event(dump_sections(line=dump_line(short)))).standard
        assert np.degrees(found.zenith[0]) == pytest.approx(32.165)
        assert np.degrees(found.azimuth[0]) == pytest.approx(357.244)
        assert found.core_x[0] == pytest.approx((7.226 - 12.2435) * 1200)
        assert (found.s_ref[0], found.energy[0], found.ndof[0]) == (50.147, 20.11, 7)
        sigma = np.sqrt(np.diagonal(found.covariance[0]))[:5]
        size = 50.147 * 24028.7 / 243614.4
        expected = [44.4, 37.2, np.radians(1.695), np.radians(3.3215), size]
        np.testing.assert_allclose(sigma, expected)
    for line in (dump_line(fit=False), dump_line().replace("31.665000", "nan")):
        assert read(tmp_path, per_event(dump_sections(line=line))).standard is None


@pytest.mark.parametrize("layout", [per_event, per_file])
def test_blank_lines_at_the_end_may_be_missing(tmp_path, layout):
    text = layout(dump_sections(), dump_sections(bad=""))
    whole = read(tmp_path, text + "\n\n")
    stripped = read(tmp_path, text.rstrip("\n"))
    assert whole.n_events == stripped.n_events == 2
    np.testing.assert_array_equal(whole.dead_offset, stripped.dead_offset)


@pytest.mark.parametrize("written", ["{}.0", "+{}", "{}e0", "0000000000{}", " \t{}\r"])
def test_whole_numbers_written_otherwise(tmp_path, written):
    usual = read(tmp_path, per_event(dump_sections()))
    lines = dump_sections()
    lines[2] = " ".join(written.format(word) for word in lines[2].split())
    np.testing.assert_array_equal(read(tmp_path, per_event(lines)).waveform, usual.waveform)


def test_an_event_without_hits(tmp_path):
    empty = [dump_line(fit=False), "", "", "0310 65535"]
    for layout in (per_event, per_file):
        events = read(tmp_path, layout(dump_sections(), empty))
        assert np.diff(events.hit_offset).tolist() == [3, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e[:1] + [e[1] + "1e999"] + e[2:], "49 numbers, where a multiple of 12"),
        (lambda e: [e[0], e[1].replace("5.000000", "1e999", 1), *e[2:]], "is not finite"),
        (lambda e: [e[0].replace("241010", "nan"), *e[1:]], "is not finite"),
        (lambda e: [e[0] + " 1", *e[1:]], "62 numbers, where 61 or 42 are needed"),
        (lambda e: [e[0].replace("20.11", "2\x0011"), *e[1:]], "an entry is not a number"),
        (lambda e: [e[0], e[1].replace("0711", "1e99"), *e[2:]], "is not the number of a station"),
        (lambda e: [e[0], e[1][:-2] + "9 ", *e[2:]], "state 13 windows, there are 5"),
        (
            lambda e: [*e[:3], e[3] + "\n0310 1"],
            "'badsdinfo' has 2 events, section 'EVENT DATA' has 1",
        ),
        (lambda e: [e[0], e[1], e[2].replace("49999500", "0"), e[3]], "a clock without counts"),
        (lambda e: [e[0], e[1], e[2].replace("49999500", "1e999"), e[3]], "a clock of a window"),
        (lambda e: [e[0], e[1], e[2].replace("49999500", "1e300"), e[3]], "a clock of a window"),
        (lambda e: [e[0], e[1], e[2].replace("0711", "0712"), e[3]], "name different stations"),
        (lambda e: [e[0].replace("20.11", "é"), *e[1:]], "not text"),
    ],
)
def test_wrong_numbers_are_named(tmp_path, capsys, change, message):
    with pytest.raises(InputError, match=message) as found:
        read(tmp_path, per_event(change(dump_sections())))
    assert str(tmp_path / "e.txt") in str(found.value)
    words = ["convert", str(tmp_path / "e.txt"), "--to", str(tmp_path / "o.h5")]
    assert main(words) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "o.h5").exists()


def test_sections_that_are_missing_or_doubled(tmp_path):
    lines = per_event(dump_sections()).split("\n")
    with pytest.raises(InputError, match="section 'badsdinfo' is missing"):
        read(tmp_path, "\n".join(lines[:6]))
    with pytest.raises(InputError, match=r"line 3: section 'EVENT DATA' begins twice"):
        read(tmp_path, "\n".join(lines[:2] + lines))
    (tmp_path / "p.txt").write_bytes(gzip.compress("\n".join(lines).encode()))
    with pytest.raises(InputError, match="unpack it first"):
        convert([tmp_path / "p.txt"])


def test_pedestals_are_found_in_the_windows(rng):
    """Unbiased with and without pulses, also early ones and tails; today a mean of the first bins
    would be 10 VEM off where a muon comes early.
    """
    counts = rng.normal(6.3, 0.75, (2000, 2, 128))
    counts[::2, :, 30:60] += 200 * np.exp(-np.arange(30) / 6.0)
    counts[::4, :, 3:9] += 60
    found = pedestals(np.rint(counts).astype(np.int32))
    for part in (found[1::2], found[2::4], found[::4]):
        assert part.mean() == pytest.approx(6.3, abs=0.03)
        assert part.std() < 0.15
    np.testing.assert_array_equal(pedestals(np.full((1, 2, 128), 7)), [[7.0, 7.0]])
    steep = np.tile(np.arange(128) * 100, (1, 2, 1))
    assert np.isfinite(pedestals(steep)).all()


@needs_cases
def test_cases():
    """A real event with two hits of a station; isgood 0; a file without its last blank lines."""
    real = convert([SHARED / "real_one_event.txt"])
    assert (real.n_events, real.n_hits) == (1, 30)
    assert np.degrees(real.standard.zenith[0]) == pytest.approx(32.16, abs=0.01)
    base, stripped = (convert([SHARED / f"{name}.txt"]) for name in ("base", "stripped"))
    np.testing.assert_array_equal(base.hit_offset, stripped.hit_offset)
    np.testing.assert_array_equal(base.waveform, stripped.waveform)
    broken = convert([SHARED / "isgood0.txt"])
    assert broken.n_hits == base.n_hits
    assert int(broken.rejected.sum()) == 1
    at = broken.hit_station[broken.rejected]
    assert np.isin(at, broken.dead_station).all()
