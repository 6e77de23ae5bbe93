"""Single stations of event files: conditions, kinds, and the trigger that must not matter."""

import numpy as np
import pytest

from tashower.config import load_config
from tashower.events.model import select_events
from tashower.generation.stations import (
    BACKGROUND,
    MISS,
    SHOWER,
    considered,
    further_read,
    read_stations,
)
from tashower.likelihood.stations import conditions_of
from tashower.simulation.given import complete_truth
from tashower.simulation.simulate import array_from_config, simulate


def test_conditions_are_those_of_a_station_at_the_origin_of_a_moved_shower(learned, rng):
    from dataclasses import replace

    events = select_events(learned.events["train"], slice(0, 5))
    array = events.array
    at = considered(events.truth, np.ones((5, array.n_stations), bool), learned.config, array)
    for i in rng.integers(0, len(at.shower), 20):
        row, position = slice(at.shower[i], at.shower[i] + 1), array.position[at.station[i]]
        one = select_events(events, row).truth
        moved = replace(one, core_x=one.core_x - position[0], core_y=one.core_y - position[1])
        conditions, plane = conditions_of(moved, learned.config, array)
        height = plane[0] + one.t0[0] - at.plane[i]
        assert height == pytest.approx(position[2] * np.cos(one.zenith[0]) / 0.299792458, abs=0.5)
        if abs(position[2]) < 20.0:
            np.testing.assert_allclose(at.conditions[i], conditions[0], atol=0.05)


def test_every_hit_near_the_core_is_among_the_stations(learned):
    sample, form, _ = read_stations(
        [learned.paths["train"]], learned.config, 10**6, np.random.default_rng(1)
    )
    events = learned.events["train"]
    n_hits = len(sample.hits.time)
    assert (sample.kind != MISS).sum() == n_hits
    assert 0.5 * events.n_hits < n_hits < events.n_hits
    assert set(np.unique(sample.kind)) == {MISS, SHOWER, BACKGROUND}
    assert (sample.hits.background == (sample.kind[sample.kind != MISS] == BACKGROUND)).all()
    # What the simulation expects is what is seen.
    seen = ~sample.hits.background & (sample.hits.conditions[:, 0] > 2.0)
    light = np.sinh(sample.hits.sums[seen].astype(float)) * form.scale_of_parts[:, None]
    ratio = np.log(light.sum(axis=1).mean(axis=1)) - sample.hits.conditions[seen, 0]
    assert np.median(ratio) == pytest.approx(0.0, abs=0.1)
    assert sample.hits.values.shape == (n_hits, len(form.sizes), 2)


def test_a_trigger_says_nothing_of_the_stations_that_are_left(tmp_path):
    """One shower many times, close to the trigger's threshold: of all events, also those that do
    not trigger, as many stations are hit as of what is left of those that do.
    """
    from tashower.config import as_dict
    from tashower.io.event_file import write_events

    config = load_config(
        "{array: {columns: 6, rows: 6, jitter_m: 0, altitude_spread_m: 0},"
        " detector: {accidental_rate_khz: 0, out_of_service_fraction: 0}}"
    )
    n = 1500
    one = np.ones(n)
    columns = {"energy": 0.8 * one, "zenith": 0.4 * one, "azimuth": one}
    truth = complete_truth(columns | {"core_x": 200.0 * one, "core_y": 100.0 * one}, config)
    events = simulate(truth, config, 4)
    assert 0.15 < events.n_events / n < 0.85
    path = tmp_path / "e.h5"
    write_events(path, events, as_dict(config))
    sample, _, _ = read_stations([path], config, 10**6, np.random.default_rng(1))
    array = array_from_config(config)
    # The truth: what is seen of the showers whether or not they trigger.
    at = considered(truth, np.ones((n, array.n_stations), bool), config, array)
    station = int(np.argsort(at.conditions[: array.n_stations, 0])[-4])
    condition = at.conditions[at.station == at.station[station]][0]
    mine = np.isclose(sample.conditions[:, 0], condition[0], atol=1e-4)
    left = (sample.kind[mine] != MISS).mean()
    error = np.sqrt(left * (1 - left) / mine.sum())
    within = np.isin(events.hit_station, at.station[station]).sum() / events.n_events
    alone = _alone(truth, config, array.position[at.station[station]])
    assert left == pytest.approx(alone, abs=4 * error + 0.02)
    assert within > alone + 0.02  # what a naive sample would say


def _alone(truth, config, position):
    """Part of the showers that hit a station at a place, whatever the array does."""
    from dataclasses import replace

    from tashower.simulation.simulate import simulate_stations

    moved = replace(truth, core_x=truth.core_x - position[0], core_y=truth.core_y - position[1])
    return np.diff(simulate_stations(moved, config, 8).hit_offset).mean()


def test_a_further_window_is_what_is_not_the_pedestal(learned):
    events = learned.events["train"]
    read = further_read(events, 128)
    assert 0.05 < read.mean() < 0.6
    # Where something was read the noise of 0.75 counts stands.
    quiet = events.waveform[:, 160:].astype(float).std(axis=(1, 2))
    assert quiet[~read].max() < 0.7
