"""What the simulation makes of other worlds and of varying nuisances, each key in closed form."""

import json
from pathlib import Path

import numpy as np
import pytest

from tashower.cli import main
from tashower.config import as_dict, load_config
from tashower.io.event_file import read_events
from tashower.io.samples import in_world
from tashower.physics.description import Description
from tashower.physics.lateral import TELESCOPE_ARRAY
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.delays import leading_edge, particle_delays
from tashower.simulation.electronics import electronics, pulse_shape
from tashower.simulation.given import complete_truth
from tashower.simulation.particles import MUON_MEAN_LOSS
from tashower.simulation.random_numbers import seed_stream
from tashower.simulation.randomised import TOGETHER, draw_nuisances, simulate_randomised
from tashower.simulation.showers import draw_showers
from tashower.simulation.simulate import simulate_events
from tashower.simulation.windows import LEAD_BINS, put_late_pulse

ROOT = Path(__file__).resolve().parents[2]
PAGE = load_config(ROOT / "config/robustness.yaml")
USUAL = load_config()
SHOWER = ("shower_id", "mass_number", "energy", "zenith", "azimuth", "core_x", "core_y", "t0")


def in_the_world(name):
    return load_config(in_world(as_dict(PAGE), f"world_{name}"))


@pytest.mark.parametrize("name", PAGE.robustness.worlds)
def test_a_world_holds_the_same_showers_seen_otherwise(name):
    usual, other = (simulate_events(c, "test", 0, 8) for c in (USUAL, in_the_world(name)))
    ours, theirs = (draw_showers(c, "test", 0, 20) for c in (USUAL, in_the_world(name)))
    for column in SHOWER:
        np.testing.assert_array_equal(getattr(ours, column), getattr(theirs, column))
    assert usual.n_hits != other.n_hits or not (
        np.array_equal(usual.waveform, other.waveform)
        and np.array_equal(usual.hit_time, other.hit_time)
    )


def signals(config, n=60):
    """{(event, station): counts above the pedestal} of hits far below saturation."""
    events = simulate_events(config, "test", 0, n)
    above = events.waveform - events.pedestal[:, None, :]
    total = above.sum(axis=(1, 2))
    good = (events.waveform.max(axis=(1, 2)) < 1500) & (total > 2000)
    keys = zip(events.event_id[events.hit_event], events.hit_station, strict=True)
    return {key: t for key, t, g in zip(keys, total, good, strict=True) if g}


def test_gains_that_are_wrong_by_five_per_cent_change_signals_by_as_much():
    usual, more = (
        signals(
            load_config(
                {
                    "detector": {"accidental_rate_khz": 0, "gain_shift": shift},
                    "showers": {"min_log10_energy_ev": 19},
                }
            )
        )
        for shift in (0.0, 0.05)
    )
    both = usual.keys() & more.keys()
    assert len(both) > 150
    ratio = sum(more[k] for k in both) / sum(usual[k] for k in both)
    assert ratio == pytest.approx(1.05, abs=0.003)


def test_thirty_per_cent_more_muons():
    """What is not muons stays: S' = S (1 + share (f - 1)), share' = f share/(1 + share (f - 1))."""
    usual, more = (draw_showers(c, "test", 0, 40) for c in (USUAL, in_the_world("muons_up_30")))
    np.testing.assert_allclose(more.s_ref, usual.s_ref * (1 + 0.3 * usual.muon_share))
    np.testing.assert_allclose(more.s_ref * more.muon_share, 1.3 * usual.s_ref * usual.muon_share)
    np.testing.assert_allclose(more.muon_scale, 1.3 * usual.muon_scale)
    np.testing.assert_array_equal(more.xmax, usual.xmax)
    # The same of showers of a table, of which no numbers are known.
    known = {k: getattr(usual, k) for k in ("energy", "zenith", "azimuth", "core_x", "core_y")}
    usual, more = (complete_truth(known, c) for c in (USUAL, in_the_world("muons_up_30")))
    np.testing.assert_allclose(more.s_ref, usual.s_ref * (1 + 0.3 * usual.muon_share))
    np.testing.assert_allclose(more.s_ref * more.muon_share, 1.3 * usual.s_ref * usual.muon_share)
    np.testing.assert_allclose(more.muon_scale, 1.3 * usual.muon_scale)


