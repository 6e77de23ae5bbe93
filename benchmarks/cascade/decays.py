"""Kinematics of decays in flight. Parents are not polarised, three-body decays follow phase space.

Energies in GeV, directions are unit vectors.
"""

import numpy as np

from tashower.physics.compiled import formula


@formula
def break_up_momentum(mass, first, second):
    """Momentum [GeV] of either product of a two-body decay in the parent's rest frame."""
    plus, minus = mass**2 - (first + second) ** 2, mass**2 - (first - second) ** 2
    return np.sqrt(max(plus * minus, 0.0)) / (2.0 * mass)


@formula
def turned(direction, sine, cosine, azimuth):
    """`direction` turned by a polar angle (given as sine and cosine) towards an azimuth about it.

    What a small angle changes is computed without the difference of large numbers.
    """
    x, y, z = direction
    a, b = sine * np.cos(azimuth), sine * np.sin(azimuth)
    across = np.hypot(x, y)
    if across < 1e-12:
        up = 1.0 if z > 0.0 else -1.0
        return a, b * up, cosine * up
    return (
        x * cosine + (x * z * a - y * b) / across,
        y * cosine + (y * z * a + x * b) / across,
        z * cosine - across * a,
    )


@formula
def two_body(energy, mass, direction, products, rng):
    """Energies and directions of the two products (masses `products`) of a decay in flight.

    Returns ((energy, direction), (energy, direction)); energies of a light product are flat between
    (m_product / m)^2 and 1 times the parent's for a relativistic parent and a massless partner.
    """
    first, second = products
    p = break_up_momentum(mass, first, second)
    cosine = 2.0 * rng.random() - 1.0
    sine, azimuth = np.sqrt(max(1.0 - cosine**2, 0.0)), 2.0 * np.pi * rng.random()
    gamma = max(energy / mass, 1.0)
    beta = np.sqrt(1.0 - 1.0 / gamma**2)
    own, other = np.hypot(p, first), np.hypot(p, second)
    along, against = gamma * (p * cosine + beta * own), gamma * (beta * other - p * cosine)
    across = p * sine
    p_own, p_other = np.hypot(along, across) + 1e-30, np.hypot(against, across) + 1e-30
    return (
        (
            gamma * (own + beta * p * cosine),
            turned(direction, across / p_own, along / p_own, azimuth),
        ),
        (
            gamma * (other - beta * p * cosine),
            turned(direction, across / p_other, against / p_other, azimuth + np.pi),
        ),
    )


@formula
def pair_mass(mass, products, rng):
    """Invariant mass [GeV] of the second and third of three products, by phase space."""
    first, second, third = products
    low, high = second + third, mass - first
    most = break_up_momentum(mass, first, low) * break_up_momentum(high, second, third)
    while True:
        pair = low + (high - low) * rng.random()
        weight = break_up_momentum(mass, first, pair) * break_up_momentum(pair, second, third)
        if weight >= rng.random() * most:
            return pair
