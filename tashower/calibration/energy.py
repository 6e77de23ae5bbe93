"""Energy from S800 and zenith, by a table made from simulated showers (as the Telescope Array does;
Ivanov 2012).
"""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from tashower.physics.lateral import mean_s800

#: Fewest events behind a node of the table.
FEWEST_EVENTS = 10
_FEWEST_OF_BIN = 20  # in sec z: four nodes of half FEWEST_EVENTS
#: Up to this log10(E/EeV) the table reaches: 5 x 10^20 eV. Choice: above every event ever seen.
LARGEST_LOG_ENERGY = 2.7
#: Primaries whose relation can stand in for the table: mass numbers.
PRIMARIES = {"proton": 1, "helium": 4, "nitrogen": 14, "iron": 56}


@dataclass(frozen=True)
class EnergyTable:
    """Median log10(E/EeV) on a grid of sec z and log10 S800.

    Attributes
    ----------
    secant : (n,) nodes in sec z
    log10_s_ref : (m,) nodes in log10(S800/(VEM/m^2))
    log10_energy : (n, m), increasing along S800
    largest : largest log10(E/EeV) that the table gives to an event of its sample; beyond it the
        table goes on along a relation. None in older files, whose last node is the largest S800
    scatter : (n,) standard deviation of ln E of showers with the same S800, at the nodes in sec z;
        None in older files: not known
    """

    secant: np.ndarray
    log10_s_ref: np.ndarray
    log10_energy: np.ndarray
    largest: float | None = None
    scatter: np.ndarray | None = None


