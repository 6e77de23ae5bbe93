"""Simulated against published numbers: prints docs/calibration_table.md.

    python benchmarks/calibration_table.py > docs/calibration_table.md

Nothing here is fitted: the numbers of the simulation are in config/config.yaml and
tashower/simulation.
"""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np

from tashower.config import load_config
from tashower.events.model import select_rows
from tashower.physics.geometry import (
    axis_components,
    axis_distance,
    direction,
    opening_angle,
    plane_delay,
)
from tashower.physics.lateral import log_lateral_distribution, mean_s800, slope
from tashower.physics.shower_front import front_delay
from tashower.reconstruction.calibrate import calibrate
from tashower.reconstruction.methods import Context
from tashower.reconstruction.methods.fits import fit_events
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.showers import draw_showers
from tashower.simulation.simulate import simulate_events

#: log10 S800 = 1.5 + (log10(E/eV) - c0 - c1 x - c2 x^2 - c3 x^3)/k, x = sec z - 1: proton and iron
#: to 46 degrees, a re-fit of the relation of the Telescope Array (Ivanov 2012, PhD thesis, Rutgers;
#: ApJL 768 (2013) L1).
PUBLISHED_S800 = {
    1: (19.0339, 0.0839, 1.0379, 0.7352, 1.090),
    56: (18.9360, 0.4484, 1.0767, -0.0727, 1.077),
}
#: Delay of the front and its spread at 1200 m, 30 degrees [ns], by log10(E/eV): error model of the
#: Telescope Array's fit (Ivanov 2012) with the realised spread after calibration; recalled, not
#: checked against its text.
PUBLISHED_FRONT = {18.5: (400.0, 190.0), 19.0: (253.0, 140.0), 19.5: (149.0, 105.0)}
#: 68 % opening angle [deg] (ApJL 768 (2013) L1; Ivanov 2012) and energy resolution (recalled, not
#: checked) by log10(E/eV).
PUBLISHED_RESOLUTION = ((18.0, 18.5, 2.4, 0.36), (18.5, 19.0, 2.1, 0.29), (19.0, 20.5, 1.4, 0.19))
#: Energies that the Telescope Array quotes are those of its table, which comes from simulation as
#: ours do, divided by this (the scale of its fluorescence telescopes; ApJL 768 (2013) L1). Its bins
#: are compared with simulated energies that are larger by it.
ENERGY_SCALE = 1.27
SPECTRUM = (
    "min_log10_energy_ev: 18, max_log10_energy_ev: 20.65, max_zenith_deg: 55, core_margin_m: 0"
)
#: What the calibration of the stations may have wrong, shown beside the default.
SYSTEMATIC_GAIN = Path(__file__).parents[1] / "config" / "systematic_gain.yaml"


