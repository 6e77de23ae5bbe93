"""How far the axes of an event reach, and its residuals: what sets the scale, whatever draws it."""

from collections.abc import Mapping

import numpy as np

from tashower.evaluation.station_fits import DISTRUSTED, USED, Stations
from tashower.events.model import Events

#: Residuals are shown to at least so many standard deviations. A used station that is farther off
#: than the second sets no scale, except where more than one in three are, as around a plane front
#: (choices).
_LEAST_SCALE, _FAR_OFF, _FEW = 3.5, 7.0, 1.0 / 3.0


def view_of(events: Events, used: np.ndarray) -> tuple[np.ndarray, float]:
    """(centre, half the width) of the view [m]: all stations of the fit, or all hits."""
    where = events.array.position[events.hit_station, :2]
    shown = used if used.any() else np.ones(len(used), bool)
    low, high = where[shown].min(axis=0), where[shown].max(axis=0)
    half = 0.5 * (high - low).max() + 1.15 * events.array.spacing
    return 0.5 * (low + high), half


def reach(main: Stations) -> tuple[float, float]:
    """(largest distance to show [m], where curves begin) from the stations of the fit."""
    used = main.r[main.state == USED]
    far = float(1.08 * (used if len(used) else main.r).max())
    return far, max(11.0, 0.01 * far)


def counted(stations: Stations, of_times: bool) -> np.ndarray:
    """(n,) bool: hits whose times or signals a method used."""
    return stations.state == USED if of_times else stations.state <= DISTRUSTED


def for_scale(stations: Stations, pull: np.ndarray, of_times: bool) -> np.ndarray:
    """(n,) bool: the stations that set the scale of an axis."""
    used = counted(stations, of_times) & np.isfinite(pull)
    near = used & (np.abs(pull) < _FAR_OFF)
    return near if (used & ~near).sum() <= _FEW * used.sum() else used


def time_limits(main: Stations, line: np.ndarray) -> tuple[float, float]:
    """Lowest and highest time over the plane [ns]; line : the front of the main method."""
    used = for_scale(main, main.residual / main.sigma, True)
    y, sigma = (main.delay + main.residual)[used], main.sigma[used]
    ends = np.concatenate([y - sigma, y + sigma, line])
    ends = ends[np.isfinite(ends)]
    low, high = min(ends.min(initial=0.0), 0.0), ends.max(initial=1.0)
    return low - 0.06 * (high - low), high + 0.08 * (high - low)


def density_limits(main: Stations) -> tuple[float, float]:
    """Lowest and highest density [VEM/m^2] on an axis of logarithms."""
    used, y = main.state <= DISTRUSTED, main.density  # signals count in full
    seen = y[used & (y > 0)] if (used & (y > 0)).any() else y[y > 0]
    low, high = (seen.min(), seen.max()) if len(seen) else (0.1, 10.0)
    return 0.3 * float(low), 3.0 * float(high)


def density_bars(main: Stations, area: float) -> np.ndarray:
    """(n,) errors of densities as they are drawn [VEM/m^2]: above 0, and where the method knows
    none, that of 1.4 sqrt(VEM).
    """
    y, sigma = main.density, main.density_sigma
    if not np.isfinite(sigma).any():
        sigma = np.sqrt(2.0 * np.maximum(y, 0.0) / area)
    return np.minimum(sigma, 0.95 * np.maximum(y, 1e-9))  # an axis of logarithms has no 0


def pulls_of(
    stations: Mapping[str, Stations], saturated: np.ndarray, of_times: bool
) -> dict[str, np.ndarray]:
    """{method: residuals in its own standard deviations}, of times or signals."""
    pulls = {}
    for name, of_method in stations.items():
        if of_times:
            pulls[name] = of_method.residual / of_method.sigma
        elif np.isfinite(of_method.expected).any():
            with np.errstate(invalid="ignore"):
                pull = (of_method.density - of_method.expected) / of_method.density_sigma
            # A lower limit says nothing where the model expects more.
            pulls[name] = np.where(saturated & (pull < 0), np.nan, pull)
    return pulls


def pull_scale(
    stations: Mapping[str, Stations], pulls: Mapping[str, np.ndarray], main: str, of_times: bool
) -> float:
    """Largest residual to show [standard deviations]; main : the method that must be seen."""
    largest = {}
    for name, pull in pulls.items():
        used = pull[for_scale(stations[name], pull, of_times)]
        largest[name] = np.abs(used).max(initial=0.0) + 1.0
    others = min(max(largest.values()), _FAR_OFF + 1.0)
    return float(1.1 * max(_LEAST_SCALE, largest.get(main, 0.0), others))
