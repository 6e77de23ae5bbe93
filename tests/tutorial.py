"""What a page of the documentation says to type, run as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "tutorial_own_array.md"


def blocks(page: Path) -> list[tuple[str, str]]:
    """[(language, text)] of the fenced blocks of a page, in their order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.M | re.S)


def run_page(page: Path, folder: Path, configuration: str, small: dict | None = None) -> str:
    """Run all `sh` blocks of a page, from an empty folder on; returns what they print.

    configuration : file in the folder that the first block makes and `yaml` blocks are added to
    small : keys of the configuration that are changed then; None: as the page has it

    Raises
    ------
    AssertionError : a command fails, with what it said.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    printed = ""
    for language, text in blocks(page):
        if language == "yaml":
            with (folder / configuration).open("a") as file:
                file.write(text)
            if small is not None:
                found = yaml.safe_load((folder / configuration).read_text())
                for section, keys in small.items():
                    found[section] = found.get(section, {}) | keys
                (folder / configuration).write_text(yaml.safe_dump(found))
        elif language == "sh":
            # The next block goes on in the folder where this one ends.
            script = f"set -e\n{text}\npwd > '{folder}/where'\n"
            where = folder / "where"
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=where.read_text().strip() if where.exists() else folder,
                env=os.environ | {"PATH": path},
                capture_output=True,
                text=True,
            )
            printed += done.stdout + done.stderr
            assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return printed
