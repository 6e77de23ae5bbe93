"""Other worlds and varying nuisances: what a configuration may say of them, and what the workflow
makes of it.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tashower.cli import main
from tashower.config import as_dict, load_config, missing_likelihood, missing_nuisances
from tashower.errors import InputError
from tashower.io.samples import (
    in_world,
    learning_sample,
    samples_of,
    simulates,
    split_of,
    world_of,
    world_samples,
)
from tashower.io.stages import (
    PACKAGED,
    chunk_names,
    made_by,
    products,
    robustness_products,
    showers_of,
    station_likelihood_of,
)

ROOT = Path(__file__).resolve().parent.parent
PAGE = load_config(ROOT / "config/robustness.yaml")
USUAL = load_config()


# What a configuration may say.


@pytest.mark.parametrize(
    ("robustness", "words"),
    [
        (
            {"worlds": {"a": {"detector": {"gain_shft": 0.05}}}},
            "robustness.worlds.a: detector.gain_shft: not in another world; a world changes only "
            "out_of_service_fraction, calibration_spread, gain_shift, clock_ns",
        ),
        ({"worlds": {"a": {"array": {"columns": 9}}}}, "robustness.worlds.a.array: unknown"),
        ({"worlds": {"a": {"detector": {"clock_ns": -1}}}}, "clock_ns: -1: Input should be"),
        ({"worlds": {"a": 3}}, "robustness.worlds.a: must be a map"),
        ({"worlds": {"a": {"showers": {"max_zenith_deg": 30}}}}, "max_zenith_deg: not in another"),
        (
            {"worlds": {"a": {"showers": {"primaries": {"iron": 1}}}}},
            "robustness.worlds.a.showers.primaries: must be",
        ),
        ({"worlds": {"a": {"detector": {"layers": 1}}}}, "layers: not in another world"),
        ({"worlds": {"nominal": {}}}, "robustness.worlds.nominal: nominal is the world"),
        ({"worlds": {"A b": {}}}, "must match"),
        ({"nuisances": {"detector": {"gain_shft": [0, 1]}}}, "gain_shft: not in another world"),
        ({"nuisances": {"array": {}}}, "robustness.nuisances.array: unknown"),
        ({"nuisances": {"detector": {"gain_shift": [0, 3]}}}, "gain_shift: 3.0: Input should be"),
        ({"nuisances": {"detector": {"gain_shift": [0.1, 0]}}}, "must be [lowest, highest]"),
        ({"nuisances": {"detector": {"gain_shift": [0.1]}}}, "must be [lowest, highest]"),
        ({"nuisances": {"detector": {"gain_shift": ["a"]}}}, "gain_shift: a: Input should be"),
        ({"nuisances": {"front": {"model": ["sourced", "smooth"]}}}, "model: smooth: Input"),
    ],
)
def test_worlds_and_nuisances_that_cannot_be_are_refused(robustness, words):
    with pytest.raises(InputError) as refused:
        load_config({"robustness": robustness})
    assert words in str(refused.value)


def test_a_world_has_all_that_it_does_not_change():
    config = load_config(
        {
            "detector": {"clock_ns": 7},
            "robustness": {"worlds": {"a": {"detector": {"gain_shift": 0.05, "clock_ns": 3}}}},
        }
    )
    assert load_config(as_dict(config)) == config
    world = load_config(in_world(as_dict(config), "world_a"))
    assert world.detector == replace(config.detector, gain_shift=0.05, clock_ns=3.0)
    assert (world.showers, world.front, world.array) == (config.showers, config.front, config.array)
    # What else is changed is changed in the world, too.
    other = load_config(as_dict(config), {"showers": {"max_zenith_deg": 30}})
    assert in_world(as_dict(other), "world_a")["showers"]["max_zenith_deg"] == 30.0
    # A user's worlds are all there are.
    more = load_config(as_dict(config), {"robustness": {"worlds": {"b": {}}}})
    assert list(more.robustness.worlds) == ["b"]


def test_a_network_cannot_learn_from_nuisances_that_nobody_named():
    config = {"networks": {"a": {"randomised": True}, "b": {}}}
    words = "networks.a.randomised: robustness.nuisances names nothing that varies"
    assert missing_nuisances(load_config(config)) == [words]
    varies = {"robustness": {"nuisances": {"detector": {"clock_ns": [0, 1]}}}}
    assert not missing_nuisances(load_config(config, varies))


def test_a_network_that_is_told_of_no_likelihood_is_one_line():
    none = {"likelihood": {"file": "none"}}
    words = (
        "networks.with_likelihood.inputs.station_likelihood: needs one, and likelihood.file is none"
    )
    assert missing_likelihood(load_config(none)) == [words]
    assert not missing_likelihood(load_config(none, {"networks": {"a": {}}}))
    assert not missing_likelihood(load_config(none, {"data": {"files": ["x.dst"]}}))
    assert not missing_likelihood(load_config())


def test_the_station_likelihood_of_the_package_is_of_the_usual_muons_and_gains():
    assert station_likelihood_of(as_dict(USUAL), "r") == str(PACKAGED)
    for change in ({"showers": {"muon_factor": 1.3}}, {"detector": {"gain_shift": 0.05}}):
        assert station_likelihood_of(as_dict(load_config(change)), "r") != str(PACKAGED)
    # Worlds are tested with that of the world in which everything is learned.
    assert station_likelihood_of(as_dict(PAGE), "r") == station_likelihood_of(as_dict(USUAL), "r")


# The samples of the workflow.


def test_samples_and_what_they_are_made_of():
    config = as_dict(load_config(as_dict(PAGE), {"samples": {"test": 900, "chunk_size": 400}}))
    assert world_samples(config)[:2] == ["test", "world_epos_lhc"]
    assert [world_of(s) for s in world_samples(config)[:2]] == ["nominal", "epos_lhc"]
    assert samples_of(config)[2:] == ["test", "randomised_train", "randomised_validation"]
    assert samples_of(as_dict(USUAL)) == ["train", "validation", "test"]
    assert (split_of("world_rough"), split_of("randomised_train")) == ("test", "train")
    assert (simulates("world_rough"), simulates("test")) == ("simulate", "simulate")
    assert simulates("randomised_train") == "simulate-randomised"
    assert learning_sample(config, "randomised", "train") == "randomised_train"
    assert learning_sample(config, "features_only", "train") == "train"
    assert chunk_names(config, "world_rough") == ["000", "001", "002"]
    assert showers_of(config, "world_rough", 2) == [800, 900]
    assert in_world(config, "world_rough")["front"]["model"] == "rough"
    assert in_world(config, "test") == config
    found = robustness_products(config)
    assert "reconstructions/world_rough/002.h5" in found
    assert "networks/randomised/world_gain_up_5/000.h5" in found
    assert not any("/test/" in name for name in found)
    assert "reconstructions/randomised_train/000.h5" in products(config)


def test_a_world_is_made_again_when_it_changes_and_the_others_are_not():
    def made(world, gain, lowest):
        config = as_dict(
            load_config(
                as_dict(PAGE),
                {
                    "robustness": {
                        "worlds": {"one": {"detector": {"gain_shift": gain}}, "two": {}},
                        "nuisances": {"detector": {"gain_shift": [lowest, 0.1]}},
                    }
                },
            )
        )
        return made_by(simulates(world), in_world(config, world), showers=[world, 0, 10])

    for world, by_gain, by_nuisance in (
        ("world_one", True, False),
        ("world_two", False, False),
        ("test", False, False),
        ("train", False, False),
        ("randomised_train", False, True),
    ):
        assert (made(world, 0.05, -0.1) != made(world, 0.06, -0.1)) == by_gain, world
        assert (made(world, 0.05, -0.1) != made(world, 0.05, -0.2)) == by_nuisance, world


# The workflow.


def planned(tmp_path, *words):
    """What a dry run of `robustness` says."""
    command = [sys.executable, "-m", "snakemake", "robustness", "--dry-run", "--printshellcmds"]
    command += ["--cores", "2", "--nolock", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


SMALL = {
    "samples": {"calibration": 4000, "train": 2000, "validation": 600, "test": 1500},
    "networks": {
        "plain": {"inputs": {"waveforms": False}},
        "varied": {"inputs": {"waveforms": False}, "randomised": True},
    },
    "robustness": {
        "worlds": {
            "gain": {"detector": {"gain_shift": 0.2}},
            "muons": {"showers": {"muon_factor": 1.5}},
        },
        "nuisances": {"detector": {"gain_shift": [-0.2, 0.2]}},
    },
    "likelihood": {"file": "none"},
}


@pytest.mark.slow
def test_the_workflow_learns_in_one_world_and_tests_in_all(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({"results": f"{tmp_path}/r", **SMALL}))
    status, said = planned(tmp_path, "--configfile", str(path))
    assert status == 0, said[-3000:]
    lines = said.splitlines()

    def commands(word, *parts):
        found = [line for line in lines if f"tashower {word} " in line]
        return [line for line in found if all(part in line for part in parts)]

    (simulated,) = commands("simulate", "/world_gain/")
    assert '"gain_shift": 0.2' in simulated
    assert "--split test" in simulated
    (fitted,) = commands("fit", "/world_gain/")
    assert f"--calibration {tmp_path}/r/calibration.json" in fitted
    (varied,) = commands("train", "--network varied")
    assert varied.count("/randomised_train/") == varied.count("/randomised_validation/") == 2
    assert "randomised_" not in commands("train", "--network plain")[0]
    (drawn,) = commands("simulate", "--split randomised_train")
    assert '"nuisances": {"detector": {"gain_shift": [-0.2, 0.2]}}' in drawn
    assert len(commands("apply")) == 2 * 3
    (table,) = commands("robustness")
    words = [
        f"{name}={tmp_path}/r/events/{sample}/000.h5"
        for name, sample in (("nominal", "test"), ("gain", "world_gain"), ("muons", "world_muons"))
    ]
    assert " ".join(words) in table
    assert not commands("score")


@pytest.mark.slow
def test_a_run_from_showers_to_the_table(tmp_path):
    small = {
        **SMALL,
        "results": f"{tmp_path}/r",
        "network": {"options": {"station_channels": 16, "grid_layers": 1, "dense_channels": 32}},
        "training": {"epochs": 2, "batch_size": 64},
        "scores": {"bootstrap": 20},
    }
    path, command = tmp_path / "mine.yaml", [sys.executable, "-m", "tashower", "run", "robustness"]
    path.write_text(json.dumps(small))
    command += ["--cores", "2", "--config", str(path)]

    def run(*more):
        done = subprocess.run(
            [*command, *more], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout + done.stderr

    run()
    found = json.loads((tmp_path / "r/robustness.json").read_text())
    assert list(found["worlds"]) == ["nominal", "gain", "muons"]
    assert found["twins"] == {"varied": "plain"}
    moved = found["worlds"]["gain"]["methods"]["complete"]["shift"]["log_energy_bias"]
    assert moved["value"] == pytest.approx(np.log(1.2), abs=0.04)
    assert found["worlds"]["muons"]["methods"]["free"]["shift"]["log_energy_bias"]["value"] > 0.05
    assert main(["verify", str(tmp_path / "r")]) == 0
    assert "Nothing to be done" in run("-n")
    # Another world: it alone is made anew.
    small["robustness"]["worlds"]["gain"]["detector"]["gain_shift"] = 0.1
    path.write_text(json.dumps(small))
    said = run("-n")
    assert "world_gain" in said
    assert "world_muons/000.h5\n    log" not in said
    assert "rule train_network" not in said
    assert "rule robustness" in said
