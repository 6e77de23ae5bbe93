"""Simulated hits, each with several showers that may have made it: the sample that the ratio of
waveforms is learned from.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from tashower.calibration.station_likelihood import LEAST_SIGNAL, Density
from tashower.config import Config
from tashower.events.model import Truth
from tashower.likelihood.stations import conditions_of, draw_stations
from tashower.likelihood.training import log_density_of, network_outputs
from tashower.physics.shower_front import thickness_shape
from tashower.physics.station import TIME_SCALE, reduced_time
from tashower.progress import blocks
from tashower.reconstruction.likelihood.shapes import waveform_shapes
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.random_numbers import stream_key
from tashower.simulation.simulate import array_from_config, simulate_stations

#: Showers that a hit is compared with, its own among them (choice).
CANDIDATES = 8
#: They lie around a common middle with these rms, times a factor of the hit's own, flat in its
#: logarithm: core x, y [m], zenith [rad], azimuth times sin z [rad], ln S_ref, eta, ln odds of
#: muons, ln scale of the delays; and t0 [ns], for the thickness there (choices: from a fifth to
#: four times what an event leaves open).
SCATTER = (40.0, 40.0, 0.01, 0.01, 0.2, 0.1, 0.3, 0.1)
FACTORS = (0.2, 4.0)
#: rms of t0: this part of the thickness, and the scale of reduced times (choices).
_TIME_PART = 0.2
_LARGEST_ZENITH = 1.4  # [rad]; a candidate of the most inclined ones is kept here
_BLOCK = 50_000


class HitSample(NamedTuple):
    """Hits, and candidates of the shower that made them; the first is the one that did."""

    shape: np.ndarray  #: (n, N_SHAPE) float32, `reconstruction.likelihood.shapes`
    inputs: np.ndarray  #: (n, CANDIDATES, 7) float32: reduced conditions, u and v
    #: (n, CANDIDATES) float32, ln of the density of leading edge and signal
    log_density: np.ndarray


def scattered(middle: Truth, factor: np.ndarray, rng: np.random.Generator) -> Truth:
    """A candidate around every shower; factor : (n,) of SCATTER."""
    normal = rng.standard_normal((len(SCATTER) + 1, len(factor)))
    off = normal[:-1] * np.array(SCATTER)[:, None] * factor
    share = np.clip(middle.muon_share, 1e-3, 0.99)
    thickness = thickness_shape(np.hypot(middle.core_x, middle.core_y))
    late = normal[-1] * factor * (TIME_SCALE + _TIME_PART * thickness)
    return replace(
        middle,
        core_x=middle.core_x + off[0],
        core_y=middle.core_y + off[1],
        zenith=np.clip(np.abs(middle.zenith + off[2]), 1e-3, _LARGEST_ZENITH),
        azimuth=middle.azimuth + off[3] / np.maximum(np.sin(middle.zenith), 0.05),
        s_ref=middle.s_ref * np.exp(off[4]),
        slope=middle.slope + off[5],
        muon_share=1.0 / (1.0 + (1.0 - share) / share * np.exp(-off[6])),
        front_scale=middle.front_scale * np.exp(off[7]),
        t0=middle.t0 + late,
    )


def _look(candidates: list[Truth], config: Config, seed: int, density: Density) -> HitSample:
    """The first candidates, simulated, and how likely what was seen is under all of them."""
    array = array_from_config(config)
    events = simulate_stations(candidates[0], config, seed)
    pulses = find_pulses(events)
    signal = pulses.signal.mean(axis=1)
    good = np.isfinite(pulses.arrival_time) & (signal >= LEAST_SIGNAL)
    which, saturated = events.hit_event[good], torch.tensor(pulses.saturated[good])
    inputs, values = [], []
    for candidate in candidates:
        conditions, plane = conditions_of(candidate, config, array)
        conditions = conditions[which]
        delay = pulses.arrival_time[good] - candidate.t0[which] - plane[which]
        time, log_slope = reduced_time(delay, conditions[:, 2], conditions[:, 4])
        ratio = np.log(signal[good]) - conditions[:, 0]
        reduced = np.clip(conditions, density.low, density.high) - density.mean
        columns = [reduced / density.width, time[:, None], ratio[:, None]]
        inputs.append(np.concatenate(columns, axis=1).astype(np.float32))
        with torch.no_grad():
            outputs = network_outputs(density, torch.tensor(inputs[-1][:, :5]))
            seen = torch.tensor(time).float(), torch.tensor(ratio).float()
            log_signal, hit = torch.tensor(conditions[:, 0]).float(), torch.ones_like(saturated)
            value = log_density_of(outputs, log_signal, hit, saturated, seen).numpy()
        values.append((value + log_slope).astype(np.float32))
    shape = waveform_shapes(events, pulses)[good]
    return HitSample(shape, np.stack(inputs, axis=1), np.stack(values, axis=1))


def sample_hits(config: Config, first: int, n: int, density: Density) -> HitSample:
    """Simulate stations number `first` to `first + n - 1`; those with a hit are kept.

    All candidates of a hit come from one distribution, and the station is simulated with the
    first: which of them it was is then known from what was seen alone.

    first : in steps of 50,000: blocks are drawn together; density : the station's
    """
    parts: Iterator = []
    for rows in blocks("simulate waveforms", n, _BLOCK, "stations"):
        middle = draw_stations(config, first + rows.start, rows.stop - rows.start)
        block = (first + rows.start) // _BLOCK
        entropy = [config.seed, int(stream_key(config.seed, "given", "station")), block, 1]
        rng = np.random.default_rng(np.random.SeedSequence(entropy))
        factor = np.exp(rng.uniform(*np.log(FACTORS), len(middle.zenith)))
        candidates = [scattered(middle, factor, rng) for _ in range(CANDIDATES)]
        parts.append(_look(candidates, config, config.seed + 7919 * block + 1, density))
    return HitSample(*(np.concatenate(column) for column in zip(*parts, strict=True)))
