"""Speed of `tashower convert` against what only reads the same bytes: gzip for a packed DST file,
numpy for a text dump.

    python benchmarks/convert.py [n_events]

Events of the default configuration, one core, the best of three. Ours checks every bank, builds the
array and writes the event file.
"""

import gzip
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tashower.config import load_config
from tashower.convert.convert import convert_file
from tashower.convert.ta_export import write_dst
from tashower.convert.ta_text_export import write_text
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.simulate import simulate_events


def seconds(function, repetitions: int = 3) -> float:
    """Least time of a few calls."""
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times)


def unpack(path) -> None:
    """Read all bytes of a gzip file."""
    with gzip.open(path) as file:
        while file.read(1 << 20):
            pass


def parse(path) -> None:
    """Read all numbers of a text dump."""
    with open(path, encoding="ascii") as file:
        for line in file:
            if line[0].isdigit():
                np.array(line.split(), float)


def main(n_events: int = 10_000) -> None:
    """Print seconds and ratios."""
    events = simulate_events(load_config(), "test", 0, n_events)
    pulses = find_pulses(events)
    with tempfile.TemporaryDirectory() as folder:
        dst, text, target = (Path(folder) / name for name in ("a.dst.gz", "a.txt", "a.h5"))
        write_dst(dst, events, pulses)
        write_text(text, events, pulses)
        print(
            f"convert, {events.n_events:,} events, one core        read [s]   convert [s]   "
            "read/convert"
        )
        for path, read in ((dst, unpack), (text, parse)):
            reading = seconds(lambda path=path, read=read: read(path))
            ours = seconds(lambda path=path: convert_file([path], target))
            size = f"{path.name:10} {path.stat().st_size / 1e6:7.1f} MB"
            print(f"  {size:44} {reading:6.2f}   {ours:11.2f}   {reading / ours:12.2f}")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
