"""What scores are held against: published numbers and numbers that come with the package, each for
the array that it was made for and for no other; and the limit, where one is known.
"""

from collections.abc import Mapping
from pathlib import Path

from tashower.config import Config, as_dict

#: Sections of the configuration for which the numbers were made, as they are by default.
_SECTIONS = ("array", "detector")


def of_default_array(scores: Mapping) -> bool:
    """Whether scores are of the default array and detector, those of the Telescope Array: published
    numbers of that experiment, and ours that come with the package, hold for no other.
    """
    ours, default = scores["configuration"], as_dict(Config())
    return all(ours.get(section) == default[section] for section in _SECTIONS)


def published_cells(scores: Mapping) -> list[dict]:
    """Published explained variances; none for another array than that of the publication."""
    return list(scores["published_ev"]) if of_default_array(scores) else []


def limit_of(scores: Mapping) -> dict | None:
    """The limit that no method passes, {"source": where it comes from, "all": {quantity: {"value",
    "error"}}} with the quantities of `scores["methods"][name]["all"]`; None where none is known.

    A quantity without a limit is left out. Scores of before have none.
    """
    return scores.get("limit")


def _lattice(array: Mapping) -> str:
    if array.get("stations"):
        return f"the stations of {Path(array['stations']).name}"
    size = f"{array['columns']} × {array['rows']} stations"
    return f"a {array['lattice']} lattice of {size}, {array['spacing_m']:,g} m apart"


def array_words(configuration: Mapping) -> str:
    """The array and its detector in a phrase; "" where the configuration says nothing of them."""
    array, detector = configuration.get("array"), configuration.get("detector")
    if not array or not detector:
        return ""
    layers = detector["layers"]
    words = f"{_lattice(array)}, {layers} layer{'s' * (layers > 1)} of {detector['area_m2']:g} m²"
    return f"{words}, size at {array['reference_m']:,g} m"


def size_name(configuration: Mapping) -> str:
    """What the fitted size is called, as S800."""
    return f"S{configuration.get('array', {}).get('reference_m', 800.0):.0f}"
