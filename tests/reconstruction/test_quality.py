"""From direction cosines to angles, and the quality flags, by numeric differences and by hand."""

from dataclasses import replace

import numpy as np
import pytest
from reconstruction import toy

from tashower.calibration.calibration import Calibration
from tashower.config import load_config
from tashower.events.array import regular_array
from tashower.events.model import FLAGS
from tashower.reconstruction.methods import Context
from tashower.reconstruction.quality import FitSums, quality_flags, to_angles

SETTINGS = load_config().reconstruction


@pytest.mark.parametrize("azimuth", [0.2, 1.9, 3.5, 5.5])
@pytest.mark.parametrize("zenith", [0.1, 0.7])
def test_angles_and_their_covariance(rng, zenith, azimuth):
    """The covariance goes with the Jacobian of the change of parameters."""
    p = np.array(
        [[10.0, -20.0, np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth)]]
    )
    p = np.column_stack([p, [[3.2, 40.0, 1.2]]])
    factor = rng.normal(size=(7, 7)) * [30.0, 30.0, 0.01, 0.01, 0.1, 20.0, 0.1]
    covariance = factor.T @ factor
    found, turned = to_angles(p, covariance[None])
    assert found[0] == pytest.approx([10.0, -20.0, zenith, azimuth, np.exp(3.2), 40.0, 1.2])
    jacobian = np.empty((7, 7))
    for i in range(7):
        step = np.zeros(7)
        step[i] = 1e-6
        up, down = (to_angles(p + s * step, covariance[None])[0][0] for s in (1, -1))
        jacobian[:, i] = (up - down) / 2e-6
    np.testing.assert_allclose(turned[0], jacobian @ covariance @ jacobian.T, rtol=1e-5)


@pytest.mark.parametrize("sine", [0.0, 1e-17, 1e-12])
def test_covariance_at_the_very_vertical(sine):
    """The zenith keeps the error of a direction cosine; the azimuth has none that means
    anything.
    """
    p = np.array([[0.0, 0.0, sine, -sine, 3.0, 0.0, 1.0]])
    covariance = np.diag([1.0, 1.0, 1e-4, 1e-4, 0.01, 1.0, 0.01])[None]
    angles, found = to_angles(p, covariance)
    assert found[0, 2, 2] == pytest.approx(1e-4)
    assert found[0, 3, 3] > 1e10
    assert 0.0 <= angles[0, 3] < 2 * np.pi


CALIBRATION = Calibration(toy.ERRORS, (np.log(1.2), 0.0, 0.0, 0.0, 0.0), 0.1, toy.TABLE, {})
# One event that passes every cut, and what makes it fail one of them.
GOOD = {
    "p": (0.0, 0.0, np.radians(30.0), 1.0, 20.0, 0.0, 1.2),
    "error": (30.0, 30.0, 0.01, 0.02, 2.0, 20.0, 0.1),
    # chi2, ndof, stations, converged, rejected, silent ones of these, silence, signal, left out
    "counts": (10.0, 9, 8, True, 0, 0, 3.0, 100.0, 2.0),
}


