"""What all commands have in common: how files are given, help, a start, a check of the machine."""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tashower
from tashower import caches
from tashower.calibration.calibration import DEFAULT
from tashower.cli import _parser, doctor, main
from tashower.cli.words import CommandParser
from tashower.errors import InputError
from tashower.io.reconstruction_file import read_reconstruction
from tashower.io.station_table import read_stations
from tashower.physics import compiled

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "sample.h5"

# Of every command: what it reads by position, its options that must be given, its others.
COMMANDS = {
    "init": ("folder", "--preset", ""),
    "run": ("", "", "--config --cores"),
    "simulate": ("", "--output", "--config --split --chunk --truth"),
    "convert": (
        *("files", "--output"),
        "--force --format --stations --windows --counts-per-vem --lateral --reference --front",
    ),
    "export": ("events", "--output", "--format"),
    "calibrate": ("events", "--output", "--config"),
    "fit": (
        *("events", "--output"),
        "--config --calibration --station-likelihood --method --minimiser --primary",
    ),
    "station-likelihood": ("", "--output", "--config --number --without-waveforms"),
    "limit": ("", "", "--config --calibration --station-likelihood --number --output"),
    "train": (
        "",
        "--network --train-events --train-fits --validation-events --validation-fits --output",
        "--config --station-likelihood",
    ),
    "apply": ("checkpoint events", "--fits --output", "--device --model --no-temperature"),
    "explain": (
        *("checkpoint events", "--fits --output"),
        "--target --number --event --device --model",
    ),
    "export-network": ("checkpoint", "--output", "--model"),
    "train-generator": ("", "--generator --train-events --validation-events --output", "--config"),
    "generate": (*("checkpoint", "--output"), "--config --split --chunk --truth --events --seed"),
    "refine": ("simulated", "--output", "--towards --method --checkpoint --seed --steps"),
    "anomalies": (
        *("events", "--calibrate --output"),
        "--config --rate --calibration --station-likelihood",
    ),
    "score": ("events", "--fits --output", "--config --network --calibration"),
    "report": ("scores", "--output", "--config --benchmarks"),
    "report-data": (
        *("events", "--fits --output"),
        "--config --network --calibration --simulated-fits",
    ),
    "learning-curve": ("scores", "--output", ""),
    "robustness": ("events", "--fits --output", "--config --network"),
    "verify": ("folder", "", ""),
    "compare": ("runs", "", "--unpaired --output"),
    "backbones": ("folder", "", "--output"),
    "judge": (
        "reference events",
        "--output",
        "--config --fits --calibration --network --training --number",
    ),
    "show": ("file", "", "--event --id --fits --calibration --anomalies --output"),
    "view": ("file", "", "--fits --calibration --number --event --id --output"),
    "config": ("", "", "--yaml --schema --check"),
    "doctor": ("", "", ""),
    "completion": ("shell", "", ""),
}
# Former spellings, which are not shown and still work.
FORMER = {
    "convert": {"--to": "output"},
    "export": {"--to": "output"},
    "apply": {"--events": "events"},
    "explain": {"--events": "events"},
    "generate": {"--checkpoint": "checkpoint"},
    "score": {"--events": "events"},
    "report": {"--scores": "scores"},
    "report-data": {"--events": "events"},
}


def commands():
    (subs,) = (a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    return subs.choices


def test_the_table_holds_every_command():
    assert list(commands()) == list(COMMANDS)


def test_the_list_of_commands_says_what_each_is_for():
    """As it was written: argparse fills in what follows a per cent sign."""
    listed = " ".join(_parser().format_help().split())
    for name, parser in commands().items():
        assert f"{name} {' '.join(parser.description.split())}" in listed


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_alike(name):
    """Files to read by position, `-o` and `--output` for the file to write, and nothing else than
    what the table says.
    """
    parser, (positions, required, others) = commands()[name], COMMANDS[name]
    actions = [a for a in parser._actions if "--help" not in a.option_strings]
    former = FORMER.get(name, {})
    for option, dest in former.items():
        (action,) = (a for a in actions if option in a.option_strings)
        assert action.dest == dest
    shown = [a for a in actions if a.help != argparse.SUPPRESS]
    assert [a.dest for a in shown if not a.option_strings] == positions.split()
    longs = {
        True: [a for a in shown if a.option_strings and a.required],
        False: [a for a in shown if a.option_strings and not a.required],
    }
    for needed, words in ((True, required), (False, others)):
        found = [
            next(s for s in a.option_strings if s.startswith("--") and s not in former)
            for a in longs[needed]
        ]
        assert sorted(found) == sorted(words.split())
    for action in shown:
        assert action.help, action
        short = [s for s in action.option_strings if not s.startswith("--")]
        assert short == (["-o"] if action.dest == "output" else [])


def parsed(*words):
    return vars(_parser().parse_args(words))


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ("score a b --fits c d -o x", "score --events a b --fits c d --output x"),
        ("score a b --fits c d -o x", "score --fits c d --output x --events a b"),
        ("score a --fits c -o x", "score --events=a --fits c --output x"),
        ("report a -o x", "report --output x --scores a"),
        ("report-data a --fits b -o x", "report-data --fits b --events a --output x"),
        ("apply c a --fits b -o x", "apply c --events a --fits b --output x"),
        ("convert a b -o x", "convert a b --to x"),
        ("export a -o x", "export a --to x"),
    ],
)
def test_former_spellings_say_the_same(new, old):
    assert parsed(*new.split()) == parsed(*old.split())


