"""Files that belong together, and what is named where they do not."""

import json
import shutil

import pytest

from tashower.calibration.calibration import DEFAULT
from tashower.cli import main
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


def test_another_version_of_an_input(folder, capsys):
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
    assert "seeds differ" in captured.out
    assert "1 things do not belong together" in captured.err


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
