"""What is said of generated events: sentences, tables and the numbers behind them."""

import math
import re

import numpy as np

from tashower.evaluation.bins import clean
from tashower.evaluation.judge import Judged
from tashower.evaluation.judged import (
    MASK,
    OF_EVENTS,
    OF_FITS,
    OF_STATIONS,
    PROFILES,
    Compared,
    Look,
    looks,
)
from tashower.evaluation.names import short
from tashower.evaluation.p_values import CLEAR, p_text
from tashower.evaluation.rounding import NOTHING, number, pm, with_error
from tashower.evaluation.two_samples import Profile
from tashower.evaluation.verdict import VERSION

#: What profiles are against, with units.
AGAINST = {
    "distance": OF_STATIONS["distance"],
    "log_signal": OF_STATIONS["log_signal"],
    "log_expected": "ln(expected signal/VEM)",
    "energy": "log10(E/eV)",
    "zenith": "zenith [deg]",
}
_COPIES = {
    "nearer": "generated events lie nearer to the training sample than real ones do",
    "copy": "a generated event is nearly one of the training sample",
}
_QUANTITY = {"axis": "direction", "core": "core", "log_energy": "ln E"}
#: Differences that a sentence names (choice).
_NAMED = 6


def against_of(name: str) -> str:
    """What the profile of a column is against, with its unit."""
    return AGAINST["log_expected" if name == MASK else PROFILES.get(name, name)]


def name_of(column: str) -> str:
    """A column with its unit, of a fit with its name."""
    if column == MASK:
        return "part of the stations with a hit"
    if column in OF_EVENTS or column in OF_STATIONS:
        return (OF_EVENTS | OF_STATIONS)[column]
    quantity, _, method = column.rpartition("_")
    return f"{OF_FITS.get(quantity, quantity)}, {short(method)}"


def words(look: Look) -> str:
    """What was compared, without units."""
    if look.kind == "copies":
        return _COPIES[look.name]
    if look.kind == "classifier":
        return f"classifier of {look.name}"
    if look.kind == "efficiency":
        text = f"trigger efficiency against {AGAINST[look.name]}"
    elif look.kind == "distribution":
        text = name_of(look.name)
    else:
        text = f"{look.kind} of {name_of(look.name)} against {against_of(look.name)}"
    return re.sub(r" \[[^]]*\]", "", text)


def clear_looks(compared: Compared) -> list[Look]:
    """Those that chance does not make: p-value times their number below `p_values.CLEAR`, the least
    likely first.
    """
    every = looks(compared)
    found = [look for look in every if look.p_value * len(every) < CLEAR]
    return sorted(found, key=lambda look: (look.p_value, -_size(compared, look)))


def _size(compared: Compared, look: Look) -> float:
    """Of a difference, to order those of equal p-value: distance, or the largest number of errors
    in a bin.
    """
    if look.kind == "distribution":
        return compared.distributions[look.name].distance
    if look.kind in ("mean", "spread"):
        return abs(_largest(compared.profiles[look.name], look.kind)[1])
    return math.inf


def _largest(profile: Profile, kind: str) -> tuple[int, float, dict]:
    """(bin, sigma, {"value", "error"}) of the largest difference of means or spreads, in errors;
    errors as of separate samples.
    """
    values, errors = getattr(profile, kind), getattr(profile, f"{kind}_error")
    difference, error = values[1] - values[0], np.hypot(*errors)
    with np.errstate(invalid="ignore", divide="ignore"):
        sigma = np.where(error > 0.0, difference / error, np.nan)
    if not np.isfinite(sigma).any():
        return 0, 0.0, {"value": math.nan, "error": math.nan}
    k = int(np.nanargmax(np.abs(sigma)))
    return k, float(sigma[k]), {"value": float(difference[k]), "error": float(error[k])}


