"""What a training with options leaves: best epoch, every epoch, curve; killed and resumed."""

import json
import logging
import sys

import numpy as np
import pytest
import torch
from network.small import SMALL
from network.test_training import equal_weights, killed_after
from torch import nn

from tashower.cli import main
from tashower.config import load_config
from tashower.errors import InputError
from tashower.evaluation.verify import problems_of
from tashower.io.reconstruction_file import read_reconstruction
from tashower.network.apply import apply_network
from tashower.network.checkpoint import build_network, load_checkpoint
from tashower.network.kept import CURVES

PLATEAU = {"name": "reduce_on_plateau", "patience": 0, "factor": 0.5, "min_delta": 1.0}
OPTIONS = {
    "ema": {
        "optimiser": {"name": "sgd", "momentum": 0.9, "nesterov": True},
        "schedule": PLATEAU | {"cooldown": 1},
        "averaging": {"name": "ema", "decay": 0.9},
        "gradients": {"centralise": True, "clip": "value", "limit": 0.1},
        "penalty": {"l1": 1e-4, "l2": 1e-4},
        "initialisation": "he_normal",
        "checkpoints": "every_epoch",
        "epochs": 4,
    },
    "swa": {
        "optimiser": {"name": "rmsprop", "momentum": 0.5},
        "schedule": {"name": "constant"},
        "averaging": {"name": "swa", "start": 0.25},
        "initialisation": "orthogonal",
        "checkpoints": "weights",
        "learning_rate": 1e-3,
        "epochs": 4,
    },
}


def with_options(**training):
    return load_config(SMALL, {"training": training})


def of_curve(curve):
    return [{key: value for key, value in epoch.items() if key != "seconds"} for epoch in curve]


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("name", OPTIONS)
def test_killed_training_with_options_goes_on_to_the_same_weights(trained, monkeypatch, name):
    folder, _, _, train = trained
    config = with_options(**OPTIONS[name])
    whole, curve = train(folder / f"{name}-whole" / "c.pt", config)
    output = folder / f"{name}-killed" / "c.pt"
    killed_after(monkeypatch, 1 if name == "ema" else 2, lambda: train(output, config))
    assert output.with_name("c.pt.state").is_file()
    resumed, again = train(output, config)
    assert of_curve(again) == of_curve(curve)
    assert equal_weights(whole, resumed)
    ending = "pt" if name == "ema" else "pth"
    wanted = [f"c_epochs/00{k}.{ending}" for k in range(1, 5)]
    assert names(output.parent) == ["c.pt", *wanted, "history.json"]
    measured = []
    for path in wanted:
        one, two = (
            torch.load(folder / f"{name}-{which}" / path, weights_only=True)
            for which in ("killed", "whole")
        )
        one, two = (each.get("weights", each) for each in (one, two))
        assert all(torch.equal(one[key], two[key]) for key in two)
        measured.append(one["grid.0.norm.num_batches_tracked"].item())
    rates = [epoch["learning_rate"] for epoch in curve]
    if name == "ema":
        # No epoch is better by 1: lowered after the second, not in the cooldown, after the fourth.
        # The rise ends in the first epoch.
        assert rates[1:] == [0.003, 0.0015, 0.0015]
    else:
        assert rates[1:] == pytest.approx([1e-3] * 3)
        # Of averaged weights the normalisations are measured anew, in one epoch's steps.
        assert len(set(measured)) == 1


def test_the_best_epoch_is_restored_and_every_one_can_be_applied(trained, monkeypatch):
    """Stopped where none is better by more than min_delta, kept is the lowest."""
    folder, _, paths, train = trained
    output = folder / "every" / "c.pt"
    losses = iter([0.5, 0.4, 0.39, 0.45, 0.1])
    monkeypatch.setattr("tashower.network.training.validate", lambda *_: (next(losses), 0.0))
    config = with_options(checkpoints="every_epoch", epochs=9, patience=2, min_delta=0.02)
    content, curve = train(output, config)
    assert [epoch["validation_loss"] for epoch in curve] == [0.5, 0.4, 0.39, 0.45]
    best = content["best_epoch"]
    assert best == 3
    epochs = [load_checkpoint(output.with_name("c_epochs") / f"{k:03d}.pt") for k in (1, best)]
    assert [one["epoch"] for one in epochs] == [1, best]
    assert equal_weights(content, epochs[1])
    assert epochs[1]["configuration"] == content["configuration"]
    assert content["configuration"]["networks"]["a"]["training"]["checkpoints"] == "every_epoch"
    history = json.loads(output.with_name("history.json").read_text())
    assert history["configuration"] == content["configuration"]
    tables = []
    for path in (output, output.with_name("c_epochs") / f"{best:03d}.pt"):
        apply_network(path, *paths["validation"], folder / "every" / "out.h5", "cpu")
        tables.append(read_reconstruction(folder / "every" / "out.h5")[0]["a"])
    np.testing.assert_array_equal(tables[0].core_x, tables[1].core_x)


