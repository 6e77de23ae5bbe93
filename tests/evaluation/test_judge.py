"""Event files judged against each other: real against real is clean, what is planted is found."""

import json
import logging
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hits import make_events

import tashower
from tashower.cli import main
from tashower.errors import InputError
from tashower.evaluation import judge as judging
from tashower.evaluation import judge_page
from tashower.evaluation.copies import find_copies
from tashower.evaluation.judge import Fitted, _thrown, check_comparable, sample_of
from tashower.evaluation.judged import compare_samples, halves, looks, units_of
from tashower.evaluation.judged_tables import clear_looks, words
from tashower.evaluation.two_samples import Chance
from tashower.events.array import regular_array
from tashower.events.model import concatenate_events
from tashower.generation import classifier
from tashower.io.event_file import read_events, write_events
from tashower.reconstruction.pulses import find_pulses

ARRAY = {"columns": 9, "rows": 9}
SHOWERS = {"min_log10_energy_ev": 19.0, "core_margin_m": -1800}


@pytest.fixture(autouse=True)
def fewer_steps(monkeypatch):
    monkeypatch.setattr(classifier, "_STEPS", 40)


def simulated(split="test", n=150, **showers):
    return tashower.simulate(n, split=split, array=ARRAY, showers=SHOWERS | showers)


def fitted(events, path="some.h5"):
    logging.disable()
    fits = tashower.fit(events, methods=["free", "complete"])
    logging.disable(logging.NOTSET)
    return Fitted(path, events, fits.pulses, dict(fits), fits.features)


def sample(events, name="file", with_truth=True):
    return sample_of(fitted(events), name, with_truth)


@pytest.fixture(scope="module")
def events():
    return simulated(n=150)


@pytest.fixture(scope="module")
def real(events):
    return sample(events, "real")


def found_in(compared):
    return {(look.kind, look.name) for look in clear_looks(compared)}


@pytest.mark.slow
def test_real_against_other_real_is_clean(real):
    compared = compare_samples(real, sample(simulated("validation"), "other"), 1)
    assert not compared.paired
    assert len(looks(compared)) >= 45
    assert len({(look.kind, look.name) for look in looks(compared)}) == len(looks(compared))
    assert found_in(compared) == set()
    for area in compared.areas.values():
        assert abs(area.value - 0.5) < 4.0 * area.error


@pytest.fixture(scope="module")
def more_muons(real):
    return compare_samples(real, sample(simulated(muon_factor=1.3), "muons"), 1)


@pytest.mark.slow
def test_more_muons_are_found(real, more_muons):
    """In the energy and in the shape of pulses: muons come first, and in one peak. The size of the
    true shower holds them, so that signals are as expected.
    """
    assert more_muons.paired
    found = found_in(more_muons)
    assert {("distribution", "energy_free"), ("mean", "rise"), ("mean", "fall")} <= found
    assert ("mean", "log_ratio") not in found
    energy = more_muons.fits["energy_complete"]
    assert 0.05 < energy.mean[1][0] - energy.mean[0][0] < 0.2
    said = [words(look) for look in clear_looks(more_muons)]
    assert "ln(E/E true), free fit" in said
    assert "mean of rise time, 10 to 50 % against distance to the axis" in said
    assert all(np.isfinite(one.p_value) for one in more_muons.areas.values())


def wider(events, factor):
    """Pulses stretched around their first bin above the pedestal, with the same integral."""
    above = events.waveform - events.pedestal[:, None, :]
    n_bins = above.shape[1]
    begin = np.argmax(above > 4.0, axis=1)[:, None]
    place = begin + (np.arange(n_bins)[None, :, None] - begin) / factor
    low = np.clip(np.floor(place).astype(int), 0, n_bins - 2)
    part = np.clip(place - low, 0.0, 1.0)
    one, other = (np.take_along_axis(above, low + k, axis=1) for k in (0, 1))
    stretched = ((1.0 - part) * one + part * other) / factor + events.pedestal[:, None, :]
    return replace(events, waveform=np.round(np.maximum(stretched, 0)).astype(np.uint16))


