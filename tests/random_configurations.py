"""Random valid configurations, each simulated, calibrated and fitted in a process of its own.

    python tests/random_configurations.py [number] [seed]

Every number is drawn from the range that the schema gives; of keys without a limit it lies around
the default, now and then far from it. A configuration may be refused in one line. A traceback, a
killed or hanging process, or a result that cannot be is a failure.
"""

import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import load_config, schema
from tashower.errors import InputError
from tashower.io.event_file import read_events, write_events
from tashower.reconstruction.calibrate import calibrate
from tashower.reconstruction.reconstruct import reconstruct
from tashower.simulation.simulate import array_from_config, simulate_events

SECTIONS = ("array", "detector", "showers", "front", "reconstruction")
#: Showers that are calibrated on, and those that are fitted; fewer of each where so many stations
#: have to be looked at.
CALIBRATED, FITTED = 500, 60
STATIONS = 250_000
#: Seconds of processor time after which a configuration hangs, and bytes that its process may take.
SECONDS, MEMORY = 60, 4 << 30
#: Seconds on the clock after which it is given up: it waits for something, or the machine is busy.
PATIENCE = 600.0
#: Mean share of the keys that differ from their default, and of those without a limit that are far
#: from it.
CHANGED, FAR = 0.4, 0.2


def _number(rng, entry: dict) -> float:
    """A number that a key of the schema may have."""
    low = entry.get("minimum", entry.get("exclusiveMinimum"))
    high = entry.get("maximum", entry.get("exclusiveMaximum"))
    default = entry["default"]
    wide = low is None or high is None or (low <= 0 and high > 100 * abs(default or 1.0))
    if wide:
        decades = 4.0 if rng.random() < FAR else 1.0
        value = (default or 1.0) * 10.0 ** rng.uniform(-decades, decades)
        if (low is None or low < 0) and rng.random() < 0.3:
            value = -value
        value = value if low is None else max(value, low)
        value = value if high is None else min(value, high)
    elif rng.random() < 0.15:  # the limits themselves
        value = (low, high)[rng.integers(2)]
    elif low > 0 and high > 30 * low:
        value = low * (high / low) ** rng.random()
    else:
        value = rng.uniform(low, high)
    if "exclusiveMinimum" in entry:
        value = max(value, low + 1e-3 * (high - low if high else 1.0))
    return round(value) if entry["type"] == "integer" else float(f"{value:.6g}")


def _value(rng, name: str, entry: dict) -> object:
    if "enum" in entry:
        return entry["enum"][rng.integers(len(entry["enum"]))]
    if name == "primaries":
        names = np.array(["proton", "helium", "nitrogen", "iron"])
        chosen = names[rng.random(4) < 0.5]
        return {str(each): float(rng.integers(1, 9)) for each in chosen} or {"proton": 1.0}
    return _number(rng, entry)


def random_configuration(rng: np.random.Generator) -> dict:
    """The values of a valid configuration, small in its samples."""
    while True:
        values = {"seed": int(rng.integers(2**31))}
        for section in SECTIONS:
            entry = schema()["properties"][section]
            keys = schema()["$defs"][entry["$ref"].rsplit("/", 1)[-1]]["properties"]
            values[section] = {
                name: _value(rng, name, key)
                for name, key in keys.items()
                if name not in ("stations", "lateral", "errors") and rng.random() < CHANGED
            }
        values["showers"].pop("throws", None)
        try:
            load_config(values)
        except InputError:
            continue  # the lowest energy above the highest
        return values


def absurd(events, tables: dict, own: bool) -> str:
    """What cannot be in fits that are accepted; empty where all is well.

    own : the calibration is that of this configuration
    """
    for name, table in tables.items():
        good = table.passes_cuts & (np.isfinite(table.energy) | (name == "plane"))
        columns = {"zenith": table.zenith, "azimuth": table.azimuth, "chi2": table.chi2}
        if name != "plane":
            good = table.passes_cuts
            columns |= {"energy": table.energy, "s_ref": table.s_ref, "t0": table.t0}
            columns |= {"core_x": table.core_x, "curvature": table.curvature}
        for key, column in columns.items():
            if not np.isfinite(column[good]).all():
                return f"{name}: {key} of an accepted event is not finite"
        if name == "plane" or not own or good.sum() < 10:
            continue
        off = np.median(np.log10(table.energy[good] / events.truth.energy[good]))
        if abs(off) > 2.0:
            return f"{name}: energies are off by 10^{off:.1f}"
        angle = np.median(np.abs(table.zenith[good] - events.truth.zenith[good]))
        if angle > np.radians(20.0):
            return f"{name}: zenith angles are off by {np.degrees(angle):.0f} degrees"
    return ""


def try_one(values: dict) -> str:
    """Simulate, write, read, calibrate and fit; "" where all is well, "refused: ..." or what is
    absurd.
    """
    config = load_config(values)
    try:
        most = max(STATIONS // array_from_config(config).n_stations, 5)
        sample = simulate_events(config, "calibration", 0, min(CALIBRATED, most))
        events = simulate_events(config, "test", 0, min(FITTED, most))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "events.h5"
            write_events(path, events, values)
            events = read_events(path)
    except InputError as error:
        return f"refused: {error}"
    own = True
    try:
        calibration = calibrate(sample, config.reconstruction)
    except InputError:  # too few events
        default = read_calibration(DEFAULT)
        calibration, own = replace(default, described=events.array.described), False
    try:
        tables, _, features = reconstruct(events, calibration, config.reconstruction)
    except InputError as error:
        return f"refused: {error}"
    for name, column in features.items():
        if np.isinf(column).any():
            return f"feature {name} is infinite"
    return absurd(events, tables, own)


def _child(values: dict, pipe, seconds: int, memory: int) -> None:
    """`try_one` within limits of time and memory; what it says goes into the pipe."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 10))
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        said = try_one(values)
    except MemoryError as error:
        said = f"out of memory: {error}"
    except BaseException:  # whatever it is, it is the result
        said = "traceback: " + traceback.format_exc(limit=-4)
    pipe.send(said)


def outcome(values: dict, seconds: int = SECONDS, memory: int = MEMORY) -> str:
    """What `try_one` says of a configuration in a process of its own; or how the process ended."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([Path(__file__).stem])
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(values, sender, seconds, memory), daemon=True)
    child.start()
    sender.close()
    try:
        said = receiver.recv() if receiver.poll(PATIENCE) else f"waits: more than {PATIENCE:g} s"
    except EOFError:
        child.join()
        hangs = child.exitcode == -signal.SIGXCPU
        said = f"hangs: more than {seconds} s" if hangs else f"ended with {child.exitcode}"
    child.kill()
    child.join()
    return said


def run(n: int, seed: int = 0, say=lambda line: None) -> list[str]:
    """Failures of n random configurations: "number: what, values"."""
    failures = []
    for number in range(n):
        values = random_configuration(np.random.default_rng([seed, number]))
        said = outcome(values)
        say(f"{number}: {said or 'fine'}")
        if said and not said.startswith("refused: "):
            failures.append(f"{number}: {said}\n    {values}")
    return failures


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    words = [int(word) for word in sys.argv[1:]]
    found = run(*(words or [200]), say=lambda line: print(line, flush=True))
    print(f"{len(found)} failures", *found, sep="\n")
    sys.exit(bool(found))
