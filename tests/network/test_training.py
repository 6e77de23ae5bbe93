"""Training: the same weights again, resumed, alone or beside others; what is applied afterwards."""

import json
import logging
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from network.small import SMALL

from tashower.cli import main
from tashower.config import as_dict, load_config
from tashower.errors import InputError
from tashower.evaluation.stated import Stated, read_stated, without_temperature
from tashower.events.model import FLAGS, select_rows
from tashower.io.reconstruction_file import read_reconstruction
from tashower.network.apply import apply_network, corrected
from tashower.network.checkpoint import load_checkpoint, save_checkpoint
from tashower.physics.geometry import direction


def test_same_seed_same_weights_other_seed_others(trained):
    folder, config, paths, train = trained
    one, two = train(folder / "one" / "c.pt"), train(folder / "two" / "c.pt")
    for key, value in one[0]["weights"].items():
        assert torch.equal(value, two[0]["weights"][key]), key
    other, _ = train(folder / "three" / "c.pt", replace(config, seed=5))
    assert any(
        not torch.equal(value, other["weights"][key]) for key, value in one[0]["weights"].items()
    )
    assert [h["epoch"] for h in one[1]] == [1, 2, 3]
    good = read_reconstruction(paths["train"][1])[0]["free"].passes_cuts
    assert {h["events"] for h in one[1]} == {good.sum()}


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


def test_a_network_of_mass_is_trained_applied_and_refused_without_a_truth(trained, tmp_path):
    """Output 0 of its checkpoint is written as the training sample's mean and width, beside a fit
    that stays as it is.
    """
    from tashower.io.event_file import read_events, write_events
    from tashower.network.checkpoint import save_checkpoint

    folder, _, paths, train = trained
    own = {"training": {"epochs": 1}, "networks": {"m": {"predicts": "mass", "head": "gaussian"}}}
    config = load_config({**SMALL, "networks": own["networks"]}, {"training": own["training"]})
    content, curve = train(folder / "mass" / "c.pt", config, "m")
    assert content["targets"] == ["xmax", "ln_a"]
    assert -1.0 < curve[0]["validation_ev"] < 1.0
    norm = content["normalisation"]
    assert 600 < norm["target_mean"][0] < 850
    for name, value in content["weights"].items():
        if name.startswith("head.") and value.shape[0] == 5:  # the last layer: 2 + 3 outputs
            content["weights"][name] = torch.zeros_like(value)
    save_checkpoint(tmp_path / "zero.pt", content)
    events, fits = paths["validation"]
    apply_network(tmp_path / "zero.pt", events, fits, tmp_path / "t.h5", "cpu")
    warm = read_reconstruction(tmp_path / "t.h5")[0]["m"]
    apply_network(tmp_path / "zero.pt", events, fits, tmp_path / "m.h5", "cpu", temperature=False)
    table = read_reconstruction(tmp_path / "m.h5")[0]["m"]
    fit = read_reconstruction(fits)[0]["free"]
    np.testing.assert_array_equal(table.energy, fit.energy)
    np.testing.assert_array_equal(table.covariance, fit.covariance)
    for i, name in enumerate(("xmax", "ln_a")):
        value, error = getattr(table, name), getattr(table, f"{name}_error")
        np.testing.assert_array_equal(np.isfinite(value), np.isfinite(fit.energy))
        np.testing.assert_allclose(value[fit.valid], norm["target_mean"][i], rtol=1e-6)
        np.testing.assert_allclose(error[fit.valid], norm["target_width"][i], rtol=1e-6)
        factor = content["temperature"][name]
        np.testing.assert_allclose(getattr(warm, f"{name}_error"), factor * error, rtol=1e-6)
    content["targets"] = ["xmax", "xmu"]
    save_checkpoint(tmp_path / "other.pt", content)
    with pytest.raises(InputError, match="was trained with other targets"):
        apply_network(tmp_path / "other.pt", events, fits, tmp_path / "no.h5", "cpu")
    unknown = read_events(paths["train"][0])
    mass = np.zeros_like(unknown.truth.mass_number)
    unknown = replace(unknown, truth=replace(unknown.truth, mass_number=mass))
    write_events(tmp_path / "events.h5", unknown, {})
    files = ([tmp_path / "events.h5"], [paths["train"][1]], [events], [fits])
    from tashower.network.training import train_network

    with pytest.raises(InputError, match=r"events\.h5: events without a true xmax or ln_a"):
        train_network(config, "m", *files, tmp_path / "never.pt")


