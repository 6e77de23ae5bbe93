"""What networks state of their own errors: factors, regions, cuts on them, and their domain."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hits import shifted
from scipy.stats import laplace

from tashower.config import load_config
from tashower.evaluation.bootstrap import draw_showers
from tashower.evaluation.comparison import score
from tashower.evaluation.coverage import depth_of, depths
from tashower.evaluation.coverage_tables import (
    binned_rows,
    coverage_rows,
    coverage_text,
    temperature_text,
)
from tashower.evaluation.error_cuts import Judged, _kept, _statistics, threshold
from tashower.evaluation.scores import resolution_68
from tashower.evaluation.stated import Stated, read_stated, without_temperature
from tashower.evaluation.stated_tables import error_cut_rows, outside_rows, stated_text
from tashower.events.model import FLAGS, PARAMETERS
from tashower.events.regions import LEVELS, radius
from tashower.io.reconstruction_file import write_reconstruction

N = 3000
FACTORS = {"direction": 2.0, "core": 0.5, "energy": 1.25}


def right(rng):
    """A reconstruction with right errors of direction, core and energy."""
    table, truth = shifted(rng, N)
    covariance = np.tile(np.eye(7), (N, 1, 1))
    covariance[:, :2, :2] *= 900.0
    sine = np.sin(table.zenith)
    covariance[:, 2, 2], covariance[:, 3, 3] = 0.02**2, (0.02 / sine) ** 2
    energy = truth.energy * np.exp(0.1 * rng.normal(size=N))
    return (replace(table, covariance=covariance, energy=energy, energy_error=0.1 * energy), truth)


def test_without_temperature_is_the_way_back(rng):
    table = right(rng)[0]
    found = without_temperature(table, FACTORS)
    core, zenith, size = (PARAMETERS.index(n) for n in ("core_x", "zenith", "s_ref"))
    ratio = table.covariance[0] / np.where(found.covariance[0] == 0, 1.0, found.covariance[0])
    assert ratio[core, core] == pytest.approx(0.25)
    assert ratio[zenith, zenith] == pytest.approx(4.0)
    assert ratio[size, size] == pytest.approx(1.25**2)
    assert ratio[-1, -1] == 1.0
    np.testing.assert_allclose(table.energy_error / found.energy_error, 1.25)


@pytest.fixture(scope="module")
def scored():
    """A fit, and a network whose errors are right because they were multiplied by FACTORS; it flags
    60 events.
    """
    rng = np.random.default_rng(4)
    table, truth = right(rng)
    flags = table.flags * 0
    flags[:60] = 1 << FLAGS.index("outside_domain")
    network = replace(table, flags=flags)
    domain = {"limit": 1.5, "false_alarms": 0.01, "n_validation": 5000}
    return score(
        load_config("{scores: {bootstrap: 20}}"),
        {"free": replace(table, flags=0 * flags), "waveforms_only": network},
        truth,
        {"waveforms_only": ["a"]},
        {"waveforms_only": Stated(FACTORS, {}, domain)},
    )[0]


def test_coverage_before_and_after(scored):
    found = scored["coverage"]
    assert found["temperature"] == {"waveforms_only": {k: [v] for k, v in FACTORS.items()}}
    after = found["methods"]["waveforms_only"]["all"]["direction"]["observed"]
    before = found["before"]["waveforms_only"]
    assert list(before) == list(found["methods"]["waveforms_only"])
    for level, one, other in zip(
        LEVELS, after, before["all"]["direction"]["observed"], strict=True
    ):
        assert one["value"] == pytest.approx(level, abs=0.03)
        # Half as wide: 1 - (1 - p)^(1/4).
        assert other["value"] == pytest.approx(1 - (1 - level) ** 0.25, abs=0.03)
    core = before["all"]["core"]["observed"][0]["value"]
    assert core == pytest.approx(1 - 0.5**4, abs=0.02)
    assert "free" not in found["before"]
    rows = coverage_rows(scored)
    names = [row[0] for row in rows]
    assert sum(name.endswith(", before") for name in names) == 3
    text = temperature_text(scored)
    assert "direction 2.000, core 0.500, energy 1.250" in text
    assert text in coverage_text(scored)
    binned = list(binned_rows(scored))
    assert len(binned) == 4 * 2
    assert sum(cell.endswith(", before") for cell in binned[0][2][0]) == 1


def test_scores_without_networks_with_errors_have_no_such_table(scored):
    bare = {**scored, "error_cuts": {}, "outside_domain": {}}
    assert stated_text(bare) == []
    assert temperature_text({**scored, "coverage": {}}) == ""
    assert len(stated_text(scored)) == 6


def test_flagged_events_are_counted_and_cut_nothing(scored):
    one = scored["outside_domain"]["waveforms_only"]
    assert one["n"] == N
    assert one["flagged"]["value"] == pytest.approx(60 / N)
    assert one["flagged"]["error"] == pytest.approx(np.sqrt(0.02 * 0.98 / N), rel=0.5)
    assert outside_rows(scored)[1][1:] == ["3,000", outside_rows(scored)[1][2], "1"]
    assert scored["cuts"]["own"]["waveforms_only"]["fraction"] == 1.0


def test_regions_with_tails_are_used(rng):
    """Errors with the tails of Laplace's distribution: right with its radii, wrong without."""
    offset = laplace.rvs(size=(20_000, 1), random_state=rng)
    covariance = np.full((20_000, 1, 1), 2.0)  # its variance
    stated = laplace.ppf(0.5 + 0.5 * np.array(LEVELS)) / np.sqrt(2.0)
    radii = np.tile(stated / radius(np.array(LEVELS), 1), (20_000, 1))
    inside = [(depth_of(offset, covariance, r) < 0.5).mean() for r in (radii, None)]
    assert inside[0] == pytest.approx(0.5, abs=0.015)
    assert inside[1] > 0.58


