"""What an adversarial generator of tiles makes, beside the simulation of the same showers: tables
of docs/generation.md, and the curve of its training.

    python benchmarks/tile_gan.py results/events/test/000.h5 gan/generated.h5 gan/history.json

Both event files hold the same showers (`tashower generate --truth`). What the judge's page shows
(`tashower judge`) is not repeated here: these are the numbers that a generator of stations or tiles
is made of.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np

from tashower.evaluation.figures.style import save
from tashower.evaluation.figures.training import adversarial_curves
from tashower.evaluation.markdown import markdown_table
from tashower.events.array import description_of
from tashower.events.model import Events
from tashower.io.event_file import read_events
from tashower.io.json_file import parsed_json
from tashower.physics.description import ShowerParameters, expected
from tashower.reconstruction.pulses import find_pulses

#: Expected signals [VEM] and distances to the axis [m] between which stations are put together.
SIGNALS = (0.05, 0.2, 0.6, 1.6, 4.5, 20.0, 150.0, 1e4)
DISTANCES = (0.0, 500.0, 1000.0, 1500.0, 2000.0, 3000.0)
#: Hits of the shower: within so many ns after its plane front.
TIMES = (-500.0, 6000.0)


class Seen:
    """Hits of showers, and all stations that they could have hit."""

    def __init__(self, events: Events):
        truth, array = events.truth, events.array
        shower = ShowerParameters(*(getattr(truth, f)[:, None] for f in ShowerParameters._fields))
        there = expected(shower, array.position, description_of(array), truth.slope[:, None])
        working = np.ones(there.density.shape, bool)
        event = np.repeat(np.arange(events.n_events), np.diff(events.dead_offset))
        working[event, events.dead_station] = False
        pulses, at = find_pulses(events), (events.hit_event, events.hit_station)
        off = pulses.arrival_time - there.plane_time[at]
        own = np.isfinite(off) & (off > TIMES[0]) & (off < TIMES[1])
        self.at = tuple(part[own] for part in at)
        self.delay, self.signal = off[own], pulses.signal[own]
        self.area_over_peak = pulses.area_over_peak[own]
        self.hit = np.zeros(working.shape, bool)
        self.hit[self.at] = True
        self.working, self.distance = working, there.distance
        self.expected = array.detector.area * there.density
        self.multiplicity = self.hit.sum(axis=1)

    def by_signal(self, low: float, high: float) -> list[float]:
        """P(hit), mean and rms of ln(signal/expected), rms of ln(upper/lower), mean and rms of area
        over peak [ns], of stations with an expected signal [VEM] between two.
        """
        inside = self.working & (self.expected >= low) & (self.expected < high)
        own = inside[self.at] & (self.signal > 0.0).all(axis=1)
        ratio = np.log(self.signal[own].mean(axis=1) / self.expected[self.at][own])
        layers = np.log(self.signal[own][:, 0] / self.signal[own][:, -1])
        shape = self.area_over_peak[own]
        return [
            *(self.hit[inside].mean(), ratio.mean(), ratio.std(), layers.std()),
            *(np.nanmean(shape), np.nanstd(shape)),
        ]

    def by_distance(self, low: float, high: float) -> list[float]:
        """Median, and half the width of 68 %, of the leading edge after the plane front [ns]."""
        distance = self.distance[self.at]
        found = self.delay[(distance >= low) & (distance < high)]
        a, b, c = np.quantile(found, [0.16, 0.5, 0.84])
        return [b, 0.5 * (c - a)]

    def of_events(self) -> list[float]:
        """Mean, rms, 5 and 95 % of the multiplicity; rms from shower to shower of the mean
        ln(signal/expected) of stations with more than 5 VEM; correlation of that of neighbours in
        signal.
        """
        ratio = np.full(self.hit.shape, np.nan)
        signal = np.maximum(self.signal.mean(axis=1), 0.1)
        ratio[self.at] = np.log(signal / self.expected[self.at])
        large = np.where((self.expected > 5.0) & (self.expected < 500.0), ratio, np.nan)
        several = np.isfinite(large).sum(axis=1) > 3
        n = self.multiplicity
        mean = np.nanmean(large[several], axis=1)
        return [n.mean(), n.std(), *np.quantile(n, [0.05, 0.95]), mean.std()]


def tables(simulated: Seen, generated: Seen) -> list[list[list[str]]]:
    """Rows of the three tables, each number as simulated / generated."""

    def both(function, *arguments, digits):
        pairs = zip(function(simulated, *arguments), function(generated, *arguments), strict=True)
        return [f"{a:.{d}f} / {b:.{d}f}" for (a, b), d in zip(pairs, digits, strict=True)]

    events = [
        ["stations", "rms", "5 %", "95 %", "rms of ln size"],
        both(Seen.of_events, digits=(2, 2, 0, 0, 3)),
    ]
    signals = [
        [
            *("expected [VEM]", "P(hit)", "ln(S/expected)", "rms", "rms of ln(upper/lower)"),
            *("area over peak [ns]", "rms [ns]"),
        ]
    ]
    for low, high in itertools.pairwise(SIGNALS):
        signals.append(
            [f"{low:g} to {high:g}", *both(Seen.by_signal, low, high, digits=(3, 2, 2, 2, 0, 0))]
        )
    distances = [["distance [m]", "leading edge [ns]", "half of 68 % [ns]"]]
    for low, high in itertools.pairwise(DISTANCES):
        distances.append(
            [f"{low:g} to {high:g}", *both(Seen.by_distance, low, high, digits=(0, 0))]
        )
    return [events, signals, distances]


def main() -> None:
    """Print the tables; write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("simulated")
    parser.add_argument("generated")
    parser.add_argument("history")
    parser.add_argument("--picture", help="of the training's curve")
    parser.add_argument("--number", type=int, default=4000, help="events that are looked at")
    args = parser.parse_args()
    files = [read_events(path) for path in (args.simulated, args.generated)]
    # A generated event says which row of the truth it is of.
    files[0] = files[0][: args.number]
    files[1] = files[1][files[1].event_id < args.number]
    print(
        f"{files[0].n_events} simulated showers, of which {files[1].n_events} trigger generated\n"
    )
    for rows in tables(*(Seen(events) for events in files)):
        print(markdown_table(rows) + "\n")
    if args.picture:
        save(adversarial_curves(parsed_json(Path(args.history))["epochs"]), args.picture)


if __name__ == "__main__":
    main()
