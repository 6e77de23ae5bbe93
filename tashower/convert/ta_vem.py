"""Traces in VEM, as the parser of the Telescope Array's networks writes them, back to counts.

The parser divides counts by counts per VEM and leaves the pedestal in them.
"""

import numpy as np

from tashower.convert.ta_windows import BIN, pedestals

#: Counts per VEM where the traces do not say: those of the array, so that a count at which a
#: station saturates is one here as well (Abu-Zayyad et al. 2012, doi:10.1016/j.nima.2012.05.079).
COUNTS_PER_VEM = 40.0
#: More counts per VEM than this are not believed (choice; real stations have 25 to 65).
MOST_PER_VEM = 500.0
#: How far from whole numbers counts may be that were divided in single precision (choice).
TOLERANCE = 0.05
#: Threshold above the pedestal [counts] and bins in a row above it: where a pulse begins. The same
#: as of the pulses (`reconstruction.pulses`), which this must not depend on.
THRESHOLD, IN_A_ROW = 3.75, 4
#: Bin of the pulse's begin where no such is found.
USUAL_BIN = 28


def counts_of(vem: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(counts (m, T), pedestal (m,), counts per VEM (m,)) of traces (m, T) [VEM per bin].

    Counts are whole: the smallest step between the values of a trace is one count. Where the values
    are no multiples of it (means of two layers), they are rounded at `COUNTS_PER_VEM`. Pedestals
    as of `ta_windows.pedestals`.
    """
    if not vem.size:
        return vem.astype(np.uint16), np.zeros(len(vem)), np.full(len(vem), COUNTS_PER_VEM)
    vem = vem.astype(float)
    ordered = np.sort(vem, axis=1)
    lowest, span = ordered[:, :1], ordered[:, -1:] - ordered[:, :1]
    gaps = np.diff(ordered, axis=1)
    step = np.where(gaps > 1 / MOST_PER_VEM, gaps, np.inf).min(axis=1, initial=np.inf)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        # The whole span is a better measure of the step than one step.
        step = span / np.rint(span / step)
        above = (vem - lowest) / step
        whole = np.isfinite(step[:, 0]) & (np.abs(above - np.rint(above)) < TOLERANCE).all(axis=1)
    step = np.where(whole[:, None], step, 1 / COUNTS_PER_VEM)
    counts = np.rint((vem - lowest) / step) + np.maximum(np.rint(lowest / step), 0)
    counts = np.clip(counts, 0, 65535)
    return counts.astype(np.uint16), pedestals(counts[:, None])[:, 0], 1 / step[:, 0]


def pulse_begin(counts: np.ndarray, pedestal: np.ndarray) -> np.ndarray:
    """(m,) bin of traces (m, T) where the pulse begins, NaN where there is none."""
    above = counts > pedestal[:, None] + THRESHOLD
    n = above.shape[1] - IN_A_ROW + 1
    if n < 1:
        return np.full(len(counts), np.nan)
    run = np.all([above[:, k : k + n] for k in range(IN_A_ROW)], axis=0)
    return np.where(run.any(axis=1), run.argmax(axis=1), np.nan)


def window_begin(time: np.ndarray, counts: np.ndarray, pedestal: np.ndarray) -> np.ndarray:
    """(h,) [ns] start of the first bin: times (h, L) are those of the bins where the pulses
    (h, T, L) of the layers begin.
    """
    layers = range(counts.shape[2])
    begin = np.stack([pulse_begin(counts[..., k], pedestal[:, k]) for k in layers], axis=1)
    start = time - begin * BIN
    found = np.isfinite(start)
    mean = np.where(found, start, 0.0).sum(axis=1) / np.maximum(found.sum(axis=1), 1)
    return np.where(found.any(axis=1), mean, time.mean(axis=1) - USUAL_BIN * BIN)
