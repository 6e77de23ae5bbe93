"""Early and late stations, and times that know the signal: formulas by hand, and found again."""

import json
from dataclasses import replace

import numpy as np
import pytest
from reconstruction.toy import calibration, draw_truth, toy_events

from tashower.calibration.asymmetry import (
    Asymmetry,
    Completion,
    attenuation_at,
    completed,
    fit_completion,
    fit_onset,
    fit_share,
    mean_share,
    signal_shift,
    with_curvature,
)
from tashower.calibration.calibration import read_calibration, write_calibration
from tashower.calibration.errors import (
    ErrorModel,
    contained_fraction,
    density_error,
    fit_errors,
    time_error,
    time_shift,
    time_spread,
)
from tashower.config import load_config
from tashower.errors import InputError
from tashower.physics.early_late import late_signal_factor, late_time_factor, lighter_factor
from tashower.physics.lateral import mean_s800
from tashower.physics.shower_front import Front, curvature_zenith_dependence, front_delay
from tashower.reconstruction.methods import Context, methods

AREA = 3.0
SHARE = (-1.0, 1.3)


def test_shift_by_the_signal_by_hand():
    """-0.5 ln 2 where twice as much was seen; bounded at ln ratios of 2; earlier where more."""
    asymmetry = Asymmetry(correlation=-0.5)
    assert signal_shift(8.0, 4.0, asymmetry) == pytest.approx(-0.5 * np.log(2))
    assert signal_shift(2.0, 4.0, asymmetry) == pytest.approx(0.5 * np.log(2))
    assert signal_shift(1e5, 4.0, asymmetry) == -1.0
    assert signal_shift(-0.3, 4.0, asymmetry) == 1.0


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_factor_is_one_around_the_axis_and_falls_downstream(share):
    """l = -r tan z cos(phi) around a ring on level ground; both components have mean 1."""
    r, tangent = 900.0, 0.8
    along = r * tangent * np.cos(np.linspace(0, 2 * np.pi, 721)[:-1])
    factor = lighter_factor(along, r, tangent, share, (175.0, 1000.0))
    assert factor.mean() == pytest.approx(1.0, abs=1e-4)
    assert factor[0] < 0.75 < 1.3 < factor[360]
    muons = lighter_factor(along, r, tangent, 1.0 - 1e-12, (175.0, 1000.0))
    np.testing.assert_allclose(muons, late_signal_factor(along, r * tangent, 1000.0), rtol=1e-9)
    none = lighter_factor(along, r, tangent, 1e-12, (175.0, 1000.0))
    np.testing.assert_allclose(none, late_signal_factor(along, r * tangent, 175.0), rtol=1e-9)


def test_attenuation_by_zenith():
    """The number is that of 45 degrees; elsewhere as -d(depth)/d ln[S800 (1 - share)] of protons
    and the mean share; muons' does not depend on the zenith.
    """
    asymmetry = Asymmetry(share=SHARE, attenuation=(180.0, 900.0))

    def log_electrons(secant):
        share = mean_share(secant, SHARE)
        return np.log(mean_s800(10.0, np.arccos(1 / secant)) * (1 - share))

    def length(secant):
        return -2e-4 * 876.0 / (log_electrons(secant + 1e-4) - log_electrons(secant - 1e-4))

    for degrees in (10.0, 30.0, 45.0, 55.0):
        secant = 1 / np.cos(np.radians(degrees))
        electrons, muons = attenuation_at(secant, asymmetry)
        assert electrons == pytest.approx(180.0 * length(secant) / length(np.sqrt(2)), rel=1e-4)
        assert muons == 900.0


@pytest.mark.parametrize(
    ("along", "factor"), [(0.0, 1.0), (1200.0, 0.9**1.05), (-600.0, 1.05**1.05)]
)
def test_delays_shrink_downstream(along, factor):
    assert late_time_factor(along) == pytest.approx(factor)
    assert late_time_factor(along, 1e15) == pytest.approx(1.0)


