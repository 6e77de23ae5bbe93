"""Numbers in words: the one place that decides how many digits a value and its error have."""

import math

#: Where there is no number.
NOTHING = "—"
#: An error is given to so many significant digits, and the value as far as that (choice; Particle
#: Data Group, Introduction, section 5.3, gives one or two).
ERROR_DIGITS = 2
#: An error smaller than this part of the value is the rounding of floating-point numbers, not an
#: error (choice: far above 2^-52, far below what any bootstrap of a sample gives).
_NO_ERROR = 1e-9
#: A value and an error that are both smaller than this are given with a power of ten (choice).
_POWER = 1e-3
#: Digits and signs as powers.
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 0) -> str:
    """A number with so many digits behind the point (negative: rounded before it), thousands
    separated; never -0; `NOTHING` for what is not finite.
    """
    if not math.isfinite(value):
        return NOTHING
    value = round(float(value), digits)
    text = f"{abs(value):,.{max(digits, 0)}f}"
    return f"\N{MINUS SIGN}{text}" if value < 0 else text


def _exponent(value: float) -> int:
    """That of ten of a positive number as it is written, with `ERROR_DIGITS`: 0.0996 is 0.10."""
    return int(f"{value:.{ERROR_DIGITS - 1}e}".partition("e")[2])


def is_error(value: float, error: float | None) -> bool:
    """Whether an error says anything: it is finite, and not zero but for rounding."""
    return error is not None and math.isfinite(error) and error > _NO_ERROR * abs(value)


def with_error(
    value: float,
    error: float | None = math.nan,
    digits: int = 3,
    unit: str = "",
    places: int | None = None,
) -> str:
    """A value and its error to `ERROR_DIGITS` significant digits of the error, with a unit.

    Where the error is zero or not known the value stands alone, never beside "± 0".

    digits : significant digits of a value without an error
    places : digits behind the point of a value without an error, in place of `digits`
    """
    if not math.isfinite(value):
        return NOTHING
    known = is_error(value, error) and error > 0
    largest = max(abs(value), error) if known else 1.0
    if largest < _POWER and not unit:
        power = _exponent(largest)
        text = with_error(value / 10.0**power, error / 10.0**power)
        return f"({text})·10{str(power).translate(RAISED)}"
    if known:
        places = ERROR_DIGITS - 1 - _exponent(error)
    elif places is None:
        places = digits - 1 - _exponent(abs(value)) if value else 0
    text = number(value, places)
    if known:
        text += f" ± {number(error, places)}"
    return f"{text}{unit}" if unit == "°" else f"{text} {unit}".rstrip()


def pm(entry: dict | None, digits: int = 3, scale: float = 1.0) -> str:
    """value ± error of an entry of scores.json, or an em dash where there is none.

    digits : behind the point of a value whose error is zero or not known; scale : of both
    """
    if entry is None or entry["value"] is None:
        return NOTHING
    error = entry["error"]
    return with_error(
        scale * entry["value"], None if error is None else scale * error, places=digits
    )
