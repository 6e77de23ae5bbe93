"""Digits follow the error; an error of nought is none."""

import pytest

from tashower.evaluation.rounding import NOTHING, pm, with_error

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.99997, 0.0, "1.000"),  # never "0.99997 ± 0.00000"
        (0.99997, 2e-17, "1.000"),  # the rounding of floating-point numbers
        (0.99997, 0.0000021, "0.9999700 ± 0.0000021"),
        (0.7258, 0.0164, "0.726 ± 0.016"),
        (1.2, 0.0996, "1.20 ± 0.10"),
        (44.83, 1.27, "44.8 ± 1.3"),
        (-0.0002, 0.3, "0.00 ± 0.30"),
        (12345.6, 123.0, "12,350 ± 120"),
        (2.05e-5, 8.2e-6, "(2.05 ± 0.82)·10⁻⁵"),
        (-0.4e-4, 2.5e-4, "(−0.4 ± 2.5)·10⁻⁴"),
        (0.5, None, "0.500"),
        (0.5, NAN, "0.500"),
        (-0.5, 0.0, "−0.500"),
        (None, 0.1, NOTHING),
    ],
)
def test_a_value_and_its_error(value, error, text):
    assert pm({"value": value, "error": error}) == text


def test_no_entry_is_no_number():
    assert pm(None) == NOTHING


def test_scale_and_digits_of_a_value_alone():
    assert pm({"value": 0.1154, "error": 0.0039}, 1, 100.0) == "11.54 ± 0.39"
    assert pm({"value": 0.1154, "error": None}, 1, 100.0) == "11.5"
    assert with_error(0.4142, None) == "0.414"
    assert with_error(0.4142, None, places=1) == "0.4"