@pytest.mark.slow
def test_two_processes_train_like_one(trained, monkeypatch, capfd):
    """By torchrun with gloo: without batch normalisation and dropout to rounding, with both within
    noise.
    """
    folder, _, paths, train = trained
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def with_two(name, *changes):
        two = load_config(SMALL, *changes, {"training": {"processes": 2}})
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

    plain = {"network": {"options": {"grid_layers": 0, "dropout": 0.0}}}
    one, curve = train(folder / "plain1" / "c.pt", load_config(SMALL, plain))
    two, other = with_two("plain2", plain)
    for key, value in one["weights"].items():
        torch.testing.assert_close(value, two["weights"][key], rtol=1e-3, atol=1e-5)
    for a, b in zip(curve, other, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-4)
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], rel=1e-4)
    _, curve = train(folder / "full1" / "c.pt")
    _, other = with_two("full2")
    assert other[-1]["validation_loss"] == pytest.approx(curve[-1]["validation_loss"], rel=0.1)


@pytest.mark.slow
def test_a_process_that_fails_is_said_once(trained, capfd):
    folder, _, paths, _ = trained
    two = load_config(SMALL, {"training": {"processes": 2, "batch_size": 4096}})
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
    assert capfd.readouterr().err.count("8192 and 10 are needed") == 1
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
    folder, _, _, train = trained
    stuck = load_config(SMALL, {"training": {"epochs": 9, "patience": 2, "learning_rate": 1e-12}})
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
    folder, _, _, train = trained
    with pytest.raises(InputError, match="are needed"):
        train(folder / "few" / "c.pt", load_config(SMALL, {"training": {"batch_size": 4096}}))


