"""Pictures of both reports in a browser, on a desk, on a phone and in the dark: docs/pictures.

    python docs/make_report_pictures.py results/report.html build/mine/report.html

The first page is that of `tashower report`, the second that of `tashower report-data`. Needs a
Chromium (tests/browser.py) and Pillow.
"""

import io
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from browser import Browser  # noqa: E402

FOLDER = ROOT / "docs" / "pictures"
NAMES = ("report", "data_report")
#: Colours of a picture, and its largest size [bytes] (choices: what a page of documentation bears).
COLOURS, LARGEST = 96, 300_000
#: {name: (width, height [px], dark, phone, section that stands on top)}
SCREENS = {
    "desk": (1280, 1500, False, False, ""),
    "phone": (360, 780, False, True, ""),
    "dark": (1280, 1300, True, False, "#direction"),
}
#: Where the data report has no section of that name.
SECTIONS = {"data_report": {"#direction": "#residuals"}}


def save(content: bytes, path: Path) -> None:
    """Write a screenshot with few colours.

    Raises
    ------
    ValueError : it is too large all the same.
    """
    image = Image.open(io.BytesIO(content)).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {size / 1e3:.0f} kB")
    if size > LARGEST:
        raise ValueError(f"{path}: {size} bytes are too many")


def draw(browser: Browser, page: Path, name: str) -> None:
    """One report on every screen."""
    for screen, (width, height, dark, phone, section) in SCREENS.items():
        browser.screen(width, height, dark=dark, mobile=phone)
        browser.open(page, SECTIONS.get(name, {}).get(section, section))
        save(browser.screenshot(), FOLDER / f"{name}_{screen}.png")


def main(pages: list[str]) -> None:
    """Draw all of them."""
    if len(pages) != len(NAMES):
        raise SystemExit(__doc__)
    with Browser() as browser:
        for name, page in zip(NAMES, pages, strict=True):
            draw(browser, Path(page), name)


if __name__ == "__main__":
    main(sys.argv[1:])
