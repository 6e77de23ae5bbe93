"""Pictures of the documentation that are taken in a browser: `make pictures`.

    python docs/make_pictures.py [NAME ...]

A function for each picture, which takes the folder for its files; NAME: only those. Needs a
Chromium (tests/browser.sh installs Debian's).
"""

import base64
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "pictures"
sys.path.insert(0, str(ROOT / "tests"))

from browser import Browser, find_browser  # noqa: E402
from tutorial import PAGE, run_page  # noqa: E402

import tashower as ts  # noqa: E402
from tashower.cli import main as cli  # noqa: E402


def save(png: bytes, name: str) -> None:
    """Keep a picture, and say so."""
    (TARGET / name).write_bytes(png)
    sys.stdout.write(f"docs/pictures/{name}\n")


def _screens(browser: Browser, page: Path, fragment: str, name: str, ready: str = "true") -> None:
    """A page at a desk, at a desk in the dark, and on a phone."""
    for kind, width, height in (("desk", 1280, 1240), ("dark", 1280, 1240), ("phone", 360, 1000)):
        browser.screen(width, height, dark=kind == "dark", mobile=kind == "phone")
        browser.open(page, fragment)
        browser.wait(ready)
        save(browser.screenshot(), f"{name}_{kind}.png")


def view(browser: Browser, folder: Path) -> None:
    """`tashower view` of the sample, one event of it."""
    page = ts.view(ROOT / "data" / "sample.h5", output=folder / "view.html")
    ready = "document.getElementById('waveform').children.length > 0"
    _screens(browser, page, "#id=22&station=504", "view", ready)


def of_tutorial(browser: Browser, array: Path) -> None:
    """What the commands of docs/tutorial_own_array.md made in a folder."""
    save((array / "event.png").read_bytes(), "tutorial_event.png")
    browser.screen(1280, 1000)
    browser.open(array / "report.html")
    save(browser.screenshot(), "tutorial_report.png")
    browser.open(array / "view.html", "#id=3&station=9")
    browser.wait("document.getElementById('waveform').children.length > 0")
    save(browser.screenshot(), "tutorial_view.png")


def tutorial(browser: Browser, folder: Path) -> None:
    """The array of docs/tutorial_own_array.md, at the sizes of the page: six minutes of a core."""
    run_page(PAGE, folder, "array/mine.yaml")
    of_tutorial(browser, folder / "array")


def explain(browser: Browser, folder: Path) -> None:
    """What the first network of results/ (`make run`) looks at: an event of the page."""
    results = ROOT / "results"
    words = [str(results / "networks/waveforms_and_features/checkpoint.pt")]
    words += ["--events", str(results / "events/test/000.h5")]
    words += ["--fits", str(results / "reconstructions/test/000.h5")]
    page = folder / "explain.html"
    if cli(["explain", *words, "--output", str(page)]):
        raise SystemExit(2)
    browser.open(page)
    content = browser.run("document.querySelector('#figure-event_2 img').src")
    save(base64.b64decode(content.partition(",")[2]), "explain.png")


PICTURES: dict[str, Callable[[Browser, Path], None]] = {
    "view": view,
    "tutorial": tutorial,
    "explain": explain,
}


def main(names: list[str]) -> int:
    """Take the pictures of these names, or all; returns the exit status."""
    if unknown := set(names) - set(PICTURES):
        sys.stderr.write(f"no picture {', '.join(unknown)}; there are: {', '.join(PICTURES)}\n")
        return 2
    if not find_browser():
        sys.stderr.write("no Chromium is found (tests/browser.sh installs Debian's)\n")
        return 2
    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        for name in names or PICTURES:
            PICTURES[name](browser, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
