"""How well the simulated first arrivals follow the formula that is fitted, and the Telescope
Array's: prints docs/front_shape.md.

    python benchmarks/front_shape.py > docs/front_shape.md

A minute on one core. The first part is exact: mean first arrivals of Poisson numbers of particles,
without a detector. The second looks at simulated stations as the Telescope Array does at its own.
"""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
from scipy.optimize import least_squares

from tashower.config import load_config
from tashower.physics.description import Description
from tashower.physics.early_late import muon_share_at
from tashower.physics.geometry import (
    axis_components,
    axis_distance,
    distance_along_axis,
    plane_delay,
)
from tashower.physics.lateral import TELESCOPE_ARRAY, log_lateral_distribution, mean_s800, slope
from tashower.physics.shower_front import (
    FRONT_ONSET,
    TELESCOPE_ARRAY_FRONT,
    Front,
    curvature_zenith_dependence,
    front_delay,
    front_delay_with_onset,
    thickness_shape,
)
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.delays import (
    ELECTRON_SHAPE,
    Arrivals,
    first_arrival,
    leading_edge,
    muon_content,
    muons_at,
    particle_delays,
    shower_delays,
)
from tashower.simulation.particles import mean_numbers
from tashower.simulation.showers import mean_front_scale, muon_share
from tashower.simulation.simulate import simulate_events

DISTANCES = np.arange(500.0, 2001.0, 100.0)
SHOWN = (500, 800, 1100, 1400, 1700, 2000)
LOG_ENERGIES = (18.5, 19.0, 19.5, 20.0)
ZENITHS = (0, 15, 30, 45)
DENSITIES = (0.5, 50.0)
MODELS = ("sourced", "formula", "rough")
N_SHOWERS = 6000


def mean_shower(config, log_e: float, zenith_deg: float, r) -> SimpleNamespace:
    """Columns of a mean proton shower at distances r [m], and what its stations see."""
    energy, zenith = 10.0 ** (log_e - 18.0), np.radians(zenith_deg)
    shower = {
        "s_ref": mean_s800(energy, zenith),
        "slope": slope(zenith),
        "muon_share": muon_share(zenith, 1, energy, muon_content(config)),
        "front_scale": mean_front_scale(energy, zenith, 1, config),
        "zenith": zenith,
    }
    seen = SimpleNamespace(**{k: np.full(r.shape, float(v)) for k, v in shower.items()})
    seen.log_ldf = log_lateral_distribution(r, seen.slope, TELESCOPE_ARRAY)
    seen.density = seen.s_ref * np.exp(seen.log_ldf)
    seen.mean, seen.rms = leading_edge(particle_delays(config), seen, Description(), r)
    return seen


def best_curvature(seen, chosen, onset: float, front: Front) -> np.ndarray:
    """Formula with its best a over the mean first arrival: least squares of the ratio."""
    r = DISTANCES[chosen]
    fixed = front_delay_with_onset(r, seen.log_ldf[chosen], 0.0, onset, front) / seen.mean[chosen]
    unit = front_delay(r, seen.log_ldf[chosen], 1.0, front) / seen.mean[chosen]
    return fixed + unit * (unit * (1.0 - fixed)).sum() / (unit**2).sum()


def ratios(config, onset: float, front: Front) -> dict:
    """(log E, zenith): ratio at DISTANCES, NaN outside of DENSITIES."""
    found = {}
    for log_e in LOG_ENERGIES:
        for zenith in ZENITHS:
            seen = mean_shower(config, log_e, zenith, DISTANCES)
            chosen = (seen.density > DENSITIES[0]) & (seen.density < DENSITIES[1])
            column = np.full(len(DISTANCES), np.nan)
            column[chosen] = best_curvature(seen, chosen, onset, front)
            found[log_e, zenith] = column
    return found


def spread_of(found: dict) -> tuple[float, float]:
    """(rms, largest) deviation of the ratio from 1."""
    off = np.concatenate(list(found.values())) - 1.0
    off = off[np.isfinite(off)]
    return float(np.sqrt(np.mean(off**2))), float(np.abs(off).max())


