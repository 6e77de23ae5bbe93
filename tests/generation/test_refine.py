"""Refined and re-weighted events: what is kept, what is changed, and when nothing is."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from tashower.cli import main
from tashower.config import as_dict, load_config
from tashower.generation import refine, refine_file
from tashower.generation.measured import (
    BINS,
    LARGEST_WEIGHT,
    Scorer,
    area_under_curve,
    compared,
    held_out,
    measure_hits,
    scale_of,
    told_apart,
)
from tashower.generation.refiner import (
    LARGEST_LOG,
    Hits,
    Refiner,
    as_hits,
    draw_chance,
    penalty_between,
)
from tashower.generation.reweight import (
    SUMMARY,
    as_weights,
    density_ratio,
    drawn_by_weight,
    event_summary,
    standard_of,
)
from tashower.io.event_file import read_events, write_events
from tashower.io.hdf5 import read_attributes
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.simulate import simulate_events

SMALL = {"array": {"columns": 9, "rows": 9}, "showers": {"min_log10_energy_ev": 19.0}}


def simulated(n=60, seed=1, **changes):
    return simulate_events(load_config(SMALL, {"seed": seed, **changes}), "train", 0, n)


@pytest.fixture(scope="module")
def events():
    return simulated()


@pytest.fixture(scope="module")
def measured(events):
    return measure_hits(events, find_pulses(events))


def wild(events, seed=3):
    """A refiner that changes a lot."""
    torch.manual_seed(seed)
    refiner = Refiner(2, 5, scale_of(events), 0.75, True)
    for layer in (refiner.taps[-1], refiner.last):
        torch.nn.init.normal_(layer.weight, 0.0, 0.5)
    return refiner


def fitted(events, measured, part=1.0):
    return refine.Fitted(wild(events), standard_of(measured.condition), part, {})


def test_what_is_measured_needs_no_truth(events, measured):
    pulses = find_pulses(events)
    assert not pulses.saturated[measured.rows].any()
    signal = pulses.signal.mean(axis=1)[measured.rows]
    np.testing.assert_allclose(measured.condition[:, 0], np.log(signal), rtol=1e-5)
    first = measured.event == measured.event[0]
    assert (measured.condition[first, 2] >= measured.condition[first, 0] - 1e-6).all()
    secant = 1.0 / np.cos(events.truth.zenith[measured.event])
    assert np.median(np.abs(measured.condition[:, 1] - secant)) < 0.08
    again = measure_hits(replace(events, truth=None), pulses)
    np.testing.assert_array_equal(again.condition, measured.condition)
    counts = measured.waveform[0].T + measured.pedestal[0]
    np.testing.assert_allclose(counts, events.waveform[measured.rows[0]], atol=1e-3)


def test_early_stations_have_positive_places(events, measured):
    """Along the direction that the shower comes from: hit earlier."""
    time = find_pulses(events).arrival_time[measured.rows]
    delay, place = [], []
    for event in np.unique(measured.event):
        of = measured.event == event
        delay.extend(time[of] - time[of].mean())
        place.extend(measured.condition[of, 4] - measured.condition[of, 4].mean())
    assert np.corrcoef(delay, place)[0, 1] < -0.4


def test_a_refiner_that_says_nothing_changes_nothing(events, measured):
    hits = as_hits(measured, standard_of(measured.condition).of(measured.condition))
    hits = Hits(*(column[:300] for column in hits))
    chance = draw_chance(hits.waveform.shape, torch.Generator().manual_seed(1))
    with torch.no_grad():
        same = wild(events)(hits, chance, 0.0)
        fresh = Refiner(2, 5, scale_of(events), 0.75, True)(hits, chance)
    torch.testing.assert_close(same, hits.waveform)
    # A fresh one adds a fifth of the noise, which rounding mostly hides.
    assert (fresh - hits.waveform).abs().mean() < 0.25


def test_filters_conserve_light(events):
    refiner = wild(events)
    light = torch.zeros(3, 2, 100)
    light[:, :, 40] = torch.tensor([1.0, 2.0, 3.0])[:, None]
    with torch.no_grad():
        out = refiner._filtered(light, torch.randn(3, 5))
    torch.testing.assert_close(out.sum(2), light.sum(2), rtol=1e-5, atol=1e-5)
    assert (out[:, :, :38] == 0).all()
    assert (out[:, :, 55:] == 0).all()
    assert (out[:, :, 41:52].abs() > 0).any()


def test_change_of_a_bin_is_bounded_and_signals_are_kept(events):
    """Without noise, pulse and filter: factors within exp(+-LARGEST_LOG), over their mean."""
    refiner = wild(events)
    refiner.whole = False
    torch.nn.init.zeros_(refiner.taps[-1].weight)
    light = 40.0 + 400.0 * torch.rand(4, 2, 64, generator=torch.Generator().manual_seed(1))
    hits = Hits(light, torch.full((4, 2), 40.0), torch.full((4, 2), 6.0), torch.randn(4, 5))
    chance = draw_chance((4, 2, 64), torch.Generator().manual_seed(1))
    with torch.no_grad():
        out = refiner(hits, chance._replace(pulse=0.0 * chance.pulse, noise=0.0 * chance.noise))
    change = torch.log(out / light)
    assert change.abs().max() > 0.02
    ends = change.amax((1, 2)) - change.amin((1, 2))
    assert (ends <= 2.0 * LARGEST_LOG + 1e-5).all()
    assert (change.amax((1, 2)) > 0).all()
    assert (change.amin((1, 2)) < 0).all()
    sums = out.sum((1, 2)) / light.sum((1, 2))
    torch.testing.assert_close(sums, torch.ones(4), rtol=0.01, atol=0.0)


def test_random_pulses_have_unit_area_times_their_size():
    chance = draw_chance((4000, 2, 128), torch.Generator().manual_seed(1))
    size = chance.pulse.sum(2)[:, 0]
    assert size.min() > 0.0
    assert size.max() < 1.0
    inside = chance.pulse[:, 0, -12:].sum(1) == 0
    assert abs(size[inside].mean() - 0.5) < 0.02
    assert abs(chance.noise.std() - 1.0) < 0.01


def test_penalty_of_a_plane_of_a_cone_and_where_it_is_asked():
    generator = torch.Generator().manual_seed(1)
    data, made = torch.randn(50, 2, 8), torch.randn(50, 2, 8)
    w = torch.full((2, 8), 0.5)  # norm 2
    value = penalty_between(lambda x: (x * w).flatten(1).sum(1), data, made, generator)
    assert float(value.detach()) == pytest.approx(1.0, rel=1e-5)
    cone = penalty_between(lambda x: x.flatten(1).norm(dim=1), data, made, generator)
    assert float(cone.detach()) == pytest.approx(0.0, abs=1e-8)
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    penalty_between(critic, torch.ones(400, 1, 4), torch.zeros(400, 1, 4), generator)
    assert (seen[0] == seen[0][:, :, :1]).all()
    assert seen[0].std() == pytest.approx(12**-0.5, rel=0.1)


def test_area_under_curve_of_shifted_normals():
    """Phi(d/sqrt 2) for unit normals that are d apart."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.5, 1.0, 20000), rng.normal(0.0, 1.0, 20000)
    ones = np.ones(20000)
    assert area_under_curve(a, b, (ones, ones)) == pytest.approx(norm.cdf(0.5 / 2**0.5), abs=0.01)
    assert area_under_curve(a, a, (ones, ones)) == pytest.approx(0.5, abs=1e-9)
    assert area_under_curve(np.array([1.0]), np.array([0.0, 2.0]), ([1.0], [3.0, 1.0])) == 0.75


