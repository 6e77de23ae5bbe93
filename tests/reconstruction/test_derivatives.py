"""The sum that the joint fit minimises: its value against the reference in numpy, its gradient
against numeric differences, and its curvature matrix where the model is exact.
"""

import itertools

import numpy as np
import pytest

from tashower.calibration.errors import ErrorModel
from tashower.physics.description import SOFTENING, Description
from tashower.physics.lateral import (
    TELESCOPE_ARRAY,
    log_lateral_distribution,
    slope_of_secant,
    tabulated,
)
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, Front, front_delay_with_onset
from tashower.reconstruction.clusters import BOUND, SIGNAL, SILENT, TIME
from tashower.reconstruction.joint.model import (
    N_PARAMETERS,
    FitSettings,
    Observed,
    Prior,
    Quadratic,
)
from tashower.reconstruction.joint.scipy_fit import residual_vector
from tashower.reconstruction.joint.terms import evaluate

AREA, DISPERSION = 2.7, 1.8
PRIOR = Prior(1.1, 6.0)
#: Core [m], direction cosines, ln S800, t0 [ns], a [ns]: several azimuths, both signs of the core.
POINTS = {
    "north-east": (120.0, -310.0, 0.31, 0.22, 3.1, 35.0, 1.3),
    "south": (-240.0, 90.0, 0.05, -0.55, 2.2, -80.0, 0.8),
    "west": (-60.0, -150.0, -0.68, 0.11, 4.0, 10.0, 2.0),
    "vertical": (33.0, 44.0, 0.0, 0.0, 2.9, 0.0, 1.0),
    "near the horizon": (400.0, 410.0, 0.6, -0.7, 3.3, 60.0, 1.5),
}
#: What is small against the change of the sum's slope, in every parameter.
STEPS = np.array([0.2, 0.2, 2e-5, 2e-5, 1e-4, 0.05, 1e-3])


def auger(r, zenith):
    return (0.9 / np.cos(zenith) - 3.3) * (np.log(r / 700.0) + np.log(1.0 + r / 700.0))


LATERALS = {"formula": TELESCOPE_ARRAY, "table": tabulated(auger, 1000.0)}
FRONTS = {"telescope array": TELESCOPE_ARRAY_FRONT, "own": Front(45.0, 1.7, 0.35)}


def onset_of(front):
    return 0.21 if front == FRONTS["own"] else 0.0


def settings_of(on_ground, lateral, front):
    """What the fit is told of the array; its prior is given apart."""
    description = Description(lateral, front, AREA, on_ground)
    errors = ErrorModel(signal_poisson=DISPERSION)
    return FitSettings(description, errors, True, np.zeros(6), 0.1, onset=onset_of(front))


def evaluated(p, observed, on_ground, lateral, front, prior=PRIOR):
    """(sum, gradient (7,), curvature matrix (7, 7)) at p: twice what `evaluate` calls half."""
    quadratic = Quadratic(
        np.full(N_PARAMETERS, np.nan),
        np.full((N_PARAMETERS, N_PARAMETERS), np.nan),
        np.full((10, 4), np.nan),
    )
    settings = settings_of(on_ground, lateral, front)
    span = 0, len(observed.x)
    total = evaluate(np.asarray(p, dtype=float), observed, span, settings, prior, quadratic)
    return total, 2.0 * quadratic.gradient, 2.0 * quadratic.information


def expected(p, x, y, z, on_ground, lateral, front):
    """(time [ns] without shift, density) at stations, in numpy."""
    n = np.array([p[2], p[3], np.sqrt(1.0 - p[2] ** 2 - p[3] ** 2)])
    d = np.stack([x - p[0], y - p[1], z])
    q = n @ d
    r2 = d[0] ** 2 + d[1] ** 2 if on_ground else (d**2).sum(axis=0) - q**2
    r = np.sqrt(r2 + SOFTENING**2)
    log_ldf = log_lateral_distribution(r, slope_of_secant(1.0 / n[2]), lateral)
    delay = front_delay_with_onset(r, log_ldf, p[6], onset_of(front), front)
    time = p[5] - q / 0.299792458 + delay
    return time, np.exp(p[4] + log_ldf)


