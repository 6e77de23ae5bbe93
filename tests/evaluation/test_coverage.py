"""Coverage of regions against closed forms."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hits import shifted
from scipy.special import erf, erfinv
from scipy.stats import kstest

from tashower.config import load_config
from tashower.evaluation.bootstrap import draw_showers
from tashower.evaluation.comparison import score
from tashower.evaluation.coverage import LEVELS, coverage, depth_of, depths, tangent_plane
from tashower.evaluation.coverage_tables import (
    coverage_bin_rows,
    coverage_rows,
    coverage_text,
    without_errors,
)
from tashower.evaluation.figures.coverage import coverage as figure_of_coverage
from tashower.evaluation.figures.of_scores import names_of
from tashower.events.model import PARAMETERS
from tashower.physics.geometry import direction, zenith_azimuth
from tashower.reconstruction.quality import to_angles

N = 4000
SIZE = PARAMETERS.index("s_ref")


def gaussian(rng, zenith=0.5, too_narrow=1.0):
    """A reconstruction whose errors are `too_narrow` times the right ones: true values drawn around
    the reconstructed ones, with correlations.
    """
    table, truth = shifted(rng, N)
    zenith, azimuth = np.full(N, zenith), rng.uniform(0, 2 * np.pi, N)
    pair = np.array([[1.0, 0.6], [0.6, 2.0]])
    on_sky, on_ground = np.linalg.cholesky(pair) @ rng.normal(size=(2, 2, N))
    on_sky = 0.01 * on_sky
    along = direction(zenith + np.pi / 2, azimuth)
    across = np.stack([-np.sin(azimuth), np.cos(azimuth), np.zeros(N)], axis=1)
    length = np.hypot(*on_sky)[:, None]
    step = (on_sky[0][:, None] * along + on_sky[1][:, None] * across) / length
    true = np.cos(length) * direction(zenith, azimuth) + np.sin(length) * step
    true_zenith, true_azimuth = zenith_azimuth(true)
    covariance = np.tile(np.eye(7), (N, 1, 1))
    covariance[:, :2, :2] = 900.0 * pair
    scale = 1.0 / np.stack([np.ones(N), np.sin(zenith)], axis=1)
    covariance[:, 2:4, 2:4] = 1e-4 * pair * scale[:, :, None] * scale[:, None, :]
    table = replace(table, zenith=zenith, azimuth=azimuth, s_ref=rng.uniform(1, 9, N))
    covariance[:, SIZE, SIZE] = (0.2 * table.s_ref) ** 2
    truth = replace(
        truth,
        zenith=true_zenith,
        azimuth=true_azimuth,
        core_x=table.core_x + 30 * on_ground[0],
        core_y=table.core_y + 30 * on_ground[1],
        s_ref=table.s_ref * np.exp(0.2 * rng.normal(size=N)),
        energy=table.energy * np.exp(0.1 * rng.normal(size=N)),
    )
    return replace(
        table, covariance=too_narrow**2 * covariance, energy_error=too_narrow * 0.1 * table.energy
    ), truth


@pytest.mark.parametrize("zenith", [1e-4, 0.005, 0.6, 1.4])
def test_depths_of_right_errors_are_even(rng, zenith):
    """Also where the error of the direction is larger than the zenith angle."""
    found = depths(*gaussian(rng, zenith))
    assert list(found) == ["direction", "core", "size", "energy"]
    for name, depth in found.items():
        assert kstest(depth, "uniform").pvalue > 1e-3, name


def test_errors_that_are_too_small_are_found(rng):
    """By 20 %: 1 - (1 - p)^0.64 in two dimensions, erf(0.8 erfinv(p)) in one."""
    found = depths(*gaussian(rng, too_narrow=0.8))
    for level in LEVELS:
        expected = {2: 1 - (1 - level) ** 0.64, 1: erf(0.8 * erfinv(level))}
        for name, k in (("direction", 2), ("core", 2), ("size", 1), ("energy", 1)):
            inside = np.mean(found[name] < level)
            assert inside == pytest.approx(expected[k], abs=0.025), (name, level)
            assert expected[k] < level - 0.03


def test_the_tangent_plane(rng):
    table, truth = gaussian(rng)
    north = replace(truth, zenith=table.zenith + 0.02, azimuth=table.azimuth)
    offset, covariance = tangent_plane(table, north)
    np.testing.assert_allclose(offset, np.tile([0.02, 0.0], (N, 1)), atol=1e-12)
    np.testing.assert_allclose(covariance, np.tile([[1e-4, 6e-5], [6e-5, 2e-4]], (N, 1, 1)))
    # Half around a circle of latitude, counted across it, whatever the azimuth.
    turned = replace(truth, zenith=table.zenith, azimuth=table.azimuth + 0.01)
    offset, _ = tangent_plane(table, turned)
    np.testing.assert_allclose(offset[:, 1], 0.01 * np.sin(0.5), rtol=1e-4)
    wrapped = replace(turned, azimuth=turned.azimuth - 2 * np.pi)
    np.testing.assert_allclose(tangent_plane(table, wrapped)[0], offset, atol=1e-12)


def test_a_vertical_shower_has_the_ellipse_of_its_direction_cosines(rng):
    p = np.tile([0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0], (N, 1))
    covariance = np.tile(np.eye(7), (N, 1, 1))
    covariance[:, 2:4, 2:4] = 1e-4 * np.array([[1.0, 0.6], [0.6, 2.0]])
    angles, covariance = to_angles(p, covariance)
    table, truth = gaussian(rng)
    table = replace(table, zenith=angles[:, 2], azimuth=angles[:, 3], covariance=covariance)
    x, y = 0.01 * np.linalg.cholesky([[1.0, 0.6], [0.6, 2.0]]) @ rng.normal(size=(2, N))
    zenith, azimuth = zenith_azimuth(np.stack([x, y, np.sqrt(1 - x * x - y * y)], axis=1))
    truth = replace(truth, zenith=zenith, azimuth=azimuth)
    square = (2.0 * x * x - 1.2 * x * y + y * y) / 1.64 / 1e-4
    depth = depths(table, truth)["direction"]
    np.testing.assert_allclose(depth, 1 - np.exp(-square / 2), atol=2e-3)


def test_what_is_no_covariance_has_no_depth():
    offset = np.array([[0.1, 0.2]] * 4)
    bad = np.array([[[1, 0], [0, -1]], [[1, 2], [2, 1]], [[0, 0], [0, 0]], [[np.nan, 0], [0, 1]]])
    assert np.isnan(depth_of(offset, bad.astype(float))).all()
    assert np.isnan(depth_of(offset[2:, :1], bad[2:, :1, :1].astype(float))).all()


def test_coverage_with_errors(rng):
    """Bootstrap errors are binomial; events without errors do not count; bins are bins."""
    depth = rng.uniform(size=N)
    depth[:400] = np.nan
    rows = [np.arange(1000), np.arange(1000, N), np.arange(0)]
    draws = draw_showers(np.arange(N), 400, 1)
    bins = {"all": [np.arange(N)], "by_energy": rows}
    found = {"a": {"core": depth}, "b": {}}
    scores = coverage(found, {"a": ["a"], "b": ["b"]}, bins, draws)
    assert scores["without"] == ["b"]
    entry = scores["methods"]["a"]["all"]["core"]
    assert entry["n"] == N - 400
    for level, one in zip(LEVELS, entry["observed"], strict=True):
        assert one["value"] == np.mean(depth[400:] < level)
        assert one["error"] == pytest.approx(np.sqrt(level * (1 - level) / (N - 400)), rel=0.15)
    in_bins = [one["core"] for one in scores["methods"]["a"]["by_energy"]]
    assert [one["n"] for one in in_bins] == [600, 3000, 0]
    assert in_bins[1]["observed"][0]["value"] == np.mean(depth[1000:] < 0.5)
    assert np.isnan(in_bins[2]["observed"][0]["value"])
    # Two trainings of a network: the mean, and the scatter in the error.
    two = {"a": {"core": depth}, "a_seed2": {"core": np.sqrt(depth)}}
    entry = coverage(two, {"a": ["a", "a_seed2"]}, bins, draws)["methods"]["a"]["all"]["core"]
    assert entry["observed"][0]["each"][1] == np.mean(depth[400:] < 0.25)
    assert entry["observed"][0]["error"] > 0.1


@pytest.fixture
def scored(rng):
    """Scores of a fit with right errors, a network with errors that are too small, and one
    without errors.
    """
    free, truth = gaussian(rng)
    config = load_config("{scores: {bootstrap: 20}}")
    narrow = replace(free, covariance=0.64 * free.covariance)
    bare = replace(
        free, covariance=np.full_like(free.covariance, np.nan), energy_error=np.full(N, np.nan)
    )
    networks = {"waveforms_only": ["a"], "features_only": ["b"]}
    methods = {"free": free, "waveforms_only": narrow, "features_only": bare}
    return score(config, methods, truth, networks)


def test_coverage_of_scores(scored):
    scores, more = scored
    found = scores["coverage"]
    assert found["without"] == ["features_only"]
    assert list(found["methods"]["free"]["all"]) == ["direction", "core", "size", "energy"]
    # The size in a network's table is its fit's.
    assert list(found["methods"]["waveforms_only"]["all"]) == ["direction", "core", "energy"]
    assert [len(found["methods"]["free"][by]) for by in ("by_energy", "by_zenith")] == [6, 4]
    assert "without coverage: network: features" in without_errors(scores)
    rows = coverage_rows(scores)
    assert [row[:3] for row in rows[1:3]] == [
        ["fit, free curvature", "direction", "4,000"],
        ["fit, free curvature", "core", "4,000"],
    ]
    assert float(rows[5][5].split()[0]) == pytest.approx(100 * (1 - 0.1**0.64), abs=2.5)
    assert names_of(scores)[-1] == "coverage"
    figure = figure_of_coverage(scores, more.depths)
    lines = [[line for line in axis.lines if line.get_marker() != "None"] for axis in figure.axes]
    assert [len(one) for one in lines] == [2, 2, 1, 2] * 2
    looks = {(line.get_linestyle(), line.get_marker()) for line in lines[0]}
    assert len(looks) == 2
    x, y = lines[5][1].get_data()  # core, difference, the network: 1 - (1 - p)^0.64 - p
    np.testing.assert_allclose(y / 100, 1 - (1 - x) ** 0.64 - x, atol=0.025)


def test_the_farthest_bin_is_named(scored):
    scores, _ = scored
    by_energy = scores["coverage"]["methods"]["free"]["by_energy"]
    by_energy[2]["core"]["observed"][2] = {"value": 0.4, "error": 0.011}
    row = coverage_rows(scores)[2]
    assert row[-2:] == ["\N{MINUS SIGN}50.0 ± 1.1", "90%, log10(E/eV) 19 – 19.25"]
    rows = coverage_bin_rows(scores, "core", "by_energy")
    assert rows[0] == ["log10(E/eV)", "fit, free curvature", "network: waveforms", "error up to"]
    assert rows[3][1].split(" / ")[2] == "40.0"
    by_energy[2]["core"]["observed"][2] = {"value": None, "error": None}
    assert coverage_bin_rows(scores, "core", "by_energy")[3][1].split(" / ")[2] == "—"
    text = "\n".join(coverage_text(scores))
    for quantity, by in itertools.product(("direction", "size"), ("energy", "zenith")):
        assert f"### Coverage of the {quantity}, 50% / 68% / 90% / 95%, by {by}" in text


def test_without_any_errors_there_is_no_figure(scored):
    scores, _ = scored
    scores["coverage"] = {"levels": LEVELS, "methods": {}, "without": ["free"]}
    assert "coverage" not in names_of(scores)
    assert coverage_rows(scores)[1:] == []