def residuals_of(rng, asymmetry, errors, n=60_000):
    """What `true_residuals` would give for stations that follow the models exactly."""
    zenith = np.arcsin(np.sqrt(rng.uniform(0.0, 0.5, n)))
    r, s_ref = rng.uniform(500.0, 1800.0, n), 10 ** rng.uniform(1.3, 2.2, n)
    along = r * np.tan(zenith) * np.cos(rng.uniform(0, 2 * np.pi, n))
    density = s_ref * (r / 800.0) ** -3.5
    delay = 200.0 * (r / 1000.0) ** 2.5
    factor = curvature_zenith_dependence(zenith)
    symmetric = {"r": r, "zenith": zenith, "density": density, "along": along, "delay": delay}
    lighter = lighter_factor(
        along,
        r,
        np.tan(zenith),
        mean_share(1 / np.cos(zenith), asymmetry.share),
        attenuation_at(1 / np.cos(zenith), asymmetry),
    )
    fit = density * lighter
    contained = fit * contained_fraction(r, factor, errors)
    seen = contained + rng.normal(size=n) * density_error(contained, AREA, errors)
    time = delay * (late_time_factor(along) - 1.0) + time_shift(r, fit, factor, errors)
    time += time_spread(r, np.log(fit), factor, errors) * signal_shift(seen, contained, asymmetry)
    time += rng.normal(size=n) * time_error(r, fit, factor, errors)
    return symmetric | {"time": time, "signal": seen - density}


@pytest.mark.parametrize(
    ("n", "wide"), [(8_000, 2.5), pytest.param(60_000, 1.0, marks=pytest.mark.slow)]
)
def test_attenuation_and_correlation_are_found_again(rng, n, wide):
    asymmetry = Asymmetry(share=SHARE, attenuation=(210.0, 1000.0), correlation=-0.45)
    errors = ErrorModel(10.0, 1.5, 0.45, 1.5, 0.06, 0.3, -0.1, 0.02, 0.5, 700.0)
    residuals = residuals_of(rng, asymmetry, errors, n)
    found = fit_completion(residuals, AREA, SHARE, None)
    assert found.asymmetry.attenuation[0] == pytest.approx(210.0, rel=0.03 * wide)
    assert found.asymmetry.correlation == pytest.approx(-0.45, abs=0.03 * wide)
    assert found.asymmetry.share == SHARE
    assert found.errors.time_scale == pytest.approx(1.5, rel=0.04 * wide)
    sigma = [density_error(20.0, AREA, e) for e in (found.errors, errors)]
    assert sigma[0] / sigma[1] == pytest.approx(1.0, abs=0.05 * wide)
    around = completed(residuals, found.asymmetry)
    strong = around["density"] > 5.0
    early = residuals["along"] < -200.0
    for column in ("signal", "time"):
        before, after = residuals[column][strong & early], around[column][strong & early]
        assert abs(np.mean(after)) < 0.6 * abs(np.mean(before))


def test_kept_in_the_file(tmp_path):
    truth = draw_truth(np.random.default_rng(1), 2)
    asymmetry = Asymmetry(True, (-1.2, 0.4), (222.0, 999.0), 11_000.0, -0.4)
    errors = ErrorModel(time_floor=12.0)
    made = replace(calibration(truth), completion=Completion(errors, asymmetry))
    write_calibration(tmp_path / "c.json", made, {})
    assert read_calibration(tmp_path / "c.json").completion == made.completion
    content = json.loads((tmp_path / "c.json").read_text())
    del content["completion"], content["crc32"]
    content["version"] = 1  # from before
    (tmp_path / "old.json").write_text(json.dumps(content))
    old = read_calibration(tmp_path / "old.json")
    assert old.completion is None
    events, pulses = toy_events(np.random.default_rng(2), truth)
    context = Context(old, load_config().reconstruction)
    with pytest.raises(InputError, match="older than the complete fit"):
        methods()["complete"](events, pulses, context)


