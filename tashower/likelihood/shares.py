"""What the leading edge of a station scatters by: local fluctuation of the front, the first of few
particles, clock, threshold and electronics.
"""

from typing import NamedTuple

import numpy as np

from tashower.calibration.station_likelihood import LEAST_SIGNAL
from tashower.config import Config, as_dict, load_config
from tashower.progress import blocks
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.given import complete_truth
from tashower.simulation.recorded import record_stations

#: Defaults: log10(E/eV), distances [m], zenith [deg], stations for each (choices).
LOG_ENERGIES = (18.5, 19.0, 19.5)
DISTANCES = (400.0, 600.0, 800.0, 1000.0, 1200.0, 1400.0, 1600.0, 1800.0, 2000.0)
ZENITH, STATIONS = 30.0, 20_000
_GROUPS = 20  # of stations, for the errors
#: Parts of the variance; the last two are twice the covariances.
PARTS = (
    *("local", "sampling", "clock", "electronics"),
    *("sampling x electronics", "other covariances"),
)


class Share(NamedTuple):
    """The variance of the leading edges of stations with a hit, at one energy and distance."""

    log_energy: float  #: log10(E/eV)
    distance: float  #: [m]
    signal: float  #: mean signal of hits [VEM]
    hit: float  #: part of the stations that have one
    rms: float  #: of the leading edge around its mean [ns]
    parts: np.ndarray  #: (6,) parts of its variance, their sum is 1; see `PARTS`
    errors: np.ndarray  #: (6,) of these, from the scatter of groups of stations


def _parts(columns: np.ndarray) -> np.ndarray:
    """(6,) for (4, n), in the order of `PARTS`."""
    covariance = np.cov(columns)
    one, all_of_them = 2.0 * covariance[1, 3], covariance.sum() - np.trace(covariance)
    return np.concatenate([np.diag(covariance), [one, all_of_them - one]])


def share_at(
    config: Config, log_energy: float, distance: float, zenith: float, n: int, seed: int
) -> Share:
    """The `Share` of n stations beside the axis (neither early nor late) of mean proton showers.

    The leading edge is t = front + shift + first + clock + rest: the onset of the front, what the
    local fluctuation adds, the first particle's delay after that, the error of the station's clock,
    and what threshold, pulse shape, bins and noise make of it.

    zenith : [deg]; seed : of everything random. Not included: background; how showers vary.
    """
    content = as_dict(config)
    content["detector"] |= {"accidental_rate_khz": 0.0}
    quiet = load_config(content)
    one = np.ones(n)
    shower = {
        "energy": 10.0 ** (log_energy - 18.0) * one,
        "zenith": np.radians(zenith) * one,
        "azimuth": 0.0 * one,
        "core_x": 0.0 * one,
        "core_y": -distance * one,
    }
    events, particles = record_stations(complete_truth(shower, quiet), quiet, seed)
    pulses = find_pulses(events)
    signal = pulses.signal.mean(axis=1)
    good = np.isfinite(pulses.arrival_time) & (signal >= LEAST_SIGNAL)
    row = np.searchsorted(particles.shower, events.hit_event[good])
    first = particles.first.min(axis=1)[row]
    clock = particles.clock[row]
    rest = pulses.arrival_time[good] - particles.first_time[row] - clock
    columns = np.stack([particles.shift[row], first, clock, rest])
    parts = _parts(columns)
    groups = [_parts(columns[:, i::_GROUPS]) for i in range(_GROUPS)]
    total = parts.sum()
    relative = np.array([group / group.sum() for group in groups])
    return Share(
        log_energy,
        distance,
        float(signal[good].mean()),
        float(good.mean() * events.n_hits / n),
        float(np.sqrt(total)),
        parts / total,
        relative.std(axis=0, ddof=1) / np.sqrt(_GROUPS),
    )


def leading_edge_shares(
    config: Config,
    log_energies: tuple[float, ...] = LOG_ENERGIES,
    distances: tuple[float, ...] = DISTANCES,
    zenith: float = ZENITH,
    n: int = STATIONS,
) -> list[Share]:
    """`share_at` for all energies and distances."""
    places = [(energy, r) for energy in log_energies for r in distances]
    found = []
    for rows in blocks("shares of the leading edge", len(places), 1, "places"):
        energy, r = places[rows.start]
        found.append(share_at(config, energy, r, zenith, n, config.seed + 31 * rows.start))
    return found


def shares_rows(shares: list[Share]) -> list[list[str]]:
    """Rows of a table, with header."""
    rows = [["log10(E/eV)", "distance [m]", "signal [VEM]", "hits", "rms [ns]", *PARTS]]
    for share in shares:
        cells = [f"{share.log_energy:g}", f"{share.distance:g}", f"{share.signal:.3g}"]
        cells += [f"{100 * share.hit:.0f} %", f"{share.rms:.0f}"]
        both = zip(share.parts, share.errors, strict=True)
        rows.append([*cells, *(f"{100 * p:.0f} ± {100 * e:.0f} %" for p, e in both)])
    return rows