def far_hits_later(events, by, beyond=1000.0):
    truth, hit = events.truth, events.hit_event
    away = events.array.position[events.hit_station, :2]
    r = np.hypot(away[:, 0] - truth.core_x[hit], away[:, 1] - truth.core_y[hit])
    return replace(events, hit_time=events.hit_time + by * (r > beyond))


def other_layer(events):
    """The lower layer of every hit is that of another hit of about the same signal."""
    order = np.argsort(events.waveform.sum(axis=(1, 2)))
    waveform = events.waveform.copy()
    waveform[order[:-1], :, 1] = events.waveform[order[1:], :, 1]
    return replace(events, waveform=waveform)


def fewer_weak_hits(events, part):
    """Every so many of the weak hits is not there."""
    signal = fitted(events).pulses.signal.mean(axis=1)
    weak = np.flatnonzero(signal < 3.0)
    keep = np.ones(events.n_hits, bool)
    keep[weak[:: round(1 / part)]] = False
    names = ("hit_station", "hit_time", "waveform", "pedestal", "counts_per_vem")
    length = np.bincount(events.hit_event[keep], minlength=events.n_events)
    return replace(
        events,
        hit_offset=np.concatenate([[0], np.cumsum(length)]),
        **{name: getattr(events, name)[keep] for name in names},
    )


@pytest.fixture(scope="module")
def again(events):
    """The same showers, seen by other particles."""
    return tashower.simulate(truth=events.truth, array=ARRAY)  # another stream than that of a split


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda e: e, set()),
        (lambda e: wider(e, 1.1), {("mean", "rise"), ("classifier", "stations")}),
        (lambda e: far_hits_later(e, 60.0), {("mean", "time")}),
        (other_layer, {("mean", "layer_correlation"), ("spread", "log_layers")}),
        (lambda e: fewer_weak_hits(e, 0.2), {("mean", "hit"), ("distribution", "n_hits")}),
    ],
    ids=["nothing", "pulses 10 % wider", "onset 60 ns later", "other layers", "weak hits missing"],
)
def test_what_is_planted_is_found(again, real, change, expected):
    compared = compare_samples(real, sample(change(again), "planted"), 1)
    assert compared.paired
    found = found_in(compared)
    assert expected <= found
    assert expected or not found


@pytest.mark.slow
def test_false_alarms_of_whole_pages(events):
    """p-value times looks below 0.01: of fifteen pages of real events none should have a finding;
    two would be there once in a hundred such tests.
    """
    real = sample(events, "real")
    pages = [compare_samples(*halves(real, seed), seed) for seed in range(15)]
    assert sum(bool(found_in(page)) for page in pages) <= 1
    p = np.array([look.p_value for page in pages for look in looks(page)])
    assert 0.02 < (p < 0.05).mean() < 0.09


def test_a_copied_event_is_found(events):
    training, other = simulated("train", 60), simulated("validation", 30)
    copied = concatenate_events([other, training[[7]]])
    pairs = [(one, find_pulses(one)) for one in (training, copied, events)]
    found = find_copies(*pairs)
    assert found.copy == copied.n_events - 1
    assert found.p_copy < 1e-6
    assert found.n_equal > 5
    clean = find_copies(pairs[0], (other, find_pulses(other)), pairs[2])
    assert clean.p_copy > 1e-3
    assert clean.n_equal == 0


def test_halves_share_no_shower(real):
    one, other = halves(replace_shower(real), 3)
    assert not set(one.shower) & set(other.shower)
    assert one.n_events + other.n_events == real.n_events
    for half in (one, other):
        assert len(half.hit_event) == len(half.of_stations["time"])
        counts = np.bincount(half.hit_event, minlength=half.n_events)
        assert np.array_equal(counts, half.of_events["n_hits"])
        assert half.mask.event.max() < half.n_events
    again = halves(replace_shower(real), 4)[0]
    assert not np.array_equal(one.shower, again.shower)


