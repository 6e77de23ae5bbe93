"""What one station says of a shower, learned from simulated stations: the numbers of a conditional
density, and how showers vary.

For a station with the conditions c (`physics.station`):

    P(hit) = 1 - exp(-e^g),                        g = ln(expected signal) + f_0(c)
    P(saturated | hit) = 1/(1 + e^-f_1(c))
    p(u, v | hit, saturated or not) = sum_k w_k N(u; m_k, s_k) N(v; n_k + rho_k q_k (u - m_k)/s_k,
                                                                  q_k)

u : reduced time of the leading edge (`physics.station.reduced_time`), v = ln(signal/expected
signal); all of g, f, w, m, s, n, q, rho are outputs of a network with two hidden layers and the
activation x/sqrt(1 + x^2): a mixture density network (Bishop 1994, Aston University NCRG/94/004).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tashower.errors import InputError
from tashower.events.described import Described, described_from
from tashower.io import provenance
from tashower.io.json_file import read_json, write_json
from tashower.io.stages import stated
from tashower.types import FilePath

VERSION = 1
#: Lowest signal of a hit [VEM, mean of the layers] (choice: below what level 0 lets through).
LEAST_SIGNAL = 0.2
_KIND = "tashower station likelihood"
#: That of the default configuration.
DEFAULT = Path(__file__).with_name("default_station_likelihood.json")


class Density(NamedTuple):
    """A mixture density network; its inputs are the conditions, kept within `low` and `high`, less
    `mean`, over `width`.
    """

    low: np.ndarray  #: (5,)
    high: np.ndarray  #: (5,)
    mean: np.ndarray  #: (5,)
    width: np.ndarray  #: (5,)
    weight_1: np.ndarray  #: (n, 5)
    bias_1: np.ndarray  #: (n,)
    weight_2: np.ndarray  #: (n, n)
    bias_2: np.ndarray  #: (n,)
    #: (12 K + 2, n): K each of ln w (up to a constant), m, n, ln s, ln q and rho of hits that are
    #: not saturated, the same of those that are; then f_0 and f_1
    weight_3: np.ndarray
    bias_3: np.ndarray  #: (12 K + 2,)


#: Reduced time and ln(signal/expected signal) are kept within these for the ratio, whose absolute
#: value stays below the last (choices: no shape of a waveform decides alone).
SEEN_RANGE, LARGEST_RATIO = (-5.0, 6.0), 12.0


class Ratio(NamedTuple):
    """What the shape of a waveform (`reconstruction.likelihood.shapes`) adds to ln of the density
    of leading edge and signal: a network whose first layer adds a part of the shape, reduced by
    `mean` and `width` and through a layer of its own, and one of the reduced conditions, u/2 and
    v/2.

    Likelihood ratios from a classifier: Cranmer, Pavez and Louppe 2015, arXiv:1506.02169; that
    compares with several candidates: Durkan, Murray and Papamakarios 2020, arXiv:2002.03712.
    """

    mean: np.ndarray  #: (N_SHAPE,)
    width: np.ndarray  #: (N_SHAPE,)
    shape_1: np.ndarray  #: (m, N_SHAPE)
    shape_bias_1: np.ndarray  #: (m,)
    shape_2: np.ndarray  #: (h, m)
    shape_bias_2: np.ndarray  #: (h,)
    weight_1: np.ndarray  #: (h, 7)
    weight_2: np.ndarray  #: (h, h)
    bias_2: np.ndarray  #: (h,)
    weight_3: np.ndarray  #: (h,)


class Background(NamedTuple):
    """Hits without a shower."""

    rate: float  #: of hits of a station [1/ns]
    log_signal: float  #: mean of ln(signal/VEM)
    width: float  #: rms of it


class Variety(NamedTuple):
    """How showers of one zenith and size vary: eta, ln odds of muons at 800 m, and ln of the scale
    of the delays are Gaussian around

        c0 + s (c1 + s c2) + ln S_ref (c3 + s c4),    s = sec z - 1
    """

    coefficients: np.ndarray  #: (3, 5)
    covariance: np.ndarray  #: (3, 3)
    #: (m,) attenuation of electromagnetic particles [g/cm^2] at equidistant sec z from 1 to 2
    attenuation: np.ndarray
    #: (9,) ln of the curvature a [ns]: of 1, s, s^2, ln S_ref, s ln S_ref, eta, ln odds, ln scale,
    #: ln^2 S_ref
    curvature: np.ndarray


class StationLikelihood(NamedTuple):
    """What the methods `likelihood_edges` and `likelihood_waveforms` take from simulation."""

    density: Density
    background: Background
    variety: Variety
    area: float  #: of the stations that it was learned from [m^2]
    layers: int
    described: Described
    ratio: Ratio | None = None  #: of the shapes of waveforms; None: not learned


def write_station_likelihood(
    path: FilePath, likelihood: StationLikelihood, configuration: dict, stage: str = ""
) -> None:
    """Write a station likelihood as JSON with what made it; stage : of `stages.STAGES`, or ""."""

    def plain(table):
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in table._asdict().items()
        }

    content = {
        "format": _KIND,
        "version": VERSION,
        "software": provenance.software(),
        "commit": provenance.commit(),
        "created": provenance.now(),
        "versions": provenance.versions(),
        **stated(stage, configuration),
        "area": likelihood.area,
        "layers": likelihood.layers,
        "density": plain(likelihood.density),
        "background": plain(likelihood.background),
        "variety": plain(likelihood.variety),
        "ratio": likelihood.ratio and plain(likelihood.ratio),
        **likelihood.described.as_dict(),
    }
    write_json(path, content)


def _check(kind: str, table: NamedTuple, wanted: dict) -> None:
    for name, shape in wanted.items():
        array = getattr(table, name)
        if array.shape != shape or not np.isfinite(array).all():
            raise ValueError(f"{kind}: {name}")


def _check_density(density: Density) -> None:
    hidden, outputs = len(density.bias_1), len(density.bias_3)
    wanted = {
        **dict.fromkeys(("low", "high", "mean", "width"), (5,)),
        "weight_1": (hidden, 5),
        "bias_1": (hidden,),
        "weight_2": (hidden, hidden),
        "bias_2": (hidden,),
        "weight_3": (outputs, hidden),
        "bias_3": (outputs,),
    }
    _check("density", density, wanted)
    if hidden % 2:  # neurons are taken in pairs
        raise ValueError("density: bias_1")
    if outputs < 14 or (outputs - 2) % 12 or not (density.width > 0).all():
        raise ValueError("density: bias_3 or width")


def _check_ratio(ratio: Ratio) -> None:
    shape, first, hidden = len(ratio.mean), len(ratio.shape_bias_1), len(ratio.bias_2)
    wanted = {
        **dict.fromkeys(("mean", "width"), (shape,)),
        "shape_1": (first, shape),
        "shape_bias_1": (first,),
        "shape_2": (hidden, first),
        "shape_bias_2": (hidden,),
        "weight_1": (hidden, 7),
        "weight_2": (hidden, hidden),
        "bias_2": (hidden,),
        "weight_3": (hidden,),
    }
    _check("ratio", ratio, wanted)
    if not (ratio.width > 0).all() or hidden % 4:
        raise ValueError("ratio: width or weight_2")


def _arrays(content: dict) -> dict[str, np.ndarray]:
    return {name: np.array(value, dtype=float) for name, value in content.items()}


def read_station_likelihood(path: FilePath) -> StationLikelihood:
    """Read a station likelihood.

    Raises
    ------
    InputError : no such file, damaged, not a station likelihood, another version, a missing entry.
    """
    return station_likelihood_from(read_json(path, _KIND, (VERSION,)), path)


def station_likelihood_from(content: dict, path: FilePath) -> StationLikelihood:
    """That of the content of a file; path : for messages.

    Raises
    ------
    InputError : a missing entry, or a wrong one.
    """
    try:
        density = Density(**_arrays(content["density"]))
        _check_density(density)
        ratio = content.get("ratio") and Ratio(**_arrays(content["ratio"]))
        if ratio:
            _check_ratio(ratio)
        variety = Variety(**_arrays(content["variety"]))
        shapes = [column.shape for column in variety]
        if shapes[:2] != [(3, 5), (3, 3)] or shapes[3] != (9,) or len(variety.attenuation) < 2:
            raise ValueError("variety")
        np.linalg.cholesky(variety.covariance)
        return StationLikelihood(
            density,
            Background(**{name: float(value) for name, value in content["background"].items()}),
            variety,
            float(content["area"]),
            int(content["layers"]),
            described_from(content),
            ratio,
        )
    except (KeyError, TypeError, ValueError, OverflowError, np.linalg.LinAlgError) as error:
        raise InputError(f"{path}: not a station likelihood ({error})") from None


def check_same_stations(likelihood: StationLikelihood, area: float, layers: int) -> None:
    """Refuse events of other stations than it was learned from.

    Raises
    ------
    InputError : another area or number of layers.
    """
    if abs(likelihood.area / area - 1.0) > 1e-3 or likelihood.layers != layers:
        raise InputError(
            f"the station likelihood is that of stations of {likelihood.area:g} m^2 with "
            f"{likelihood.layers} layer(s), these have {area:g} m^2 and {layers}: make one with "
            "`tashower station-likelihood`"
        )
