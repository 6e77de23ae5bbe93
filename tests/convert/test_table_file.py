"""What other programs write into tables: read where it has one meaning, else refused with the
cure.
"""

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from damage import fuzz
from nasty import bomb, nasty_table

from tashower.cli import main
from tashower.convert.convert import convert
from tashower.errors import InputError
from tashower.io.event_file import read_events
from tashower.io.station_table import station_numbers
from tashower.io.table_file import Table

STATIONS = "station,x_m,y_m\n" + "".join(
    f"{10 * i + j},{i * 100},{j * 100}\n" for i in range(4) for j in range(4)
)
NAMES = "event,station,time_ns,signal_vem,saturated\n"
ROWS = ["7,11,100.5,3.5,0", "7,12,220,2,1", "3,33,5,1.5,0", "7,22,300,9,0"]
HITS = NAMES + "\n".join(ROWS) + "\n"


@pytest.fixture
def read(tmp_path):
    def read(hits, stations=STATIONS, name="h.csv", header=None):
        (tmp_path / "s.csv").write_text(stations)
        path = tmp_path / name
        path.write_bytes(hits if isinstance(hits, bytes) else hits.encode())
        if header is None:
            return convert([tmp_path / "s.csv", path])
        (tmp_path / "header.yaml").write_text(f"stations: s.csv\nhits: {name}\n{header}")
        return convert([tmp_path / "header.yaml"])

    return read


def same(events):
    np.testing.assert_array_equal(events.event_id, [3, 7])
    np.testing.assert_allclose(events.hit_time, [0, 0, 119.5, 199.5])
    np.testing.assert_array_equal(events.pulses.saturated, [False, False, True, False])
    return True


@pytest.mark.parametrize(
    "hits",
    [
        HITS.replace(",0\n", ",False\n").replace(",1\n", ",True\n"),  # as pandas writes it
        "# made by a tool, version 1\n\n"
        + HITS.replace("7,22", "# a remark, of more, cells\n7,22"),
        "# event,station,time_ns,signal_vem,saturated\n" + "\n".join(ROWS),  # as numpy writes it
        "," + NAMES + "".join(f"{k},{row}\n" for k, row in enumerate(ROWS)),  # with an index
        HITS.replace("7,11", "7.0,11.0"),
        HITS.replace("\n", "\r\n"),
        "event, station, time_ns, signal_vem, saturated\n" + HITS.split("\n", 1)[1],
        "more," + NAMES + "".join(f"1e999,{row}\n" for row in ROWS),
        b"\xef\xbb\xbf" + HITS.encode(),
        gzip.compress(HITS.encode(), mtime=0),
    ],
)
def test_what_other_programs_write(read, hits):
    assert same(read(hits))


@pytest.mark.parametrize("name", ["H.CSV", "h.csv.gz", "h.Csv.GZ"])
def test_endings(read, name):
    assert same(
        read(gzip.compress(HITS.encode(), mtime=0) if "gz" in name.lower() else HITS, name=name)
    )


@pytest.mark.parametrize(
    ("hits", "message"),
    [
        (HITS.replace(",", ";").replace(".", ","), "separated by semicolons; save it with commas"),
        (HITS.replace(",", "\t"), "separated by tabs"),
        (HITS.replace(",", " "), "separated by blanks"),
        (HITS.replace("100.5", '"100,5"'), "line 2: time_ns = '100,5' is not a number .a decimal"),
        (NAMES, "holds no hits"),
        ("", "it is empty"),
        ("\n".join(ROWS), "it holds numbers"),
        (HITS.replace("saturated", "event"), "each by its own name"),
        (HITS.replace("7,11", "nan,11"), "line 2: event = 'nan' is not a number: a whole"),
        (HITS.replace("7,11", ",11"), "line 2: event = '' is not a number: a whole"),
        (HITS.replace("7,11", f"{2**63},11"), "below 2.63, the largest"),
        (HITS.replace("7,11", "7,"), "line 2: station = '' names nothing"),
        (HITS.replace("3.5", "1e40"), "line 2: signal_vem = '1e40'"),
        (HITS.replace(",1\n", ",maybe\n"), "line 3: saturated = 'maybe' is neither"),
        (HITS.replace("220", "2\x0020"), "line 3: a NUL byte"),
        (HITS.encode("utf-16"), "UTF-16"),
        (HITS.replace("7,12", "7,é").encode("latin-1"), "not UTF-8"),
        (gzip.compress(HITS.encode(), mtime=0)[:-9], "damaged gzip"),
        (gzip.compress(HITS.encode(), mtime=0)[:30] + b"xxxx", "damaged gzip"),
    ],
)
def test_what_is_refused_says_why(read, hits, message):
    with pytest.raises(InputError, match=message) as error:
        read(hits)
    assert "h.csv" in str(error.value)


def test_folders_and_doubled_files(read, tmp_path, capsys):
    read(HITS)
    paths = [str(tmp_path / name) for name in ("s.csv", "h.csv")]
    with pytest.raises(InputError, match="is a folder"):
        convert([paths[0], tmp_path])
    with pytest.raises(InputError, match=r"s\.csv: is there twice"):
        convert([paths[0], paths[0]])
    (tmp_path / "l.csv").symlink_to(paths[0])
    with pytest.raises(InputError, match=r"l\.csv: is there twice, also as .*s\.csv"):
        convert([paths[0], tmp_path / "l.csv"])
    for output in ("h.csv", "l.csv"):
        before = (tmp_path / output).read_bytes()
        assert main(["convert", *paths, "--to", str(tmp_path / output)]) == 2
        assert "would be overwritten" in capsys.readouterr().err
        assert (tmp_path / output).read_bytes() == before


