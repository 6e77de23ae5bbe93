"""From the muons at the ground to the numbers of the table."""

from typing import NamedTuple

import numpy as np

from cascade.delay_model import model_delay, pion_flight
from cascade.transport import DEPTH_STEP, ENERGY_STEP, MUON_FIELDS, N_DEPTHS, N_ENERGIES
from tashower.physics.shower_front import thickness_shape

#: Centres of the rings [m]; a ring reaches 0.1 to either side in the logarithm, so that the mean of
#: a density that falls as r^-4 is that at the centre (choice).
RINGS = (500.0, 600.0, 800.0, 1000.0, 1200.0, 1500.0, 1600.0, 2000.0)
_HALF_WIDTH = 0.1
#: Early and late side: a third of the circle each (choice).
_SECTOR = np.pi / 3.0
#: m/ns; critical energy [GeV] and radiation length [g/cm^2] of air (Particle Data Group 2024).
LIGHT, _CRITICAL, _RADIATION_LENGTH = 0.299792458, 0.0879, 36.62
#: Onset of the muons' front in units of (1 + r/30 m)^1.5 ns: choice, for the earliest muons of all
#: distances and zeniths.
ONSET = 0.34


class Shower(NamedTuple):
    """muons: {field: array [n]} of `MUON_FIELDS`; xmax [g/cm^2]; n_collisions; seconds."""

    muons: dict[str, np.ndarray]
    xmax: float
    n_collisions: int
    seconds: float


def electromagnetic_profile(em: np.ndarray) -> np.ndarray:
    """Number of electrons by slant depth from the energy of photons and electrons by where they
    are made (`transport.Output.em`): Greisen's formula for each (Greisen 1960,
    doi:10.1146/annurev.ns.10.120160.000431).
    """
    energy = 10.0 ** (-1.0 + ENERGY_STEP * (np.arange(N_ENERGIES) + 0.5))
    steps = np.arange(N_DEPTHS)
    t = (steps[None, :] + 0.5) * DEPTH_STEP / _RADIATION_LENGTH
    beta = np.log(np.maximum(energy / _CRITICAL, 1.2))[:, None]
    age = 3.0 * t / (t + 2.0 * beta)
    size = 0.31 / np.sqrt(beta) * np.exp(t * (1.0 - 1.5 * np.log(age)))
    profile = np.zeros(N_DEPTHS)
    for start in np.flatnonzero(em.any(axis=1)):
        profile[start:] += (em[start] / energy) @ size[:, : N_DEPTHS - start]
    return profile


def depth_of_maximum(em: np.ndarray) -> float:
    """Xmax [g/cm^2]: vertex of the parabola through the profile's largest value and neighbours."""
    profile = electromagnetic_profile(em)
    i = int(np.clip(np.argmax(profile), 1, N_DEPTHS - 2))
    before, most, after = profile[i - 1 : i + 2]
    shift = 0.5 * (before - after) / (before - 2.0 * most + after)
    return (i + 0.5 + shift) * DEPTH_STEP


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, at) -> np.ndarray:
    """Quantiles of a weighted sample, linear between the middles of the weights; NaN of none."""
    if not len(values):
        return np.full(len(at), np.nan)
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return np.interp(np.asarray(at) * total[-1], total - 0.5 * weights[order], values[order])


def shifted_lognormal(delay: np.ndarray, weights: np.ndarray, scale: float) -> tuple[float, ...]:
    """(A, sigma, largest difference of the distribution functions) of
    delay = scale (0.34 + A exp(sigma z)), z normal.

    A and sigma from the median and the quantiles one standard deviation from it, which a few muons
    before the onset do not move.
    """
    from scipy.special import ndtr

    low, middle, high = weighted_quantiles(delay, weights, ndtr([-1.0, 0.0, 1.0])) / scale - ONSET
    amplitude, sigma = middle, 0.5 * np.log(high / low)
    order = np.argsort(delay)
    cumulative = np.cumsum(weights[order]) / weights.sum()
    z = np.log(np.maximum(delay[order] / scale - ONSET, 1e-9) / amplitude) / sigma
    return float(amplitude), float(sigma), float(np.abs(cumulative - ndtr(z)).max())


