"""Where `simulation.delays.MUON_MEDIAN` and `MUON_SIGMA` come from: least squares to the quantiles
of the hadronic cascade's table.

    python benchmarks/muon_times.py

The table is data/muon_times.csv (`python benchmarks/hadronic_cascade.py`): protons at 0, 30 and 45
degrees, three energies, and iron, at 600 to 2000 m. The numbers in the package are these, rounded;
a test holds them to the table.
"""

import csv
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares
from scipy.special import ndtri

from tashower.config import load_config
from tashower.physics.shower_front import FRONT_ONSET, thickness_shape
from tashower.simulation.delays import MUON_MEDIAN, MUON_SIGMA, particle_delays, shower_delays
from tashower.simulation.showers import mean_front_scale

TABLE = Path(__file__).parents[1] / "data" / "muon_times.csv"
LEVELS = (5, 10, 25, 50, 75, 90)
NEAREST = 600.0  # [m]
MASS = {"p": 1, "Fe": 56}


def rows() -> list[tuple]:
    """(r [m], sec z, scale of the shower's delays, quantiles [ns]) of every row of the table."""
    config = load_config()
    found = []
    with TABLE.open() as file:
        for row in csv.DictReader(file):
            r = float(row["distance_m"])
            if row["side"] != "all" or r < NEAREST:
                continue
            energy, zenith = (
                10.0 ** (float(row["log10_energy_ev"]) - 18.0),
                np.radians(float(row["zenith_deg"])),
            )
            scale = mean_front_scale(energy, zenith, MASS[row["primary"]], config)
            unit = float(shower_delays(particle_delays(config), zenith, scale).unit)
            quantiles = np.array([float(row[f"q{level:02d}_ns"]) for level in LEVELS])
            found.append((r, 1.0 / np.cos(zenith), unit, quantiles))
    return found


def main() -> None:
    """Print the numbers and how well they describe the table."""
    table, z = rows(), ndtri(np.array(LEVELS) / 100.0)

    def off(q):
        parts = []
        for r, secant, unit, quantiles in table:
            median = q[0] * np.exp(-q[1] * (secant - 1.0))
            median *= (r / 1000.0) ** (q[2] + q[3] * (secant - 1.0))
            sigma = (q[4] + q[5] * np.log(secant)) * (r / 1000.0) ** q[6]
            delay = thickness_shape(r) * unit * (FRONT_ONSET + median * np.exp(sigma * z))
            parts.append(np.log(delay / quantiles))
        return np.concatenate(parts)

    present = (*MUON_MEDIAN, *MUON_SIGMA)
    found = least_squares(off, present)
    names = ("A", "B", "p", "q", "s", "t", "p of sigma")
    print(", ".join(f"{name} {value:.3f}" for name, value in zip(names, found.x, strict=True)))
    for name, q in (("fitted", found.x), ("in the package", present)):
        left = off(q)
        print(f"{name}: {np.sqrt(np.mean(left**2)):.1%} rms, {np.abs(left).max():.1%} at most")


if __name__ == "__main__":
    main()