def stations(p, on_ground, lateral, front, exact):
    """`Observed` of 16 stations of all kinds around the core of p: times with and without a signal,
    Gaussian and Poisson densities (one of them 0, one below), silent ones, and a rejected one.
    """
    rng = np.random.default_rng(11)
    east, north = [-1900.0, -650.0, 560.0, 1800.0], [-1700.0, -500.0, 610.0, 1900.0]
    x, y = (a.ravel() for a in np.meshgrid(east, north))
    z = rng.normal(0.0, 60.0, 16)
    order = np.argsort(np.hypot(x - p[0], y - p[1]))
    x, y, z = x[order], y[order], z[order]
    use = [TIME + SIGNAL] * 9 + [TIME, SIGNAL, SILENT, SILENT, 0, TIME + BOUND, TIME + BOUND]
    use = np.array(use, np.int32)
    time, density = expected(p, x, y, z, on_ground, lateral, front)
    shift, contained = rng.normal(20.0, 30.0, 16), rng.uniform(0.7, 1.0, 16)
    time, density = time + shift, density * contained
    gaussian = (np.arange(16) < 5) | ((use & BOUND) > 0)
    weight = np.where(gaussian, 1.0 / (0.3 * density) ** 2, 0.0)
    if not exact:
        time = time + rng.normal(0.0, 80.0, 16)
        density = density * rng.uniform(0.5, 1.6, 16)
        density[[7, 8]] = 0.0, -0.3
        density[use == SILENT] = 0.0
        density[[14, 15]] *= 3.0, 0.5  # a bound above the model, and one below
    return Observed(
        x,
        y,
        z,
        use,
        time,
        density,
        rng.uniform(0.5, 2.0, 16) / 60.0**2,
        weight,
        shift,
        contained,
        density,
        rng.uniform(0.8, 1.2, 16) if not exact else np.ones(16),
        rng.uniform(0.3, 1.0, 16),
        # Normal and skewed, but nowhere past the bend.
        np.repeat([0.0, 0.1, 0.2, 0.25], 4)[rng.permutation(16)],
        np.array([True]),
    )


def cases():
    """Points, distances, lateral distributions and fronts."""
    found = []
    for name, on_ground, lateral in itertools.product(POINTS, (False, True), LATERALS):
        front = "own" if lateral == "table" and on_ground else "telescope array"
        # The Telescope Array's slope turns over beyond 65 degrees, where tables end.
        if not (name == "near the horizon" and lateral == "table"):
            label = f"{name}-{'ground' if on_ground else 'axis'}-{lateral}"
            point = np.array(POINTS[name]), on_ground, LATERALS[lateral], FRONTS[front]
            found.append(pytest.param(*point, id=label))
    return found


def differences(function, p):
    """Numeric derivatives of a function of p by the parameters, along the first axis; of fourth
    order in the step.
    """
    rows = []
    for i in range(N_PARAMETERS):
        step = np.zeros(N_PARAMETERS)
        step[i] = STEPS[i]
        near = function(p + step) - function(p - step)
        far = function(p + 2 * step) - function(p - 2 * step)
        rows.append((8.0 * near - far) / (12.0 * STEPS[i]))
    return np.array(rows)


@pytest.mark.parametrize(("p", "on_ground", "lateral", "front"), cases())
def test_gradient_is_the_slope_of_the_sum(p, on_ground, lateral, front):
    """At the point that the stations were made for, and beside it."""
    observed = stations(p, on_ground, lateral, front, exact=False)
    for beside in (0.0, 300.0, -500.0):
        here = p + beside * STEPS
        _, gradient, _ = evaluated(here, observed, on_ground, lateral, front)
        numeric = differences(lambda q: evaluated(q, observed, on_ground, lateral, front)[0], here)
        # In units of what one parameter's own curvature makes of its error.
        np.testing.assert_allclose(
            gradient * STEPS, numeric * STEPS, rtol=2e-6, atol=2e-6 * np.abs(gradient * STEPS).max()
        )


