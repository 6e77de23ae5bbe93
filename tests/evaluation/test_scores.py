"""Scores against closed forms."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hits import shifted

from tashower.config import load_config
from tashower.errors import InputError
from tashower.evaluation.comparison import score
from tashower.evaluation.markdown import as_markdown
from tashower.evaluation.names import label
from tashower.evaluation.scores import (
    effective_number,
    explained_variance,
    half_width_68,
    kept_variance,
    mean,
    quantile,
    residuals,
    resolution_68,
    statistics,
    variance,
)
from tashower.evaluation.summary import sentences
from tashower.evaluation.tables import cells, full_network
from tashower.events.model import select_rows
from tashower.physics.geometry import direction


def test_explained_variance_closed_forms(rng):
    base = rng.normal(size=(5000, 3))
    assert explained_variance(0.5 * base, base)[0] == pytest.approx(0.75)
    assert explained_variance(base, base) == 0.0
    assert explained_variance(0.5 * base + [3.0, -2.0, 1.0], base) == pytest.approx(0.75)
    assert explained_variance(0 * base, base) == 1.0
    noise = rng.normal(size=base.shape)
    assert explained_variance(base + noise, base) == pytest.approx(-1.0, abs=0.1)
    # The components count together, not each on its own.
    wide = base * [10.0, 1.0, 1.0]
    assert explained_variance(wide * [0.0, 1.0, 1.0], wide) == pytest.approx(100 / 102, abs=0.01)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_events_have_no_variance(n):
    assert np.isnan(explained_variance(np.zeros((n, 3)), np.zeros((n, 3))))
    assert np.isnan(half_width_68(np.zeros(n)))


@pytest.mark.parametrize("n", [0, 1, 5])
def test_what_has_no_value_is_nan(rng, n):
    """Without events, without weight, or with a NaN among the values."""
    weights = np.zeros((3, n))
    for of in (resolution_68, half_width_68, mean, variance, kept_variance):
        found = of(rng.normal(size=n), weights)
        assert found.shape == (3,)
        assert np.isnan(found).all()
        assert np.isnan(of(np.append(rng.normal(size=n), np.nan))).all() or of is kept_variance


def test_a_weight_of_two_is_two_events(rng):
    """Every statistic, of events whose weights are whole numbers, 0 among them."""
    counts = rng.integers(0, 4, 301)
    table, truth = shifted(rng, 301)
    one = residuals(table, truth)
    many = residuals(*(select_rows(t, np.repeat(np.arange(301), counts)) for t in (table, truth)))
    azimuth = truth.azimuth
    once = statistics(one, azimuth, np.stack([counts, np.ones(301)]).astype(float))
    copied = statistics(many, np.repeat(azimuth, counts), np.ones((1, counts.sum())))
    for name, value in copied.items():
        assert once[name][0] == pytest.approx(value[0], rel=1e-9), name
        if name != "angle_99_deg":  # the same event, here
            assert once[name][0] != pytest.approx(once[name][1], rel=1e-9), name


def test_statistics_say_what_they_are_called(rng):
    table, truth = shifted(rng)
    table = replace(table, core_x=truth.core_x + 9 * np.cos(truth.azimuth))
    found, weights = residuals(table, truth), np.ones((1, 4000))
    summary = {k: v[0] for k, v in statistics(found, truth.azimuth, weights).items()}
    core = np.hypot(*found.core.T)
    towards = found.core[:, 0] * np.cos(truth.azimuth) + found.core[:, 1] * np.sin(truth.azimuth)
    expected = {
        "angle_68_deg": np.degrees(np.quantile(found.angle, 0.6827)),
        "angle_99_deg": np.degrees(np.quantile(found.angle, 0.99)),
        "zenith_bias_deg": np.degrees((table.zenith - truth.zenith).mean()),
        "core_68_m": np.quantile(core, 0.6827),
        "core_bias_m": towards.mean(),
        "log_energy_bias": np.log(table.energy / truth.energy).mean(),
        "log_energy_68": np.diff(np.quantile(found.log_energy, [0.15865, 0.84135]))[0] / 2,
        "variance_axis": found.axis.var(axis=0).sum(),
        "variance_core": found.core.var(axis=0).sum(),
        "variance_log_energy": found.log_energy.var(),
        "kept_axis": found.axis[np.argsort(found.angle)[:3960]].var(axis=0).sum(),
        "kept_core": found.core[np.argsort(core)[:3960]].var(axis=0).sum(),
        "kept_log_energy": np.sort(np.abs(found.log_energy))[:3960],
    }
    signed = found.log_energy[np.argsort(np.abs(found.log_energy))[:3960]]
    expected["kept_log_energy"] = signed.var()
    assert set(summary) == set(expected)
    for name, value in expected.items():
        assert summary[name] == pytest.approx(value, rel=3e-3), name  # quantiles: between events


@pytest.mark.parametrize("part", [0.1, 0.5, 0.6827, 0.99, 1.0])
def test_quantiles_are_those_of_numpy(rng, part):
    """Rounded values: many are equal; whole and broken weights."""
    values = rng.normal(size=500).round(1)
    for weights in (rng.integers(0, 4, 500).astype(float), rng.uniform(size=500) ** 3):
        other = np.quantile(values, part, weights=weights, method="inverted_cdf")
        assert quantile(values, part, weights)[0] == other


def test_weighted_to_another_spectrum():
    """Thrown flat in log E between 1 and R and weighted to E^-3, the weights are E^-2: median, mean
    of ln E and effective number in closed form.
    """
    n, largest = 400_000, 10**1.5
    energy = largest ** ((np.arange(n) + 0.5) / n)
    weights = energy**-2.0
    total = (1 - largest**-2) / 2
    median = (1 - 2 * 0.5 * total) ** -0.5
    assert quantile(energy, 0.5, weights)[0] == pytest.approx(median, rel=1e-4)
    log = np.log(largest)
    of_log = (0.25 - largest**-2 * (log / 2 + 0.25)) / total
    assert mean(np.log(energy), weights)[0] == pytest.approx(of_log, rel=1e-4)
    effective = total**2 / (log * (1 - largest**-4) / 4)
    assert effective_number(weights) / n == pytest.approx(effective, rel=1e-4)
    assert effective_number(np.ones(7)) == 7.0
    assert effective_number([]) == 0.0


def test_variance_without_the_worst_events(rng):
    """Of Gaussian residuals in one and two dimensions in closed form; wild events leave it where it
    is, and not the variance.
    """
    x = rng.normal(size=(400_000, 2))
    # 1 - 2 z phi(z)/0.99 with z = 2.5758; 2 (1 - 0.01 (1 + ln 100))/0.99.
    assert kept_variance(x[:, 0])[0] == pytest.approx(0.92475, rel=5e-3)
    assert kept_variance(x)[0] == pytest.approx(1.90696, rel=5e-3)
    wild = x[:10_000].copy()
    wild[:50] *= 100.0
    assert kept_variance(wild)[0] == pytest.approx(kept_variance(x)[0], rel=0.05)
    assert variance(wild)[0] > 50
    hundred = np.arange(1.0, 101.0)
    assert kept_variance(hundred)[0] == pytest.approx(np.var(hundred[:99]))


@pytest.mark.parametrize("width", [0.1, 3.0])
def test_resolutions_recover_the_width_that_was_put_in(rng, width):
    x = width * rng.normal(size=(200_000, 2))
    assert half_width_68(x[:, 0] + 5.0) == pytest.approx(width, rel=0.01)
    # Rayleigh: 68.27 % lie within sqrt(-2 ln 0.3173) = 1.515 widths.
    assert resolution_68(np.hypot(*x.T)) == pytest.approx(1.5152 * width, rel=0.01)


@pytest.mark.parametrize("azimuth", [0.0, 1e-4, 3.0, 6.283])
def test_residuals_do_not_know_where_the_azimuth_wraps(rng, azimuth):
    table, truth = shifted(rng, azimuth=azimuth)
    found = residuals(table, truth)
    assert resolution_68(found.angle) == pytest.approx(1.5152 * 0.02, rel=0.05)
    assert found.angle.max() < 0.12
    np.testing.assert_allclose(np.linalg.norm(found.axis, axis=1), found.angle, rtol=1e-2)


@pytest.fixture
def scored(rng):
    """Scores of two fits and four networks of which the first halves the error."""
    free, truth = shifted(rng)
    constrained, _ = shifted(rng)
    constrained = replace(
        constrained,
        **{n: getattr(free, n) for n in ("zenith", "azimuth", "core_x", "core_y", "energy")},
    )
    half = {}
    for name in ("core_x", "core_y"):
        half[name] = 0.5 * (getattr(free, name) + getattr(truth, name))
    axis = direction(free.zenith, free.azimuth) + direction(truth.zenith, truth.azimuth)
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    better = replace(
        free,
        zenith=np.arccos(axis[:, 2]),
        azimuth=np.arctan2(axis[:, 1], axis[:, 0]) % (2 * np.pi),
        **half,
    )
    config = load_config("{scores: {bootstrap: 20}}")
    names = list(config.networks)
    networks = {names[0]: ["a"], **{name: ["a"] for name in names[1:]}}
    methods = {
        "free": free,
        "constrained": constrained,
        names[0]: better,
        **dict.fromkeys(names[1:], free),
    }
    return config, methods, truth, networks


def test_scores_of_a_network_that_halves_the_error(scored):
    scores, _ = score(*scored)
    name = full_network(scores)
    assert name == "waveforms_and_features"
    for baseline in ("free", "constrained"):
        gain = scores["ladder"][baseline][name]["all"]
        assert gain["axis"]["ev"]["value"] == pytest.approx(0.75, abs=0.01)
        assert gain["core"]["ev"]["value"] == pytest.approx(0.75, abs=0.01)
        assert gain["log_energy"]["ev"]["value"] == pytest.approx(0.0, abs=1e-9)
    ratio = [scores["methods"][m]["all"]["angle_68_deg"]["value"] for m in (name, "free")]
    assert ratio[0] / ratio[1] == pytest.approx(0.5, abs=0.01)
    assert sum(b["n"] for b in scores["methods"]["free"]["by_energy"]) == scores["n_scored"] == 4000
    assert [c["value"] for c in cells(scores)] == [0.37, 0.30, 0.22, 0.11]
    text = as_markdown(scores)
    assert "0.37" in text
    assert label("my_net", ["my_net"]) == "network: my_net"
    assert label("my_fit", ["my_net"]) == "my_fit"
    assert any("than that of the free fit in 6 of 6" in s for s in sentences(scores))


def test_all_methods_are_scored_on_the_same_events(scored):
    config, methods, truth, networks = scored
    lost = replace(methods["waveforms_only"], zenith=methods["waveforms_only"].zenith.copy())
    lost.zenith[:100] = np.nan
    cut = replace(methods["free"], flags=methods["free"].flags.copy())
    cut.flags[200:250] = 4
    scores, _ = score(config, {**methods, "waveforms_only": lost, "free": cut}, truth, networks)
    assert scores["n_scored"] == 4000 - 150
    assert {m["all"]["n"] for m in scores["methods"].values()} == {3850}


def test_nothing_to_score_is_an_error(scored):
    config, methods, truth, networks = scored
    none = replace(methods["free"], flags=np.ones(4000, np.uint16))
    with pytest.raises(InputError, match="at least 10"):
        score(config, {**methods, "free": none}, truth, networks)


def test_every_method_that_the_files_hold_is_scored(scored, rng):
    """Whatever it is called; but not one that never gives direction, core and energy together."""
    config, methods, truth, networks = scored
    free = methods["free"]
    nothing = replace(free, energy=np.full(4000, np.nan), s_ref=np.full(4000, np.nan))
    more = {"new_fit": methods["constrained"], **methods, "plane": nothing}
    scores, found = score(config, more, truth, networks)
    assert list(scores["methods"]) == ["free", "constrained", "new_fit", *networks]
    assert list(scores["methods"]) == list(found.residuals)
    assert scores["methods"]["new_fit"] == scores["methods"]["constrained"]
    text = as_markdown(scores)
    assert text.count("| new_fit |") >= 4
    known, _ = score(*scored)
    assert scores["methods"]["free"] == known["methods"]["free"]
    with pytest.raises(
        InputError, match="0 events"
    ):  # a network that gives nothing is not left out
        score(config, {**methods, "stations_only": nothing}, truth, networks)


def test_words_follow_the_numbers(scored):
    config, methods, truth, networks = scored
    said = " ".join(sentences(score(*scored)[0]))
    assert "against the free fit, which is the published comparison (0.37)" in said
    assert "against the constrained fit." in said
    assert "strongest" not in said  # that would be the complete fit
    three = {**methods, "complete": methods["constrained"]}
    with_it = score(config, three, truth, networks)[0]
    assert list(with_it["ladder"]) == ["free", "constrained", "complete"]
    words = " ".join(sentences(with_it))
    assert "against the complete fit, the strongest of ours." in words
    assert "The complete fit alone explains" in words
    assert ", complete fit in " in words
    assert "do not come in its order" not in said
    swapped = {**methods}
    names = ("waveforms_and_features", "stations_only")
    swapped.update(zip(names, (methods[names[1]], methods[names[0]]), strict=True))
    said = " ".join(sentences(score(config, swapped, truth, networks)[0]))
    assert "do not come in its order: neither 0.75" in said
    assert sentences(score(config, methods, truth, {})[0]) == ["No network was scored."]


def test_a_file_may_hold_the_first_fit_alone(scored):
    config, methods, truth, networks = scored
    methods = {name: table for name, table in methods.items() if name != "constrained"}
    scores, _ = score(config, methods, truth, networks)
    assert list(scores["ladder"]) == ["free"]
    text = as_markdown(scores)
    assert "constrained" not in text
    assert "the published comparison (0.37)." in text


def test_scores_do_not_depend_on_the_threads_of_numpy():
    """Matrix products do, in their last digits."""
    code = """
import numpy as np
from tashower.evaluation.scores import mean, variance
rng = np.random.default_rng(1)
weights = rng.poisson(1.0, (200, 9001)).astype(float)
values = rng.normal(size=(9001, 2))
print(mean(values[:, 0], weights).tobytes().hex(), variance(values, weights).tobytes().hex())
"""
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    ]
    assert said[0] == said[1]
    assert len(said[0]) > 200 * 16
