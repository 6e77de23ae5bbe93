"""Events as the Telescope Array's text dump; its layout: `ta_text`."""

import numpy as np

from tashower.convert.ta_banks import N_BINS
from tashower.convert.ta_dst import PARTICLES
from tashower.convert.ta_standard import DEGREE, ORIGIN, TIME_UNIT, UNIT
from tashower.convert.ta_text import EVENT_NUMBERS, SECTIONS, ZENITH_SHIFT
from tashower.convert.ta_windows import (
    CLOCK_TIME,
    DATE,
    USEC,
    isgood,
    lower_layer_first,
    window_clocks,
    windows_of,
)
from tashower.events.model import PARAMETERS, Events, Pulses
from tashower.io.atomic import written_aside
from tashower.types import FilePath


def _event_line(events: Events, i: int) -> str:
    """The numbers of event i: truth and standard reconstruction, 0 where there is none."""
    event = np.zeros(EVENT_NUMBERS)
    n = int(events.hit_offset[i + 1] - events.hit_offset[i])
    event[7], event[8], event[11], event[56] = DATE, CLOCK_TIME, USEC, n
    event[10] = n * (events.array.detector.n_bins // N_BINS)  # windows
    if (truth := events.truth) is not None:
        event[:6] = (
            PARTICLES.get(int(truth.mass_number[i]), 0),
            truth.energy[i],
            truth.zenith[i],
            (truth.azimuth[i] + np.pi) % (2 * np.pi),
            truth.core_x[i] * 100.0,
            truth.core_y[i] * 100.0,
        )
    if (t := events.standard) is not None and t.valid[i]:
        event[[12, 17, 19, 21]] = (
            t.energy[i],
            t.core_x[i] / UNIT - ORIGIN[0],
            t.core_y[i] / UNIT - ORIGIN[1],
            t.s_ref[i],
        )
        event[22], event[23] = (
            np.degrees(t.zenith[i]) - ZENITH_SHIFT,
            np.degrees((t.azimuth[i] + np.pi) % (2 * np.pi)),
        )
        event[[9, 26, 27]] = t.n_stations[i], t.chi2[i], t.ndof[i]
        sigma = np.sqrt(np.nan_to_num(np.diagonal(t.covariance[i])))
        event[[18, 20, 24, 25]] = *(sigma[:2] / UNIT), *(sigma[2:4] / DEGREE)
        event[[13, 14]] = t.s_ref[i], sigma[PARAMETERS.index("s_ref")]  # a scale of its own
    return " ".join(f"{x:.9g}" for x in event)


def _hits_line(events: Events, pulses: Pulses, rows: slice) -> str:
    """The numbers of the hits of an event."""
    station = events.array.station_id[events.hit_station[rows]]
    time = pulses.arrival_time[rows]
    earliest = np.nanmin(time) if np.isfinite(time).any() else 0.0
    time = (time - earliest)[:, None] / TIME_UNIT
    hits = np.column_stack(
        [
            station,
            isgood(pulses, rows, events.rejected),
            time,
            time,
            pulses.signal[rows][:, ::-1],
            events.array.position[events.hit_station[rows]] / UNIT,
            events.counts_per_vem[rows][:, ::-1],
            np.full(len(station), events.array.detector.n_bins // N_BINS),
        ]
    )
    return " ".join(f"{x:.9g}" for x in np.nan_to_num(hits).ravel())


def _windows_line(events: Events, rows: slice, windows: int) -> str:
    """The numbers of the windows of an event."""
    station = events.array.station_id[events.hit_station[rows]]
    n = len(station)
    counts = lower_layer_first(events.waveform[rows], windows).reshape(n * windows, 2 * N_BINS)
    clocks = window_clocks(events.hit_time[rows], windows)
    window = np.column_stack([np.repeat(station, windows), *clocks, counts]).astype(int)
    return " ".join(map(str, window.ravel().tolist()))


def write_text(path: FilePath, events: Events, pulses: Pulses) -> None:
    """Write events as a text dump, with the standard reconstruction where they have one, else 0.
    Station numbers must be 100 column + row.

    Raises
    ------
    InputError : no waveforms of two layers with 128 bins of 20 ns, or multiples of 128: these
        become consecutive windows.
    """
    windows = windows_of(events, path)
    lines: dict[str, list[str]] = {name: [] for name in SECTIONS}
    for i in range(events.n_events):
        rows = slice(*events.hit_offset[i : i + 2])
        lines["EVENT DATA"].append(_event_line(events, i))
        lines["SD meta DATA"].append(_hits_line(events, pulses, rows))
        lines["SD waveform DATA"].append(_windows_line(events, rows, windows))
        dead = events.array.station_id[events.dead_station[slice(*events.dead_offset[i : i + 2])]]
        lines["badsdinfo"].append(" ".join(f"{s} 65535" for s in dead))
    with written_aside(path) as aside:
        aside.write_text(
            "".join(f"{name}\n" + "".join(line + "\n" for line in lines[name]) for name in SECTIONS)
        )
