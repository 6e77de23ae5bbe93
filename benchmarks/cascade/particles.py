"""Kinds of particles, their masses, lifetimes and decays (Particle Data Group 2024,
doi:10.1103/PhysRevD.110.030001).

A kind is a small integer; the antiparticle has the opposite sign. Kinds 0, neutral pions, neutral
kaons and eta are their own antiparticles here. Decays that are not listed take less than 2 %; the
listed branching ratios are scaled to 1. Electrons, positrons and photons are one kind.
"""

import numpy as np

from tashower.physics.compiled import formula

EM, MUON, PION, KAON, K_LONG, K_SHORT, PROTON, NEUTRON, LAMBDA = range(9)
SIGMA_PLUS, SIGMA_MINUS, SIGMA_ZERO, XI_ZERO, XI_MINUS, ETA, PI_ZERO, NEUTRINO = range(9, 17)

#: Kind of the particle (not the antiparticle) by the Particle Data Group's number. A positive MUON
#: has positive charge, hence -13. Omega is taken for Xi-, tau and charm do not come to decay here.
KIND_OF_PDG = {
    22: EM, 11: EM, -11: EM, 111: PI_ZERO, 221: ETA,
    -13: MUON, 13: -MUON, 211: PION, -211: -PION, 321: KAON, -321: -KAON, 130: K_LONG, 310: K_SHORT,
    2212: PROTON, -2212: -PROTON, 2112: NEUTRON, -2112: -NEUTRON, 3122: LAMBDA, -3122: -LAMBDA,
    3222: SIGMA_PLUS, -3222: -SIGMA_PLUS, 3112: SIGMA_MINUS, -3112: -SIGMA_MINUS,
    3212: SIGMA_ZERO, -3212: -SIGMA_ZERO, 3322: XI_ZERO, -3322: -XI_ZERO,
    3312: XI_MINUS, -3312: -XI_MINUS, 3334: XI_MINUS, -3334: -XI_MINUS,
}  # fmt: skip

#: GeV, by kind.
MASS = np.array((
    0.0, 0.1056584, 0.1395704, 0.493677, 0.497611, 0.497611, 0.9382721, 0.9395654,
    1.115683, 1.18937, 1.197449, 1.192642, 1.31486, 1.32171, 0.547862, 0.1349768, 0.0,
))  # fmt: skip

#: Mean decay length c tau [m], by kind; infinite: does not decay, 0: decays where it is made.
DECAY_LENGTH = np.array((
    np.inf, 658.6384, 7.8045, 3.711, 15.34, 0.026844, np.inf, np.inf,
    0.0789, 0.02404, 0.04434, 0.0, 0.0871, 0.0491, 0.0, 0.0, np.inf,
))  # fmt: skip

_NONE = NEUTRINO  # third product of a decay into two
_DECAYS = (
    (PION, 1.0, MUON, NEUTRINO, None),
    (KAON, 0.6356, MUON, NEUTRINO, None),
    (KAON, 0.2067, PION, PI_ZERO, None),
    (KAON, 0.0558, PION, PION, -PION),
    (KAON, 0.0176, PION, PI_ZERO, PI_ZERO),
    (KAON, 0.0507, PI_ZERO, EM, NEUTRINO),
    (KAON, 0.0335, PI_ZERO, MUON, NEUTRINO),
    (K_LONG, 0.2028, PION, EM, NEUTRINO),
    (K_LONG, 0.2028, -PION, EM, NEUTRINO),
    (K_LONG, 0.1352, PION, -MUON, NEUTRINO),
    (K_LONG, 0.1352, -PION, MUON, NEUTRINO),
    (K_LONG, 0.1952, PI_ZERO, PI_ZERO, PI_ZERO),
    (K_LONG, 0.1254, PION, -PION, PI_ZERO),
    (K_SHORT, 0.6920, PION, -PION, None),
    (K_SHORT, 0.3069, PI_ZERO, PI_ZERO, None),
    (LAMBDA, 0.641, PROTON, -PION, None),
    (LAMBDA, 0.359, NEUTRON, PI_ZERO, None),
    (SIGMA_PLUS, 0.5147, PROTON, PI_ZERO, None),
    (SIGMA_PLUS, 0.4843, NEUTRON, PION, None),
    (SIGMA_MINUS, 1.0, NEUTRON, -PION, None),
    (SIGMA_ZERO, 1.0, LAMBDA, EM, None),
    (XI_ZERO, 1.0, LAMBDA, PI_ZERO, None),
    (XI_MINUS, 1.0, LAMBDA, -PION, None),
    (ETA, 0.394, EM, EM, None),
    (ETA, 0.327, PI_ZERO, PI_ZERO, PI_ZERO),
    (ETA, 0.230, PION, -PION, PI_ZERO),
    (ETA, 0.043, PION, -PION, EM),
    (PI_ZERO, 1.0, EM, EM, None),
)


def _table(kind: int) -> list[tuple]:
    return [row for row in _DECAYS if row[0] == kind]


_MOST = max(len(_table(kind)) for kind in range(len(MASS)))

#: Cumulative probability of the decays of a kind, and their products; two-body decays have n = 2.
CUMULATIVE = np.ones((len(MASS), _MOST))
PRODUCTS = np.full((len(MASS), _MOST, 3), _NONE)
N_PRODUCTS = np.zeros((len(MASS), _MOST), dtype=np.int64)
for _kind in range(len(MASS)):
    for _i, (_, _, *_made) in enumerate(_table(_kind)):
        _shares = np.cumsum([row[1] for row in _table(_kind)])
        CUMULATIVE[_kind, _i] = _shares[_i] / _shares[-1]
        _made = [product for product in _made if product is not None]
        PRODUCTS[_kind, _i, : len(_made)], N_PRODUCTS[_kind, _i] = _made, len(_made)


@formula
def antiparticle(kind):
    """The kind of the antiparticle."""
    size = abs(kind)
    if size in (EM, K_LONG, K_SHORT, ETA, PI_ZERO, NEUTRINO):
        return kind
    return -kind


@formula
def isospin_mirror(kind, rng):
    """The kind with u and d quarks exchanged; a neutral kaon stands for either strangeness.

    Nitrogen and oxygen are their own mirrors, so collisions of pi- and neutrons with air are those
    of pi+ and protons with all particles mirrored.
    """
    size, sign = abs(kind), 1 if kind > 0 else -1
    if size == PION:
        return -kind
    if size == KAON:
        return K_LONG if rng.random() < 0.5 else K_SHORT
    if size in (K_LONG, K_SHORT):
        return KAON if rng.random() < 0.5 else -KAON
    if size in (PROTON, NEUTRON):
        return sign * (PROTON + NEUTRON - size)
    if size in (SIGMA_PLUS, SIGMA_MINUS):
        return sign * (SIGMA_PLUS + SIGMA_MINUS - size)
    if size in (XI_ZERO, XI_MINUS):
        return sign * (XI_ZERO + XI_MINUS - size)
    return kind


@formula
def is_charged(kind):
    """Whether a kind loses energy along its path (hyperons are too short-lived to matter)."""
    return abs(kind) in (MUON, PION, KAON, PROTON)
