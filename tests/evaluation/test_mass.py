"""Scores of Xmax and ln A against closed forms, and where they stand."""

from dataclasses import replace

import numpy as np
import pytest
from hits import shifted

from tashower.config import load_config
from tashower.errors import InputError
from tashower.evaluation.comparison import score
from tashower.evaluation.markdown import as_markdown
from tashower.evaluation.mass import Found, bound, linear_merit, mass_scores, of_mass, statistics
from tashower.evaluation.mass_tables import (
    mass_bin_rows,
    mass_primary_rows,
    mass_rows,
    mass_sentences,
    mass_text,
)
from tashower.events.model import concatenate_rows, select_rows

ONE = np.ones((1, 4))
MASS = np.array([1, 1, 56, 56])
N = 3000


def test_merit_factor_of_four_numbers_by_hand():
    values = np.array([1.0, 3.0, 6.0, 10.0])  # means 2 and 8, variances 1 and 4
    assert linear_merit(values, MASS, ONE)[0] == pytest.approx(6 / 5**0.5)
    assert linear_merit(100 - 7 * values, MASS, ONE)[0] == pytest.approx(6 / 5**0.5)
    others = np.array([1, 4, 56, 56])
    assert np.isnan(linear_merit(values, others, ONE)[0])
    assert np.isnan(linear_merit(np.ones(4), MASS, ONE)[0])
    assert linear_merit(np.array([1.0, 3.0, 1.0, 3.0]), MASS, ONE)[0] == pytest.approx(0.0)


def test_weights_count_like_events(rng):
    values, mass = rng.normal(size=(12, 2)), np.repeat([1, 56, 4], 4)
    counts = rng.integers(1, 4, 12)
    several = np.repeat(np.arange(12), counts)
    expected = linear_merit(values[several], mass[several], np.ones((1, len(several))))
    np.testing.assert_allclose(linear_merit(values, mass, counts[None].astype(float)), expected)
    both = linear_merit(values, mass, np.stack([np.ones(12), counts]))
    np.testing.assert_allclose(both[1], expected[0])
    none = np.where(mass == 1, 0.0, 1.0)[None]
    assert np.isnan(linear_merit(values, mass, none)[0])


def test_merit_factor_of_normal_distributions(rng):
    """|m_p - m_Fe|/sqrt(s_p^2 + s_Fe^2); of independent numbers the squares add, of any numbers it
    does not depend on how they are combined.
    """
    n = 40_000
    mass = np.repeat([1, 56], n)
    draw = rng.normal(size=(2 * n, 2))
    draw[:n] *= [60.0, 0.15]
    draw[n:] *= [25.0, 0.05]
    draw[:n] += [95.0, 0.0]
    draw[n:] += [0.0, 0.314]
    w = np.ones((1, 2 * n))
    depth, muons = 95 / np.hypot(60, 25), 0.314 / np.hypot(0.15, 0.05)
    assert linear_merit(draw[:, 0], mass, w)[0] == pytest.approx(depth, rel=0.02)
    assert linear_merit(draw[:, 1], mass, w)[0] == pytest.approx(muons, rel=0.02)
    both = linear_merit(draw, mass, w)[0]
    assert both == pytest.approx(np.hypot(depth, muons), rel=0.02)
    turned = draw @ np.array([[1.0, 0.3], [200.0, -0.1]])
    assert linear_merit(turned, mass, w)[0] == pytest.approx(both, rel=1e-6)


def found_of(rng, n=400):
    true = np.stack([rng.normal(750, 60, n), rng.uniform(0, 4, n)], axis=1)
    mass = rng.choice([1, 56], n)
    errors = np.broadcast_to([10.0, 0.5], (n, 2))
    return Found(true.copy(), errors, true, mass)


def test_statistics_of_what_was_put_in(rng):
    found, w = found_of(rng), np.ones((1, 400))
    shift = statistics(found._replace(values=found.true + [12.0, -0.3]), w)
    expected = {"xmax_bias": 12.0, "ln_a_bias": -0.3, "xmax_rms": 0.0, "xmax_68": 0.0}
    for name, value in (expected | {"xmax_ev": 1.0, "ln_a_ev": 1.0}).items():
        assert shift[name][0] == pytest.approx(value, abs=1e-9), name
    assert (shift["xmax_inside"][0], shift["ln_a_inside"][0]) == (0.0, 1.0)
    signs = np.where(np.arange(400) % 2, 1.0, -1.0)
    wide = statistics(found._replace(values=found.true + signs[:, None] * [5.0, 0.7]), w)
    assert wide["xmax_rms"][0] == pytest.approx(5.0)
    assert wide["ln_a_68"][0] == pytest.approx(0.7)
    assert wide["xmax_ev"][0] == pytest.approx(1 - 25 / found.true[:, 0].var())
    assert (wide["xmax_inside"][0], wide["ln_a_inside"][0]) == (1.0, 0.0)
    merit = linear_merit(found.true[:, 1], found.mass_number, w)
    assert statistics(found, w)["ln_a_merit"] == merit
    assert statistics(found, w)["both_merit"] == linear_merit(found.true, found.mass_number, w)
    without = statistics(found._replace(errors=np.full((400, 2), np.nan)), w)
    assert "xmax_inside" not in without
    always_the_mean = found._replace(values=np.full((400, 2), 3.0))
    assert statistics(always_the_mean, w)["xmax_ev"][0] == pytest.approx(0.0)


