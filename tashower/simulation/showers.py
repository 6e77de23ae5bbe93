"""True showers: energy, direction, core, primary, and the few numbers that describe how each shower
developed.

A shower is described by its energy, direction, Xmax and muon content (universality:
arXiv:0712.3750); signal, slope and curvature follow from them and fluctuate together.
docs/simulation.md says which numbers are published and which are choices.
"""

from types import SimpleNamespace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincinv, gammaln, ndtri

from tashower.config import ArrayConfig, Config
from tashower.errors import InputError
from tashower.events.array import front_from_config, read_lateral
from tashower.events.model import Truth
from tashower.io.station_table import read_stations
from tashower.physics.constants import REFERENCE_DISTANCE, VERTICAL_DEPTH
from tashower.physics.description import Description
from tashower.physics.early_late import electron_attenuation
from tashower.physics.lateral import TELESCOPE_ARRAY, lateral_distribution, mean_s800, slope
from tashower.physics.shower_front import curvature_zenith_dependence
from tashower.physics.xmax import gumbel_parameters, mean_xmax
from tashower.simulation.delays import (
    SOURCED_MUONS,
    MuonContent,
    mean_leading_edge_curvature,
    muon_content,
    particle_delays,
)
from tashower.simulation.random_numbers import draw_uniforms, stream_key

#: Mass number of the primaries.
MASS_NUMBERS = {"proton": 1, "helium": 4, "nitrogen": 14, "iron": 56}

#: Largest muon share of the mean signal of any primary.
LARGEST_MUON_SHARE = 0.9
#: N_mu grows with mass as A^0.078: 1.37 for iron over proton (superposition, N_mu ~ E^0.92;
#: Matthews 2005, doi:10.1016/j.astropartphys.2004.09.003).
MUON_MASS_EXPONENT = 0.078
#: Shower-to-shower rms of ln N_mu for protons, and its power of the mass number (0.05 for iron).
#: Model choice.
MUON_FLUCTUATION = 0.15
MUON_FLUCTUATION_EXPONENT = -0.27
#: A shower that is deeper by this [g/cm^2] has e times the electromagnetic signal at 800 m. Model
#: choice: sigma(S800) is then 10 to 13 % for protons and 5 to 7 % for iron.
SIGNAL_DEPTH_SCALE = 500.0
#: Rms of ln of the electromagnetic signal that Xmax does not explain. Model choice.
SIGNAL_FLUCTUATION = 0.04
#: Change of the slope eta per g/cm^2 of Xmax, and the rms that Xmax does not explain. Model choice.
SLOPE_PER_DEPTH = 0.0015
SLOPE_FLUCTUATION = 0.05
#: A shower that is deeper by this [g/cm^2] has e times the curvature (its source is nearer), and
#: the rms of ln of what Xmax does not explain: as the muons of a cascade (docs/simulation.md).
CURVATURE_DEPTH_SCALE = 800.0
CURVATURE_FLUCTUATION = 0.04
#: Depth of the maximum [g/cm^2] for which the fronts' delays are given: protons of 10 EeV,
#: QGSJET-II-04.
REFERENCE_DEPTH = 791.0
#: Length of the interval from which the time of the core's passage is drawn [ns]: absolute times
#: mean nothing.
TIME_RANGE = 1000.0

_SHOWER_COLUMNS = 9
_THROW_COLUMNS = 3


def muon_share(
    zenith: ArrayLike, mass_number: ArrayLike, energy: ArrayLike, muons: MuonContent = SOURCED_MUONS
) -> np.ndarray:
    """Mean muon share of S800 for zenith [rad], mass number and energy [EeV]:
    1/(1 + k exp(-d/Lambda)) for protons, d [g/cm^2] the depth beyond the vertical one.
    """
    beyond = VERTICAL_DEPTH * (1.0 / np.cos(zenith) - 1.0)
    proton = 1.0 / (1.0 + muons.electromagnetic_to_muon * np.exp(-beyond / muons.attenuation))
    share = proton * np.asarray(mass_number, dtype=float) ** muons.mass_exponent
    return np.minimum(
        share * mean_s800(energy, zenith) / mean_s800(energy, zenith, mass_number),
        LARGEST_MUON_SHARE,
    )