def test_bare_weights_are_those_of_the_network(trained):
    folder, _, _, train = trained
    output = folder / "bare" / "c.pt"
    config = with_options(
        checkpoints="weights", epochs=1, learning_rate=1e-12, initialisation="he_normal"
    )
    content, _ = train(output, config)
    assert 0 < content["weights"]["flat.bias"].abs().max() < 1e-9  # drawn anew, and trained
    path = output.with_name("c_epochs") / f"{content['best_epoch']:03d}.pth"
    network = build_network(content, output, "cpu")
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    network.load_state_dict(torch.load(path, weights_only=True))
    assert all(torch.equal(v, content["weights"][k]) for k, v in network.state_dict().items())


def test_a_new_training_leaves_nothing_of_the_old_one(trained, monkeypatch):
    folder, _, _, train = trained
    output = folder / "again" / "c.pt"
    for kind, wanted in (
        ("every_epoch", [f"c_epochs/00{k}.pt" for k in (1, 2)]),
        ("weights", [f"c_epochs/00{k}.pth" for k in (1, 2)]),
        ("best", []),
    ):
        train(output, with_options(checkpoints=kind, epochs=2))
        assert names(output.parent) == ["c.pt", *wanted, "history.json"]
    assert not output.with_name("c_epochs").exists()
    # What is not its own it leaves alone; a killed one of another configuration is an old one, too.
    output.with_name("c_epochs").mkdir()
    (output.with_name("c_epochs") / "notes.txt").write_text("mine")
    every = with_options(checkpoints="every_epoch")
    killed_after(monkeypatch, 2, lambda: train(output, every))
    train(output, with_options(checkpoints="every_epoch", epochs=1))
    wanted = ["c.pt", "c_epochs/001.pt", "c_epochs/notes.txt", "history.json"]
    assert names(output.parent) == wanted
    assert not problems_of(output.parent)[0]


def test_without_the_package_tensorboard_one_line_says_so(trained, monkeypatch, capfd):
    folder, _, paths, train = trained
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    config = with_options(tensorboard=True)
    with pytest.raises(InputError, match=r"^training\.tensorboard: the package tensorboard is not"):
        train(folder / "absent" / "c.pt", config)
    assert not list((folder / "absent").iterdir())
    words = [
        f"--{split}-{kind}={path}"
        for split in paths
        for kind, path in zip(("events", "fits"), paths[split], strict=True)
    ]
    text = json.dumps(SMALL | {"training": SMALL["training"] | {"tensorboard": True}})
    output = folder / "absent" / "c.pt"
    assert main(["train", "--config", text, "--network", "a", *words, "--output", str(output)]) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "pip install 'tashower[tensorboard]'" in said


