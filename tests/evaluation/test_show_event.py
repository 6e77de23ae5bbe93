"""`tashower show FILE --event POSITION` and `--id ID`: which event, with which fits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tashower.calibration.calibration import DEFAULT, read_calibration, write_calibration
from tashower.cli import main
from tashower.config import load_config
from tashower.evaluation.show_event import command_of, files_of, made_of, version_text
from tashower.events.model import concatenate_rows
from tashower.io.event_file import read_events, write_events
from tashower.io.reconstruction_file import write_reconstruction
from tashower.reconstruction.reconstruct import reconstruct


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Events whose ids are not their positions, two of them with the same id; their fits, a
    network, and a calibration that is not theirs.
    """
    folder = tmp_path_factory.mktemp("show")
    calibration = read_calibration(DEFAULT)
    events = read_events("data/sample.h5")[[3, 7, 5, 6]]
    events = replace(events, event_id=np.array([4774, 2, 9, 9]))
    tables, pulses, _ = reconstruct(events, calibration, load_config().reconstruction)
    write_events(folder / "e.h5", events, {})
    made_with = {"reconstruction": {"distance": "axis"}}
    write_reconstruction(folder / "f.h5", tables, made_with, pulses, stage="fit")
    net = replace(tables["free"], covariance=np.full_like(tables["free"].covariance, np.nan))
    write_reconstruction(folder / "n.h5", {"my_net": net}, {}, stage="apply")
    write_reconstruction(folder / "m.h5", {"my_net": net}, {}, stage="apply")
    short = {"free": concatenate_rows([tables["free"][:2]])}
    write_reconstruction(folder / "short.h5", short, {}, pulses)
    errors = calibration.errors._replace(time_floor=70.0)
    write_calibration(folder / "c.json", replace(calibration, errors=errors), {})
    return folder


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, in place of their files."""
    figures = []

    def save(figure, path, source=""):
        figures.append(figure)
        Path(path).touch()

    monkeypatch.setattr("tashower.evaluation.figures.style.save", save)
    return figures


def texts(figure):
    from matplotlib.text import Text

    return "\n".join(t.get_text() for t in figure.findobj(Text))


def show(folder, monkeypatch, tmp_path, *words):
    monkeypatch.chdir(tmp_path)
    return main(["show", str(folder / "e.h5"), *(w.replace("@", f"{folder}/") for w in words)])


@pytest.mark.parametrize(
    ("words", "name", "title"),
    [
        (["--event", "1"], "e-event-1.png", "event id 2 (position 1 in e.h5, counted from 0)"),
        (["--id", "2"], "e-id-2.png", "event id 2 (position 1 in e.h5, counted from 0)"),
        (["--id", "4774"], "e-id-4774.png", "event id 4774 (position 0 in e.h5, counted from 0)"),
    ],
)
def test_by_position_and_by_id(folder, drawn, monkeypatch, tmp_path, capsys, words, name, title):
    assert show(folder, monkeypatch, tmp_path, *words, "--fits", "@f.h5") == 0
    assert capsys.readouterr().out.strip() == name
    assert (tmp_path / name).exists()
    assert drawn[0].get_suptitle().startswith(title)


def test_fits_and_networks(folder, drawn, monkeypatch, tmp_path):
    assert show(folder, monkeypatch, tmp_path, "--id", "4774", "--fits", "@n.h5", "@f.h5") == 0
    assert show(folder, monkeypatch, tmp_path, "--id", "4774", "--fits", "@n.h5") == 0
    both, alone = map(texts, drawn)
    for text in (both, alone):
        assert "my_net *" in text
        assert "that of the fit" in text
    assert "complete fit" in both
    assert "without onset" not in both
    assert "errors as published" in alone


def test_a_calibration_that_is_not_theirs(folder, drawn, monkeypatch, tmp_path, capsys):
    words = ("--id", "4774", "--fits", "@f.h5")
    assert show(folder, monkeypatch, tmp_path, *words, "--calibration", "@c.json") == 0
    assert "were not made with" in capsys.readouterr().err
    assert show(folder, monkeypatch, tmp_path, *words, "--calibration", str(DEFAULT)) == 0
    assert "were not made with" not in capsys.readouterr().err
    assert "without onset" in texts(drawn[0])
    assert "without onset" not in texts(drawn[1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--event", "4"], "no event at position 4: it holds 4"),
        (["--event", "-1"], "no event at position -1"),
        (["--id", "3"], "no event with id 3: it holds 4 events, 2 to 4774"),
        (["--id", "9"], "2 events have the id 9: choose one by its position, --event 2, 3"),
        (["--fits", "@f.h5"], "--fits: which event? --event POSITION or --id ID"),
        (["--calibration", "@c.json"], "--calibration: which event?"),
        (["--id", "2", "--fits", "@n.h5", "@m.h5"], "holds a method 'my_net' as well"),
        (["--id", "2", "--fits", "@short.h5"], "is not a reconstruction of"),
        (["--id", "2", "--fits", "@e.h5"], "e.h5"),
        (["--id", "2", "--calibration", "@f.h5"], "f.h5"),
    ],
)
def test_one_line_and_status_2(folder, monkeypatch, tmp_path, capsys, words, message):
    assert show(folder, monkeypatch, tmp_path, *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_position_and_id_exclude_each_other(folder, monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        show(folder, monkeypatch, tmp_path, "--event", "1", "--id", "2")
    assert stop.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_what_is_known_of_files(folder):
    made = made_of({folder / "f.h5": ["free", "standard"], folder / "n.h5": ["my_net"]}, None)
    assert made.networks == ["my_net"]
    assert made.distance == "axis"
    assert made.versions["standard"] == "the data file"
    assert made.versions["free"].startswith("tashower ")
    attributes = {"software": "t 1", "commit": "0123456789+changes", "created": "2026-01-02T03"}
    assert version_text(attributes) == "t 1\n0123456+\n2026-01-02"


def test_the_command_that_draws_an_event():
    files = files_of(["free", "net"], "f.h5", {"net": "my net.h5", "other": "o.h5"})
    assert files == {"f.h5": ["free"], "my net.h5": ["net"]}
    command = command_of("e.h5", 4774, list(files), "c.json")
    assert command == ("tashower show e.h5 --id 4774 --fits f.h5 'my net.h5' --calibration c.json")
