"""Files that belong together, and what is named where they do not."""

import html
import json
import shutil

import pytest
from matplotlib.figure import Figure

from tashower.calibration.calibration import DEFAULT
from tashower.cli import main
from tashower.config import SPLITS
from tashower.evaluation.figures.style import save
from tashower.evaluation.page import scores_source, statement
from tashower.evaluation.verify import problems_of
from tashower.io.hdf5 import checksum_of
from tashower.io.json_file import as_json


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Events, calibration and fits, made from each other."""
    folder = tmp_path_factory.mktemp("results")
    assert (
        main(
            ["simulate", "--config", "{samples: {test: 40}}", "--output", str(folder / "events.h5")]
        )
        == 0
    )
    shutil.copy(DEFAULT, folder / "calibration.json")
    content = json.loads((folder / "calibration.json").read_text())
    (folder / "calibration.json").write_bytes(as_json(content | {"made_from": []}))
    words = ["fit", str(folder / "events.h5"), "--calibration", str(folder / "calibration.json")]
    assert main([*words, "--output", str(folder / "fits.h5")]) == 0
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "r")


def test_files_that_belong_together(folder, capsys):
    (folder / "figure.png").write_bytes(b"other files are left alone")
    (folder / "notes.json").write_text("[1]")
    assert main(["verify", str(folder)]) == 0
    assert "everything belongs together" in capsys.readouterr().out


def test_another_version_of_an_input(folder, made, capsys):
    assert (
        main(
            [
                "simulate",
                "--config",
                "{samples: {test: 30}, seed: 5}",
                "--output",
                str(folder / "events.h5"),
            ]
        )
        == 0
    )
    assert main(["verify", str(folder)]) == 2
    captured = capsys.readouterr()
    assert "fits.h5: was made from another events.h5" in captured.out
    assert "1 things do not belong together" in captured.err
    shutil.copy(made / "events.h5", folder / "before.h5")
    assert main(["verify", str(folder)]) == 0
    assert "seeds differ" in capsys.readouterr().out


def test_a_damaged_file(folder, capsys):
    data = bytearray((folder / "events.h5").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "events.h5").write_bytes(data)
    assert main(["verify", str(folder)]) == 2
    assert "events.h5: its checksum is wrong" in capsys.readouterr().out


def test_an_input_that_is_elsewhere_is_a_remark(folder, capsys):
    (folder / "events.h5").unlink()
    assert main(["verify", str(folder)]) == 0
    assert (
        "events.h5: 1 files were made from it, and it is not in this folder"
        in capsys.readouterr().out
    )


def test_a_file_that_says_nothing(folder, capsys):
    content = json.loads((folder / "calibration.json").read_text())
    del content["made_from"]
    (folder / "calibration.json").write_bytes(as_json(content))
    assert main(["verify", str(folder)]) == 2
    assert "does not say what it was made from" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_no_folder_or_nothing_in_it(tmp_path, capsys, name):
    (tmp_path / "empty").mkdir()
    assert main(["verify", str(tmp_path / name)]) == 2
    assert str(tmp_path / name) in capsys.readouterr().err


def write(path, kind, made_from=(), **content):
    """A JSON file of tashower that states what it is given, made from files as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    inputs = [[one.name, checksum_of(one)] for one in made_from]
    content = {"format": f"tashower {kind}", "made_from": inputs, **content}
    path.write_text(json.dumps(content))
    return path


def curve(folder, name, code="1", epochs=13):
    networks = {name: {"model": "grid", "head": "mean", "training": {"epochs": epochs}}}
    content = {"stage": "train", "code": code, "configuration": {"networks": networks, "seed": 1}}
    return write(folder / "networks" / name / "history.json", "history", **content)


def scores_of(folder, inputs, networks, **further):
    settings = {name: {"training": {"epochs": epochs}} for name, epochs in networks.items()}
    content = {
        "stage": "score",
        "code": "3",
        "figures": [],
        "configuration": {"networks": settings},
    }
    content["configuration"] |= {
        "seed": 2,
        "samples": {"chunk_size": 10, **dict.fromkeys(SPLITS, 10)},
    }
    return write(folder / "scores.json", "scores", inputs, **(content | further))


@pytest.mark.parametrize(
    "wrong",
    [{"made_from": 3}, {"made_from": [["a"]]}, {"made_from": [[1, 2]]}, {"configuration": [1]}],
)
def test_what_a_file_states_may_be_nonsense(tmp_path, wrong):
    path = write(tmp_path / "history.json", "history")
    path.write_text(json.dumps(json.loads(path.read_text()) | wrong))
    assert problems_of(tmp_path)[0] == [f"{path}: what it states of its origin cannot be read"]
    content = {"networks": {"a": {"head": "../x", "model": "y"}, "b": 3}}
    write(path, "history", stage="train", code=[], configuration=content)
    assert problems_of(tmp_path)[0] == []


