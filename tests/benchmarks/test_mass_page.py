"""The pieces of benchmarks/mass.py, on answers that are known."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hits import shifted

from tashower.config import load_config
from tashower.evaluation.mass import mass_scores
from tashower.reconstruction.methods.likelihood import Posterior

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import mass as script

sys.path.pop()

N = 800


@pytest.fixture
def sample(rng):
    """(fit, truth): ln A and Xmax lie on a plane over zenith, size and the fitted curvature."""
    fit, truth = shifted(rng, N)
    fit = replace(fit, s_ref=rng.uniform(3, 100, N), curvature=rng.uniform(0.5, 2.0, N))
    s, size = 1 / np.cos(fit.zenith) - 1, np.log(fit.s_ref)
    xmax = 700.0 + 100.0 * np.log(fit.curvature) - 30.0 * s + 5.0 * size + 2.0 * s * size
    return fit, replace(truth, xmax=xmax)


def test_a_line_finds_what_lies_on_it_and_ignores_what_is_not_known(sample):
    fit, truth = sample
    curvature = fit.curvature.copy()
    curvature[:50] = -1.0
    columns = script.design(fit, script.log_curvature(replace(fit, curvature=curvature)))
    targets = np.stack([truth.xmax, np.ones(N)], axis=1)
    targets[60, 1] = np.nan
    found = script.line(columns[:400], targets[:400], columns)
    np.testing.assert_allclose(found[50:], np.nan_to_num(targets[50:], nan=1.0), rtol=1e-9)
    assert np.isnan(found[:50]).all()
    without = script.line(script.design(fit), targets, script.design(fit))
    assert np.std(without[:, 0] - truth.xmax) > 20.0


def test_means_of_posteriors_are_those_of_their_points(rng, monkeypatch):
    points, weights = rng.normal(size=(3, 5, 10)), rng.uniform(size=(3, 5))
    weights /= weights.sum(axis=1, keepdims=True)
    effective = np.array([4.0, 0.0, 3.0])
    monkeypatch.setattr(
        script, "posterior_points", lambda *_: Posterior(points, weights, effective)
    )
    found = script.posterior_means(None, None, None)
    expected = [(weights[0] * points[0, :, 7]).sum(), (weights[0] * points[0, :, 8]).sum()]
    np.testing.assert_allclose(found[0], expected)
    assert np.isnan(found[1]).all()


def test_every_method_has_its_line_and_every_bin_its_number(rng, sample):
    fit, truth = sample
    ln_a = np.log(truth.mass_number.astype(float))
    said = np.stack([truth.xmax + 7.0, ln_a + rng.normal(size=N)], axis=1)
    part = script.Part(truth, fit, fit, np.zeros((N, 16)), {}, np.full((N, 2), np.nan))
    tables = script.as_tables(part, {"a": said, "b": np.full((N, 2), 2.0)})
    config = load_config("{scores: {bootstrap: 10}}")
    mass = mass_scores(config, tables, truth, {name: [] for name in tables})
    rows = script.whole_rows(mass)
    assert [row[0] for row in rows[1:3]] == ["a", "b"]
    assert {len(row) for row in rows} == {9}
    edges = config.scores.energy_edges_log10_ev
    bins = script.bin_rows(mass, ["a", "b"], "by_energy", edges, "both_merit")
    assert len(bins) == len(edges)
    assert {len(row) for row in bins} == {5}
    of_primary = script.primary_rows(mass, ["a", "b"])
    assert [row[2] for row in of_primary[1:]] == ["7.0"] * 4
    assert script.inside_text(mass) == ""
