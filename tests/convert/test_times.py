"""Times of hits: every nanosecond of an absolute time, and the border of a second."""

import numpy as np
import pytest

from tashower.convert.convert import convert
from tashower.convert.times import undo_wraps
from tashower.errors import InputError

STATIONS = "station,x_m,y_m\n" + "".join(
    f"{10 * i + j},{i * 1200},{j * 1200}\n" for i in range(1, 4) for j in range(1, 4)
)
#: GPS second of 2007-06-15T04:51:02 UTC without leap seconds, as Auger's open data states it.
SECOND = 865918276
#: [ns] after the first hit; two of them differ by one nanosecond.
AFTER = np.array([0, 1, 2500, 7340, 9001])


def stations(k):
    return (11, 12, 13, 21, 22)[k]


@pytest.fixture
def times(tmp_path):
    (tmp_path / "s.csv").write_text(STATIONS)

    def read(header, rows):
        lines = [f"4,{stations(k)},{row},{3 + k}" for k, row in enumerate(rows)]
        text = f"event,station,{header},signal_vem\n" + "\n".join(lines) + "\n"
        (tmp_path / "h.csv").write_text(text)
        return convert([tmp_path / "s.csv", tmp_path / "h.csv"]).hit_time

    return read


@pytest.mark.parametrize(
    "origin", [SECOND * 10**9 + 379_000_000, 1_710_000_000_123_456_789, -(10**18) - 3500]
)
def test_whole_nanoseconds_of_gps_and_unix_times(times, origin):
    """A 64-bit float counts them in steps of 128 or 256 ns."""
    np.testing.assert_array_equal(times("time_ns", [origin + t for t in AFTER]), AFTER)


def test_fractions_of_a_nanosecond_behind_large_numbers(times):
    rows = [f"{SECOND}{379_000_000 + t}.25" for t in AFTER]
    rows[1] = rows[1].replace(".25", ".75")
    np.testing.assert_allclose(times("time_ns", rows), AFTER + [0, 0.5, 0, 0, 0], atol=1e-6)


@pytest.mark.parametrize("second", ["gps_second", "timestamp"])
def test_second_and_nanosecond_across_the_border(times, second):
    rows = [
        f"{(999_999_000 + t) % 10**9},{SECOND + (999_999_000 + t) // 10**9}" for t in AFTER.tolist()
    ]
    np.testing.assert_array_equal(times(f"time_ns,{second}", rows), AFTER)


def test_a_border_without_seconds_is_undone(times, caplog):
    rows = [(999_999_000 + t) % 10**9 for t in AFTER.tolist()]
    found = times("time_ns", rows)
    np.testing.assert_array_equal(found - found[0], AFTER)
    assert "event 4" in caplog.text


def test_wraps_are_undone_only_where_hits_come_together():
    """An event at the border, one in the middle, one that lasts half a second."""
    event = np.repeat([0, 1, 2], 3)
    time = np.array([999_999_990.0, 5.0, 7.0, 500.0, 800.0, 10.0, 0.0, 3e8, 9e8])
    found, changed = undo_wraps(time, event, 3)
    np.testing.assert_array_equal(found[:3] - found[0], [0, 15, 17])
    np.testing.assert_array_equal(found[3:], time[3:])
    assert np.abs(found[:3]).max() < 100
    np.testing.assert_array_equal(changed, [0])
    assert time[1] == 5.0


@pytest.mark.parametrize("form", ["2007-06-15T04:51:02.{}", "2007-06-15 04:51:02.{}Z"])
def test_dates(times, form):
    rows = [form.format(379_000_000 + t) for t in AFTER]
    np.testing.assert_array_equal(times("time", rows), AFTER)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([f"{SECOND}.379e9"] * 4 + ["8.65918276e17"], "lacks its last digits"),
        (
            [float((SECOND * 10**9 + 128 * t) // 128 * 128) for t in range(5)],
            "lacks its last|128 ns",
        ),
        ([str((SECOND * 10**9) // 128 * 128 + 128 * t) + ".0" for t in range(5)], "128 ns only"),
        (["9" * 25] * 5, "292 years"),
        (["2007-06-15T04:51:02.1", "noon", "", "", ""], "line 3: time_ns = 'noon'"),
        (["2007-06-15T04:51:02.1+02:00"] * 5, "UTC"),
    ],
)
def test_times_that_have_lost_their_nanoseconds_are_refused(times, rows, message):
    with pytest.raises(InputError, match=message):
        times("time_ns", rows)


def test_seconds_beside_full_times_are_refused(times):
    rows = [f"{SECOND * 10**9 + t},{SECOND + (t > 3)}" for t in AFTER.tolist()]
    with pytest.raises(InputError, match="leave out one"):
        times("time_ns,gps_second", rows)


@pytest.mark.extra
@pytest.mark.parametrize("kind", ["int64", "datetime64[ns]"])
def test_parquet_keeps_integers_and_dates(tmp_path, kind):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "s.csv").write_text(STATIONS)
    table = {
        "event": np.full(5, 4),
        "station": [stations(k) for k in range(5)],
        "time_ns": (SECOND * 10**9 + AFTER).astype(kind),
        "signal_vem": np.ones(5),
    }
    parquet.write_table(pyarrow.table(table), tmp_path / "h.parquet")
    found = convert([tmp_path / "s.csv", tmp_path / "h.parquet"]).hit_time
    np.testing.assert_array_equal(found, AFTER)


@pytest.mark.extra
def test_parquet_floats_of_that_size_are_refused(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "s.csv").write_text(STATIONS)
    table = {
        "event": np.full(5, 4),
        "station": [stations(k) for k in range(5)],
        "time_ns": (SECOND * 10**9 + AFTER).astype(float),
        "signal_vem": np.ones(5),
    }
    parquet.write_table(pyarrow.table(table), tmp_path / "h.parquet")
    with pytest.raises(InputError, match=r"lacks its last digits|128 ns only"):
        convert([tmp_path / "s.csv", tmp_path / "h.parquet"])
