"""A generator of tiles from configuration to event file, in small."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tashower.config import as_dict, load_config
from tashower.errors import InputError
from tashower.evaluation.figures.training import adversarial_curves
from tashower.evaluation.show import show_file
from tashower.events.model import concatenate_events, select_rows
from tashower.generation import training
from tashower.generation.checkpoint import load_generator
from tashower.generation.generate import generate_block, generate_showers
from tashower.generation.training import train_generator
from tashower.io.event_file import read_events, write_events
from tashower.simulation.simulate import array_from_config, setup_of, simulate_events

OPTIONS = {"tile": 6, "width": 8, "latent": 3, "noise": 5, "critic_steps": 2}
CONFIG = load_config(
    {
        "array": {"columns": 8, "rows": 8},
        "showers": {"core_margin_m": -3000},
        "generators": {
            "gan": {"kind": "tile_gan", "epochs": 3, "batch_size": 16, "options": OPTIONS}
        },
    }
)
CURVES = ("train_loss", "validation_loss", "gradient_penalty")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Event files, and what was trained on them."""
    folder = tmp_path_factory.mktemp("gan")
    for name, first, n in (("a", 0, 36), ("b", 36, 30), ("v", 66, 12)):
        events = simulate_events(CONFIG, "train", first, n)
        write_events(folder / f"{name}.h5", events, as_dict(CONFIG))
    train(folder, "one")
    return folder


def train(folder, name, config=CONFIG):
    (folder / name).mkdir(exist_ok=True)
    files = [folder / "a.h5", folder / "b.h5"], [folder / "v.h5"]
    train_generator(config, "gan", *files, folder / name / "c.pt")


def weights(path):
    return load_generator(path)["weights"]


def test_history_holds_distance_and_penalty(folder):
    epochs = json.loads((folder / "one/history.json").read_text())["epochs"]
    assert [e["epoch"] for e in epochs] == [1, 2, 3]
    for key in ("train_loss", "validation_loss", "gradient_penalty", "generator_loss"):
        assert all(np.isfinite(e[key]) for e in epochs)
    assert all(e["gradient_penalty"] > 0.0 for e in epochs)


def test_show_says_what_it_is(folder):
    _, said = show_file(folder / "one/c.pt")
    assert said.startswith("checkpoint of a generator; 3 epochs; last: train loss")
    assert "gradient penalty" in said


def test_resumed_training_is_the_uninterrupted_one(folder, monkeypatch):
    """Killed after every epoch: also after the half, where learning rates fall."""
    keep = training.save_state

    def killed(*arguments):
        keep(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_state", killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(folder, "two")
        assert not (folder / "two/c.pt").exists()
    monkeypatch.setattr(training, "save_state", keep)
    train(folder, "two")
    one, two = weights(folder / "one/c.pt"), weights(folder / "two/c.pt")
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not (folder / "two/c.pt.state").exists()


def test_seed_and_epochs_matter(folder):
    one = weights(folder / "one/c.pt")
    train(folder, "three", replace(CONFIG, seed=7))
    three = weights(folder / "three/c.pt")
    assert not all(torch.equal(one[key], three[key]) for key in one)


def test_generated_showers_are_events(folder):
    content = load_generator(folder / "one/c.pt")
    truth = read_events(folder / "a.h5").truth
    events = generate_showers(content, truth, CONFIG, 3)
    assert events.n_events > 10
    for i in range(events.n_events):
        hits = slice(*events.hit_offset[i : i + 2])
        assert (np.diff(events.hit_station[hits]) > 0).all()
        dead = events.dead_station[slice(*events.dead_offset[i : i + 2])]
        assert not set(events.hit_station[hits]) & set(dead)
    write_events(folder / "generated.h5", events, as_dict(CONFIG))
    again = read_events(folder / "generated.h5")  # which checks them
    assert np.array_equal(again.waveform, events.waveform)
    same = generate_showers(content, truth, CONFIG, 3)
    assert np.array_equal(same.waveform, events.waveform)
    assert np.array_equal(same.hit_time, events.hit_time)
    other = generate_showers(content, truth, CONFIG, 4)
    assert not np.array_equal(other.hit_time[:20], events.hit_time[:20])


def test_blocks_do_not_matter(folder):
    content = load_generator(folder / "one/c.pt")
    truth = read_events(folder / "a.h5").truth
    array = array_from_config(CONFIG)
    about = CONFIG, array, setup_of(CONFIG, array, CONFIG.seed)
    number = np.arange(len(truth.zenith))
    whole = generate_block(content, truth, number, 5, about)
    parts = [
        generate_block(content, select_rows(truth, rows), number[rows], 5, about)
        for rows in (slice(0, 11), slice(11, None))
    ]
    both = concatenate_events(parts)
    assert np.array_equal(both.event_id, whole.event_id)
    assert np.array_equal(both.hit_station, whole.hit_station)
    assert both.hit_time == pytest.approx(whole.hit_time, abs=0.1)
    assert (both.waveform == whole.waveform).mean() > 0.999


def test_too_few_events_and_no_truth_are_refused(folder):
    settings = CONFIG.generators["gan"]
    config = replace(CONFIG, generators={"gan": replace(settings, batch_size=10_000)})
    with pytest.raises(InputError, match=r"10000 and 1 are needed"):
        train(folder, "few", config)
    events = replace(read_events(folder / "a.h5"), truth=None)
    write_events(folder / "blind.h5", events, as_dict(CONFIG))
    with pytest.raises(InputError, match=r"blind.h5: no truth"):
        train_generator(
            CONFIG, "gan", [folder / "blind.h5"], [folder / "v.h5"], folder / "blind.pt"
        )
    assert not (folder / "blind.pt").exists()


def test_files_of_different_stations_are_refused(folder):
    other = load_config(as_dict(CONFIG) | {"detector": {"area_m2": 2.0}})
    write_events(folder / "small.h5", simulate_events(other, "train", 0, 12), as_dict(other))
    files = [folder / "a.h5", folder / "small.h5"], [folder / "v.h5"]
    with pytest.raises(InputError, match=r"small.h5: the network was trained for another array"):
        train_generator(CONFIG, "gan", *files, folder / "mixed.pt")


def test_curve_of_the_training_is_drawn(folder):
    history = json.loads((folder / "one/history.json").read_text())["epochs"]
    left, right = adversarial_curves(history).axes
    for line, key in zip((*left.lines, *right.lines), CURVES, strict=True):
        assert line.get_ydata().tolist() == [epoch[key] for epoch in history]
