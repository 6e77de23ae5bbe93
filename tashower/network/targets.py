"""What a network predicts: the targets that a configuration chooses by name, and what follows."""

from typing import NamedTuple

import numpy as np

from tashower.events.model import Truth


class Targets(NamedTuple):
    """Numbers that a network predicts for an event."""

    names: tuple[str, ...]
    vectors: tuple[tuple[int, int], ...]  #: places of components that turn with the tile
    centred: bool  #: the training sample's mean is taken away; else 0 is no correction
    shown: str  #: what the training curve has the explained variance of
    shown_places: tuple[int, ...]
    #: What has a region and a factor of errors of its own, with its places
    blocks: dict[str, tuple[int, ...]]


#: True minus fitted, vectors in the frame of the lattice.
CORRECTION = Targets(
    ("axis_x", "axis_y", "core_x", "core_y", "log10_energy"),
    ((0, 1), (2, 3)),
    False,
    "the direction",
    (0, 1),
    {"direction": (0, 1), "core": (2, 3), "energy": (4,)},
)
#: Depth of the maximum [g/cm^2], and ln of the mass number of the primary.
MASS = Targets(("xmax", "ln_a"), (), True, "Xmax", (0,), {"xmax": (0,), "ln_a": (1,)})
#: By the name that the configuration has (`predicts`).
PREDICTED = {"correction": CORRECTION, "mass": MASS}


def predicted_by(names: list[str]) -> str | None:
    """The key of `PREDICTED` whose targets these are; None: there is none."""
    return next((key for key, of in PREDICTED.items() if list(of.names) == names), None)


def true_mass(truth: Truth) -> np.ndarray:
    """(n, 2) true targets of `MASS`; NaN where Xmax or the mass number is not known."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ln_a = np.where(truth.mass_number >= 1, np.log(truth.mass_number.astype(float)), np.nan)
    return np.stack([truth.xmax, ln_a], axis=1).astype(np.float32)