def sentences(judged: Judged) -> list[str]:
    """What was found of each file, in short."""
    found = []
    for one in (judged.real, *judged.compared):
        every, different = looks(one), clear_looks(one)
        name = "Real against real (two halves)" if one is judged.real else one.name
        if not different:
            text = f"{name}: none of {len(every)} looks differs clearly"
        else:
            named = "; ".join(words(look) for look in different[:_NAMED])
            more = len(different) - _NAMED
            text = f"{name}: {len(different)} of {len(every)} looks differ clearly: {named}"
            text += f" and {more} more" if more > 0 else ""
        if one.areas:
            areas = ", ".join(f"{kind} {_area(area)}" for kind, area in one.areas.items())
            text += f". Area under the curve of a classifier: {areas}"
        found.append(text + ".")
        if one.copies is not None and one.copies.n_equal:
            found.append(
                f"{one.name}: {one.copies.n_equal:,} of {one.copies.n_hits:,} hits have a waveform "
                "of the training sample, bit by bit: copies."
            )
    return found


def _area(area) -> str:
    return with_error(area.value, area.error, places=3)


def _head(judged: Judged, *first: str) -> list[str]:
    return [*first, *(one.name for one in (judged.real, *judged.compared))]


def _marked(text: str, compared: Compared, p_value: float) -> str:
    """A p-value behind what it is of; an asterisk where it is clear."""
    if not math.isfinite(p_value):
        return NOTHING
    star = " *" if p_value * len(looks(compared)) < CLEAR else ""
    return f"{text} ({p_text(p_value).removeprefix('p = ')}){star}"


def distribution_rows(judged: Judged) -> list[list[str]]:
    """Distance of every distribution from the reference's, and its p-value, with header."""
    rows = [_head(judged, "distribution", "of")]
    for name in judged.real.distributions:
        kind = "stations" if name in OF_STATIONS else "events" if name in OF_EVENTS else "fits"
        cells = []
        for one in (judged.real, *judged.compared):
            found = one.distributions.get(name)
            text = number(found.distance, 3) if found else NOTHING
            cells.append(_marked(text, one, found.p_value if found else math.nan))
        rows.append([name_of(name), kind, *cells])
    return rows


def profile_rows(judged: Judged) -> list[list[str]]:
    """Largest difference of every profile in its errors, where it is, and the p-value of all bins,
    with header.
    """
    rows = [_head(judged, "profile", "against")]
    for name in judged.real.profiles:
        for kind in ("mean", "spread") if name != MASK else ("mean",):
            cells = []
            for one in (judged.real, *judged.compared):
                profile = one.profiles.get(name)
                if profile is None:
                    cells.append(NOTHING)
                    continue
                k, _, difference = _largest(profile, kind)
                low, high = profile.edges[k : k + 2]
                where = f"{pm(difference, 3)} at {number(low, _places(high))} – "
                where += number(high, _places(high))
                cells.append(_marked(where, one, getattr(profile, f"p_{kind}")))
            rows.append([f"{kind} of {name_of(name)}", against_of(name), *cells])
    return rows


def _places(value: float) -> int:
    return 0 if abs(value) >= 100.0 else 1


def efficiency_rows(judged: Judged) -> list[list[str]]:
    """Part of the thrown showers that trigger, in bins, with header; the header alone where it is
    not known.
    """
    known = [one for one in judged.compared if one.efficiency]
    rows = [["against", "from", "to", "reference", *(one.name for one in known)]]
    for name in ("energy", "zenith") if known else ():
        profiles = [one.efficiency[name] for one in known]
        for k, (low, high) in enumerate(
            zip(profiles[0].edges[:-1], profiles[0].edges[1:], strict=True)
        ):
            row = [AGAINST[name], number(low, 1), number(high, 1)]
            row.append(with_error(profiles[0].mean[0][k], profiles[0].mean_error[0][k], places=3))
            row += [with_error(p.mean[1][k], p.mean_error[1][k], places=3) for p in profiles]
            rows.append(row)
        ps = [_marked("all bins", one, one.efficiency[name].p_mean) for one in known]
        rows.append([AGAINST[name], "", "", "", *ps])
    return rows