def print_formula(config) -> None:
    """The fitted forms, with a free in every shower."""
    free = least_squares(
        lambda p: np.nan_to_num(
            np.concatenate(list(ratios(config, p[0], Front(density_power=p[1])).values())) - 1.0
        ),
        (0.3, 0.5),
    ).x
    forms = {
        "a c LDF^-0.5 (what is fitted)": (0.0, TELESCOPE_ARRAY_FRONT),
        f"({FRONT_ONSET} ns + a LDF^-0.5) c": (FRONT_ONSET, TELESCOPE_ARRAY_FRONT),
        f"({free[0]:.2f} ns + a LDF^-{free[1]:.2f}) c, both fitted": (
            free[0],
            Front(density_power=free[1]),
        ),
    }
    print("| form, c = (1 + r/30 m)^1.5 | rms of form/first arrival - 1 | largest |")
    print("|---|---|---|")
    for name, form in forms.items():
        rms, largest = spread_of(ratios(config, *form))
        print(f"| {name} | {100 * rms:.1f} % | {100 * largest:.0f} % |")
    for onset, title in (
        (0.0, "a c LDF^-0.5"),
        (FRONT_ONSET, f"({FRONT_ONSET} ns + a LDF^-0.5) c"),
    ):
        print(f"\n{title} over the mean first arrival:\n")
        print("| log10 E/eV, zenith | " + " | ".join(f"{r} m" for r in SHOWN) + " |")
        print("|" + "---|" * (1 + len(SHOWN)))
        for (log_e, zenith), column in ratios(config, onset, TELESCOPE_ARRAY_FRONT).items():
            values = [column[list(DISTANCES).index(r)] for r in SHOWN]
            cells = ["-" if np.isnan(v) else f"{v:.2f}" for v in values]
            print(f"| {log_e:g}, {zenith}° | " + " | ".join(cells) + " |")