@pytest.mark.parametrize(
    "words",
    [
        "report --scores a b -o x",
        "report -o x",
        "score --fits c -o x",
        "score --events -o x --fits c",
        "apply --events a --fits b -o x",
        "fit a b -o x",
        "fit a",
    ],
)
def test_too_many_and_too_few_files_are_refused(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words.split())
    assert stop.value.code == 2
    assert "usage: tashower" in capsys.readouterr().err


def test_a_new_parser_for_every_use():
    """One that was used with the former option must not be left with it."""
    parser = CommandParser()
    parser.add_input("file", "words", "--file")
    assert parser.parse_args(["--file", "a"]).file == "a"
    assert _parser().parse_args(["report", "a", "-o", "x"]).scores == "a"


# Fits without --calibration.


def test_fit_without_a_calibration_takes_that_of_the_package_and_says_so(tmp_path, capsys):
    words = ["fit", str(SAMPLE), "--method", "free", "-o"]
    assert main([*words, str(tmp_path / "a.h5")]) == 0
    said = capsys.readouterr().err
    assert "fit: no --calibration: that of the package" in said
    assert "tashower: " not in said  # the sample is of the array that it is made for
    assert main([*words, str(tmp_path / "b.h5"), "--calibration", str(DEFAULT)]) == 0
    assert "no --calibration" not in capsys.readouterr().err
    a, b = (read_reconstruction(tmp_path / name)[0]["free"] for name in ("a.h5", "b.h5"))
    np.testing.assert_array_equal(a.energy, b.energy)