def replace_shower(one):
    """Three throws of each shower."""
    return one._replace(shower=np.arange(one.n_events) // 3)


def test_common_showers_are_those_of_equal_truth(real):
    assert units_of(real, real).paired
    other = real._replace(truth=replace(real.truth, energy=1.1 * real.truth.energy))
    assert not units_of(real, other).paired
    assert not units_of(real._replace(truth=None), real).paired


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: replace(e, array=regular_array(6, 6, 1200.0)), "has 36 stations"),
        (lambda e: replace(e, array=regular_array(6, 5, 1300.0)), "stand elsewhere"),
        (lambda e: replace(e, counts_per_vem=2.0 * e.counts_per_vem), "counts a VEM"),
        (lambda e: replace(e, waveform=None), "no waveforms"),
        (
            lambda e: replace(
                e, array=replace(e.array, detector=replace(e.array.detector, n_bins=512))
            ),
            "has 512 bins of a window, real.h5 has 128",
        ),
        (
            lambda e: replace(
                e, array=replace(e.array, detector=replace(e.array.detector, bin_width=25.0))
            ),
            "25.0 ns a bin",
        ),
        (lambda e: replace(e, array=replace(e.array, lateral_name="other")), "described"),
    ],
)
def test_files_that_are_not_comparable(rng, change, message):
    one = make_events(rng, 5)
    check_comparable(one, make_events(rng, 7), "other.h5", "real.h5")
    with pytest.raises(InputError, match=message) as error:
        check_comparable(one, change(make_events(rng, 7)), "other.h5", "real.h5")
    assert "\n" not in str(error.value)
    assert "other.h5" in str(error.value)
    assert "real.h5" in str(error.value)


CONFIG = json.dumps({"array": ARRAY, "showers": SHOWERS, "samples": {"test": 60, "validation": 50}})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judge")
    for split in ("test", "validation"):
        words = ["simulate", "--config", CONFIG, "--split", split]
        assert main([*words, "-o", str(folder / f"{split}.h5")]) == 0
    return folder


def test_thrown_showers_are_those_of_the_file(files):
    events = read_events(files / "test.h5")
    thrown = _thrown(files / "test.h5", events.truth, events.event_id)
    assert len(thrown.triggered) == 60
    assert thrown.triggered.sum() == events.n_events
    assert np.array_equal(thrown.truth.energy[thrown.triggered], events.truth.energy)
    other = replace(events.truth, energy=1.001 * events.truth.energy)
    assert _thrown(files / "test.h5", other, events.event_id) is None
    write_events(files / "unstated.h5", events, {})
    assert _thrown(files / "unstated.h5", events.truth, events.event_id) is None


@pytest.fixture
def small(monkeypatch):
    """Sixty events are enough, 199 permutations and five steps of a classifier."""
    monkeypatch.setattr(classifier, "_STEPS", 5)
    monkeypatch.setattr("tashower.evaluation.judge.FEWEST", 20)
    monkeypatch.setattr("tashower.evaluation.judged.Chance", partial(Chance, permutations=199))


def test_the_command(files, capsys, monkeypatch, small):
    one_figure = lambda j: {"copies": judge_page.figures.copies(j.reference, j.compared)}  # noqa: E731
    monkeypatch.setattr(judge_page, "figures_of", one_figure)
    words = ["judge", str(files / "test.h5"), str(files / "validation.h5")]
    page = files / "out" / "judged.html"
    training = ["--training", str(files / "validation.h5")]
    assert main([*words, *training, "-o", str(page)]) == 0
    said = capsys.readouterr().out
    assert "Real against real (two halves): none of" in said
    assert "hits have a waveform of the training sample, bit by bit: copies" in said
    text = page.read_text()
    assert text.count("data:image/png") == 1
    assert 'src="http' not in text
    assert "networks: no --network was given" in text
    found = json.loads(page.with_suffix(".json").read_text())
    assert found["format"] == "tashower judgement"
    one = found["files"]["validation"]
    assert one["n_events"]["reference"] >= 55
    assert one["copies"]["n_equal"] == one["copies"]["n_hits"] > 0
    assert set(one["efficiency"]) == {"energy", "zenith"}
    assert [p.name for p in (files / "out" / "judged-figures").glob("*.png")] == ["copies.png"]