def mean_attenuation(zenith: ArrayLike, muons: MuonContent = SOURCED_MUONS) -> np.ndarray:
    """Attenuation of the electromagnetic signal [g/cm^2] at a zenith [rad], downstream and upstream
    of the axis, that goes with `mean_s800` and `muon_share` of protons.
    """
    odds_growth = VERTICAL_DEPTH / muons.attenuation
    share = muon_share(zenith, 1, 10.0, muons)
    return electron_attenuation(1.0 / np.cos(zenith), share, odds_growth)


def mean_front_scale(
    energy: ArrayLike, zenith: ArrayLike, mass_number: ArrayLike, config: Config
) -> np.ndarray:
    """Mean scale of the front for energy [EeV], zenith [rad] and mass number.

    The zenith dependence of the curvature, and, but for the front `rough`, the effect of the mean
    depth of the maximum, relative to `REFERENCE_DEPTH`: a cascade's muons of iron, and of other
    energies, follow from it (docs/simulation.md).
    """
    scale = curvature_zenith_dependence(zenith)
    if config.front.model == "rough":
        return scale
    depth = mean_xmax(energy, mass_number, config.showers.interaction_model)
    return scale * np.exp((depth - REFERENCE_DEPTH) / CURVATURE_DEPTH_SCALE)


def mean_size(
    energy: ArrayLike,
    zenith: ArrayLike,
    mass_number: ArrayLike,
    reference: float,
    relative: ArrayLike = 1.0,
) -> np.ndarray:
    """Mean signal density [VEM/m^2] at the reference distance [m], times `relative`: what
    `mean_s800` says at 800 m, carried there by the formula that goes with it.
    """
    size = mean_s800(energy, zenith, mass_number) * relative
    if reference != REFERENCE_DISTANCE:
        size = size * lateral_distribution(reference, slope(zenith), TELESCOPE_ARRAY)
    return size


def _draw_energy(u, showers):
    """Energy [EeV] of spectrum E^-index between the two limits, from uniforms."""
    low, high = (
        10.0 ** (showers.min_log10_energy_ev - 18.0),
        10.0 ** (showers.max_log10_energy_ev - 18.0),
    )
    power = 1.0 - showers.spectral_index
    if abs(power) < 1e-9:
        return low * (high / low) ** u
    return (low**power + u * (high**power - low**power)) ** (1.0 / power)


def _draw_mass(u, primaries):
    names = [name for name in MASS_NUMBERS if primaries.get(name, 0) > 0]
    weights = np.array([primaries[name] for name in names], dtype=float)
    index = np.searchsorted(np.cumsum(weights) / weights.sum(), u, side="right")
    return np.array([MASS_NUMBERS[name] for name in names], dtype=np.int16)[
        np.minimum(index, len(names) - 1)
    ]


def _draw_xmax(u, energy, mass_number, model):
    """Xmax, its deviation from the mean, and the mean of exp(deviation/SIGNAL_DEPTH_SCALE) (closed
    form).
    """
    location, scale, shape = gumbel_parameters(energy, mass_number, model)
    xmax = location - scale * np.log(gammaincinv(shape, u) / shape)
    mean = mean_xmax(energy, mass_number, model)
    s = scale / SIGNAL_DEPTH_SCALE
    log_mean_factor = (
        (location - mean) / SIGNAL_DEPTH_SCALE
        + s * np.log(shape)
        + gammaln(shape - s)
        - gammaln(shape)
    )
    return xmax, xmax - mean, np.exp(log_mean_factor)


def field(array: ArrayConfig) -> tuple[tuple[float, float], tuple[float, float]]:
    """(middle, sides) [m] of the rectangle around the stations of section `array`: those of its
    table, or the lattice points.
    """
    if not array.stations:
        return (0.0, 0.0), extent(array)
    position = read_stations(array.stations).position[:, :2]
    low, high = position.min(axis=0), position.max(axis=0)
    return tuple(0.5 * (low + high)), tuple(high - low)


