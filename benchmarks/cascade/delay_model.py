"""Delay of a muon from where it was made: geometry and slowness, in the picture of Cazon et al.
2004 (arXiv:astro-ph/0311223) and 2005 (doi:10.1016/j.astropartphys.2005.01.009).

A muon that is made on the axis at a distance z above the foot of the perpendicular from its
station flies straight to the station at the distance r of the axis. A pion leaves the axis before
it decays, nearly along its muon's way: the way then begins higher up, by the pion's decay length.
Kaons, scattering and the magnetic field are left out; the full transport has them.
"""

import numpy as np

from cascade.particles import DECAY_LENGTH, MASS, MUON, PION


def geometric_delay(distance: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Longer way [m]: sqrt(z^2 + r^2) - z, without the difference of large numbers.

    distance : r [m] from the axis; above : z [m] along the axis.
    """
    return distance**2 / (np.hypot(distance, above) + above)


def kinematic_delay(path: np.ndarray, born: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """What a muon loses [m] on light along a path [m] from the energy `born` to `energy` [GeV].

    The integral of 1/beta - 1 for an energy that falls linearly, (p_born - p) / (E_born - E) - 1
    per length; m^2 / (2 E_born E) for fast muons. The air is denser towards the ground, so a muon
    keeps its energy for longer than that: the result is somewhat too large.
    """
    mass = MASS[MUON]
    momenta = np.sqrt(born**2 - mass**2) + np.sqrt(energy**2 - mass**2)
    # (p1 - p2) / (E1 - E2) = (E1 + E2) / (p1 + p2)
    return path * ((born + energy) / momenta - 1.0)


def pion_flight(born: np.ndarray) -> np.ndarray:
    """Decay length [m] of the pion of a muon of energy `born` [GeV]: c tau E / m, a muon taking
    (1 + (m_muon / m_pion)^2) / 2 of the energy of a fast pion on average.
    """
    share = 0.5 * (1.0 + (MASS[MUON] / MASS[PION]) ** 2)
    return DECAY_LENGTH[PION] * born / (share * MASS[PION])


def model_delay(
    distance: np.ndarray, above: np.ndarray, born: np.ndarray, energy: np.ndarray
) -> np.ndarray:
    """Sum of both delays [m] of a muon that is made on the axis, `above` its station."""
    path = np.hypot(distance, above)
    return geometric_delay(distance, above) + kinematic_delay(path, born, energy)
