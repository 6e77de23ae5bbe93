"""The Telescope Array's own reconstruction in a DST file: banks rusdgeom (13104, geometry) and
rufldf (13107, lateral fit, alone and together with the geometry), to the table `standard`.

Cores in units of 1200 m from the origin of the station numbers; angles in degrees, of travel, as
stored: the zenith angles that are published have half a degree more.
"""

import numpy as np

from tashower.convert.ta_banks import FoundPulses, count, need
from tashower.events.model import PARAMETERS

RUSDGEOM, RUFLDF = 13104, 13107
#: Unit of lengths in the files [m], and origin of the station numbers in the CLF frame in that
#: unit.
UNIT = 1200.0
ORIGIN = (-12.2435, -16.4406)
#: Unit of times of pulses and fits [ns]: 1200 m over the speed of light.
TIME_UNIT = 1200.0 / 0.299792458

DEGREE = np.pi / 180.0

_PAIRS = (
    *("xcore", "dxcore", "ycore", "dycore", "sc", "dsc", "s600", "s600_0", "s800", "s800_0"),
    *("aenergy", "energy", "atmcor", "chi2"),
)
_AFTER = _PAIRS.index("atmcor")  # the pairs before a pair that some files have on top
_SINGLE = (
    *("theta", "dtheta", "phi", "dphi", "t0", "dt0"),
    *("bdist", "tdistbr", "tdistlr", "tdistsk", "tdist"),
)
_GEOMETRY = (
    *("xcore", "dxcore", "ycore", "dycore", "t0", "dt0"),
    *("theta", "dtheta", "phi", "dphi", "chi2"),
)
#: chi2 of a fit that did not converge.
NOT_CONVERGED = 1e6
#: More degrees of freedom than this are not degrees of freedom.
_MOST_NDOF = 10_000


def unpack_rufldf(payload: bytes, version: int, where: str) -> dict:
    """{name: value}, pairs (lateral fit alone, with the geometry) as (2,) arrays; ndof -1: not
    stated.

    Version 0 has no atmcor. Files of 2024 were seen that hold one more pair of energies before
    atmcor in a bank of the same version and length, so that its end (tdist, ndof) is cut off. They
    are told by what stands at the place of ndof, which is no small whole number then.

    Raises
    ------
    InputError : too short.
    """
    pairs = [name for name in _PAIRS if version >= 1 or name != "atmcor"]
    size = 16 * len(pairs) + 8 * len(_SINGLE) + 8
    need(payload, size, where, "rufldf")
    number = np.frombuffer(payload, "<f8", size // 8 - 1)
    ndof = np.frombuffer(payload, "<i4", 2, size - 8)
    if (np.abs(ndof.astype(np.int64)) > _MOST_NDOF).any():
        whole = np.frombuffer(payload, "<f8", size // 8)
        number = np.append(np.delete(whole, (2 * _AFTER, 2 * _AFTER + 1)), np.nan)
        ndof = np.array([-1, -1])
    bank = {name: number[2 * k : 2 * k + 2] for k, name in enumerate(pairs)}
    return bank | dict(zip(_SINGLE, number[2 * len(pairs) :], strict=True)) | {"ndof": ndof}


def pack_rufldf(**values: object) -> bytes:
    """Payload of rufldf, version 1, in the published layout; fields by name, missing ones 0."""
    kinds = [(n, "<f8", 2) for n in _PAIRS] + [(n, "<f8") for n in _SINGLE] + [("ndof", "<i4", 2)]
    bank = np.zeros(1, np.dtype(kinds))
    for name, value in values.items():
        bank[name] = value
    return bank.tobytes()


def unpack_rusdgeom(payload: bytes, where: str) -> dict:
    """{name: (3,) of the fits of a plane, with the usual curvature and with a free one}, a, da,
    tearliest [s since midnight].

    Raises
    ------
    InputError : too short for the stations and signals that it states.
    """
    need(payload, 4, where, "rusdgeom")
    n = count(int(np.frombuffer(payload, "<i4", 1)[0]), where, "nsds")
    need(payload, 4 + 4 * n, where, "rusdgeom")
    signals = sum(count(k, where, "nsig") for k in np.frombuffer(payload, "<i4", n, 4).tolist())
    begin = 4 + 4 * n + signals * (3 * 8 + 2 * 4) + n * (3 * 8 + 3 * 8 + 3 * 4)
    need(payload, begin + 3 * 8 * len(_GEOMETRY) + 3 * 4 + 3 * 8, where, "rusdgeom")
    fits = np.frombuffer(payload, "<f8", 3 * len(_GEOMETRY), begin).reshape(-1, 3)
    begin += fits.nbytes
    bank = dict(zip(_GEOMETRY, fits, strict=True)) | {
        "ndof": np.frombuffer(payload, "<i4", 3, begin)
    }
    last = np.frombuffer(payload, "<f8", 3, begin + 12)
    return bank | dict(zip(("a", "da", "tearliest"), last.tolist(), strict=True))


def standard_of(lateral: dict | None, geometry: dict | None, pulses: FoundPulses | None) -> dict:
    """Fields of Reconstruction: the fit of lateral distribution and geometry together where it
    converged, else the geometry with a free curvature, without a size; empty where there is
    neither.

    Core in the CLF frame [m]; errors on the diagonal of the covariance. Not included: t0, as what
    the times of the fits count from is not the start of the windows (in real events 0.87 us off).
    """
    fit, size = {}, {}
    if lateral is not None:
        both = {name: lateral[name][1] for name in (*_PAIRS, "ndof") if name in lateral}
        if both["s800"] > 0 and both["sc"] > 0 and 0 <= both["chi2"] < NOT_CONVERGED:
            fit = both | {name: lateral[name] for name in _SINGLE[:6]}
            size = {"s_ref": both["s800"], "energy": both["energy"]}
    if not fit and geometry is not None and 0 <= geometry["chi2"][2] < NOT_CONVERGED:
        fit = {name: column[2] for name, column in geometry.items() if np.ndim(column)}
        fit = fit if fit["dtheta"] > 0 else {}
    needed = ("xcore", "ycore", "theta", "phi")
    stated = [fit.get(name, np.nan) for name in (*needed, "chi2")] + list(size.values())
    if not np.isfinite(stated).all():
        return {}
    if not 0 <= fit["theta"] <= 90:
        return {}
    unit = {"xcore": UNIT, "ycore": UNIT, "theta": DEGREE, "phi": DEGREE}
    error = {n: fit["d" + n] * unit[n] if fit["d" + n] > 0 else np.nan for n in needed}
    size_error = size["s_ref"] * fit["dsc"] / fit["sc"] if size and fit["dsc"] > 0 else np.nan
    sigma = [error["xcore"], error["ycore"], error["theta"], error["phi"], size_error]
    covariance = np.full((len(PARAMETERS), len(PARAMETERS)), np.nan)
    np.fill_diagonal(covariance, np.square([*sigma, np.nan, np.nan]))
    return {
        "core_x": (fit["xcore"] + ORIGIN[0]) * UNIT,
        "core_y": (fit["ycore"] + ORIGIN[1]) * UNIT,
        "zenith": fit["theta"] * DEGREE,
        "azimuth": (fit["phi"] * DEGREE + np.pi) % (2 * np.pi),
        "chi2": fit["chi2"],
        "ndof": max(int(fit["ndof"]), 0),
        "covariance": covariance,
        "n_stations": pulses.n_part if pulses else 0,
        **size,
    }
