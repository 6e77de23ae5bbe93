"""Training: the same weights again, resumed, alone or beside others; what is applied afterwards."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tashower.cli import main
from tashower.config import as_dict, load_config
from tashower.errors import InputError
from tashower.io.reconstruction_file import read_reconstruction
from tashower.network.apply import apply_network
from tashower.network.checkpoint import load_checkpoint


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny training, its files and configuration."""
    from tashower.io.event_file import read_events, write_events
    from tashower.io.reconstruction_file import write_reconstruction
    from tashower.network.training import train_network
    from tashower.reconstruction.calibration import DEFAULT, read_calibration
    from tashower.reconstruction.reconstruct import reconstruct
    from tashower.simulation.simulate import simulate_events

    folder = tmp_path_factory.mktemp("train")
    config = load_config(
        "{network: {tile: 4, n_bins: 64, waveform_channels: 8, station_channels: 8, grid_layers: 1, dense_channels: 16}, "
        "training: {epochs: 3, batch_size: 32}, networks: {a: {waveforms: true, event_features: true}}}"
    )
    paths = {}
    for split, n in (("train", 250), ("validation", 120)):
        events = simulate_events(config, split, 0, n)
        tables, pulses, features = reconstruct(
            events, read_calibration(DEFAULT), config.reconstruction
        )
        paths[split] = (folder / f"{split}.h5", folder / f"{split}-fits.h5")
        write_events(paths[split][0], events, {})
        write_reconstruction(paths[split][1], tables, {}, pulses, features)
        assert read_events(paths[split][0]).n_events == events.n_events

    def train(output, config=config, name="a"):
        output.parent.mkdir(exist_ok=True)
        files = ([p] for split in ("train", "validation") for p in paths[split])
        train_network(config, name, *files, output)
        return load_checkpoint(output), json.loads(output.with_name("history.json").read_text())[
            "epochs"
        ]

    return folder, config, paths, train


def test_same_seed_same_weights_other_seed_others(trained):
    folder, config, _, train = trained
    one, two = train(folder / "one" / "c.pt"), train(folder / "two" / "c.pt")
    for key, value in one[0]["weights"].items():
        assert torch.equal(value, two[0]["weights"][key]), key
    other, _ = train(folder / "three" / "c.pt", replace(config, seed=5))
    assert any(
        not torch.equal(value, other["weights"][key]) for key, value in one[0]["weights"].items()
    )
    assert [h["epoch"] for h in one[1]] == [1, 2, 3]


def test_killed_training_goes_on_to_the_same_weights(trained, monkeypatch):
    from tashower.network import training

    folder, _, _, train = trained
    whole, curve = train(folder / "whole" / "c.pt")
    normal, calls = training.train_epoch, []

    def killed(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return normal(*args)

    monkeypatch.setattr(training, "train_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        train(folder / "killed" / "c.pt")
    assert not (folder / "killed" / "c.pt").exists()
    monkeypatch.setattr(training, "train_epoch", normal)
    resumed, again = train(folder / "killed" / "c.pt")
    assert [(h["train_loss"], h["validation_loss"]) for h in again] == [
        (h["train_loss"], h["validation_loss"]) for h in curve
    ]
    for key, value in whole["weights"].items():
        assert torch.equal(value, resumed["weights"][key]), key
    assert not list((folder / "killed").glob("*.state"))


@pytest.mark.slow
def test_two_processes_train_like_one(trained, monkeypatch, capfd):
    """By torchrun with gloo: without batch normalisation and dropout to rounding, with both within
    noise.
    """
    folder, config, paths, train = trained
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def with_two(name, config):
        two = replace(config, training=replace(config.training, processes=2))
        (folder / name).mkdir()
        words = [
            f"--{split}-{kind}={path}"
            for split in paths
            for kind, path in zip(("events", "fits"), paths[split], strict=True)
        ]
        output = folder / name / "c.pt"
        status = main(
            [
                "train",
                "--config",
                json.dumps(as_dict(two)),
                "--network",
                "a",
                *words,
                "--output",
                str(output),
            ]
        )
        assert status == 0
        assert "2 x cpu" in capfd.readouterr().err
        assert [p.name for p in sorted((folder / name).iterdir())] == ["c.pt", "history.json"]
        return load_checkpoint(output), json.loads(output.with_name("history.json").read_text())[
            "epochs"
        ]

    plain = replace(config, network=replace(config.network, grid_layers=0, dropout=0.0))
    (one, curve), (two, other) = train(folder / "plain1" / "c.pt", plain), with_two("plain2", plain)
    for key, value in one["weights"].items():
        torch.testing.assert_close(value, two["weights"][key], rtol=1e-3, atol=1e-5)
    for a, b in zip(curve, other, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-4)
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], rel=1e-4)
    _, curve = train(folder / "full1" / "c.pt")
    _, other = with_two("full2", config)
    assert other[-1]["validation_loss"] == pytest.approx(curve[-1]["validation_loss"], rel=0.1)


@pytest.mark.slow
def test_a_process_that_fails_is_said_once(trained, capfd):
    folder, config, paths, _ = trained
    two = replace(config, training=replace(config.training, processes=2, batch_size=4096))
    words = [
        f"--{split}-{kind}={path}"
        for split in paths
        for kind, path in zip(("events", "fits"), paths[split], strict=True)
    ]
    output = folder / "failed" / "c.pt"
    assert (
        main(
            [
                "train",
                "--config",
                json.dumps(as_dict(two)),
                "--network",
                "a",
                *words,
                "--output",
                str(output),
            ]
        )
        == 2
    )
    assert "4096 and 10 are needed" not in capfd.readouterr().out
    assert not output.exists()


def test_damaged_state_is_removed_and_said(trained):
    folder, _, _, train = trained
    (folder / "damaged").mkdir()
    state = folder / "damaged" / "c.pt.state"
    state.write_bytes(b"PK half of it")
    with pytest.raises(InputError, match="start again"):
        train(folder / "damaged" / "c.pt")
    assert not state.exists()
    train(folder / "damaged" / "c.pt")


def test_training_stops_without_a_better_epoch(trained):
    folder, config, _, train = trained
    stuck = replace(
        config, training=replace(config.training, epochs=9, patience=2, learning_rate=1e-12)
    )
    _, history = train(folder / "stuck" / "c.pt", stuck)
    best = min(history, key=lambda h: h["validation_loss"])["epoch"]
    assert len(history) == min(9, best + 2)


def test_applied_network_corrects_every_valid_event(trained):
    folder, _, paths, train = trained
    train(folder / "apply" / "c.pt")
    output = folder / "apply" / "out.h5"
    apply_network(folder / "apply" / "c.pt", *paths["validation"], output, "cpu")
    fit = read_reconstruction(paths["validation"][1])[0]["free"]
    table = read_reconstruction(output)[0]["a"]
    np.testing.assert_array_equal(np.isfinite(table.zenith), fit.valid)
    np.testing.assert_array_equal(table.event_id, fit.event_id)
    moved = np.hypot(table.core_x - fit.core_x, table.core_y - fit.core_y)[fit.valid]
    assert 0 < np.median(moved) < 300
    with pytest.raises(InputError, match="not"):
        apply_network(
            folder / "apply" / "c.pt",
            paths["validation"][0],
            paths["train"][1],
            folder / "no.h5",
            "cpu",
        )
    assert not (folder / "no.h5").exists()


def test_too_few_events_are_refused(trained):
    folder, config, _, train = trained
    with pytest.raises(InputError, match="are needed"):
        train(
            folder / "few" / "c.pt",
            replace(config, training=replace(config.training, batch_size=4096)),
        )
