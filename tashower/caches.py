"""Where things are kept that only save time: the cache folder of the user, or, where a home is
missing or read-only, a folder of this user among the temporary files.
"""

import logging
import multiprocessing
import os
import stat
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from typing import Any

_log = logging.getLogger("tashower")


def _speaks() -> bool:
    """Whether this is the first of the processes that work together."""
    return multiprocessing.parent_process() is None and os.environ.get("LOCAL_RANK", "0") == "0"


@cache
def say_once(text: str) -> None:
    """A warning, once, by the first of the processes that work together."""
    if _speaks():
        _log.warning(text)


class Compiling:
    """Says once that compiling takes long, when it has taken a second: not of a loop or two.

    `begin` and `end` stand around the compiling of each loop, in which others may be compiled.
    """

    #: Seconds of compiling after which it is said (choice).
    LONG = 1.0

    def __init__(self):
        self._depth, self._spent, self._begun = 0, 0.0, 0.0
        self._timer: threading.Timer | None = None
        self._said = False

    def begin(self) -> None:
        """A loop is not in the cache: it is compiled."""
        self._depth += 1
        if self._depth == 1 and not self._said:
            self._begun = time.monotonic()
            self._timer = threading.Timer(max(0.0, self.LONG - self._spent), self._say)
            self._timer.daemon = True
            self._timer.start()

    def end(self) -> None:
        """It is compiled."""
        self._depth = max(0, self._depth - 1)
        if self._depth == 0 and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._spent += time.monotonic() - self._begun

    def _say(self) -> None:
        if not self._said and _speaks():
            _log.info(
                "compiling the loops for this machine: about half a minute, once for this version"
            )
        self._said = True

    def watch(self, kept: Any) -> None:
        """Stand around the compiling that a cache of numba's has a part in."""
        load, save = kept.load_overload, kept.save_overload

        def loaded(*args):
            found = load(*args)
            if found is None:
                self.begin()
            return found

        def saved(*args):
            self.end()
            save(*args)

        kept.load_overload, kept.save_overload = loaded, saved


#: That of this process.
COMPILING = Compiling()


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