def test_each_quantity_has_its_own_regions(rng):
    table, truth = right(rng)
    plain = depths(table, truth, False)
    for quantity in FACTORS:
        found = depths(table, truth, False, {quantity: np.full((N, 4), 2.0)})
        for name, depth in found.items():
            assert (depth < plain[name]).all() == (name == quantity)
            assert (depth == plain[name]).all() == (name != quantity)


def test_what_files_state_is_read(rng, tmp_path):
    table = right(rng)[0]
    of = {
        f"region_{block}_{level}": rng.uniform(size=N)
        for block in FACTORS
        for level in (50, 68, 90, 95)
    }
    attributes = {"temperature": json.dumps(FACTORS), "domain": json.dumps({"limit": 2.0})}
    for name in ("a", "b"):
        how = {"features": of, "attributes": attributes}
        write_reconstruction(tmp_path / name, {"net": table}, {}, **how)
    found = read_stated([tmp_path / "a", tmp_path / "b"])
    assert found.temperature == FACTORS
    assert found.domain == {"limit": 2.0}
    np.testing.assert_array_equal(found.radii["core"][N:, 2], of["region_core_90"])
    write_reconstruction(tmp_path / "plain", {"net": table}, {})
    assert read_stated([tmp_path / "plain"]) == Stated()


def test_the_threshold_is_the_largest_at_that_resolution(rng):
    error = rng.uniform(0.5, 2.0, 300)
    angle = error * np.sqrt(rng.exponential(2.0, 300))
    weights = np.stack([np.ones(300), rng.integers(0, 3, 300)])
    wanted = np.array([1.6, 1.5])
    for value, most, of in zip(
        threshold(angle, error, weights, wanted), wanted, weights, strict=True
    ):
        assert resolution_68(angle[error <= value], of[error <= value])[0] <= most
        larger = [resolution_68(angle[error <= e], of[error <= e])[0] for e in error[error > value]]
        assert min(larger) > most
    none = threshold(angle + 9.0, error, weights, wanted)
    assert (none == -np.inf).all()
    assert (threshold(angle, error, weights, wanted + 9.0) == error.max()).all()


def test_events_gained_at_one_resolution(rng):
    """Errors even between 0.5 and 2 deg; the fit's cuts keep a random half of those below 1.2 deg:
    a cut on the error keeps all of those, 7 of 15 events, twice as many, with the same 68 % angle.
    """
    n = 20_000
    error = np.radians(rng.uniform(0.5, 2.0, n))
    one = Judged(error * np.sqrt(rng.exponential(2.0, n)), error, np.zeros(n, bool))
    passes = (error < np.radians(1.2)) & (rng.random(n) < 0.5)
    fit = Judged(1.1 * one.angle, error, passes)
    draws = draw_showers(np.arange(n), 30, 1)
    weights = np.concatenate(list(draws.weights(np.arange(n))))
    found = _statistics(one, fit, draws.shower % 2, weights)
    assert found["fraction_fit_cuts"][0] == pytest.approx(3.5 / 15, abs=0.01)
    assert found["fraction_own"][0] == pytest.approx(7 / 15, abs=0.03)
    assert found["gain_own"][0] == pytest.approx(1.0, abs=0.12)
    assert found["angle_own"][0] == pytest.approx(found["wanted_own"][0], rel=0.03)
    assert found["wanted_own"][0] == found["angle_fit_cuts"][0]
    # A fit that is a tenth worse: more events can be kept at its resolution.
    assert found["wanted_fit"][0] == pytest.approx(1.1 * found["wanted_own"][0])
    assert found["fraction_fit"][0] > found["fraction_own"][0] + 0.03
    assert 0.005 < np.std(found["fraction_own"][1:]) < 0.05
    # No error is stated: nothing is kept.
    bare = _statistics(one._replace(error=np.full(n, np.nan)), fit, draws.shower % 2, weights[:2])
    assert (bare["fraction_own"] == 0).all()


def test_a_threshold_is_tested_on_the_other_half(rng):
    """One half states ten times the errors of the other, for the same angles: its threshold keeps
    all of the other, whose threshold keeps none of it.
    """
    halves = np.arange(1000) % 2
    error = rng.uniform(1.0, 2.0, 1000) * np.where(halves == 0, 10.0, 1.0)
    one = Judged(rng.uniform(0.0, 1.0, 1000), error, np.ones(1000, bool))
    kept = _kept(one, halves, np.full((2, 1), 2.0), np.ones((1, 1000)))
    np.testing.assert_array_equal(kept[0], halves == 1)


def test_error_cuts_of_scores(scored):
    rows = error_cut_rows(scored)
    assert len(rows) == 3
    one = scored["error_cuts"]["waveforms_only"]
    assert one["fit"] == "free"
    assert one["fraction_fit_cuts"]["value"] == 1.0
    # Every event has the same error: all are kept, or in one half none, by chance.
    assert one["fraction_own"]["value"] in (0.5, 1.0)
    assert one["wanted_own"]["value"] == pytest.approx(np.degrees(0.02) * 1.515, rel=0.05)
    assert rows[1][1] == "the network, cuts of the fit"
