"""Generated events beside simulated ones of the same showers: what stations show, by distance.

Run `python benchmarks/generation.py SIMULATED GENERATED`, event files of the same showers, as

    tashower simulate --config '{samples: {test: 3000}}' -o simulated.h5
    tashower generate flow/checkpoint.pt --config '{samples: {test: 3000}}' -o generated.h5

Errors are from the scatter of 20 groups of events. `tashower judge` compares more.
"""

import itertools
import sys
from typing import NamedTuple

import numpy as np

from tashower.config import load_config
from tashower.evaluation.tables import markdown_table
from tashower.events.model import Events
from tashower.generation.stations import considered, is_in_time, reduced
from tashower.io.event_file import read_events
from tashower.physics.geometry import axis_components, distance_along_axis
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.triggers import crossing_time

EDGES = (0, 500, 800, 1100, 1500, 2000, 2800, 4500)  # of the distance [m]
GROUPS = 20
WINDOW = 128  # bins in which risetimes are looked for


class Seen(NamedTuple):
    """What hits show, one row each, and their events."""

    event: np.ndarray  #: number of the shower
    r: np.ndarray  #: distance to the axis [m]
    in_time: np.ndarray  #: bool, belongs to the front
    columns: dict[str, np.ndarray]


def look(events: Events) -> Seen:
    """Of all hits."""
    truth, k = events.truth, events.hit_event
    place = events.array.position[events.hit_station]
    axis = [a[k] for a in axis_components(truth.zenith, truth.azimuth)]
    dx, dy, dz = place[:, 0] - truth.core_x[k], place[:, 1] - truth.core_y[k], place[:, 2]
    along = distance_along_axis(dx, dy, dz, *axis)
    r = np.sqrt(np.maximum(dx * dx + dy * dy + dz * dz - along**2, 0.0))
    pulses = find_pulses(events)
    plane = truth.t0[k] + along / 0.299792458
    light = events.waveform[:, :WINDOW] - events.pedestal[:, None]
    total = np.cumsum((light / events.counts_per_vem[:, None]).mean(axis=2), axis=1)
    rise = [(total > part * total[:, -1:]).argmax(axis=1) for part in (0.1, 0.5)]
    upper, lower = pulses.signal.T
    everywhere = np.ones((events.n_events, events.array.n_stations), bool)
    at = considered(truth, everywhere, load_config(None), events.array)
    n = events.array.n_stations
    row = np.searchsorted(at.shower * n + at.station, k * n + events.hit_station)
    row = np.minimum(row, len(at.shower) - 1)
    crossing = crossing_time(events.hit_time, events.array.detector.bin_width)
    return Seen(
        events.event_id[k],
        r,
        is_in_time(reduced(crossing - at.plane[row], at.conditions[row])),
        {
            "signal": np.log(np.maximum(pulses.signal.mean(axis=1), 0.1)),
            "onset": pulses.arrival_time - plane,
            "rise": (rise[1] - rise[0]) * events.array.detector.bin_width,
            "area/peak": pulses.area_over_peak,
            "layers": np.log(np.maximum(upper, 0.1) / np.maximum(lower, 0.1)),
            "peaks": pulses.n_peaks.mean(axis=1),
            "saturated": pulses.saturated.astype(float),
        },
    )


def middle(x: np.ndarray) -> float:
    """Median."""
    return float(np.median(x))


def half_width(x: np.ndarray) -> float:
    """Half of the middle 68 %."""
    low, high = np.percentile(x, [16, 84])
    return float(0.5 * (high - low))


#: Name of a row, column, number.
ROWS = (
    ("ln signal, median", "signal", middle),
    ("ln signal, half of 68 %", "signal", half_width),
    ("leading edge behind the plane [ns]", "onset", middle),
    ("its half of 68 % [ns]", "onset", half_width),
    ("10 to 50 % of the light [ns]", "rise", np.mean),
    ("its rms [ns]", "rise", np.std),
    ("area over peak [ns]", "area/peak", middle),
    ("its half of 68 % [ns]", "area/peak", half_width),
    ("ln upper/lower, rms", "layers", np.std),
    ("peaks in a layer", "peaks", np.mean),
    ("saturated", "saturated", np.mean),
)


def measured(seen: Seen, low: float, high: float, column: str, number) -> tuple[float, float]:
    """A number of the hits between two distances, and its error."""
    x = seen.columns[column]
    kept = (seen.r >= low) & (seen.r < high) & seen.in_time & np.isfinite(x)
    groups = [number(x[kept & (seen.event % GROUPS == g)]) for g in range(GROUPS)]
    return number(x[kept]), float(np.std(groups, ddof=1) / np.sqrt(GROUPS))


def cell(one: tuple[float, float]) -> str:
    """A number and its error."""
    digits = max(0, 1 - int(np.floor(np.log10(max(one[1], 1e-4)))))
    return f"{one[0]:.{digits}f} ± {one[1]:.{digits}f}"


def of_events(seen: Seen, events: Events, thrown: int) -> list[tuple[str, str]]:
    """Rows of what whole events show."""
    n_hits = np.diff(events.hit_offset)
    spurious = np.array(
        [(~seen.in_time & (seen.event % GROUPS == g)).sum() for g in range(GROUPS)]
    ) / np.array([(events.event_id % GROUPS == g).sum() for g in range(GROUPS)])
    part = events.n_events / thrown
    error = np.sqrt(part * (1.0 - part) / thrown)
    scatter = n_hits.std() / np.sqrt(len(n_hits))
    return [
        ("triggered", cell((part, error))),
        ("hits in an event", cell((n_hits.mean(), scatter))),
        ("rms of them", cell((n_hits.std(), scatter / np.sqrt(2.0)))),
        ("of these not in time", cell((spurious.mean(), spurious.std() / np.sqrt(GROUPS)))),
    ]


def main(simulated: str, generated: str) -> None:
    """Print the tables."""
    events = [read_events(path) for path in (simulated, generated)]
    thrown = 1 + max(int(one.event_id.max()) for one in events)
    seen = [look(one) for one in events]
    columns = [of_events(s, e, thrown) for s, e in zip(seen, events, strict=True)]
    rows = [["", "simulated", "generated"]]
    rows += [[a[0], a[1], b[1]] for a, b in zip(*columns, strict=True)]
    print(markdown_table(rows))
    print()
    bins = list(itertools.pairwise(EDGES))
    rows = [["distance [m]", "", *(f"{low}-{high}" for low, high in bins)]]
    for name, column, number in ROWS:
        for what, one in zip(("simulated", "generated"), seen, strict=True):
            cells = [cell(measured(one, low, high, column, number)) for low, high in bins]
            rows.append([name if what == "simulated" else "", what, *cells])
    print(markdown_table(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