def extent(array: ArrayConfig) -> tuple[float, float]:
    """Sides [m] of the rectangle around the lattice points of section `array`."""
    if array.lattice == "hexagonal":
        return (array.columns - 0.5) * array.spacing_m, (array.rows - 1) * np.sqrt(
            0.75
        ) * array.spacing_m
    return (array.columns - 1) * array.spacing_m, (array.rows - 1) * array.spacing_m


def draw_showers(config: Config, split: str, first: int, n: int) -> Truth:
    """Draw showers number `first` to `first + n - 1` of a split, each thrown
    `config.showers.throws` times.

    Zenith ~ sin z cos z; energy ~ E^-index; cores uniform in the rectangle of the array widened by
    `core_margin_m`; Xmax from the generalised Gumbel distribution; N_mu log-normal. S800 has the
    mean of `physics.lateral.mean_s800`. Rows are throws, in the order of their numbers. The result
    does not depend on how the showers are divided into calls.

    Raises
    ------
    InputError : a negative margin of the cores leaves no room for them.
    """
    showers = config.showers
    u = draw_uniforms(stream_key(config.seed, split, "shower"), first, n, _SHOWER_COLUMNS)
    energy = _draw_energy(u[:, 0], showers)
    zenith = np.arcsin(np.sqrt(u[:, 1]) * np.sin(np.radians(showers.max_zenith_deg)))
    azimuth = 2.0 * np.pi * u[:, 2]
    mass_number = _draw_mass(u[:, 3], showers.primaries)
    xmax, deviation, mean_factor = _draw_xmax(
        u[:, 4], energy, mass_number, showers.interaction_model
    )

    share = muon_share(zenith, mass_number, energy, muon_content(config))
    width = MUON_FLUCTUATION * mass_number.astype(float) ** MUON_FLUCTUATION_EXPONENT
    muons = np.exp(width * ndtri(u[:, 5]) - 0.5 * width**2) * showers.muon_factor
    electrons = np.exp(
        deviation / SIGNAL_DEPTH_SCALE
        + SIGNAL_FLUCTUATION * ndtri(u[:, 6])
        - 0.5 * SIGNAL_FLUCTUATION**2
    )
    electrons /= mean_factor
    relative = share * muons + (1.0 - share) * electrons
    lateral, _ = read_lateral(config.array.lateral, float(config.array.reference_m))
    s_ref = mean_size(energy, zenith, mass_number, lateral.reference, relative)
    eta = slope(zenith) + SLOPE_PER_DEPTH * deviation + SLOPE_FLUCTUATION * ndtri(u[:, 7])
    eta = eta + showers.slope_shift
    front_scale = mean_front_scale(energy, zenith, mass_number, config) * np.exp(
        deviation / CURVATURE_DEPTH_SCALE + CURVATURE_FLUCTUATION * ndtri(u[:, 8])
    )
    own = {
        "shower_id": np.arange(first, first + n, dtype=np.int64),
        "mass_number": mass_number,
        "energy": energy,
        "zenith": zenith,
        "azimuth": azimuth,
        "xmax": xmax,
        "muon_scale": muons * mass_number.astype(float) ** MUON_MASS_EXPONENT,
        "s_ref": s_ref,
        "slope": eta,
        "muon_share": share * muons / relative,
        "front_scale": front_scale,
    }
    description = Description(lateral, front_from_config(config.array), config.detector.area_m2)
    own["curvature"] = mean_leading_edge_curvature(
        particle_delays(config), SimpleNamespace(**own), description
    )

    throws = showers.throws
    v = draw_uniforms(
        stream_key(config.seed, split, "throw"), first * throws, n * throws, _THROW_COLUMNS
    )
    middle, sides = field(config.array)
    half_x, half_y = (0.5 * side + showers.core_margin_m for side in sides)
    if half_x < 0.0 or half_y < 0.0:
        raise InputError(
            f"showers.core_margin_m: {showers.core_margin_m:g} leaves nothing of an array of "
            f"{sides[0]:g} m x {sides[1]:g} m"
        )
    return Truth(
        core_x=middle[0] + (2.0 * v[:, 0] - 1.0) * half_x,
        core_y=middle[1] + (2.0 * v[:, 1] - 1.0) * half_y,
        t0=v[:, 2] * TIME_RANGE,
        **{name: np.repeat(column, throws) for name, column in own.items()},
    )
