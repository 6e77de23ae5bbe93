"""The pieces of benchmarks/posterior_calibration.py, on posteriors that are right."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hits import shifted

from tashower.config import load_config
from tashower.evaluation.posteriors import flatness
from tashower.events.model import select_rows
from tashower.physics.geometry import direction, zenith_azimuth
from tashower.reconstruction.methods.likelihood import Posterior

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import posterior_calibration

sys.path.pop()

CONFIG = load_config({})
N, POINTS = 1500, 64
SPREAD = np.array([30.0, 40.0, 0.01, 0.02, 0.2, 50.0, 0.1, 0.3, 0.2, 0.2])


@pytest.fixture
def sample(rng):
    """(fit, truth, a right posterior): around values that are off by SPREAD, in the order of
    `posterior_points`; the fit is such a value, too, with a covariance that is not its own.
    """
    fit, truth = shifted(rng, N + 1)
    fit, truth = (select_rows(table, np.arange(1, N + 1)) for table in (fit, truth))
    truth = replace(truth, zenith=rng.uniform(0.2, 0.7, N), curvature=rng.uniform(3, 4, N))
    true = posterior_calibration.true_points(truth, CONFIG)
    found = true + SPREAD * rng.normal(size=(N, 1, 10))
    points = found + SPREAD * rng.normal(size=(N, POINTS, 10))
    x, y = found[:, 0, 2], found[:, 0, 3]
    zenith, azimuth = zenith_azimuth(np.stack([x, y, np.sqrt(1 - x * x - y * y)], axis=1))
    fit = replace(
        fit,
        core_x=found[:, 0, 0],
        core_y=found[:, 0, 1],
        zenith=zenith,
        azimuth=azimuth,
        s_ref=np.exp(found[:, 0, 4]),
        t0=found[:, 0, 5],
        curvature=found[:, 0, 9],
        covariance=np.tile(np.diag([900.0, 900, 1e-4, 1e-4, 0.01, 900, 0.04]), (N, 1, 1)),
    )
    even = np.full((N, POINTS), 1.0 / POINTS)
    return fit, truth, Posterior(points, even, np.full(N, float(POINTS)))


def test_right_posteriors_give_uniform_numbers(rng, sample):
    fit, truth, posterior = sample
    found = posterior_calibration.numbers_of(posterior, fit, truth, CONFIG, rng)
    assert found.shape == (N, 13)
    for k in range(13):
        assert flatness(found[:, k]).p_value > 1e-3, k


@pytest.mark.parametrize("k", range(10))
def test_every_parameter_counts(rng, sample, k):
    """Off by twice its spread, the ranks of this one say so; those of others do not."""
    fit, truth, posterior = sample
    points = posterior.points.copy()
    points[:, :, k] += 2.0 * SPREAD[k]
    moved = posterior._replace(points=points)
    found = posterior_calibration.numbers_of(moved, fit, truth, CONFIG, rng)
    wrong = {i for i in range(10) if flatness(found[:, i]).p_value < 1e-6}
    at = [0, 1, 2, 3, 4, 5, 7, 8, 9, 6][k]  # the curvature is the last of a point
    assert wrong == ({at} if k not in (2, 3) else wrong & {2, 3})
    assert wrong
    assert (flatness(found[:, 12]).p_value < 1e-4) == (k not in (6, 7, 8))


def test_directions_are_counted_along_and_across_the_zenith_angle_of_the_fit(sample):
    fit, truth, _ = sample
    steeper = replace(truth, zenith=fit.zenith + 0.01, azimuth=fit.azimuth)
    found = posterior_calibration.coordinates(
        posterior_calibration.true_points(steeper, CONFIG), fit
    )
    np.testing.assert_allclose(found[:, 0, 2], np.sin(0.01), rtol=1e-6)
    np.testing.assert_allclose(found[:, 0, 3], 0.0, atol=1e-12)
    turned = replace(truth, zenith=fit.zenith, azimuth=fit.azimuth + 0.01)
    found = posterior_calibration.coordinates(
        posterior_calibration.true_points(turned, CONFIG), fit
    )
    angle = np.linalg.norm(
        direction(turned.zenith, turned.azimuth) - direction(fit.zenith, fit.azimuth), axis=1
    )
    np.testing.assert_allclose(found[:, 0, 3], angle, rtol=1e-3)


def test_an_event_without_points_has_no_numbers(rng, sample):
    fit, truth, posterior = sample
    none = posterior._replace(effective=np.where(np.arange(N) < 9, 0.0, 50.0))
    found = posterior_calibration.numbers_of(none, fit, truth, CONFIG, rng)
    assert np.isnan(found[:9]).all()
    assert np.isfinite(found[9:]).all()


def test_the_page_says_how_far_off_bins_are():
    """A quarter of the numbers is off by 3 points with an error of 1, the others by nothing."""
    levels = [0.5, 0.68, 0.9, 0.95]
    observed = [{"value": level + 0.03 * (level == 0.9), "error": 0.005} for level in levels]
    bins = [{"core": {"n": 9, "observed": observed}}] * 3
    method = {"all": bins[0], "by_energy": bins, "by_zenith": bins}
    scores = {"coverage": {"levels": levels, "methods": {"a": method}}}
    said = posterior_calibration.in_bins(scores, "a", "core")
    assert said == ["6 of 24, 6 clearly", f"{(9 / 4 - 0.25) ** 0.5:.1f}"]


@pytest.mark.slow
def test_the_page_of_few_showers(monkeypatch, capsys, tmp_path):
    """In several parts, of which some have whole posteriors."""
    monkeypatch.setattr(posterior_calibration, "CHUNK", 300)
    picture = tmp_path / "picture.png"
    words = ["posterior_calibration.py", str(picture), "--showers", "900", "--ranked", "600"]
    monkeypatch.setattr(sys, "argv", words)
    posterior_calibration.main()
    page = capsys.readouterr().out
    assert "triggered events of 900 showers" in page
    assert picture.stat().st_size > 10_000
    for method in ("likelihood of edges and signals", "likelihood of waveforms", "fit, complete"):
        assert f"| {method} | direction |" in page
