"""Where things are kept that only save time: the cache folder of the user, or, where a home is
missing or read-only, a folder of this user among the temporary files.
"""

import logging
import multiprocessing
import os
import stat
import tempfile
from contextlib import suppress
from functools import cache

_log = logging.getLogger("tashower")


@cache
def say_once(text: str) -> None:
    """A warning, once, by the first of the processes that work together."""
    if multiprocessing.parent_process() is None and os.environ.get("LOCAL_RANK", "0") == "0":
        _log.warning(text)


def home() -> str | None:
    """The user's home; None where the environment names none and the system knows no such user, or
    where there is no such folder.
    """
    found = os.path.expanduser("~")  # stays "~" for a user without an entry
    return found if os.path.isabs(found) and os.path.isdir(found) else None


@cache
def why_not_writable(folder: str) -> str | None:
    """Make a folder; None if files can be made in it, else why not."""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        return error.strerror or str(error)
    return None


@cache
def temporary_home() -> str | None:
    """A folder that only this user can write, as compiled code is kept in it: the same one every
    time if nobody else has taken its name. None where there is no place for temporary files.
    """
    user = os.geteuid() if hasattr(os, "geteuid") else "user"
    try:
        folder = os.path.join(tempfile.gettempdir(), f"tashower-{user}")
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        found = os.lstat(folder)
        owned = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
        closed = not stat.S_IMODE(found.st_mode) & 0o077
        if stat.S_ISDIR(found.st_mode) and owned and closed and not why_not_writable(folder):
            return folder
        return tempfile.mkdtemp(prefix="tashower-")
    except OSError:
        return None


@cache
def cache_folder() -> str | None:
    """Folder of the package's caches, which exists and can be written; None where there is none.

    It is `tashower` in XDG_CACHE_HOME or in ~/.cache; where that cannot be, one among the temporary
    files, and one line says so (of a process and of all that it starts).
    """
    base = os.environ.get("XDG_CACHE_HOME")
    if not base and home():
        base = os.path.join(home(), ".cache")
    wanted = os.path.join(base, "tashower") if base else None
    reason = why_not_writable(wanted) if wanted else "no home folder"
    if reason is None:
        return wanted
    own = temporary_home()
    folder = own and os.path.join(own, ".cache", "tashower")
    if folder and why_not_writable(folder):
        folder = None
    what = f"{wanted}: {reason}" if wanted else reason
    where = f"are kept in {folder}" if folder else "are not kept"
    say_once(f"{what}: caches {where} (XDG_CACHE_HOME chooses another folder)")
    return folder
