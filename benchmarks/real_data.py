"""Events of a Telescope Array DST file with its own reconstruction (banks rufptn, rusdgeom, rufldf)
against ours, station by station: prints docs/real_data.md and draws its picture.

    python benchmarks/real_data.py FILE.dst.gz docs/pictures/real_data.png > docs/real_data.md

The file itself is not part of this repository.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.calibration.energy import energy_of_primary
from tashower.config import load_config
from tashower.convert.convert import convert
from tashower.convert.ta_banks import RUFPTN, unpack_rufptn
from tashower.convert.ta_dst import read_events_banks
from tashower.convert.ta_standard import (
    ORIGIN,
    RUFLDF,
    RUSDGEOM,
    TIME_UNIT,
    UNIT,
    unpack_rufldf,
    unpack_rusdgeom,
)
from tashower.errors import InputError
from tashower.events.model import Events, Pulses, expected_at_hits
from tashower.generation.measured import check_enough, measure_hits
from tashower.reconstruction.methods.published import fit_stages
from tashower.reconstruction.pulses import find_pulses
from tashower.reconstruction.reconstruct import reconstruct
from tashower.simulation.given import complete_truth
from tashower.simulation.simulate import simulate

matplotlib.use("Agg")
from matplotlib import pyplot as plt

#: Inside of this distance [m] stations do not take part in the Telescope Array's lateral fit.
INNER = 600.0
#: Signals above this [VEM] are compared: below, the noise of the pedestal decides.
LARGE = 10.0
OF_HITS = (
    "hit_station",
    "hit_time",
    "waveform",
    "pedestal",
    "counts_per_vem",
    "rejected",
    "pedestal_rms",
)
PART_OF_THE_EVENT = 4  # isgood


#: Ratios of signals this near to 1 are counted.
CLOSE = 0.07
HEAD = """# Real events

Printed by `python benchmarks/real_data.py FILE`, {n} events of {name}: Telescope Array events of
2024 with banks rufptn, rusdgeom and rufldf, a test file of the public repository ZGerber/dst2ak. No
byte of it is part of this repository (tests hold the numbers of the hits and fits below).

TA is the fit of lateral distribution and geometry together in the file (rufldf), ours the fit with
constrained curvature and the calibration that comes with the package. Zeniths as stored, without
the half degree that published ones have on top.
"""
STATIONS = """
## Station by station

Hits that are part of the event (isgood 4, 5 saturated). Times: ours less TA's, without their mean,
which is a convention. r: distance from TA's axis. S800: what our signal alone would say there, our
lateral distribution around TA's axis.
"""
PICTURE = "![Times and signals, ours against the Telescope Array's, and S800 by station]"
PUBLISHED = """
## The published fit, stage by stage

TA: what the file holds (rusdgeom, rufldf). Ours: the method `published` with our pulses, and with
the Telescope Array's hits, times and signals. Energies of ours by the Telescope Array's relation
for protons, as TA's are: both before the scaling by 1/1.27. The last stage is another fit than
TA's: TA's has six parameters and takes delays from the observed density, ours is the one with
seven that networks correct.
"""
STAGES = """
With TA's own hits and the errors of its pulses our formulas give the chi2 of both fronts to four
digits, and the same minima (tests/reconstruction/test_published_data.py). What is left here: one
error stands for all pulses, silent stations are known only where the file names them, R_m is 90 m
for 91.6 m, and S800 of the last stage is that of another fit.
"""
#: What the tables say of the two events that the page is about.
CONCLUSION = """
Event 335: the difference is 7 %, about one standard deviation of ours and half of one of TA's.
Windows, signals, further hits and the stations near the axis change it by 4 % at most; around TA's
axis our lateral distribution and our signals give 4 % more than TA. Both values agree within their
errors.

Event 290 (60 degrees): S800 by station rises with the distance: the data are flatter than the
lateral distribution, so S800 depends on which distances have the weight, and without the two
stations inside 600 m the core is lost. The difference is as large as the errors. The energy is that
of our own simulation's table, and 60.8 degrees is outside of the quality cuts.

Of stations that were read out more than twice (windows in the table) the later windows are not
kept.
"""
AGAINST = """
## Waveforms against simulation, and what refining can do

