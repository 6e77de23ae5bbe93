"""How formulas and loops are compiled.

A function marked `formula` is plain Python that works on numpy arrays, and is compiled in when a
`compiled`
loop calls it with numbers: simulation, fit and tests use one and the same text.

numba's cache notices a change in the file of a compiled function, not in the files of the formulas
it calls. The cache folder is therefore named after the sources, so that a changed formula can never
leave an old loop behind.
"""

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numba
from numba.extending import register_jitable

from tashower.caches import COMPILING, cache_folder, say_once, why_not_writable

_CHOSEN_BY_USER = os.environ.get("NUMBA_CACHE_DIR")

#: Decorator of a formula: ordinary Python on arrays, compiled when called from a `compiled` loop.
formula = register_jitable


@cache
def source_fingerprint(room: str) -> str:
    """Twelve hexadecimal digits that change with any source file of the package that a loop of the
    given room may call: `physics`, `calibration` and the room itself; of room "", all of them.
    """
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for folder in sorted({"physics", "calibration", room}):
        for path in sorted((package / folder).rglob("*.py")):
            digest.update(str(path.relative_to(package)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def cache_root() -> str | None:
    """Folder of the compiled loops; None where there is none that can be written."""
    if _CHOSEN_BY_USER:
        reason = why_not_writable(_CHOSEN_BY_USER)
        if reason is None:
            return _CHOSEN_BY_USER
        say_once(f"NUMBA_CACHE_DIR={_CHOSEN_BY_USER}: {reason}: not used")
    return cache_folder()


def _cache_folder(module: str) -> str | None:
    parts = module.split(".")
    # A loop outside of the package may call any room.
    room = parts[1] if parts[0] == "tashower" and len(parts) > 2 else ""
    root = cache_root()
    return root and os.path.join(root, f"{room or 'other'}-{source_fingerprint(room)}")


def _usable(folder: str | None) -> bool:
    """Whether a folder for compiled loops can be written; if not, that is said."""
    if folder is None:
        return False
    reason = why_not_writable(folder)
    if reason is not None:
        say_once(f"{os.path.dirname(folder)}: {reason}: compiled loops are not kept")
    return reason is None


def _tolerant(save: Callable) -> Callable:
    """A method that keeps a compiled loop, which goes on where that fails: on a full disk."""

    def saved(*args):
        try:
            save(*args)
        except OSError as error:
            say_once(f"{cache_root()}: {error.strerror or error}: compiled loops are not kept")

    return saved


def compiled(function: Callable | None = None, **options: object) -> Callable:
    """Decorator of a loop: compiled by numba, cached between processes, releases the interpreter
    lock.

    Division by zero gives inf or NaN, as in numpy. `options` go to `numba.njit`; "fastmath" is not
    for us: with it sums and products are rounded as the compiler pleases, which differs between a
    loop from the cache and the same loop compiled anew. The cache is left
    out where it has no place, and no longer written where its disk is full.
    """

    def decorate(function):
        folder, before = _cache_folder(function.__module__), numba.config.CACHE_DIR
        # Else numba falls back to folders of its own, which a changed formula does not move.
        kept = _usable(folder)
        numba.config.CACHE_DIR = folder if kept else before
        try:
            loop = numba.njit(
                function, **{"cache": kept, "nogil": True, "error_model": "numpy", **options}
            )
        finally:
            numba.config.CACHE_DIR = before
        if kept and hasattr(loop, "_cache"):
            loop._cache.save_overload = _tolerant(loop._cache.save_overload)
        if hasattr(loop, "_cache"):
            COMPILING.watch(loop._cache)
        return loop

    return decorate if function is None else decorate(function)


def inner(function: Callable | None = None, *, inline: bool = True, **options: object) -> Callable:
    """Decorator of a function that other loops call a million times: `compiled`, put into its
    caller (`inline`), and without reference counts on arrays, which cost more than the arithmetic
    of a short function.

    Such a function must not allocate: no array is made in it, and no slice is assigned to a slice.
    """

    def decorate(function):
        return compiled(function, **{"_nrt": False, "forceinline": inline, **options})

    return decorate if function is None else decorate(function)
