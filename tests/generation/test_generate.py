"""A tiny generator: trained again, resumed, and the event files that it makes."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from generation.small_generators import SMALL

from tashower.cli import main
from tashower.config import as_dict, load_config
from tashower.errors import InputError
from tashower.events.model import select_events, select_rows
from tashower.generation.generate import generate_events, generate_showers
from tashower.io.event_file import read_events, write_events
from tashower.io.hdf5 import checksum_of, read_arrays
from tashower.simulation.showers import draw_showers


def same(one, two):
    for field in fields(one):
        if field.name in ("array", "truth"):
            continue
        a, b = getattr(one, field.name), getattr(two, field.name)
        assert (a is None and b is None) or np.array_equal(a, b), field.name


@pytest.fixture(scope="module")
def truth(learned):
    return draw_showers(learned.config, "test", 0, 40)


@pytest.fixture(scope="module")
def generated(learned, truth):
    return generate_showers(learned.content, truth, learned.config, 5)


def test_the_same_seed_gives_the_same_weights_and_a_killed_training_goes_on(learned, monkeypatch):
    from tashower.generation import training

    again = learned.train(learned.folder / "again" / "c.pt")
    for key, value in learned.content["weights"].items():
        assert torch.equal(value, again["weights"][key]), key
    other = learned.train(learned.folder / "other" / "c.pt", replace(learned.config, seed=3))
    assert any(
        not torch.equal(value, other["weights"][key]) for key, value in again["weights"].items()
    )
    normal, saved = training.save_state, []

    def killed(*args):
        normal(*args)
        saved.append(args)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_state", killed)
    with pytest.raises(KeyboardInterrupt):
        learned.train(learned.folder / "killed" / "c.pt")
    assert [path.name for path in (learned.folder / "killed").iterdir()] == ["c.pt.state"]
    monkeypatch.setattr(training, "save_state", normal)
    resumed = learned.train(learned.folder / "killed" / "c.pt")
    for key, value in again["weights"].items():
        assert torch.equal(value, resumed["weights"][key]), key
    history = json.loads((learned.folder / "killed" / "history.json").read_text())
    assert [epoch["epoch"] for epoch in history["epochs"]] == [1, 2]
    assert not list((learned.folder / "killed").glob("*.state"))


def test_a_training_of_ten_steps_has_a_learning_rate(learned, tmp_path):
    """torch's schedule divides by nothing where its rise is one step."""
    n = learned.content["n_hits"]
    few = {"epochs": 1, "batch_size": n // 10}
    config = load_config(SMALL, {"generators": {"g": SMALL["generators"]["g"] | few}})
    content = learned.train(tmp_path / "c" / "c.pt", config)
    assert n // (n // 10) == 10
    assert content["epoch"] == 1


def test_events_do_not_depend_on_their_company(learned, truth, generated):
    some = np.arange(7, 23)
    part = generate_showers(
        learned.content, select_rows(truth, some), learned.config, 5, number=some
    )
    same(part, select_events(generated, np.isin(generated.event_id, some)))


@pytest.mark.parametrize("change", [{"energy": 300.0}, {"energy": 1.0}, {"zenith": 1.0}])
def test_showers_unlike_those_of_the_training_are_counted(learned, truth, change, caplog):
    generate_showers(learned.content, truth, learned.config, 5)
    assert "did not learn from" not in caplog.text
    for name, value in change.items():
        column = getattr(truth, name).copy()
        column[:3] = value
        truth = replace(truth, **{name: column})
    generate_showers(learned.content, truth, learned.config, 5)
    assert "3 of 40 showers have energies or zenith angles that" in caplog.text
    caplog.clear()
    showers = replace(learned.config.showers, max_zenith_deg=59.0)
    generate_events(learned.content, replace(learned.config, showers=showers), 3, 5)
    assert "did not learn from" in caplog.text


def test_masks_are_generated_and_not_copied(learned, truth, generated):
    """Another seed hits other stations; those out of service are never hit."""
    other = generate_showers(learned.content, truth, learned.config, 6)
    common = np.intersect1d(generated.event_id, other.event_id)
    assert len(common) > 20
    n = learned.events["train"].array.n_stations

    def masks(events):
        rows = np.searchsorted(events.event_id, common)
        mask = np.zeros((events.n_events, n), bool)
        mask[events.hit_event, events.hit_station] = True
        return mask[rows]

    assert (masks(other) != masks(generated)).any(axis=1).mean() > 0.9
    silent = load_config(SMALL, {"detector": {"out_of_service_fraction": 0.4}})
    events = generate_showers(learned.content, truth, silent, 5)
    out = np.repeat(np.arange(events.n_events), np.diff(events.dead_offset)) * n
    hit = events.hit_event * n + events.hit_station
    assert not np.isin(hit, out + events.dead_station).any()
    assert len(events.dead_station) / (events.n_events * n) == pytest.approx(0.4, abs=0.03)


def test_gains_and_pedestals_are_those_of_the_array(learned, generated):
    simulated = learned.events["train"]
    for name in ("pedestal", "counts_per_vem"):
        known = {}
        for station, value in zip(simulated.hit_station, getattr(simulated, name), strict=True):
            known[station] = value
        for station, value in zip(generated.hit_station, getattr(generated, name), strict=True):
            assert np.array_equal(known.get(station, value), value)
    assert (np.diff(generated.hit_station)[np.diff(generated.hit_event) == 0] > 0).all()


def test_near_stations_are_hit_and_far_ones_are_not(generated):
    truth, position = generated.truth, generated.array.position
    away = np.hypot(position[:, 0] - truth.core_x[:, None], position[:, 1] - truth.core_y[:, None])
    mask = np.zeros(away.shape, bool)
    mask[generated.hit_event, generated.hit_station] = True
    assert mask[away < 700].mean() > 0.8
    assert mask[(away > 3500) & (away < 5000)].mean() < 0.4


def test_the_command_s_file_says_that_it_is_generated(learned, tmp_path, capsys):
    output, config = tmp_path / "g.h5", json.dumps(SMALL)
    words = ["generate", str(learned.checkpoint), "--config", config, "-o", str(output)]
    assert main([*words, "--events", "12", "--seed", "9"]) == 0
    events = read_events(output)
    assert events.n_events == 12
    same(events, generate_events(learned.content, learned.config, 12, 9))
    assert events.truth.energy.min() >= 10.0
    _, attributes = read_arrays(output, "events", "1.7")
    said = json.loads(attributes["generated"])
    assert (said["name"], said["kind"], said["seed"]) == ("g", "station_flow", 9)
    assert said["checkpoint"][0] == "c.pt"
    assert attributes["stage"] == "generate"
    assert main(["show", str(output)]) == 0
    said = capsys.readouterr().out
    assert f"generated by g (station_flow), c.pt {checksum_of(learned.checkpoint)}" in said
    assert [name for name, _ in json.loads(attributes["made_from"])] == ["c.pt"]
    # Given showers, one to one.
    assert main([*words, "--truth", str(learned.paths["validation"])]) == 0
    given, simulated = read_events(output), learned.events["validation"]
    np.testing.assert_array_equal(given.truth.energy, simulated.truth.energy[given.event_id])
    # The same command as the workflow's.
    own = json.dumps(SMALL | {"samples": {"test": 30, "chunk_size": 20}})
    words[3] = own
    assert main([*words, "--split", "test", "--chunk", "1"]) == 0
    chunk = read_events(output)
    assert set(chunk.event_id) <= set(range(20, 30))
    _, attributes = read_arrays(output, "events", "1.7")
    assert json.loads(attributes["showers"]) == ["test", 20, 30]
    capsys.readouterr()


def test_the_fit_takes_generated_events_as_they_are(learned, generated, tmp_path, capsys):
    from tashower.io.reconstruction_file import read_reconstruction

    events, fits = tmp_path / "g.h5", tmp_path / "fits.h5"
    write_events(events, generated, as_dict(learned.config))
    assert main(["fit", str(events), "-o", str(fits)]) == 0
    assert len(read_reconstruction(fits)[0]["free"]) == generated.n_events
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--events", "0"], "--events 0: must be at least 1"),
        (["--events", "3", "--truth", "x.h5"], "--events"),
        (["--events", "3", "--chunk", "0"], "--chunk"),
        (["--chunk", "9"], "--chunk 9: test has"),
        (["--seed", "-1"], "--seed -1"),
        (["--config", "{detector: {bins: 64}}"], "detector_n_bins 128 (trained with 256)"),
        (["--config", "{detector: {layers: 1}}"], "detector_n_layers 1 (trained with 2)"),
    ],
)
def test_bad_words_are_refused_in_one_line(learned, tmp_path, words, said, capsys):
    output = tmp_path / "g.h5"
    own = ["--config", json.dumps(SMALL)] if "--config" not in words else []
    assert main(["generate", str(learned.checkpoint), *own, *words, "-o", str(output)]) == 2
    line = capsys.readouterr().err.strip()
    assert said in line
    assert "\n" not in line
    assert not output.exists()


