"""When particles reach a station: three named fronts, and the first arrival that follows from them.

All times are in ns, per c = (1 + r/30 m)^1.5 where it is said. docs/simulation.md lists what is
published and what is a choice.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from tashower.config import Config
from tashower.physics.compiled import formula
from tashower.physics.constants import FRONT_SCALE, OUTER_SCALE
from tashower.physics.description import Description
from tashower.physics.early_late import muon_share_at
from tashower.physics.lateral import log_lateral_distribution
from tashower.physics.shower_front import (
    CURVATURE_DISTANCE,
    FRONT_ONSET,
    TELESCOPE_ARRAY_FRONT,
    curvature_zenith_dependence,
    front_delay,
    thickness_shape,
)
from tashower.simulation.particles import gamma_survival, mean_numbers

#: Muons of the sourced front after its onset (`FRONT_ONSET`), in units of c: median A
#: exp(-B (sec z - 1)) (r/1 km)^(p + q (sec z - 1)) of a log-normal distribution (A, B, p, q;
#: `python benchmarks/muon_times.py`, from the table of a hadronic cascade, data/muon_times.csv).
MUON_MEDIAN = (2.28, 1.59, 0.04, 0.44)
#: ... and its sigma, (s + t ln sec z) (r/1 km)^p (s, t, p; the same source).
MUON_SIGMA = (0.74, 0.48, -0.39)
#: Distance below which both stay as they are there [m]: the source begins at 600 m (choice).
NEAREST_MUONS = 300.0
#: Mean delay of electromagnetic particles at 30 degrees in units of c, onset included (the same
#: source, crude: 3.8 to 4.0), and the whole-number shape of the gamma distribution after the onset.
ELECTRON_MEAN = 3.9
ELECTRON_SHAPE = 3
#: Shape of the gamma distribution of muon delays in the fronts `formula` and `rough`.
MUON_SHAPE = 2
#: Mean delays [ns] of these two at 1 km from a vertical shower's axis, of electromagnetic particles
#: and muons (quark-gluon string model, docs/simulation.md).
GAMMA_DELAYS = (1120.0, 420.0)
#: Their onset, a curvature [ns] for the size below, and the local fluctuation of `rough` [ns per
#: c and density^-0.3]: fitted once to leading edges that were recalled, not read.
GAMMA_ONSET = 0.25
ROUGH_LOCAL = 0.9
#: Part of it that is kept elsewhere (choice: sampling alone explains the spread that is seen, and
#: leaves no room for more).
LOCAL_PART = 0.25
#: Power of the signal density in the local fluctuation of the front (as in the Telescope Array's
#: timing error, Ivanov 2012).
LOCAL_POWER = -0.3
#: S800 [VEM/m^2] that the onset of `formula` and `rough` refers to: a proton of 10 EeV at 30
#: degrees.
ONSET_S800 = 27.0
_ROWS = 10_000  # integrals whose nodes are in memory at once
_DELAY_REFERENCE = 1000.0  # distance that mean delays and powers refer to [m]
_SECANT_30 = 2.0 / np.sqrt(3.0)


class MuonContent(NamedTuple):
    """What the muon share of S800 is made of (`showers.muon_share`)."""

    electromagnetic_to_muon: float  #: of a vertical proton shower at 800 m
    attenuation: float  #: of that ratio [g/cm^2]
    mass_exponent: float  #: power of the mass number in the density of muons at 800 m


#: Muons of the same cascade at 800 m times 1.9 (the Telescope Array sees 1.72 +- 0.10 +- 0.37 times
#: the muons of its simulation, Abbasi et al. 2018, arXiv:1804.03877) over `mean_s800`: shares 0.17,
#: 0.22, 0.34, 0.41 at 0, 30, 45, 50 degrees; iron has 1.5 times as many there.
SOURCED_MUONS = MuonContent(5.0, 385.0, 0.1007)
#: Model choice: 0.21, 0.32, 0.56, 0.69; iron over proton as in N_mu (Matthews 2005).
ROUGH_MUONS = MuonContent(3.8, 230.0, 0.078)


class World(NamedTuple):
    """How simulated showers differ from what the fit assumes; by default they do not."""

    far_power: float  #: more of (1 + r^2/R_1^2)^-power in the lateral distribution
    front_power: float  #: of (1 + r/30 m) in the delays; 1.5 is the fit's


class ParticleDelays(NamedTuple):
    """Numbers of the simulated front that the compiled loops need, per c and unit of the shower's
    own scale (`shower_delays`).
    """

    electron_scale: float  #: of the gamma distribution [ns]
    electron_shape: int
    muon_scale: float  #: of the gamma distribution, or the log-normal one's median at 1 km [ns]
    muon_sigma: float  #: of the log-normal distribution at 1 km; 0: gamma of shape `MUON_SHAPE`
    onset: float  #: curvature of the onset that shrinks with the density [ns]
    constant_onset: float  #: of the onset that does not [ns]
    local: float  #: [ns]
    world: World


def particle_delays(config: Config) -> ParticleDelays:
    """`ParticleDelays` of a vertical shower, for the configuration's section `front`."""
    front, showers = config.front, config.showers
    world = World(float(showers.lateral_far_power), float(showers.front_power))
    local = ROUGH_LOCAL if front.model == "rough" else LOCAL_PART * ROUGH_LOCAL
    if front.model == "sourced":
        electrons = (ELECTRON_MEAN - FRONT_ONSET) / (ELECTRON_SHAPE * _shrinks(_SECANT_30))
        shape, muons, sigma = ELECTRON_SHAPE, MUON_MEDIAN[0], MUON_SIGMA[0]
        onset, constant = 0.0, FRONT_ONSET
    else:
        unit = thickness_shape(_DELAY_REFERENCE)
        electrons, muons = (delay / (MUON_SHAPE * unit) for delay in GAMMA_DELAYS)
        shape, sigma, onset, constant = MUON_SHAPE, 0.0, GAMMA_ONSET, 0.0
    return ParticleDelays(
        electron_scale=float(electrons * front.electron_delay_factor),
        electron_shape=shape,
        muon_scale=float(muons * front.muon_delay_factor),
        muon_sigma=sigma,
        onset=float(onset * front.onset_factor),
        constant_onset=float(constant * front.onset_factor),
        local=float(local * front.local_factor),
        world=world,
    )


