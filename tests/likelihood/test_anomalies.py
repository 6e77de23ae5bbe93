"""Events that no simulation explains: p-values, their ranks, planted anomalies."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binom, chi2, kstest

from tashower.calibration.calibration import DEFAULT as CALIBRATION
from tashower.calibration.calibration import read_calibration
from tashower.calibration.station_likelihood import DEFAULT, read_station_likelihood
from tashower.cli import main
from tashower.config import load_config
from tashower.errors import InputError
from tashower.evaluation.show_event import _odd_of
from tashower.events.model import select_events
from tashower.io.anomaly_file import Anomalies, read_anomalies, write_anomalies
from tashower.io.event_file import write_events
from tashower.likelihood import anomalies
from tashower.likelihood.anomalies import (
    calibrate_anomalies,
    check_before,
    check_rate,
    find_anomalies,
)
from tashower.likelihood.left_out import TAILS, Judged, _tails, without_station
from tashower.likelihood.pulse_shapes import (
    N_NUMBERS,
    SHAPE_NUMBERS,
    shape_numbers,
    shape_tails,
    train_shapes,
)
from tashower.likelihood.tails import log_p_of, rank_p, sidak, tail_of
from tashower.likelihood.training import log_density_of, network_outputs
from tashower.physics.station import reduced_time
from tashower.reconstruction.methods import Context
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.simulate import simulate_events

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import anomalies as script

sys.path.pop()

CONFIG = load_config({"seed": 77, "showers": {"throws": 1}})
STATIONS = read_station_likelihood(DEFAULT)
CONTEXT = Context(read_calibration(CALIBRATION), CONFIG.reconstruction, stations=STATIONS)


@pytest.fixture(scope="module")
def few():
    return simulate_events(CONFIG, "test", 0, 12)


def test_a_sample_and_its_tail_give_flat_p(rng):
    tail = tail_of(rng.exponential(size=4000))
    p = np.exp(log_p_of(tail, rng.exponential(size=4000)))
    assert kstest(p, "uniform").pvalue > 1e-3
    assert (p < 0.01).mean() == pytest.approx(0.01, abs=0.006)
    # Far beyond the sample the logarithm goes on as that of the exponential distribution.
    assert log_p_of(tail, np.array([40.0]))[0] == pytest.approx(-40.0, rel=0.3)
    order = log_p_of(tail, np.linspace(0.0, 60.0, 200))
    assert (np.diff(order) <= 0).all()
    assert np.isnan(log_p_of(tail, np.array([np.nan]))[0])
    assert log_p_of(tail_of(np.zeros(0)), np.array([3.0]))[0] == 0.0


def test_the_number_of_looks_counts():
    log_p = np.log([0.01, 0.01, 1e-20, 0.5])
    found = sidak(log_p, np.array([1, 50, 50, 2]))
    np.testing.assert_allclose(np.exp(found), [0.01, 1 - 0.99**50, 50e-20, 0.75], rtol=1e-6)


def test_ranks_among_n_events_are_multiples_of_a_part_of_them(rng):
    ranks = np.sort(rng.normal(size=99))
    found = rank_p(ranks, np.array([ranks[0] - 1, ranks[4], ranks[-1] + 1, np.nan]))
    np.testing.assert_allclose(found[:3], [0.01, 0.06, 1.0])
    assert np.isnan(found[3])


@pytest.mark.parametrize(("rate", "n"), [(0.01, 98), (0.0, 999), (1.0, 999), (np.nan, 999)])
def test_rates_that_ranks_cannot_say_are_refused(rate, n):
    with pytest.raises(InputError, match="rate"):
        check_rate(rate, n)
    check_rate(0.01, 99)


def test_what_teaches_is_not_ranked_among(few):
    n = 120
    rows = np.arange(n) % len(few)
    many = select_events(few, rows)
    shower = np.repeat(np.arange(n // 3), 3)
    many = replace(many, truth=replace(many.truth, shower_id=shower))
    part = anomalies._part_of(many)
    counts = np.bincount(part) / n
    np.testing.assert_allclose(counts, [0.25, 0.25, 0.5])
    assert all(len(set(part[shower == k])) == 1 for k in range(n // 3))
    one = replace(many, truth=replace(many.truth, shower_id=np.zeros(n, int)))
    with pytest.raises(InputError, match="three showers"):
        anomalies._part_of(one)


def test_a_station_taken_out_is_out_of_service(few):
    pulses = find_pulses(few)
    hit = np.array([1, few.hit_offset[3], few.n_hits - 1])
    event, station = few.hit_event[hit], few.hit_station[hit]
    copies, of = without_station(replace(few, waveform=None), pulses, event, station)
    for i in range(3):
        whole, left = select_events(few, [event[i]]), select_events(copies, [i])
        keep = whole.hit_station != station[i]
        assert keep.sum() == len(keep) - 1
        np.testing.assert_array_equal(left.hit_station, whole.hit_station[keep])
        np.testing.assert_array_equal(left.hit_time, whole.hit_time[keep])
        want = sorted([*whole.dead_station, station[i]])
        assert sorted(left.dead_station) == want
    rows = slice(*copies.hit_offset[1:3])
    one = few.hit_offset[event[1]]
    np.testing.assert_array_equal(
        of.arrival_time[rows], pulses.arrival_time[one + 1 : few.hit_offset[event[1] + 1]]
    )
    assert copies.waveform is None
    assert copies.truth is None


@pytest.mark.parametrize("saturated", [False, True])
def test_tails_are_integrals_of_the_density(few, saturated):
    """Against sums of what the training's loss says, over a grid of times and signals."""
    array = few.array
    place = array.position[250]
    point = np.array([place[0] - 700.0, place[1], 0.3, 0.1, 3.0, 0.0, 2.6, -0.8, 0.0, 0.0])
    told = STATIONS._replace(background=STATIONS.background._replace(rate=0.0)), array
    one = np.ones(1)

    def judge(time, log_signal, stations=told, points=point[None], weights=one):
        row = (np.zeros(1, int), np.array([250]), np.zeros(1, int), np.full((1, 5), np.nan))
        rows = Judged(*row, np.full((1, 5), np.nan), np.array([log_signal]), np.zeros(1))
        seen = np.array([time]), np.array([saturated])
        return _tails(rows, seen, points[None], weights[None], stations)

    n_z = np.sqrt(1 - 0.09 - 0.01)
    plane = -(0.3 * 700.0 + n_z * place[2]) / 0.299792458
    time = plane + 90.0
    level = judge(time, 3.0)[1][0, 0] - 0.1
    tails, conditions, reduced_times = judge(time, level)
    c = conditions[0]
    density = STATIONS.density
    reduced = (np.clip(c, density.low, density.high) - density.mean) / density.width
    out = network_outputs(density, torch.tensor(reduced[None]).float())
    u, v = np.linspace(-9, 9, 451), np.linspace(-7, 5, 301)
    grid = torch.tensor(np.stack(np.meshgrid(u, v, indexing="ij"))).reshape(2, -1)
    n = grid.shape[1]
    of = {}
    for flag in (False, True):
        flags, hit = torch.full((n,), flag), torch.ones(n, dtype=torch.bool)
        log_signal = torch.full((n,), c[0])
        value = log_density_of(out.expand(n, -1), log_signal, hit, flags, (grid[0], grid[1]))
        of[flag] = value.exp().double().numpy().reshape(451, 301)
    seen_u = reduced_time(time - plane, c[2], c[4])[0]
    assert reduced_times[0] == pytest.approx(seen_u, abs=1e-6)
    both, own = of[False] + of[True], of[saturated]

    def below(x, at, weight):
        """Part of the weights of cells around x below a place."""
        edges = np.append(x, 2 * x[-1] - x[-2]) - 0.5 * (x[1] - x[0])
        return np.interp(at, edges, np.append(0.0, np.cumsum(weight))) / weight.sum()

    early = below(u, seen_u, own.sum(axis=1))
    small = below(v, level - c[0], both.sum(axis=0))
    assert 0.01 < early < 0.99
    assert 0.01 < small < 0.99
    np.testing.assert_allclose(tails[0, :4], [early, 1 - early, small, 1 - small], atol=2e-3)
    assert np.isnan(tails[0, 4])
    assert judge(time + 1.0, level)[0][0, 0] > tails[0, 0]
    assert judge(time, level + 0.1)[0][0, 2] > tails[0, 2]
    # Of two showers each counts as far as it makes such a hit likely.
    other = point.copy()
    other[4] += 0.7
    p, n = [], []
    for q in (point, other):
        single = judge(time, level, points=q[None])
        reduced = (np.clip(single[1][0], density.low, density.high) - density.mean) / density.width
        flags = network_outputs(density, torch.tensor(reduced[None]).float())[0, -2:].numpy()
        made = -np.expm1(-np.exp(single[1][0, 0] + flags[0]))
        n.append(made / (1 + np.exp(-flags[1] if saturated else flags[1])))
        p.append(single[0][0, 0])
    two = judge(time, level, points=np.stack([point, other]), weights=np.array([0.3, 0.7]))
    want = (0.3 * n[0] * p[0] + 0.7 * n[1] * p[1]) / (0.3 * n[0] + 0.7 * n[1])
    assert two[0][0, 0] == pytest.approx(want, rel=1e-4)
    # A station that may be hit by background is never impossibly early, where it may be silent.
    far, point[4] = judge(-30_000.0, 0.0)[0][0, 0], -5.0
    rare = judge(-3000.0, 0.0, told)[0][0, 0]
    usual = judge(-3000.0, 0.0, (STATIONS, array))[0][0, 0]
    assert far < 1e-6
    if not saturated:
        assert usual > rare


