"""How formulas and loops are compiled.

A function marked `formula` is plain Python that works on numpy arrays, and is compiled in when a
`compiled`
loop calls it with numbers: simulation, fit and tests use one and the same text.

numba's cache notices a change in the file of a compiled function, not in the files of the formulas
it calls. The cache folder is therefore named after the sources, so that a changed formula can never
leave an old loop behind; and as it says what the loops are made of, the same ones are found from
every place that the package lies in: checkouts, environments, containers.
"""

import hashlib
import os
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numba
from numba.core import caching
from numba.extending import register_jitable

from tashower.caches import COMPILING, cache_folder, say_once, why_not_writable

_CHOSEN_BY_USER = os.environ.get("NUMBA_CACHE_DIR")

_PACKAGE = Path(__file__).resolve().parent.parent

#: Decorator of a formula: ordinary Python on arrays, compiled when called from a `compiled` loop.
formula = register_jitable


@cache
def source_fingerprint(room: str) -> str:
    """Twelve hexadecimal digits that change with any source file of the package that a loop of the
    given room may call: `physics`, `calibration` and the room itself; of room "", all of them.
    """
    digest = hashlib.sha256()
    for folder in sorted({"physics", "calibration", room}):
        for path in sorted((_PACKAGE / folder).rglob("*.py")):
            digest.update(str(path.relative_to(_PACKAGE)).encode())
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


def _room(module: str) -> str:
    """The room of the package that a module is in; "" outside, whose loops may call any room."""
    parts = module.split(".")
    return parts[1] if parts[0] == "tashower" and len(parts) > 2 else ""


def _cache_folder(module: str) -> str | None:
    room, root = _room(module), cache_root()
    return root and os.path.join(root, f"{room or 'other'}-{source_fingerprint(room)}")


class _Place:
    """Where numba keeps a loop of the package, asked of it by these names: by module and line in
    the folder of its sources. numba itself goes by the path and the time of the file, and every
    checkout would compile the same loops anew.
    """

    @classmethod
    def from_function(cls, function: Callable, file: str) -> "_Place | None":
        """None for a loop outside of the package: its own file is not in the fingerprint."""
        inside = _room(function.__module__) and Path(file).resolve().is_relative_to(_PACKAGE)
        return cls(function) if inside else None

    def __init__(self, function: Callable):
        self._module = function.__module__
        self._line = function.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        """The folder of the module's loops."""
        return os.path.join(_cache_folder(self._module), self._module)

    def ensure_cache_path(self) -> None:
        """Make that folder."""
        os.makedirs(self.get_cache_path(), exist_ok=True)

    def get_source_stamp(self) -> str:
        """What a kept loop has to agree with: the sources that it may call."""
        return source_fingerprint(_room(self._module))

    def get_disambiguator(self) -> str:
        """What tells functions of one name in a module apart: the line."""
        return str(self._line)


class _Contents(caching.CompileResultCacheImpl):
    _locator_classes = (_Place, *caching.CompileResultCacheImpl._locator_classes)


class _Files(caching.IndexDataCacheFile):
    """numba numbers the files of a loop: two processes that compile it at once for two signatures,
    or for two kinds of processor, would write under one number, and one find the other's code.
    """

    def _data_name(self, number: int) -> str:
        return super()._data_name(number).replace(".nbc", f".{uuid.uuid4().hex[:12]}.nbc")


class _Kept(caching.FunctionCache):
    """Compiled loops of one function, between processes."""

    _impl_class = _Contents

    def __init__(self, function: Callable):
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, stamp)

    def save_overload(self, *args: object) -> None:
        """As numba does, but going on where that fails: on a full disk."""
        try:
            super().save_overload(*args)
        except OSError as error:
            say_once(f"{cache_root()}: {error.strerror or error}: compiled loops are not kept")


def _usable(folder: str | None) -> bool:
    """Whether a folder for compiled loops can be written; if not, that is said."""
    if folder is None:
        return False
    reason = why_not_writable(folder)
    if reason is not None:
        say_once(f"{os.path.dirname(folder)}: {reason}: compiled loops are not kept")
    return reason is None


def _kept(function: Callable, folder: str) -> _Kept:
    """The loops of a function in a folder, also of one outside of the package, which numba keeps
    in folders of its own that a changed formula does not move, unless it is told.
    """
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, folder
    try:
        return _Kept(function)
    finally:
        numba.config.CACHE_DIR = before


def compiled(
    function: Callable | None = None, *, cache: bool = True, **options: object
) -> Callable:
    """Decorator of a loop: compiled by numba, cached between processes, releases the interpreter
    lock.

    Division by zero gives inf or NaN, as in numpy. `options` go to `numba.njit`; "fastmath" is not
    for us: with it sums and products are rounded as the compiler pleases, which differs between a
    loop from the cache and the same loop compiled anew. The cache is left
    out where it has no place, and no longer written where its disk is full.
    """

    def decorate(function):
        loop = numba.njit(function, **{"nogil": True, "error_model": "numpy", **options})
        if hasattr(loop, "_cache"):  # not where numba is switched off
            folder = _cache_folder(function.__module__)
            if cache and _usable(folder):
                loop._cache = _kept(function, folder)
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