def muon_content(config: Config) -> MuonContent:
    """The muons that go with the configuration's front."""
    return ROUGH_MUONS if config.front.model == "rough" else SOURCED_MUONS


def _shrinks(secant):
    """How the delays of the sourced front after the onset shrink with sec z; electromagnetic
    particles as muons (choice).
    """
    return np.exp(-MUON_MEDIAN[1] * (secant - 1.0))


class ShowerDelays(NamedTuple):
    """Delays in showers, one row each: factors of c that do not depend on the place."""

    unit: np.ndarray  #: scale of the shower's delays and of its constant onset
    electron_scale: np.ndarray  #: [ns]
    muon_scale: np.ndarray  #: at 1 km [ns]
    muon_sigma: np.ndarray  #: at 1 km
    muon_power: np.ndarray  #: power of r/1 km in the muons' scale


def shower_delays(
    delays: ParticleDelays, zenith: ArrayLike, front_scale: ArrayLike
) -> ShowerDelays:
    """Delays of showers of a zenith [rad] and `front_scale`.

    In the fronts `formula` and `rough` everything shrinks with the zenith as the curvature does,
    which `front_scale` contains. In the sourced one muons have their own dependence.
    """
    zenith, scale = np.broadcast_arrays(
        np.asarray(zenith, dtype=float), np.asarray(front_scale, dtype=float)
    )
    same = np.ones(zenith.shape)
    if delays.muon_sigma == 0.0:
        return ShowerDelays(
            scale, delays.electron_scale * same, delays.muon_scale * same, 0.0 * same, 0.0 * same
        )
    secant = 1.0 / np.cos(zenith)
    shrinks = _shrinks(secant)
    return ShowerDelays(
        unit=scale / curvature_zenith_dependence(zenith),
        electron_scale=delays.electron_scale * shrinks,
        muon_scale=delays.muon_scale * shrinks,
        muon_sigma=delays.muon_sigma + MUON_SIGMA[1] * np.log(secant),
        muon_power=MUON_MEDIAN[2] + MUON_MEDIAN[3] * (secant - 1.0),
    )


@formula
def muons_at(r, shower):
    """(median or scale [ns per c], sigma) of the muons' delays at distance r [m]; shower:
    `ShowerDelays`, or anything with its fields.
    """
    log_r = np.log(np.maximum(r, NEAREST_MUONS) / _DELAY_REFERENCE)
    return (
        shower.muon_scale * np.exp(shower.muon_power * log_r),
        shower.muon_sigma * np.exp(MUON_SIGMA[2] * log_r),
    )


_AT_REFERENCE = 1.0 + _DELAY_REFERENCE / FRONT_SCALE


@formula
def simulated_thickness(r, world):
    """c at r [m], with the power of this world; at 1 km it is the same in all."""
    if world.front_power == 1.5:
        return thickness_shape(r)
    ratio = (1.0 + r / FRONT_SCALE) / _AT_REFERENCE
    return thickness_shape(_DELAY_REFERENCE) * ratio**world.front_power


@formula
def simulated_log_lateral(r, eta, lateral, world):
    """ln LDF(r) of this world; at the reference distance it is 0 in all."""
    log_ldf = log_lateral_distribution(r, eta, lateral)
    if world.far_power != 0.0:
        x, at = r / OUTER_SCALE, lateral.reference / OUTER_SCALE
        log_ldf = log_ldf - world.far_power * np.log((1.0 + x * x) / (1.0 + at * at))
    return log_ldf


