"""Maxima of a density, and how wide it is around them, from its values alone."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

#: Steps of the climb at most, and steps for derivatives, in units of the width (choices).
_ROUNDS, _STEP = 20, 0.1
#: Parts of Newton's step that are tried.
_PARTS = np.array([1.0, 1.6, 0.5, 0.2, 0.06, 0.015, 0.003])
#: A maximum is reached where ln of the density would grow by less.
_CLOSE = 0.02
#: Largest squared width, in units of the one before, where a density bends little or upwards.
_WIDEST = 4.0
#: Climbs that come nearer to a better one, in units of its width, end; a maximum counts where ln of
#: its density times its volume is less than this below the largest (choices).
_SAME, _COUNTS = 1.0, 10.0


class Maximum(NamedTuple):
    """A place of largest density."""

    place: np.ndarray  #: (k,)
    axes: np.ndarray  #: (k, k) A of A A^T = inverse of minus the second derivative of ln density
    value: float  #: ln density


def _stencil(k: int) -> np.ndarray:
    """(1 + 2k + k(k - 1)/2, k) steps for first and second derivatives."""
    unit, (i, j) = np.eye(k), np.triu_indices(k, 1)
    return np.concatenate([np.zeros((1, k)), unit, -unit, unit[i] + unit[j]])


def _derivatives(f: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, k) first and (n, k, k) second derivatives from (n, ...) values at the stencil."""
    up, down, middle = f[:, 1 : k + 1], f[:, k + 1 : 2 * k + 1], f[:, :1]
    second = np.zeros((len(f), k, k))
    i, j = np.triu_indices(k, 1)
    second[:, i, j] = f[:, 2 * k + 1 :] - up[:, i] - up[:, j] + middle
    second += second.transpose(0, 2, 1)
    second[:, range(k), range(k)] = up + down - 2.0 * middle
    return (up - down) / (2.0 * _STEP), second / _STEP**2


def _apart(several: list[Maximum]) -> list[Maximum]:
    """Those that are not beside a better one, the best first."""
    kept: list[Maximum] = []
    for one in sorted(several, key=lambda m: -m.value):
        off = (np.linalg.solve(m.axes, one.place - m.place) for m in kept)
        if all(np.linalg.norm(z) > _SAME for z in off):
            kept.append(one)
    return kept


def maxima(
    value: Callable[[np.ndarray], np.ndarray], starts: np.ndarray, axes: np.ndarray
) -> list[Maximum]:
    """Maxima that are climbed to from several places at once, those that count, the best first.

    Parameters
    ----------
    value : ln of the density at (m, k) points: (m,), -inf where it is zero
    starts : (n, k) places to climb from
    axes : (k, k) A: A A^T is about the covariance of the density, or larger

    It is Newton's method with derivatives from differences, in units of the width that was found
    the step before; where the density bends upwards, with the absolute value of its second
    derivative (Dauphin et al. 2014, arXiv:1406.2572).
    """
    k = starts.shape[1]
    stencil, found, climbing = _STEP * _stencil(k), [], []
    place, axes = starts.copy(), np.repeat(axes[None], len(starts), axis=0)
    for _ in range(_ROUNDS):
        points = place[:, None] + stencil @ axes.transpose(0, 2, 1)
        f = value(points.reshape(-1, k)).reshape(len(place), -1)
        some = np.isfinite(f[:, 0])
        place, axes, f = place[some], axes[some], f[some]
        smooth = np.isfinite(f).all(axis=1)
        first, second = _derivatives(np.where(smooth[:, None], f, 0.0), k)
        bend, vectors = np.linalg.eigh(-second)
        width = 1.0 / np.sqrt(np.maximum(np.abs(bend), 1.0 / _WIDEST))
        # At the edge of what is possible: nearer points.
        width[~smooth] = _STEP
        axes = axes @ (vectors * width[:, None])
        step = np.einsum("nik,ni->nk", vectors, first) * width
        length = np.linalg.norm(step, axis=1)
        there = np.einsum("nik,nk->ni", axes, step)
        tried = place[:, None] + _PARTS[:, None] * there[:, None]
        g = value(tried.reshape(-1, k)).reshape(len(place), len(_PARTS))
        best = g.argmax(axis=1) if len(g) else np.zeros(0, int)
        row = np.arange(len(place))
        better = g[row, best] > f[:, 0]
        done = smooth & ((0.5 * length**2 < _CLOSE) | ~better)
        place = np.where(better[:, None], tried[row, best], place)
        at = np.where(better, g[row, best], f[:, 0])
        climbing = [Maximum(*one) for one in zip(place, axes, at, strict=True)]
        found += [one for one, end in zip(climbing, done, strict=True) if end]
        climbing = [one for one, end in zip(climbing, done, strict=True) if not end]
        climbing = [m for m in _apart(found + climbing) if not any(m is one for one in found)]
        if not climbing:
            break
        place, axes = (np.array(c) for c in list(zip(*climbing, strict=True))[:2])
    found = _apart(found + climbing)
    if not found:
        return []
    mass = [one.value + np.linalg.slogdet(one.axes)[1] for one in found]
    return [one for one, m in zip(found, mass, strict=True) if m > max(mass) - _COUNTS]
