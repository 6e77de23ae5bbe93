"""Arrival times of muons behind the plane of the shower front, from a hadronic cascade.

    pip install -e ".[cascade]"
    python benchmarks/hadronic_cascade.py --to data/muon_times.csv [--against TABLE.csv]

Protons of 10^19 eV at 0, 30 and 45 degrees, of 10^18.5 and 10^19.5 eV at 30 degrees, and iron of
10^19 eV at 30 degrees, 100 showers each. What is and is not included stands in
docs/hadronic_cascade.md. The collisions are made once (some minutes) and kept in `--library`.
"""

import argparse
import csv
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cascade.library import Library, load_library
from cascade.muons import LEAST_MUON, Setting
from cascade.particles import MASS, MUON
from cascade.summary import RINGS, Shower, depth_of_maximum, row_of
from cascade.transport import MUON_FIELDS, N_DEPTHS, N_ENERGIES, Output, run_shower

#: log10(E/eV), zenith [deg], primary, number of nucleons.
POINTS = (
    (19.0, 0.0, "p", 1),
    (19.0, 30.0, "p", 1),
    (19.0, 45.0, "p", 1),
    (18.5, 30.0, "p", 1),
    (19.5, 30.0, "p", 1),
    (19.0, 30.0, "Fe", 56),
)
#: Thinning: particles below this part of the primary's energy, and the power of their weights.
#: Choices, for some 30,000 muons a shower; ten times less or more leave their number as it is.
THINNING, POWER = 1e-5, 0.75
#: Muons of distances that no ring covers are not kept; room for the muons of one shower.
_KEPT, _MOST_MUONS = (RINGS[0] * 0.85, RINGS[-1] * 1.15), 2_000_000


class Options(NamedTuple):
    """library: file of the collisions; inelastic: whether quasi-elastic collisions count as others;
    field: magnetic field (north, down) [microtesla]; least: kinetic energy of muons [GeV].
    """

    library: Path
    inelastic: bool = False
    field: tuple[float, float] = (0.0, 0.0)
    least: float = LEAST_MUON


@cache
def _library(path: Path, inelastic: bool) -> Library:
    library = load_library(path)
    return library._replace(length=library.length_inelastic) if inelastic else library


def magnetic_field(north: float, down: float, azimuth: float) -> tuple[float, float, float]:
    """Field [T] along x, y and down of a shower that flies towards an azimuth from north, for
    components in microtesla.
    """
    return north * np.cos(azimuth) * 1e-6, -north * np.sin(azimuth) * 1e-6, down * 1e-6


def one_shower(point: tuple, seed: int, options: Options) -> Shower:
    """Shower number `seed` of a point."""
    log_energy, zenith, _, nucleons = point
    rng = np.random.default_rng([seed, round(100 * log_energy), round(zenith), nucleons])
    energy = 10.0 ** (log_energy - 9.0)
    bends = magnetic_field(*options.field, rng.uniform(0.0, 2.0 * np.pi))
    setting = Setting(
        energy / nucleons, nucleons, np.radians(zenith), THINNING * energy, POWER, bends
    )
    out = Output(
        np.empty((_MOST_MUONS, len(MUON_FIELDS))), np.empty((N_DEPTHS, N_ENERGIES)), np.empty(2)
    )
    begin = time.process_time()
    run_shower(_library(options.library, options.inelastic), setting, rng, out)
    seconds = time.process_time() - begin
    muons = out.muons[: int(out.counts[0])]
    muons = muons[(muons[:, 0] > _KEPT[0]) & (muons[:, 0] < _KEPT[1])]
    muons = muons[muons[:, MUON_FIELDS.index("energy")] > MASS[MUON] + options.least]
    columns = {name: muons[:, i].copy() for i, name in enumerate(MUON_FIELDS)}
    return Shower(columns, depth_of_maximum(out.em), int(out.counts[1]), seconds)


def rows_of_point(showers: list[Shower], point: tuple) -> Iterator[dict]:
    """The lines of one point: every ring, and its early and late side if it is inclined."""
    log_energy, zenith, primary, _ = point
    for distance in RINGS:
        for side in ("all", "early", "late") if zenith > 0.0 else ("all",):
            begin = {"log10_energy_ev": log_energy, "zenith_deg": zenith, "primary": primary}
            yield begin | row_of(showers, distance, np.radians(zenith), side)