@pytest.mark.parametrize(("p", "on_ground", "lateral", "front"), cases())
def test_curvature_is_the_second_derivative_where_the_model_is_exact(p, on_ground, lateral, front):
    """Without residuals the second derivatives of the model have no weight: what is left of those
    of the sum is the Fisher information, of Poisson terms too.
    """
    observed = stations(p, on_ground, lateral, front, exact=True)
    prior = Prior(p[6], PRIOR.weight)
    total, gradient, matrix = evaluated(p, observed, on_ground, lateral, front, prior)
    scale = 1.0 / np.sqrt(np.diag(matrix))
    assert total == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(gradient * scale, 0.0, atol=1e-6)
    numeric = differences(lambda q: evaluated(q, observed, on_ground, lateral, front, prior)[1], p)
    np.testing.assert_allclose(
        matrix * np.outer(scale, scale), numeric * np.outer(scale, scale), atol=2e-5
    )
    correlation = matrix * np.outer(scale, scale)
    np.testing.assert_allclose(correlation, correlation.T, atol=1e-14)
    assert np.linalg.eigvalsh(correlation).min() > 0


@pytest.mark.parametrize(("p", "on_ground", "lateral", "front"), cases())
def test_sum_is_that_of_the_reference(p, on_ground, lateral, front):
    observed = stations(p, on_ground, lateral, front, exact=False)
    total, _, _ = evaluated(p, observed, on_ground, lateral, front)
    vector = residual_vector(p, observed, settings_of(on_ground, lateral, front), PRIOR)
    assert total == pytest.approx((vector**2).sum(), rel=1e-10)


def test_sum_of_one_station_by_hand():
    """A station at the reference distance of a vertical shower: LDF = 1, t = t0 + a (1 + r/30)^1.5,
    and the logarithms of Poisson's likelihood.
    """
    front, form = TELESCOPE_ARRAY_FRONT, TELESCOPE_ARRAY
    p = np.array([0.0, 0.0, 0.0, 0.0, np.log(3.0), 40.0, 1.2])
    one = np.ones(1)
    time = 40.0 + 1.2 * (1.0 + 800.0 / 30.0) ** 1.5
    observed = Observed(
        x=np.array([np.sqrt(800.0**2 - SOFTENING**2)]),
        y=0.0 * one,
        z=0.0 * one,
        use=np.array([TIME + SIGNAL], np.int32),
        time=np.array([time - 50.0]),
        density=2.0 * one,
        time_weight=0.01 * one,
        signal_weight=0.0 * one,
        shift=10.0 * one,
        contained=0.9 * one,
        expected=one,
        late=one,
        trust=one,
        skew=0.0 * one,
        tails=np.array([False]),
    )
    m, k = 2.7 * AREA / DISPERSION, 2.0 * AREA / DISPERSION
    poisson = 2.0 * (m - k + k * np.log(k / m))
    prior = 6.0 * (1.2 - 1.1) ** 2
    total, _, _ = evaluated(p, observed, False, form, front)
    assert total == pytest.approx(0.01 * 60.0**2 + poisson + prior, rel=1e-9)
    gaussian = observed._replace(signal_weight=0.5 * one)
    total, _, _ = evaluated(p, gaussian, False, form, front)
    assert total == pytest.approx(0.01 * 60.0**2 + 0.5 * 0.7**2 + prior, rel=1e-9)
    silent = observed._replace(use=np.array([SILENT], np.int32), density=0.0 * one)
    total, _, _ = evaluated(p, silent, False, form, front)
    assert total == pytest.approx(2.0 * m + prior, rel=1e-9)