@pytest.mark.parametrize(("name", "factor"), [("thicker_10", 1.1), ("thinner_10", 0.9)])
def test_a_front_that_is_ten_per_cent_thicker(name, factor):
    """Delays after the onset, and their spread, are as much longer."""
    truth = draw_showers(USUAL, "test", 0, 5)
    description = Description(TELESCOPE_ARRAY, TELESCOPE_ARRAY_FRONT, 3.0)
    found = {}
    for key, config in (("usual", USUAL), ("other", in_the_world(name))):
        delays = particle_delays(config)
        mean, rms = leading_edge(delays, truth, description, 1000.0)
        onset, _ = leading_edge(
            delays._replace(muon_scale=1e-9, electron_scale=1e-9), truth, description, 1000.0
        )
        found[key] = mean - onset, rms
    for usual, other in zip(found["usual"], found["other"], strict=True):
        np.testing.assert_allclose(other, factor * usual, rtol=1e-6)


def test_a_deeper_maximum_brings_a_front_of_a_nearer_source():
    """The front's scale goes as exp(Xmax/(800 g/cm^2)); slope and signal follow what differs from
    the model's own mean (docs/robustness.md says so).
    """
    usual, epos = (draw_showers(c, "test", 0, 200) for c in (USUAL, in_the_world("epos_lhc")))
    deeper = epos.xmax - usual.xmax
    assert 5.0 < deeper.mean() < 40.0
    np.testing.assert_allclose(epos.front_scale / usual.front_scale, np.exp(deeper / 800.0))


def test_a_tenth_of_the_stations_is_dead():
    events = simulate_events(in_the_world("dead_10"), "test", 0, 60)
    part = len(events.dead_station) / (events.n_events * events.array.n_stations)
    assert part == pytest.approx(0.10, abs=0.01)


# Nuisances that vary.

NUISANCES = {
    "detector": {"gain_shift": (-0.1, 0.1), "clock_ns": (0.0, 50.0)},
    "front": {"model": ("sourced", "formula", "rough")},
}


def test_nuisances_are_flat_and_independent():
    drawn = [draw_nuisances(NUISANCES, 1, "train", k) for k in range(600)]
    gain = np.array([one["detector"]["gain_shift"] for one in drawn])
    clock = np.array([one["detector"]["clock_ns"] for one in drawn])
    assert (np.abs(gain) <= 0.1).all()
    assert gain.mean() == pytest.approx(0.0, abs=4 * 0.0577 / np.sqrt(600))
    assert gain.std() == pytest.approx(0.2 / np.sqrt(12), rel=0.06)
    assert clock.mean() == pytest.approx(25.0, abs=4 * 14.4 / np.sqrt(600))
    assert abs(np.corrcoef(gain, clock)[0, 1]) < 4 / np.sqrt(600)
    names = [one["front"]["model"] for one in drawn]
    for name in NUISANCES["front"]["model"]:
        assert names.count(name) == pytest.approx(200, abs=50)
    other = {name: dict(reversed(own.items())) for name, own in reversed(NUISANCES.items())}
    assert draw_nuisances(other, 1, "train", 3) == drawn[3]
    assert draw_nuisances(NUISANCES, 1, "validation", 3) != drawn[3]
    assert draw_nuisances(NUISANCES, 2, "train", 3) != drawn[3]
    assert draw_nuisances({}, 1, "train", 3) == {}


