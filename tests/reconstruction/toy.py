"""Events drawn from the fit's own model: times and densities from the formulas, with the errors
that the fit assumes.
"""

from dataclasses import replace

import numpy as np

from tashower.calibration.asymmetry import Asymmetry, Completion
from tashower.calibration.calibration import Calibration
from tashower.calibration.energy import EnergyTable
from tashower.calibration.errors import (
    POISSON_DENSITY,
    SMALLEST_SIGNAL,
    ErrorModel,
    density_error,
    time_error,
)
from tashower.events.array import regular_array
from tashower.events.model import Events, Pulses, Truth
from tashower.physics.description import SOFTENING
from tashower.physics.geometry import axis_components, plane_delay
from tashower.physics.lateral import TELESCOPE_ARRAY, log_lateral_distribution, slope
from tashower.physics.shower_front import curvature_zenith_dependence, front_delay
from tashower.reconstruction.pulses import EDGE_DELAY

# One Poisson count is 1.5 VEM, above the smallest signal of a hit: a station is silent where it
# counts none.
ERRORS = ErrorModel(
    time_floor=20.0, time_scale=0.6, time_power=0.4, signal_poisson=1.5, signal_fraction=0.1
)
TABLE = EnergyTable(
    np.array([1.0, 2.0]), np.array([0.0, 3.0]), np.array([[-0.5, 2.5], [-0.2, 2.8]])
)


#: The complete fit's expectation without early and late stations: that of the symmetric formulas.
NO_ASYMMETRY = Asymmetry(attenuation=(1e12, 1e12), length=1e15)


def calibration(truth, width=0.1):
    """A calibration whose prior on the curvature is the truth's mean."""
    return Calibration(
        ERRORS,
        (float(np.log(truth.curvature).mean()), 0.0, 0.0, 0.0, 0.0),
        width,
        TABLE,
        {},
        completion=Completion(ERRORS, NO_ASYMMETRY),
        published=TABLE,
    )


def draw_truth(rng, n, zenith=None, azimuth=None, core=None, s_ref=None):
    """Random showers near the middle of the array, or with the given parameters."""

    def given(value, otherwise):
        return np.full(n, value, dtype=float) if value is not None else otherwise

    core = (None, None) if core is None else core
    zenith = given(zenith, np.arcsin(np.sqrt(rng.uniform(0.01, 0.45, n))))
    columns = {
        "zenith": zenith,
        "azimuth": given(azimuth, rng.uniform(0, 2 * np.pi, n)),
        "core_x": given(core[0], rng.uniform(-600, 600, n)),
        "core_y": given(core[1], rng.uniform(-600, 600, n)),
        "s_ref": given(s_ref, 10 ** rng.uniform(1.3, 2.0, n)),
        "t0": rng.uniform(-500, 500, n),
        "curvature": np.full(n, 1.2),
        "slope": slope(zenith),
    }
    other = {
        name: np.ones(n) for name in ("energy", "xmax", "muon_scale", "muon_share", "front_scale")
    }
    return Truth(shower_id=np.arange(n), mass_number=np.ones(n, np.int16), **columns, **other)


def with_waveforms(events, pulses):
    """The events with waveforms that have these pulses' times and signals: light that falls off
    after the edge.
    """
    detector = events.array.detector
    signal = np.nan_to_num(pulses.signal, posinf=0.0, neginf=0.0)
    fall = np.exp(-np.arange(detector.n_bins - 30) / 8.0)
    light = np.zeros((len(signal), detector.n_bins, detector.n_layers))
    light[:, 30:] = np.clip(signal, 0.0, 1e3)[:, None] * (fall / fall.sum())[:, None]
    begin = (30 + EDGE_DELAY) * detector.bin_width
    flat = np.ones((len(signal), detector.n_layers), np.float32)
    return replace(
        events,
        waveform=np.clip(np.round(10.0 + 50.0 * light), 0, 4095).astype(np.uint16),
        hit_time=np.nan_to_num(pulses.arrival_time - begin, posinf=0.0, neginf=0.0),
        pedestal=10.0 * flat,
        counts_per_vem=50.0 * flat,
    )


def toy_events(rng, truth, array=None, exact=False):
    """(Events without waveforms, Pulses) of the showers; exact: no fluctuations."""
    array = array or regular_array(11, 11, 1200.0, 40.0, 30.0, np.random.default_rng(3))
    area = array.detector.area
    offset, station, times, densities = [0], [], [], []
    for i in range(len(truth.zenith)):
        d = (
            array.position[:, 0] - truth.core_x[i],
            array.position[:, 1] - truth.core_y[i],
            array.position[:, 2],
        )
        n = axis_components(truth.zenith[i], truth.azimuth[i])
        q = d[0] * n[0] + d[1] * n[1] + d[2] * n[2]
        r = np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2 - q**2 + SOFTENING**2)
        log_ldf = log_lateral_distribution(r, truth.slope[i], TELESCOPE_ARRAY)
        density = truth.s_ref[i] * np.exp(log_ldf)
        time = (
            truth.t0[i]
            + plane_delay(*d, *n)
            + front_delay(r, log_ldf, truth.curvature[i], array.front)
        )
        if not exact:
            time = time + rng.normal(size=len(r)) * time_error(
                r, density, curvature_zenith_dependence(truth.zenith[i]), ERRORS
            )
            gaussian = density + rng.normal(size=len(r)) * density_error(density, area, ERRORS)
            poisson = (
                rng.poisson(density * area / ERRORS.signal_poisson) * ERRORS.signal_poisson / area
            )
            density = np.where(density >= POISSON_DENSITY, gaussian, poisson)
        # Exact events hold every station, so that none is silent by a cut on the signal.
        hit = np.flatnonzero(density * area >= (0.01 if exact else SMALLEST_SIGNAL))
        offset.append(offset[-1] + len(hit))
        station.append(hit)
        times.append(time[hit])
        densities.append(density[hit])
    n_hits = offset[-1]
    pulses = Pulses(
        arrival_time=np.concatenate(times),
        signal=np.repeat(np.concatenate(densities)[:, None] * area, 2, axis=1),
        saturated=np.zeros(n_hits, bool),
        n_peaks=np.ones((n_hits, 2), np.int16),
        area_over_peak=np.full(n_hits, 100.0),
    )
    events = Events(
        array=array,
        event_id=np.arange(len(truth.zenith)),
        hit_offset=np.array(offset, np.int64),
        hit_station=np.concatenate(station).astype(np.int32),
        hit_time=pulses.arrival_time - 600.0,
        waveform=None,
        pedestal=None,
        counts_per_vem=None,
        dead_offset=np.zeros(len(truth.zenith) + 1, np.int64),
        dead_station=np.zeros(0, np.int32),
        pulses=pulses,
        truth=truth,
    )
    return events, pulses
