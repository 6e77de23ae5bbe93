"""Both reports in a real browser: no errors on the console, no request, a phone's width, a click
that enlarges, dark, printed.
"""

import io
from dataclasses import replace

import numpy as np
import pytest
from browser import Browser, find_browser
from PIL import Image

from tashower.calibration.calibration import DEFAULT
from tashower.cli import main
from tashower.io.event_file import read_events, write_events
from tashower.io.reconstruction_file import read_reconstruction, write_reconstruction

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason="needs a Chromium"),
]
CONFIG = "{scores: {bootstrap: 10, examples: 1}, samples: {test: 300}}"
NETWORKS = ("waveforms_and_features", "waveforms_only", "features_only", "my_network")
#: What stands out of the window, other than inside a box that scrolls.
WIDE = """[...document.querySelectorAll('body *')]
  .filter(e => !e.closest('.wide') && !e.closest('pre') && !e.closest('dialog')
    && e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.outerHTML.slice(0, 80))"""
#: Cells whose numbers take more than one line.
BROKEN = """[...document.querySelectorAll('td')].filter(e => {
    const text = document.createRange();
    text.selectNodeContents(e);
    return e.textContent.includes('±') && text.getClientRects().length > 1;
  }).map(e => e.textContent)"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The report of scores, and that of the same events without their truth."""
    folder = tmp_path_factory.mktemp("pages")
    events, fits = folder / "events.h5", folder / "fits.h5"
    assert main(["simulate", "--config", CONFIG, "--output", str(events)]) == 0
    assert main(["fit", str(events), "--calibration", str(DEFAULT), "--output", str(fits)]) == 0
    table = read_reconstruction(fits)[0]["constrained"]
    networks = []
    for name in NETWORKS:
        write_reconstruction(folder / f"{name}.h5", {name: table}, {})
        networks.append(f"{name}={folder / name}.h5")
    scores, both = folder / "scores.json", ["--network", *networks, "--calibration", str(DEFAULT)]
    where = ["--events", str(events), "--fits", str(fits), *both]
    assert main(["score", "--config", CONFIG, *where, "--output", str(scores)]) == 0
    found = {"scores": folder / "report.html", "data": folder / "data" / "report.html"}
    words = ["--scores", str(scores), "--output", str(found["scores"])]
    assert main(["report", "--config", CONFIG, *words]) == 0
    write_events(events, replace(read_events(events), truth=None), {}, ["theirs.csv"])
    words = [*where, "--simulated-fits", str(fits), "--output", str(found["data"])]
    assert main(["report-data", "--config", CONFIG, *words]) == 0
    return found


@pytest.fixture(scope="module")
def browser():
    with Browser() as one:
        yield one


def picture(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), float)


def dialog_is_open(browser):
    return browser.run("document.querySelector('dialog').open")


@pytest.mark.parametrize("which", ["scores", "data"])
def test_it_loads_without_errors_and_asks_for_nothing(browser, pages, which):
    browser.errors.clear(), browser.requests.clear()
    browser.screen(1280, 900)
    browser.open(pages[which])
    assert browser.errors == []
    asked = [address for address in browser.requests if not address.startswith("data:")]
    assert set(asked) <= {"about:blank", pages[which].as_uri()}
    broken = "[...document.querySelectorAll('figure img')].filter(i => !i.naturalWidth).length"
    assert browser.run(broken) == 0
    assert picture(browser.screenshot()).std() > 10  # not blank


@pytest.mark.parametrize("which", ["scores", "data"])
def test_it_fits_on_a_phone(browser, pages, which):
    browser.screen(360, 780, mobile=True)
    browser.open(pages[which])
    assert browser.run("document.documentElement.scrollWidth") == 360
    assert browser.run(WIDE) == []
    assert browser.run(BROKEN) == []


@pytest.mark.parametrize("which", ["scores", "data"])
def test_a_click_enlarges_and_escape_closes(browser, pages, which):
    browser.screen(1280, 900)
    browser.open(pages[which])
    width = browser.run("document.querySelector('figure img').clientWidth")
    assert not dialog_is_open(browser)
    browser.click("a.zoom")
    assert dialog_is_open(browser)
    same = "document.querySelector('dialog img').src === document.querySelector('a.zoom img').src"
    assert browser.run(same)
    browser.click("dialog img")  # to its own size
    natural = browser.run("document.querySelector('dialog img').naturalWidth")
    assert browser.run("document.querySelector('dialog img').clientWidth") == natural >= width
    browser.key("Escape", 27)
    assert not dialog_is_open(browser)
    assert browser.run("location.href").endswith("report.html")  # the link was not followed


def test_without_scripts_a_click_leads_to_the_picture(browser, pages):
    browser.screen(1280, 900)
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.call("Page.navigate", url=pages["scores"].as_uri())
        browser.wait("document.readyState === 'complete'")
        address = browser.run("document.querySelector('a.zoom').href")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert address == (pages["scores"].parent / "figures" / "angular_resolution.png").as_uri()


@pytest.mark.parametrize("which", ["scores", "data"])
def test_dark_pages_are_dark_and_their_figures_are_not(browser, pages, which):
    mean = {}
    for dark in (False, True):
        browser.screen(1280, 900, dark=dark)
        browser.open(pages[which])
        mean[dark] = picture(browser.screenshot())[:200].mean()
    assert mean[True] < 60 < 200 < mean[False]
    browser.run("document.querySelector('figure').scrollIntoView()")
    browser.settle()
    assert np.median(picture(browser.screenshot())[:500, 200:900]) > 200
    browser.screen(1280, 900)


@pytest.mark.parametrize("which", ["scores", "data"])
def test_printed_everything_that_explains_is_open(browser, pages, which):
    browser.screen(1280, 900)
    browser.open(pages[which])
    content = browser.pdf()
    assert content.startswith(b"%PDF")
    assert len(content) > 100_000
    browser.run("dispatchEvent(new Event('beforeprint'))")
    shut = "document.querySelectorAll('details.explained:not([open])').length"
    assert browser.run(shut) == 0
