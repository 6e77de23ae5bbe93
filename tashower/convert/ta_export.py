"""Events as Telescope Array DST files."""

from typing import NamedTuple

import numpy as np

from tashower.convert.dst import EVENT_BEGIN, EVENT_END, write_banks
from tashower.convert.ta_banks import (
    BSDINFO,
    HALF_WIDTHS,
    N_BINS,
    PEDESTAL_BINS,
    RUFPTN,
    RUSDMC,
    RUSDRAW,
    pack_bsdinfo,
    pack_rufptn,
    pack_rusdmc,
    pack_rusdraw,
)
from tashower.convert.ta_dst import PARTICLES
from tashower.convert.ta_standard import DEGREE, ORIGIN, RUFLDF, TIME_UNIT, UNIT, pack_rufldf
from tashower.convert.ta_windows import (
    CLOCK_TIME,
    DATE,
    SECOND,
    USEC,
    isgood,
    lower_layer_first,
    window_clocks,
    windows_of,
)
from tashower.errors import InputError
from tashower.events.model import PARAMETERS, Events, Pulses, Reconstruction, Truth
from tashower.types import FilePath

#: CLOCK_TIME in seconds since midnight.
SECONDS = 12 * 3600


def _rufldf(table: Reconstruction, i: int) -> bytes:
    """Payload of rufldf of event i: the fit of lateral distribution and geometry. Its scale
    is that of S800, as the scale that was fitted is not known; nor is t0.
    """
    sigma = np.sqrt(np.nan_to_num(np.diagonal(table.covariance[i])))
    error = dict(zip(PARAMETERS, sigma, strict=True))

    def second(value):
        return [0.0, value]

    return pack_rufldf(
        xcore=second(table.core_x[i] / UNIT - ORIGIN[0]),
        dxcore=second(error["core_x"] / UNIT),
        ycore=second(table.core_y[i] / UNIT - ORIGIN[1]),
        dycore=second(error["core_y"] / UNIT),
        sc=second(table.s_ref[i]),
        dsc=second(error["s_ref"]),
        s800=second(table.s_ref[i]),
        energy=second(table.energy[i]),
        atmcor=1.0,
        chi2=second(table.chi2[i]),
        theta=table.zenith[i] / DEGREE,
        dtheta=error["zenith"] / DEGREE,
        phi=(table.azimuth[i] + np.pi) % (2 * np.pi) / DEGREE,
        dphi=error["azimuth"] / DEGREE,
        ndof=second(table.ndof[i]),
    )


class _Stated(NamedTuple):
    """What an event's banks say of its hits, (h,) each, (h, 2) lower layer first; of rejected hits
    0 where nothing is known.
    """

    station: np.ndarray
    pedestal: np.ndarray
    vem: np.ndarray  # counts per VEM
    signal: np.ndarray  # [VEM]
    pedestal_rms: np.ndarray  # counts per bin


def _stated(events: Events, pulses: Pulses, rows: slice) -> _Stated:
    rms = events.pedestal_rms
    if rms is None:
        rms = np.full(events.pedestal.shape, events.array.detector.pedestal_rms)
    layers = (events.pedestal, events.counts_per_vem, pulses.signal, rms)
    return _Stated(
        events.array.station_id[events.hit_station[rows]],
        *(np.nan_to_num(column[rows][:, ::-1].astype(float)) for column in layers),
    )


def _truth_bank(truth: Truth, i: int, number: int) -> bytes:
    """Payload of rusdmc of event i."""
    return pack_rusdmc(
        event_num=number,
        parttype=PARTICLES.get(int(truth.mass_number[i]), 0),
        corecounter=0,
        tc=0,
        energy=truth.energy[i],
        height=0.0,
        theta=truth.zenith[i],
        phi=(truth.azimuth[i] + np.pi) % (2 * np.pi),
        corexyz=np.array([truth.core_x[i], truth.core_y[i], 0.0]) * 100.0,
    )