def test_error_of_the_area_counts_events():
    """Hits that come ten at a time, alike, say as much as one."""
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.0, 1.0, (2, 300))
    event = np.arange(300)
    one = told_apart((a, b), (event, event), np.ones(300), 1)
    many = np.repeat(event, 10)
    ten = told_apart((a[many], b[many]), (many, many), np.ones(3000), 1)
    assert ten[0] == pytest.approx(one[0])
    assert ten[1] == pytest.approx(one[1], rel=0.3)
    assert one[1] == pytest.approx((2 / 12 / 300) ** 0.5, rel=0.3)


def test_events_are_held_out_as_a_whole():
    event = np.repeat(np.arange(1000), 3)
    kept = held_out(event, 1).reshape(-1, 3)
    assert (kept.all(axis=1) | ~kept.any(axis=1)).all()
    assert 0.25 < kept.mean() < 0.35
    assert (held_out(event, 1) != held_out(event, 2)).any()


def test_weights_make_one_normal_of_another():
    """N(0, 1) to N(0.5, 1): weights exp(x/2 - 1/8)."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(0.0, 1.0, (3000, 1)), rng.normal(0.5, 1.0, (3000, 1))
    w = density_ratio(x, y, np.arange(3000), 1, 80)
    assert w.mean() == pytest.approx(1.0)
    assert np.average(x[:, 0], weights=w) == pytest.approx(0.5, abs=0.08)
    middle = np.abs(x[:, 0]) < 1.5
    expected = np.exp(x[:, 0] / 2 - 1 / 8)
    assert np.abs(np.log(w / expected))[middle].mean() < 0.12


def test_weights_are_capped_and_normalised():
    w = as_weights(np.concatenate([np.zeros(999), [30.0]]))
    assert w.mean() == pytest.approx(1.0)
    assert w.max() == pytest.approx(LARGEST_WEIGHT, rel=1e-6)
    np.testing.assert_allclose(as_weights(np.full(7, -3.0)), 1.0)


def test_events_come_as_often_as_their_weight_says():
    w = np.array([0.0, 0.4, 2.6, 1.0, 1.0])
    counts = np.array([np.bincount(drawn_by_weight(w, s), minlength=5) for s in range(300)])
    assert (counts.sum(axis=1) == 5).all()
    assert (counts[:, 0] == 0).all()
    assert set(counts[:, 2]) == {2, 3}
    np.testing.assert_allclose(counts.mean(axis=0), w, atol=0.1)


def test_refined_events_are_events(events, measured):
    out = refine.refine_events(events, fitted(events, measured))
    assert out.waveform.dtype == np.uint16
    assert out.waveform.max() <= 4095
    assert out.truth is events.truth
    assert out.hit_time is events.hit_time
    changed = (out.waveform != events.waveform).any(axis=(1, 2))
    assert changed[measured.rows].mean() > 0.99
    others = np.setdiff1d(np.arange(events.n_hits), measured.rows)
    assert len(others)
    assert not changed[others].any()
    again = refine.refine_events(events, fitted(events, measured))
    np.testing.assert_array_equal(again.waveform, out.waveform)
    other = refine.refine_events(events, fitted(events, measured), 2)
    assert (other.waveform != out.waveform).any()
    assert refine.refine_events(events, fitted(events, measured, 0.0)) is events


def test_what_was_not_read_out_stays(events, measured):
    read = refine._read_out(events, measured)
    assert read[:, :BINS].mean() > 0.995
    assert 0.2 < (~read[:, BINS:]).mean() < 1.0
    out = refine.refine_events(events, fitted(events, measured))
    same = out.waveform[measured.rows] == events.waveform[measured.rows]
    assert same.all(axis=2)[~read].all()


def test_summary_says_what_it_says(events, measured):
    has, columns = event_summary(events, find_pulses(events), measured)
    assert columns.shape == (has.sum(), len(SUMMARY))
    counts = np.bincount(measured.event, minlength=events.n_events)
    np.testing.assert_allclose(columns[:, 0], np.log(counts[has]))
    assert (columns[:, 3] <= 1.0).all()
    assert (columns[:, 6] < 1.0).all()
    assert 0.6 < np.median(columns[:, -1]) < 1.1  # noise of 0.75 counts, digitised


def test_compared_waveforms_are_of_order_one(events, measured):
    x = compared(*as_hits(measured, torch.zeros(len(measured.rows), 5))[:2], scale_of(events))
    assert x.shape == (len(measured.rows), 2, BINS)
    assert 0.3 < float(x[:, :, :20].std()) < 0.5
    assert Scorer(2, 0)(x[:4]).shape == (4,)
    short = compared(torch.ones(1, 2, 64), torch.ones(1, 2), 1.0)
    assert short.shape == (1, 2, BINS)
    assert (short[:, :, 64:] == 0).all()


@pytest.mark.parametrize(
    ("before", "after", "trained", "changed"),
    [(0.519, 0.5, False, 0.0), (0.53, 0.525, True, 0.0), (0.6, 0.56, True, 1.0)],
)
def test_two_errors_decide(before, after, trained, changed, events, monkeypatch):
    """Of 0.01 each: whether anything is tried, and whether it is kept."""
    found, calls = iter([before, *[after] * 2]), []

    def train(refiner, *how):
        calls.append(how)
        return [refiner.state_dict()] * 2

    monkeypatch.setattr(refine, "_classifier_auc", lambda *a: (next(found), 0.01))
    monkeypatch.setattr(refine, "train_refiner", train)
    monkeypatch.setattr(refine, "density_ratio", lambda a, *rest: np.ones(len(a)))
    result = refine.fit_refiner(events, events, 1, 30)
    assert bool(calls) == trained
    assert result.part == changed


@pytest.fixture(scope="module")
def files(events, tmp_path_factory):
    folder = tmp_path_factory.mktemp("refined")
    configuration = as_dict(load_config(SMALL))
    write_events(folder / "simulated.h5", events, configuration, (), "simulate", {})
    noisy = simulated(seed=2, detector={"noise_factor": 3.0})
    write_events(folder / "data.h5", replace(noisy, truth=None), configuration, (), "simulate")
    return folder


def test_command_and_its_checkpoint(files, tmp_path, capsys, monkeypatch):
    words = [str(files / "simulated.h5"), "--seed", "5"]
    out, again, kept = (str(tmp_path / name) for name in ("a.h5", "b.h5", "c.pt"))
    made = ["--towards", str(files / "data.h5"), "--steps", "20", "--checkpoint", kept]
    found = []

    def fit(simulated, data, *how):
        assert data.truth is None
        assert how[:2] == (5, 20)
        measured = measure_hits(simulated, find_pulses(simulated))
        found.append({"auc_before": 0.9, "auc_before_error": 0.01, "auc_after": 0.6})
        return fitted(simulated, measured)._replace(found=found[-1])

    monkeypatch.setattr(refine_file, "fit_refiner", fit)
    assert main(["refine", *words, *made, "-o", out]) == 0
    assert "AUC 0.900 +- 0.010 on held-out stations, 0.600 afterwards" in capsys.readouterr().out
    assert main(["refine", *words, "--checkpoint", kept, "-o", again]) == 0
    moved = read_events(files / "simulated.h5")
    moved = replace(moved, array=replace(moved.array, spacing=1500.0))
    write_events(tmp_path / "moved.h5", moved, {})
    other = ["refine", str(tmp_path / "moved.h5"), "--checkpoint", kept, "-o", out + "x"]
    assert main(other) == 2
    assert "was trained for another array: spacing_m 1500" in capsys.readouterr().err
    one, two = read_events(out), read_events(again)
    np.testing.assert_array_equal(one.waveform, two.waveform)
    before = read_events(files / "simulated.h5")
    np.testing.assert_array_equal(one.truth.energy, before.truth.energy)
    assert (one.waveform != before.waveform).any()
    attributes = read_attributes(out)
    assert json.loads(attributes["refined"])["method"] == "adversarial"
    assert json.loads(attributes["configuration"])["array"]["columns"] == 9
    assert [name for name, _ in json.loads(attributes["made_from"])] == ["simulated.h5", "data.h5"]


def test_events_are_drawn_towards_data(files, tmp_path, capsys):
    out = str(tmp_path / "w.h5")
    words = ["refine", str(files / "simulated.h5"), "--towards", str(files / "data.h5")]
    assert main([*words, "--method", "reweight", "--steps", "60", "-o", out]) == 0
    assert "weights worth" in capsys.readouterr().out
    drawn, said = read_events(out), json.loads(read_attributes(out)["refined"])
    assert said["auc_before"] > 0.9
    assert said["changed"]
    assert (
        said["effective_sample_size"]
        <= drawn.n_events
        == read_events(files / "simulated.h5").n_events
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--towards: data are needed"),
        (["--method", "reweight"], "needs --towards"),
        (["--checkpoint", "absent.pt"], "absent.pt: no such file"),
        (["--towards", "absent.h5"], "absent.h5: no such file"),
        (["--steps", "3"], "--steps 3"),
        (["--seed", "-1"], "--seed -1"),
        (["--towards", "{few}"], "few.h5: 5 events"),
        (["--towards", "{bare}"], "bare.h5: has no waveforms"),
        (["--towards", "{other}"], "other.h5: area is 1"),
    ],
)
def test_bad_input(words, message, files, events, tmp_path, capsys):
    few = events[:5]
    made = {
        "few": few,
        "bare": replace(few, waveform=None, pulses=find_pulses(few)),
        "other": replace(
            few, array=replace(few.array, detector=replace(few.array.detector, area=1.0))
        ),
    }
    for name, some in made.items():
        write_events(tmp_path / f"{name}.h5", some, {})
    words = [word.format(**{name: tmp_path / f"{name}.h5" for name in made}) for word in words]
    out = tmp_path / "x.h5"
    assert main(["refine", str(files / "simulated.h5"), *words, "-o", str(out)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not out.exists()


@pytest.mark.slow
def test_where_nothing_is_wrong_nothing_is_changed():
    """Another seed of the same world: not a count differs, so no network's score does."""
    one, two = simulated(300, 1), simulated(300, 2)
    found = refine.fit_refiner(one, replace(two, truth=None), 1, 40)
    assert found.part == 0.0
    assert abs(found.found["auc_before"] - 0.5) < 0.05
    assert refine.refine_events(one, found) is one
    weighted = refine.reweight_events(one, two, 1, steps=100)
    assert weighted.events is one


