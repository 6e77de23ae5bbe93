"""Early and late stations: what a shower's longer way to the stations downstream does to signals
and times, and how its muon share grows with the distance to the axis.
"""

import numpy as np

from tashower.physics.compiled import formula

#: Early-late asymmetry: length that divides the distance along the axis [m], and power, of the time
#: factor (physics of the distance to the source; model choice), attenuation [g/cm^2] of the two
#: components, and density of the air [g/cm^2 per m].
LATE_LENGTH = 12_000.0
LATE_POWER = 1.05
LATE_ATTENUATION_ELECTRONS = 175.0
LATE_ATTENUATION_MUONS = 1000.0
AIR_DENSITY = 0.105


@formula
def muon_share_at(r, share):
    """Muon share of the signal at distance r [m], for a share at 800 m: share/(1 - share) (r/800
    m)^0.5 in odds.
    """
    odds = share / (1.0 - share) * np.sqrt(r / 800.0)
    return odds / (1.0 + odds)


@formula
def late_signal_factor(along, r_tangent, attenuation):
    """exp(-l/Lambda) / I0(r tan z/Lambda): signal factor at distance l [m] downstream; its mean
    around the axis is 1.

    along = l [m], r_tangent = r tan z [m], the largest l at that r on level ground; attenuation =
    Lambda [g/cm^2]. I0 is the modified Bessel function, here its series to the eighth order.
    """
    q = (r_tangent * AIR_DENSITY / attenuation) ** 2 / 4.0
    bessel = 1.0 + q * (1.0 + q * (0.25 + q * (1.0 / 36.0 + q / 576.0)))
    return np.exp(-along * AIR_DENSITY / attenuation) / bessel


@formula
def late_time_factor(along, length=LATE_LENGTH):
    """(1 - l/12 km)^1.05: delays shrink downstream, farther from the shower's maximum; l = along
    [m], kept below 10 km; length [m], in place of 12 km.
    """
    return (1.0 - np.minimum(along, 10_000.0) / length) ** LATE_POWER


@formula
def lighter_factor(along, r, tangent, share, attenuation):
    """Signal of a station over that of the symmetric lateral distribution.

    Parameters
    ----------
    along : l [m] downstream; r : distance to the axis [m]; tangent : tan z
    share : muon share of the signal at 800 m
    attenuation : of (electromagnetic particles, muons) [g/cm^2]
    """
    muons = muon_share_at(r, share)
    return muons * late_signal_factor(along, r * tangent, attenuation[1]) + (
        1.0 - muons
    ) * late_signal_factor(along, r * tangent, attenuation[0])