@pytest.mark.slow
def test_fits_of_files_and_all_figures(files, small):
    """Fits made before give the same page."""
    paths = [files / "test.h5", files / "validation.h5"]
    fits = [files / f"fits_{path.name}" for path in paths]
    for path, one in zip(paths, fits, strict=True):
        assert main(["fit", str(path), "-o", str(one)]) == 0
    words = ["judge", *map(str, paths), "--number", "45"]
    assert main([*words, "-o", str(files / "a.html")]) == 0
    assert main([*words, "--fits", *map(str, fits), "-o", str(files / "b.html")]) == 0
    one, other = (json.loads((files / f"{name}.json").read_text()) for name in "ab")
    assert [name for name, _ in one["made_from"]] == ["test.h5", "validation.h5"]
    assert len(other["made_from"]) == 4
    for found in (one, other):
        assert found["stage"] == "judge"
        for key in ("crc32", "created", "made_from"):
            assert found.pop(key)
    assert one == other
    assert one["files"]["validation"]["n_events"] == {"reference": 45, "file": 45}
    assert (files / "a.html").read_text().count("data:image/png") == 6
    swapped = ["judge", *map(str, paths), "--fits", *map(str, fits[::-1])]
    assert main([*swapped, "-o", str(files / "c.html")]) == 2


@pytest.mark.slow
def test_measured_events_have_no_truth(files, small):
    real = replace(read_events(files / "test.h5"), truth=None)
    write_events(files / "measured.h5", real, {})
    words = ["judge", str(files / "measured.h5"), str(files / "validation.h5")]
    assert main([*words, "-o", str(files / "measured.html")]) == 0
    text = (files / "measured.html").read_text()
    assert "measured.h5: no truth, so that stations are looked at from the fitted shower" in text
    assert "pull of" not in text
    assert 'id="efficiency"' not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--number", "5"], "at least 40 events are needed"),
        (["--fits", "SELF"], "1 reconstruction files for 2 event files"),
        (["-o", "FOLDER/page.pdf"], "ends in .html"),
        (["--network", "net"], "NAME=FILE"),
        (["--training", "SELF", "SELF"], "twice"),
    ],
)
def test_bad_words(files, tmp_path, capsys, words, message):
    words = [word.replace("SELF", str(files / "test.h5")) for word in words]
    words = [word.replace("FOLDER", str(tmp_path)) for word in words]
    output = [] if "-o" in words else ["-o", str(tmp_path / "page.html")]
    both = [str(files / "test.h5"), str(files / "validation.h5")]
    assert main(["judge", *both, *words, *output]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        (["a=NONE", "a=OTHER"], "--network a: names 2 checkpoints"),
        (["a=EVENTS"], "not a checkpoint"),
    ],
)
def test_networks_are_looked_at_before_anything_is_fitted(
    rng, tmp_path, capsys, monkeypatch, networks, message
):
    monkeypatch.setattr(judging, "_fitted", None)
    paths = [str(tmp_path / f"{name}.h5") for name in "ab"]
    for path in paths:
        write_events(path, make_events(rng, 2), {})
    networks = [word.replace("EVENTS", paths[0] + ".pt") for word in networks]
    (tmp_path / "a.h5.pt").write_text("text")
    words = ["--network", *networks, "-o", str(tmp_path / "page.html")]
    assert main(["judge", *paths, *words]) == 2
    assert message in capsys.readouterr().err


def test_too_few_events(files, tmp_path, capsys):
    write_events(tmp_path / "few.h5", read_events(files / "test.h5")[:10], {})
    both = [str(files / "test.h5"), str(tmp_path / "few.h5")]
    assert main(["judge", *both, "-o", str(tmp_path / "page.html")]) == 2
    assert "few.h5: 10 events: at least 40 are needed" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
