"""`tashower view`, `ts.view`: what the page holds, which events, bad input."""

import base64
import html
import json
import logging
import re
import shutil
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hits import make_events, make_reconstruction

import tashower as ts
from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.cli import main
from tashower.evaluation import station_marks
from tashower.evaluation.event_text import method_cells
from tashower.evaluation.page import statement_of
from tashower.evaluation.refit import Made
from tashower.evaluation.sample import single_event
from tashower.evaluation.show_event import fit_on_the_spot
from tashower.evaluation.station_fits import stations_of
from tashower.evaluation.view import Choice, as_json_in_html, chosen_of, for_screen, view_page
from tashower.evaluation.view_data import (
    Fitted,
    dash_array,
    lines_of_all,
    list_method,
    packed,
    page_data,
    rounded,
)
from tashower.events.array import Detector, regular_array
from tashower.events.model import concatenate_events, select_events
from tashower.io.event_file import read_events, write_events
from tashower.io.reconstruction_file import write_reconstruction

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "tashower" / "evaluation" / "templates" / "view"


@pytest.fixture(scope="module")
def fitted():
    events = read_events(ROOT / "data" / "sample.h5")[[3, 4, 7]]
    return Fitted(events, *fit_on_the_spot(events, read_calibration(DEFAULT)))


@pytest.fixture(scope="module")
def folder(fitted, tmp_path_factory):
    """The events with ids of their own, their fits, and fits of others."""
    folder = tmp_path_factory.mktemp("view")
    ids = np.array([4774, 9, 9])
    tables = {name: replace(table, event_id=ids) for name, table in fitted.tables.items()}
    write_events(folder / "e.h5", replace(fitted.events, event_id=ids), {})
    write_reconstruction(folder / "f.h5", tables, {}, fitted.pulses, stage="fit")
    write_reconstruction(folder / "other.h5", fitted.tables, {}, fitted.pulses, stage="fit")
    return folder


def data_of(fitted, positions=None, path="sample.h5"):
    positions = np.arange(len(fitted.events)) if positions is None else positions
    found = page_data(fitted, lines_of_all(fitted), positions, path, "some")
    json.dumps(found, allow_nan=False)
    return found


def data_in(path):
    text = Path(path).read_text(encoding="utf-8")
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1]
    )


