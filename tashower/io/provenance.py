"""What made a file: software, commit, configuration, seed."""

import functools
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from tashower import __version__


@functools.cache
def commit() -> str:
    """Commit of the checkout that the package runs from, with `+changes` where it differs;
    "unknown" outside of git.
    """
    folder = Path(__file__).resolve().parent

    def git(*words):
        return subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False
        )

    try:
        head = git("rev-parse", "HEAD")
        if head.returncode:
            return "unknown"
        changed = git(
            "status", "--porcelain", "--untracked-files=no", "--", str(folder)
        ).stdout.strip()
    except OSError:
        return "unknown"
    return head.stdout.strip() + ("+changes" if changed else "")


def now() -> str:
    """The present time, ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def software() -> str:
    """Name and version of this package."""
    return f"tashower {__version__}"


@functools.cache
def versions(
    packages: Sequence[str] = (
        "numpy",
        "scipy",
        "numba",
        "h5py",
        "torch",
        "matplotlib",
        "snakemake",
    ),
) -> dict[str, str]:
    """Versions of Python and of the given packages, without importing them; "absent" where not
    installed.
    """
    found = {"python": platform.python_version(), "tashower": __version__}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def of_picture(suffix: str = ".png") -> dict[str, str]:
    """What made a picture, for matplotlib's `metadata`; empty for formats that hold none of it."""
    key = {".png": "Software", ".pdf": "Creator", ".svg": "Creator"}.get(suffix)
    return {key: f"{software()}, commit {commit()}, {now()}"} if key else {}
