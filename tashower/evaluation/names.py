"""What methods are called: which of them others are compared with, their labels and their colours.

Tables and figures hold every method that the files hold; what is not listed here goes by its name.
"""

import itertools
from collections.abc import Collection, Iterable
from typing import NamedTuple

#: Fits that everything is compared with: the published one, and ours from the weakest to the
#: strongest.
BASELINES = ("published", "free", "constrained", "complete")
#: Methods that use all that they are given of an event, what tells most first: others are measured
#: by the first that is there (`limit_of`).
LIMITS = ("likelihood_waveforms", "likelihood_edges")
#: The fit whose quality cuts choose the events that all methods are scored on, wherever it stands
#: among the BASELINES; it must be there.
REFERENCE = "free"
#: Fits that stand for the standard reconstruction of the published comparison, the nearest first.
_STANDARD = ("published", REFERENCE)


#: Dashes of lines and markers of points, in the order in which they are given away; the pairs are
#: distinct in grey.
DASHES = (
    *("-", "--", "-.", ":", (0, (7, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (9, 2, 1, 2))),
    *((0, (5, 5)), (0, (2, 4)), (0, (12, 3)), (0, (6, 1, 1, 1, 1, 1, 1, 1))),
)
MARKERS = ("o", "P", "X", "<", ">", "h", "p", "d", "*", "8", "H", "1", "2", "3", "4")


class Look(NamedTuple):
    """How a method appears; colour, marker and dashes None: the next free ones."""

    label: str  #: in tables and legends
    short: str  #: in sentences and narrow columns
    colour: str | None = None
    marker: str | None = None
    dashes: str | tuple | None = None
    meaning: str = ""  #: for readers who do not know it


class Style(NamedTuple):
    """How a method is drawn: in colour, and in grey."""

    colour: str
    marker: str
    dashes: str | tuple

    @property
    def line(self) -> dict:
        """What `Axes.plot` and `Axes.hist` take for a line without points."""
        return {"color": self.colour, "ls": self.dashes}

    @property
    def points(self) -> dict:
        """What `Axes.plot` takes for points on a line."""
        return self.line | {"marker": self.marker}


#: Colours are safe for colour-blind readers (Okabe and Ito 2008).
LOOKS = {
    "free": Look(
        "fit, free curvature",
        "free fit",
        "#555555",
        "s",
        "--",
        "the seven-parameter fit with the curvature of the front free",
    ),
    "published": Look(
        "fit, as published",
        "published fit",
        "#999999",
        "v",
        ":",
        "the Telescope Array's own reconstruction: the seven-parameter fit with its weights, "
        "nothing calibrated, and the energy of its lateral fit alone",
    ),
    "constrained": Look(
        "fit, constrained curvature",
        "constrained fit",
        "#0072B2",
        "D",
        "-.",
        "the seven-parameter fit with a prior on the curvature of the front from simulation",
    ),
    "complete": Look(
        "fit, complete",
        "complete fit",
        "#000000",
        "^",
        "-",
        "the constrained fit that knows early and late stations and the onset of the front, shifts "
        "times where more was seen than expected, and knows that times are skewed",
    ),
    "likelihood_edges": Look(
        "likelihood of edges and signals",
        "likelihood",
        "#F0E442",
        "P",
        (0, (3, 1, 1, 1, 1, 1)),
        "the posterior mean given leading edge and signal of every station, or its silence; what a "
        "station says was learned from simulated ones",
    ),
    "likelihood_waveforms": Look(
        "likelihood of waveforms",
        "likelihood (waveforms)",
        "#8B5A2B",
        "X",
        (0, (5, 1, 1, 1)),
        "the posterior mean given the waveforms of all stations, too",
    ),
    "plane": Look(
        "plane front",
        "plane front",
        meaning="a plane through the times of the stations: a direction from three stations on, "
        "nothing else",
    ),
    "standard": Look(
        "standard reconstruction (of the file)",
        "standard",
        meaning="what came with the data, made by other software",
    ),
    "waveforms_and_features": Look("network: waveforms + features", "network"),
    "waveforms_only": Look("network: waveforms", "network"),
    "features_only": Look("network: features", "network"),
    "stations_only": Look("network: stations only", "network"),
    "with_likelihood": Look("network: told of the station likelihood", "informed network"),
}
PALETTE = ("#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")


def label(name: str, networks: Collection[str] = ()) -> str:
    """Name of a method for people; networks : the names that are those of networks."""
    if name in LOOKS:
        return LOOKS[name].label
    return f"network: {name}" if name in networks else name


def short(name: str) -> str:
    """Name of a method in a sentence or a narrow column."""
    return LOOKS[name].short if name in LOOKS else name


def colours(names: Iterable[str], palette: Iterable[str] = PALETTE) -> dict[str, str]:
    """A colour for each method; those that are listed with one keep it, whoever stands beside."""
    others = itertools.cycle(palette)
    return {name: (LOOKS[name].colour if name in LOOKS else None) or next(others) for name in names}


def styles(names: Iterable[str], palette: Iterable[str] = PALETTE) -> dict[str, Style]:
    """Colour, marker and dashes for each method; those that are listed with some keep them."""
    names = list(names)

    def given_away(of: str, free: tuple) -> dict:
        own = {n: getattr(LOOKS[n], of) for n in names if n in LOOKS and getattr(LOOKS[n], of)}
        others = itertools.cycle([one for one in free if one not in own.values()])
        return {name: own.get(name) or next(others) for name in names}

    colour, mark = colours(names, palette), given_away("marker", MARKERS)
    dashes = given_away("dashes", DASHES)
    return {name: Style(colour[name], mark[name], dashes[name]) for name in names}


def marker(name: str) -> str:
    """Marker of a listed method; "o" for those that take the next free one."""
    return (LOOKS[name].marker if name in LOOKS else None) or "o"


def in_order(names: Iterable[str]) -> list[str]:
    """The names with the baselines first, all others as they come."""
    return sorted(
        names, key=lambda name: BASELINES.index(name) if name in BASELINES else len(BASELINES)
    )


def baselines(scores: dict) -> tuple[str, ...]:
    """The baselines that scores were made with."""
    return tuple(scores["ladder"])


def standard(fits: Collection[str]) -> str:
    """The one of these fits that is the nearest to the standard reconstruction of the published
    comparison.
    """
    return next(name for name in (*_STANDARD, *fits) if name in fits)