@pytest.fixture(scope="module")
def sample():
    """A fit, and two networks of 40 g/cm^2 and 1 in ln A, the second 5 g/cm^2 lower."""
    rng = np.random.default_rng(11)
    table, truth = shifted(rng, N)
    ln_a = np.log(truth.mass_number)
    truth = replace(
        truth,
        xmax=800 - 25 * ln_a + 40 * rng.normal(size=N),
        muon_scale=np.exp(0.078 * ln_a + 0.1 * rng.normal(size=N)),
    )
    own = {
        "xmax": truth.xmax + 40 * rng.normal(size=N) + 3,
        "xmax_error": np.full(N, 40.0),
        "ln_a": ln_a + rng.normal(size=N),
        "ln_a_error": np.ones(N),
    }
    lower = own | {"xmax": own["xmax"] - 5}
    methods = {"free": table, "net": table}
    methods |= {"deep": replace(table, **own), "deep_seed2": replace(table, **lower)}
    return methods, truth


NETWORKS = {name: ["file"] for name in ("net", "deep", "deep_seed2")}
TEXT = "{networks: {net: {}, deep: {predicts: mass, seeds: 2}}, scores: {bootstrap: 30}}"


@pytest.fixture(scope="module")
def scores(sample):
    methods, truth = sample
    config = load_config(TEXT)
    found = of_mass(methods, NETWORKS)
    assert list(found) == ["deep", "deep_seed2"]
    others = {name: table for name, table in methods.items() if name not in found}
    scores, _ = score(config, others, truth, {"net": ["file"]})
    return scores, mass_scores(config, methods, truth, found)


def test_trainings_are_scored_as_one_with_errors(scores, sample):
    _, mass = scores
    assert mass["trainings"] == {"deep": ["deep", "deep_seed2"]}
    one = mass["methods"]["deep"]["all"]
    assert one["n"] == mass["n_scored"] == N
    assert one["xmax_bias"]["each"][0] - one["xmax_bias"]["each"][1] == pytest.approx(5.0)
    assert abs(one["xmax_bias"]["value"] - 0.5) < 3 * 40 / N**0.5
    assert one["xmax_bias"]["statistical"] == pytest.approx(40 / N**0.5, rel=0.4)
    assert one["xmax_rms"]["value"] == pytest.approx(40.0, rel=0.05)
    assert one["xmax_inside"]["value"] == pytest.approx(0.683, abs=0.03)
    true = mass["bound"]["all"]
    assert true["muons"]["value"] == pytest.approx(0.314 / 0.02**0.5, rel=0.1)
    assert true["both"]["value"] > max(true["xmax"]["value"], true["muons"]["value"])
    assert one["xmax_merit"]["value"] == pytest.approx(true["xmax"]["value"] / 2**0.5, rel=0.1)
    assert mass["mass_numbers"] == [1, 4, 14, 56]
    assert sum(entry["n"] for entry in mass["methods"]["deep"]["by_primary"]) == N
    expected = bound(sample[1], np.ones((1, N)))["both"][0]
    assert true["both"]["value"] == pytest.approx(expected)


def test_only_events_with_everything_are_scored(sample):
    methods, truth = (dict(sample[0]), sample[1])
    lost = methods["deep"].xmax.copy()
    lost[:100] = np.nan
    flags = methods["deep"].flags.copy()
    flags[50:200] = 4
    methods["deep"] = replace(methods["deep"], xmax=lost, flags=flags)
    unknown = truth.mass_number.copy()
    unknown[190:300] = 0
    found = mass_scores(
        load_config(TEXT), methods, replace(truth, mass_number=unknown), {"deep": ["f"]}
    )
    assert found["n_scored"] == N - 300
    few = {"deep": select_rows(methods["deep"], np.arange(305))}
    with pytest.raises(InputError, match="5 events"):
        mass_scores(
            load_config(TEXT),
            few,
            select_rows(replace(truth, mass_number=unknown), np.arange(305)),
            {"deep": ["f"]},
        )
    assert mass_scores(load_config(TEXT), methods, truth, {}) is None


def test_tables_and_text_hold_them_and_nothing_without(scores):
    scores, mass = scores
    assert mass_text(scores) == mass_sentences(scores) == []
    assert "Xmax" not in as_markdown(scores)
    assert "mass" not in scores
    scores = scores | {"mass": mass}
    text = as_markdown(scores)
    assert "## Xmax and mass" in text
    assert "network: deep" in text
    head, row, true = mass_rows(scores)
    assert len(head) == len(row) == len(true)
    assert true[-1].startswith(f"{mass['bound']['all']['both']['value']:.2f}"[:3])
    bins = mass_bin_rows(scores, "by_energy")
    assert len(bins) == 1 + len(mass["methods"]["deep"]["by_energy"])
    assert {len(one) for one in bins} == {len(bins[0])}
    assert [one[0] for one in mass_primary_rows(scores)] == ["primary", "p", "He", "N", "Fe"]
    assert "merit factor" in mass_sentences(scores)[0]


def test_tables_of_files_are_chosen_and_joined_with_and_without_the_columns(sample):
    methods, _ = sample
    part = methods["deep"][10:13]
    np.testing.assert_array_equal(part.xmax, methods["deep"].xmax[10:13])
    whole = concatenate_rows([part, methods["deep"][:2]])
    np.testing.assert_array_equal(whole.ln_a, methods["deep"].ln_a[[10, 11, 12, 0, 1]])
    fit = concatenate_rows([methods["free"][:2], methods["free"][3:4]])
    assert (fit.xmax, fit.ln_a_error, fit.says_mass) == (None, None, False)
    assert np.isnan(fit.of_mass("xmax")).all()
    assert fit.of_mass("xmax").shape == (3,)