def power_of(x, y) -> float:
    """p of y ~ x^p."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def print_models() -> None:
    """First arrivals of the three fronts at 1200 m, and how they depend on density and zenith."""
    r = np.full(1, 1200.0)
    print(
        "| front | mean ± rms at 30°, 10^18.5 / 19 / 19.5 eV [ns] | density power, 0.5-50 VEM/m^2 "
        "| relative to vertical at 30°, 45° |"
    )
    print("|---|---|---|---|")
    for model in MODELS:
        config = load_config({"front": {"model": model}})
        seen = [mean_shower(config, log_e, 30, r) for log_e in (18.5, 19.0, 19.5)]
        delays = " / ".join(f"{s.mean[0]:.0f} ± {s.rms[0]:.0f}" for s in seen)
        fine = [mean_shower(config, log_e, 30, r) for log_e in np.arange(18.0, 20.6, 0.1)]
        fine = [s for s in fine if DENSITIES[0] < s.density[0] < DENSITIES[1]]
        power = power_of([s.density[0] for s in fine], [s.mean[0] for s in fine])
        # At the same density: the energy of a vertical shower that has it there.
        vertical = [mean_shower(config, log_e, 0, r) for log_e in np.arange(18.0, 20.6, 0.1)]
        density, mean = (
            np.log([getattr(s, name)[0] for s in vertical]) for name in ("density", "mean")
        )
        ratio = [
            s.mean[0] / np.exp(np.interp(np.log(s.density[0]), density, mean))
            for s in (mean_shower(config, 19.0, zenith, r) for zenith in (30, 45))
        ]
        print(f"| {model} | {delays} | {power:.2f} | {ratio[0]:.2f}, {ratio[1]:.2f} |")
    expected = curvature_zenith_dependence(np.radians([30.0, 45.0]))
    print(
        "| Telescope Array, recalled; its t0 takes up 70 to 120 | "
        f"400 ± 190 / 253 ± 140 / 149 ± 105 | -0.50 | {expected[0]:.2f}, {expected[1]:.2f} |"
    )


def print_fewer_electrons(config) -> None:
    """What the first arrival would be if the electromagnetic signal came from fewer particles."""
    r, zenith = 1200.0, np.radians(30.0)
    seen = mean_shower(config, 19.0, 30, np.full(1, r))
    own = shower_delays(particle_delays(config), zenith, seen.front_scale)
    width = thickness_shape(r) * own.unit
    n_muons, n_electrons = mean_numbers(
        3.0 * seen.density, muon_share_at(r, seen.muon_share), np.cos(zenith)
    )
    median, sigma = muons_at(r, own)
    cells = []
    for part in (1.0, 0.5, 0.25):
        columns = n_muons, median * width, part * n_electrons, own.electron_scale * width
        mean, rms = first_arrival(Arrivals(*columns, ELECTRON_SHAPE, sigma))
        cells.append(f"{FRONT_ONSET * width[0] + mean[0]:.0f} ± {rms[0]:.0f}")
    print(
        f"\nAt 10^19 eV, 30 degrees, 1200 m {n_muons[0]:.1f} muons and {n_electrons[0]:.0f} "
        "electromagnetic particles are expected. Were the signal of the latter that of all, of a "
        f"half and of a quarter of them, `sourced` would have {', '.join(cells)} ns."
    )


def stations(model: str) -> SimpleNamespace:
    """Hits of protons at 25 to 35 degrees, as they are seen: observed density, time after the plane
    with the early-late factor and the shower's own scale taken away, in units of c.
    """
    text = {
        "front": {"model": model},
        "showers": {"primaries": {"proton": 1}, "max_zenith_deg": 35, "core_margin_m": -1200},
        "detector": {"accidental_rate_khz": 0},
    }
    events = simulate_events(load_config(text), "test", 0, N_SHOWERS)
    t, hit = events.truth, events.hit_event
    position = events.array.position[events.hit_station]
    d = (position[:, 0] - t.core_x[hit], position[:, 1] - t.core_y[hit], position[:, 2])
    n = axis_components(t.zenith[hit], t.azimuth[hit])
    r, along = axis_distance(*d, *n), distance_along_axis(*d, *n)
    pulses = find_pulses(events)
    after = pulses.arrival_time - t.t0[hit] - plane_delay(*d, *n)
    signal = pulses.signal.mean(axis=1)
    own = t.front_scale / curvature_zenith_dependence(t.zenith)
    late = (1.0 - along / 12_000.0) ** 1.05
    # The Telescope Array's cut on signals, and one against stray times, 4 sigma of its own error.
    chosen = (signal > 1.4) & (np.degrees(t.zenith[hit]) > 25) & (r > 700) & (r < 2000)
    chosen &= events.waveform.max(axis=(1, 2)) < 1900
    c = thickness_shape(r)
    return SimpleNamespace(
        r=r[chosen], density=signal[chosen] / 3.0, c=c[chosen], t=(after / late / own[hit])[chosen]
    )


def print_stations() -> None:
    """Delay and spread of the leading edge by observed density."""
    edges = np.array([0.5, 0.8, 1.3, 2.0, 3.2, 5.0, 8.0, 13.0, 20.0, 32.0])
    print("| front | " + " | ".join(f"{a:g}-{b:g}" for a, b in pairwise(edges)) + " |")
    print("|" + "---|" * len(edges))
    powers, unit = [], thickness_shape(1200.0)
    for model in MODELS:
        s = stations(model)
        near = (s.r > 1000) & (s.r < 1400)
        rows = []
        for low, high in pairwise(edges):
            here = near & (s.density > low) & (s.density < high)
            x = s.t[here] / s.c[here]
            x = x[np.abs(x - np.median(x)) < 4.0 * 1.48 * np.median(np.abs(x - np.median(x)))]
            few = len(x) < 30
            rows.append(
                (np.nan, np.nan, np.nan, np.nan)
                if few
                else (np.median(s.density[here]), x.mean(), x.std(), s.c[here].mean())
            )
        density, mean, rms, c = np.array(rows).T
        cells = [
            "-" if np.isnan(m) else f"{m * unit:.0f} ± {w * unit:.0f}"
            for m, w in zip(mean, rms, strict=True)
        ]
        print(f"| {model} | " + " | ".join(cells) + " |")
        good = np.isfinite(mean)
        width = rms[good] * c[good]
        fit = least_squares(
            lambda p, w=width, g=good, c=c, d=density: np.log(
                np.hypot(p[0], p[1] * c[g] * d[g] ** p[2]) / w
            ),
            (10.0, 0.5, -0.4),
            bounds=([0, 0, -1], [60, 3, 0]),
        ).x
        powers.append((model, power_of(density[good], mean[good]), *fit))
    print(
        "\n| front | power of the observed density in the delay | spread: floor [ns] | times c "
        "S^p [ns] | p |"
    )
    print("|---|---|---|---|---|")
    for model, power, floor, scale, p in powers:
        print(f"| {model} | {power:.2f} | {floor:.0f} | {scale:.2f} | {p:.2f} |")
    print("| Telescope Array's formula and weights | -0.50 | 30 | - | -0.30 |")
    print(
        "\nThe Telescope Array's delays above belong to about 1.7, 5 and 16 VEM/m^2. Its spreads "
        "are a formula of its weights times 0.57, not a measurement."
    )


def main() -> None:
    """Print the page."""
    config = load_config()
    print("# The shape of the simulated front\n")
    print("Printed by `python benchmarks/front_shape.py`.\n")
    print("## The formula and the mean first arrival\n")
    print(
        "Mean protons of 10^18.5 to 10^20 eV at 0 to 45 degrees, stations at 500 to 2000 m that "
        "expect 0.5 to 50 VEM/m^2. The a of each form is the best one for each shower, as in a "
        "fit. Front `sourced`; exact means of Poisson numbers of particles, no detector.\n"
    )
    print_formula(config)
    print("\n## The three fronts at 1200 m\n")
    print("First particle, sampling alone: no local fluctuation, clock, threshold.\n")
    print_models()
    print_fewer_electrons(config)
    print("\n## As a station sees it\n")
    print(
        f"Leading edge of simulated stations ({N_SHOWERS:,} protons, flat in log E, 25 to 35 "
        "degrees) at 1000 to 1400 m by OBSERVED density, scaled to 1200 m [ns], mean ± rms: signals"
        " above 1.4 VEM, times beyond four robust standard deviations left out, early-late factor "
        "and the shower's own scale taken away. Threshold, electronics, local fluctuation and "
        "clock are in it.\n"
    )
    print_stations()


if __name__ == "__main__":
    main()