def test_numbers_of_a_pulse_made_by_hand(few):
    """A box of light 200 ns long, in one layer twice as large."""
    one = select_events(few, [0])
    bins, width = one.waveform.shape[1], one.array.detector.bin_width
    pedestal = np.full((one.n_hits, 2), 30.0, np.float32)
    gain = np.full((one.n_hits, 2), 50.0, np.float32)
    waveform = np.full(one.waveform.shape, 30, np.uint16)
    long = round(200.0 / width)
    waveform[:, 20 : 20 + long] += np.array([100, 200], np.uint16)
    waveform[:, 60, :] -= 10
    made = replace(one, waveform=waveform, pedestal=pedestal, counts_per_vem=gain)
    assert bins > 61
    found = dict(zip(SHAPE_NUMBERS, shape_numbers(made, find_pulses(made))[0], strict=True))
    assert found["ratio of the layers"] == pytest.approx(np.log(2.0), abs=0.05)
    assert np.expm1(found["area over peak"]) * 20 == pytest.approx(200.0, rel=0.1)
    assert np.expm1(found["half of the light"]) * 20 - 60 == pytest.approx(100.0, abs=25.0)
    assert np.expm1(found["nine tenths"]) * 20 - 60 == pytest.approx(180.0, abs=30.0)
    assert np.expm1(found["peaks"]) == pytest.approx(1.0)
    assert np.expm1(found["below the pedestal"]) * 0.1 == pytest.approx(0.2, rel=1e-3)
    assert np.exp(found["late light"]) == pytest.approx(1e-3, rel=0.5)
    flat = replace(made, waveform=np.full_like(waveform, 30))
    assert np.isnan(shape_numbers(flat, find_pulses(flat))).all()
    assert np.isnan(shape_numbers(replace(made, waveform=None), find_pulses(made))).all()