def unpacked(text, kind, shape):
    """What the page does, in other words: bytes by place, differences from bin to bin."""
    hits, bins, layers = shape
    kind = np.dtype(kind)
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    values = planes.reshape(kind.itemsize, -1).T.copy().view(kind.newbyteorder("<"))
    values = values.reshape(hits, layers, bins)
    if kind == np.uint16:
        folded = values.astype(np.int64)
        step = np.where(folded % 2, -(folded + 1) // 2, folded // 2)
        values = (np.cumsum(step, axis=2) % 65536).astype(np.uint16)
    return np.moveaxis(values, 1, 2)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_waveforms_come_back_bit_for_bit(rng, kind):
    values = rng.integers(0, 65536, (3, 40, 2)).astype(kind)
    values[0, :4, 0] = [0, 65535, 0, 32768]
    if kind == "float32":
        values[1, 2, 1] = np.nan
    np.testing.assert_array_equal(unpacked(packed(values), kind, values.shape), values)


def test_quiet_waveforms_take_a_few_bits_a_bin(rng):
    noise = np.round(rng.normal(6, 0.75, (30, 256, 2))).astype(np.uint16)
    assert len(packed(noise)) < 0.5 * noise.size


def test_an_event_holds_the_numbers_of_stations_of(fitted):
    data = data_of(fitted)
    for i, found in enumerate(data["events"]):
        one = single_event(fitted.events, i, fitted.tables, fitted.pulses)
        names = {line["name"]: k for k, line in enumerate(data["lines"])}
        fits = ("free", "published", "constrained", "complete")
        assert list(names) == ["true", *(f"{name} fit" for name in fits)]
        fits = {k: v for k, v in one.tables.items() if k != "plane"}
        for name, stations in stations_of(fits, one.events, one.pulses, fitted.made).items():
            method = found["methods"][names[f"{name} fit"]]
            residual = np.array(method["residual"], float)
            np.testing.assert_allclose(residual, stations.residual, atol=0.051)
            np.testing.assert_allclose(method["r"], stations.r, rtol=1e-4)
            assert method["state"] == stations.state.tolist()
            p = stations.shower.parameters
            np.testing.assert_allclose(method["core"][:2], [p.core_x, p.core_y], rtol=1e-5)
            across = np.sin(p.zenith) * np.array([np.cos(p.azimuth), np.sin(p.azimuth)])
            np.testing.assert_allclose(method["core"][2:], across, rtol=1e-5)
            column = found["table"]["columns"].index(names[f"{name} fit"])
            cells = method_cells(name, one.tables[name], "S800", fitted.made)
            assert [row[1 + column] for row in found["table"]["rows"]] == cells
        assert found["main"] == names["complete fit"]
        assert found["known"]


def test_hits_hold_times_signals_and_waveforms(fitted):
    data = data_of(fitted)
    hits = data["events"][0]["hits"]
    one = single_event(fitted.events, 0, fitted.tables, fitted.pulses)
    waveform = unpacked(hits["waveform"], data["waveforms"]["kind"], one.events.waveform.shape)
    np.testing.assert_array_equal(waveform, one.events.waveform)
    # Begin of the waveform and leading edge are told on one scale, which begins with the fit.
    edge = np.array(hits["edge"], float)
    np.testing.assert_allclose(
        edge - hits["begin"], one.pulses.arrival_time - one.events.hit_time, atol=0.11
    )
    assert edge[np.array(hits["used"], bool)].min() == 0.0
    np.testing.assert_allclose(hits["signal"], one.pulses.signal, rtol=1e-3)
    np.testing.assert_allclose(hits["per_vem"], one.events.counts_per_vem, rtol=1e-4)
    dead = dict(map(tuple, [(m, tuple(s)) for m, s in data["events"][1]["quiet"]]))
    index = station_marks.MARKS.index(station_marks.DEAD)
    assert dead[index] == tuple(
        single_event(fitted.events, 1, {}, fitted.pulses).events.dead_station
    )


def test_the_list_says_energy_zenith_and_cuts_of_the_strongest_fit(fitted):
    data = data_of(fitted, np.array([3, 4, 7]))
    table = fitted.tables["complete"]
    assert data["listed"] == "complete fit"
    np.testing.assert_allclose([r["energy"] for r in data["rows"]], table.energy, rtol=1e-3)
    np.testing.assert_allclose(
        [r["zenith"] for r in data["rows"]], np.degrees(table.zenith), rtol=1e-4
    )
    assert [r["passes"] for r in data["rows"]] == table.passes_cuts.tolist()
    assert data["rows"][1]["cuts"] == "fails: zenith"
    assert [r["position"] for r in data["rows"]] == [3, 4, 7]
    assert data["events"][1]["place"] == "position 4 in sample.h5, counted from 0"


def test_the_list_goes_by_what_there_is(fitted):
    assert list_method({"mine": 1}, fitted.events.truth) == "mine"
    assert list_method({"mine": 1, "free": 2, "published": 3}, None) == "free"
    assert list_method({}, fitted.events.truth) == "true"
    assert list_method({}, None) == ""


def kinds(fitted):
    events, tables, pulses, made = fitted
    without = replace(events, waveform=None, pedestal=None, counts_per_vem=None, pulses=pulses)
    yield "no fit", Fitted(events, {}, pulses, Made(why="no reason"))
    yield "no truth", Fitted(replace(events, truth=None), tables, pulses, made)
    yield "nothing known", Fitted(replace(events, truth=None), {}, pulses, Made())
    yield "no waveforms", Fitted(without, tables, pulses, made)
    yield (
        "float",
        Fitted(replace(events, waveform=events.waveform.astype(np.float32)), tables, pulses, made),
    )


def test_every_kind_of_events_gives_data_without_nan(fitted, rng):
    for what, kind in kinds(fitted):
        data = data_of(kind)
        events = data["events"]
        assert (data["waveforms"] is None) == (what == "no waveforms")
        assert ("panels" in events[0]) == (what != "nothing known"), what
        if what == "no fit":
            assert events[0]["main"] == 0
            assert events[0]["notes"][0] == "No fit: no reason"
            assert data["listed"] == "true"


def test_one_layer_and_events_without_hits(rng):
    array = regular_array(6, 5, 1200.0, detector=Detector(n_layers=1))
    events = make_events(rng, 6, array)
    assert not np.diff(events.hit_offset).all()
    tables = {"free": make_reconstruction(rng, events), "mine": make_reconstruction(rng, events)}
    data = data_of(Fitted(events, tables, events.pulses, Made()))
    assert data["layers"] == ["layer 1"]
    for n, found in zip(np.diff(events.hit_offset), data["events"], strict=True):
        assert len(found["hits"]["station"]) == n
        assert ("view" in found) == (n > 0)


def test_numbers_are_rounded_and_what_is_none_is_none():
    assert rounded(np.array([[1.234567, np.nan], [np.inf, -0.0]]), 3) == [[1.23, None], [None, 0]]
    assert rounded(123456.0, 4) == 123500
    assert dash_array("-") == []
    assert dash_array((0, (7, 2))) == [7, 2]


def test_nothing_ends_the_script_that_holds_the_data():
    nasty = {"name": "</script><script>alert(1)</script><!-- & \u2028 é"}
    text = as_json_in_html(nasty)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == nasty
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_json_in_html([float("nan")])


def test_names_of_files_and_stations_are_text(fitted):
    nasty = "</script><img src=x onerror=alert(1)>"
    n = fitted.events.array.n_stations
    array = replace(fitted.events.array, station_name=np.array([f"{nasty}{k}" for k in range(n)]))
    page = view_page(
        fitted._replace(events=replace(fitted.events, array=array)),
        np.arange(3),
        nasty,
        f"{nasty}.h5",
    )
    assert page.count("</script>") == 2
    assert "<img" not in page
    assert f"{html.escape('</script>')}" in page


def test_all_marks_are_listed():
    marks = {m for m in vars(station_marks).values() if isinstance(m, station_marks.Mark)}
    assert marks == set(station_marks.MARKS)


def luminance(colour):
    linear = [(int(colour[k : k + 2], 16) / 255) for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in linear]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", ["#000000", "#999999", "#F0E442", "#0072B2", "#ffffff"])
def test_colours_stand_out_from_the_page(colour):
    assert 1.05 / (luminance(for_screen(colour, False)) + 0.05) >= 3.0
    assert (luminance(for_screen(colour, True)) + 0.05) / 0.065 >= 3.0
    assert for_screen("#0072B2", False) == "#0072b2"
    assert for_screen("#000000", True) == "#ffffff"


def test_which_events(fitted, caplog):
    many = select_events(fitted.events, np.arange(203) % 3)
    many = replace(many, event_id=np.arange(203) + 1000)
    with caplog.at_level(logging.WARNING, "tashower"):
        rows, text = chosen_of("e.h5", many, Choice())
    assert (len(rows), rows[-1], text) == (200, 199, "the first 200 of 203 events")
    assert "e.h5: the first 200 of 203 events are taken (--number" in caplog.text
    for number in (203, 300):
        assert chosen_of("e.h5", many, Choice(number=number))[1] == "all 203 events"
    rows, text = chosen_of("e.h5", many, Choice(ids=[1200, 1003]))
    assert (rows.tolist(), text) == ([200, 3], "2 of 203 events")
    assert chosen_of("e.h5", many, Choice(positions=[202, 0]))[0].tolist() == [202, 0]
    for choice, message in (
        (Choice(number=0), "--number 0"),
        (Choice(positions=[203]), "no event at position 203"),
        (Choice(ids=[1]), "no event with id 1"),
        (Choice(positions=[4, 4]), "position 4 is chosen twice"),
    ):
        with pytest.raises(ts.InputError, match=message):
            chosen_of("e.h5", many, choice)
    with pytest.raises(ts.InputError, match="holds no events"):
        chosen_of("e.h5", many[:0], Choice())


def test_the_command(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["view", str(folder / "e.h5"), "--fits", str(folder / "f.h5")]) == 0
    assert capsys.readouterr().out.strip() == "e-view.html"
    data = data_in("e-view.html")
    assert [row["id"] for row in data["rows"]] == [4774, 9, 9]
    assert data["events"][0]["known"]  # with the calibration of the package, which is the one
    stated = statement_of(Path("e-view.html"))
    assert [name for name, _ in stated["made_from"]] == ["e.h5", "f.h5"]
    words = ["view", str(folder / "e.h5"), "--event", "2", "--fits", str(folder / "f.h5")]
    assert main([*words, "-o", "new/one.html"]) == 0
    (row,) = data_in("new/one.html")["rows"]
    assert row["position"] == 2
    assert row["n"] == data["rows"][2]["n"]


def test_bad_input_leaves_what_was_there(folder, tmp_path, capsys):
    page = tmp_path / "p.html"
    page.write_text("as it was")
    for words, message in (
        (["--fits", str(folder / "other.h5")], "is not a reconstruction of"),
        (["--fits", str(folder / "absent.h5")], "no such file"),
        (["--id", "9"], "2 events have the id 9"),
        (["--calibration", str(folder / "e.h5")], "e.h5"),
    ):
        assert main(["view", str(folder / "e.h5"), "-o", str(page), *words]) == 2
        assert message in capsys.readouterr().err
    assert main(["view", str(folder / "e.h5"), "-o", str(tmp_path / "p.png")]) == 2
    assert "p.png: a page ends in .html" in capsys.readouterr().err
    assert main(["view", str(folder / "f.h5"), "-o", str(page)]) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["p.html"]
    assert page.read_text() == "as it was"


def test_fits_in_memory_and_the_files_that_convert_reads(fitted, tmp_path):
    fits = ts.Fits(fitted.tables, fitted.pulses)
    path = ts.view(
        fitted.events, fits, tmp_path / "m.html", event_id=[int(fitted.events.event_id[1])]
    )
    found = data_in(path)
    assert [row["cuts"] for row in found["rows"]] == ["fails: zenith"]
    assert found["events"][0]["known"]
    assert found["events"][0]["place"] == "position 1, counted from 0"
    data = data_in(ts.view(ROOT / "data" / "samples" / "auger.json", output=tmp_path / "a.html"))
    assert data["waveforms"] is None
    assert len(data["rows"]) == 1
    with pytest.raises(ts.InputError, match="not those of these events"):
        ts.view(fitted.events[1:], fits, tmp_path / "m.html")


@pytest.mark.skipif(not shutil.which("node"), reason="no node, which reads JavaScript")
@pytest.mark.parametrize("script", sorted(TEMPLATES.glob("*.js")), ids=lambda p: p.name)
def test_scripts_are_javascript(script):
    subprocess.run(["node", "--check", script], check=True)


@pytest.mark.slow
def test_two_hundred_events_are_less_than_20_mb(tmp_path):
    events = read_events(ROOT / "data" / "sample.h5")
    many = concatenate_events([events] * 4)
    page = ts.view(replace(many, event_id=np.arange(200)), output=tmp_path / "many.html")
    assert len(data_in(page)["rows"]) == 200
    assert page.stat().st_size < 20e6