def test_another_array_is_flagged_or_refused(tmp_path, capsys):
    config = "{samples: {test: 12}, array: {columns: 8, rows: 8%s}, detector: {layers: 1}}"
    for name, more in (("a", ", spacing_m: 900"), ("b", ", reference_m: 600")):
        words = ["simulate", "--config", config % more, "-o", str(tmp_path / f"{name}.h5")]
        assert main(words) == 0
    capsys.readouterr()
    fit = ["fit", "--method", "free", "-o", str(tmp_path / "x.h5")]
    assert main([*fit, str(tmp_path / "b.h5")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "the calibration of the package: calibrated with the lateral distribution" in said
    assert not (tmp_path / "x.h5").exists()
    assert main([*fit, str(tmp_path / "a.h5")]) == 0
    said = capsys.readouterr().err
    assert "stations with 2 layers, 1200 m apart; these have 1 layers, 9" in said


# A start.


@pytest.mark.parametrize("preset", ["telescope_array", "auger", "hisparc", "own"])
def test_init_writes_a_valid_configuration(preset, tmp_path, monkeypatch, capsys):
    """With comments; the commands that it names are valid as they stand."""
    named = begun(preset, tmp_path, monkeypatch, capsys)
    assert named[0] == ["cd", "my array"]
    assert main(named[1][1:]) == 0
    assert "# default" in capsys.readouterr().out
    for words in named[1:]:
        _parser().parse_known_args(words[1:])
    assert Path("mine.yaml").read_text().count("#") > 5


def begun(preset, tmp_path, monkeypatch, capsys):
    """The commands that `tashower init` names; we are in its folder."""
    monkeypatch.chdir(tmp_path)
    assert main(["init", "my array", "--preset", preset]) == 0
    lines = capsys.readouterr().out.splitlines()
    named = [shlex.split(line) for line in lines if line.startswith("    ")]
    monkeypatch.chdir("my array")
    return named


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["telescope_array", "auger", "hisparc", "own"])
def test_init_writes_what_can_be_run(preset, tmp_path, monkeypatch, capsys):
    named = begun(preset, tmp_path, monkeypatch, capsys)
    assert named[2][1] == "run"
    done = subprocess.run(
        [sys.executable, "-m", *named[2], "-n"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rule = "fit_data" if preset == "hisparc" else "reconstruct_events"
    assert rule in done.stdout + done.stderr
    assert ("train_network" in done.stdout + done.stderr) == (
        preset in ("telescope_array", "auger", "own")
    )


def test_init_overwrites_nothing(tmp_path, capsys):
    (tmp_path / "stations.csv").write_text("mine")
    assert main(["init", str(tmp_path), "--preset", "own"]) == 2
    assert f"{tmp_path}/stations.csv: is there" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["stations.csv"]
    assert main(["init", str(SAMPLE), "--preset", "own"]) == 2


def test_an_init_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def broken(source, target):
        if Path(source).name == "stations.csv":
            raise KeyboardInterrupt
        return Path(target).write_text("x")

    monkeypatch.setattr(shutil, "copyfile", broken)
    assert main(["init", str(tmp_path / "new"), "--preset", "own"]) == 130
    assert list((tmp_path / "new").iterdir()) == []


def test_presets_are_those_of_the_checkout():
    folder = ROOT / "tashower" / "config" / "presets"
    pairs = {
        "auger/auger_lateral.py": "config/auger_lateral.py",
        "hisparc/hisparc.json": "data/samples/hisparc.json",
    }
    for name, other in pairs.items():
        assert (folder / name).read_text() == (ROOT / other).read_text()
    stations = read_stations(folder / "own" / "stations.csv")
    distance = np.linalg.norm(stations.position[:, None] - stations.position, axis=2)
    np.fill_diagonal(distance, np.inf)
    assert len(stations.position) == 40
    assert distance.min() > 500
    assert distance.min(axis=1).std() > 50  # no lattice


# The machine.


def test_doctor_says_that_all_is_well(capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    for what in ("versions: python", "cores: ", "graphics card: ", "files: HDF5", "cache: /"):
        assert what in said
    assert said.endswith("all is well\n")
    assert "NOT GOOD" not in said


def test_doctor_finds_what_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_SHOWERS", 20)
    monkeypatch.setattr(doctor, "_DISK", float("inf"))
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert said.endswith("not good: free disk here, self-test\n")
    assert "of 20 showers triggered" in said
    assert "(should be 149, 100, 0.6582)" in said


def test_version_names_the_commit(monkeypatch, capsys):
    from tashower.io import provenance

    for commit, more in (("abc+changes", ", commit abc+changes"), ("unknown", "")):
        monkeypatch.setattr(provenance, "commit", lambda commit=commit: commit)
        with pytest.raises(SystemExit) as stop:
            main(["--version"])
        assert stop.value.code == 0
        assert capsys.readouterr().out == f"tashower {tashower.__version__}{more}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell, capsys):
    pytest.importorskip("argcomplete")
    assert main(["completion", shell]) == 0
    assert "tashower" in capsys.readouterr().out


def test_completion_in_bash(tmp_path):
    """Commands, options and values, as the shell gets them."""
    pytest.importorskip("argcomplete")
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    command = tmp_path / "tashower"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tashower "$@"\n')
    command.chmod(0o755)
    script = """
    eval "$(tashower completion bash)"
    for line in "tashower sta" "tashower init x --preset hi" "tashower score --no-such --calib"; do
        COMP_WORDS=($line); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE=$line
        COMP_POINT=${#line}; COMP_TYPE=9; COMPREPLY=()
        _python_argcomplete tashower
        echo "${COMPREPLY[@]}"
    done
    """
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.split() == ["station-likelihood", "hisparc", "--calibration"]


# The first compilation.


class Kept:
    """A cache of compiled loops that has none of them, or all."""

    def __init__(self, found):
        self.found = found

    def load_overload(self, *args):
        return self.found

    def save_overload(self, *args):
        pass


@pytest.fixture
def compiling(caplog):
    caplog.set_level("INFO", "tashower")
    return caches.Compiling()


def said(caplog):
    return [message for message in caplog.messages if message.startswith("compiling")]


def test_long_compilation_is_said_once(compiling, caplog):
    compiling.LONG = 0.05
    kept = Kept(None)
    compiling.watch(kept)
    for _ in range(2):
        kept.load_overload()
        kept.load_overload()  # a loop within
        kept.save_overload()
        time.sleep(0.1)
        kept.save_overload()
    assert len(said(caplog)) == 1


def test_many_short_ones_are_a_long_one(compiling, caplog):
    compiling.LONG = 0.1
    kept = Kept(None)
    compiling.watch(kept)
    for _ in range(20):
        kept.load_overload()
        time.sleep(0.01)
        kept.save_overload()
    assert len(said(caplog)) == 1


def test_a_short_one_and_loops_from_the_cache_are_not_said(compiling, caplog):
    compiling.LONG = 0.05
    short, cached = Kept(None), Kept("loop")
    for kept in (short, cached):
        compiling.watch(kept)
        kept.load_overload()
        kept.save_overload()
    cached.load_overload()
    time.sleep(0.1)
    assert said(caplog) == []


def test_loops_are_watched(monkeypatch):
    begun = []
    monkeypatch.setattr(compiled.COMPILING, "begin", lambda: begun.append(1))
    loop = compiled.compiled(lambda x: x + 1.0, cache=False)
    assert loop(1.0) == 2.0
    assert begun == [1]


def test_input_errors_of_the_start(tmp_path):
    from tashower.cli.init import _write

    with pytest.raises(InputError, match="would be overwritten"):
        _write({SAMPLE.name: SAMPLE}, SAMPLE.parent)
