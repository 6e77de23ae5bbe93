"""What stands out in measured events, and what to do about it: sentences that follow from numbers.

A finding needs an effect that matters and one that chance does not make: its p-value, times the
number of looks, is below `p_values.CLEAR`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tashower.evaluation.explained import cuts_of
from tashower.evaluation.names import REFERENCE, short
from tashower.evaluation.p_values import CLEAR, FEW, chi2_p, p_text, sign_p
from tashower.evaluation.rounding import with_error
from tashower.events.model import Events, Pulses, Reconstruction, expected_at_hits

#: Choices of what matters: median p-value of chi2, part of the events that fail a cut, that have
#: a saturated strongest station, the median time near the axis [ns], the width of the pulls.
MEDIAN_P = (0.2, 0.8)
FAILING = 0.2
SATURATED = 0.5
NEAR_TIME = 20.0
PULL_WIDTH = (0.8, 1.25)
#: Hits farther from the front than this [ns] are not of the shower.
_FAR_OFF = 3000.0
#: Standard error of a median in standard deviations over sqrt(n), Gaussian: sqrt(pi/2).
_MEDIAN = 1.2533
#: Stations that are named.
_NAMED = 5
_RINGS = 8


class Finding(NamedTuple):
    """What was found, and what to do."""

    what: str
    remedy: str


def _few(n: int) -> list[Finding]:
    if n >= FEW:
        return []
    return [
        Finding(
            f"{n} event{'s' * (n != 1)} with a result of the {short(REFERENCE)}: too few for "
            f"statements on distributions (at least {FEW}).",
            "Look at the events one by one, and add files.",
        )
    ]


def _chi2(fit: Reconstruction) -> list[Finding]:
    p = chi2_p(fit.chi2, fit.ndof)[fit.valid]
    p = p[np.isfinite(p)]
    if len(p) < FEW or sign_p(p, 0.5) >= CLEAR or MEDIAN_P[0] <= np.median(p) <= MEDIAN_P[1]:
        return []
    found = (
        f"The median of the {len(p):,} p-values of chi2 is {np.median(p):.2g} (0.5 if the errors "
        f"are right; {p_text(sign_p(p, 0.5))})"
    )
    if np.median(p) > 0.5:
        return [
            Finding(
                f"{found}: chi2 is too small, the errors are too large.",
                "Recalibrate the errors with `tashower calibrate` on a simulation of this array, "
                "or give smaller ones (reconstruction.errors).",
            )
        ]
    return [
        Finding(
            f"{found}: chi2 is too large.",
            "Recalibrate with `tashower calibrate` on a simulation of this array, check the clocks "
            "and the list of stations out of service, and look at events with a large chi2 with "
            "`tashower show`.",
        )
    ]


def _detrended(r: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Times less their median in rings of equally many stations: what is left is of stations."""
    ring = np.argsort(np.argsort(r)) * _RINGS // max(len(r), 1)
    left = time.copy()
    for k in range(_RINGS):
        if (ring == k).any():
            left[ring == k] -= np.median(time[ring == k])
    return left


def clocks(events: Events, station: np.ndarray, r: np.ndarray, time: np.ndarray) -> list[Finding]:
    """Stations whose times [ns] are late or early in more events than chance allows, beyond what
    all stations at that distance have in common.
    """
    left = _detrended(r, time)
    tested = np.flatnonzero(np.bincount(station, minlength=1) >= 5)
    found = []
    for one in tested:
        values = left[station == one]
        p = len(tested) * sign_p(values)
        if p < CLEAR:
            width = np.diff(np.quantile(values, [0.159, 0.841]))[0] / 2
            offset = np.median(values), _MEDIAN * width / np.sqrt(len(values))
            found.append((p, one, offset, len(values)))
    if not found:
        return []
    named = "; ".join(
        f"{events.array.name_of(one)} by {with_error(*offset, unit='ns')} in {n} events "
        f"({p_text(p)} after {len(tested)} stations)"
        for p, one, offset, n in sorted(found, key=lambda entry: (entry[0], entry[1]))[:_NAMED]
    )
    more = f", and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return [
        Finding(
            f"Stations that are late (+) or early (−) event after event: {named}{more}.",
            "Check their clocks, cable delays and surveyed positions; until then list them as out "
            "of service.",
        )
    ]