def test_files_of_other_settings_and_other_code(tmp_path, monkeypatch):
    monkeypatch.setattr("tashower.evaluation.verify.code_of_stage", lambda *_: "1")
    one, two = curve(tmp_path, "a"), curve(tmp_path, "b", epochs=20)
    scores = scores_of(tmp_path, [one, two], {"a": 13, "b": 13})
    problems, remarks = problems_of(tmp_path)
    wrong = [line for line in problems if not line.endswith("is missing")]
    said = "says networks.b.training.epochs 13, and was made from"
    assert wrong == [f"{scores}: {said} {two}, which says 20"]  # seeds may differ
    assert "1 files were made by other code of `score` than that of this package" in remarks
    assert any(line.startswith("seeds differ") for line in remarks)
    # Networks may have models and so code of their own; two files of one network may not.
    two = curve(tmp_path, "b", code="2")
    scores_of(tmp_path, [one, two], {"a": 13, "b": 13})
    assert all(line.endswith("is missing") for line in problems_of(tmp_path)[0])
    other = tmp_path / "networks" / "a" / "other.json"
    other.write_text(one.read_text().replace('"code": "1"', '"code": "2"'))
    scores_of(tmp_path, [one, two, other], {"a": 13, "b": 13})
    wrong = [line for line in problems_of(tmp_path)[0] if not line.endswith("is missing")]
    assert wrong == [f"{one}, {other}: `train` made them with different code"]


def test_what_is_missing_and_what_is_left_over(tmp_path):
    curves = [curve(tmp_path, name) for name in ("a", "b")]
    scores_of(tmp_path, curves[:1], {"a": 13})
    problems, remarks = problems_of(tmp_path)
    missing = ["calibration.json", *(f"reconstructions/{s}/000.h5" for s in SPLITS[1:])]
    missing += ["networks/a/checkpoint.pt", "networks/a/test/000.h5", "scores.md", "figures"]
    assert problems == [f"{tmp_path / name}: is missing" for name in [*missing, "report.html"]]
    assert f"{curves[1]}: belongs to no part of the run" in remarks


def test_pictures_tables_and_reports_of_other_scores(tmp_path):
    scores = scores_of(tmp_path, [], {"a": 13}, figures=["x", "y", "z"])
    source = scores_source("scores.json", scores.read_bytes())
    other = scores_source("scores.json", b"other")
    (tmp_path / "figures").mkdir()
    for name, of in (("x", source), ("y", other)):
        save(Figure(figsize=(1, 1)), tmp_path / "figures" / f"{name}.png", of)
    (tmp_path / "scores.md").write_text(f"Made from {source}.")
    page = '<meta name="tashower" content="{}">'

    def report(made_from):
        text = html.escape(statement("report", {}, made_from))
        (tmp_path / "report.html").write_text(page.format(text))

    report([["scores.json", checksum_of(scores)]])
    assert problems_of(tmp_path)[0] == [
        f"{tmp_path}/figures/y.png: was not drawn from {scores}",
        f"{tmp_path}/figures/z.png: is missing",
    ]
    (tmp_path / "scores.md").write_text(f"Made from {other}.")
    report([["scores.json", "01234567"]])
    problems = problems_of(tmp_path)[0]
    assert f"{tmp_path}/scores.md: was not made from {scores}" in problems
    assert (
        f"{tmp_path}/report.html: was made from another scores.json than any that is here"
        in problems
    )
    scores.unlink()
    assert problems_of(tmp_path)[0] == [
        f"{tmp_path}/report.html: the scores that it was made from are not here"
    ]


def test_what_is_made_from_a_configuration_alone(tmp_path):
    """A station likelihood, and a limit, are made from no file; others have to say from which."""
    from tashower.calibration.station_likelihood import DEFAULT
    from tashower.io.json_file import write_json

    shutil.copy(DEFAULT, tmp_path / "stations.json")
    write_json(tmp_path / "limit.json", {"format": "tashower limit", "version": 1})
    assert problems_of(tmp_path)[0] == []
    write_json(tmp_path / "scores.json", {"format": "tashower calibration", "version": 2})
    assert problems_of(tmp_path)[0] == [
        f"{tmp_path / 'scores.json'}: does not say what it was made from"
    ]