def fit_rows(judged: Judged) -> list[list[str]]:
    """Mean and spread of what fits give, with header."""
    files = ["reference", *(one.name for one in judged.compared)]
    rows = [["of the fit", *(f"{what}, {file}" for file in files for what in ("mean", "spread"))]]
    for name in judged.real.fits:
        cells = []
        for k, one in enumerate((judged.compared[0], *judged.compared)):
            profile, side = one.fits[name], int(k > 0)
            for kind in ("mean", "spread"):
                value = getattr(profile, kind)[side][0]
                cells.append(with_error(value, getattr(profile, f"{kind}_error")[side][0]))
        text = name_of(name)
        if name.startswith("valid_"):
            text = f"part with a result, {short(name.removeprefix('valid_'))}"
            cells[1::2] = [NOTHING] * len(files)
        rows.append([text, *cells])
    return rows


def network_rows(judged: Judged) -> list[list[str]]:
    """Explained variance and ratio of the 68 % sizes of networks in every file, with header."""
    head = ["network", "applied to", "events"]
    for quantity in _QUANTITY.values():
        head += [f"EV, {quantity}", f"68 % ratio, {quantity}"]
    rows = [head]
    for network, files in judged.networks.items():
        for k, (file, scores) in enumerate(files.items()):
            row = ["" if k else network, file, f"{scores['n']:,}"]
            for quantity in _QUANTITY:
                of = scores.get(quantity, {})
                row += [pm(of.get("ev")), pm(of.get("ratio_68"))]
            rows.append(row)
    return rows


def copy_rows(judged: Judged) -> list[list[str]]:
    """The nearest events of the training sample, with header."""
    head = ["file", "median distance", "of real events", "nearer: p-value", "smallest ratio"]
    rows = [[*head, "of real events", "a copy: p-value", "equal waveforms"]]
    for one in judged.compared:
        found = one.copies
        if found is None:
            continue
        medians = [number(float(np.median(x)), 2) for x in (found.nearest, found.real)]
        smallest = [number(float(x.min()), 3) for x in (found.ratio, found.real_ratio)]
        ps = [_marked("", one, p).strip() for p in (found.p_nearer, found.p_copy)]
        ps = [text.replace("(", "").replace(")", "") for text in ps]
        equal = f"{found.n_equal:,} of {found.n_hits:,}"
        rows.append([one.name, *medians, ps[0], *smallest, ps[1], equal])
    return rows


def _profile_numbers(profile: Profile) -> dict:
    return {
        name: [column.tolist() for column in value]
        if isinstance(value, tuple)
        else value.tolist()
        if isinstance(value, np.ndarray)
        else value
        for name, value in profile._asdict().items()
    }


def _numbers_of(compared: Compared) -> dict:
    of_copies = compared.copies._asdict() if compared.copies else None
    if of_copies:
        arrays = ("nearest", "real", "ratio", "real_ratio")
        of_copies = {k: v for k, v in of_copies.items() if k not in arrays} | {
            f"median_{k}": float(np.median(of_copies[k])) for k in arrays
        }
    return {
        "paired": compared.paired,
        "n_events": dict(zip(("reference", "file"), compared.n_events, strict=True)),
        "looks": len(looks(compared)),
        "differ": [
            {"kind": k.kind, "name": k.name, "p_value": k.p_value} for k in clear_looks(compared)
        ],
        "distributions": {n: d._asdict() for n, d in compared.distributions.items()},
        "profiles": {n: _profile_numbers(p) for n, p in compared.profiles.items()},
        "efficiency": {n: _profile_numbers(p) for n, p in compared.efficiency.items()},
        "fits": {n: _profile_numbers(p) for n, p in compared.fits.items()},
        "classifier": {n: a._asdict() for n, a in compared.areas.items()},
        "copies": of_copies,
    }


def numbers(judged: Judged) -> dict:
    """Everything that the page says, for JSON: pairs are (reference, file)."""
    return clean(
        {
            "format": "tashower judgement",
            "version": VERSION,
            "reference": judged.reference.name,
            "sentences": sentences(judged),
            "left_out": judged.left_out,
            "real_against_real": _numbers_of(judged.real),
            "files": {one.name: _numbers_of(one) for one in judged.compared},
            "networks": judged.networks,
        }
    )