def write_table(rows: list[dict], path: Path) -> None:
    """The lines as CSV, four digits."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            words = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
            writer.writerow(words)


def _key(row: dict) -> tuple:
    numbers = (float(row[name]) for name in ("log10_energy_ev", "zenith_deg", "distance_m"))
    return (*numbers, row["primary"], row["side"])


def compare(rows: list[dict], path: Path) -> None:
    """Print new over old values of a table with the same names of columns, and errors of the new.

    Errors of the quantiles are taken to be that of the mean.
    """
    names = ("muons_per_m2_ground", "mean_ns", "rms_ns", "q05_ns", "q50_ns", "q90_ns")
    names += ("production_km_q50", "rms_ln_mean_between_showers", "slope_ln_mean_per_100_g_cm2")
    with path.open() as file:
        old = {_key(row): row for row in csv.DictReader(file)}
    print(f"new / {path.name}  (errors of the new density and mean delay in brackets)")
    print(" lgE  zen  nuc    r side   density        mean           rms   q05   q50   q90  height")
    ratios: list[list[float]] = []
    for row in rows:
        if _key(row) not in old:
            continue
        other = old[_key(row)]
        ratio = [float(row[n]) / float(other[n]) if other[n] else np.nan for n in names]
        ratios.append(ratio)
        errors = (
            row["muons_per_m2_error"] / row["muons_per_m2_ground"],
            row["mean_error_ns"] / row["mean_ns"],
        )
        print(
            f"{row['log10_energy_ev']:4.1f} {row['zenith_deg']:4.0f} {row['primary']:>4}"
            f" {row['distance_m']:5.0f} {row['side']:5} "
            + " ".join(f"{q:.3f} ({e:.3f})" for q, e in zip(ratio, errors, strict=False))
            + "".join(f" {q:5.3f}" for q in ratio[2:7])
        )
    print(
        "median of the ratios: "
        + ", ".join(
            f"{n} {q:.3f}" for n, q in zip(names, np.nanmedian(ratios, axis=0), strict=True)
        )
    )


def print_point(rows: list[dict], showers: list[Shower]) -> None:
    """The main numbers of a point."""
    xmax = np.array([shower.xmax for shower in showers])
    first, seconds = rows[0], np.array([shower.seconds for shower in showers])
    print(
        f"10^{first['log10_energy_ev']} eV, {first['zenith_deg']:.0f} deg, {first['primary']}: "
        f"{len(showers)} showers, {np.mean(seconds):.1f} s each, Xmax {xmax.mean():.0f} +- "
        f"{xmax.std(ddof=1) / np.sqrt(len(xmax)):.0f}, rms {xmax.std(ddof=1):.0f} g/cm^2"
    )
    print(
        "    r    muons/m^2       mean [ns]    q05  q50   A    sigma   KS   rms ln  slope  model"
        " +pion"
    )
    for row in rows:
        if row["side"] == "all":
            print(
                f" {row['distance_m']:5.0f} {row['muons_per_m2_ground']:7.4g} +- "
                f"{row['muons_per_m2_error']:5.2g} {row['mean_ns']:6.0f} +- "
                f"{row['mean_error_ns']:3.0f} {row['q05_ns']:6.0f} {row['q50_ns']:5.0f} "
                f"{row['shifted_a']:5.2f} {row['shifted_sigma']:5.2f} {row['ks_shifted']:6.3f} "
                f"{row['rms_ln_mean_between_showers']:6.3f} "
                f"{row['slope_ln_mean_per_100_g_cm2']:6.3f} "
                f"{row['model_on_axis_ns'] / row['mean_ns']:6.3f} "
                f"{row['model_with_pion_ns'] / row['mean_ns']:6.3f}",
                flush=True,
            )


def main() -> None:
    """Run the points and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, help="CSV file of the table")
    parser.add_argument("--against", type=Path, help="a table of the same columns to compare with")
    parser.add_argument("--library", type=Path, default=Path("build/collisions.npz"))
    parser.add_argument("--showers", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--points", type=int, nargs="*", default=range(len(POINTS)))
    parser.add_argument(
        "--field", type=float, nargs=2, default=(0.0, 0.0), help="north, down [microtesla]"
    )
    parser.add_argument("--inelastic", action="store_true", help="quasi-elastic collisions count")
    parser.add_argument("--least", type=float, default=LEAST_MUON, help="energy of muons [GeV]")
    given = parser.parse_args()
    load_library(given.library)
    options = Options(given.library, given.inelastic, tuple(given.field), given.least)
    rows: list[dict] = []
    with ProcessPoolExecutor(given.processes, get_context("spawn")) as pool:
        for i in given.points:
            jobs = [
                pool.submit(one_shower, POINTS[i], seed, options) for seed in range(given.showers)
            ]
            showers = [job.result() for job in jobs]
            point = list(rows_of_point(showers, POINTS[i]))
            print_point(point, showers)
            rows.extend(point)
    if given.to:
        write_table(rows, given.to)
    if given.against:
        compare(rows, given.against)


if __name__ == "__main__":
    main()
