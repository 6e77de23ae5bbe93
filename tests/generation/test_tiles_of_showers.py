"""From events to tiles for a generator, and from its tiles to hits."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tashower.config import load_config
from tashower.errors import InputError
from tashower.generation.gan import _drawn, _read_tiles
from tashower.generation.generate import Task
from tashower.generation.tile_hits import SPARE, read_out, spread, sums_of_8
from tashower.generation.tile_models import TileShape
from tashower.generation.tile_sample import (
    EVENT_CONDITION,
    LIGHT_SCALE,
    STATION_CONDITION,
    know,
    lit,
    look_around,
    make_sample,
    size_terms,
    time_cells,
)
from tashower.physics.station import delay_of_reduced_time, reduced_time
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.background import background_hits
from tashower.simulation.electronics import BINS_BEFORE, READOUT
from tashower.simulation.simulate import setup_of, simulate_events

CONFIG = load_config({"array": {"columns": 9, "rows": 9}, "showers": {"core_margin_m": -3600}})
N = 8


@pytest.fixture(scope="module")
def events():
    return simulate_events(CONFIG, "test", 0, 60)


@pytest.fixture(scope="module")
def known(events):
    return know(events)


@pytest.fixture(scope="module")
def sample(events, known):
    return make_sample(events, N, known, "test")


def task_of(events, seed=1):
    working = np.ones((events.n_events, events.array.n_stations), bool)
    working[
        np.repeat(np.arange(events.n_events), np.diff(events.dead_offset)), events.dead_station
    ] = 0
    setup = setup_of(CONFIG, events.array, CONFIG.seed)
    return Task(events.truth, events.event_id, seed, working, events.array, CONFIG, setup)


@pytest.mark.parametrize(("n_bins", "lead"), [(256, 28), (128, 28), (128, 2), (40, 20), (60, 0)])
def test_cells_of_time_cover_the_waveform(n_bins, lead):
    edges = time_cells(n_bins, lead)
    assert edges[0] == max(lead - 5, 0)
    assert edges[-1] == n_bins
    assert (np.diff(edges) > 0).all()
    assert (np.diff(edges)[:14] == 1).all()
    assert len(edges) - 1 <= 32


def test_default_waveforms_have_32_cells():
    assert len(time_cells(256, 28)) - 1 == 32


def test_light_is_around_what_is_above_the_noise():
    vem = np.full((1, 12, 2), 0.1)
    vem[0, 6, 1] = 0.41
    found = lit(vem, np.array([[0.1, 0.1]]))
    assert found[0, :, 0].tolist() == [0.0] * 12
    assert found[0, :, 1].tolist() == [0.0] * 3 + [0.1] * 3 + [0.41] + [0.1] * 3 + [0.0] * 2


def test_size_of_the_mean_shower_is_least_squares(events):
    coefficients = np.array([3.0, 0.9, -0.6, -2.0, 0.1, 0.2, 0.5, -0.3])
    s_ref = np.exp(size_terms(events.truth) @ coefficients)
    exact = replace(events.truth, s_ref=s_ref, curvature=1.0 / s_ref)
    found = know(replace(events, truth=exact))
    assert found.size == pytest.approx(coefficients, abs=1e-8)
    assert found.curvature == pytest.approx(-coefficients, abs=1e-8)


def test_hits_lie_in_their_cells(events, sample, known):
    around = look_around(events, N, known)
    cell = sample.hit_cell
    station = around.place.station[sample.hit_event, cell // N, cell % N]
    assert (station >= 0).all()
    hits = {
        (e, s): i for i, (e, s) in enumerate(zip(events.hit_event, events.hit_station, strict=True))
    }
    rows = np.array([hits[e, s] for e, s in zip(sample.hit_event, station, strict=True)])
    assert len(rows) > 0.7 * events.n_hits
    # The time of a hit, and its light, are those that it was made of.
    at = sample.hit_event, cell // N, cell % N
    delay = delay_of_reduced_time(
        sample.time.astype(float), 0.0, np.log(around.expected.distance[at])
    )
    t0 = events.truth.t0[sample.hit_event]
    onset = t0 + around.expected.plane_time[at] + delay
    assert onset == pytest.approx(events.hit_time[rows] + 20.0 * known.lead, abs=0.1)
    light = LIGHT_SCALE * np.sinh(sample.light.astype(float)).sum(axis=1)
    vem = (events.waveform[rows] - events.pedestal[rows, None]) / events.counts_per_vem[rows, None]
    own = lit(vem, 0.75 / events.counts_per_vem[rows])[:, known.edges[0] :].sum(axis=1)
    assert np.abs(light - own).max() < 0.02 * own.max()
    assert light.sum() == pytest.approx(own.sum(), rel=2e-3)


def test_hits_apart_from_the_front_are_background(events, sample):
    cut = replace(events, hit_time=events.hit_time + 80_000.0)
    assert not len(make_sample(cut, N, know(events), "test").hit_event)


def test_rejected_hits_are_left_out(events, sample, known):
    rejected = np.zeros(events.n_hits, bool)
    rejected[::2] = True
    fewer = make_sample(replace(events, rejected=rejected), N, known, "test")
    assert 0.4 < len(fewer.hit_event) / len(sample.hit_event) < 0.6


@pytest.mark.parametrize(
    ("column", "name"),
    [
        *(("energy", "log_energy"), ("zenith", "secant"), ("azimuth", "axis_x")),
        *(("azimuth", "axis_y"), ("core_x", "core_x"), ("core_y", "core_y"), ("xmax", "xmax")),
        ("muon_scale", "log_muon_scale"),
    ],
)
def test_every_column_of_the_truth_is_in_the_condition(events, known, column, name):
    near = events[:10]
    other = replace(near.truth, **{column: getattr(near.truth, column) * 1.02 + 0.01})
    a = look_around(near, N, known)
    b = look_around(replace(near, truth=other), N, known)
    changed = EVENT_CONDITION.index(name)
    assert (a.condition[:, changed] != b.condition[:, changed]).all()


def test_maps_by_hand(events, known):
    """A vertical shower on a station: its place is (0, 0), and so is the distance but for the
    softening.
    """
    station = int(np.argmin(np.linalg.norm(events.array.position[:, :2], axis=1)))
    x, y, _ = events.array.position[station]
    first = events[:1]
    truth = replace(first.truth, zenith=np.array([0.0]), core_x=np.array([x]), core_y=np.array([y]))
    around = look_around(
        replace(
            first,
            truth=truth,
            dead_offset=np.array([0, 1]),
            dead_station=np.array([station + 1], np.int32),
        ),
        N,
        known,
    )
    at = tuple(np.argwhere(around.place.station == station)[0])
    maps = dict(zip(STATION_CONDITION, around.maps[at], strict=True))
    assert maps["working"] == 1.0
    assert maps["x"] == pytest.approx(0.0, abs=1e-6)
    assert maps["y"] == pytest.approx(0.0, abs=1e-6)
    assert maps["log_distance"] == pytest.approx(np.log(0.02), abs=0.2)
    other = tuple(np.argwhere(around.place.station == station + 1)[0])
    assert around.maps[other][0] == 0.0
    assert around.maps[other][6] == pytest.approx(1.0, abs=0.2)  # the next to the north


def test_bad_truth_is_refused(events, known):
    with pytest.raises(InputError, match="no truth: a generator needs energy"):
        make_sample(replace(events, truth=None), N, known, "x.h5")
    truth = replace(events.truth, xmax=np.full(events.n_events, np.nan))
    with pytest.raises(InputError, match="does not know xmax"):
        make_sample(replace(events, truth=truth), N, known, "x.h5")
    with pytest.raises(InputError, match="no waveforms"):
        know(replace(events, waveform=None), "x.h5")
    with pytest.raises(InputError, match="waveforms of 256 bins, 128 needed"):
        make_sample(events, N, known._replace(edges=time_cells(128, 28)), "x.h5")


@pytest.mark.parametrize("distance", [10.0, 500.0, 3000.0])
def test_delay_is_what_the_reduced_time_takes(distance):
    delay = np.array([-300.0, 0.0, 80.0, 2500.0])
    u, _ = reduced_time(delay, 0.3, np.log(distance))
    assert delay_of_reduced_time(u, 0.3, np.log(distance)) == pytest.approx(delay, abs=1e-9)


def test_spread_keeps_sums_and_comes_at_once_in_both_layers(rng):
    edges = np.array([20, 21, 22, 24, 40, 60])
    light = rng.exponential(2.0, (50, 5, 2))
    light[:, 3] = 1.5
    light[:, 4] = 0.0
    bins = spread(light, edges, 20.0, rng)[:, SPARE:-SPARE]
    assert bins.shape == (50, 60, 2)
    # The pulses of the wide cells begin three bins before them.
    assert bins[:, 20] == pytest.approx(light[:, 0], rel=1e-12)
    assert bins[:, :].sum(axis=1) == pytest.approx(light.sum(axis=1), rel=1e-4)
    light[:, 3] = 0.0
    bins = spread(light, edges, 20.0, rng)[:, SPARE:-SPARE]
    assert bins[:, 22:24] == pytest.approx(0.5 * light[:, 2, None].repeat(2, axis=1), rel=1e-12)


def test_late_light_comes_as_particles(rng):
    edges, light = np.array([20, 24, 40]), np.full((50, 2, 2), 1.5)
    light[:, 0] = 0.0
    bins = spread(light, edges, 20.0, rng)[:, SPARE:-SPARE]
    # One and a half particles in 16 bins: pulses, not a plateau, and the same in both layers.
    late = bins[:, 21:40]
    assert np.median(late.max(axis=1)) > 2.0 * 1.5 / 16
    assert late[..., 0] == pytest.approx(late[..., 1], abs=1e-9)


def test_read_out_by_hand():
    """A pulse of 20 counts in bin 40 + SPARE crosses level 0 there; another, 150 bins later, opens
    a second window 30 bins before; what lies between is not read.
    """
    n, window = 256, 128
    counts = np.full((2, n + 2 * SPARE, 2), 6.0)
    counts[0, SPARE + 40] = counts[0, SPARE + 190] = 26.0
    pedestal, unread = np.full((2, 2), 6.0), np.full((2, n, 2), 7, np.uint16)
    begin, found = read_out(counts, pedestal, unread, window)
    assert begin.tolist() == [SPARE + 40 - BINS_BEFORE, -1]
    assert found[0, BINS_BEFORE].tolist() == [26, 26]
    second = BINS_BEFORE + 150
    assert found[0, second].tolist() == [26, 26]
    assert (found[0, 128 : second - BINS_BEFORE] == 7).all()
    assert found[0, second - BINS_BEFORE :, 0].tolist() == [6] * 30 + [26] + [6] * (255 - second)
    counts[0, SPARE + 40, 1], counts[0, SPARE + 60] = 6.0, 26.0  # one layer alone is no level 0
    assert read_out(counts, pedestal, unread, window)[0][0] == SPARE + 60 - BINS_BEFORE


def test_sums_of_8_by_hand():
    counts = np.arange(12.0).reshape(1, 12, 1)
    found = sums_of_8(counts, np.array([[1.0]]))[0, :, 0]
    assert np.isinf(found[:7]).all()
    assert found[7:].tolist() == [sum(range(k - 7, k + 1)) - 8 for k in range(7, 12)]


def test_tiles_of_the_simulation_give_its_hits_again(events, sample, known):
    """Without a network in between: times, signals, saturation of the simulated hits."""
    task, around = task_of(events), look_around(events, N, known)
    content = np.concatenate(
        [
            np.ones((len(sample.time), 1)),
            sample.time[:, None],
            sample.light.reshape(len(sample.time), -1),
        ],
        axis=1,
    )
    at = sample.hit_event, sample.hit_cell // N, sample.hit_cell % N
    order = np.lexsort((sample.hit_cell, sample.hit_event))
    rngs = [task.rng(i) for i in range(events.n_events)]
    found = _read_tiles(
        content[order], tuple(part[order] for part in at), task, (around, known), rngs
    )
    assert len(found.station) > 0.98 * len(order)
    rows = {
        (e, s): i for i, (e, s) in enumerate(zip(events.hit_event, events.hit_station, strict=True))
    }
    own = np.array([rows[e, s] for e, s in zip(found.shower, found.station, strict=True)])
    again = replace(
        events,
        hit_offset=np.searchsorted(found.shower, np.arange(events.n_events + 1)),
        hit_station=found.station,
        hit_time=found.time,
        waveform=found.waveform,
        pedestal=events.pedestal[own],
        counts_per_vem=events.counts_per_vem[own],
    )
    a, b = find_pulses(events), find_pulses(again)
    off = b.arrival_time - a.arrival_time[own]
    assert np.nanmedian(np.abs(off)) < 8.0
    assert abs(np.nanmedian(off)) < 3.0
    ratio = np.log(np.maximum(b.signal, 0.1) / np.maximum(a.signal[own], 0.1))
    assert np.abs(np.median(ratio)) < 0.02
    assert np.quantile(np.abs(ratio), 0.8) < 0.15
    assert (b.saturated == a.saturated[own]).mean() > 0.99
    shape = np.log(b.area_over_peak / a.area_over_peak[own])
    assert abs(np.nanmedian(shape)) < 0.05


def test_background_comes_at_its_rate_and_stations(events):
    task = task_of(events)
    n, t0 = 400, np.linspace(0.0, 400.0, 400)
    mask = np.zeros((n, events.array.n_stations), bool)
    mask[:, 3:30] = True
    shower, hits = background_hits(5, np.arange(n), t0, mask, task.setup, events.array.detector)
    mean = mask.sum() * task.setup.conditions.accidental_probability
    # Some muons give no hit.
    assert 0.75 * mean < len(shower) < mean + 4.0 * np.sqrt(mean)
    assert set(hits.station.tolist()) == set(range(3, 30))
    order = shower * 1000 + hits.station
    assert (np.diff(order) > 0).all()
    off = (hits.time - t0[shower]) / READOUT
    assert stats.kstest(off, "uniform", (-1.0, 2.0)).pvalue > 1e-3
    other, _ = background_hits(
        5, np.arange(n)[7:8], t0[7:8], mask[:1], task.setup, events.array.detector
    )
    assert len(other) == (shower == 7).sum()


def test_random_numbers_are_of_the_shower():
    shape = TileShape(4, 8, 2)
    a, b = (np.random.default_rng(seed) for seed in (1, 2))
    both = _drawn(shape, [a, b])
    alone = _drawn(shape, [np.random.default_rng(2)])
    for column, own in zip(both, alone, strict=True):
        assert np.array_equal(column[1], own[0])
        assert not np.array_equal(column[0], own[0])
