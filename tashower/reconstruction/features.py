"""Event features: the observables of the Telescope Array's composition work (arXiv:1808.03680),
plus zenith and S800.
"""

import numpy as np

from tashower.calibration.errors import SMALLEST_SIGNAL
from tashower.events.model import Events, Pulses, Reconstruction
from tashower.physics.geometry import axis_components, axis_distance

#: Names of the features, in the order in which a network sees them.
EVENT_FEATURES = (
    "curvature",  # a [ns]
    "area_over_peak",  # at 1200 m [ns]
    "area_over_peak_slope",  # per km [ns/km]
    "n_stations",
    "n_excluded",
    "chi2_per_ndof",
    "s_b3",  # sum S_i (r_i/1 km)^3 / S800 [m^2]
    "s_b45",  # the same with power 4.5
    "total_signal",  # [VEM]
    "layer_asymmetry",  # (upper - lower)/(upper + lower) of the total signal
    "n_peaks",  # of all waveforms
    "n_peaks_strongest",  # of the station with the largest signal
    "n_peaks_upper",  # seen in the upper layer beyond those of the lower, summed over stations
    "n_peaks_lower",
    "zenith",  # [rad]
    "s_ref",  # [VEM/m^2]
)
#: Distances of S_b and of the area over peak [m].
S_B_DISTANCE = 1000.0
AREA_OVER_PEAK_DISTANCE = 1200.0
#: Hits nearer to the core are not used for the area over peak [m]: there it is the width of the
#: electronics' pulse.
AREA_OVER_PEAK_NEAREST = 400.0


def _line_at(x, y, event, n_events):
    """Value at x = 0 and slope of straight lines y(x), one per event, by least squares; NaN for
    fewer than three points.
    """
    count, sum_x, sum_y, sum_xx, sum_xy = (
        np.bincount(event, weights, n_events) for weights in (np.ones_like(x), x, y, x * x, x * y)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = count * sum_xx - sum_x**2
        slope = (count * sum_xy - sum_x * sum_y) / spread
        value = (sum_y - slope * sum_x) / count
    good = (count >= 3) & (spread > 1e-9)
    return np.where(good, value, np.nan), np.where(good, slope, np.nan)


def event_features(
    events: Events, pulses: Pulses, reconstruction: Reconstruction
) -> dict[str, np.ndarray]:
    """The features of every event, {name: (n_events,)}; NaN where the reconstruction is invalid or
    a feature has no meaning.

    Counted are hits of at least 1.4 VEM (mean of the layers).
    """
    n = events.n_events
    signal = pulses.signal.mean(axis=1)
    strong = signal >= SMALLEST_SIGNAL
    event = events.hit_event[strong]
    station = events.hit_station[strong]
    signal, layers = signal[strong], pulses.signal[strong]
    peaks = pulses.n_peaks[strong].astype(float)
    area_over_peak = pulses.area_over_peak[strong]
    position = events.array.position[station]
    d = (
        position[:, 0] - reconstruction.core_x[event],
        position[:, 1] - reconstruction.core_y[event],
        position[:, 2],
    )
    r = axis_distance(
        *d, *axis_components(reconstruction.zenith[event], reconstruction.azimuth[event])
    )
    valid = np.isfinite(r)

    def total(weights, chosen=valid):
        return np.bincount(event[chosen], weights[chosen], n)

    upper, lower = layers[:, 0], layers[:, -1]
    shaped = valid & (r > AREA_OVER_PEAK_NEAREST) & np.isfinite(area_over_peak)
    at_distance, by_distance = _line_at(
        (r[shaped] - AREA_OVER_PEAK_DISTANCE) / 1000.0, area_over_peak[shaped], event[shaped], n
    )
    order = np.lexsort((signal, event))  # the last hit of an event is its strongest
    strongest = np.zeros(n)
    strongest[event[order]] = peaks.sum(axis=1)[order]
    with np.errstate(invalid="ignore", divide="ignore"):
        features = {
            "curvature": reconstruction.curvature,
            "area_over_peak": at_distance,
            "area_over_peak_slope": by_distance,
            "n_stations": reconstruction.n_stations,
            "n_excluded": reconstruction.n_excluded,
            "chi2_per_ndof": reconstruction.chi2 / np.maximum(reconstruction.ndof, 1),
            "s_b3": total(signal * (r / S_B_DISTANCE) ** 3) / reconstruction.s_ref,
            "s_b45": total(signal * (r / S_B_DISTANCE) ** 4.5) / reconstruction.s_ref,
            "total_signal": total(signal),
            "layer_asymmetry": total(upper - lower) / total(upper + lower),
            "n_peaks": total(peaks.sum(axis=1)),
            "n_peaks_strongest": strongest,
            "n_peaks_upper": total(np.maximum(peaks[:, 0] - peaks[:, -1], 0)),
            "n_peaks_lower": total(np.maximum(peaks[:, -1] - peaks[:, 0], 0)),
            "zenith": reconstruction.zenith,
            "s_ref": reconstruction.s_ref,
        }
    return {
        name: np.where(reconstruction.valid, features[name], np.nan).astype(float)
        for name in EVENT_FEATURES
    }
