"""However large an array, however many showers: memory is bounded, and what cannot fit is refused
before it is tried.
"""

import numpy as np
import pytest
from hits import same

from tashower import memory
from tashower.cli import main
from tashower.config import load_config
from tashower.errors import InputError
from tashower.events import array as array_module
from tashower.events.array import Detector, array_from_positions, neighbour_table
from tashower.simulation import delays, simulate
from tashower.simulation.delays import Arrivals, first_arrival
from tashower.simulation.simulate import block_size, simulate_events

DENSE = {
    "array": {"columns": 20, "rows": 20, "spacing_m": 50, "jitter_m": 1},
    "detector": {"bins": 2048},
    "showers": {"min_log10_energy_ev": 19.5, "max_log10_energy_ev": 19.5, "core_margin_m": 0},
}


def test_blocks_do_not_change_events(monkeypatch):
    whole = simulate_events(load_config(), "test", 0, 40)
    monkeypatch.setattr(simulate, "_BLOCK_STATIONS", 1)
    monkeypatch.setattr(simulate, "_CAPACITY", 0)
    asked = []
    monkeypatch.setattr(simulate, "too_large", lambda needed: asked.append(needed) or "")
    parts = simulate_events(load_config(), "test", 0, 40)
    np.testing.assert_array_equal(parts.array.position, whole.array.position)
    same(parts, whole if parts.array is whole.array else _with(whole, parts.array))
    assert len(asked) > 1
    largest = 40 * whole.array.n_stations + whole.array.n_stations
    assert asked[-1] <= largest * (12 + 2 * (2 * 128 + 8))


def _with(events, array):
    from dataclasses import replace

    return replace(events, array=array)


def test_a_block_is_small_where_the_array_is_large():
    assert block_size(507) == block_size(1) == block_size(0) == 1000
    assert block_size(9801) == 52
    assert block_size(10**6) == 10


def test_hits_that_do_not_fit_are_refused_with_the_keys_to_change(monkeypatch, tmp_path, capsys):
    """400 stations in the middle of the showers, 16 kB each: 100 showers have 0.6 GB of hits."""
    monkeypatch.setattr(memory, "free_memory", lambda: 1e8)
    config = load_config(DENSE, {"samples": {"test": 100}})
    with pytest.raises(InputError) as error:
        simulate_events(config, "test", 0, 100)
    said = str(error.value)
    assert "\n" not in said
    assert said.startswith("simulate test: 0.6")
    assert "GB are needed and 0.1 GB of memory are free for about" in said
    for key in ("samples.chunk_size", "showers.throws", "array.columns", "detector.bins"):
        assert key in said
    path = tmp_path / "e.h5"
    text = '{"samples": {"test": 1000, "chunk_size": 1000}, "showers": {"throws": 1000}}'
    assert main(["simulate", "--config", text, "--output", str(path)]) == 2
    assert "1 GB are needed and 0.1 GB of memory are free for 1,000,000 showers" in (
        capsys.readouterr().err
    )
    assert not list(tmp_path.iterdir())


def test_the_mean_of_a_few_showers_is_not_trusted(monkeypatch):
    """Two showers with 9,000 hits of 1 kB each: 20,000 such would be 200 GB, but the next ones may
    be small.
    """

    def room(used, done):
        return simulate._room_for("t", used, done, 20_000, (10_000, Detector()))

    hit = 12 + 2 * (2 * 128 + 8)
    monkeypatch.setattr(memory, "free_memory", lambda: float("inf"))
    assert room(18_000, 2) == int(1.1 * 18_000 * 10_000) + 10_000
    # Never more than every station in every shower.
    assert room(10_000, 1) == 10_000 * 20_000 + 10_000
    monkeypatch.setattr(memory, "free_memory", lambda: 50e9)
    assert room(18_000, 2) == 2 * 18_000 + 10_000
    assert room(18_000, 49) == int(1.1 * 18_000 * 20_000 / 49) + 10_000
    with pytest.raises(InputError, match=r"t: 99\.6 GB are needed and 50 GB of memory are free"):
        room(419_000, 50)
    monkeypatch.setattr(memory, "free_memory", lambda: 1e9)
    with pytest.raises(InputError, match=f"t: {hit * 198_010_000 / 1e9:.3g} GB are needed"):
        room(18_000, 2)


def test_integrals_in_parts_are_the_same(monkeypatch, rng):
    columns = rng.uniform(1.0, 100.0, (4, 50, 3))
    for sigma in (0.0, rng.uniform(0.5, 1.0, (50, 3))):
        arrivals = Arrivals(*columns, 2, sigma)
        monkeypatch.setattr(delays, "_ROWS", 10_000)
        whole = first_arrival(arrivals)
        monkeypatch.setattr(delays, "_ROWS", 7)
        np.testing.assert_array_equal(first_arrival(arrivals), whole)


def test_neighbours_in_parts_are_the_same(monkeypatch, rng):
    array = array_from_positions(np.arange(40), rng.uniform(0, 5000, (40, 3)))
    assert array.kind == "irregular"
    whole = neighbour_table(array)
    distance = np.linalg.norm(array.position[:, None, :2] - array.position[None, :, :2], axis=2)
    assert (whole[:, 0] == np.argsort(distance, axis=1)[:, 1]).all()
    monkeypatch.setattr(array_module, "_ROWS", 7)
    np.testing.assert_array_equal(neighbour_table(array), whole)


@pytest.mark.parametrize("fraction", [0.0, 1e-300, 1e-17, 1e-15])
def test_a_fraction_out_of_service_that_is_lost_in_rounding(fraction):
    text = f"{{detector: {{out_of_service_fraction: {fraction}}}}}"
    assert len(simulate_events(load_config(text), "test", 0, 5).dead_station) == 0


def test_a_margin_that_leaves_nothing_is_refused():
    config = load_config("{showers: {core_margin_m: -12700}}")
    with pytest.raises(InputError, match=r"showers\.core_margin_m: -12700 leaves nothing"):
        simulate_events(config, "test", 0, 5)
    config = load_config("{showers: {core_margin_m: -12600}}")
    assert simulate_events(config, "test", 0, 5).n_events > 0