def test_randomised_showers_are_the_same_however_they_are_divided(tmp_path):
    config = load_config({"robustness": {"nuisances": NUISANCES}})
    first, n = 2 * TOGETHER - 6, 12
    whole = simulate_randomised(config, "train", first, n)
    parts = [simulate_randomised(config, "train", *some) for some in ((first, 3), (first + 3, 9))]
    np.testing.assert_array_equal(whole.waveform, np.concatenate([p.waveform for p in parts]))
    plain = draw_showers(config, "train", first, n)
    for column in ("energy", "zenith", "core_x"):
        there = whole.event_id - first
        np.testing.assert_array_equal(
            getattr(whole.truth, column), getattr(plain, column)[there], column
        )
    # Every block as its own draw says.
    drawn = draw_nuisances(config.robustness.nuisances, config.seed, "train", 2)
    block = simulate_events(load_config(as_dict(config), drawn), "train", 2 * TOGETHER, 6)
    np.testing.assert_array_equal(whole.waveform[-block.n_hits :], block.waveform)
    # The command says what it did.
    text = json.dumps({"samples": {"train": 12}, "robustness": {"nuisances": NUISANCES}})
    path = tmp_path / "e.h5"
    words = ["simulate", "--config", text, "--split", "randomised_train", "-o", str(path)]
    assert main(words) == 0
    np.testing.assert_array_equal(
        read_events(path).event_id, simulate_randomised(config, "train", 0, 12).event_id
    )
    words[2] = "{}"
    assert main(words) == 2


def test_longer_pulses_keep_their_area():
    usual, longer = pulse_shape(20.0), pulse_shape(20.0, 1.1)
    assert longer.sum() == pytest.approx(1.0, rel=1e-6)

    def middle(pulse):
        return (pulse * (np.arange(len(pulse)) + 0.5)).sum() / pulse.sum()

    assert middle(longer) == pytest.approx(1.1 * middle(usual), rel=0.01)


def test_noisier_electronics_are_noisier():
    assert electronics(20.0, 1.0, 1.5).noise.std() == pytest.approx(
        1.5 * electronics(20.0).noise.std(), rel=1e-3
    )


def test_late_pulses_are_of_three_muons():
    """A muon loses 1.11 of its most probable loss on average; small signals have no late pulse, and
    neither have those whose light is too short.
    """
    state = np.empty(4, np.uint64)
    seed_stream(state, np.uint64(1), np.uint64(2))
    light, bins = [], []
    for _ in range(400):
        impulse = np.zeros((2, 192), np.float32)
        impulse[:, LEAD_BINS] = 5.0
        put_late_pulse(state, impulse, 20.0)
        late = impulse[:, LEAD_BINS + 1 :].sum(axis=0)
        light.append(late.sum() / 2)
        bins += list(np.flatnonzero(late) + 1)
    assert np.mean(light) == pytest.approx(3.0 * MUON_MEAN_LOSS, rel=0.03)
    assert 25 <= min(bins) < 28
    assert 73 < max(bins) <= 76
    for signal, width in ((2.9, 20.0), (5.0, 2.0)):
        impulse = np.zeros((2, 192), np.float32)
        impulse[:, LEAD_BINS] = signal
        put_late_pulse(state, impulse, width)
        assert impulse.sum() == pytest.approx(2 * signal)


def test_the_probability_of_late_pulses_is_that_of_the_configuration():
    shown = {"detector": {"accidental_rate_khz": 0, "late_pulse_probability": 1.0}}
    usual, late = (
        simulate_events(load_config({"showers": {"min_log10_energy_ev": 19}}, c), "test", 0, 60)
        for c in ({"detector": {"accidental_rate_khz": 0}}, shown)
    )
    assert late.n_hits == pytest.approx(usual.n_hits, rel=0.03)  # none is of a late pulse alone
    peaks = [find_pulses(e).n_peaks.mean() for e in (usual, late)]
    assert peaks[1] > peaks[0] + 0.1