def _raw_bank(events: Events, rows: slice, hits: _Stated, number: int) -> bytes:
    """Payload of rusdraw of one event."""
    windows = events.array.detector.n_bins // N_BINS
    clkcnt, mclkcnt = window_clocks(events.hit_time[rows], windows)
    header = {
        "event_num": number,
        "event_code": 0 if events.truth is not None else 1,
        "yymmdd": DATE,
        "hhmmss": CLOCK_TIME,
        "usec": USEC,
        "monyymmdd": DATE,
        "monhhmmss": CLOCK_TIME,
    }
    width = np.rint(PEDESTAL_BINS * HALF_WIDTHS * hits.pedestal_rms)
    peak = np.rint(PEDESTAL_BINS * hits.pedestal)
    lower = peak - width // 2
    monitored = {
        "pchmip": np.rint(hits.vem),
        "pchped": peak,
        "lhpchped": lower,
        "rhpchped": lower + width,
        "mip": hits.vem,
    }
    return pack_rusdraw(
        header,
        np.repeat(hits.station, windows),
        clkcnt,
        mclkcnt,
        lower_layer_first(events.waveform[rows], windows).astype(np.int32),
        {name: np.repeat(column, windows, axis=0) for name, column in monitored.items()},
    )


def _pulse_bank(events: Events, pulses: Pulses, rows: slice, hits: _Stated) -> bytes:
    """Payload of rufptn of one event."""
    n = len(hits.station)
    windows = events.array.detector.n_bins // N_BINS
    time = pulses.arrival_time[rows]
    earliest = np.nanmin(time) if np.isfinite(time).any() else 0.0
    relative = np.nan_to_num(time - earliest, nan=0.0) / TIME_UNIT
    return pack_rufptn(
        n,
        n,
        0,
        isgood=isgood(pulses, rows, events.rejected),
        wfindex=windows * np.arange(n),
        xxyy=hits.station,
        nfold=np.full(n, windows),
        xyzclf=events.array.position[events.hit_station[rows]] / UNIT,
        reltime=np.repeat(relative[:, None], 2, axis=1),
        tearliest=SECONDS + USEC * 1e-6 + earliest / SECOND,
        pulsa=hits.signal,
        fadcpa=hits.signal * hits.vem,
        ped=hits.pedestal,
        pederr=hits.pedestal_rms,
        vem=hits.vem,
    )


def _export_one(events: Events, pulses: Pulses, i: int) -> list[tuple[int, int, bytes]]:
    """(number, version, payload) of the banks of event i, with the markers around them."""
    rows = slice(*events.hit_offset[i : i + 2])
    hits = _stated(events, pulses, rows)
    number = int(events.event_id[i]) % 2**31
    banks = [(EVENT_BEGIN, 0, b"")]
    if events.truth is not None:
        banks.append((RUSDMC, 0, _truth_bank(events.truth, i, number)))
    banks.append((RUSDRAW, 1, _raw_bank(events, rows, hits, number)))
    banks.append((RUFPTN, 1, _pulse_bank(events, pulses, rows, hits)))
    if events.standard is not None and events.standard.valid[i]:
        banks.append((RUFLDF, 1, _rufldf(events.standard, i)))
    dead = events.array.station_id[events.dead_station[slice(*events.dead_offset[i : i + 2])]]
    banks.append((BSDINFO, 0, pack_bsdinfo(DATE, CLOCK_TIME, USEC, dead)))
    banks.append((EVENT_END, 0, b""))
    return banks


def write_dst(path: FilePath, events: Events, pulses: Pulses) -> None:
    """Write events with waveforms of two layers and 128 bins of 20 ns, or multiples of 128, as a
    DST file: rusdraw, rufptn, bsdinfo, rusdmc with truth, rufldf with a standard reconstruction.
    Longer waveforms become consecutive windows of a station.

    Absolute times mean nothing: every event is put at 0.382 s, where ratios of clock counts are
    spread evenly. Altitudes are relative to the array's reference.

    Raises
    ------
    InputError : other layers, bins or station numbers than the format knows.
    """
    windows_of(events, path)
    station = events.array.station_id
    if len(station) and (station.min() < 101 or station.max() > 9999 or (station % 100 == 0).any()):
        raise InputError(f"{path}: DST files number stations as 100 column + row")
    write_banks(
        path, (bank for i in range(events.n_events) for bank in _export_one(events, pulses, i))
    )