Unsaturated hits with a leading edge, all stations. Simulation: {n:,} events of the two showers as
we fit them at the same stations, half of them protons, half iron. Noise: rms of the first
{bins} bins; area over peak: median of the hits of these signals, its error from their spread.
"""
#: How often each shower is simulated.
THROWS = 100
#: Classes of signal [VEM] in which shapes are compared, and first bins, which hold noise alone.
CLASSES, QUIET = ((1.0, 4.0), (4.0, 15.0), (15.0, 100.0)), 20
#: What `tashower refine` says of other real files (README of the tests' samples).
OTHERS = """
The three HiSPARC coincidences and the Auger events that tests read come without waveforms that the
package keeps (times and signals alone): `tashower refine` says so and writes nothing; three or four
stations of one event would say nothing about waveforms either.
"""


class Theirs(NamedTuple):
    """What rufptn says of every hit that was converted; (n_hits,) each."""

    time: np.ndarray  # [ns] from the start of the second
    signal: np.ndarray  # [VEM]
    good: np.ndarray
    folds: np.ndarray


def their_hits(path, events: Events) -> Theirs:
    """`Theirs`, in the order of the hits of the events."""
    columns = np.full((4, events.n_hits), np.nan)
    for i, banks in enumerate(read_events_banks(path)):
        found = unpack_rufptn(banks[RUFPTN][1], f"event {i}")
        time = found.tearliest[0] % 1 * 1e9 + found.hit["reltime"].mean(axis=1) * TIME_UNIT
        signal = found.hit["pulsa"].mean(axis=1)
        for h in range(*events.hit_offset[i : i + 2]):
            same = np.flatnonzero(found.xxyy == events.array.station_id[events.hit_station[h]])
            k = max(same, key=lambda k: (found.isgood[k], signal[k]))
            columns[:, h] = time[k], signal[k], found.isgood[k], found.nfold[k]
    return Theirs(*columns)


def time_differences(events: Events, pulses: Pulses, theirs: Theirs) -> np.ndarray:
    """(n_hits,) our time less theirs [ns], without the mean of the hits of each event that are part
    of it: zero is a convention.
    """
    difference = pulses.arrival_time - theirs.time
    for i in range(events.n_events):
        rows = np.arange(*events.hit_offset[i : i + 2])
        difference[rows] -= np.nanmean(difference[rows][theirs.good[rows] >= PART_OF_THE_EVENT])
    return difference


def without(events: Events, drop: np.ndarray) -> Events:
    """The events without some hits, whose stations count as out of service."""
    keep, event = ~drop, events.hit_event
    n = events.n_events
    dead_event = np.append(np.repeat(np.arange(n), np.diff(events.dead_offset)), event[drop])
    dead = np.append(events.dead_station, events.hit_station[drop])
    order = np.lexsort((dead, dead_event))

    def offsets(of):
        return np.concatenate([[0], np.cumsum(np.bincount(of, minlength=n))])

    return replace(
        events,
        hit_offset=offsets(event[keep]),
        dead_offset=offsets(dead_event),
        dead_station=dead[order],
        **{name: getattr(events, name)[keep] for name in OF_HITS},
    )


def fits(path, events: Events, pulses: Pulses, theirs: Theirs, r: np.ndarray) -> dict:
    """{what was changed: table of the constrained fit}."""
    calibration, settings = read_calibration(DEFAULT), load_config().reconstruction

    def fit(of):
        return reconstruct(of, calibration, settings)[0]["constrained"]

    signal = np.repeat(theirs.signal[:, None], 2, axis=1)
    their_pulses = replace(pulses, signal=signal)
    return {
        "as it stands": fit(events),
        "three windows of a station instead of one": fit(convert([path], windows=3)),
        "the Telescope Array's signals": fit(replace(events, waveform=None, pulses=their_pulses)),
        "its hits alone (isgood 4 and 5)": fit(without(events, theirs.good < PART_OF_THE_EVENT)),
        f"without stations within {INNER:.0f} m of its axis": fit(without(events, r < INNER)),
    }


def at_hits(shower, events: Events) -> tuple[np.ndarray, np.ndarray]:
    """(distance from the axis [m], density over S800) at every hit, of a fit of which only core and
    direction are used.
    """
    nothing = np.zeros(events.n_events)
    one = replace(shower, s_ref=nothing + 1.0, t0=nothing, curvature=nothing)
    found = expected_at_hits(one, events)
    return found.distance, found.density


def sums(events: Events, shower, signal, use) -> np.ndarray:
    """(n_events,) S800 around an axis: the sum of the signals used over that of our lateral
    distribution, the estimate for signals with Poisson errors.
    """
    _, per_s800 = at_hits(shower, events)
    hit, n = events.hit_event[use], events.n_events
    expected = np.bincount(hit, per_s800[use] * events.array.detector.area, n)
    return np.bincount(hit, signal[use], n) / expected


def row(*cells, rule: bool = False) -> None:
    """Print a row of a table; rule: its head."""
    print("| " + " | ".join(map(str, cells)) + " |")
    if rule:
        print("|---" * len(cells) + "|")


def main(path, picture) -> None:
    """Print the page, draw the picture."""
    events = convert([path])
    pulses, theirs, standard = find_pulses(events), their_hits(path, events), events.standard
    r, per_s800 = at_hits(standard, events)
    difference, signal = time_differences(events, pulses, theirs), pulses.signal.mean(axis=1)
    part = theirs.good >= PART_OF_THE_EVENT
    large = part & (theirs.signal > LARGE)
    ratio = signal / theirs.signal
    implied = signal / events.array.detector.area / per_s800
    tables = fits(path, events, pulses, theirs, r)
    ours, first = tables["as it stands"], events.hit_event
    station = events.array.station_id[events.hit_station]
    print(HEAD.format(n=events.n_events, name=Path(path).name))
    names = "event,,zenith [deg],azimuth [deg],core x and y [m],S800 [VEM/m2],energy [EeV]"
    row(*names.split(","), rule=True)
    for i in range(events.n_events):
        for name, t in (("TA", standard), ("ours", ours)):
            sigma = np.sqrt(np.diagonal(t.covariance[i]))
            angles = np.degrees([t.zenith[i], t.azimuth[i], *sigma[2:4]])
            row(
                *(events.event_id[i], name),
                *(f"{angles[k]:.1f} +- {angles[k + 2]:.1f}" for k in (0, 1)),
                f"{t.core_x[i]:.0f}, {t.core_y[i]:.0f}",
                f"{t.s_ref[i]:.2f} +- {sigma[4]:.2f}",
                f"{t.energy[i]:.1f}",
            )
    print(STATIONS)
    names = "event,station,r [m],time [ns],TA [VEM],ours [VEM],ratio,windows,S800"
    row(*names.split(","), rule=True)
    for h in np.flatnonzero(part)[np.lexsort((r[part], first[part]))]:
        row(
            events.event_id[first[h]],
            f"{station[h]}{' (saturated)' if theirs.good[h] > PART_OF_THE_EVENT else ''}",
            *(f"{r[h]:.0f}", f"{difference[h]:+.1f}"),
            *(f"{theirs.signal[h]:.1f}", f"{signal[h]:.1f}", f"{ratio[h]:.2f}"),
            *(f"{theirs.folds[h]:.0f}", f"{implied[h]:.1f}"),
        )
    rms = np.sqrt(np.nanmean(difference[part] ** 2))
    close = np.abs(ratio[large] - 1) < CLOSE
    print(f"\nTimes: {rms:.1f} ns rms. Signals above {LARGE:.0f} VEM: ratios", end=" ")
    print(f"{ratio[large].min():.2f} to {ratio[large].max():.2f}, {close.sum()} of", end=" ")
    print(f"{large.sum()} within {CLOSE:.0%}.\n\n{PICTURE}(pictures/{Path(picture).name})\n")
    print("## Where the difference of S800 comes from\n")
    row("S800 [VEM/m2]", *(f"event {k}" for k in events.event_id), rule=True)
    row("TA", *(f"{value:.2f}" for value in standard.s_ref))
    clean = part & ~pulses.saturated
    far = clean & (r > INNER)
    rows = {f"our fit, {name}": t.s_ref for name, t in tables.items()}
    rows["sum of unsaturated signals over our lateral distribution, TA's axis"] = sums(
        events, standard, signal, clean
    )
    rows[f"the same, beyond {INNER:.0f} m"] = sums(events, standard, signal, far)
    rows[f"the same, beyond {INNER:.0f} m, our axis"] = sums(events, ours, signal, far)
    for name, s_ref in rows.items():
        both = zip(s_ref, s_ref / standard.s_ref - 1, strict=True)
        row(name, *(f"{s:.2f} ({x:+.0%})" for s, x in both))
    print(CONCLUSION)
    published_rows(path, events, pulses, theirs)
    against_simulation(Path(path).name, events, pulses, ours)
    draw(picture, events, (theirs, part, difference, signal), r, implied)


def published_rows(path, events: Events, pulses: Pulses, theirs: Theirs) -> None:
    """Print the stages of the published fit, TA's and ours."""
    part = theirs.good >= PART_OF_THE_EVENT
    signal = np.where(part[:, None], np.repeat(theirs.signal[:, None], 2, axis=1), np.nan)
    time = np.where(part, theirs.time, np.nan)
    saturated = theirs.good > PART_OF_THE_EVENT
    their = replace(pulses, arrival_time=time, signal=signal, saturated=saturated)
    found = {"ours": fit_stages(events, pulses), "ours, TA's hits": fit_stages(events, their)}
    print(PUBLISHED)
    names = "event,stage,,zenith [deg],azimuth [deg],core x and y [m],S800,energy [EeV],chi2"
    row(*names.split(","), rule=True)
    for i, banks in enumerate(read_events_banks(path)):
        lateral = unpack_rufldf(banks[RUFLDF][1], banks[RUFLDF][0], "rufldf")
        geometry = unpack_rusdgeom(banks[RUSDGEOM][1], "rusdgeom")
        stages = (("front, usual", 1), ("front, free", 2), ("lateral", 0), ("both", 1))
        for k, (stage, column) in enumerate(stages):
            bank = geometry if k < 2 else lateral
            place = [(bank[n][column] + ORIGIN[j]) * UNIT for j, n in enumerate(("xcore", "ycore"))]
            angles, sizes = [None, None], (None, None)
            if k != 2:
                angles = [np.ravel(bank[n])[column if k < 2 else 0] for n in ("theta", "phi")]
                angles[1] += 180.0
            if k > 1:
                sizes = bank["s800"][column], bank["energy"][column]
            about = (events.event_id[i], stage)
            stage_row((*about, "TA"), angles, place, sizes, bank["chi2"][column])
            for name, ours in found.items():
                p = (ours.usual, ours.free, ours.lateral, ours.p)[k][i]
                zenith = np.arcsin(np.hypot(p[2], p[3]))
                if k != 2:
                    angles = np.degrees([zenith, np.arctan2(p[3], p[2])])
                if k > 1:
                    sizes = np.exp(p[4]), energy_of_primary(np.exp(p[4]), zenith)
                chi2 = ours.quality[i, k] if k < 3 else ours.sums[i, 0]
                stage_row((*about, name), angles, p[:2], sizes, chi2)
    print(STAGES)