def killed_after(monkeypatch, epochs, train):
    """Run a training that is killed in its epoch number `epochs`, counted from 0."""
    from tashower.network import training

    normal, calls = training.train_epoch, []

    def killed(*args):
        calls.append(1)
        if len(calls) > epochs:
            raise KeyboardInterrupt
        return normal(*args)

    monkeypatch.setattr(training, "train_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        train()
    monkeypatch.setattr(training, "train_epoch", normal)


def equal_weights(one, two):
    return all(torch.equal(value, two["weights"][key]) for key, value in one["weights"].items())


@pytest.mark.parametrize("what", ["configuration", "code", "inputs"])
def test_a_training_that_is_no_longer_the_same_starts_anew(trained, monkeypatch, caplog, what):
    folder, config, paths, train = trained
    output = folder / f"other-{what}" / "c.pt"
    killed_after(monkeypatch, 2, lambda: train(output))
    if what == "configuration":
        config = load_config(SMALL, {"training": {"weight_decay": 0.5}})
    elif what == "code":
        monkeypatch.setattr("tashower.network.training.code_of_stage", lambda *_: "another")
    else:
        swapped = {"train": paths["train"], "validation": paths["train"]}
        monkeypatch.setitem(paths, "validation", swapped["validation"])
    caplog.set_level(logging.INFO, "tashower")
    caplog.clear()
    found, curve = train(output, config)
    said = [r.getMessage() for r in caplog.records if "began with" in r.getMessage()]
    assert len(said) == 1
    assert said[0].endswith(f"c.pt.state: began with other {what}: training starts anew")
    fresh, whole = train(folder / f"fresh-{what}" / "c.pt", config)
    assert equal_weights(found, fresh)
    assert [h["train_loss"] for h in curve] == [h["train_loss"] for h in whole]


def test_a_network_does_not_depend_on_the_others(trained):
    """Alone or beside others, in any order, by the function or by the command line with what the
    workflow hands over: the same weights. Another name: others.
    """
    folder, config, paths, train = trained
    alone, _ = train(folder / "alone" / "c.pt")
    entry = config.networks["a"]
    for k, networks in enumerate(({"b": entry, "a": entry}, {"a": entry, "z": entry})):
        beside, _ = train(folder / f"beside{k}" / "c.pt", replace(config, networks=networks))
        assert equal_weights(alone, beside)
    other, _ = train(folder / "b" / "c.pt", replace(config, networks={"b": entry}), "b")
    assert not equal_weights(alone, other)
    whole = as_dict(config)
    handed = json.dumps({key: whole[key] for key in ("seed", "networks")})
    words = [
        f"--{split}-{kind}={path}"
        for split in paths
        for kind, path in zip(("events", "fits"), paths[split], strict=True)
    ]
    output = folder / "cli" / "c.pt"
    output.parent.mkdir()
    command = ["train", "--config", handed, "--network", "a", *words, "--output", str(output)]
    assert main(command) == 0
    assert equal_weights(alone, load_checkpoint(output))


def resolved(config, **changes):
    """The configuration whose network `a` has other settings."""
    return replace(config, networks={"a": replace(config.networks["a"], **changes)})


def test_gaussian_head_states_a_covariance(trained):
    folder, config, paths, train = trained
    content, _ = train(folder / "gaussian" / "c.pt", resolved(config, head="gaussian"))
    assert content["head"] == "gaussian"
    assert content["model_inputs"]["n_outputs"] == 20
    output = folder / "gaussian" / "out.h5"
    apply_network(folder / "gaussian" / "c.pt", *paths["validation"], output, "cpu")
    table = read_reconstruction(output)[0]["a"]
    known = table.covariance[table.valid]
    assert np.isfinite(known[:, :5, :5]).all()
    assert (np.linalg.eigvalsh(known[:, :5, :5] / np.outer(*2 * [[100, 100, 1, 1, 1]])) > 0).all()
    assert np.isnan(known[:, 5:]).all()
    assert np.isnan(known[:, :, 5:]).all()
    assert np.isnan(table.covariance[~table.valid]).all()
    # An untrained one states the rms of the targets: some hundred metres, some degrees.
    core = np.sqrt(known[:, 0, 0])
    assert 30 < np.median(core) < 1000
    assert 0.3 < np.median(np.degrees(np.sqrt(known[:, 2, 2]))) < 10


def test_what_a_network_states_of_its_errors_is_written(trained, capfd):
    """Head `flow`: errors times the factors of the checkpoint unless told otherwise, regions, the
    distance from the training sample, and a flag beyond its limit.
    """
    folder, config, paths, train = trained
    checkpoint = folder / "flow" / "c.pt"
    short = replace(config.networks["a"].training, epochs=1)
    content, _ = train(checkpoint, resolved(config, head="flow", training=short))
    factors = content["temperature"]
    assert list(factors) == ["direction", "core", "energy"]
    assert all(0.3 < value < 3.0 for value in factors.values())
    assert content["domain"]["limit"] == np.inf  # fewer than 99 events validate
    content["domain"]["limit"] = 1.0
    save_checkpoint(checkpoint, content)
    words = [f"--events={paths['validation'][0]}", f"--fits={paths['validation'][1]}"]
    found = {}
    for name, more in (("with", []), ("without", ["--no-temperature"])):
        output = folder / "flow" / f"{name}.h5"
        assert main(["apply", str(checkpoint), *words, "--output", str(output), *more]) == 0
        tables, _, columns = read_reconstruction(output)
        found[name] = tables["a"], columns, read_stated([output])
    capfd.readouterr()
    (table, columns, stated), (bare, _, unstated) = found["with"], found["without"]
    assert stated.temperature == factors
    assert unstated.temperature == {}
    back = without_temperature(table, factors)
    for one, other in ((back, bare), (table, without_temperature(bare, invert(factors)))):
        np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-8, atol=1e-15)
        np.testing.assert_allclose(one.energy_error, other.energy_error, rtol=1e-9)
    np.testing.assert_array_equal(table.zenith, bare.zenith)
    assert list(stated.radii) == ["direction", "core", "energy"]
    for radii in stated.radii.values():
        np.testing.assert_array_equal(np.isfinite(radii).all(axis=1), table.valid)
        assert (np.abs(radii[table.valid] - 1.0) < 0.5).all()
    outside = table.flags >> FLAGS.index("outside_domain") & 1
    np.testing.assert_array_equal(outside, np.nan_to_num(columns["domain_distance"]) > 1.0)
    assert 0 < outside.sum() < table.valid.sum()
    assert stated.domain["false_alarms"] == 0.01


def invert(factors):
    return {block: 1.0 / value for block, value in factors.items()}


def test_a_network_without_errors_has_no_factors(trained):
    folder, _, paths, train = trained
    content, _ = train(folder / "mean" / "c.pt")
    assert content["temperature"] is None
    del content["temperature"], content["domain"]  # as in files of earlier versions
    save_checkpoint(folder / "mean" / "old.pt", content)
    apply_network(folder / "mean" / "old.pt", *paths["validation"], folder / "mean" / "o.h5", "cpu")
    assert read_stated([folder / "mean" / "o.h5"]) == Stated()


