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

_CHOSEN_BY_USER = "NUMBA_CACHE_DIR" in os.environ

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


def _cache_folder(module: str) -> str:
    parts = module.split(".")
    # A loop outside of the package may call any room.
    room = parts[1] if parts[0] == "tashower" and len(parts) > 2 else ""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "tashower", f"{room or 'other'}-{source_fingerprint(room)}")


def compiled(function: Callable | None = None, **options: object) -> Callable:
    """Decorator of a loop: compiled by numba, cached between processes, releases the interpreter
    lock.

    Division by zero gives inf or NaN, as in numpy. `options` go to `numba.njit`.
    """

    def decorate(function):
        if not _CHOSEN_BY_USER:
            numba.config.CACHE_DIR = _cache_folder(function.__module__)
        return numba.njit(
            function, **{"cache": True, "nogil": True, "error_model": "numpy", **options}
        )

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