@pytest.mark.extra
def test_tensorboard_reads_the_curve(trained, monkeypatch):
    """Of a killed and resumed training as well: the same curve, once."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, _, _, train = trained
    output = folder / "board" / "c.pt"
    config = with_options(tensorboard=True)
    killed_after(monkeypatch, 2, lambda: train(output, config))
    _, curve = train(output, config)
    log = output.with_name("c_tensorboard")
    assert len(list(log.iterdir())) == 1
    found = EventAccumulator(str(log))
    found.Reload()
    assert sorted(found.Tags()["scalars"]) == sorted(CURVES)
    for name, key in CURVES.items():
        points = found.Scalars(name)
        assert [point.step for point in points] == [1, 2, 3]
        wanted = [epoch[key] for epoch in curve]
        assert [point.value for point in points] == pytest.approx(wanted, rel=1e-6)
    train(output, with_options())
    assert names(output.parent) == ["c.pt", "history.json"]


@pytest.mark.parametrize("loss", ["gaussian", "von_mises_fisher"])
def test_losses_of_the_mean_are_trained_and_applied(trained, loss):
    folder, _, paths, train = trained
    config = load_config(SMALL, {"network": {"loss": loss}, "training": {"epochs": 1}})
    content, curve = train(folder / loss / "c.pt", config)
    assert content["configuration"]["networks"]["a"]["loss"] == loss
    assert np.isfinite([epoch["train_loss"] for epoch in curve]).all()
    apply_network(folder / loss / "c.pt", *paths["validation"], folder / loss / "out.h5", "cpu")
    assert np.isfinite(read_reconstruction(folder / loss / "out.h5")[0]["a"].zenith).any()


@pytest.mark.slow
def test_the_smoke_sample_with_several_options(tmp_path, caplog):
    """Each of them learns its sample; it is too small for more."""
    from pathlib import Path

    from tashower.calibration.calibration import DEFAULT, read_calibration
    from tashower.io.event_file import write_events
    from tashower.io.reconstruction_file import write_reconstruction
    from tashower.network.training import train_network
    from tashower.reconstruction.reconstruct import reconstruct
    from tashower.simulation.simulate import simulate_events

    caplog.set_level(logging.INFO, "tashower")
    smoke = Path(__file__).resolve().parents[1] / "config" / "smoke.yaml"
    usual = {"epochs": 8, "patience": 8, "augment": False, "learning_rate": 0.01}
    entries = {
        "usual": {},
        "nesterov": {
            "optimiser": {"name": "sgd", "momentum": 0.9, "nesterov": True},
            "schedule": PLATEAU | {"min_delta": 0.0, "patience": 1},
            "learning_rate": 0.02,
            "initialisation": "he_normal",
        },
        "rmsprop": {
            "optimiser": {"name": "rmsprop"},
            "averaging": {"name": "ema", "decay": 0.98},
            "learning_rate": 0.001,
            "gradients": {"centralise": True},
        },
        "adagrad": {"optimiser": {"name": "adagrad"}, "learning_rate": 0.01},
        "adadelta": {
            "optimiser": {"name": "adadelta"},
            "learning_rate": 1.0,
            "gradients": {"clip": "none"},
        },
        "adam": {
            "optimiser": {"name": "adam"},
            "weight_decay": 0.0,
            "penalty": {"l1": 1e-6, "l2": 1e-6},
            "gradients": {"clip": "value", "limit": 0.1},
            "initialisation": "xavier_uniform",
        },
        "averaged": {
            "schedule": {"name": "constant"},
            "averaging": {"name": "swa", "start": 0.5},
            "initialisation": "orthogonal",
        },
    }
    networks = {name: {"training": usual | entry} for name, entry in entries.items()}
    networks["fisher"] = {"loss": "von_mises_fisher", "training": usual}
    config = load_config(smoke, {"networks": networks, "network": {"options": {"dropout": 0.0}}})
    files = {}
    for split, n in (("train", config.samples.train), ("validation", config.samples.validation)):
        events = simulate_events(config, split, 0, n)
        tables, pulses, features = reconstruct(
            events, read_calibration(DEFAULT), config.reconstruction
        )
        files[split] = [tmp_path / f"{split}.h5"], [tmp_path / f"{split}-fits.h5"]
        write_events(files[split][0][0], events, {})
        write_reconstruction(files[split][1][0], tables, {}, pulses, features)
    every = [group for split in files.values() for group in split]
    for name in networks:
        output = tmp_path / name / "c.pt"
        output.parent.mkdir()
        train_network(config, name, *every, output)
        content = load_checkpoint(output)
        settings = content["configuration"]["networks"][name]["training"]
        curve = json.loads(output.with_name("history.json").read_text())["epochs"]
        losses = [epoch["train_loss"] for epoch in curve]
        assert settings["optimiser"]["name"] == config.networks[name].training.optimiser.name
        assert losses[-1] < 0.999 * losses[0], name
