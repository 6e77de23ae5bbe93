"""Scores against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from hits import make_events, make_reconstruction

from tashower.config import load_config
from tashower.errors import InputError
from tashower.evaluation.comparison import score
from tashower.evaluation.names import label
from tashower.evaluation.scores import (
    bootstrap_rows,
    explained_variance,
    half_width_68,
    residuals,
    resolution_68,
    summarise,
    with_error,
)
from tashower.evaluation.tables import as_markdown, cells, full_network, sentences
from tashower.physics.geometry import direction


def test_explained_variance_closed_forms(rng):
    base = rng.normal(size=(5000, 3))
    assert explained_variance(0.5 * base, base) == pytest.approx(0.75)
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


def test_empty_has_no_resolution():
    assert np.isnan(resolution_68([]))
    assert np.isnan(with_error(resolution_68, (np.zeros(0),), np.zeros((5, 0), int))["value"])


@pytest.mark.parametrize("width", [0.1, 3.0])
def test_resolutions_recover_the_width_that_was_put_in(rng, width):
    x = width * rng.normal(size=(200_000, 2))
    assert half_width_68(x[:, 0] + 5.0) == pytest.approx(width, rel=0.01)
    # Rayleigh: 68.27 % lie within sqrt(-2 ln 0.3173) = 1.515 widths.
    assert resolution_68(np.hypot(*x.T)) == pytest.approx(1.5152 * width, rel=0.01)


def test_bootstrap_error_of_a_mean(rng):
    x = rng.normal(size=2000)
    found = with_error(np.mean, (x,), bootstrap_rows(2000, 400, [1, 2]))
    assert found["value"] == x.mean()
    assert found["error"] == pytest.approx(1 / np.sqrt(2000), rel=0.15)


def test_bootstrap_is_reproducible_and_depends_on_its_seed():
    np.testing.assert_array_equal(bootstrap_rows(50, 5, [1]), bootstrap_rows(50, 5, [1]))
    assert not np.array_equal(bootstrap_rows(50, 5, [1]), bootstrap_rows(50, 5, [2]))


def shifted(rng, n=4000, turn=0.02, azimuth=None):
    """Truth, and a reconstruction whose axis is off by Gaussian angles of rms `turn` across two
    axes [rad].
    """
    events = make_events(rng, n)
    zenith = np.arcsin(np.sqrt(rng.uniform(0.02, 0.4, n)))
    azimuth = rng.uniform(0, 2 * np.pi, n) if azimuth is None else np.full(n, azimuth)
    truth = replace(
        events.truth, zenith=zenith, azimuth=azimuth, energy=10 ** rng.uniform(0.5, 2, n)
    )
    table = make_reconstruction(rng, events)
    e_zenith = direction(zenith + np.pi / 2, azimuth)
    e_azimuth = np.stack([-np.sin(azimuth), np.cos(azimuth), np.zeros(n)], axis=1)
    a, b = turn * rng.normal(size=(2, n))
    axis = direction(zenith, azimuth) + a[:, None] * e_zenith + b[:, None] * e_azimuth
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    table = replace(
        table,
        zenith=np.arccos(axis[:, 2]),
        azimuth=np.arctan2(axis[:, 1], axis[:, 0]) % (2 * np.pi),
        core_x=truth.core_x + 30 * rng.normal(size=n),
        core_y=truth.core_y + 30 * rng.normal(size=n),
        energy=truth.energy * np.exp(0.2 * rng.normal(size=n) + 0.05),
        flags=np.zeros(n, np.uint16),
        covariance=np.broadcast_to(np.eye(7), (n, 7, 7)).copy(),
    )
    return table, truth


@pytest.mark.parametrize("azimuth", [0.0, 1e-4, 3.0, 6.283])
def test_residuals_do_not_know_where_the_azimuth_wraps(rng, azimuth):
    table, truth = shifted(rng, azimuth=azimuth)
    found = residuals(table, truth)
    assert resolution_68(found.angle) == pytest.approx(1.5152 * 0.02, rel=0.05)
    assert found.angle.max() < 0.12
    np.testing.assert_allclose(np.linalg.norm(found.axis, axis=1), found.angle, rtol=1e-2)


def test_summary_of_known_residuals(rng):
    table, truth = shifted(rng)
    summary = summarise(
        residuals(table, truth), truth, np.arange(4000), lambda n: bootstrap_rows(n, 20, [3])
    )
    assert summary["n"] == 4000
    assert summary["angle_68_deg"]["value"] == pytest.approx(np.degrees(1.5152 * 0.02), rel=0.05)
    assert summary["core_68_m"]["value"] == pytest.approx(1.5152 * 30, rel=0.05)
    assert summary["log_energy_bias"]["value"] == pytest.approx(0.05, abs=0.02)
    assert summary["log_energy_68"]["value"] == pytest.approx(0.2, rel=0.05)
    assert abs(summary["core_bias_m"]["value"]) < 3
    towards = replace(
        table,
        core_x=table.core_x + 9 * np.cos(truth.azimuth),
        core_y=table.core_y + 9 * np.sin(truth.azimuth),
    )
    moved = summarise(
        residuals(towards, truth), truth, np.arange(4000), lambda n: bootstrap_rows(n, 20, [3])
    )
    assert moved["core_bias_m"]["value"] - summary["core_bias_m"]["value"] == pytest.approx(9.0)
    nothing = summarise(
        residuals(table, truth), truth, np.arange(0), lambda n: bootstrap_rows(n, 20, [3])
    )
    assert nothing["n"] == 0
    assert np.isnan(nothing["angle_68_deg"]["value"])


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
        assert scores["ev_of_correction"][baseline][name]["axis"]["value"] == pytest.approx(
            0.75, abs=0.01
        )
        assert scores["ev_of_correction"][baseline][name]["core"]["value"] == pytest.approx(
            0.75, abs=0.01
        )
        assert scores["ev_of_correction"][baseline][name]["log_energy"]["value"] == pytest.approx(
            0.0, abs=1e-9
        )
    ratio = [scores["methods"][m]["all"]["angle_68_deg"]["value"] for m in (name, "free")]
    assert ratio[0] / ratio[1] == pytest.approx(0.5, abs=0.01)
    assert sum(b["n"] for b in scores["methods"]["free"]["by_energy"]) == scores["n_scored"] == 4000
    assert [c["value"] for c in cells(scores)] == [0.37, 0.30, 0.22, 0.11]
    text = as_markdown(scores)
    assert "0.37" in text
    assert label("my_net", ["my_net"]) == "network: my_net"
    assert label("my_fit", ["my_net"]) == "my_fit"
    assert any("6 of 6 energy bins" in s for s in sentences(scores))


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
    assert list(with_it["ev_of_correction"]) == ["free", "constrained", "complete"]
    words = " ".join(sentences(with_it))
    assert "against the complete fit, the strongest of ours." in words
    assert "The complete fit alone explains" in words
    assert "than that of the fit, complete" in words
    assert "do not come in the published order" not in said
    swapped = {**methods}
    names = ("waveforms_and_features", "stations_only")
    swapped.update(zip(names, (methods[names[1]], methods[names[0]]), strict=True))
    said = " ".join(sentences(score(config, swapped, truth, networks)[0]))
    assert "do not come in the published order: neither 0.75" in said
    assert sentences(score(config, methods, truth, {})[0]) == ["No network was scored."]


def test_a_file_may_hold_the_first_fit_alone(scored):
    config, methods, truth, networks = scored
    methods = {name: table for name, table in methods.items() if name != "constrained"}
    scores, _ = score(config, methods, truth, networks)
    assert list(scores["ev_of_correction"]) == ["free"]
    text = as_markdown(scores)
    assert "constrained" not in text
    assert "the published comparison (0.37)." in text