@pytest.mark.slow
def test_without_the_early_stop_little_is_changed_where_nothing_is_wrong(monkeypatch):
    """What a false alarm would do: signals, shapes and edges stay within these bounds."""
    monkeypatch.setattr(refine, "SIGMAS", -1e9)
    one, two = simulated(150, 1), simulated(150, 2)
    found = refine.fit_refiner(one, two, 1, 60)._replace(part=1.0)
    before, after = (find_pulses(e) for e in (one, refine.refine_events(one, found)))
    signal = before.signal.mean(axis=1)
    large = (signal > 5.0) & ~before.saturated & np.isfinite(after.arrival_time)
    change = np.log(after.signal.mean(axis=1)[large] / signal[large])
    assert abs(change.mean()) < 0.01
    assert 0.0 < np.quantile(np.abs(change), 0.68) < 0.03
    shape = after.area_over_peak[large] / before.area_over_peak[large]
    assert abs(np.median(shape) - 1.0) < 0.15
    assert np.quantile(np.abs(after.arrival_time - before.arrival_time)[large], 0.68) < 3.0


@pytest.mark.slow
def test_noise_that_simulation_lacks_is_added():
    one, two = simulated(250, 1), simulated(250, 2, detector={"noise_factor": 3.0})
    found = refine.fit_refiner(one, two, 1, 120)
    assert found.part == 1.0
    assert found.found["auc_after"] < found.found["auc_before"] - 0.02
    rms = [
        measure_hits(e, find_pulses(e)).waveform[:, :, :20].std()
        for e in (one, refine.refine_events(one, found), two)
    ]
    assert rms[0] + 0.3 * (rms[2] - rms[0]) < rms[1] < 1.3 * rms[2]