def test_a_window_that_holds_everything(rng):
    """Nothing is late: the late part stays between 0 and 1, and what is contained near 1."""
    errors = ErrorModel(10.0, 1.5, 0.45, 1.5, 0.06, 0.3, -0.1, 0.02, 0.0, 700.0)
    residuals = residuals_of(rng, Asymmetry(share=SHARE), errors, n=4000)
    found = fit_completion(residuals, AREA, SHARE, None).errors
    assert 0.0 <= found.late_fraction <= 1.0
    kept = contained_fraction(np.linspace(500.0, 1800.0, 20), 1.0, found)
    assert (kept > 0.9).all()


def test_share_by_zenith(rng):
    truth = draw_truth(rng, 400)
    secant = 1.0 / np.cos(truth.zenith)
    share = mean_share(secant, (-1.3, 1.7))
    assert mean_share(1.0, (-1.3, 1.7)) == pytest.approx(1.0 / (1.0 + np.exp(1.3)))
    assert fit_share(replace(truth, muon_share=share)) == pytest.approx((-1.3, 1.7))
    for bad in (np.nan, 0.0, 1.0):
        with pytest.raises(InputError, match="muon_share"):
            fit_share(replace(truth, muon_share=np.full(400, bad)))


@pytest.mark.slow
def test_silence_is_as_sure_as_without(rng):
    """The Poisson term of silent stations is that of the symmetric formulas; that of signals its
    own.
    """
    errors = ErrorModel(10.0, 1.5, 0.45, 1.5, 0.06, 0.3, -0.1, 0.02, 0.5, 700.0)
    residuals = residuals_of(rng, Asymmetry(share=SHARE), errors, n=20_000)
    found = fit_completion(residuals, AREA, SHARE, None)
    assert found.silence_poisson == fit_errors(residuals, AREA, None).signal_poisson
    assert found.errors.signal_poisson == pytest.approx(1.5, rel=0.1)
    again = fit_completion(residuals, AREA, SHARE, None, found)
    assert again.silence_poisson == found.silence_poisson


def onset_residuals(rng, onset, n=6000):
    """Times of the front with an onset, as `true_residuals` would give them around the formula."""
    front = Front()
    zenith, r = np.full(n, 0.5), rng.uniform(500.0, 2000.0, n)
    log_ldf = -3.5 * np.log(r / 800.0)
    log_ldf_km = np.full(n, -3.5 * np.log(1000.0 / 800.0))
    curvature = rng.uniform(0.6, 1.2, n)
    delay = front_delay(r, log_ldf, curvature, front)
    beyond = curvature - onset * np.exp(0.5 * log_ldf_km)
    time = front_delay(r, log_ldf, beyond, front) + front_delay(r, 0.0, onset, front) - delay
    return {
        "zenith": zenith,
        "r": r,
        "density": 40.0 * np.exp(log_ldf),
        "curvature": curvature,
        "log_ldf": log_ldf,
        "log_ldf_km": log_ldf_km,
        "event": np.arange(n),
        "delay": delay,
        "time": time + 5.0 * rng.normal(size=n),
    }


def test_the_onset_is_found_again(rng):
    residuals = onset_residuals(rng, 0.3)
    same = np.ones(len(residuals["r"]))
    errors = ErrorModel(time_floor=5.0, time_scale=0.5, time_power=0.5)
    onset = fit_onset(residuals, same, Front(), errors)
    assert onset == pytest.approx(0.3, abs=0.03)
    around = with_curvature(residuals, same, 0.3, Front())
    assert np.std(around["time"]) == pytest.approx(5.0, rel=0.1)
    # At 1 km nothing changes, whatever the onset; half the curvature is half of what is beyond it.
    at = residuals | {"log_ldf": residuals["log_ldf_km"], "r": np.full(len(same), 1000.0)}
    at["delay"] = front_delay(1000.0, at["log_ldf"], at["curvature"], Front())
    np.testing.assert_allclose(with_curvature(at, same, 0.2, Front())["delay"], at["delay"])
    half = with_curvature(at, 0.5 * same, 0.2, Front())["delay"]
    np.testing.assert_allclose(half - at["delay"] / 2, 0.1 * (1 + 1000 / 30) ** 1.5)
    assert fit_onset(residuals, same, Front(30.0, 1.5, 0.0), errors) == 0.0