def test_the_density_of_shapes_learns_what_depends_on_what(rng):
    """Correlated normal numbers whose mean follows an input: the tail is then that of chi2."""
    n = 5000
    inputs = rng.normal(size=(n, 7))
    mix = np.eye(N_NUMBERS) + 0.4 * np.tri(N_NUMBERS, k=-1)
    numbers = rng.normal(size=(n, N_NUMBERS)) @ mix.T
    numbers[:, 0] += 2.0 * inputs[:, 1]
    density = train_shapes(inputs[:4000], numbers[:4000], 1, 120)
    tail, z = shape_tails(density, inputs[4000:], numbers[4000:])
    off = np.linalg.solve(mix, (numbers - 2.0 * np.outer(inputs[:, 1], np.eye(N_NUMBERS)[0])).T).T
    exact = chi2.sf((off**2).sum(axis=1), N_NUMBERS)[4000:]
    assert np.median(tail) == pytest.approx(0.5, abs=0.15)
    assert np.corrcoef(np.log(tail), np.log(exact))[0, 1] > 0.85
    assert abs(z[:, 0].mean()) < 0.15
    assert z[:, 0].std() == pytest.approx(1.0, abs=0.15)
    far = numbers[4000:4001].copy()
    far[0, 2] += 30.0
    assert shape_tails(density, inputs[4000:4001], far)[0][0] < 1e-20
    again = train_shapes(inputs[:500], numbers[:500], 1, 3)
    other = train_shapes(inputs[:500], numbers[:500], 2, 3)
    assert not torch.equal(again.weights[0][0], other.weights[0][0])


