"""`tashower backbones`: the table of a folder of results that was made by hand."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tashower.cli import main
from tashower.config import as_dict, load_config
from tashower.errors import InputError
from tashower.evaluation.backbones import as_markdown, backbone_rows, backbones, events_per_second
from tashower.evaluation.tables import VERSION
from tashower.io.json_file import parsed_json, write_json
from tashower.network.checkpoint import save_checkpoint
from tashower.network.contracts import ModelInputs, build_model, find_model
from tashower.network.cost import HITS, multiply_adds
from tashower.network.tiles import STATION_FEATURES

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {"waveform_channels": 4, "station_channels": 8, "grid_layers": 1, "dense_channels": 8}
CONFIG = {
    "network": {"inputs": {"tile": 4, "n_bins": 32, "event_features": False}},
    "networks": {
        "plain": {"model": "vgg", "options": OPTIONS, "seeds": 3},
        "deep": {"model": "residual", "options": OPTIONS, "corrects": "complete"},
    },
}
INPUTS = ModelInputs(4, 32, 2, STATION_FEATURES, (), True, "square", 5)


def curve(*speeds, n=600):
    """A training curve with so many events in a second in each epoch."""
    return [{"epoch": k, "events": n, "seconds": n / v} for k, v in enumerate(speeds, 1)]


def rung(ev, ratio):
    return {"all": {"axis": {"ev": ev, "ratio_68": ratio}}}


def seeds(mean, *each):
    scatter = float(np.std(each, ddof=1))
    return {
        **{"value": mean, "error": 0.05, "statistical": 0.04},
        **{"scatter": scatter, "each": list(each)},
    }


@pytest.fixture
def folder(tmp_path):
    config = as_dict(load_config(json.dumps(CONFIG)))
    for name in ("plain", "deep"):
        settings = config["networks"][name]
        network = build_model(find_model(settings["model"]), INPUTS, settings["options"])
        (tmp_path / "networks" / name).mkdir(parents=True)
        content = {
            "model": {"form": settings["model"], "source": "", "sha256": ""},
            "options": settings["options"],
            "model_inputs": json.loads(json.dumps(asdict(INPUTS))),
            "weights": network.state_dict(),
        }
        save_checkpoint(tmp_path / "networks" / name / "checkpoint.pt", content)
    one = {"value": 0.35, "error": 0.02}
    scores = {
        "format": "tashower scores",
        "version": VERSION,
        "commit": "abc",
        "created": "today",
        "n_scored": 4321,
        "configuration": config,
        "trainings": {"plain": ["plain", "plain_seed2", "plain_seed3"], "deep": ["deep"]},
        "histories": {
            "plain": curve(100, 200, 900),
            "plain_seed2": curve(210, 210),
            "plain_seed3": curve(220, 20, 220),
            "deep": curve(150),
        },
        "ladder": {
            "free": {
                "plain": rung(seeds(0.3, 0.29, 0.3, 0.31), seeds(0.9, 0.9, 0.9, 0.9)),
                "deep": rung({"value": 0.9, "error": 0.1}, one),
            },
            "complete": {
                "plain": rung({"value": 0.1, "error": 0.1}, one),
                "deep": rung(one, {"value": 0.85, "error": 0.01}),
            },
        },
    }
    write_json(tmp_path / "scores.json", scores)
    return tmp_path, scores


def test_every_number_of_the_table(folder):
    path, _ = folder
    found = backbones(path)
    assert list(found["networks"]) == ["deep", "plain"]  # the largest explained variance first
    deep, plain = found["networks"].values()
    # Against the fit that each corrects.
    assert (deep["ev"]["value"], plain["ev"]["value"]) == (0.35, 0.3)
    assert (deep["ratio_68"]["value"], plain["ratio_68"]["value"]) == (0.85, 0.9)
    assert plain["ev"]["scatter"] == pytest.approx(0.01)
    assert (plain["ev"]["statistical"], deep["ev"]["statistical"]) == (0.04, 0.02)
    assert plain["ev"]["each"] == [0.29, 0.3, 0.31]
    assert deep["ev"]["scatter"] is None
    # The median over the epochs, then mean and scatter over the trainings.
    assert plain["events_per_second"]["each"] == pytest.approx([200, 210, 220])
    assert plain["events_per_second"]["value"] == pytest.approx(210)
    assert plain["events_per_second"]["scatter"] == pytest.approx(10)
    assert plain["epochs"]["each"] == [3, 2, 3]
    assert (plain["trainings"], deep["trainings"]) == (3, 1)
    assert plain["training_events"] == 600
    for one, model in ((deep, "residual"), (plain, "vgg")):
        network = build_model(find_model(model), INPUTS, one["options"])
        assert one["parameters"] == sum(p.numel() for p in network.parameters())
        assert one["multiply_adds"] == multiply_adds(network, INPUTS, min(HITS, 16))


def test_the_table_in_words(folder):
    path, scores = folder
    header, deep, plain = backbone_rows(backbones(path))
    assert header[-3:] == ["corrects", "EV of the direction", "68 % ratio"]
    assert deep[-2:] == ["0.3500", "0.8500"]
    assert plain[-4:] == ["2.7", "free fit", "0.3000 ± 0.0100", "0.9000"]
    assert plain[4] == "210 ± 10"
    assert deep[:2] == ["deep", "residual"]
    text = as_markdown(backbones(path))
    assert "4,321 events" in text
    assert "over 1 or 3 trainings" in text
    assert "Trained on 600 events." in text
    assert "up to 0.040" in text
    assert f"{HITS} hit stations" in text
    # Curves of earlier versions do not say how many events there were.
    for one in scores["histories"].values():
        for epoch in one:
            del epoch["events"]
    scores["trainings"] = {"deep": ["deep"]}
    write_json(path / "scores.json", scores)
    ((_, row), text) = (backbone_rows(backbones(path)), as_markdown(backbones(path)))
    assert row[4] == "—"
    assert len(row) == len(header) - 1  # one fit for all is named in the sentence
    assert "One training each" in text
    assert "Trained on" not in text
    assert events_per_second([]) is None


def test_from_the_command_line(folder, tmp_path, capsys):
    path, _ = folder
    assert main(["backbones", str(path)]) == 0
    said = capsys.readouterr().out
    text = (path / "backbones.md").read_text()
    assert said.startswith(text)
    numbers = parsed_json(path / "backbones.json")
    assert (numbers["format"], numbers["version"]) == ("tashower backbones", 1)
    assert numbers["networks"]["plain"]["ev"]["each"] == [0.29, 0.3, 0.31]
    assert main(["backbones", str(path), "-o", str(tmp_path / "x" / "t.md")]) == 0
    assert (tmp_path / "x" / "t.md").read_text() == text
    for name, words in (("t.txt", "ends in .md"), ("scores.md", "would be overwritten")):
        assert main(["backbones", str(path), "-o", str(path / name)]) == 2
        assert words in capsys.readouterr().err
        assert not (path / name).exists()
    assert (path / "scores.json").is_file()


def test_what_does_not_belong_together_is_refused(folder, capsys):
    path, scores = folder
    checkpoint = path / "networks" / "deep" / "checkpoint.pt"
    settings = scores["configuration"]["networks"]["deep"]
    settings["options"]["dropout"] = 0.7
    write_json(path / "scores.json", scores)
    with pytest.raises(InputError, match=r"deep/checkpoint\.pt: is another network than the one"):
        backbones(path)
    settings["options"]["dropout"] = 0.1
    settings["model"] = "squeeze_excitation"
    write_json(path / "scores.json", scores)
    with pytest.raises(InputError, match="is another network"):
        backbones(path)
    checkpoint.unlink()
    with pytest.raises(InputError, match=r"checkpoint\.pt: no such file"):
        backbones(path)
    write_json(path / "scores.json", scores | {"trainings": {"elsewhere": ["elsewhere"]}})
    with pytest.raises(InputError, match="holds no network of its configuration"):
        backbones(path)
    write_json(path / "scores.json", scores | {"version": 1})
    assert main(["backbones", str(path)]) == 2
    assert "not a tashower scores of version" in capsys.readouterr().err
    (path / "scores.json").unlink()
    assert main(["backbones", str(path)]) == 2
    assert "scores.json: no such file" in capsys.readouterr().err
    assert not (path / "backbones.md").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("checkout", "named"), [(True, False), (True, True), (False, False)])
def test_the_workflow_runs_the_configuration_and_makes_the_table(tmp_path, checkout, named):
    """With the keys of this command over it, once if it is named, too; it comes with a checkout."""
    file = ROOT / "config" / "backbones.yaml"
    words = [sys.executable, "-m", "tashower", "run", "-n", "-p", "--cores", "1"]
    words += ["--snakefile", str(ROOT / "Snakefile")] if checkout else []
    words += ["--config", str(file)] if named else []
    words += ["compare_backbones", "-C", "results=r", "seed=7"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    options = {"cwd": tmp_path, "env": environment, "text": True, "capture_output": True}
    done = subprocess.run(words, **options)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    if checkout:
        assert (
            f"Snakefile --config {file} -C 'results=\"r\"' seed=7 && tashower backbones r" in said
        )
    else:
        assert "it comes with a checkout" in said
        assert "tashower backbones" not in said
