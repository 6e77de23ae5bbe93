"""The command line: help, bad input, exit status."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tashower.cli import main


@pytest.mark.parametrize(
    "command",
    [
        "simulate",
        "calibrate",
        "station-likelihood",
        "fit",
        "train",
        "apply",
        "score",
        "report",
        "show",
        "view",
        "config",
    ],
)
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert len(capsys.readouterr().out) > 100


def test_config_is_printed(capsys):
    assert main(["config"]) == 0
    assert "`spacing_m`" in capsys.readouterr().out
    assert main(["config", "--yaml"]) == 0
    assert "spacing_m: 1200" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["simulate", "--config", "absent.yaml", "--output", "x.h5"], "absent.yaml: no such file"),
        (["simulate", "--config", "{seeed: 1}", "--output", "x.h5"], "seeed"),
        (["simulate", "--chunk", "99", "--output", "x.h5"], "--chunk 99"),
        (["show", "absent.h5"], "absent.h5"),
        (["fit", "absent.h5", "--calibration", "absent.json", "--output", "x.h5"], "absent.json"),
        (["calibrate", "absent.h5", "--output", "x.json"], "absent.h5: no such file"),
        (["station-likelihood", "--number", "3", "--output", "x.json"], "--number 3"),
        (
            ["fit", "absent.h5", "--calibration", "absent.json", "--output", "x.h5"]
            + ["--station-likelihood", "none.json"],
            "absent.json",
        ),
        (["report", "--scores", "absent.json", "--output", "x.html"], "absent.json"),
        (
            ["train", "--network", "none", "--output", "x.pt"]
            + [
                w
                for s in ("train", "validation")
                for k in ("events", "fits")
                for w in (f"--{s}-{k}", "absent.h5")
            ],
            "--network none",
        ),
    ],
)
def test_bad_input_is_one_message_and_status_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_unwritable_output_is_named(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    config = "{samples: {test: 10}, array: {columns: 4, rows: 4}}"
    assert main(["simulate", "--config", config, "--output", str(tmp_path / "file" / "x.h5")]) == 2
    assert "file" in capsys.readouterr().err


def test_energies_of_a_primary(tmp_path):
    """--primary proton: S800 530 at 38.6 degrees would be 309 EeV (doi:10.1126/science.abo5095); of
    the sample every energy follows its size and zenith by the relation of protons.
    """
    from tashower.calibration.calibration import DEFAULT
    from tashower.calibration.energy import energy_of_primary
    from tashower.io.reconstruction_file import read_reconstruction

    sample = Path(__file__).resolve().parents[1] / "data" / "sample.h5"
    words = ["fit", str(sample), "--calibration", str(DEFAULT), "--output"]
    energies = {}
    for primary in ("table", "proton"):
        output = tmp_path / f"{primary}.h5"
        assert main([*words, str(output), "--primary", primary]) == 0
        energies[primary] = read_reconstruction(output)[0]["free"]
    proton, good = energies["proton"], energies["proton"].valid
    expected = energy_of_primary(proton.s_ref[good], proton.zenith[good], 1.0)
    np.testing.assert_allclose(proton.energy[good], expected, rtol=1e-6)
    assert not np.allclose(energies["table"].energy[good], expected, rtol=0.01)
    assert energy_of_primary(530.0, np.radians(38.6), 1.0) == pytest.approx(309.0, rel=0.05)


def test_fit_makes_the_methods_that_are_asked_for(tmp_path, capsys):
    from tashower.calibration.calibration import DEFAULT
    from tashower.io.reconstruction_file import read_reconstruction

    sample, output = Path(__file__).resolve().parents[1] / "data" / "sample.h5", tmp_path / "f.h5"
    words = ["fit", str(sample), "--calibration", str(DEFAULT), "--output", str(output)]
    assert main([*words, "--method", "nobody"]) == 2
    assert "no method nobody; there are: free, published" in capsys.readouterr().err
    assert not output.exists()
    assert main([*words, "--method", "published"]) == 0
    assert list(read_reconstruction(output)[0]) == ["free", "published"]


@pytest.mark.parametrize("given", [None, "3"])
def test_numpy_multiplies_with_one_thread_where_nothing_else_is_said(given):
    code = (
        "import os, sys; from tashower.cli import main; status = main(['completion', 'bash']);"
        " print(os.environ['OPENBLAS_NUM_THREADS'], status, file=sys.stderr)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    if given:
        environment["OPENBLAS_NUM_THREADS"] = given
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == f"{given or 1} 0"
