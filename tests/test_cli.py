"""The command line: help, bad input, exit status."""

import pytest

from tashower.cli import main


@pytest.mark.parametrize(
    "command",
    ["simulate", "calibrate", "fit", "train", "apply", "score", "report", "show", "config"],
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