@pytest.fixture
def found():
    return Anomalies(
        *(0.01, 999, np.array([5, 6]), np.array([0.001, 0.4]), np.array(["station: late", "x"])),
        *(np.array([7.5, 0.2]), np.array([2, 0]), np.array([0, 0]), np.array([102, 103])),
        *(np.array([1, 2]), np.array([0.001, np.nan]), np.array(["late", "?"])),
        *(np.array([[0.5, 0.001], [np.nan, 1.0]]), ("early", "late")),
    )


def test_files_hold_everything(found, tmp_path):
    path = tmp_path / "a.h5"
    write_anomalies(path, found, {})
    again = read_anomalies(path)
    for name, a, b in zip(found._fields, found, again, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)
    np.testing.assert_array_equal(again.flagged, [True, False])
    np.testing.assert_array_equal(again.station_flagged, [True, False])
    write_anomalies(tmp_path / "a.csv", found, {})
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "event,event_p,event_flagged,event_odd,station,p,flagged,odd,p_early,p_late"
    assert lines[1] == "5,0.001,1,station: late,102,0.001,1,late,0.5,0.001"
    assert lines[3] == "6,0.4,0,x,,,,,,"
    with pytest.raises(InputError, match=r"\.h5 or \.csv"):
        write_anomalies(tmp_path / "a.txt", found, {})
    write_anomalies(path, found._replace(score=np.zeros(1)), {})
    with pytest.raises(InputError, match="do not fit"):
        read_anomalies(path)


