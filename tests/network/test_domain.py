"""Events unlike the training: how often clean ones are flagged, and that planted oddities are."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from tashower.network import domain
from tashower.network.domain import FALSE_ALARMS, distance, measure_domain
from tashower.network.sample import Sample, take_batch
from tashower.network.tiles import STATION_FEATURES, Tiles
from tashower.reconstruction.features import EVENT_FEATURES

N = 6
AT = STATION_FEATURES.index


def made(rng, n):
    """Events with signals that fall from the core, times around a front, a few dead stations, and
    event features that hang together.
    """
    place = np.stack(np.meshgrid(np.arange(N), np.arange(N), indexing="ij")) - (N - 1) / 2
    x, y = place[:, None] + rng.uniform(-0.5, 0.5, (2, n))[:, :, None, None]
    size = rng.uniform(2.0, 5.0, n)
    expected = np.maximum(size[:, None, None] - 1.5 * np.hypot(x, y), 0.0)
    working = rng.random(x.shape) > 0.02
    hit = working & (expected + 0.3 * rng.normal(size=x.shape) > 0.7)
    late, other = rng.normal(size=(2, *x.shape))
    columns = {
        "exists": np.ones(x.shape),
        "working": working,
        "hit": hit,
        "timed": hit,
        "x": x,
        "y": y,
        "log_expected": expected,
        "log_upper": hit * (expected + 0.3 * other),
        "log_lower": hit * (expected - 0.3 * other),
        "signal_residual": hit * 0.3 * other,
        "front_residual": hit * 0.5 * late,
        "relative_residual": hit * late,
        "window_start": hit * 0.1 * late,
    }
    cells = np.zeros((n, N, N, len(STATION_FEATURES)), np.float32)
    for name, column in columns.items():
        cells[..., AT(name)] = column
    features = rng.normal(size=(n, len(EVENT_FEATURES)))
    features[:, EVENT_FEATURES.index("zenith")] = np.arcsin(np.sqrt(rng.uniform(0.0, 0.5, n)))
    features[:, EVENT_FEATURES.index("s_ref")] = np.exp(size + 0.1 * rng.normal(size=n))
    features[:, EVENT_FEATURES.index("n_excluded")] = rng.random(n) < 0.1
    features[rng.random(n) < 0.05, 0] = np.nan
    nothing = np.zeros((0, 32, 2), np.float16), *np.zeros((2, 0), int)
    first = np.zeros(n + 1, np.int64)
    return Sample(Tiles(cells, *nothing), features.astype(np.float32), None, first, np.arange(n))


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(5)
    return measure_domain(made(rng, 1500), made(rng, 1500))


def test_the_middle_and_the_spread_are_those_of_the_training():
    rng = np.random.default_rng(7)
    train = made(rng, 400)
    found = measure_domain(train, made(rng, 100))
    places = domain._places(found, train)
    np.testing.assert_allclose(found["mean"], places.mean(axis=0))
    white = (places - places.mean(axis=0)) @ found["whitening"].numpy()
    spread = white.std(axis=0, ddof=1)
    assert np.isclose(spread, 1.0).sum() > 30  # and 0 of what never changes
    assert (spread < 1.001).all()


def test_of_a_large_sample_a_part_is_taken_evenly(rng, monkeypatch):
    sample = made(rng, 103)
    whole = domain._numbers(sample)
    monkeypatch.setattr(domain, "_BLOCK", 7)
    np.testing.assert_array_equal(domain._numbers(sample), whole)
    np.testing.assert_array_equal(domain._numbers(sample, 25), whole[::4])


def flagged(known, sample):
    return np.mean(distance(known, sample) > known["limit"])


def test_clean_events_are_flagged_as_often_as_stated(known, rng):
    clean = made(rng, 1500)
    error = np.sqrt(FALSE_ALARMS * (1 - FALSE_ALARMS) * (2 / 1500))
    assert flagged(known, clean) == pytest.approx(FALSE_ALARMS, abs=3.5 * error)
    assert known["false_alarms"] == FALSE_ALARMS
    assert known["n_validation"] == 1500


def test_the_limit_is_a_rank_and_too_few_events_give_none():
    """P(a further value is beyond the k-th of n) = 1 - k/(n + 1)."""
    rng = np.random.default_rng(6)
    train, validation = made(rng, 500), made(rng, 199)
    found = measure_domain(train, validation)
    assert found["limit"] == np.sort(distance(found, validation))[197]  # 198 of 200
    assert measure_domain(train, made(rng, 98))["limit"] == np.inf
    assert np.isfinite(measure_domain(train, made(rng, 99))["limit"])


def one_side_dead(cells, features):
    side = cells[..., AT("x")] > 0
    for name in ("working", "hit", "timed", "log_upper", "log_lower", "signal_residual"):
        cells[..., AT(name)][side] = 0.0


def five_times_the_signal(cells, features):
    for name in ("log_upper", "log_lower", "signal_residual"):
        cells[..., AT(name)] += cells[..., AT("hit")] * np.log(5.0)


def other_zenith_angles(cells, features):
    at = EVENT_FEATURES.index("zenith")
    features[:, at] = np.radians(55 + 10 * features[:, at])


def a_clock_off(cells, features):
    half = cells[:, ::2]  # every second row of stations, by a microsecond
    for name, step in (("front_residual", 3.0), ("relative_residual", 4.0)):
        half[..., AT(name)] += half[..., AT("hit")] * step


@pytest.mark.parametrize(
    "plant", [one_side_dead, five_times_the_signal, other_zenith_angles, a_clock_off]
)
def test_planted_oddities_are_flagged(known, rng, plant):
    clean = made(rng, 300)
    cells, features = clean.tiles.cells.copy(), clean.event_features.copy()
    plant(cells, features)
    odd = replace(clean, tiles=replace(clean.tiles, cells=cells), event_features=features)
    assert flagged(known, odd) > 0.95


def test_what_is_common_in_each_and_rare_in_both_is_far(known, rng):
    """Size and signals hang together; small showers with large signals are not in the sample."""
    clean = made(rng, 300)
    features = clean.event_features.copy()
    at = EVENT_FEATURES.index("s_ref")
    features[:, at] = np.sort(features[:, at])[::-1][np.argsort(np.argsort(features[:, at]))]
    both = replace(clean, event_features=features)
    assert flagged(known, both) > 0.25 > 5 * flagged(known, clean)


@pytest.mark.parametrize("orientation", [1, 4, 7])
def test_a_turned_event_is_as_far(known, rng, orientation):
    sample = made(rng, 40)
    cells = take_batch(sample, np.arange(40), orientation, "cpu")[0].numpy()
    turned = replace(sample, tiles=replace(sample.tiles, cells=cells))
    np.testing.assert_allclose(distance(known, turned), distance(known, sample), rtol=1e-3)


def test_no_event_and_nothing_known(known, rng):
    nothing = made(rng, 5)
    nothing.event_features[:] = np.nan
    nothing.tiles.cells[:] = 0.0
    assert np.isfinite(distance(known, nothing)).all()
    assert distance(known, made(rng, 0)).shape == (0,)


def test_ranks_of_shared_values_and_lines_beyond():
    """Half of a sample at 0: the middle of their ranks, a quarter of the sample."""
    numbers = np.concatenate([np.zeros(520), np.linspace(1.0, 2.0, 480)])[:, None]
    quantiles = np.nanquantile(numbers, domain.ndtr(domain._GRID), axis=0).T
    found = domain._normal(np.array([[0.0], [2.0], [4.0], [np.nan]]), quantiles, np.array([2.0]))
    assert found[0, 0] == pytest.approx(ndtri(0.25), abs=0.15)
    assert found[2, 0] - found[1, 0] == pytest.approx(2.0 / (0.05 * 2.0), rel=1e-6)
    assert found[3, 0] == 0.0