class Arrivals(NamedTuple):
    """Particles of both kinds in stations: mean numbers, and their delays after the onset."""

    n_muons: np.ndarray
    muon_scale: np.ndarray  #: [ns]
    n_electrons: np.ndarray
    electron_scale: np.ndarray  #: [ns]
    electron_shape: int
    muon_sigma: np.ndarray | float = 0.0  #: 0: gamma distribution of shape `MUON_SHAPE`


def _came(t, arrivals: Arrivals) -> np.ndarray:
    """Mean number of particles that came before t (..., nodes)."""
    number, scale = arrivals.n_muons[..., None], arrivals.muon_scale[..., None]
    sigma = np.broadcast_to(arrivals.muon_sigma, arrivals.n_muons.shape)[..., None]
    if np.any(sigma > 0.0):
        muons = number * ndtr(np.log(t / scale) / sigma)
    else:
        muons = number * (1.0 - gamma_survival(t / scale, MUON_SHAPE))
    t = t / arrivals.electron_scale[..., None]
    return muons + arrivals.n_electrons[..., None] * (
        1.0 - gamma_survival(t, arrivals.electron_shape)
    )


def first_arrival(arrivals: Arrivals) -> tuple[np.ndarray, np.ndarray]:
    """Mean and rms [ns] of the time of the first particle after the onset, when there is one.

    Integrals of exp(-N F(t)) and 2 t exp(-N F(t)) over t, with N F(t) the mean number that came
    before t (Poisson numbers of both kinds).
    """
    n = arrivals.n_muons
    if n.size > _ROWS:
        columns = [np.broadcast_to(column, n.shape).ravel() for column in arrivals]
        parts = zip(*(np.array_split(c, -(-n.size // _ROWS)) for c in columns), strict=True)
        found = [
            first_arrival(Arrivals(*part)._replace(electron_shape=arrivals.electron_shape))
            for part in parts
        ]
        return tuple(np.concatenate(column).reshape(n.shape) for column in zip(*found, strict=True))
    sigma = np.asarray(arrivals.muon_sigma)
    longest = 12.0 * np.maximum(arrivals.muon_scale, arrivals.electron_scale)
    longest = np.maximum(longest, arrivals.muon_scale * np.exp(4.5 * sigma))
    nodes, weights = np.polynomial.legendre.leggauss(40)
    # Nodes crowd at early times (t ~ u^3), where the first of many particles comes.
    u = 0.5 * (nodes + 1.0)
    t = longest[..., None] * u**3
    jacobian = longest[..., None] * 3.0 * u**2 * 0.5 * weights
    none = np.exp(-(n + arrivals.n_electrons))[..., None]
    later = (np.exp(-_came(t, arrivals)) - none) * jacobian
    mean = later.sum(axis=-1) / (1.0 - none[..., 0])
    square = (2.0 * t * later).sum(axis=-1) / (1.0 - none[..., 0])
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0))


def leading_edge(
    delays: ParticleDelays, shower: object, description: Description, r: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Mean delay [ns] behind the plane of the first particle in a station at distance r [m], and
    its rms [ns] from sampling alone (no local fluctuation, no clock); early-late effects left out.

    Parameters
    ----------
    shower : anything with s_ref [VEM/m^2], slope, muon_share, front_scale and zenith [rad]
    description : lateral distribution, area of a station
    """
    own = shower_delays(delays, shower.zenith, shower.front_scale)
    thickness = simulated_thickness(r, delays.world)
    width = thickness * own.unit
    log_ldf = simulated_log_lateral(r, shower.slope, description.lateral, delays.world)
    n_muons, n_electrons = mean_numbers(
        description.area * shower.s_ref * np.exp(log_ldf),
        muon_share_at(r, shower.muon_share),
        np.cos(shower.zenith),
    )
    scale, sigma = muons_at(r, own)
    columns = n_muons, scale * width, n_electrons, own.electron_scale * width
    mean, rms = first_arrival(
        Arrivals(*np.broadcast_arrays(*columns), delays.electron_shape, sigma)
    )
    onset_scale = delays.onset * shower.front_scale * np.sqrt(ONSET_S800 / shower.s_ref)
    onset = (
        thickness / thickness_shape(r) * front_delay(r, log_ldf, onset_scale, TELESCOPE_ARRAY_FRONT)
    )
    return onset + delays.constant_onset * width + mean, rms


def mean_leading_edge_curvature(
    delays: ParticleDelays, shower: object, description: Description, r: float = CURVATURE_DISTANCE
) -> np.ndarray:
    """The a [ns] with which `front_delay` gives the mean leading edge of a shower at distance r
    [m].

    a = `leading_edge` / (`front_delay` of the fitted front for a = 1), shape of the showers'
    arrays. Early-late effects average out.

    Parameters
    ----------
    shower : anything with s_ref [VEM/m^2], slope, muon_share, front_scale and zenith [rad]
    description : lateral distribution, fitted front, area of a station
    """
    log_ldf = log_lateral_distribution(r, shower.slope, description.lateral)
    mean, _ = leading_edge(delays, shower, description, r)
    return mean / front_delay(r, log_ldf, 1.0, description.front)
