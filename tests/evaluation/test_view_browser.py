"""The page of `tashower view` in a real browser."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, find_browser
from matplotlib.image import imread

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.evaluation.refit import Made
from tashower.evaluation.show_event import fit_on_the_spot
from tashower.evaluation.view import view_page
from tashower.evaluation.view_data import Fitted
from tashower.io.event_file import read_events

ROOT = Path(__file__).resolve().parents[2]
NASTY = "</script><img src=x onerror=alert(1)>"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not find_browser(), reason="no Chromium (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def fitted():
    events = read_events(ROOT / "data" / "sample.h5")[:6]
    events = replace(events, event_id=np.array([4774, 12, 9, 9, 17, 3]))
    return Fitted(events, *fit_on_the_spot(events, read_calibration(DEFAULT)))


def written(fitted, path, name="sample.h5"):
    n = len(fitted.events)
    path.write_text(view_page(fitted, np.arange(n), f"all {n} events", name), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page(fitted, tmp_path_factory):
    return written(fitted, tmp_path_factory.mktemp("page") / "page.html")


@pytest.fixture(scope="module")
def chromium():
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(chromium):
    chromium.errors.clear()
    chromium.requests.clear()
    chromium.screen(1280, 900)
    yield chromium
    assert chromium.errors == []
    assert all(address.startswith(("file:", "about:", "data:")) for address in chromium.requests)


def opened(browser, page, fragment=""):
    browser.open(page, fragment)
    browser.wait("part('waveform').children.length > 0")


def waveform(browser):
    browser.run("drawStation().then(() => 1)")
    return browser.run("[...document.querySelectorAll('#waveform .layer')].map(n => n.outerHTML)")


def title(browser, of="title"):
    return browser.run(f"part('{of}').textContent")


def pixels(browser):
    return imread(io.BytesIO(browser.screenshot()), format="png")[..., :3]


def test_it_loads_asks_for_nothing_and_is_not_blank(browser, page):
    opened(browser, page)
    assert [a for a in browser.requests if a.startswith("file:")] == [page.resolve().as_uri()]
    assert title(browser) == "event id 4774"
    colours = np.unique(np.round(pixels(browser).reshape(-1, 3) * 15).astype(int), axis=0)
    assert len(colours) > 50
    for panel in ("map", "waveform", "front", "lateral"):
        assert browser.run(f"part('{panel}').getBoundingClientRect().height") > 150


def test_a_click_on_a_station_shows_its_waveforms(browser, page, fitted):
    opened(browser, page)
    before, station = waveform(browser), title(browser, "station-title")
    assert len(before) == fitted.events.array.detector.n_layers
    hit = browser.run("(state.hit + 3) % data.events[0].hits.station.length")
    browser.click(f"#map .hit[data-hit='{hit}'] .target")
    after = waveform(browser)
    assert title(browser, "station-title") != station
    assert after != before
    index = fitted.events.hit_station[hit]
    assert title(browser, "station-title") == f"station {fitted.events.array.name_of(index)}"
    assert browser.run("location.hash").startswith("#id=4774&station=")
    # In the panel of the front, too, and with the keyboard.
    other = browser.run("data.events[0].methods[data.events[0].main].used_time.indexOf(1)")
    browser.click(f"#front .hit[data-hit='{other}'] .target")
    assert browser.run("state.hit") == other
    browser.run(f"document.querySelector(\"#map .hit[data-hit='{hit}']\").focus()")
    browser.key("Enter", 13)
    assert browser.run("state.hit") == hit
    assert waveform(browser) == after
    browser.click("#farther")
    assert browser.run("state.hit") != hit


def test_waveforms_are_those_of_the_file(browser, page, fitted):
    opened(browser, page)
    for k in (0, 5):
        found = browser.run(f"waveformsOf({k}).then(w => w.map(h => h.map(l => [...l])))")
        hits = slice(*fitted.events.hit_offset[k : k + 2])
        np.testing.assert_array_equal(np.moveaxis(found, 1, 2), fitted.events.waveform[hits])


def test_waveforms_that_come_late_are_not_drawn_over_those_of_the_next_event(browser, page):
    opened(browser, page)
    browser.run(
        "{ const real = waveformsOf; waveformsOf = async (k) => {"
        "if (k === 0) await new Promise((r) => setTimeout(r, 300));"
        "return real(k); }; 1 }"
    )
    browser.run("selectEvent(0); selectEvent(1)")
    browser.run("new Promise((r) => setTimeout(r, 500))")
    late = browser.run("part('waveform').innerHTML.replace(/clip-[0-9]+/g, '')")
    browser.run("drawStation().then(() => 1)")
    assert browser.run("part('waveform').innerHTML.replace(/clip-[0-9]+/g, '')") == late


def test_the_pointer_tells_numbers(browser, page, fitted):
    opened(browser, page)
    assert browser.run("part('tip').hidden")
    browser.hover("#map .hit[data-hit='2'] .target")
    told = browser.run("part('tip').innerText")
    assert f"station {fitted.events.array.name_of(fitted.events.hit_station[2])}" in told
    assert "VEM (upper layer / lower layer)" in told
    assert "from the axis of the complete fit" in told
    browser.hover("#title")
    assert browser.run("part('tip').hidden")


def test_events_are_chosen_by_list_keys_buttons_and_address(browser, page):
    opened(browser, page)
    browser.click("#list button[data-event='4']")
    assert (title(browser), browser.run("location.hash")) == ("event id 17", "#id=17")
    browser.key("ArrowRight", 39)
    assert title(browser) == "event id 3"
    browser.click("#next")
    assert title(browser) == "event id 4774"
    browser.key("ArrowLeft", 37)
    browser.click("#previous")
    assert title(browser) == "event id 17"
    browser.run("location.hash = '#id=12'")
    browser.wait("part('title').textContent === 'event id 12'")
    # Two have the id 9: the address holds the position.
    browser.click("#list button[data-event='3']")
    assert browser.run("location.hash") == "#position=3"
    for fragment, event in (("#position=3", 3), ("#id=17", 4), ("#id=no", 0), ("", 0)):
        opened(browser, page, fragment)
        assert browser.run("state.event") == event


def test_the_list_is_searched_and_sorted(browser, page, fitted):
    opened(browser, page)

    def listed(search="", sort="position", down="false"):
        browser.run(
            f"part('search').value = '{search}'; part('search').dispatchEvent(new Event('input'));"
            f"part('sort').value = '{sort}'; part('sort').dispatchEvent(new Event('change'));"
            f"part('down').checked = {down}; part('down').dispatchEvent(new Event('change'))"
        )
        found = "[...document.querySelectorAll('#list button')].map(b => Number(b.dataset.event))"
        return browser.run(found)

    table = fitted.tables["complete"]
    energy, zenith = table.energy, np.degrees(table.zenith)
    assert listed() == list(range(6))
    assert listed("E>30") == np.flatnonzero(energy > 30).tolist()
    assert listed("zenith<=42 E>30") == np.flatnonzero((energy > 30) & (zenith <= 42)).tolist()
    assert listed("4774") == [0]
    assert listed("passes") == np.flatnonzero(table.passes_cuts).tolist()
    assert listed(sort="energy", down="true") == np.argsort(-energy).tolist()
    assert listed(sort="n") == np.argsort(np.diff(fitted.events.hit_offset), kind="stable").tolist()
    assert listed("nothing of that kind") == []


def test_methods_are_switched_off_and_on(browser, page):
    opened(browser, page)

    def drawn():
        return browser.run(
            "['map', 'front', 'lateral'].map(p => "
            "document.querySelectorAll(`#${p} [stroke='var(--line-4)']`).length)"
        )

    before = drawn()
    assert all(n > 0 for n in before)
    assert title(browser, "methods").count("complete fit") == 1
    browser.click("#methods label:nth-child(5) input")
    assert drawn() == [0, 0, 0]
    browser.key("ArrowRight", 39)  # stays so in the next event; keys in a box of choice do nothing
    browser.click("#next")
    assert drawn() == [0, 0, 0]
    browser.click("#methods label:nth-child(5) input")
    assert all(n > 0 for n in drawn())


def test_units_and_the_part_of_the_waveform(browser, page):
    opened(browser, page)
    assert "VEM per 20 ns" in title(browser, "waveform")
    browser.run("part('unit').value = 'counts'; part('unit').dispatchEvent(new Event('change'))")
    browser.wait("part('waveform').textContent.includes('counts per 20 ns')")
    whole = waveform(browser)
    browser.click("#pulse")
    assert waveform(browser) != whole
    assert "leading edge" in title(browser, "waveform")


@pytest.mark.parametrize("event", range(6))
def test_a_phone_scrolls_down_only(browser, page, event):
    browser.screen(360, 740, mobile=True)
    opened(browser, page, f"#position={event}" if event in (2, 3) else "")
    browser.run(f"selectEvent({event})")
    browser.settle()
    assert browser.run("document.documentElement.scrollWidth") == 360
    hit = browser.run("(state.hit + 1) % data.events[state.event].hits.station.length")
    browser.tap(f"#map .hit[data-hit='{hit}'] .target")
    browser.wait(f"state.hit === {hit}")


def test_light_dark_and_printed(browser, page):
    background = "getComputedStyle(document.body).backgroundColor"
    means = []
    for dark in (False, True):
        browser.screen(1280, 900, dark=dark)
        opened(browser, page)
        means.append(pixels(browser).mean())
    assert means[0] > 0.85
    assert means[1] < 0.25
    dark = browser.run(background)
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.run(background) != dark
    assert browser.run("getComputedStyle(part('chooser')).display") == "none"
    assert browser.pdf().startswith(b"%PDF")
    browser.call("Emulation.setEmulatedMedia", media="")


def kinds(fitted):
    events, tables, pulses, made = fitted
    array = replace(
        events.array, station_name=np.array([f"{NASTY}{k}" for k in range(events.array.n_stations)])
    )
    yield "nasty", Fitted(replace(events, array=array), tables, pulses, made)
    yield "no fit", Fitted(replace(events, truth=None), {}, pulses, Made())
    yield "truth alone", Fitted(events, {}, pulses, Made())
    without = replace(events, waveform=None, pedestal=None, counts_per_vem=None, pulses=pulses)
    yield "no waveforms", Fitted(without, tables, pulses, made)
    waveform = events.waveform.astype(np.float32)
    waveform[0, 5] = np.nan
    yield "float", Fitted(replace(events, waveform=waveform), tables, pulses, made)


def test_every_kind_of_events_and_no_nan(browser, fitted, tmp_path):
    for what, kind in kinds(fitted):
        path = written(kind, tmp_path / "kind.html", f"{NASTY}.h5" if what == "nasty" else "e.h5")
        opened(browser, path)
        for event in range(len(fitted.events)):
            browser.run(f"selectEvent({event})")
            browser.run("drawStation().then(() => 1)")
            shown = browser.run(
                "document.body.innerText + [...document.querySelectorAll('svg')]"
                ".map(s => s.outerHTML).join()"
            )
            for word in ("NaN", "undefined", "Infinity", "null"):
                assert word not in shown, (what, event)
        assert browser.run("document.querySelectorAll('img').length") == 0
        said = title(browser, "waveform")
        assert (said == "the file holds no waveforms") == (what == "no waveforms")
        assert browser.run("part('front-panel').hidden") == (what == "no fit")
