"""The response to a shower that is shifted in its tile: the same hits, and a fitted core that is
moved by a known vector.

The plane front of the fit stays where it is: t0, the time at the core, moves with the core. A
network that has learned where the core is corrects it by minus the shift, and its direction by
what it did before.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tashower.events.array import lattice_heading
from tashower.events.model import Reconstruction
from tashower.network.insight.subject import Subject
from tashower.network.predict import outputs
from tashower.network.sample import make_sample, select_fitted
from tashower.network.tiles import in_lattice_frame
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.geometry import axis_components
from tashower.progress import counted

#: Along both axes of the lattice's frame, both ways.
_WAYS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])


class Shifts(NamedTuple):
    """Changes of the corrections under shifts of the fitted core, in the lattice's frame."""

    applied: np.ndarray  #: (S,) length of the shift [m]
    ways: np.ndarray  #: (W, 2) unit vectors along which
    core: np.ndarray  #: (S, W, n, 2) change of the correction of the core [m]
    axis: np.ndarray  #: (S, W, n, 2) change of the correction of the direction cosines
    needed: float  #: rms of a component of the correction that the network was trained for [m]

    @property
    def along(self) -> np.ndarray:
        """(S, W, n) change of the core's correction along the shift [m]: -applied if it follows."""
        return np.einsum("swnk,wk->swn", self.core, self.ways)


def moved(fit: Reconstruction, shift: np.ndarray, heading: float = 0.0) -> Reconstruction:
    """The fit with its core moved by (2,) [m], in the lattice's frame; its plane front stays."""
    x, y = in_lattice_frame(*shift, -heading)
    n_x, n_y, _ = axis_components(fit.zenith, fit.azimuth)
    t0 = fit.t0 - (n_x * x + n_y * y) / SPEED_OF_LIGHT
    return replace(fit, core_x=fit.core_x + x, core_y=fit.core_y + y, t0=t0)


def lengths(spacing: float, tile: int, needed: float) -> np.ndarray:
    """Shifts [m]: 1, 2 and 4 times the needed correction (those that are below half a spacing),
    then every half spacing up to half a tile, where the core's station is the outermost.
    """
    small = needed * np.array([1.0, 2.0, 4.0])
    return np.concatenate(
        [small[small < 0.5 * spacing], 0.5 * spacing * np.arange(1, max(tile - 1, 1) + 1)]
    )


def shifts(subject: Subject, rows: np.ndarray) -> Shifts:
    """Response of some events, `rows` (n,), to shifts of `lengths`."""
    fitted = select_fitted(subject.fitted, rows)
    array, width = fitted.events.array, subject.width
    needed = float(width[2])
    applied = lengths(array.spacing, subject.inputs.tile, needed)
    heading = lattice_heading(array)

    def asked(shift):
        fit = moved(fitted.fit, shift, heading)
        sample = make_sample(fitted._replace(fit=fit), subject.inputs, rows)
        found = outputs(subject.trained, sample, subject.device)
        return subject.trained.head.predict(found)[0].numpy().astype(float) * width

    still = asked(np.zeros(2))
    vectors = (applied[:, None, None] * _WAYS).reshape(-1, 2)
    found = [
        asked(vector) - still
        for vector in counted("explain: shifts", vectors, len(vectors), "shifts")
    ]
    found = np.stack(found).reshape(len(applied), len(_WAYS), len(rows), -1)
    return Shifts(applied, _WAYS, found[..., 2:4], found[..., :2], needed)
