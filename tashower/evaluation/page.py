"""Pages: HTML from the templates, with pictures inside, so that a page needs nothing else."""

import base64
from collections.abc import Iterable
from pathlib import Path

import jinja2

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


def pictures(paths: Iterable[Path]) -> dict[str, str]:
    """{name: content in base 64} of pictures (PNG)."""
    return {path.stem: base64.b64encode(path.read_bytes()).decode() for path in paths}
