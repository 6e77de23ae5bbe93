"""The site of the documentation (`make docs`): every page is in it, links lead somewhere, nothing
is loaded from elsewhere, and the search works from a disk.
"""

import importlib.util
import re
import runpy
from pathlib import Path

import pytest
from browser import Browser, find_browser

ROOT = Path(__file__).resolve().parent.parent
#: What the extra `docs` brings.
EXTRA = ("material", "nbconvert", "ipykernel")


@pytest.fixture(scope="module")
def make_site():
    return runpy.run_path(str(ROOT / "docs" / "make_site.py"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; notebooks are not run (tests/test_notebooks.py does)."""
    if missing := [name for name in EXTRA if not importlib.util.find_spec(name)]:
        pytest.skip(f"no {', '.join(missing)}: the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("site")
    module = runpy.run_path(str(ROOT / "docs" / "make_site.py"))
    assert module["main"](["--into", str(folder)]) == 0
    return folder / "site"


def test_links_are_found_and_others_are_not(make_site):
    text = "[a](a.md) ![b](b.png#x) [c](https://c.org) [d](#here) [e](../e.py)"
    assert make_site["links"](text) == ["a.md", "b.png", "../e.py"]


def test_a_broken_link_ends_it(make_site, tmp_path):
    page = ROOT / "docs" / "view.md"
    lay_page = make_site["_lay_page"]
    lay_page.__globals__["ROOT"] = tmp_path
    (tmp_path / "page.md").write_text("See [there](nowhere.md).")
    with pytest.raises(make_site["BrokenLink"], match=r"page\.md: nowhere\.md"):
        lay_page(tmp_path / "page.md", tmp_path / "out.md")
    (tmp_path / "page.md").write_text(f"[there]({page})")
    with pytest.raises(make_site["BrokenLink"]):  # a file, but not of the repository
        lay_page(tmp_path / "page.md", tmp_path / "out.md")
    lay_page.__globals__["ROOT"] = ROOT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n* b\n  c\n\nd", "a\n\n* b\n    c\n\nd"),
        ("1. a\n\n       code\n\n   b\n2. c", "1. a\n\n        code\n\n    b\n\n2. c"),
        ("* a\n  * b\n\n  c\n\n    code", "* a\n    * b\n\n    c\n\n      code"),
        ("| 1 ± 2 |\n\n```\n| 1 ± 2 |\n```", "| 1\u00a0±\u00a02 |\n\n```\n| 1 ± 2 |\n```"),
        ("```\na\n* b\n```\n  c", "```\na\n* b\n```\n  c"),
    ],
)
def test_lists_are_indented_as_the_site_wants_them(make_site, text, expected):
    assert make_site["indented"](text) == expected


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ('<script src="https://a.org/x.js"></script>', "https://a.org/x.js"),
        ('<link href="//a.org/x.css" rel="stylesheet">', "//a.org/x.css"),
        ("<link rel=preconnect href=https://a.org>", "https://a.org"),
        ('<img alt="x" src=http://a.org/x.png>', "http://a.org/x.png"),
        ("<style>a{background:url(https://a.org/x.png)}</style>", "https://a.org/x.png"),
        ('<style>@import "https://a.org/x.css";</style>', "https://a.org/x.css"),
        ('<a href="https://a.org">a</a> <img src="x.png">', None),
    ],
)
def test_what_would_be_loaded_from_elsewhere_is_noticed(make_site, tmp_path, text, address):
    (tmp_path / "page.html").write_text(text)
    found = make_site["loaded_from_elsewhere"](tmp_path)
    assert found == ([] if address is None else [f"page.html: {address}"])


@pytest.mark.slow
def test_every_page_and_picture_is_in_it(site):
    for path in (ROOT / "docs").glob("*.md"):
        assert (site / "docs" / path.with_suffix(".html").name).is_file(), path
    for name in ("index.html", "config/index.html", "docs/notebooks/events_and_fits.html"):
        assert (site / name).is_file(), name
    for page in site.rglob("*.html"):
        text = page.read_text()
        for target in re.findall(r'<(?:a|img|script|link)\b[^>]*\b(?:href|src)="([^"#?]+)', text):
            if not re.match(r"[a-z]+:", target) and page.name != "404.html":
                assert (page.parent / target).exists(), (page, target)


@pytest.mark.slow
def test_no_list_or_table_is_left_as_text(site):
    for page in (site / "docs").glob("*.html"):
        for paragraph in re.findall(r"<p>(.*?)</p>", page.read_text(), re.S):
            assert not re.search(r"^(?:\* |\| |```|\d\. )", paragraph, re.M), (page, paragraph)


@pytest.mark.slow
def test_it_is_read_and_searched_from_a_disk(site):
    if not find_browser():
        pytest.skip("no Chromium is found (tests/browser.sh installs Debian's)")
    with Browser() as browser:
        browser.screen(1280, 900)
        browser.open(site / "index.html")
        browser.run("document.querySelector('[data-md-toggle=search]').click()")
        browser.run(
            "(() => { const field = document.querySelector('[data-md-component=search-query]');"
            "field.focus(); field.value = 'saturated'; field.dispatchEvent(new Event('keyup'));"
            "field.dispatchEvent(new Event('input', {bubbles: true})); })()"
        )
        browser.wait("document.querySelectorAll('.md-search-result__item a').length > 3")
        assert [a for a in browser.requests if not a.startswith(("file:", "about:", "data:"))] == []
        assert browser.errors == []
