"""How networks get better with more showers to learn from, and what still more would give."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from tashower.errors import InputError
from tashower.evaluation.names import label, short
from tashower.evaluation.rounding import pm, with_error
from tashower.evaluation.tables import VERSION, markdown_table
from tashower.io.atomic import written_aside
from tashower.io.json_file import read_json
from tashower.types import FilePath

#: Fewest sizes of which a curve is continued: it has three parameters.
_FEWEST = 4
#: Exponents that a curve may have (choice: outside of these it is a step, or a straight line in the
#: logarithm of the number, of which nothing follows).
_EXPONENTS = (0.05, 2.0)
#: Draws of the points within their errors, behind the band of what is continued.
_DRAWS = 300


class Point(NamedTuple):
    """Networks that learned from so many showers."""

    showers: int
    network: str
    found: dict[str, dict]  #: {quantity: entry of `bootstrap.over_trainings`}


class Curve(NamedTuple):
    """Networks that differ by the number of their showers alone."""

    name: str  #: in words
    fit: str  #: that they correct
    points: list[Point]  #: by showers


class Continued(NamedTuple):
    """y = limit + amplitude (n/n_0)^-exponent through the points, n_0 their geometric mean."""

    limit: float
    amplitude: float
    exponent: float
    showers: np.ndarray  #: (k,) where it was asked for
    value: np.ndarray  #: (k,)
    error: np.ndarray  #: (k,) from draws of the points within their errors


#: Quantities of a curve, in words.
QUANTITIES = {
    "ev": "explained variance of the direction over the {fit}",
    "ratio_68": "68 % angle over that of the {fit}",
    "ratio_to_best": "68 % angle over that of the {best}",
    "times": "68 % angle over that of the likelihood of waveforms",
}


def _found(scores: Mapping, name: str, fit: str) -> dict[str, dict]:
    rung = scores["ladder"][fit][name]["all"]["axis"]
    found = {"ev": rung["ev"], "ratio_68": rung["ratio_68"]}
    best = list(scores["ladder"])[-1]
    if best != fit:
        found["ratio_to_best"] = scores["ladder"][best][name]["all"]["axis"]["ratio_68"]
    if limit := scores.get("limit"):
        found["times"] = limit["times"][name]["angle_68_deg"]
    return found


def curves(scores: Mapping) -> list[Curve]:
    """The learning curves that scores hold, of networks with two numbers of showers or more.

    Raises
    ------
    InputError : there is none.
    """
    configuration, grouped = scores["configuration"], {}
    for name in scores["trainings"]:
        own = configuration["networks"].get(name)
        if own is None:
            continue
        rest = str({key: value for key, value in own.items() if key not in ("showers", "seeds")})
        showers = own.get("showers") or configuration["samples"]["train"]
        point = Point(showers, name, _found(scores, name, own["corrects"]))
        grouped.setdefault(rest, (own["corrects"], []))[1].append(point)
    found = [
        Curve(label(points[0].network, scores["networks"]), fit, sorted(points))
        for fit, points in grouped.values()
        if len({point.showers for point in points}) > 1
    ]
    if not found:
        raise InputError(
            "no two networks of these scores differ by `showers` alone: give some entries of"
            " `networks` different ones (config/learning_curve.yaml)"
        )
    return found


def continued(
    showers: np.ndarray, value: np.ndarray, error: np.ndarray, at: np.ndarray
) -> Continued | None:
    """A power law with an offset through the points, and what it says elsewhere; None for fewer
    than four points, or where they do not decide it.

    Parameters
    ----------
    showers, value, error : (m,) the points
    at : (k,) numbers of showers

    Hestness et al. 2017, arXiv:1712.00409, found losses to fall as powers of the number of
    examples towards an irreducible one. The band holds the errors of the points; not that the
    curve may bend where no point is.
    """
    if len(set(showers)) < _FEWEST:
        return None
    middle = np.exp(np.log(showers).mean())
    rng = np.random.default_rng(1)

    def curve(p, n):
        return p[0] + p[1] * (n / middle) ** -p[2]

    def fitted(y):
        span = np.ptp(y) + 1e-12
        slope = y[np.argmin(showers)] - y[np.argmax(showers)]
        start = [y[np.argmax(showers)] - 0.5 * slope, 0.5 * slope, 0.4]
        bounds = ([-np.inf, -10.0 * span, _EXPONENTS[0]], [np.inf, 10.0 * span, _EXPONENTS[1]])
        return least_squares(lambda p: (curve(p, showers) - y) / error, start, bounds=bounds).x

    best = fitted(value)
    drawn = np.array(
        [curve(fitted(value + error * rng.normal(size=len(value))), at) for _ in range(_DRAWS)]
    )
    if best[2] <= 1.01 * _EXPONENTS[0]:
        return None
    low, high = np.quantile(drawn, [0.16, 0.84], axis=0)
    return Continued(*best, at, curve(best, at), 0.5 * (high - low))


def error_of(entry: Mapping) -> float:
    """Error of a point along its curve: the scatter of its mean over the trainings, of which the
    showers that are scored, the same for all points, are no part; of one training its error.
    """
    each = entry.get("each", ())
    return entry["scatter"] / np.sqrt(len(each)) if len(each) > 1 else entry["error"]


def continue_curve(curve: Curve, quantity: str, at: Sequence[float]) -> Continued | None:
    """`continued` of a quantity of a curve."""
    showers, value, error = (
        np.array(column, dtype=float)
        for column in zip(
            *(
                (p.showers, p.found[quantity]["value"], error_of(p.found[quantity]))
                for p in curve.points
            ),
            strict=True,
        )
    )
    # Three trainings may agree by chance: no point is better than a third of the typical one.
    error = np.maximum(error, 0.33 * np.sqrt(np.mean(error**2)) + 1e-9)
    return continued(showers, value, error, np.array(at, dtype=float))


def heading(quantity: str, curve: Curve, scores: Mapping) -> str:
    """A quantity of a curve in words."""
    best = list(scores["ladder"])[-1]
    return QUANTITIES[quantity].format(fit=short(curve.fit), best=short(best))


def rows(scores: Mapping, curve: Curve, at: Sequence[float]) -> list[list[str]]:
    """A table of a curve, with header; what is continued stands below, marked."""
    quantities = list(curve.points[0].found)
    found = [["showers to learn from", *(heading(q, curve, scores) for q in quantities)]]
    for point in curve.points:
        found.append([f"{point.showers:,}", *(pm(point.found[q]) for q in quantities)])
    more = {q: continue_curve(curve, q, at) for q in quantities}
    for i, showers in enumerate(at):
        if any(more.values()):
            cells = [
                with_error(c.value[i], c.error[i]) if c is not None else "" for c in more.values()
            ]
            found.append([f"{showers:,.0f} (continued)", *cells])
    return found


def _law(curve: Curve, quantity: str) -> str:
    law = continue_curve(curve, quantity, [1e7])
    if law is None:
        return "The points do not decide a power law: nothing is continued."
    middle = np.exp(np.mean([np.log(p.showers) for p in curve.points]))
    half = 2.0**law.exponent
    return (
        f"EV = {law.limit:.3f} - {-law.amplitude:.3f} (n/{middle:,.0f})^-{law.exponent:.2f}: with"
        f" twice as many showers what is missing to {law.limit:.3f} falls by {half:.2f}."
    )


def beyond(curve: Curve) -> list[float]:
    """Powers of ten beyond the last point, up to 10^7."""
    last = curve.points[-1].showers
    return [10.0**k for k in range(4, 8) if 10.0**k > 1.5 * last]


def as_markdown(scores: Mapping, source: str) -> str:
    """All curves as one Markdown text."""
    parts = ["# Learning curve"]
    for curve in curves(scores):
        parts += [
            f"## {curve.name.capitalize()}",
            markdown_table(rows(scores, curve, beyond(curve))),
            _law(curve, "ev"),
        ]
    parts.append(
        f"{scores['n_scored']:,} events scored. Errors hold the scatter of a single training, where"
        " there are several; those of continued values come from the points' errors alone."
    )
    return "\n\n".join([*parts, f"Made from {source}.\n"])


def write_learning_curve(scores_path: FilePath, output: FilePath) -> list[Path]:
    """Tables (Markdown) of the learning curves of scores, and beside them a figure (.png, .pdf);
    returns the paths.

    Raises
    ------
    InputError : no scores, or none with a curve.
    """
    from tashower.evaluation.figures.learning_curve import learning_curve
    from tashower.evaluation.figures.style import save_both
    from tashower.evaluation.page import scores_source

    scores, scores_path = read_json(scores_path, "tashower scores", (VERSION,)), Path(scores_path)
    output, source = Path(output), scores_source(scores_path.name, scores_path.read_bytes())
    text, figure = as_markdown(scores, source), learning_curve(scores, curves(scores))
    picture = output.with_suffix(".png")
    save_both(figure, picture, source)
    with written_aside(output) as aside:
        aside.write_text(text)
    return [output, picture, picture.with_suffix(".pdf")]