def flags(p=(), error=(), counts=(), settings=SETTINGS, primary="table"):
    """Names of the flags that are set, with some of the numbers replaced: {index: value}."""
    values = {}
    for name, changes in (("p", p), ("error", error), ("counts", counts)):
        row = list(GOOD[name])
        for index, value in dict(changes).items():
            row[index] = value
        values[name] = row
    columns = [np.array([value]) for value in values["counts"]]
    covariance = np.diag(np.square(values["error"]))[None]
    array = regular_array(9, 9, 1200.0)
    context = Context(CALIBRATION, settings, primary=primary)
    mask = quality_flags(array, np.array([values["p"]]), covariance, FitSums(*columns), context)[0]
    return {name for bit, name in enumerate(FLAGS) if mask >> bit & 1}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, set()),
        ({"counts": {2: SETTINGS.min_stations - 1}}, {"few_stations"}),
        ({"counts": {2: SETTINGS.min_stations}}, set()),
        ({"counts": {0: 9 * SETTINGS.max_chi2_per_ndof * 1.01}}, {"bad_chi2"}),
        ({"counts": {0: 9 * SETTINGS.max_chi2_per_ndof * 0.99}}, set()),
        ({"p": {2: np.radians(SETTINGS.max_zenith_deg + 0.1)}}, {"zenith"}),
        ({"p": {2: np.radians(SETTINGS.max_zenith_deg - 0.1)}}, set()),
        ({"p": {0: 4800.0 - SETTINGS.min_border_distance_m + 1.0}}, {"border"}),
        ({"p": {1: -4800.0 + SETTINGS.min_border_distance_m + 1.0}}, set()),
        # The error of the azimuth counts with sin z = 1/2.
        ({"error": {3: 2.02 * np.radians(SETTINGS.max_pointing_error_deg)}}, {"pointing_error"}),
        ({"error": {3: 1.9 * np.radians(SETTINGS.max_pointing_error_deg)}}, set()),
        ({"error": {2: 1.02 * np.radians(SETTINGS.max_pointing_error_deg)}}, {"pointing_error"}),
        ({"error": {4: 20.0 * SETTINGS.max_s800_error * 1.01}}, {"s800_error"}),
        ({"error": {4: 20.0 * SETTINGS.max_s800_error * 0.99}}, set()),
        ({"counts": {3: False}}, {"invalid"}),
        ({"counts": {1: 0, 0: 0.0}}, {"bad_chi2"}),
        ({"counts": {1: -1, 0: 0.0}}, {"invalid", "bad_chi2", "silence"}),
        ({"counts": {1: 1, 0: 1.0}}, set()),
        ({"counts": {0: -1e-9}}, {"invalid"}),
        # A rejected station counts 12 and one degree of freedom; a silent one has its own flag.
        ({"counts": {0: 27.9, 4: 1}}, set()),
        ({"counts": {0: 28.1, 4: 1}}, {"bad_chi2"}),
        ({"counts": {0: 35.9, 4: 1, 5: 1}}, {"silent_rejected"}),
        # chi2 and silence together may be 4 x 9 + 6, with 12 for a rejected station of 4 more.
        ({"counts": {6: 31.9}}, set()),
        ({"counts": {6: 32.1}}, {"silence"}),
        ({"counts": {0: 35.0, 6: 6.9}}, set()),
        ({"counts": {0: 35.0, 6: 7.1}}, {"silence"}),
        ({"counts": {4: 1, 6: 23.9}}, set()),
        ({"counts": {4: 1, 6: 24.1}}, {"silence"}),
        ({"counts": {4: 1, 5: 1, 6: 31.9}}, {"silent_rejected"}),
        # 1.2 VEM for each of 8 stations and a fiftieth of all signal.
        ({"counts": {8: 11.5}}, set()),
        ({"counts": {8: 11.7}}, {"left_out"}),
        ({"counts": {2: 10, 8: 13.9}}, set()),
        ({"counts": {7: 1000.0, 8: 29.5}}, set()),
        ({"counts": {7: 1000.0, 8: 29.7}}, {"left_out"}),
        ({"counts": {8: np.nan}}, {"left_out"}),
        # <a> = 1.2 with a width of 0.12, and an error of 0.1: 5 (0.12^2 + 0.1^2)^1/2 = 0.781.
        ({"p": {6: 1.2 + 0.78}}, set()),
        ({"p": {6: 1.2 + 0.79}}, {"curvature"}),
        ({"p": {6: 1.2 - 0.79}}, {"curvature"}),
        ({"p": {6: -0.01}, "error": {6: 2.0}}, {"curvature"}),
        ({"p": {6: 0.01}, "error": {6: 2.0}}, set()),
        # The table of the toys ends at S800 = 1000, and begins at 1.
        ({"p": {4: 999.0}}, set()),
        ({"p": {4: 1001.0}}, {"extrapolated"}),
        ({"p": {4: 0.99}, "error": {4: 0.01}}, {"extrapolated"}),
        ({"p": {4: 0.04}, "error": {4: 0.001}}, {"invalid", "extrapolated"}),
        ({"p": {4: 3e4}}, {"invalid", "extrapolated"}),
        ({"p": {0: 4800.0 + 3001.0}}, {"invalid", "border"}),
        ({"error": {2: 0.6}}, {"invalid", "pointing_error"}),
    ],
)
def test_every_flag_at_its_limit(change, expected):
    assert flags(**change) == expected


def test_limits_are_those_of_the_configuration():
    assert flags(settings=replace(SETTINGS, max_zenith_deg=20.0)) == {"zenith"}


def test_an_energy_that_needs_no_table_is_not_extrapolated_from_it():
    assert flags(p={4: 1001.0}, primary="proton") == set()
