"""`tashower doctor`: what this machine has, and whether the package works on it."""

import argparse
import ctypes
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tashower.cli.messages import say
from tashower.cli.words import add_command

#: Showers of the self-test, and what came of them where it was written: triggered events, those
#: that pass the cuts of the free fit, and its median opening angle [deg]. Made anew by this command
#: after a change that is meant to change results.
_SHOWERS, _SEED = 150, 1
_EXPECTED = (149, 100, 0.6582)
#: Events, and relative difference of the angle, by which another processor may differ (choice: it
#: rounds otherwise, which moves angles by parts in a million, and an event over a cut at most).
_EVENTS, _ANGLE = 1, 0.01
#: Bytes without which even a small run is in danger (choices).
_MEMORY, _DISK = 1e9, 1e9


def _kernel() -> str:
    """The kernels that OpenBLAS chose for this processor, on which the last digits depend."""
    import numpy as np

    folder = Path(np.__file__).parents[1]
    paths = {str(p) for room in ("numpy.libs", "numpy/.dylibs") for p in folder.glob(f"{room}/*")}
    try:  # of a system or of conda: wherever it was loaded from
        lines = Path("/proc/self/maps").read_text().splitlines()
        paths |= {line.split()[-1] for line in lines if ".so" in line}
    except OSError:
        pass
    for path in sorted(p for p in paths if "openblas" in os.path.basename(p)):
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for name in ("scipy_openblas_get_corename64_", "openblas_get_corename"):
            if hasattr(library, name):
                function = getattr(library, name)
                function.restype = ctypes.c_char_p
                return f"{function().decode()} ({os.path.basename(path)})"
    return "not OpenBLAS, or not found"


def _cores() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    return f"{usable} usable of {os.cpu_count()} ({platform.machine()}); OMP_NUM_THREADS {threads}"


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB" if size < float("inf") else "not known"


def _machine() -> Iterator[tuple[str, str, bool]]:
    """(what, found, whether that will do)."""
    import shutil

    from tashower.caches import why_not_writable
    from tashower.io import provenance
    from tashower.io.filters import describe_hdf5, has_filter
    from tashower.memory import free_memory
    from tashower.network.devices import describe_device
    from tashower.physics.compiled import cache_root

    versions = dict(provenance.versions())
    yield "tashower", f"{versions.pop('tashower')}, commit {provenance.commit()}", True
    yield "package", str(Path(__file__).resolve().parents[1]), True
    absent = [name for name, version in versions.items() if version == "absent"]
    yield "versions", ", ".join(f"{k} {v}" for k, v in versions.items()), not absent
    yield "system", platform.platform(), True
    yield "cores", _cores(), True
    memory = free_memory()
    yield "free memory", _gib(memory), memory > _MEMORY
    disk = shutil.disk_usage(".").free
    yield "free disk here", _gib(disk), disk > _DISK
    yield "graphics card", describe_device(), True
    yield "linear algebra", _kernel(), True
    yield "files", describe_hdf5(), has_filter()
    cache = cache_root()
    if cache is None:
        yield "cache", "no folder that can be written: loops are compiled by every command", False
    else:
        reason = why_not_writable(cache)
        n = sum(path.suffix == ".nbc" for path in Path(cache).rglob("*"))
        yield "cache", f"{cache}, {reason or f'{n} compiled loops'}", reason is None


def _self_test() -> tuple[str, bool]:
    """(what came of it, whether that is right)."""
    import numpy as np

    from tashower.calibration.calibration import DEFAULT
    from tashower.evaluation.scores import residuals
    from tashower.front_door import fit, simulate
    from tashower.io.event_file import read_events, write_events

    begin = time.monotonic()
    events = simulate(_SHOWERS, _SEED)
    with tempfile.TemporaryDirectory(prefix="tashower-") as folder:
        path = Path(folder) / "events.h5"
        write_events(path, events, {})
        same = np.array_equal(read_events(path).waveform, events.waveform)
    free = fit(events, DEFAULT, ["free"]).free
    good = free.passes_cuts
    angle = residuals(free[good], events[good].truth).angle
    found = len(events), int(good.sum()), float(np.degrees(np.median(angle)))
    right = (
        same
        and all(abs(a - b) <= _EVENTS for a, b in zip(found[:2], _EXPECTED[:2], strict=True))
        and abs(found[2] / _EXPECTED[2] - 1.0) <= _ANGLE
    )
    text = (
        f"{found[0]} of {_SHOWERS} showers triggered, {found[1]} pass the cuts, median opening "
        f"angle {found[2]:.4f} deg"
    )
    if not right:
        text += " (should be {}, {}, {})".format(*_EXPECTED)
        text += "" if same else "; waveforms came back from the disk otherwise"
    return f"{text}; {time.monotonic() - begin:.0f} s", right


def _doctor(args) -> int:
    checks = [*_machine()]
    for what, found, good in checks:
        say(f"{what}: {found}{'' if good else '  <- NOT GOOD'}")
    text, right = _self_test()
    say(f"self-test: {text}{'' if right else '  <- NOT GOOD'}")
    bad = [what for what, _, good in checks if not good] + ([] if right else ["self-test"])
    say("all is well" if not bad else f"not good: {', '.join(bad)}")
    return 1 if bad else 0


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `doctor`."""
    add_command(
        commands,
        "doctor",
        _doctor,
        "Say what this machine has, and simulate and fit a few events whose numbers are known: "
        "exit status 1 where something is not as it should be.",
    )
