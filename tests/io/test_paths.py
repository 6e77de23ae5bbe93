"""No command writes over what it reads, through links or not; no file is read twice."""

import os

import numpy as np
import pytest
from hits import make_events

from tashower.cli import main
from tashower.errors import InputError
from tashower.io.event_file import write_events
from tashower.io.paths import check_arguments, check_paths, require_file, same_file


@pytest.fixture
def files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    (tmp_path / "soft").symlink_to(tmp_path / "a")
    os.link(tmp_path / "a", tmp_path / "hard")
    return tmp_path


@pytest.mark.parametrize("output", ["a", "soft", "hard", "../{}/a"])
def test_an_output_that_is_an_input(files, output):
    path = files / output.format(files.name)
    with pytest.raises(InputError, match="would be overwritten"):
        check_paths([[files / "b", files / "a"]], [path])
    with pytest.raises(InputError, match="would be overwritten"):
        check_paths([files / "a"], [None, path])


def test_outputs_that_are_none(files):
    check_paths([[files / "a"], [files / "a", files / "b"], None], [files / "new", None])


@pytest.mark.parametrize("second", ["a", "soft", "hard"])
def test_the_same_file_twice(files, second):
    with pytest.raises(InputError, match=r"twice|same file"):
        check_paths([[files / "a", files / second]])


def test_folders_and_missing_files(files):
    with pytest.raises(InputError, match="is a folder, a file"):
        require_file(files)
    with pytest.raises(InputError, match="is a folder, a file"):
        check_paths([files])
    with pytest.raises(InputError, match="is a folder, the name"):
        check_paths([], [files])
    with pytest.raises(InputError, match="no such file"):
        require_file(files / "none")
    assert same_file(files / "none", files / "x" / ".." / "none")


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        ({"events": "a", "output": "a"}, True),
        ({"events": ["b", "a"], "to": "a"}, True),
        ({"files": ["a", "b"], "stations": "a", "to": "c"}, True),
        ({"train_events": ["a"], "validation_events": ["a"], "output": "c"}, True),
        ({"network": ["x=a", "y=b"], "output": "a"}, True),
        ({"config": "a", "output": "a"}, True),
        ({"lateral": "a", "files": ["b"], "to": "a"}, True),
        ({"simulated": "a", "output": "a"}, True),
        ({"simulated": "a", "towards": ["a"], "output": "c"}, True),
        ({"simulated": "a", "towards": ["b"], "checkpoint": "a", "output": "c"}, True),
        ({"simulated": "a", "towards": ["b"], "checkpoint": "b", "output": "c"}, True),
        ({"simulated": "a", "towards": ["b"], "checkpoint": "c", "output": "c"}, True),
        ({"simulated": "a", "towards": ["b"], "checkpoint": "c", "output": "d"}, False),
        ({"simulated": "a", "towards": None, "checkpoint": "b", "output": "b"}, True),
        ({"config": '{"seed": 1}', "events": "a", "fits": "b", "output": "c"}, False),
        ({"event": 3, "file": "a", "fits": "b", "output": None, "run": print}, False),
    ],
)
def test_arguments_of_commands(files, monkeypatch, arguments, refused):
    monkeypatch.chdir(files)
    if refused:
        with pytest.raises(InputError):
            check_arguments(arguments)
    else:
        check_arguments(arguments)


def test_the_command_line_asks(tmp_path, rng, capsys):
    path = tmp_path / "e.h5"
    write_events(path, make_events(rng, 2), {})
    before = path.read_bytes()
    (tmp_path / "l.h5").symlink_to(path)
    for words in (
        ["fit", str(path), "--calibration", "c", "--output", str(tmp_path / "l.h5")],
        ["export", str(path), "--to", str(path)],
        ["apply", "c.pt", "--events", str(path), "--fits", "f", "--output", str(path)],
        ["calibrate", str(path), str(path), "--output", str(tmp_path / "c.json")],
    ):
        assert main(words) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert path.read_bytes() == before
    np.testing.assert_equal(sorted(p.name for p in tmp_path.iterdir()), ["e.h5", "l.h5"])
