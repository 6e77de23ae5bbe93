"""Energy loss and multiple scattering of charged particles in air (GeV, g/cm^2)."""

import numpy as np

from tashower.physics.compiled import formula

#: Dry air (Groom, Mokhov and Striganov 2001, doi:10.1006/adnd.2001.0861): Z/A, mean excitation
#: energy [eV], and the density effect's C, x0, x1, a, k after Sternheimer.
_Z_OVER_A, _EXCITATION = 0.49919, 85.7
_C, _X0, _X1, _A, _K = 10.5961, 1.7418, 4.2759, 0.10914, 3.3994
#: 4 pi N_A r_e^2 m_e c^2 [MeV cm^2/mol] and m_e c^2 [MeV] (Particle Data Group 2024).
_BETHE, _ELECTRON = 0.307075, 0.51099895
#: Radiative losses of muons over energy [cm^2/g]: rounded from 2.5e-6 at 100 GeV and 3.3e-6 at
#: 1 TeV in the same tables; below 30 GeV they are under 4 % of the loss.
_RADIATIVE = 2.7e-6
#: Scattering: energy [GeV] and radiation length [g/cm^2] of the Gaussian approximation of CORSIKA
#: (Heck et al. 1998, FZKA 6019, section on multiple scattering).
_SCATTERING, _RADIATION_LENGTH = 0.021, 37.7


@formula
def energy_loss(energy, mass):
    """Mean loss [GeV per g/cm^2] of a singly charged particle, heavier than an electron, in air.

    Bethe's formula with the density effect (Particle Data Group 2024, eq. 34.5), and the radiative
    loss of muons. `energy` is the total energy.
    """
    gamma = max(energy / mass, 1.0 + 1e-4)
    bg2 = gamma**2 - 1.0
    ratio = _ELECTRON / (1e3 * mass)
    greatest = 2.0 * _ELECTRON * bg2 / (1.0 + 2.0 * gamma * ratio + ratio**2)
    x = 0.5 * np.log10(bg2)
    effect = 0.0
    if x >= _X0:
        effect = 2.0 * np.log(10.0) * x - _C
        if x < _X1:
            effect += _A * (_X1 - x) ** _K
    beta2 = bg2 / gamma**2
    log = 0.5 * np.log(2.0 * _ELECTRON * bg2 * greatest / (1e-6 * _EXCITATION) ** 2)
    loss = _BETHE * _Z_OVER_A / beta2 * (log - beta2 - 0.5 * effect)
    return 1e-3 * loss + (_RADIATIVE * energy if mass < 0.12 else 0.0)


@formula
def scattering_angle(energy, mass, path):
    """Rms angle in space [rad] of multiple scattering along a `path` [g/cm^2], Gaussian."""
    momentum2 = max(energy**2 - mass**2, 1e-12)
    return _SCATTERING * energy / momentum2 * np.sqrt(path / _RADIATION_LENGTH)