def ring_of(shower: Shower, distance: float, side: str = "all") -> dict[str, np.ndarray]:
    """The muons of a ring; `side` early or late: the third where the front comes first or last."""
    muons = shower.muons
    inside = np.abs(np.log(muons["distance"] / distance)) < _HALF_WIDTH
    if side == "early":
        inside &= np.abs(muons["azimuth"]) > np.pi - _SECTOR
    elif side == "late":
        inside &= np.abs(muons["azimuth"]) < _SECTOR
    return {name: muons[name][inside] for name in MUON_FIELDS}


def ground_area(distance: float, zenith: float, side: str = "all") -> float:
    """Area of the ground [m^2] whose distances to the axis lie in a ring."""
    ring = 2.0 * np.pi * distance**2 * np.sinh(2.0 * _HALF_WIDTH) / np.cos(zenith)
    return ring if side == "all" else ring * _SECTOR / np.pi


def _relative_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)) / values.mean())


def sampling_error(ring: dict[str, np.ndarray]) -> float:
    """Relative error of a ring's mean delay from the finite number of its muons, as if they were
    independent: what thinning adds to the fluctuations between showers, at least.
    """
    weight, delay = ring["weight"], ring["delay"]
    mean = np.average(delay, weights=weight)
    return float(np.sqrt(np.sum((weight * (delay - mean)) ** 2)) / weight.sum() / mean)


def row_of(showers: list[Shower], distance: float, zenith: float, side: str = "all") -> dict:
    """One line of the table: delays in ns, muons per m^2 of ground, production in km."""
    rings = [ring_of(shower, distance, side) for shower in showers]
    joined = {name: np.concatenate([ring[name] for ring in rings]) for name in MUON_FIELDS}
    weight, delay = joined["weight"], joined["delay"] / LIGHT
    mean = np.average(delay, weights=weight)
    means = np.array([np.average(r["delay"], weights=r["weight"]) / LIGHT for r in rings])
    area = ground_area(distance, zenith, side)
    densities = np.array([ring["weight"].sum() / area for ring in rings])
    log, xmax = np.log(means), np.array([shower.xmax for shower in showers])
    logs = np.log(np.maximum(delay, 1e-3))
    log_mean = np.average(logs, weights=weight)
    amplitude, sigma, ks = shifted_lognormal(delay, weight, thickness_shape(distance))
    names = ("q01_ns", "q05_ns", "q10_ns", "q25_ns", "q50_ns", "q75_ns", "q90_ns")
    quantiles = weighted_quantiles(delay, weight, (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9))
    above = joined["production"] - joined["ground"]
    born = joined["born_energy"]
    on_axis, with_pion = (
        np.average(model_delay(joined["distance"], z, born, joined["energy"]), weights=weight)
        for z in (above, above + pion_flight(born))
    )
    production = weighted_quantiles(joined["production"] / 1e3, weight, (0.1, 0.5, 0.9))
    return {
        "distance_m": distance,
        "side": side,
        "muons_recorded": len(weight),
        "muons_per_m2_ground": densities.mean(),
        "muons_per_m2_error": densities.mean() * _relative_error(densities),
        "mean_ns": mean,
        "mean_error_ns": mean * _relative_error(means),
        "rms_ns": np.sqrt(np.average((delay - mean) ** 2, weights=weight)),
        **dict(zip(names, quantiles, strict=True)),
        "lognormal_mu": log_mean,
        "lognormal_sigma": np.sqrt(np.average((logs - log_mean) ** 2, weights=weight)),
        "shifted_a": amplitude,
        "shifted_sigma": sigma,
        "ks_shifted": ks,
        "rms_ln_mean_between_showers": log.std(ddof=1),
        "rms_ln_mean_sampling": np.sqrt(np.mean([sampling_error(ring) ** 2 for ring in rings])),
        "correlation_with_xmax": np.corrcoef(log, xmax)[0, 1],
        "slope_ln_mean_per_100_g_cm2": 100.0 * np.polyfit(xmax, log, 1)[0],
        "production_km_q10": production[0],
        "production_km_q50": production[1],
        "production_km_q90": production[2],
        "model_on_axis_ns": on_axis / LIGHT,
        "model_with_pion_ns": with_pion / LIGHT,
    }
