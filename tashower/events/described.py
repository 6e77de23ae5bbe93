"""Which lateral distribution and front showers are described with: what an array, a calibration and
a network must share.
"""

from typing import NamedTuple

from tashower.errors import InputError
from tashower.physics.constants import REFERENCE_DISTANCE
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, Front


class Described(NamedTuple):
    """Names and numbers of a description, to be stored and compared."""

    lateral: str = "telescope_array"  #: name of the lateral distribution
    reference: float = REFERENCE_DISTANCE  #: distance at which it is 1 [m]
    front: Front = TELESCOPE_ARRAY_FRONT

    def as_dict(self) -> dict:
        """{"lateral": ..., "reference": ..., "front": {...}}, as files keep it."""
        return {**self._asdict(), "front": self.front._asdict()}


#: The Telescope Array's.
TELESCOPE_ARRAY_DESCRIBED = Described()


def described_from(content: dict) -> Described:
    """`Described` from what `as_dict` gave; what is missing is the Telescope Array's."""
    usual = TELESCOPE_ARRAY_DESCRIBED
    front = {name: float(value) for name, value in content.get("front", {}).items()}
    return Described(
        str(content.get("lateral", usual.lateral)),
        float(content.get("reference", usual.reference)),
        Front(**front),
    )


def check_described(ours: Described, events: Described, where: object) -> None:
    """Refuse events that are described with another lateral distribution or front than ours.

    Raises
    ------
    InputError : names both.
    """
    if ours[:2] != events[:2]:
        raise InputError(
            f"{where}: calibrated with the lateral distribution {ours.lateral!r} (1 at "
            f"{ours.reference:g} m), the events have {events.lateral!r} (1 at "
            f"{events.reference:g} m)"
        )
    if ours.front != events.front:
        mine, theirs = (
            ", ".join(f"{name} {value:g}" for name, value in front._asdict().items())
            for front in (ours.front, events.front)
        )
        raise InputError(
            f"{where}: calibrated with another front ({mine}) than the events have ({theirs})"
        )
