"""How showers of one zenith and size vary, and hits without a shower: what a likelihood of an event
needs beside that of its stations.
"""

from dataclasses import replace

import numpy as np

from tashower.calibration.station_likelihood import LEAST_SIGNAL, Background, Variety
from tashower.config import Config
from tashower.likelihood.stations import with_showers
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.delays import muon_content, particle_delays, shower_delays
from tashower.simulation.showers import draw_showers, mean_attenuation
from tashower.simulation.simulate import simulate_stations

#: Showers that the variety is found from, and stations that wait for background (choices).
_SHOWERS, _WAITING = 100_000, 50_000
_NODES = 41


def variety_of(config: Config) -> Variety:
    """`Variety` of the configuration's showers: least squares of slope, ln odds of muons and ln of
    the scale of the delays in zenith and size, covariance of what is left.
    """
    truth = draw_showers(with_showers(config), "given", 0, _SHOWERS)
    own = shower_delays(particle_delays(config), truth.zenith, truth.front_scale)
    share = np.clip(truth.muon_share, 1e-3, 0.99)
    odds, scale = np.log(share / (1.0 - share)), np.log(own.unit)
    s, size = 1.0 / np.cos(truth.zenith) - 1.0, np.log(truth.s_ref)
    one = np.ones(len(s))
    design = np.stack([one, s, s * s, size, s * size], axis=1)
    targets = np.stack([truth.slope, odds, scale], axis=1)
    coefficients = np.linalg.solve(design.T @ design, design.T @ targets)
    left = targets - design @ coefficients
    more = np.stack([one, s, s * s, size, s * size, truth.slope, odds, scale, size * size], axis=1)
    curvature = np.linalg.solve(more.T @ more, more.T @ np.log(truth.curvature))
    secant = np.linspace(1.0, 2.0, _NODES)
    return Variety(
        coefficients.T.copy(),
        left.T @ left / len(left),
        mean_attenuation(np.arccos(1.0 / secant), muon_content(config)),
        curvature,
    )


def background_of(config: Config) -> Background:
    """`Background` of the configuration's stations: their rate, and the signals of background
    muons.
    """
    truth = draw_showers(with_showers(config), "given", 0, _WAITING)
    truth = replace(truth, core_x=np.full(_WAITING, 1e5), s_ref=np.full(_WAITING, 1e-6))
    events = simulate_stations(truth, config, config.seed, background=True)
    pulses = find_pulses(events)
    signal = pulses.signal.mean(axis=1)
    good = np.isfinite(pulses.arrival_time) & (signal >= LEAST_SIGNAL)
    if good.sum() < 100:
        return Background(0.0, 0.0, 0.5)
    log_signal = np.log(signal[good])
    rate = good.sum() / events.n_hits * config.detector.accidental_rate_khz * 1e-6
    return Background(float(rate), float(log_signal.mean()), float(log_signal.std()))