def test_what_cannot_be_judged_is_refused(few, tmp_path, capsys):
    write_events(tmp_path / "few.h5", few, {})
    write_events(tmp_path / "other.h5", replace(few, truth=None), {})
    few, other, to = (str(tmp_path / n) for n in ("few.h5", "other.h5", "to.h5"))
    for words, said in (
        ([few, "--calibrate", other, "-o", to], "no truth"),
        ([other, "--calibrate", few, "-o", to], "at least 100"),
        ([few, "--calibrate", few, "-o", to], "is there twice"),
        ([other, "--calibrate", few, "-o", "to.txt"], ".csv"),
    ):
        assert main(["anomalies", *words]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not (tmp_path / "to.h5").exists()


def test_show_says_what_is_odd(few, found, tmp_path, capsys):
    write_events(tmp_path / "few.h5", few, {})
    n = len(few)
    hit = few.hit_station[few.hit_offset[:-1]]
    odd = found._replace(
        event_id=few.event_id,
        p_value=np.full(n, 0.001),
        odd=np.full(n, "station: late"),
        score=np.ones(n),
        n_stations=np.ones(n, int),
        station_event=np.arange(n),
        station_id=few.array.station_id[hit],
        station=hit,
        station_p_value=np.where(np.arange(n) == 2, 0.001, 0.5),
        station_odd=np.full(n, "late"),
        tails=np.ones((n, 2)),
    )
    write_anomalies(tmp_path / "odd.h5", odd, {})
    asked = []
    for index in (2, 3):
        made = _odd_of(tmp_path / "odd.h5", few, "few.h5", index)
        asked.append(tuple(made["odd_stations"]))
        assert "flagged at a false-alarm rate of 0.01, p = 0.001: station: late" in made["odd"]
    assert asked == [(hit[2],), ()]
    words = ["show", str(tmp_path / "few.h5"), "--event", "2", "-o", str(tmp_path / "p.svg")]
    assert main([*words, "--anomalies", str(tmp_path / "odd.h5")]) == 0
    assert "Anomaly: flagged" in (tmp_path / "p.svg").read_text()
    assert main(words) == 0
    assert "Anomaly" not in (tmp_path / "p.svg").read_text()
    write_anomalies(tmp_path / "odd.h5", found, {})
    assert main([*words, "--anomalies", str(tmp_path / "odd.h5")]) == 2
    assert "is not of the events of" in capsys.readouterr().err


def test_other_detectors_are_refused_before_anything_is_computed(few):
    bare = replace(few, waveform=None, pulses=find_pulses(few))
    large = replace(few.array.detector, area=10.0)
    other = replace(few, array=replace(few.array, detector=large))
    coarse = replace(few.array.detector, bin_width=25.0)
    wider = replace(few, array=replace(few.array, spacing=1.5 * few.array.spacing))
    slower = replace(few, array=replace(few.array, detector=coarse))
    for events, simulated, said in (
        (wider, few, "1800 m between stations, those to calibrate with 1200: .* same array"),
        (few, slower, "20 ns a bin, those to calibrate with 25"),
        (bare, few, "have no waveforms"),
        (few, bare, "have waveforms"),
        (other, few, "these have 10 m"),
        (few, other, "these have 10 m"),
        (few, few, "at least 100"),
    ):
        with pytest.raises(InputError, match=said):
            check_before(0.01, simulated, events, CONTEXT)


def test_planted_anomalies_are_what_they_say(few):
    hits = script.chosen_hits(few, 3.0)
    events = select_events(few, hits >= 0)
    hits = script.chosen_hits(events, 3.0)
    late = script.late_clock(events, hits)
    moved = late.hit_time - events.hit_time
    assert (moved[hits] == 1000.0).all()
    assert np.count_nonzero(moved) == len(hits)
    dead = script.without_hits(events, hits)
    assert dead.n_hits == events.n_hits - len(hits)
    assert not np.isin(events.hit_station[hits[0]], select_events(dead, [0]).hit_station)
    turned = find_pulses(script.turned_front(events)).arrival_time
    assert np.nanmean(turned - find_pulses(events).arrival_time) < -100.0
    both = script.overlaid(events)
    assert both.n_hits > 1.5 * events.n_hits
    assert all((np.diff(select_events(both, [i]).hit_station) > 0).all() for i in range(len(both)))
    muons = script.all_muons(events, CONFIG, 3)
    assert (muons.truth.muon_share == 0.98).all()


@pytest.mark.slow
def test_false_alarms_are_as_stated_and_planted_ones_found():
    scale = calibrate_anomalies(simulate_events(CONFIG, "test", 0, 420), CONTEXT)
    clean = simulate_events(CONFIG, "train", 0, 160)
    quiet = find_anomalies(clean, CONTEXT, scale, 0.05)
    assert kstest(quiet.p_value, "uniform").pvalue > 1e-3
    n = len(clean)
    assert binom.cdf(quiet.flagged.sum() - 1, n, 0.05) < 0.999
    # Stations are flagged in flagged events alone.
    assert quiet.flagged[quiet.station_event[quiet.station_flagged]].all()
    some = select_events(clean, slice(0, 40))
    # Of these 40 events 16 were found with the late clock.
    for name, least in (("one clock 1 us late", 0.2), ("long pulses everywhere", 0.9)):
        events = script.PLANTED[name](some)
        found = find_anomalies(events, CONTEXT, scale, 0.05)
        assert found.flagged.mean() > least, name
    strict = find_anomalies(some, CONTEXT, scale, 0.01)
    assert strict.flagged.sum() <= find_anomalies(some, CONTEXT, scale, 0.2).flagged.sum()
    assert strict.tail_names[:-1] == TAILS
    bare = replace(some, waveform=None, pulses=find_pulses(some))
    with pytest.raises(InputError, match="waveforms"):
        find_anomalies(bare, CONTEXT, scale, 0.05)


@pytest.mark.slow
def test_the_command_says_and_writes_what_it_found(few, tmp_path, capsys):
    write_events(tmp_path / "few.h5", select_events(few, slice(0, 4)), {})
    write_events(tmp_path / "many.h5", simulate_events(CONFIG, "train", 0, 124), {})
    words = ["anomalies", str(tmp_path / "few.h5"), "--calibrate", str(tmp_path / "many.h5")]
    assert main([*words, "--rate", "0.02", "-o", str(tmp_path / "found.h5")]) == 0
    said = capsys.readouterr().out
    assert "of 4 events flagged" in said
    found = read_anomalies(tmp_path / "found.h5")
    assert found.rate == 0.02
    np.testing.assert_array_equal(found.event_id, few.event_id[:4])
    assert f"{found.n_calibration:,} simulated events to rank among" in said
    assert found.p_value.min() >= 1.0 / (found.n_calibration + 1)
    assert main([*words, "--rate", "0.001", "-o", str(tmp_path / "not.h5")]) == 2
    assert "needs 999 events to rank" in capsys.readouterr().err
    assert not (tmp_path / "not.h5").exists()
