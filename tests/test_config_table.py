"""Every way of writing a configuration: it works, or one line names file and key. Through `tashower
config --check`, and as the workflow hands it on: JSON on the command line.
"""

import codecs
import json
import os
import shlex
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest

from tashower.cli import main
from tashower.config import as_dict, load_config, missing_files, plain_scalars
from tashower.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
TWO = ["results/networks/one/c.pt", "results/networks/two/c.pt"]


def at(config, key):
    """The value of a key with dots."""
    return reduce(lambda inside, name: inside[name], key.split("."), as_dict(config))


WORKS = [
    # Numbers.
    ("training: {learning_rate: 1e-05}", "training.learning_rate", 1e-5),
    ("training: {learning_rate: 1E-5}", "training.learning_rate", 1e-5),
    ('{"training": {"learning_rate": 1e-05}}', "training.learning_rate", 1e-5),
    ("array: {columns: 7.0}", "array.columns", 7),
    ("array: {columns: 7e0}", "array.columns", 7),
    ("samples: {train: 60_000}", "samples.train", 60000),
    ("samples: {train: 1e3}", "samples.train", 1000),
    ("array: {spacing_m: 1200}", "array.spacing_m", 1200.0),
    ("scores: {zenith_edges_deg: [0, 1e1]}", "scores.zenith_edges_deg", [0.0, 10.0]),
    ("seed: 9223372036854775807", "seed", 2**63 - 1),
    # Files.
    (codecs.BOM_UTF8 + b"seed: 7", "seed", 7),
    (b"seed: 7\r\nresults: r\r\n", "results", "r"),
    (b"", "seed", 2020),
    ("data: {stations: Füße.csv}", "data.stations", "Füße.csv"),
    ("data: {stations: two words.csv}", "data.stations", "two words.csv"),
    ('data: {files: ["a$b;c&d(e)*?.h5"]}', "data.files", ["a$b;c&d(e)*?.h5"]),
    ("data: {files: [./-x.h5]}", "data.files", ["./-x.h5"]),
    ("results: a/b.c-d_e", "results", "a/b.c-d_e"),
    (f"data: {{checkpoints: [{', '.join(TWO)}]}}", "data.checkpoints", TWO),
]