def stage_row(about, angles, place, sizes, chi2) -> None:
    """Print one stage; None: not part of it. sizes : S800 and energy."""
    row(
        *about,
        *("" if angle is None else f"{angle % 360.0:.2f}" for angle in angles),
        f"{place[0]:.0f}, {place[1]:.0f}",
        *("" if size is None else f"{size:.2f}" for size in sizes),
        f"{chi2:.2f}",
    )


def middle(values: np.ndarray) -> str:
    """Median and its error, for values that are spread normally in their middle."""
    if len(values) < 3:
        return "—"
    low, high = np.quantile(values, [0.16, 0.84])
    error = 1.25 * 0.5 * (high - low) / np.sqrt(len(values))
    return f"{np.median(values):.0f} ± {error:.0f} ({len(values)})"


def against_simulation(name: str, events: Events, pulses: Pulses, ours) -> None:
    """Print noise and shapes of data beside those of simulation, and what can be refined."""
    config, n = load_config(), THROWS
    columns = {
        name: np.repeat(getattr(ours, name), n)
        for name in ("energy", "zenith", "azimuth", "core_x", "core_y")
    }
    columns["mass_number"] = np.tile(np.arange(n) % 2 * 55 + 1, events.n_events)
    truth = complete_truth(columns, config)
    simulated = simulate(truth, config, 1, events.array)
    print(AGAINST.format(n=simulated.n_events, bins=QUIET))
    sides = []
    for some, found in ((events, pulses), (simulated, find_pulses(simulated))):
        sides.append((measure_hits(some, found), found))
    row("", "Telescope Array", "simulation", "simulation, refined", rule=True)
    noise = [m.waveform[:, :, :QUIET].std(axis=2) / np.sqrt(1.0 - 1.0 / QUIET) for m, _ in sides]
    texts = [f"{x.mean():.3f} ± {x.std() / np.sqrt(x.size):.3f}" for x in noise]
    row("noise [counts]", *texts, "as it is")
    for low, high in CLASSES:
        cells = []
        for m, found in sides:
            signal = found.signal[m.rows].mean(axis=1)
            cells.append(middle(found.area_over_peak[m.rows[(signal > low) & (signal < high)]]))
        row(f"area over peak, {low:.0f} to {high:.0f} VEM [ns] (hits)", *cells, "as it is")
    try:
        check_enough(sides[0][0], name)
    except InputError as error:
        print(f"\n`tashower refine` refuses these data:\n{error}.")
    print(OTHERS)


def draw(picture, events, columns, r, implied) -> None:
    """Time differences, signal ratios and S800 by station against the distance."""
    theirs, part, difference, signal = columns
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for i in range(events.n_events):
        of = part & (events.hit_event == i)
        label = f"event {events.event_id[i]}"
        axes[0].plot(r[of], difference[of], "o", label=label)
        axes[1].semilogx(theirs.signal[of], (signal / theirs.signal)[of], "o", label=label)
        (line,) = axes[2].semilogy(r[of], implied[of], "o", label=label)
        axes[2].axhline(events.standard.s_ref[i], color=line.get_color(), ls="--")
    axes[2].axvline(INNER, color="0.7")
    names = (
        ("distance from TA's axis [m]", "time, ours less TA's [ns]"),
        ("TA's signal [VEM]", "signal, ours over TA's"),
        ("distance from TA's axis [m]", "S800 of the station [VEM/m$^2$]"),
    )
    for axis, (x, y) in zip(axes, names, strict=True):
        axis.set_xlabel(x)
        axis.set_ylabel(y)
    axes[0].legend()
    Path(picture).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "docs/pictures/real_data.png")