def test_a_bomb_is_refused_in_little_memory(read):
    data = bomb()
    assert len(data) < 300_000
    tracemalloc.start()
    with pytest.raises(InputError, match=r"unpacks to more than|first line"):
        read(data, name="h.csv.gz")
    assert tracemalloc.get_traced_memory()[1] < 1e9
    tracemalloc.stop()


def test_stations_by_name(read, tmp_path):
    """Names stay names, in messages and in the file."""
    stations = "station,x_m,y_m\nNoord,0,0\nÖst,100,0\n3,0,100\nWest,100,100\n"
    hits = NAMES + "1,Öst,0,3,0\n1,Noord,20,4,0\n1,3,30,1,1\n"
    events = read(hits, stations)
    assert events.array.station_name.tolist() == ["Noord", "Öst", "3", "West"]
    assert events.array.station_id.tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(events.hit_station, [0, 1, 2])
    assert events.array.name_of(1) == "Öst"
    files = [str(tmp_path / name) for name in ("s.csv", "h.csv")]
    assert main(["convert", *files, "--to", str(tmp_path / "e.h5")]) == 0
    assert read_events(tmp_path / "e.h5").array.station_name.tolist() == [
        "Noord",
        "Öst",
        "3",
        "West",
    ]
    with pytest.raises(InputError, match="event 1: station 'Zuid' is not in the list"):
        read(hits.replace("Öst", "Zuid"), stations)
    with pytest.raises(InputError, match="station 'Noord' is there twice"):
        read(hits, stations.replace("West", "Noord"))


@pytest.mark.parametrize("number", [2**31, 2**40, 2**63, -(2**31), -(2**63), 10**400])
def test_large_station_numbers_are_names(read, number):
    stations = STATIONS.replace("11,", f"{number},")
    events = read(HITS.replace("7,11", f"7,{number}"), stations)
    assert str(number) in events.array.station_name.tolist()


def test_unsigned_station_numbers_do_not_come_out_negative():
    """As Parquet may hold them."""
    for last, numbered in ((2**31 - 1, True), (2**31, False), (2**64 - 5, False)):
        columns = {"station": np.array([1, last], np.uint64)}
        found = station_numbers(Table(Path("s.parquet"), columns, np.arange(2)))
        assert (found is not None) == numbered


def test_stations_out_of_service(read, tmp_path):
    """Always (column working of the stations) and in one event (a table of its own)."""
    head, *rows = STATIONS.splitlines()
    text = "\n".join([f"{head},working", *(f"{r},{int(r[:2] != '1,')}" for r in rows)])
    (tmp_path / "out.csv").write_text("event,station\n7,33\n7,21\n9,0\n")
    events = read(HITS, text, header="out_of_service: out.csv\n")
    number = events.array.station_id[events.dead_station]
    np.testing.assert_array_equal(number[: events.dead_offset[1]], [1])  # event 3
    np.testing.assert_array_equal(number[events.dead_offset[1] :], [1, 21, 33])
    (tmp_path / "out.csv").write_text("event,station\n7,22\n")
    with pytest.raises(InputError, match="event 7: station 22 has a hit, but is out of service"):
        read(HITS, text, header="out_of_service: out.csv\n")
    (tmp_path / "out.csv").write_text("event,station\n7,99\n")
    with pytest.raises(InputError, match=r"out\.csv: event 7: station 99 is not in the list"):
        read(HITS, text, header="out_of_service: out.csv\n")


def test_truth_beside_the_hits(read):
    names = NAMES.strip() + ",true_energy_eev,true_zenith_deg,true_azimuth_deg,true_core_x_m\n"
    rows = [f"{row},{10 + int(row[0])},30,-90,5" for row in ROWS]
    truth = read(names + "\n".join(rows)).truth
    np.testing.assert_allclose(truth.energy, [13, 17])
    np.testing.assert_allclose(np.degrees(truth.zenith), 30)
    np.testing.assert_allclose(np.degrees(truth.azimuth), 270)
    np.testing.assert_allclose(truth.core_x, 5)
    assert np.isnan(truth.core_y).all()
    for old, new, message in (
        (",17,30", ",18,30", "event 7: its hits differ in the true energy"),
        (",13,30", ",-1,30", "event 3: true energy -1 cannot be"),
        (",13,30", ",13,120", "event 3: true zenith"),
    ):
        with pytest.raises(InputError, match=message):
            read(names + "\n".join(rows).replace(old, new, 1))


@pytest.mark.parametrize("n", [150, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("which", ["stations", "hits"])
def test_tables_with_a_wrong_structure(rng, tmp_path, which, n):
    (tmp_path / "s.csv").write_text(STATIONS)
    (tmp_path / "h.csv").write_text(HITS)
    text = STATIONS if which == "stations" else HITS

    def read(paths):
        target = paths[-1]
        convert(
            [target, tmp_path / "h.csv"] if which == "stations" else [tmp_path / "s.csv", target]
        )

    def files_named(paths):
        try:
            read(paths)
        except InputError as error:
            # A hit without its station is a matter of both tables.
            named = str(tmp_path / "h.csv") in str(error)
            raise InputError(f"{paths[-1]}: {error}" if named else str(error)) from None

    refused = fuzz(
        rng, tmp_path, b"", ".csv", n, read=files_named, damage=lambda r, _: nasty_table(r, text)
    )
    assert refused > n // 3
