"""What made a file: software, commit, configuration, seed."""

import functools
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from tashower import __version__

#: Of a checkout, beside the package: what decides the result of a run.
_DECIDES = (
    *("Snakefile", "workflow", "profiles", "config", "environment.yml"),
    *("pyproject.toml", "requirements.lock.txt"),
)
#: New files that count as a change though git does not know them yet.
_CODE = (".py", ".smk", ".j2")


@functools.cache
def commit() -> str:
    """Commit of the checkout that the package runs from, with `+changes` where the package, the
    workflow, a profile or a requirement differs from it, or the package has a module that git does
    not know; "unknown" outside of git.
    """
    return commit_of(Path(__file__).resolve().parent.parent)


def commit_of(package: Path) -> str:
    """`commit` of the package in a folder."""

    def git(*words):
        command = ["git", "-C", str(package), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    try:
        head = git("rev-parse", "HEAD")
        # An installed package may lie in a checkout of something else.
        if head.returncode or git("ls-files", "--error-unmatch", "__init__.py").returncode:
            return "unknown"
        paths = [".", *(f":/{name}" for name in _DECIDES)]
        status = git("status", "--porcelain", "--untracked-files=all", "--", *paths).stdout
    except OSError:
        return "unknown"
    changed = any(
        not line.startswith("??") or line.rstrip('"').endswith(_CODE)
        for line in status.splitlines()
    )
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


def of_picture(suffix: str = ".png", source: str = "") -> dict[str, str]:
    """What made a picture, for matplotlib's `metadata`; empty for formats that hold none of it.

    source : what it shows, for pictures of scores their fingerprint
    """
    keys = {
        ".png": ("Software", "Source"),
        ".pdf": ("Creator", "Subject"),
        ".svg": ("Creator", "Source"),
    }
    if suffix not in keys:
        return {}
    creator, of = keys[suffix]
    made = {creator: f"{software()}, commit {commit()}, {now()}"}
    return made | ({of: source} if source else {})
