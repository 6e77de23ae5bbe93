"""Waveforms of others in an array of numpy: checked, as whole counts where they are, else as
floats; and the noise that they show.
"""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from tashower.errors import InputError

_ROWS = 4096  # hits that are looked at once
#: Least noise, in units of the median height of the pulses (choice): for waveforms without any.
LEAST_NOISE = 1e-3


@dataclass(frozen=True)
class Waveforms:
    """Waveforms of a file that is read as needed.

    Attributes
    ----------
    counts : (h, T, L) numbers of the file
    kind : uint16 where all are whole numbers from 0 to 65535, else float32
    """

    path: Path
    counts: np.ndarray
    kind: type

    def of(self, rows: ArrayLike | slice) -> np.ndarray:
        """(r, T, L) waveforms of these hits."""
        return np.asarray(self.counts[rows]).astype(self.kind)

    def check_sign(self, pedestal: np.ndarray) -> None:
        """Refuse waveforms whose pulses go down from the pedestal (h, L) [counts].

        Raises
        ------
        InputError : in half of the hits or more.
        """
        above = np.concatenate(
            [
                self.of(slice(i, i + _ROWS)).mean(axis=1, dtype=float) - pedestal[i : i + _ROWS]
                for i in range(0, len(self.counts), _ROWS)
            ]
        ).mean(axis=1)
        if np.median(above) < 0:
            raise InputError(
                f"{self.path}: the waveforms lie below the pedestal (median {np.median(above):.3g} "
                "counts per bin): turn the sign of pulses that go down, and state the pedestal"
            )


def read_waveforms(path: str | PathLike, n: int, layers: int) -> Waveforms:
    """Waveforms (n, bins) or (n, bins, layers) of a .npy file.

    Raises
    ------
    InputError : no such file, not an array of numpy, another shape, NaN or infinite numbers.
    """
    try:
        counts = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # whatever a damaged header makes numpy raise
        text = (str(error).splitlines() or [type(error).__name__])[0][:150]
        raise InputError(f"{path}: not an array of numpy ({text})") from None
    if not isinstance(counts, np.ndarray):
        raise InputError(f"{path}: not one array of numpy: save it with numpy.save")
    if counts.ndim == 2 and layers == 1:
        counts = counts[:, :, None]
    if (
        counts.ndim != 3
        or counts.shape[0] != n
        or counts.shape[1] < 1
        or counts.shape[2] != layers
        or counts.dtype.kind not in "uif"
    ):
        raise InputError(
            f"{path}: shape {counts.shape} of {counts.dtype}, where ({n}, bins, {layers}) numbers "
            "are needed"
        )
    whole = True
    for i in range(0, n, _ROWS):
        block = np.asarray(counts[i : i + _ROWS]).astype(np.float64)
        if not (np.abs(block) < 1e30).all():
            row = i + int((~(np.abs(block) < 1e30)).any(axis=(1, 2)).argmax())
            raise InputError(f"{path}: hit {row}, counted from 0: a count that is no number")
        whole = whole and block.min() >= 0 and block.max() <= 65535 and (block % 1 == 0).all()
    return Waveforms(Path(path), counts, np.uint16 if whole else np.float32)


def measured_noise(waveforms: Waveforms) -> float:
    """Noise of a bin [counts rms]: about the mean of the first or the last eighth of a waveform, at
    least 8 bins, median over hits and layers; the quieter of the two.

    Digitised counts without noise have that of the digitisation, 1/sqrt(12); others a thousandth of
    the median height of their pulses (choice).

    Raises
    ------
    InputError : too few bins to measure it in.
    """
    n_bins = waveforms.counts.shape[1]
    quiet = max(8, n_bins // 8)
    if n_bins < 2 * quiet:
        raise InputError(
            f"{waveforms.path}: {n_bins} bins are too few to measure the noise in: state "
            "noise_counts in the header"
        )
    ends, heights = [], []
    for i in range(0, len(waveforms.counts), _ROWS):
        block = waveforms.of(slice(i, i + _ROWS)).astype(float)
        ends.append([block[:, part].std(axis=1, ddof=1) for part in _ends(quiet)])
        heights.append(block.max(axis=1) - np.median(block, axis=1))
    first, last = (np.median(np.concatenate([pair[k] for pair in ends])) for k in (0, 1))
    least = (
        1 / np.sqrt(12)
        if waveforms.kind is np.uint16
        else LEAST_NOISE * float(np.median(np.concatenate(heights)))
    )
    noise = max(float(min(first, last)), least)
    if not noise > 0:
        raise InputError(
            f"{waveforms.path}: the waveforms show neither pulses nor noise: state noise_counts in "
            "the header"
        )
    return noise


def _ends(quiet: int) -> tuple[slice, slice]:
    return slice(0, quiet), slice(-quiet, None)
