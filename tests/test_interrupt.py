"""Ctrl-C in a command: one line, exit status 130, nothing half-written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tashower as ts
from tashower.cli import main
from tashower.io import hdf5
from tashower.io.event_file import write_events

SAMPLE = Path(__file__).resolve().parent.parent / "data" / "sample.h5"
CALIBRATION = str(ts.__path__[0]) + "/calibration/default_calibration.json"

# Runs a command that, when it calls TARGET (module:function) for the second time or later, says so
# and waits in it.
PROGRAM = """
import importlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # started in the background it is ignored
module, name = sys.argv[1].split(":")
owner = importlib.import_module(module)
real, calls = getattr(owner, name), []
def slow(*args, **options):
    calls.append(1)
    if len(calls) > int(sys.argv[2]):
        print("here", flush=True)
        time.sleep(60)
    return real(*args, **options)
setattr(owner, name, slow)
from tashower.cli import main
sys.exit(main(sys.argv[3:]))
"""

COMMANDS = {
    "simulate": (
        "tashower.io.hdf5:create_column",
        3,
        [
            "simulate",
            "--config",
            "{samples: {test: 20}, array: {columns: 5, rows: 5}}",
            "--output",
            "out",
        ],
    ),
    "convert": (
        "tashower.io.append:create_column",
        3,
        ["convert", str(SAMPLE.parent / "samples" / "telescope_array.dst.gz"), "--to", "out"],
    ),
    "export": (
        "tashower.convert.ta_export:write_banks",
        0,
        ["export", str(SAMPLE), "--to", "out.dst"],
    ),
    "fit": (
        "tashower.io.hdf5:create_column",
        3,
        ["fit", str(SAMPLE), "--calibration", CALIBRATION, "--output", "out"],
    ),
    "score": (
        "tashower.evaluation.evaluate:figures_of",
        0,
        ["score", "--events", str(SAMPLE), "--fits", "fits.h5", "--output", "out"],
    ),
    "show": ("tashower.io.event_file:table_of", 0, ["show", str(SAMPLE)]),
    "show an event": (
        "tashower.evaluation.figures.style:save",
        0,
        ["show", str(SAMPLE), "--event", "0"],
    ),
    "calibrate": (
        "tashower.reconstruction.calibrate:calibrate",
        0,
        ["calibrate", str(SAMPLE), "-o", "out"],
    ),
    "station-likelihood": (
        "tashower.io.json_file:as_json",
        0,
        ["station-likelihood", "--number", "10000", "-o", "out"],
    ),
    "report": ("tashower.evaluation.report:render", 0, ["report", "a/scores.json", "-o", "out"]),
    "report-data": (
        "tashower.evaluation.data_report:render",
        0,
        ["report-data", str(SAMPLE), "--fits", "fits.h5", "-o", "out"],
    ),
    "verify": ("tashower.evaluation.verify:checksum_of", 0, ["verify", "a"]),
    "compare": (
        "tashower.evaluation.compare_tables:written_aside",
        2,
        ["compare", "a", "b", "-o", "out.html"],
    ),
    "config": ("tashower.config:schema", 0, ["config", "--schema"]),
    "init": ("tashower.io.atomic:written_aside", 1, ["init", ".", "--preset", "own"]),
    "doctor": ("tashower.front_door:simulate", 0, ["doctor"]),
}
# Commands that need fits of the sample, and scores of those in two folders.
WITH_FITS = ("score", "report", "report-data", "verify", "compare")
WITH_SCORES = ("report", "verify", "compare")


@pytest.fixture(autouse=True)
def _ctrl_c_interrupts():
    """A shell that starts a program in the background lets it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted(target, calls, words, folder):
    """(exit status, stderr) of a command that gets SIGINT at a chosen place."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, target, str(calls), *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SAMPLE.parent.parent)},
    )
    try:
        assert any(line == "here\n" for line in process.stdout), process.stderr.read()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, said


@pytest.mark.parametrize(
    "name",
    [
        n if n in ("simulate", "score") else pytest.param(n, marks=pytest.mark.slow)
        for n in COMMANDS
    ],
)
def test_an_interrupt_is_one_line_and_leaves_nothing(name, tmp_path):
    target, calls, words = COMMANDS[name]
    fits = str(tmp_path / "fits.h5")
    if name in WITH_FITS:
        assert main(["fit", str(SAMPLE), "--calibration", CALIBRATION, "-o", fits]) == 0
    for folder in ("a", "b") if name in WITH_SCORES else ():
        scores = str(tmp_path / folder / "scores.json")
        config = "{scores: {bootstrap: 10, examples: 0}}"
        assert main(["score", str(SAMPLE), "--fits", fits, "--config", config, "-o", scores]) == 0
    before = sorted(tmp_path.iterdir())
    status, said = interrupted(target, calls, words, tmp_path)
    assert status == 130
    # Before it there may be how far a slow machine has come.
    assert said.splitlines()[-1] == "tashower: interrupted; nothing half-written is left"
    assert "Traceback" not in said
    left = [p for p in tmp_path.iterdir() if p not in before and p.name != "figures"]
    assert left == []


@pytest.mark.filterwarnings("error")  # also what is raised where nobody can catch it
def test_an_interrupt_while_the_disk_is_written_to(tmp_path, monkeypatch):
    """What is raised while HDF5 calls back to write is lost, or raised again where it closes."""
    events, calls, at = ts.read(SAMPLE), [], [0]

    def view(data):
        calls.append(1)
        if len(calls) == at[0]:
            os.kill(os.getpid(), signal.SIGINT)
        return memoryview(data)

    monkeypatch.setattr(hdf5, "memoryview", view, raising=False)
    write_events(tmp_path / "out.h5", events, {})
    (tmp_path / "out.h5").unlink()
    for number in (2, len(calls) // 2, len(calls)):
        at[0] = number
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            write_events(tmp_path / "out.h5", events, {})
        assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_an_interrupted_training_keeps_its_state_only(tmp_path, processes):
    config = json.dumps(
        {
            "samples": {"train": 300, "validation": 100},
            "array": {"columns": 8, "rows": 8},
            "network": {
                "inputs": {"tile": 4},
                "options": {
                    "waveform_channels": 4,
                    "station_channels": 8,
                    "grid_layers": 1,
                    "dense_channels": 8,
                },
            },
            "training": {
                "epochs": 5000,
                "patience": 5000,
                "batch_size": 32,
                "processes": processes,
            },
        }
    )
    words = ["train", "--config", config, "--network", "waveforms_and_features"]
    for split in ("train", "validation"):
        events, fits = tmp_path / f"{split}.h5", tmp_path / f"{split}-fits.h5"
        simulate = ["simulate", "--config", config, "--split", split, "--output", str(events)]
        assert main(simulate) == 0
        assert main(["fit", str(events), "--calibration", CALIBRATION, "--output", str(fits)]) == 0
        words += [f"--{split}-events", str(events), f"--{split}-fits", str(fits)]
    before = {p.name for p in tmp_path.iterdir()}
    training = subprocess.Popen(
        [sys.executable, "-m", "tashower", *words, "--output", str(tmp_path / "c.pt")],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    for _ in range(1200):
        if (tmp_path / "c.pt.state").exists():
            break
        time.sleep(0.1)
    training.send_signal(signal.SIGINT)
    _, said = training.communicate(timeout=120)
    assert training.returncode == 130
    assert said.splitlines()[-1] == "tashower: interrupted; nothing half-written is left"
    assert "Traceback" not in said
    assert {p.name for p in tmp_path.iterdir()} - before == {"c.pt.state"}


@pytest.mark.slow
def test_an_interrupted_workflow_says_how_to_go_on_and_does(tmp_path):
    """Ctrl-C of a terminal reaches Snakemake and its jobs; the same command finishes."""
    config = {
        "samples": {"calibration": 500, "train": 10, "validation": 10, "test": 10},
        "array": {"columns": 8, "rows": 8},
        "reconstruction": {"min_border_distance_m": 0},
    }
    (tmp_path / "mine.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-m", "tashower", "run", "--config", "mine.yaml", "--cores", "1"]
    command.append("results/events/test/000.h5")
    options = {
        "cwd": tmp_path,
        "stderr": subprocess.STDOUT,
        "text": True,
        "env": os.environ | {"PYTHONPATH": str(SAMPLE.parent.parent), "OMP_NUM_THREADS": "1"},
    }
    run = subprocess.Popen(
        [*command, "results/events/calibration/000.h5"],
        stdout=subprocess.PIPE,
        start_new_session=True,
        **options,
    )
    assert any("% of the work, about" in line for line in run.stdout)  # after the first job
    os.killpg(run.pid, signal.SIGINT)
    said = run.communicate(timeout=120)[0]
    assert run.returncode == 130
    assert said.splitlines()[-1] == (
        "tashower: interrupted; what was finished is kept, nothing half-written is left: run the "
        "same command again to go on"
    )
    for words in ("Traceback", "WorkflowError", "Error in rule", "Something failed"):
        assert words not in said
    assert not list(tmp_path.rglob("*.part"))
    again = subprocess.run(
        [*command, "results/events/calibration/000.h5"], stdout=subprocess.PIPE, **options
    )
    assert again.returncode == 0, again.stdout
    assert "100% of the work" in again.stdout
    assert (tmp_path / "results/events/calibration/000.h5").is_file()


@pytest.mark.parametrize(
    ("loading", "main"),
    [("print('loading', flush=True); time.sleep(60)", "pass"), ("", "raise KeyboardInterrupt")],
)
def test_the_start_of_snakemake_is_interrupted_in_one_line(tmp_path, loading, main):
    """While it is loaded, and where it does not catch an interrupt itself."""
    (tmp_path / "snakemake").mkdir()
    (tmp_path / "snakemake" / "__init__.py").touch()
    (tmp_path / "snakemake" / "cli.py").write_text(
        f"import time\n{loading}\ndef main():\n    {main}\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    started = subprocess.Popen(
        [sys.executable, "-P", "-m", "tashower.cli.begin"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    if loading:
        assert started.stdout.readline() == "loading\n"
        started.send_signal(signal.SIGINT)
    assert started.communicate()[1] == "tashower: interrupted before anything ran\n"
    assert started.returncode == 130