def test_what_is_no_generator_and_nothing_to_learn_from_is_refused(learned, tmp_path, capsys):
    data = str(learned.paths["train"])
    for wrong in (data, str(tmp_path / "none.pt")):
        assert main(["generate", wrong, "-o", str(tmp_path / "g.h5")]) == 2
        assert wrong in capsys.readouterr().err
    write_events(tmp_path / "bare.h5", replace(learned.events["train"], truth=None), {})
    other = load_config(SMALL, {"generators": {"h": {}}})
    for name, path, said in (
        ("g", tmp_path / "bare.h5", "holds no truth to learn from"),
        ("x", learned.paths["train"], "the configuration has g"),
    ):
        words = ["train-generator", "--config", json.dumps(SMALL), "--generator", name]
        words += ["--train-events", str(path)]
        words += ["--validation-events", str(learned.paths["validation"])]
        assert main([*words, "-o", str(tmp_path / "c.pt")]) == 2
        assert said in capsys.readouterr().err
    assert list(other.generators) == ["h"]
    assert not (tmp_path / "c.pt").exists()
    with pytest.raises(InputError, match=r"generators\.g\.options\.channel: unknown"):
        load_config("{generators: {g: {options: {channel: 3}}}}")
    with pytest.raises(InputError, match=r"generators\.g\.kind"):
        load_config("{generators: {g: {kind: gan}}}")