def front(r: np.ndarray, time: np.ndarray, event: np.ndarray) -> list[Finding]:
    """Times near the axis that lie before or after the fitted front; one value for each event."""
    near = r < np.median(r) if len(r) else np.zeros(0, bool)
    of_events = [np.median(time[near & (event == i)]) for i in np.unique(event[near])]
    n, middle = len(of_events), np.median(of_events) if of_events else 0.0
    if n < FEW or abs(middle) < NEAR_TIME or sign_p(of_events) >= CLEAR:
        return []
    side = "after" if middle > 0 else "before"
    return [
        Finding(
            f"The inner half of the stations comes {abs(middle):.0f} ns {side} the fitted front "
            f"(median of {n} events; {p_text(sign_p(of_events))}).",
            "The front that is fitted is not that of these data: simulate and calibrate for this "
            "array, or fit another front (array.front_distance_m, front_power, "
            "front_density_power).",
        )
    ]


def _pull_width(pull: np.ndarray | None) -> list[Finding]:
    if pull is None:
        return [
            Finding(
                "No calibration was given, so that the times have no pulls.",
                "Name the calibration that the fits were made with: --calibration FILE.",
            )
        ]
    pull = pull[np.isfinite(pull)]
    if len(pull) < 5 * FEW:
        return []
    width = float(np.diff(np.quantile(pull, [0.159, 0.841]))[0] / 2)
    if PULL_WIDTH[0] <= width <= PULL_WIDTH[1]:
        return []
    word = "small" if width > 1 else "large"
    return [
        Finding(
            f"The pulls of {len(pull):,} times are {width:.2f} wide (middle 68 %; 1 if the "
            f"errors are right): the errors of the times are too {word}.",
            "Recalibrate with `tashower calibrate` on a simulation of this array, and check the "
            "clocks.",
        )
    ]


def _saturated(events: Events, pulses: Pulses, fit: Reconstruction) -> list[Finding]:
    signal = pulses.signal.mean(axis=1)
    strongest = [
        begin + int(np.argmax(signal[begin:end]))
        for begin, end, good in zip(
            events.hit_offset[:-1], events.hit_offset[1:], fit.valid, strict=True
        )
        if good and end > begin
    ]
    n = int(pulses.saturated[strongest].sum()) if strongest else 0
    if n <= SATURATED * len(strongest):
        return []
    return [
        Finding(
            f"In {n:,} of {len(strongest):,} events the strongest station is saturated: its signal "
            "is a lower limit.",
            f"{events.array.size_name} and energy of these events rest on stations farther out: "
            "check `saturation_counts` of the data, and treat the highest energies with care.",
        )
    ]


def _cuts(fit: Reconstruction, settings: Mapping, size: str) -> list[Finding]:
    n = len(fit.flags)
    failing = [
        (float(np.mean(fit.flags >> bit & 1)), cut)
        for bit, cut in enumerate(cuts_of(settings, size))
    ]
    return [
        Finding(
            f"{part * n:.0f} of {n:,} events fail the cut {cut.flag}: {cut.meaning}.",
            f"{cut.remedy[0].upper()}{cut.remedy[1:]}.",
        )
        for part, cut in sorted(failing, key=lambda entry: -entry[0])[:3]
        if part > FAILING and cut.remedy and n >= FEW
    ]


def advice(
    events: Events,
    pulses: Pulses,
    fit: Reconstruction,
    pull: np.ndarray | None,
    settings: Mapping,
    unlike: Sequence[str] = (),
) -> list[Finding]:
    """What stands out, and what to do.

    Parameters
    ----------
    fit : the reference fit of the events
    pull : (n_hits,) of the times, or None
    settings : section `reconstruction` of the configuration
    unlike : warnings of `measured.domain_rows`
    """
    expected = expected_at_hits(fit, events)
    time = pulses.arrival_time - expected.time
    keep = np.isfinite(time) & np.isfinite(expected.density)
    keep &= np.abs(np.where(keep, time, 0.0)) < _FAR_OFF
    r, time, event = expected.distance[keep], time[keep], events.hit_event[keep]
    other = [
        Finding(
            "Unlike the simulation: " + "; ".join(unlike) + ".",
            "Calibration and networks are used outside of what they were made for: simulate this "
            "array and detector (array, detector, front of the configuration), calibrate and train "
            "again.",
        )
    ]
    return [
        *_few(int(fit.valid.sum())),
        *_chi2(fit),
        *clocks(events, events.hit_station[keep], r, time),
        *front(r, time, event),
        *_pull_width(None if pull is None else pull[keep]),
        *_saturated(events, pulses, fit),
        *_cuts(fit, settings, events.array.size_name),
        *(other if unlike else []),
    ]
