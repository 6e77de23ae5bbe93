"""Bins of events, and numbers of them as scores.json holds them."""

import itertools
from collections.abc import Sequence

import numpy as np


def events_in_bins(values: np.ndarray, edges: Sequence[float]) -> list[np.ndarray]:
    """Index arrays of the events in each bin; a bin holds its lower edge."""
    return [
        np.flatnonzero((values >= low) & (values < high)) for low, high in itertools.pairwise(edges)
    ]


def one_or_list(kind: str, values: list) -> object:
    """The values of all bins of a kind that is called by_...; else the one that there is."""
    return values if kind.startswith("by_") else values[0]


def clean(value: object) -> object:
    """The value for JSON: NaN and infinities become null."""
    if isinstance(value, dict):
        return {k: clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
