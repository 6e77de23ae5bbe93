"""What the station likelihood says of every hit at a fit, in a few numbers."""

import numpy as np
import torch

from tashower.calibration.station_likelihood import StationLikelihood
from tashower.events.model import Events, Pulses, Reconstruction
from tashower.likelihood.training import log_density_of, network_outputs
from tashower.physics.geometry import axis_components
from tashower.physics.station import reduced_time, station_conditions

#: Numbers of a hit.
N_SCORES = 4


def _conditions(events: Events, fit: Reconstruction, stations: StationLikelihood) -> tuple:
    """((n_hits, 5) conditions, (n_hits,) time of the plane front [ns]) of all hits at a fit, whose
    showers are completed by the mean of such showers.
    """
    variety = stations.variety
    n_x, n_y, n_z = axis_components(fit.zenith, fit.azimuth)
    secant, size = 1.0 / n_z, np.log(fit.s_ref)
    s = secant - 1.0
    design = np.stack([np.ones_like(s), s, s * s, size, s * size], axis=1)
    slope, odds, scale = (design @ variety.coefficients.T).T
    nodes = np.linspace(1.0, 2.0, len(variety.attenuation))
    attenuation = np.interp(secant, nodes, variety.attenuation)
    shower = (n_x, n_y, n_z, size, slope, 1.0 / (1.0 + np.exp(-odds)), scale, attenuation)
    event, position = events.hit_event, events.array.position[events.hit_station]
    place = (position[:, 0] - fit.core_x[event], position[:, 1] - fit.core_y[event], position[:, 2])
    found, plane = station_conditions(
        place, tuple(one[event] for one in shower), events.array.lateral, stations.area
    )
    return np.stack(np.broadcast_arrays(*found), axis=1), fit.t0[event] + plane


def scores_of_hits(
    events: Events, pulses: Pulses, fit: Reconstruction, stations: StationLikelihood
) -> np.ndarray:
    """(n_hits, 4) what the density of single stations says at a fit: derivative of its logarithm by
    the reduced time u; u less its mean, over its rms; ln of that rms; ln of signal over expected
    signal. All 0 without a leading edge.

    The mean and rms are those of hits that are not saturated.
    """
    density = stations.density
    conditions, plane = _conditions(events, fit, stations)
    timed = np.isfinite(pulses.arrival_time)
    delay = np.where(timed, pulses.arrival_time - plane, 0.0)
    u, _ = reduced_time(delay, conditions[:, 2], conditions[:, 4])
    signal = np.maximum(pulses.signal.mean(axis=1), 1e-3)
    v = np.log(signal) - conditions[:, 0]
    reduced = np.clip(conditions, density.low, density.high)
    reduced = torch.tensor((reduced - density.mean) / density.width).float()
    outputs = network_outputs(density, reduced)
    seen = torch.tensor(u).float().requires_grad_(), torch.tensor(v).float()
    hit = torch.ones(len(u), dtype=torch.bool)
    saturated = torch.tensor(np.asarray(pulses.saturated, bool))
    value = log_density_of(outputs, torch.tensor(conditions[:, 0]).float(), hit, saturated, seen)
    (score,) = torch.autograd.grad(value.sum(), seen[0])
    parts = (outputs.shape[1] - 2) // 12
    weight = torch.softmax(outputs[:, :parts], 1)
    middle, width = outputs[:, parts : 2 * parts], torch.exp(outputs[:, 3 * parts : 4 * parts])
    mean = (weight * middle).sum(1)
    rms = ((weight * (width**2 + middle**2)).sum(1) - mean**2).clamp(min=1e-6).sqrt()
    away = (seen[0].detach() - mean) / rms
    found = torch.stack([torch.asinh(score), torch.asinh(away), torch.log(rms), seen[1]], dim=1)
    return np.where(timed[:, None], found.detach().numpy().astype(float), 0.0)
