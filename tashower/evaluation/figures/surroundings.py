"""What matplotlib looks for when it is imported: folders that it can write, and a backend.

Figures are made without either, so that neither may stop them.
"""

import os
import sys

from tashower.caches import cache_folder, home, why_not_writable
from tashower.errors import InputError


def _folders() -> list[str] | None:
    """Where matplotlib keeps its settings and its list of fonts; None where there is no home."""
    if not home():
        return None
    if not sys.platform.startswith(("linux", "freebsd")):
        return [os.path.join(home(), ".matplotlib")]
    bases = [os.environ.get(name) for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME")]
    hidden = (os.path.join(home(), name) for name in (".config", ".cache"))
    return [
        os.path.join(base or own, "matplotlib") for base, own in zip(bases, hidden, strict=True)
    ]


def import_matplotlib() -> None:
    """Import matplotlib, where it would complain about its folders with a folder among our caches,
    and where it does not know the backend that the environment names with none.

    Raises
    ------
    InputError : it cannot be imported for another reason.
    """
    if "matplotlib" in sys.modules:
        return
    folders = _folders()
    usable = folders is not None and not any(map(why_not_writable, folders))
    if not usable and "MPLCONFIGDIR" not in os.environ and cache_folder():
        os.environ["MPLCONFIGDIR"] = os.path.join(cache_folder(), "matplotlib")
    try:
        import matplotlib
    except ValueError as error:
        backend = os.environ.pop("MPLBACKEND", None)
        if backend is None:
            raise InputError(f"matplotlib: {error}") from None
        for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
            del sys.modules[name]  # parts of an import that failed
        try:
            import matplotlib  # noqa: F401
        finally:
            os.environ["MPLBACKEND"] = backend
