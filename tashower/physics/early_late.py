"""Early and late stations: what a shower's longer way to the stations downstream does to signals
and times, and how its muon share grows with the distance to the axis.

A station l downstream sees the shower after l times the density of the air more matter, and from l
farther away. Showers of a larger zenith reach the ground after more matter, and from farther away,
too: how S800 falls with the zenith says how the electromagnetic signal falls downstream
(`electron_attenuation`), and one length holds both. For 105 g/cm^2 more, which are 1 km
along the axis, the zenith has to grow so much that the maximum is 1.2 km farther away (30 degrees;
1.4 km at 45, for 791 g/cm^2 in an exponential atmosphere): divergence is in it, and as another
factor would count twice. Times are the same geometry: the way from a source d away to r beside the
axis is r^2/2d longer, d = 12 km + l.
"""

import numpy as np

from tashower.physics.compiled import formula
from tashower.physics.constants import VERTICAL_DEPTH
from tashower.physics.lateral import s800_growth

#: Early-late asymmetry: length that divides the distance along the axis [m], and power, of the time
#: factor (the Telescope Array's fit of the geometry), attenuation of muons [g/cm^2] (choice), and
#: density of the air [g/cm^2 per m].
LATE_LENGTH = 12_000.0
LATE_POWER = 1.05
LATE_ATTENUATION_MUONS = 1000.0
AIR_DENSITY = 0.105
#: Largest attenuation [g/cm^2] (choice), and largest sec z of the relation that it follows from.
LARGEST_ATTENUATION = 1e4
LARGEST_SECANT = 2.0


@formula
def muon_share_at(r, share):
    """Muon share of the signal at distance r [m], for a share at 800 m: share/(1 - share) (r/800
    m)^0.5 in odds.
    """
    odds = share / (1.0 - share) * np.sqrt(r / 800.0)
    return odds / (1.0 + odds)


@formula
def electron_attenuation(secant, share, odds_growth):
    """Attenuation of the electromagnetic signal [g/cm^2]: -d(depth)/d ln[S800 (1 - share)], for
    protons at a fixed energy.

    Parameters
    ----------
    secant : sec z; depth = 876 sec z g/cm^2. Beyond 60 degrees as at 60
    share : mean muon share of S800 at that zenith
    odds_growth : d ln[share/(1 - share)]/d sec z

    Not included: other primaries, whose S800 falls faster (iron to 45 degrees) or as fast.

    Examples
    --------
    At 45 degrees, a share of 0.56 whose odds grow by 876/230: electron_attenuation(1.4142, 0.56,
    3.81) = 195.
    """
    fall = share * odds_growth - s800_growth(np.minimum(secant, LARGEST_SECANT))
    return VERTICAL_DEPTH / np.maximum(fall, VERTICAL_DEPTH / LARGEST_ATTENUATION)


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
def late_signal_slopes(along, r_tangent, attenuation):
    """Derivatives of ln `late_signal_factor` by l [1/m], by r tan z over r tan z [1/m^2], and by
    Lambda [cm^2/g].
    """
    q = (r_tangent * AIR_DENSITY / attenuation) ** 2 / 4.0
    bessel = 1.0 + q * (1.0 + q * (0.25 + q * (1.0 / 36.0 + q / 576.0)))
    steep = (1.0 + q * (0.5 + q * (1.0 / 12.0 + q / 144.0))) / bessel
    per = AIR_DENSITY / attenuation
    return -per, -0.5 * steep * per * per, (along * per + 2.0 * q * steep) / attenuation


@formula
def _nearness(along, length):
    """1 - l/12 km, see `late_time_factor`."""
    return 1.0 - np.minimum(along, 10_000.0) / length


@formula
def late_time_factor(along, length=LATE_LENGTH):
    """(1 - l/12 km)^1.05: delays shrink downstream, farther from the shower's maximum; l = along
    [m], kept below 10 km; length [m], in place of 12 km.
    """
    return _nearness(along, length) ** LATE_POWER


@formula
def log_late_time_factor(along, length=LATE_LENGTH):
    """ln of `late_time_factor`, without the power."""
    return LATE_POWER * np.log(_nearness(along, length))


@formula
def log_late_time_slope(along, length=LATE_LENGTH):
    """Derivative of `log_late_time_factor` by l [1/m]."""
    return -LATE_POWER / (_nearness(along, length) * length) * (along < 10_000.0)


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