REFUSED = [
    # Numbers that are none, or too many.
    ("array: {spacing_m: .nan}", "array.spacing_m: must be a finite number, not .nan"),
    ("array: {spacing_m: .inf}", "array.spacing_m: must be a finite number, not .inf"),
    ('{"array": {"spacing_m": NaN}}', 'array.spacing_m: must be a number, not "NaN"'),
    ('{"array": {"spacing_m": Infinity}}', 'array.spacing_m: must be a number, not "Infinity"'),
    ("array: {columns: 7.5}", "array.columns: must be a whole number, not 7.5"),
    ("array: {columns: .nan}", "array.columns: must be a whole number, not .nan"),
    ("samples: {train: 1e999}", "samples.train: must be a whole number, not .inf"),
    ("seed: 9223372036854775808", "seed: must be <= 9223372036854775807"),
    (f"array: {{spacing_m: 1{400 * '0'}}}", "array.spacing_m: must be a number, not 1000"),
    (f"seed: 1{5000 * '0'}", "not valid YAML: Exceeds the limit (4300 digits)"),
    ("samples: {train: 1e12}", "samples.train: must be <= 1000000000"),
    ("samples: {chunk_size: 10, test: 1000010}", "samples: test (1000010) would be 100001 files"),
    ("array: {spacing_m: 1e-3}", "array.spacing_m: must be >= 1"),
    ("array: {spacing_m: 1e9}", "array.spacing_m: must be <= 20000"),
    # Keys and files.
    ("seed: 1\nseed: 2", "line 2: seed: given twice (first in line 1)"),
    ('{"seed": 1, "seed": 2}', "line 1: seed: given twice (first in line 1)"),
    ("results: \xe9".encode("latin-1"), "line 1: not UTF-8 text (byte 0xe9)"),
    ("seed: 1".encode("utf-16"), "line 1: not UTF-8 text (byte 0xff)"),
    ("seed: 1".encode("utf-16-be"), "line 1: not valid YAML: the character U+0000 is not text"),
    ('results: "a\\n"', "results: must match "),
    ("results: a;b", "results: must match "),
    # Names that Snakemake takes for something else.
    *(
        (f"data: {{{key}: {value}}}", f"data.{place}: {said}")
        for key, place, form in (
            ("files", "files.0", "[{}]"),
            ("stations", "stations", "{}"),
            ("calibration", "calibration", "{}"),
            ("checkpoints", "checkpoints.0", "[{}]"),
        )
        for value, said in (
            (form.format('"one/a<b>.h5"'), 'the name of "one/a<b>.h5" holds < >'),
            (form.format('"one/{b}.h5"'), 'the name of "one/{b}.h5" holds { }'),
            (form.format('"one/a\\nb.h5"'), 'the name of "one/a\\nb.h5" holds U+000A'),
            (form.format('"one/a\\"b.h5"'), 'the name of "one/a\\"b.h5" holds "'),
            (form.format('"one/it\'s.h5"'), "the name of \"one/it's.h5\" holds '"),
            (form.format('"-o"'), "-o: begins like an option; write ./-o"),
            (form.format('"one/a "'), '"one/a ": a blank at the begin or the end'),
        )
    ),
    ("data: {checkpoints: [c.pt]}", "data.checkpoints: c.pt: the network is called like its"),
    ("data: {checkpoints: [A/c.pt]}", "data.checkpoints: A/c.pt: the network is called like its"),
    (
        "data: {checkpoints: [a/one/c.pt, b/one/c.pt]}",
        "data.checkpoints: b/one/c.pt: its folder is called like that of a/one/c.pt",
    ),
    # User's files that are not there.
    ("array: {lateral: mine.py}", "array.lateral: mine.py: no such file in /"),
    ("array: {stations: mine.csv}", "array.stations: mine.csv: no such file in /"),
    ("networks: {a: {model: mine.py}}", "networks.a.model: mine.py: no such file in /"),
    ("data: {files: [a.h5]}", "data.files.0: a.h5: no such file in /"),
    ("data: {files: [/nowhere/a.h5]}", "data.files.0: /nowhere/a.h5: no such file"),
    ("data: {calibration: c.json}", "data.calibration: c.json: no such file in /"),
    ("data: {stations: s.csv}", "data.stations: s.csv: no such file in /"),
    ("data: {checkpoints: [one/c.pt]}", "data.checkpoints.0: one/c.pt: no such file in /"),
]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A function that writes a configuration file, in the folder where we are."""
    monkeypatch.chdir(tmp_path)

    def write(content):
        Path("mine.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        return "mine.yaml"

    return write


@pytest.mark.parametrize(("content", "key", "value"), WORKS)
def test_what_works(mine, content, key, value, capsys):
    path = mine(content)
    config = load_config(path)
    found = at(config, key)
    assert (found, type(found)) == (value, type(value))
    # The workflow hands sections on as JSON.
    text = json.dumps({key.split(".")[0]: as_dict(config)[key.split(".")[0]]})
    assert at(load_config(text), key) == value
    # Snakemake's --config makes text of every scalar in a map.
    name, value_there = key.split(".")[0], as_dict(config)[key.split(".")[0]]
    assert at(load_config({name: plain_scalars(texts(value_there))}), key) == value
    for path in (p for k, p in named_files(config)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    assert main(["config", "--check", "mine.yaml"]) == 0
    assert capsys.readouterr().out.startswith("# mine.yaml: valid; ")


def named_files(config):
    """(key, path) of the files of section `data`."""
    data = config.data
    for key, paths in (
        ("files", data.files),
        ("stations", [data.stations] if data.stations else []),
    ):
        yield from ((key, path) for path in paths)


def texts(value):
    """A value whose scalars inside of maps are text, as JSON writes numbers and YAML names."""
    if isinstance(value, dict):
        return {key: texts(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [texts(entry) for entry in value]
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize(("content", "line"), REFUSED)
def test_what_is_refused_in_one_line(mine, content, line, capsys):
    path = mine(content)
    assert main(["config", "--check", path]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith(f"tashower: {path}")
    assert line in said.err


def test_what_the_workflow_makes_itself_need_not_be_there(mine):
    data = {"files": ["a.h5"], "calibration": "r/calibration.json", "checkpoints": ["r/one/c.pt"]}
    config = load_config({"results": "r", "data": data})
    (line,) = missing_files(config)
    assert line == f"data.files.0: a.h5: no such file in {Path.cwd()}"
    assert missing_files(config, data=False) == []


def test_bytes_that_are_no_text_in_a_name(mine):
    """Linux allows them; JSON, in which the workflow hands names on, does not."""
    with pytest.raises(InputError, match=r"data\.files\.0: must be text in UTF-8"):
        load_config({"data": {"files": [os.fsdecode(b"a\xff")]}})


def dry_run(*words):
    """What snakemake says of a plan in another working directory."""
    environment = dict(os.environ)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nolock", "--dry-run"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--printshellcmds", *words]
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.slow
def test_relative_paths_under_another_working_directory(mine, tmp_path):
    """They are looked for where the results go, and said at once where they are not there."""
    mine(
        "array: {lateral: mine.py, stations: mine.csv}\nnetworks: {a: {model: net.py}}\n"
        "training: {learning_rate: 1e-05}\nresults: r\n"
    )
    (tmp_path / "elsewhere").mkdir()
    words = ["--configfile", "mine.yaml", "--directory", "elsewhere"]
    done = dry_run(*words)
    assert done.returncode != 0
    folder = tmp_path / "elsewhere"
    for key, name in (
        ("array.lateral", "mine.py"),
        ("array.stations", "mine.csv"),
        ("networks.a.model", "net.py"),
    ):
        assert f"{key}: {name}: no such file in {folder}\n" in done.stdout
        (folder / name).write_text("")
    assert "Traceback" not in done.stdout
    done = dry_run(*words)
    assert done.returncode == 0, done.stdout
    assert '"learning_rate": 1e-05' in done.stdout


@pytest.mark.slow
def test_odd_names_that_snakemake_can_take(mine):
    names = ["two words", "é", "a$b", "a;b", "a&b", "a(b)", "a*b", "a?", "a|b", "a\\b", "a#b", "~"]
    files = [f"{name}.json" for name in names]
    for path in [*files, "c.json"]:
        Path(path).write_text("{}")
    mine(json.dumps({"data": {"files": files, "calibration": "c.json"}}))
    done = dry_run("--configfile", "mine.yaml")
    assert done.returncode == 0, done.stdout
    assert " ".join(shlex.quote(path) for path in files) in done.stdout
