"""Files that a command is given: they exist, each once, and none is the one that it writes."""

import os
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from tashower.errors import InputError


def require_file(path: str | PathLike) -> Path:
    """The path of a file that is there.

    Raises
    ------
    InputError : no such file, or a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, a file is needed")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return path


def same_file(a: str | PathLike, b: str | PathLike) -> bool:
    """Whether two paths lead to one file, through links as well; they need not exist."""
    try:
        return os.path.samefile(a, b)
    except OSError:
        return os.path.realpath(a) == os.path.realpath(b)


def check_paths(inputs: Iterable, outputs: Iterable[str | PathLike | None] = ()) -> None:
    """Refuse a command that would write over what it reads, or that is given a file twice.

    Parameters
    ----------
    inputs : paths, or lists of paths of one kind; within a list each file may stand once
    outputs : paths of files to write; None is left out

    Raises
    ------
    InputError : names the file.
    """
    groups = [[one] if isinstance(one, (str, os.PathLike)) else list(one) for one in inputs if one]
    for group in groups:
        for path in group:
            if os.path.isdir(path):
                raise InputError(f"{path}: is a folder, a file is needed")
        seen: dict[tuple[int, int], object] = {}  # hard links have several true names
        for path in group:
            if not os.path.isfile(path):
                continue
            found = os.stat(path)
            key = (found.st_dev, found.st_ino)
            if key in seen:
                also = "" if seen[key] == path else f", also as {seen[key]}"
                raise InputError(f"{path}: is there twice{also}")
            seen[key] = path
    outputs = [output for output in outputs if output is not None]
    for i, output in enumerate(outputs):
        if any(same_file(other, output) for other in outputs[:i]):
            raise InputError(f"{output}: would be written twice by this command")
        if os.path.isdir(output):
            raise InputError(f"{output}: is a folder, the name of a file is needed")
        for path in (path for group in groups for path in group):
            if same_file(path, output):
                raise InputError(f"{output}: is read by this command and would be overwritten")


#: Arguments of commands that name files to read, each list once, and files to write.
_READ = (
    "file",
    "events",
    "fits",
    "calibration",
    "station_likelihood",
    "anomalies",
    "truth",
    "checkpoint",
    "simulated_fits",
    "training",
    "scores",
    "config",
)
_ONCE = (
    ("files", "stations"),
    ("reference", "events"),
    ("simulated", "towards"),
    ("events", "calibrate"),
    ("train_events", "validation_events"),
    ("train_fits", "validation_fits"),
)
_WRITTEN = ("output", "to")


def check_arguments(arguments: dict) -> None:
    """`check_paths` for the arguments of any command, {name: value}.

    Raises
    ------
    InputError : names the file.
    """

    def paths(name) -> list[str]:
        value = arguments.get(name)
        # A configuration may be text, a lateral distribution a name, what one calibrates a number.
        words = value if isinstance(value, (list, tuple)) else [value]
        return [word for word in words if isinstance(word, str) and not word.startswith("{")]

    # `refine` writes its checkpoint where there are data to learn from.
    written = (*_WRITTEN, "checkpoint") if arguments.get("towards") else _WRITTEN
    networks = [word.partition("=")[2] for word in paths("network") if "=" in word]
    groups = [paths(name) for name in _READ if name not in written]
    groups += [[path for name in names for path in paths(name)] for names in _ONCE]
    outputs = [path for name in written for path in paths(name)]
    check_paths([*groups, networks, paths("lateral")], outputs)
