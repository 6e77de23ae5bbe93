"""Pages: HTML from the templates, with pictures inside, so that a page needs nothing else."""

import base64
import html
import json
import os
import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

import jinja2
import markupsafe

from tashower.evaluation.rounding import RAISED
from tashower.io import provenance
from tashower.io.stages import stated
from tashower.types import FilePath

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
    environment.filters["coded"] = _coded
    environment.tests["words"] = _is_words
    return typeset(environment.get_template(template).render(**content))


def _is_words(cell: str) -> bool:
    """Whether a cell of a table is read, not compared: it stands at the left."""
    return len(cell) > 4 and cell[0].isalpha() and not cell.startswith("of the ")


def _coded(text: str) -> markupsafe.Markup:
    """A sentence in which `commands` stand between backquotes, as HTML."""
    parts = [str(markupsafe.escape(part)) for part in text.split("`")]
    return markupsafe.Markup(
        "".join(f"<code>{part}</code>" if k % 2 else part for k, part in enumerate(parts))
    )


#: What is left alone: tags with their attributes, and elements whose spaces count.
_NOT_TEXT = re.compile(r"<(?:style|script|pre|code)\b.*?</(?:style|script|pre|code)>|<[^>]*>", re.S)
#: A space within a number, its error and its unit, and within a bin.
_WITHIN = re.compile(
    r" (?=± ?\d)|(?<=±) (?=\d)|(?<=\d) (?=(?:deg|m|km|ns|µs|EeV|VEM)\b|[%°])"
    r"|(?<=\d) (?=– ?\d)|(?<=\d.–) (?=\d)"
)
#: A hyphen that stands for one, in front of a number in a sentence.
_MINUS = re.compile(r"(?<=[ (\n])-(?=\d)")
#: A power as it is typed.
_POWER = re.compile(r"(?<=[A-Za-z])\^(-?\d+)")


def typeset(page: str) -> str:
    """HTML whose lines are never broken between a number, its error and its unit, and whose minus
    signs and powers are some.
    """

    def of(text):
        text = _POWER.sub(lambda power: power[1].translate(RAISED), text)
        return _MINUS.sub("\N{MINUS SIGN}", _WITHIN.sub("\N{NO-BREAK SPACE}", text))

    parts, end = [], 0
    for tag in _NOT_TEXT.finditer(page):
        parts += [of(page[end : tag.start()]), tag[0]]
        end = tag.end()
    return "".join([*parts, of(page[end:])])


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


def links(paths: Iterable[Path], folder: FilePath | None) -> dict[str, dict[str, str]]:
    """{name: {"png": address, "pdf": address or ""}} of pictures as seen from the folder of a page;
    nothing where it is not known.
    """
    if folder is None:
        return {}

    def address(path: Path) -> str:
        return quote(Path(os.path.relpath(path, folder)).as_posix()) if path.is_file() else ""

    return {
        path.stem: {"png": address(path), "pdf": address(path.with_suffix(".pdf"))}
        for path in paths
    }


def pictures(paths: Iterable[Path]) -> dict[str, str]:
    """{name: content in base 64} of pictures (PNG)."""
    return {path.stem: base64.b64encode(path.read_bytes()).decode() for path in paths}
