"""Numbers of an event in words: digits, units, signs, and what is not there."""

from dataclasses import replace

import numpy as np
import pytest
from hits import make_events, make_reconstruction

from tashower.evaluation.event_text import (
    NOTHING,
    cuts_text,
    energy_texts,
    method_cells,
    number,
    row_names,
    rows_of,
    time_text,
    true_cells,
    with_error,
)
from tashower.evaluation.refit import Made
from tashower.events.model import FLAGS

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "error", "unit", "text"),
    [
        (12345.678, 23.4, "m", "12,346 ± 23 m"),
        (-0.0001, 0.3, "m", "0.00 ± 0.30 m"),
        (-0.2, NAN, "m", "−0.200 m"),
        (8.512, 0.35, "EeV", "8.51 ± 0.35 EeV"),
        (1.23, 1234.0, "", "0 ± 1,200"),
        (22.4711, 0.618, "°", "22.47 ± 0.62°"),
        (3.3, 0.0, "ns", "3.30 ns"),
        (0.0, NAN, "ns", "0 ns"),
        (NAN, 1.0, "m", NOTHING),
        (np.inf, 1.0, "m", NOTHING),
        (5.0, np.inf, "m", "5.00 m"),
    ],
)
def test_values_with_errors(value, error, unit, text):
    assert with_error(value, error, unit=unit) == text


def test_numbers_have_no_minus_nought():
    assert [number(x, 1) for x in (-0.04, 0.0, -0.06, 1234.56)] == ["0.0", "0.0", "−0.1", "1,234.6"]
    assert number(NAN) == NOTHING


@pytest.mark.parametrize(
    ("energy", "error", "texts"),
    [
        (85.12, 3.1, ("85.1 ± 3.1 EeV", "19.930 ± 0.016")),
        (0.02, NAN, ("20.0 PeV", "16.30")),
        (3.2e-6, NAN, ("3.20 TeV", "12.51")),
        (NAN, 1.0, (NOTHING, NOTHING)),
        (0.0, 1.0, (NOTHING, NOTHING)),
    ],
)
def test_energies_in_units_of_their_size(energy, error, texts):
    assert energy_texts(energy, error) == texts


def test_times_in_units_of_their_size():
    assert [time_text(t) for t in (0.0, 12.0, -12345.0, 2.5e6)] == [
        "0 ns",
        "12.0 ns",
        "−12.3 µs",
        "2.50 ms",
    ]


@pytest.fixture
def table(rng):
    return make_reconstruction(rng, make_events(rng, 2))[1]


def test_which_cuts_fail(table):
    bits = (1 << FLAGS.index("bad_chi2")) + (1 << FLAGS.index("s800_error"))
    failed = replace(table, flags=np.array([bits], np.uint16))
    assert cuts_text("free", failed, "S600", Made()) == "fails: chi2, error of S600"
    for bit in range(len(FLAGS)):
        flagged = replace(table, flags=np.array([1 << bit], np.uint16))
        assert len(cuts_text("net", flagged, "S800", Made())) > len("fails: ")
    assert cuts_text("free", table, "S800", Made()) == "passes all"
    assert cuts_text("plane", table, "S800", Made()).startswith("none")
    assert cuts_text("new_fit", table, "S800", Made()) == "no failure stated"
    assert "of the fit" in cuts_text("net", table, "S800", Made(networks=["net"]))


def test_a_method_in_cells(table):
    names = row_names("S800")
    table = replace(
        table,
        chi2=np.array([24.93]),
        ndof=np.array([22], np.int32),
        n_stations=np.array([15], np.int32),
        n_excluded=np.array([2], np.int32),
    )
    made = Made(versions={"free": "tashower 1"}, networks=["net"])
    cells = dict(zip(names, method_cells("free", table, "S800", made), strict=True))
    assert cells["chi2/ndof"] == "24.9 / 22 = 1.13"
    assert cells["stations"] == "15 used, 2 rejected"
    assert cells["made by"] == "tashower 1"
    cells = dict(zip(names, method_cells("net", table, "S800", made), strict=True))
    assert cells["S800 [VEM/m²]"] == cells["curvature a"] == "that of the fit"
    assert "of the fit" in cells["chi2/ndof"]
    unsure = replace(table, covariance=np.eye(7)[None] * 25.0)
    cells = dict(zip(names, method_cells("free", unsure, "S800", made), strict=True))
    assert cells["azimuth"] == "undetermined"


def test_xmax_and_mass_in_cells(rng, table):
    names, made = row_names("S800"), Made(networks=["net"])
    of = {"xmax": 712.4, "xmax_error": 41.0, "ln_a": 2.13, "ln_a_error": 0.84}
    said = replace(table, **{name: np.array([value]) for name, value in of.items()})
    cells = dict(zip(names, method_cells("net", said, "S800", made), strict=True))
    assert cells["Xmax"] == "712 ± 41 g/cm²"
    assert cells["primary"] == "ln A = 2.13 ± 0.84"
    assert cells["zenith"] == cells["energy"] == cells["core, east"] == "that of the fit"
    nan = np.array([NAN])
    bare = replace(said, xmax_error=nan, ln_a_error=nan)
    cells = dict(zip(names, method_cells("net", bare, "S800", made), strict=True))
    assert (cells["Xmax"], cells["primary"]) == ("712 g/cm²", "ln A = 2.1")
    cells = dict(zip(names, method_cells("free", table, "S800", made), strict=True))
    assert cells["Xmax"] == cells["primary"] == ""
    events = make_events(rng, 1)
    xmax, mass = np.array([790.6]), np.array([56], np.int16)
    events = replace(events, truth=replace(events.truth, xmax=xmax, mass_number=mass))
    cells = dict(zip(names, true_cells(events), strict=True))
    assert (cells["Xmax"], cells["primary"]) == ("791 g/cm²", "A = 56, ln A = 4.03")
    events = replace(events, truth=replace(events.truth, mass_number=np.zeros(1, np.int16)))
    assert true_cells(events)[-1] == "A not known"


def test_lines_that_say_nothing_are_left_out(rng, table):
    nan = np.array([np.nan])
    lost = replace(table, energy=nan, s_ref=nan, curvature=nan, chi2=nan)
    rows = rows_of(row_names("S800"), [method_cells("plane", lost, "S800", Made())])
    names = [row.name for row in rows]
    assert "zenith" in names
    assert not {"energy", "S800 [VEM/m²]", "chi2/ndof", "made by"} & set(names)
    text = " ".join(cell for row in rows for cell in row.cells)
    assert "nan" not in text
    events = make_events(rng, 1)
    assert len(true_cells(events)) == len(row_names("S800"))
    assert "A = " in true_cells(events)[-1]
