"""Energy from S800 and zenith, by a table made from simulated showers (as the Telescope Array does;
Ivanov 2012).
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

#: Fewest events behind a node of the table.
FEWEST_EVENTS = 10


@dataclass(frozen=True)
class EnergyTable:
    """Median log10(E/EeV) on a grid of sec z and log10 S800.

    Attributes
    ----------
    secant : (n,) nodes in sec z
    log10_s800 : (m,) nodes in log10(S800/(VEM/m^2))
    log10_energy : (n, m), increasing along S800
    """

    secant: np.ndarray
    log10_s800: np.ndarray
    log10_energy: np.ndarray


def make_energy_table(
    s800: ArrayLike, zenith: ArrayLike, energy: ArrayLike, n_secant: int = 9, n_s800: int = 13
) -> EnergyTable:
    """Energy table from reconstructed S800 [VEM/m^2] and zenith [rad] and true energy [EeV] of
    simulated events.

    In every bin of sec z, log10 E is a smooth function of log10 S800: the median of log10 S800 in
    bins of TRUE energy, a parabola through the medians, inverted on the nodes. Binning in true
    energy keeps the table free of the spectrum of the sample (binned in S800 it would take over the
    bias of a falling spectrum).
    """
    secant = 1.0 / np.cos(np.asarray(zenith, dtype=float))
    log_s, log_e = np.log10(s800), np.log10(energy)
    edges = np.quantile(secant, np.linspace(0.0, 1.0, n_secant + 1))
    nodes = np.linspace(log_s.min(), log_s.max(), n_s800)
    middle, table = [], []
    for low, high in itertools.pairwise(edges):
        inside = (secant >= low) & (secant <= high)
        energy_edges = np.quantile(
            log_e[inside], np.linspace(0, 1, max(4, min(16, inside.sum() // FEWEST_EVENTS)) + 1)
        )
        which = np.clip(
            np.searchsorted(energy_edges, log_e[inside], side="right") - 1, 0, len(energy_edges) - 2
        )
        points = [
            (np.median(log_s[inside][which == k]), np.median(log_e[inside][which == k]))
            for k in range(len(energy_edges) - 1)
            if (which == k).sum() >= FEWEST_EVENTS // 2
        ]
        x, y = np.array(points).T
        line = np.polynomial.Polynomial.fit(x, y, 2 if len(x) > 6 else 1)
        inner = np.clip(nodes, x.min(), x.max())
        slope = np.maximum(line.deriv()(inner), 0.3)  # beyond the events the table goes on straight
        table.append(line(inner) + slope * (nodes - inner))
        middle.append(np.median(secant[inside]))
    return EnergyTable(np.array(middle), nodes, np.array(table))


def look_up_energy(table: EnergyTable, s800: ArrayLike, zenith: ArrayLike) -> np.ndarray:
    """Energy [EeV] for S800 [VEM/m^2] and zenith [rad]; bilinear in log10 and sec z, extrapolated;
    NaN stays NaN.
    """
    s800, zenith = np.asarray(s800, dtype=float), np.asarray(zenith, dtype=float)
    from scipy.interpolate import RegularGridInterpolator  # half a second, when it is needed

    interpolate = RegularGridInterpolator(
        (table.secant, table.log10_s800), table.log10_energy, bounds_error=False, fill_value=None
    )
    result = np.full(s800.shape, np.nan)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(s800) & (s800 > 0) & np.isfinite(zenith) & (np.cos(zenith) > 0.05)
    # Towards the vertical and beyond the last node the nearest bin of sec z stands for all.
    secant = np.clip(1.0 / np.cos(zenith[known]), table.secant[0], None)
    result[known] = 10.0 ** interpolate(np.column_stack([secant, np.log10(s800[known])]))
    return result
