"""Showers that are given, and stations from a table."""

from dataclasses import fields, replace

import numpy as np
import pytest

from tashower.cli import main
from tashower.config import load_config
from tashower.errors import InputError
from tashower.events.model import concatenate_rows, select_rows
from tashower.io.event_file import read_events, write_events
from tashower.simulation.given import complete_truth, read_truth
from tashower.simulation.showers import draw_showers
from tashower.simulation.simulate import simulate, simulate_events

CONFIG = load_config()
TABLE = """energy_eev,zenith_deg,azimuth_deg,core_x_m,core_y_m
30,20,45,100,-300
30,40,200,-900,450
"""


def test_drawn_showers_given_again_come_out_alike():
    """The same truth through `simulate`: other random numbers, the same showers."""
    truth = draw_showers(CONFIG, "test", 0, 60)
    events = simulate(truth, CONFIG, 3)
    drawn = simulate_events(CONFIG, "test", 0, 60)
    assert events.n_events == pytest.approx(drawn.n_events, abs=6)
    assert events.n_hits == pytest.approx(drawn.n_hits, rel=0.1)
    for f in fields(truth):
        column = getattr(truth, f.name)[events.event_id]
        np.testing.assert_array_equal(getattr(events.truth, f.name), column)


def test_one_shower_many_times_scatters_and_rows_are_independent():
    one = select_rows(draw_showers(CONFIG, "test", 0, 200), slice(0, 200))
    row = int(np.argmax(one.energy - 1e3 * (np.hypot(one.core_x, one.core_y) > 8000)))
    many = concatenate_rows([select_rows(one, [row])] * 50)
    events = simulate(many, CONFIG, 4)
    assert events.n_events == 50
    signal = [
        (events.waveform[a:b] - events.pedestal[a:b, None]).sum()
        for a, b in zip(events.hit_offset[:-1], events.hit_offset[1:], strict=True)
    ]
    assert 0 < np.std(signal) < 0.3 * np.mean(signal)
    fewer = simulate(select_rows(many, slice(0, 7)), CONFIG, 4)
    np.testing.assert_array_equal(fewer.waveform, events.waveform[: fewer.n_hits])
    other = simulate(select_rows(many, slice(0, 7)), CONFIG, 5)
    assert not np.array_equal(other.hit_time, fewer.hit_time)


def test_what_is_not_known_is_that_of_a_mean_shower(tmp_path):
    path = tmp_path / "showers.csv"
    path.write_text(TABLE)
    truth = read_truth(path, CONFIG)
    drawn = draw_showers(load_config({"showers": {"primaries": {"proton": 1}}}), "test", 0, 20_000)
    near = np.abs(np.degrees(drawn.zenith) - 20) < 1
    ratio = (drawn.s_ref / drawn.energy**0.92)[near].mean() / (30.0**-0.92 * truth.s_ref[0])
    assert ratio == pytest.approx(1.0, abs=0.05)
    assert truth.slope[0] == pytest.approx(3.97 - 1.79 * (1 / np.cos(np.radians(20)) - 1))
    assert truth.curvature[0] == pytest.approx(np.median(drawn.curvature[near]), rel=0.35)
    assert truth.mass_number.tolist() == [1, 1]
    more = complete_truth(
        {f.name: getattr(truth, f.name) for f in fields(truth)} | {"slope": truth.slope - 0.2},
        CONFIG,
    )
    assert (more.slope < truth.slope).all()
    np.testing.assert_array_equal(more.s_ref, truth.s_ref)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("energy_eev,", "energy_gev,"), "energy_gev"),
        (("energy_eev,", "t0_ns,"), "energy_eev missing"),
        (("30,20", "-3,20"), "row 0: energy -3"),
        (("200,-900", "200,nan"), "core_x"),
        (("30,40", "30,95"), "row 1: zenith"),
        (("core_y_m", "core_z_m"), "core_z_m"),
    ],
)
def test_showers_that_cannot_be_are_refused(tmp_path, change, words):
    path = tmp_path / "showers.csv"
    path.write_text(TABLE.replace(*change))
    with pytest.raises(InputError, match=words):
        read_truth(path, CONFIG)


def test_command_takes_tables_and_event_files(tmp_path, capfd):
    path, output = tmp_path / "showers.csv", tmp_path / "e.h5"
    path.write_text(TABLE)
    assert main(["simulate", "--truth", str(path), "--output", str(output)]) == 0
    events = read_events(output)
    np.testing.assert_allclose(np.degrees(events.truth.zenith), [20, 40])
    again = tmp_path / "again.h5"
    assert main(["simulate", "--truth", str(output), "--output", str(again)]) == 0
    np.testing.assert_array_equal(read_events(again).waveform, events.waveform)
    write_events(tmp_path / "none.h5", replace(events, truth=None), {})
    words = ["simulate", "--truth", str(tmp_path / "none.h5"), "--output", str(tmp_path / "x.h5")]
    assert main(words) == 2
    assert "without truth" in capfd.readouterr().err
    assert main(["simulate", "--truth", str(output), "--output", str(output)]) == 2


def test_stations_of_a_table(tmp_path, rng):
    """An irregular array by name, far from the origin and high up: thrown at, triggered, kept."""
    n = 40
    x, y = rng.uniform(0, 6000, (2, n)) + 50_000.0
    lines = [f"S{i},{x[i]:.1f},{y[i]:.1f},{1400 + i}" for i in range(n)]
    path = tmp_path / "stations.csv"
    path.write_text("station,x_m,y_m,z_m\n" + "\n".join(lines) + "\n")
    config = load_config(
        {"array": {"stations": str(path)}, "showers": {"min_log10_energy_ev": 19.5}}
    )
    events = simulate_events(config, "test", 0, 40)
    assert events.n_events > 10
    assert events.array.kind == "irregular"
    assert events.array.n_stations == n
    assert events.array.position[:, 2].mean() == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(events.array.position[:, 0], x, atol=0.06)
    truth = draw_showers(config, "test", 0, 400)
    margin = config.showers.core_margin_m
    assert (truth.core_x > x.min() - margin - 1).all()
    assert (truth.core_x < x.max() + margin + 1).all()
    assert np.ptp(truth.core_x) > 0.9 * (np.ptp(x) + 2 * margin)
    path.write_text("station,x_m,y_m\n1,0,0\n1,100,0\n")
    with pytest.raises(InputError, match="there twice"):
        simulate_events(config, "test", 0, 4)
