"""Pages: HTML from the templates, with pictures inside, so that a page needs nothing else."""

import base64
import html
import json
import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import jinja2

from tashower.io import provenance
from tashower.io.stages import stated

_FOLDER = Path(__file__).with_name("templates")


def render(template: str, **content: object) -> str:
    """A template with its content; text is escaped, and what the template needs must be there."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**content)


def scores_source(name: str, content: bytes) -> str:
    """What pictures and tables of scores say that they were made from: the name of the file, and
    the checksum of its content.
    """
    return f"{name}, crc32 {zlib.crc32(content):08x}"


def is_picture_of(path: Path, source: str) -> bool:
    """Whether a PNG states that it was made from `source` (`figures.style.save`)."""
    return b"tEXtSource\0" + source.encode() in path.read_bytes()


def statement(stage: str, configuration: dict, made_from: Sequence[Sequence[str]]) -> str:
    """What a page states of how it was made, as JSON; `statement_of` reads it."""
    content = {
        "format": "tashower report",
        "software": provenance.software(),
        "commit": provenance.commit(),
        "created": provenance.now(),
        "made_from": [list(pair) for pair in made_from],
        **stated(stage, configuration),
    }
    return json.dumps(content, sort_keys=True)


def statement_of(path: Path) -> dict | None:
    """What a page states of how it was made, its `statement`; None for other files."""
    with path.open(encoding="utf-8", errors="replace") as file:
        found = re.search(r'<meta name="tashower" content="([^"]*)">', file.read(1 << 20))
    return json.loads(html.unescape(found[1])) if found else None


def pictures(paths: Iterable[Path]) -> dict[str, str]:
    """{name: content in base 64} of pictures (PNG)."""
    return {path.stem: base64.b64encode(path.read_bytes()).decode() for path in paths}
