"""Pages that are made from the sources are up to date, and pictures and links exist."""

import re
import runpy
from pathlib import Path

import pytest

import tashower as ts

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def api():
    return runpy.run_path(str(ROOT / "docs" / "make_api.py"))


def test_the_api_page_is_up_to_date(api):
    assert (ROOT / "docs" / "api.md").read_text() == api["page"](), "run: make api"


def test_every_public_name_has_its_section_and_a_docstring(api):
    page = api["page"]()
    for name in ts.__all__:
        section = page.split(f"\n## ts.{name}\n")[1].split("\n## ")[0]
        assert getattr(ts, name).__doc__.split("\n")[0] in section
    assert not re.search(r"\| *\|$", page, re.M)


@pytest.mark.parametrize(
    "path",
    [ROOT / "CONTRIBUTING.md", ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))],
    ids=lambda p: p.name,
)
def test_links_within_the_repository_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), target