@pytest.mark.parametrize("bad", [(2, 0.97), (3, -0.99), (4, 14.5), (4, -15.0), (4, np.nan)])
def test_what_is_no_shower_is_infinite(bad):
    p = np.array(POINTS["south"])
    observed = stations(p, False, TELESCOPE_ARRAY, TELESCOPE_ARRAY_FRONT, exact=True)
    p[bad[0]] = bad[1]
    assert np.isinf(evaluated(p, observed, False, TELESCOPE_ARRAY, TELESCOPE_ARRAY_FRONT)[0])


@pytest.mark.parametrize(
    ("bound", "expected_term"), [(5.0, 4.0), (3.1, 0.01), (2.9, 0.0), (1.0, 0.0)]
)
def test_lower_bound_by_hand(bound, expected_term):
    """A model of 2 with an error of 1: ((bound - 1 - 2)/1)^2 where that is positive."""
    one = np.ones(1)
    observed = Observed(
        x=np.array([np.sqrt(800.0**2 - SOFTENING**2)]),
        y=0.0 * one,
        z=0.0 * one,
        use=np.array([BOUND], np.int32),
        time=one,
        density=bound * one,
        time_weight=one,
        signal_weight=one,
        shift=one,
        contained=one,
        expected=one,
        late=one,
        trust=one,
        skew=0.0 * one,
        tails=np.array([False]),
    )
    p = np.array([0.0, 0.0, 0.0, 0.0, np.log(2.0), 40.0, 1.1])  # 1.1: the prior's mean
    total, _, _ = evaluated(p, observed, False, TELESCOPE_ARRAY, TELESCOPE_ARRAY_FRONT)
    assert total == pytest.approx(expected_term, abs=1e-9)


@pytest.mark.parametrize("pull", [-2.0, -0.3, 0.7, 5.0])
@pytest.mark.parametrize("skew", [0.0, 0.4, 1.0])
def test_skewed_time_by_hand(pull, skew):
    """A time `pull` sigma late, trusted by half: 2 (exp(-k y) - 1 + k y)/k^2, or y^2."""
    one = np.ones(1)
    front = TELESCOPE_ARRAY_FRONT
    late, onset = 0.9, 0.34
    delay = late * (1.2 + onset) * (1.0 + 800.0 / 30.0) ** 1.5
    observed = Observed(
        x=np.array([np.sqrt(800.0**2 - SOFTENING**2)]),
        y=0.0 * one,
        z=0.0 * one,
        use=np.array([TIME], np.int32),
        time=40.0 + delay + 10.0 + 25.0 * pull * one,
        density=one,
        time_weight=one / 25.0**2,
        signal_weight=one,
        shift=10.0 * one,
        contained=one,
        expected=one,
        late=late * one,
        trust=0.5 * one,
        skew=skew * one,
        tails=np.array([True]),
    )
    p = np.array([0.0, 0.0, 0.0, 0.0, np.log(3.0), 40.0, 1.2])
    settings = settings_of(False, TELESCOPE_ARRAY, front)._replace(onset=onset)
    quadratic = Quadratic(np.zeros(7), np.zeros((7, 7)), np.zeros((10, 4)))
    total = evaluate(p, observed, (0, 1), settings, Prior(0.0, 0.0), quadratic)
    x = skew * pull
    square = pull**2 if skew == 0.0 else 2.0 * (np.exp(-x) - 1.0 + x) / skew**2
    assert total == pytest.approx(0.5 * square, rel=1e-6)
    slope = pull if skew == 0.0 else (1.0 - np.exp(-x)) / skew
    assert quadratic.gradient[5] == pytest.approx(-0.5 * slope / 25.0, rel=1e-6)
    vector = residual_vector(p, observed, settings, Prior(0.0, 0.0))
    assert (vector**2).sum() == pytest.approx(total, rel=1e-9)
