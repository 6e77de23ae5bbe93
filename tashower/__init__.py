"""Air-shower simulation, analytic and neural reconstruction on surface-detector grids.

    import tashower as ts

    events = ts.simulate(n=200, seed=1)     # or ts.read("events.h5")
    fits = ts.fit(events)
    fits.free.to_pandas()
    ts.show(events, event=3)

Importing the package loads nothing heavy: each name loads what it needs when it is first used.
"""

from importlib import import_module

__version__ = "0.2.0"

# Public name -> module that holds it.
_HOME = {
    "Fits": "tashower.front_door",
    "InputError": "tashower.errors",
    "apply": "tashower.front_door",
    "fit": "tashower.front_door",
    "read": "tashower.front_door",
    "score": "tashower.front_door",
    "show": "tashower.front_door",
    "simulate": "tashower.front_door",
    "view": "tashower.front_door",
}

__all__ = ["Fits", "InputError", "apply", "fit", "read", "score", "show", "simulate", "view"]


def __getattr__(name: str) -> object:
    """The public names, loaded on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'tashower' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