@pytest.mark.parametrize("heading", [0.0, 0.7, -2.0])
@pytest.mark.parametrize("azimuth", [0.3, 2.5, 5.0])
def test_covariance_is_that_of_drawn_corrections(rng, heading, azimuth):
    """Corrections drawn with a covariance in the lattice's frame: zenith, azimuth, core and energy
    of the result spread as the table says.
    """
    from hits import make_events, make_reconstruction

    n = 40_000
    fit = make_reconstruction(rng, make_events(rng, 2))
    fit = select_rows(fit, np.ones(n, int))
    ones = np.ones(n)
    fit = replace(fit, zenith=0.6 * ones, azimuth=azimuth * ones, s_ref=20.0 * ones)
    root = np.tril(rng.normal(size=(5, 5))) + 2.0 * np.eye(5)
    root *= np.array([0.002, 0.002, 30.0, 30.0, 0.01])[:, None]
    drawn = rng.normal(size=(n, 5)) @ root.T
    covariance = np.broadcast_to(root @ root.T, (n, 5, 5))
    found = corrected(fit, np.arange(n), drawn, heading)
    stated = corrected(fit, np.arange(n), 0.0 * drawn, heading, covariance).covariance[0]
    assert np.isnan(found.covariance).all()
    columns = [found.core_x, found.core_y, found.zenith, found.azimuth, np.log(found.energy)]
    spread = np.cov(columns)
    size = np.sqrt(np.diag(spread))
    stated = stated[:5, :5] / np.outer(*2 * [[1, 1, 1, 1, 20.0]])
    np.testing.assert_allclose(stated / np.outer(size, size), np.corrcoef(columns), atol=0.04)


def test_covariance_at_the_horizon_is_not_known(rng):
    from hits import make_events, make_reconstruction

    fit = select_rows(make_reconstruction(rng, make_events(rng, 2)), np.ones(30, int))
    fit = replace(fit, zenith=np.full(30, 1.5), azimuth=np.linspace(0, 6, 30))
    rows = np.arange(29)  # the last one gets no correction
    axis = direction(fit.zenith, fit.azimuth)[rows, :2]
    change = np.pad(0.5 * axis, ((0, 0), (0, 3)))
    change[0] *= -1.0
    table = corrected(fit, rows, change, 0.0, np.broadcast_to(np.eye(5), (29, 5, 5)))
    assert table.zenith[1:29] == pytest.approx(np.pi / 2)
    known = np.isfinite(table.covariance[:, :5, :5]).all(axis=(1, 2))
    np.testing.assert_array_equal(known, np.arange(30) == 0)


def test_a_users_model_is_trained_and_applied_from_its_file_alone(trained, tmp_path, capfd):
    from network.test_models import blocks

    _, config, paths, train = trained
    path = tmp_path / "my_network.py"
    path.write_text(blocks("python")[0])
    mine = resolved(config, model=str(path), options={"channels": 4})
    checkpoint, words = tmp_path / "mine" / "c.pt", []
    content, _ = train(checkpoint, mine)
    assert content["model"]["source"] == path.read_text()
    for option, file in zip(("--events", "--fits"), paths["validation"], strict=True):
        words += [option, str(file)]

    def apply(output, *more):
        done = main(["apply", str(checkpoint), *words, "--output", str(tmp_path / output), *more])
        return done, capfd.readouterr().err

    assert apply("a.h5")[0] == 0
    moved = path.rename(tmp_path / "moved.py")
    done, said = apply("b.h5")
    assert done == 2
    assert "my_network.py is not there" in said
    assert apply("c.h5", "--model", str(moved))[0] == 0
    one, two = (read_reconstruction(tmp_path / name)[0]["a"] for name in ("a.h5", "c.h5"))
    np.testing.assert_array_equal(one.core_x, two.core_x)
    moved.write_text(moved.read_text() + "\n")
    done, said = apply("d.h5", "--model", str(moved))
    assert done == 2
    assert "moved.py is not that file" in said
    assert not (tmp_path / "d.h5").exists()


def test_a_users_model_that_is_none_is_refused_before_the_samples_are_made(trained, tmp_path):
    folder, config, _, train = trained
    path = tmp_path / "my_network.py"
    path.write_text("def model(inputs, width=3): ...\n")
    for change, words in (
        ({"model": "absent.py"}, r"model absent\.py: is none of .*, and no file"),
        ({"model": str(path), "options": {"widht": 3}}, "no option widht; it has width"),
    ):
        with pytest.raises(InputError, match=words):
            train(folder / "none" / "c.pt", resolved(config, **{"options": {}} | change))
    assert not list((folder / "none").iterdir())


@pytest.mark.slow
def test_from_an_empty_file_to_a_scored_network(tmp_path, monkeypatch):
    """Every line of docs/own_network.md that is a command or a file."""
    from network.test_models import blocks

    from tashower.calibration.calibration import DEFAULT

    monkeypatch.chdir(tmp_path)
    shutil.copy(DEFAULT, tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "my_network.py").write_text(blocks("python")[0])
    (tmp_path / "mine.yaml").write_text(blocks("yaml")[0])
    commands, source = blocks("sh")
    for line in commands.splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["n_scored"] > 50
    assert "mine" in scores["networks"]
    done = subprocess.run(
        [sys.executable, *shlex.split(source)[1:]], capture_output=True, text=True, check=True
    )
    assert done.stdout == blocks("python")[0]
