"""What `tashower export` writes: the ending decides; tables of results read back by others."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from hits import make_events, make_reconstruction

from tashower.cli import main
from tashower.convert.export import format_of, result_columns
from tashower.errors import InputError
from tashower.events.array import regular_array
from tashower.events.model import FLAGS
from tashower.io.event_file import write_events
from tashower.io.reconstruction_file import write_reconstruction


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.dst", "ta_dst"),
        ("a.b.dst.gz", "ta_dst"),
        ("a.DST.bz2", "ta_dst"),
        ("a.txt", "ta_text"),
        ("a.txt.gz", "ta_text"),
        ("a.csv", "table"),
        ("a.parquet", "table"),
        ("a.FITS", "table"),
    ],
)
def test_the_ending_decides(name, kind):
    assert format_of(name) == kind
    assert format_of(name, kind) == kind
    with pytest.raises(InputError, match="ending is that of format"):
        format_of(name, "ta_text" if kind != "ta_text" else "ta_dst")


@pytest.mark.parametrize("name", ["a", "a.h5", "a.gz", "a.xlsx", ".dst", "a.csv.gz"])
def test_unknown_endings_are_refused(name):
    with pytest.raises(InputError, match=r"ending says|not packed"):
        format_of(name)


@pytest.fixture
def fits(tmp_path, rng):
    events = make_events(rng, 4)
    tables = {name: make_reconstruction(rng, events) for name in ("free", "network")}
    free = tables["free"]
    flags = free.flags.copy()
    flags[2] = 1 << FLAGS.index("zenith") | 1 << FLAGS.index("border")
    covariance = free.covariance.copy()
    covariance[:, 2, 2], covariance[:, 3, 3] = 0.01**2, 0.03**2
    tables["free"] = replace(free, flags=flags, covariance=covariance)
    tables["network"] = replace(tables["network"], covariance=np.full_like(covariance, np.nan))
    write_reconstruction(tmp_path / "f.h5", tables, {})
    write_events(tmp_path / "e.h5", events, {})
    return tmp_path, tables


def check(rows, tables):
    """Rows as dictionaries of text or numbers, whoever read them."""
    assert [r["method"] for r in rows] == ["free", "network"] * 4
    assert [int(r["event"]) for r in rows] == [1, 1, 4, 4, 7, 7, 10, 10]
    free, network = rows[4], rows[5]
    table = tables["free"]
    assert float(free["zenith_deg"]) == pytest.approx(np.degrees(table.zenith[2]), rel=1e-14)
    assert float(free["core_x_m"]) == table.core_x[2]
    assert float(free["core_x_error_m"]) == pytest.approx(0.1)
    assert float(free["size_error_vem_m2"]) == pytest.approx(0.1)
    assert float(free["zenith_error_deg"]) == pytest.approx(np.degrees(0.01))
    opening = np.hypot(0.01, 0.03 * np.sin(table.zenith[2]))
    assert float(free["opening_angle_error_deg"]) == pytest.approx(np.degrees(opening))
    assert free["flags"] == "zenith border"
    assert not int(free["passes_cuts"])
    assert rows[6]["flags"] == ""
    assert int(rows[6]["passes_cuts"])
    assert rows[0]["flags"] == "invalid"
    return free, network


def test_csv_read_back(fits, capsys):
    folder, tables = fits
    assert main(["export", str(folder / "f.h5"), "--to", str(folder / "f.csv")]) == 0
    assert "8 rows of free, network" in capsys.readouterr().out
    with (folder / "f.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    _, network = check(rows, tables)
    assert network["zenith_error_deg"] == network["opening_angle_error_deg"] == ""
    assert rows[0]["energy_eev"] == ""
    assert float(rows[4]["energy_error_eev"]) == tables["free"].energy_error[2]


def test_xmax_and_ln_a_have_columns_where_a_method_says_them(fits, rng):
    folder, tables = fits
    assert not {"xmax_g_cm2", "ln_a"} & set(result_columns(tables))
    own = {name: rng.normal(size=4) for name in ("xmax", "xmax_error", "ln_a", "ln_a_error")}
    tables["network"] = replace(tables["network"], **own)
    write_reconstruction(folder / "m.h5", tables, {})
    assert main(["export", str(folder / "m.h5"), "--to", str(folder / "m.csv")]) == 0
    with (folder / "m.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = {"xmax_g_cm2": "xmax", "xmax_error_g_cm2": "xmax_error"}
    for column, name in (names | {"ln_a": "ln_a", "ln_a_error": "ln_a_error"}).items():
        assert [row[column] for row in rows[::2]] == [""] * 4
        assert [float(row[column]) for row in rows[1::2]] == own[name].tolist()


@pytest.mark.extra
def test_parquet_read_back(fits):
    parquet = pytest.importorskip("pyarrow.parquet")
    folder, tables = fits
    assert main(["export", str(folder / "f.h5"), "--to", str(folder / "f.parquet")]) == 0
    _, network = check(parquet.read_table(folder / "f.parquet").to_pylist(), tables)
    assert np.isnan(network["zenith_error_deg"])


@pytest.mark.extra
def test_fits_read_back(fits):
    astropy = pytest.importorskip("astropy.io.fits")
    folder, tables = fits
    assert main(["export", str(folder / "f.h5"), "--to", str(folder / "f.fits")]) == 0
    with astropy.open(folder / "f.fits") as file:
        data = file["RESULTS"].data
        rows = [dict(zip(data.names, row, strict=True)) for row in data.tolist()]
        assert file["RESULTS"].columns["zenith_deg"].unit == "deg"
    check(rows, tables)


@pytest.mark.parametrize("module", ["pyarrow", "astropy"])
def test_packages_that_are_not_there(fits, monkeypatch, capsys, module):
    import sys

    folder, _ = fits
    for name in (module, f"{module}.parquet", f"{module}.io"):
        monkeypatch.setitem(sys.modules, name, None)
    output = folder / ("f.parquet" if module == "pyarrow" else "f.fits")
    assert main(["export", str(folder / "f.h5"), "--to", str(output)]) == 2
    assert f"pip install {module}" in capsys.readouterr().err
    assert not output.exists()


def test_what_does_not_fit_together(fits, capsys, rng):
    folder, _ = fits
    floats = make_events(rng, 2, regular_array(4, 4, 1200.0))
    floats = replace(floats, waveform=floats.waveform.astype(np.float32))
    write_events(folder / "floats.h5", floats, {})
    for source, to, message in (
        ("e.h5", "x.csv", "is made of 'tashower reconstruction'"),
        ("f.h5", "x.dst", "is made of 'tashower events'"),
        ("floats.h5", "x.dst", "no whole counts"),
        ("e.h5", "x.h5", "ending says"),
        ("none.h5", "x.dst", "no such file"),
    ):
        assert main(["export", str(folder / source), "--to", str(folder / to)]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        assert not (folder / to).exists()
