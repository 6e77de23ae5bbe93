"""Axes of figures whose points stand for bins: their ticks are the edges."""

import numpy as np
from matplotlib.axes import Axes


def edges_of(scores: dict, by: str) -> np.ndarray:
    """Edges of the bins, by : "by_energy" [log10(E/eV)] or "by_zenith" [deg]."""
    key = "energy_edges_log10_ev" if by == "by_energy" else "zenith_edges_deg"
    return np.array(scores["configuration"]["scores"][key], dtype=float)


def mark_bins(axis: Axes, edges: np.ndarray, by: str) -> None:
    """Ticks and thin lines at the edges of the bins, and the label of the axis."""
    for edge in edges:
        axis.axvline(edge, color="#BBBBBB", lw=0.6, zorder=0)
    axis.grid(False, axis="x")
    axis.set_xticks(edges, [f"{edge:g}" for edge in edges])
    room = 0.02 * np.ptp(edges)
    axis.set_xlim(edges[0] - room, edges[-1] + room)
    what = "log$_{10}$(true energy / eV)" if by == "by_energy" else "true zenith [deg]"
    axis.set_xlabel(f"{what}, edges of the bins")


def places_in_bins(edges: np.ndarray, k: int, n: int) -> np.ndarray:
    """Where the points of method k of n stand: in the middle of the bins, a little aside."""
    middle, width = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    return middle + width * 0.8 / n * (k - 0.5 * (n - 1))
