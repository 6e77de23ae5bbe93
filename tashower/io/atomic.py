"""Files that are whole or not there: written under a temporary name and renamed."""

import glob
import os
import platform
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tashower.types import FilePath


@contextmanager
def written_aside(path: FilePath) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends well, and vanishes
    when it does not.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path)
    here = f"{platform.node()}-{os.getpid()}"
    handle, aside = tempfile.mkstemp(
        prefix=f".{path.name}.{here}.", suffix=".part", dir=path.parent
    )
    os.close(handle)
    try:
        try:
            yield Path(aside)
        except OSError as error:
            if error.filename not in (None, aside):
                raise
            # The name that the user knows, not the temporary one.
            raise OSError(error.errno, error.strerror or str(error), str(path)) from None
        with suppress(OSError):  # mounts of CIFS and S3 have one mode for all files
            os.chmod(aside, 0o666 & ~_umask())
        os.replace(aside, path)
    finally:
        Path(aside).unlink(missing_ok=True)


def remove_unfinished(folder: FilePath) -> None:
    """Remove what killed processes of this machine left below a folder: who writes a file again
    removes what lies beside it, but a network or a sample may no longer be asked for.
    """
    for left in Path(folder).rglob(".*.part"):
        _remove_of_dead(left, ".+")


def _remove_stale(path: Path) -> None:
    """Remove what processes of this machine left beside `path` when they were killed."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        _remove_of_dead(left, re.escape(path.name))


def _remove_of_dead(left: Path, name: str) -> None:
    node = re.escape(platform.node())
    found = re.fullmatch(rf"\.{name}\.{node}-(\d+)\.[^.]+\.part", left.name)
    if found and not _alive(int(found[1])):
        left.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