def row(*cells) -> None:
    """One line of a Markdown table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def header(*cells) -> None:
    """Head of a Markdown table."""
    row(*cells)
    print("|" + "---|" * len(cells))


def published_s800(energy, zenith, mass):
    """Mean S800 [VEM/m^2] of the published relation."""
    c0, c1, c2, c3, k = PUBLISHED_S800[mass]
    x = 1.0 / np.cos(zenith) - 1.0
    return 10.0 ** (1.5 + (np.log10(energy) + 18.0 - c0 - x * (c1 + x * (c2 + x * c3))) / k)


def signal_table() -> None:
    """S800 of drawn showers against the published relation."""
    header(
        "zenith [deg]",
        "energy [EeV]",
        "proton, published",
        "proton, simulated",
        "ratio",
        "Fe/p, published",
        "Fe/p, simulated",
    )
    for energy in (10.0, 30.0):
        mean = {}
        for mass, name in ((1, "proton"), (56, "iron")):
            log_e = np.log10(energy) + 18
            text = (
                f"min_log10_energy_ev: {log_e}, max_log10_energy_ev: {log_e}, "
                f"primaries: {{{name}: 1}}, max_zenith_deg: 50"
            )
            t = draw_showers(load_config(f"{{showers: {{{text}}}}}"), "test", 0, 200_000)
            for degrees in (5, 15, 30, 38, 45):
                near = np.abs(np.degrees(t.zenith) - degrees) < 1.0
                # The mean in the bin, moved to its middle along the published relation.
                moved = (
                    t.s_ref[near]
                    * mean_s800(energy, np.radians(degrees), mass)
                    / mean_s800(energy, t.zenith[near], mass)
                )
                mean[mass, degrees] = moved.mean()
        for degrees in (5, 15, 30, 38, 45):
            proton, iron = (published_s800(energy, np.radians(degrees), mass) for mass in (1, 56))
            row(
                degrees,
                f"{energy:g}",
                f"{proton:.1f}",
                f"{mean[1, degrees]:.1f}",
                f"{mean[1, degrees] / proton:.3f}",
                f"{iron / proton:.2f}",
                f"{mean[56, degrees] / mean[1, degrees]:.2f}",
            )


def front_table(events_of) -> None:
    """Delay and spread of the leading edge behind the plane against distance, 10^18.5 to 10^19.5
    eV, 26 to 34 degrees.
    """
    header(
        "log10(E/eV)",
        "r [m]",
        "delay, simulated [ns]",
        "front formula [ns]",
        "spread, simulated [ns]",
        "published delay / spread",
    )
    for log_e, (events, pulses) in events_of.items():
        t, hit = events.truth, events.hit_event
        position = events.array.position[events.hit_station]
        d = (position[:, 0] - t.core_x[hit], position[:, 1] - t.core_y[hit], position[:, 2])
        n = axis_components(t.zenith[hit], t.azimuth[hit])
        r = axis_distance(*d, *n)
        after = pulses.arrival_time - t.t0[hit] - plane_delay(*d, *n)
        formula = front_delay(
            r,
            log_lateral_distribution(r, slope(t.zenith[hit]), events.array.lateral),
            t.curvature[hit],
            events.array.front,
        )
        usable = (
            (np.abs(np.degrees(t.zenith[hit]) - 30) < 4)
            & (pulses.signal.mean(axis=1) >= 1.4)
            & (np.abs(after - formula) < 3000)
        )
        for distance in (800, 1200, 1600):
            near = usable & (np.abs(r - distance) < 60)
            published = (
                "{:.0f} / {:.0f}".format(*PUBLISHED_FRONT[log_e]) if distance == 1200 else ""
            )
            spread = np.diff(np.nanquantile((after - formula)[near], [0.159, 0.841]))[0] / 2
            row(
                log_e,
                distance,
                f"{np.nanmean(after[near]):.0f}",
                f"{formula[near].mean():.0f}",
                f"{spread:.0f}",
                published,
            )


def efficiency_table(thrown, events, table) -> None:
    """Trigger and selection efficiency and stations against energy; cores inside the array, zenith
    below 45 degrees.
    """
    header(
        "log10(E/eV)",
        "triggered",
        "of these pass the cuts inside the border",
        "stations with a hit",
        "stations in the fit",
    )
    hits = np.diff(events.hit_offset)
    for low in np.arange(18.0, 20.01, 0.25):

        def inside(t, low=low):
            log_e = np.log10(t.energy) + 18
            fiducial = (np.abs(t.core_x) < 10.5 * 1200 - 1800) & (
                np.abs(t.core_y) < 11 * 1200 - 1800
            )
            return (log_e >= low) & (log_e < low + 0.25) & (np.degrees(t.zenith) < 42) & fiducial

        all_of, seen = inside(thrown), inside(events.truth)
        good = seen & table.passes_cuts
        row(
            f"{low:.2f} – {low + 0.25:.2f}",
            f"{100 * seen.sum() / all_of.sum():.1f} %",
            f"{100 * good.sum() / max(seen.sum(), 1):.1f} %",
            f"{hits[seen].mean():.1f}",
            f"{table.n_stations[good].mean():.1f}",
        )
    print(
        "\nEnergies are simulated ones. Published: trigger and selection close to 100 % above "
        "10^18.9 to 10^19 eV (ApJL 768"
    )
    print(
        "(2013) L1, from memory), 10^19.0 to 10^19.1 eV here; the event of 27 May 2021 (quoted 244 "
        "EeV, 309 EeV here, 38.6 degrees)"
    )
    print("had 23 stations (Abbasi et al. 2023, doi:10.1126/science.abo5095).")


def resolution_table(samples) -> None:
    """Angular and energy resolution in the published bins: E^-3, protons, quality cuts; samples:
    (events, fits) per bin.
    """
    header(
        "log10(E/eV), quoted",
        "simulated",
        "events",
        "angle 68 %, published",
        "free fit",
        "ratio",
        "constrained fit",
        "ln E, recalled",
        "free fit",
        "ratio",
    )
    for (low, high, angle, energy), (events, tables) in zip(
        PUBLISHED_RESOLUTION, samples, strict=True
    ):
        truth, found, shift = events.truth, {}, np.log10(ENERGY_SCALE)
        log_e = np.log10(truth.energy) + 18
        for name, table in tables.items():
            chosen = table.passes_cuts & (log_e >= low + shift) & (log_e < high + shift)
            one, true = select_rows(table, chosen), select_rows(truth, chosen)
            opening = np.degrees(
                opening_angle(
                    direction(one.zenith, one.azimuth), direction(true.zenith, true.azimuth)
                )
            )
            spread = np.diff(np.quantile(np.log(one.energy / true.energy), [0.159, 0.841]))[0] / 2
            found[name] = (np.quantile(opening, 0.6827), spread, chosen.sum())
        free, constrained = found["free"], found["constrained"]
        row(
            f"{low:g} – {high:g}",
            f"{low + shift:.1f} – {high + shift:.1f}",
            free[2],
            f"{angle:.1f}",
            f"{free[0]:.2f}",
            f"{free[0] / angle:.2f}",
            f"{constrained[0]:.2f}",
            f"{energy:.2f}",
            f"{free[1]:.3f}",
            f"{free[1] / energy:.2f}",
        )


def steep_samples(config, calibration) -> tuple:
    """(events, fits) of E^-3 for each of the published bins."""
    steep = replace(config, showers=replace(config.showers, spectral_index=3.0))
    test = simulate_events(steep, "test", 0, 150_000)
    high = simulate_events(
        replace(steep, showers=replace(steep.showers, min_log10_energy_ev=19.1)),
        "validation",
        0,
        12_000,
    )
    samples = []
    for sample in (test, high):
        pulses = find_pulses(sample)
        tables = {
            c: fit_events(sample, pulses, Context(calibration, config.reconstruction), c)
            for c in ("free", "constrained")
        }
        samples.append((sample, tables))
    return samples[0], samples[0], samples[1]


def main() -> None:
    """Print the page."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    print("# Simulated against published\n")
    print(
        "Printed by `python benchmarks/calibration_table.py` (`make calibration-table`), commit "
        f"{commit}, default front and detector."
    )
    print(
        "What the columns mean and where they disagree is said in [simulation.md](simulation.md).\n"
    )
    print("## S800 [VEM/m²] against energy and zenith\n")
    signal_table()
    config = load_config(f"{{showers: {{{SPECTRUM}, primaries: {{proton: 1}}}}}}")
    events = simulate_events(config, "calibration", 0, 50_000)
    calibration = calibrate(events, config.reconstruction)
    print("\n## Leading edge behind the plane front, protons, 26 to 34 degrees\n")
    events_of = {}
    for log_e in PUBLISHED_FRONT:
        text = f"min_log10_energy_ev: {log_e}, max_log10_energy_ev: {log_e}, "
        text += "primaries: {proton: 1}, "
        text += "core_margin_m: -3000, max_zenith_deg: 35"
        found = simulate_events(load_config(f"{{showers: {{{text}}}}}"), "test", 0, 12_000)
        events_of[log_e] = (found, find_pulses(found))
    front_table(events_of)
    print("\n## Trigger, selection and stations\n")
    test = simulate_events(config, "test", 0, 30_000)
    found = find_pulses(test)
    free = fit_events(test, found, Context(calibration, config.reconstruction))
    efficiency_table(draw_showers(config, "test", 0, 30_000), test, free)
    print("\n## Resolution of the standard fit, protons, E^-3, quality cuts\n")
    print(
        f"Quoted energies are the simulated ones divided by {ENERGY_SCALE:g}, as the Telescope "
        "Array's are those of its table.\n"
    )
    resolution_table(steep_samples(config, calibration))
    wrong = replace(config, detector=load_config(SYSTEMATIC_GAIN).detector)
    print(
        f"\n## The same, gains wrong by {100 * wrong.detector.calibration_spread:g} % "
        "(config/systematic_gain.yaml)\n"
    )
    print("The calibration of the fit does not know it.\n")
    resolution_table(steep_samples(wrong, calibration))


if __name__ == "__main__":
    main()