def _edges(secant: np.ndarray, n: int) -> np.ndarray:
    """Edges of up to n bins of equal numbers of events in sec z, of twenty or more."""
    n = min(n, max(len(secant) // _FEWEST_OF_BIN, 2))
    return np.quantile(secant, np.linspace(0.0, 1.0, n + 1))


def make_energy_table(
    s_ref: ArrayLike, zenith: ArrayLike, energy: ArrayLike, n_secant: int = 9, n_s_ref: int = 13
) -> EnergyTable:
    """Energy table from reconstructed S800 [VEM/m^2] and zenith [rad] and true energy [EeV] of
    simulated events.

    In every bin of sec z, log10 E is a smooth function of log10 S800: the median of log10 S800 in
    bins of TRUE energy, a parabola through the medians, inverted on the nodes. Binning in true
    energy keeps the table free of the spectrum of the sample (binned in S800 it would take over the
    bias of a falling spectrum). Fewer than 20 events per bin of sec z make fewer bins. Beyond the
    medians the table goes on straight: below with the slope there, above with that of
    `physics.lateral.mean_s800`, to LARGEST_LOG_ENERGY.
    """
    secant = 1.0 / np.cos(np.asarray(zenith, dtype=float))
    log_s, log_e = np.log10(s_ref), np.log10(energy)
    edges = _edges(secant, n_secant)
    nodes = np.linspace(log_s.min(), log_s.max(), n_s_ref)
    middle, table = [], []
    step = nodes[1] - nodes[0]
    steepness = log_energy_slope(0.0)
    # As many more nodes as the lowest bin can need.
    lacking = max(LARGEST_LOG_ENERGY - log_e.min(), 0.0) / (0.3 * step)
    nodes = nodes[0] + step * np.arange(n_s_ref + int(np.ceil(lacking)))
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
        line = np.polynomial.Polynomial.fit(x, y, 2 if len(x) > 6 else min(1, len(x) - 1))
        inner = np.clip(nodes, x.min(), x.max())
        slope = np.where(nodes > x.max(), steepness, np.maximum(line.deriv()(inner), 0.3))
        table.append(line(inner) + slope * (nodes - inner))
        middle.append(np.median(secant[inside]))
    table = np.array(table)
    needed = max(n_s_ref, int((table < LARGEST_LOG_ENERGY).any(axis=0).sum()) + 1)
    made = EnergyTable(np.array(middle), nodes[:needed], table[:, :needed])
    return replace(made, largest=float(np.log10(look_up_energy(made, s_ref, zenith)).max()))


def with_scatter(
    table: EnergyTable, s_ref: ArrayLike, zenith: ArrayLike, energy: ArrayLike
) -> EnergyTable:
    """The table with the scatter of showers: how ln E differs at the same TRUE S800.

    Parameters
    ----------
    s_ref, zenith, energy : (n,) true values of simulated showers [VEM/m^2, rad, EeV]

    In every bin of sec z of a table made from the true values, half of the middle 68.3 % of
    ln(E_table/E). It hardly depends on the energy (default configuration: 0.12 of vertical showers,
    0.07 at 40 degrees, from 10^18.5 to 10^20 eV).
    """
    secant = 1.0 / np.cos(np.asarray(zenith, dtype=float))
    true = make_energy_table(s_ref, zenith, energy)
    off = np.log(look_up_energy(true, s_ref, zenith) / np.asarray(energy, dtype=float))
    tail = 0.5 - 0.5 * math.erf(math.sqrt(0.5))
    found = []
    for low, high in itertools.pairwise(_edges(secant, len(table.secant))):
        inside = off[(secant >= low) & (secant <= high)]
        found.append(0.5 * np.diff(np.quantile(inside, [tail, 1.0 - tail]))[0])
    at = np.interp(table.secant, true.secant, found)
    return replace(table, scatter=at)


def scatter_of_showers(table: EnergyTable, zenith: ArrayLike) -> np.ndarray:
    """Standard deviation of ln E of showers with the same S800 at this zenith [rad]; 0 where it is
    not known, NaN stays NaN.
    """
    zenith = np.asarray(zenith, dtype=float)
    if table.scatter is None:
        return np.where(np.isfinite(zenith), 0.0, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        secant = 1.0 / np.clip(np.cos(zenith), 1e-3, None)
    return np.interp(secant, table.secant, table.scatter)


def log_energy_slope(zenith: float, mass_number: float = 1.0) -> float:
    """d log10 E / d log10 S800 of showers of this zenith [rad] and mass number; of all energies."""
    one, ten = mean_s800(np.array([1.0, 10.0]), zenith, mass_number)
    return float(1.0 / np.log10(ten / one))


def energy_of_primary(
    s_ref: np.ndarray, zenith: np.ndarray, mass_number: float = 1.0
) -> np.ndarray:
    """Energy [EeV] of showers of one primary whose mean S800 [VEM/m^2] at this zenith [rad] is
    `s_ref`: the inverse of `physics.lateral.mean_s800`; NaN stays NaN.

    For the Telescope Array and comparisons with it: S800 at 800 m, QGSJET-II-03. With protons it
    is the energy of that experiment's simulation, before its scaling to the fluorescence detectors
    (divided by 1.27; Abu-Zayyad et al. 2013, doi:10.1088/2041-8205/768/1/L1).

    Examples
    --------
    energy_of_primary(530.0, radians(38.6)) is 309 EeV within a few per cent (Abbasi et al. 2023,
    doi:10.1126/science.abo5095).
    """
    s_ref, zenith = np.asarray(s_ref, dtype=float), np.asarray(zenith, dtype=float)
    known = np.isfinite(s_ref) & np.isfinite(zenith)
    known &= (np.where(known, s_ref, -1.0) > 0) & (np.cos(np.where(known, zenith, 0.0)) > 0.05)
    ratio = np.where(known, s_ref, np.nan) / mean_s800(
        1.0, np.where(known, zenith, 0.0), mass_number
    )
    return ratio ** log_energy_slope(0.0, mass_number)


def beyond_events(table: EnergyTable, s_ref: np.ndarray, zenith: np.ndarray) -> np.ndarray:
    """(n,) bool: the energy that the table gives for S800 [VEM/m^2] and zenith [rad] is above those
    of all events that made it, or S800 is below theirs; True where NaN.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        log_s_ref = np.log10(np.asarray(s_ref, dtype=float))
        if table.largest is None:
            above = ~(log_s_ref <= table.log10_s_ref[-1])
        else:
            above = ~(np.log10(look_up_energy(table, s_ref, zenith)) <= table.largest)
        return above | ~(log_s_ref >= table.log10_s_ref[0])


def look_up_energy(table: EnergyTable, s_ref: ArrayLike, zenith: ArrayLike) -> np.ndarray:
    """Energy [EeV] for S800 [VEM/m^2] and zenith [rad]; bilinear in log10 and sec z, extrapolated;
    NaN stays NaN.
    """
    s_ref, zenith = np.asarray(s_ref, dtype=float), np.asarray(zenith, dtype=float)
    from scipy.interpolate import RegularGridInterpolator  # half a second, when it is needed

    interpolate = RegularGridInterpolator(
        (table.secant, table.log10_s_ref), table.log10_energy, bounds_error=False, fill_value=None
    )
    result = np.full(s_ref.shape, np.nan)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(s_ref) & (s_ref > 0) & np.isfinite(zenith) & (np.cos(zenith) > 0.05)
    # Towards the vertical and beyond the last node the nearest bin of sec z stands for all.
    secant = np.clip(1.0 / np.cos(zenith[known]), table.secant[0], None)
    result[known] = 10.0 ** interpolate(np.column_stack([secant, np.log10(s_ref[known])]))
    return result
