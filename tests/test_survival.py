"""What goes wrong outside of the program: full disk, folder that cannot be written, no memory, a
process that dies.
"""

import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tashower.cli import main
from tashower.errors import InputError
from tashower.io.atomic import remove_unfinished, written_aside

CONFIG = json.dumps(
    {
        "samples": {"calibration": 1200, "train": 600, "validation": 200, "chunk_size": 1200},
        "network": {
            "inputs": {"tile": 4},
            "options": {
                "waveform_channels": 4,
                "station_channels": 8,
                "grid_layers": 1,
                "dense_channels": 8,
            },
        },
        "training": {"epochs": 2, "batch_size": 32},
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Events, calibration and fits of a small run."""
    folder = tmp_path_factory.mktemp("small")
    for split in ("calibration", "train", "validation"):
        assert (
            main(
                [
                    "simulate",
                    "--config",
                    CONFIG,
                    "--split",
                    split,
                    "--output",
                    str(folder / f"{split}.h5"),
                ]
            )
            == 0
        )
    assert (
        main(["calibrate", str(folder / "calibration.h5"), "--output", str(folder / "c.json")]) == 0
    )
    for split in ("train", "validation"):
        words = ["fit", str(folder / f"{split}.h5"), "--calibration", str(folder / "c.json")]
        assert main([*words, "--output", str(folder / f"{split}-fits.h5")]) == 0
    assert main(["export", str(folder / "train.h5"), "--to", str(folder / "train.dst")]) == 0
    return folder


def train_words(folder, output, config=CONFIG):
    """The command that trains on the fixture's files."""
    files = [
        f"--{s}-{kind}={folder / name}"
        for s in ("train", "validation")
        for kind, name in (("events", f"{s}.h5"), ("fits", f"{s}-fits.h5"))
    ]
    return [
        "train",
        "--config",
        config,
        "--network",
        "waveforms_and_features",
        *files,
        "--output",
        str(output),
    ]


def command(folder, name, output):
    """(words, most bytes of a file) with which the command writes too much."""
    return {
        "simulate": (
            ["simulate", "--config", CONFIG, "--split", "calibration", "--output", output],
            200_000,
        ),
        "calibrate": (["calibrate", str(folder / "calibration.h5"), "--output", output], 1000),
        "fit": (
            [
                "fit",
                str(folder / "calibration.h5"),
                "--calibration",
                str(folder / "c.json"),
                "--output",
                output,
            ],
            200_000,
        ),
        "train": (train_words(folder, output), 200_000),
        "export": (["export", str(folder / "train.h5"), "--to", output], 300_000),
        "convert": (["convert", str(folder / "train.dst"), "--to", output], 300_000),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        *("simulate", "fit", "train", "export", "convert"),
        pytest.param("calibrate", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_one_message_and_leaves_nothing(folder, tmp_path, name, capfd):
    """A file may not grow beyond a limit: what writing to it says is what a full disk says."""
    output = tmp_path / f"out.{'dst' if name == 'export' else 'x'}"
    words, most = command(folder, name, str(output))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        status = main(words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("tashower: ")]
    assert status == 2
    assert said == [f"tashower: {output}: File too large"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(folder, tmp_path, capfd):
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file" / "out.h5", Path("/proc/nothing/out.h5")):
        assert (
            main(
                [
                    "fit",
                    str(folder / "train.h5"),
                    "--calibration",
                    str(folder / "c.json"),
                    "--output",
                    str(output),
                ]
            )
            == 2
        )
        last = capfd.readouterr().err.splitlines()[-1]
        assert str(output.parent) in last or str(output.parent.parent) in last


def test_too_little_gpu_memory_names_the_key(folder, tmp_path, monkeypatch, capfd):
    def no_room(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate everything")

    monkeypatch.setattr("tashower.network.training.train_epoch", no_room)
    assert main(train_words(folder, tmp_path / "c.pt")) == 2
    assert "lower training.batch_size (32)" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_said(monkeypatch, capfd):
    def no_room(*_):
        raise MemoryError

    monkeypatch.setattr("tashower.convert.export.read_events", no_room)
    sample = Path(__file__).parent.parent / "data" / "sample.h5"
    assert main(["export", str(sample), "--to", "b.dst"]) == 2
    assert capfd.readouterr().err == "tashower: not enough memory\n"


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    path = tmp_path / "a[1].h5"
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    )
    left = tmp_path / f".{path.name}.{platform.node()}-{int(gone.stdout)}.abc.part"
    others = [
        tmp_path
        / f".{path.name}.{platform.node()}-{os.getppid()}.abc.part",  # of a process that lives
        tmp_path / f".{path.name}.elsewhere-{int(gone.stdout)}.abc.part",  # of another machine
        tmp_path / f".b.h5.{platform.node()}-{int(gone.stdout)}.abc.part",  # of another file
    ]
    for file in (left, *others):
        file.write_text("half")
    with written_aside(path) as aside:
        aside.write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])
    # A run begins without what was left of any file, in whatever folder below its own.
    *kept, of_another_file = others
    below = tmp_path / "networks" / "b"
    below.mkdir(parents=True)
    shutil.copy(of_another_file, below)
    (below / "1-2.part").write_text("somebody's own")
    remove_unfinished(tmp_path)
    assert sorted(p for p in tmp_path.iterdir() if p.is_file()) == sorted([path, *kept])
    assert [p.name for p in below.iterdir()] == ["1-2.part"]
    remove_unfinished(tmp_path / "not there")


def test_an_error_of_the_block_itself_is_raised_as_it_is(tmp_path):
    with pytest.raises(InputError, match="mine"), written_aside(tmp_path / "a"):
        raise InputError("mine")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_training_process_that_dies_ends_the_training(folder, tmp_path):
    config = json.loads(CONFIG)
    config["training"] |= {"processes": 2, "epochs": 200, "patience": 200}
    words = [
        sys.executable,
        "-m",
        "tashower.cli",
        *train_words(folder, tmp_path / "c.pt", json.dumps(config)),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    training = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment)
    state = tmp_path / "c.pt.state"
    for _ in range(1200):
        if state.exists():
            break
        time.sleep(0.1)
    children = subprocess.run(
        ["pgrep", "-f", f"tashower.cli train.*{tmp_path}"],
        capture_output=True,
        text=True,
        check=True,
    )
    ranks = [
        int(pid)
        for pid in children.stdout.split()
        if int(pid) != training.pid and "LOCAL_RANK" in Path(f"/proc/{pid}/environ").read_text()
    ]
    assert len(ranks) == 2
    os.kill(max(ranks), signal.SIGKILL)
    _, said = training.communicate(timeout=120)
    assert training.returncode == 2
    assert "a process of the training failed" in said.splitlines()[-1]
    assert state.exists()  # what is finished is kept
    assert not (tmp_path / "c.pt").exists()
