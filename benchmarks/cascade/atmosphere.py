"""US standard atmosphere, flat: heights in m above sea level, vertical depths in g/cm^2.

Linsley's parametrisation of the US standard atmosphere of 1976 as in the guide of CORSIKA (Heck et
al. 1998, FZKA 6019, appendix on atmospheres): depth = a + b exp(-h/c) in four layers, then linear.
"""

import numpy as np

from tashower.physics.compiled import formula

#: Lower edges of the layers [m], a [g/cm^2], b [g/cm^2], c [m].
_BOTTOM = (0.0, 4.0e3, 10.0e3, 40.0e3, 100.0e3)
_A = (-186.5562, -94.919, 0.61289, 0.0, 0.01128292)
_B = (1222.6562, 1144.9069, 1305.5948, 540.1778, 1.0)
_C = (9941.8638, 8781.5355, 6361.4304, 7721.7016, 1.0e7)

#: Depths at the lower edges of layers 1 to 4 (rounded: the parametrisation is continuous to 1e-4).
_DEPTH = tuple(_A[i] + _B[i] * np.exp(-_BOTTOM[i] / _C[i]) for i in range(1, 4)) + (0.00128292,)

#: Where depth is 0.
TOP = _A[4] * _C[4] / _B[4]

#: Altitude of the Telescope Array [m]; 876 g/cm^2 (Abu-Zayyad et al. 2012,
#: doi:10.1016/j.nima.2012.05.079).
GROUND = 1400.0


@formula
def depth(height):
    """Vertical depth [g/cm^2] at a height [m]; 0 above `TOP`."""
    if height >= _BOTTOM[4]:
        return max(_A[4] - _B[4] * height / _C[4], 0.0)
    layer = 0
    for i in range(1, 4):
        if height >= _BOTTOM[i]:
            layer = i
    return _A[layer] + _B[layer] * np.exp(-height / _C[layer])


@formula
def height(vertical_depth):
    """Height [m] at a vertical depth [g/cm^2], the inverse of `depth`."""
    if vertical_depth <= _DEPTH[3]:
        return (_A[4] - vertical_depth) * _C[4] / _B[4]
    layer = 0
    for i in range(3):
        if vertical_depth <= _DEPTH[i]:
            layer = i + 1
    return -_C[layer] * np.log((vertical_depth - _A[layer]) / _B[layer])


@formula
def density(height):
    """Mass per area and length of path [g/cm^2 per m]: minus the derivative of `depth`."""
    if height >= _BOTTOM[4]:
        return _B[4] / _C[4]
    layer = 0
    for i in range(1, 4):
        if height >= _BOTTOM[i]:
            layer = i
    return _B[layer] / _C[layer] * np.exp(-height / _C[layer])
