"""The documentation as a static site that needs no network to be read: `make docs`.

    python docs/make_site.py [--run-notebooks] [--into FOLDER]

Pages are laid out in build/pages as they lie in the repository, with every file that they link to,
notebooks as Markdown; mkdocs makes build/site of them (docs/site/mkdocs.yml) and fails where a link
leads nowhere. --run-notebooks: run them, and keep what they print and draw (a minute or two).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
SETTINGS = ROOT / "docs" / "site" / "mkdocs.yml"
#: Where pages begin; what they link to comes along.
FIRST = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "config/README.md",
    "data/README.md",
    "tests/foreign/README.md",
)
_LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")
#: What a page of the site must not load, in HTML and style sheets.
_LOADS = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*\b(?:src|data)\s*=\s*[\"']?\s*"
    r"((?:https?:)?//[^\"'\s>]+)"
    r"|<link\b(?=[^>]*rel=[\"']?(?:stylesheet|preload|preconnect|icon))[^>]*href=[\"']?"
    r"((?:https?:)?//[^\"'\s>]+)"
    r"|url\(\s*[\"']?((?:https?:)?//[^\"')\s]+)|@import\s+[\"']((?:https?:)?//[^\"']+)",
    re.I,
)


class BrokenLink(Exception):
    """A page links to what is not there."""


def links(text: str) -> list[str]:
    """Targets of links of a Markdown text to files, as they are written."""
    return [found[2] for found in _LINK.finditer(text) if not re.match(r"[a-z]+:", found[2])]


def as_markdown(path: Path, run: bool) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and its pictures by name; run: what its cells print and draw, too."""
    import nbformat
    from nbconvert import MarkdownExporter
    from nbconvert.preprocessors import ExecutePreprocessor

    book = nbformat.read(path, as_version=4)
    if run:
        kernel = ExecutePreprocessor(timeout=600, kernel_name="python3")
        kernel.preprocess(book, {"metadata": {"path": str(path.parent)}})
    resources = {"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    text, found = MarkdownExporter().from_notebook_node(book, resources)
    # Tables of pandas carry their style; the site has its own.
    text = re.sub(r"<style scoped>.*?</style>\n?", "", text, flags=re.S)
    return re.sub(r"\n{3,}", "\n\n", text), found["outputs"]


def indented(text: str) -> str:
    """A Markdown text with what belongs to an entry of a list indented by four, as Python-Markdown
    wants it, not by the two or three of CommonMark; and with a blank line before a list, and after
    an entry of several paragraphs. Numbers in tables keep their errors on their line.
    """
    lines, width, fenced, long = [], 0, False, False
    # width: of the mark of the entry that we are in, 0 for none; long: it has several paragraphs
    for line in text.split("\n"):
        fenced ^= line.lstrip().startswith("```")
        blank_before = not lines or not lines[-1].strip()
        entry = None if fenced else re.match(r"(?:[*-]|\d+\.) +", line)
        depth = len(line) - len(line.lstrip())
        if entry:
            if (long or not width) and not blank_before:
                lines.append("")
            width, long = len(entry[0]), False
        elif width and line.strip() and depth >= width:
            line, long = " " * (4 - width) + line, long or blank_before
        elif width and line.strip() and blank_before:
            width = 0
        if line.startswith("|") and not fenced:
            line = line.replace(" ± ", "\u00a0±\u00a0")
        lines.append(line)
    return "\n".join(lines)


def _lay_page(source: Path, target: Path) -> list[Path]:
    """Write a page into the layout; returns what it links to."""
    text, found = source.read_text(), []

    def settled(match: re.Match) -> str:
        before, link, anchor, after = match.groups()
        if re.match(r"[a-z]+:", link):
            return match[0]
        path = (source.parent / link).resolve()
        if not path.exists() or not path.is_relative_to(ROOT):
            raise BrokenLink(f"{source.relative_to(ROOT)}: {link}: is not there")
        if path.is_dir():  # of notebooks: the first of them stands for all
            found.extend(books := sorted(path.glob("*.ipynb")))
            if not books:
                raise BrokenLink(f"{source.relative_to(ROOT)}: {link}: a folder without a page")
            link = f"{link.rstrip('/')}/{books[0].name}"
        else:
            found.append(path)
        return before + link.replace(".ipynb", ".md") + (anchor or "") + after

    target.write_text(indented(_LINK.sub(settled, text)))
    return found


def lay_out(pages: Path, run_notebooks: bool = False) -> None:
    """Lay out all pages, and what they link to, in an empty folder.

    Raises
    ------
    BrokenLink : a page links to what is not in the repository.
    """
    shutil.rmtree(pages, ignore_errors=True)
    waiting = [ROOT / name for name in FIRST] + sorted((ROOT / "docs").glob("*.md"))
    waiting += sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
    done = set()
    while waiting:
        source = waiting.pop()
        if source in done:
            continue
        done.add(source)
        target = pages / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            waiting += _lay_page(source, target)
        elif source.suffix == ".ipynb":
            text, pictures = as_markdown(source, run_notebooks)
            target.with_suffix(".md").write_text(text)
            for name, content in pictures.items():
                (target.parent / name).parent.mkdir(exist_ok=True)
                (target.parent / name).write_bytes(content)
        else:
            shutil.copyfile(source, target)
    (pages / "assets").mkdir(exist_ok=True)
    for script in (ROOT / "docs" / "site").glob("*.js"):
        shutil.copyfile(script, pages / "assets" / script.name)


def loaded_from_elsewhere(site: Path) -> list[str]:
    """What the pages of a site would load over the network: "page: address"."""
    return [
        f"{path.relative_to(site)}: {next(filter(None, found.groups()))}"
        for path in sorted(site.rglob("*"))
        if path.suffix in (".html", ".css", ".svg")
        for found in _LOADS.finditer(path.read_text(errors="replace"))
    ]


def main(words: list[str]) -> int:
    """Build the site; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run-notebooks", action="store_true")
    parser.add_argument("--into", type=Path, default=BUILD, help="folder for pages and site")
    args = parser.parse_args(words)
    pages, site = args.into / "pages", args.into / "site"
    try:
        lay_out(pages, args.run_notebooks)
    except BrokenLink as broken:
        sys.stderr.write(f"{broken}\n")
        return 1
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean"]
    # Not --quiet, which keeps warnings from failing a strict build.
    made = subprocess.run(
        [*command, "--config-file", str(SETTINGS)],
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PAGES": str(pages), "SITE": str(site)},
        stderr=subprocess.PIPE,
        text=True,
    )
    if made.returncode:
        sys.stderr.write(made.stderr)
        return made.returncode
    if elsewhere := loaded_from_elsewhere(site):
        sys.stderr.write("\n".join(["would need a network to be read:", *elsewhere]) + "\n")
        return 1
    sys.stdout.write(f"{site / 'index.html'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
