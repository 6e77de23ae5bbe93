"""What a stage is said to depend on is what it imports and reads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tashower.config import as_dict, load_config
from tashower.io.code import PACKAGE, code_of, modules_of, syntax_of
from tashower.io.stages import (
    STAGES,
    chunk_names,
    code_of_stage,
    made_by,
    part_of,
    products,
    train_chunks,
)

SAMPLES = Path(__file__).resolve().parent.parent / "data" / "samples"
CONFIG = json.dumps(
    {
        "array": {"columns": 8, "rows": 8},
        "samples": {"calibration": 900, "train": 300, "validation": 100, "test": 200},
        "reconstruction": {"min_border_distance_m": 0},
        "showers": {"min_log10_energy_ev": 19.0},
        "network": {
            "inputs": {"tile": 4, "waveforms": False},
            "options": {"station_channels": 8, "grid_layers": 1, "dense_channels": 8},
        },
        "training": {"epochs": 1, "batch_size": 32},
        "networks": {"a": {}},
        "generators": {"g": {"epochs": 1, "options": {"channels": 16, "layers": 1, "steps": 2}}},
        "scores": {"bootstrap": 10, "examples": 1},
        "robustness": {
            "worlds": {"gain": {"detector": {"gain_shift": 0.05}}},
            "nuisances": {"detector": {"gain_shift": [-0.1, 0.1]}},
        },
    }
)
#: The same in that world.
OTHER = json.dumps(json.loads(CONFIG) | {"detector": {"gain_shift": 0.05}})
#: Words of every stage's command, in an order in which each finds its files.
TRAIN = [
    f"--{split}-{kind}={split}{ending}.h5"
    for split in ("train", "validation")
    for kind, ending in (("events", ""), ("fits", "-fits"))
]
COMMANDS = {
    "simulate": [
        ["simulate", "--config", CONFIG, "--split", split, "--output", f"{split}.h5"]
        for split in ("calibration", "train", "validation", "test")
    ]
    + [["simulate", "--config", OTHER, "--split", "test", "--output", "gain.h5"]],
    "simulate-randomised": [
        ["simulate", "--config", CONFIG, "--split", "randomised_train", "--output", "r.h5"]
    ],
    "convert": [["convert", str(SAMPLES / "telescope_array.dst.gz"), "--to", "converted.h5"]],
    "calibrate": [["calibrate", "calibration.h5", "--config", CONFIG, "--output", "c.json"]],
    "station-likelihood": [
        ["station-likelihood", "--config", CONFIG, "--number", "20000", "--output", "s.json"]
    ],
    "fit": [
        ["fit", f"{split}.h5", "--calibration", "c.json", "--config", CONFIG]
        + ["--output", f"{split}-fits.h5"]
        for split in ("train", "validation", "test", "gain")
    ],
    "train": [["train", "--config", CONFIG, "--network", "a", *TRAIN, "--output", "n/c.pt"]],
    "apply": [
        ["apply", "n/c.pt", "--events", "test.h5", "--fits", "test-fits.h5"]
        + ["--output", "n/test/0.h5"],
        ["apply", "n/c.pt", "--events", "gain.h5", "--fits", "gain-fits.h5"]
        + ["--output", "n/gain/0.h5"],
    ],
    "train-generator": [
        ["train-generator", "--config", CONFIG, "--generator", "g", "--output", "g/c.pt"]
        + ["--train-events", "train.h5", "--validation-events", "validation.h5"]
    ],
    "generate": [["generate", "g/c.pt", "--config", CONFIG, "--output", "g/test.h5"]],
    "judge": [
        ["judge", "test.h5", "validation.h5", "--config", CONFIG, "--calibration", "c.json"]
        + ["--network", "a=n/c.pt", "--training", "train.h5", "-o", "generated.html"]
    ],
    "refine": [
        ["refine", "train.h5", "--towards", "gain.h5", "--method", "reweight", "--steps", "20"]
        + ["--output", "refined.h5"]
    ],
    "explain": [
        ["explain", "n/c.pt", "--events", "test.h5", "--fits", "test-fits.h5"]
        + ["--number", "40", "--output", "explain.html"]
    ],
    "score": [
        ["score", "--config", CONFIG, "--events", "test.h5", "--fits", "test-fits.h5"]
        + ["--network", "a=n/test/0.h5", "--calibration", "c.json", "--output", "scores.json"]
    ],
    "robustness": [
        ["robustness", "nominal=test.h5", "gain=gain.h5", "--fits", "test-fits.h5", "gain-fits.h5"]
        + ["--network", "a=n/test/0.h5", "a=n/gain/0.h5", "--config", CONFIG, "-o", "r.json"]
    ],
    "report": [
        ["report", "--config", CONFIG, "--scores", "scores.json", "--output", "report.html"]
    ],
    "report-data": [
        ["report-data", "--config", CONFIG, "--events", "test.h5", "--fits", "test-fits.h5"]
        + ["--network", "a=n/test/0.h5", "--simulated-fits", "test-fits.h5"]
        + ["--calibration", "c.json", "--output", "data/report.html"]
    ],
}
#: Runs commands; prints the modules that were imported and the keys of the configuration that were
#: read after it was made: sections are replaced by ones that note what is asked of them.
PROGRAM = """
import json, sys
from dataclasses import fields, is_dataclass
import tashower.config as package
import tashower.config.reading as reading

READ = set()

class Noting:
    def __init__(self, value, path):
        self.__dict__.update(_value=value, _path=path)
    def __getattr__(self, name):
        if name.startswith("__"):
            return getattr(self._value, name)
        return noting(getattr(self._value, name), f"{self._path}.{name}".strip("."))

class NotingMap(dict):
    path = ""
    def __getitem__(self, key):
        return noting(super().__getitem__(key), f"{self.path}.{key}")

def noting(value, path):
    if is_dataclass(value):
        return Noting(value, path)
    if isinstance(value, dict) and path in ("networks", "generators"):
        of = NotingMap(value)
        of.path = path
        return of
    READ.add(path)
    return value

def plain(value):
    return value._value if isinstance(value, Noting) else value

real_load, real_dict = reading.load_config, reading.as_dict
package.load_config = lambda *sources: noting(real_load(*sources), "")
package.as_dict = lambda config: real_dict(plain(config))
import dataclasses
real_asdict = dataclasses.asdict
def asdict(value, **options):
    if isinstance(value, Noting):
        READ.add(value._path)
        value = value._value
    return real_asdict(value, **options)
dataclasses.asdict = asdict
from tashower.cli import main
for words in json.loads(sys.argv[1]):
    assert main(words) == 0, words
files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
found = sorted(name for name, file in files.items() if name.startswith("tashower") and file)
print(json.dumps([found, sorted(READ)]))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """{stage: (modules imported, keys read)} of every stage's command, each in its own process."""
    folder = tmp_path_factory.mktemp("stages")
    found = {}
    for stage, commands in COMMANDS.items():
        words = [sys.executable, "-c", PROGRAM, json.dumps(commands)]
        done = subprocess.run(
            words,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found[stage] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_every_module_that_a_stage_imports_counts(ran):
    from tashower.io.code import counts

    assert set(ran) == set(STAGES)
    for stage, (imported, _) in ran.items():
        extra = ("network.models.grid", "network.heads.mean")
        extra = extra if stage in ("train", "apply", "explain", "judge") else ()
        if stage in ("train-generator", "generate"):
            extra = ("generation.flow",)
        known = modules_of([*STAGES[stage].modules, *extra])
        names = {name.removeprefix("tashower").removeprefix(".") for name in imported}
        assert {name for name in names if counts(name)} <= set(known), stage


@pytest.mark.slow
def test_every_key_that_a_stage_reads_counts(ran):
    for stage, (_, read) in ran.items():
        keys = STAGES[stage].keys
        simulates = stage.startswith("simulate") or stage == "generate"
        own = {key for key in read if not key.startswith("samples.") or not simulates}
        own -= {"networks.a.training.device", "generators.g.device"}
        if stage == "convert":
            assert not own  # it is given words
            continue
        unknown = {key for key in own if not any(f"{key}.".startswith(f"{k}.") for k in keys)}
        assert not unknown, stage
        # And it is not said of more than it reads; what scores and reports record is read whole.
        if stage in ("calibrate", "fit"):
            parts = {f"reconstruction.{k}" for k in as_dict(load_config(CONFIG))["reconstruction"]}
            wanted = {key for key in parts if any(f"{key}.".startswith(f"{k}.") for k in keys)}
            assert wanted == own, stage


def test_walls_between_the_stages():
    """A change of a reader of a foreign format makes nothing again but what it has read."""

    def rooms(stage):
        return {name.split(".")[0] for name in modules_of(STAGES[stage].modules)}

    assert rooms("simulate") == {"events", "io", "physics", "simulation"}
    for stage in STAGES:
        assert ("convert" in rooms(stage)) == (stage == "convert")
        simulates = stage in ("simulate", "simulate-randomised", "station-likelihood")
        # Kinds of generators are found by their names; refiners train on what likelihoods train on.
        simulates |= stage in ("generate", "judge", "refine")
        assert ("simulation" in rooms(stage)) == simulates
    for stage in ("simulate", "calibrate", "fit", "convert"):
        assert not {"network", "evaluation"} & rooms(stage)


def test_what_is_free_and_what_is_not():
    one = 'def f(x):\n    """Says."""\n    return x + 1  # one\n'
    same = '"""A module."""\n\ndef f(\n    x,\n):\n    return (x + 1)\n'
    assert syntax_of(one) == syntax_of(same)
    others = [
        one.replace("+", "-"),
        one.replace("1  ", "2  "),
        one.replace("1  ", "1.0  "),
        one.replace("f(x)", "f(x=0)"),
        one.replace("f(x)", "g(x)"),
        one.replace("return ", "y = "),
        "@a\n" + one,
    ]
    assert len({syntax_of(one), *map(syntax_of, others)}) == 1 + len(others)


def test_imports_are_found_wherever_they_stand(tmp_path, monkeypatch):
    from tashower.io import code

    files = {
        "a/__init__.py": "",
        "a/top.py": "import tashower.b.one\nfrom tashower.b import two, value\n"
        "def f():\n    from tashower.b.three import g\n    from . import beside\n",
        "a/beside.py": "from .below import deep\n",
        "a/below/__init__.py": "",
        "a/below/deep.py": "from ...b import four\n",
        "a/other.py": "",
        "b/__init__.py": "from tashower.b.five import x\n",
        **{f"b/{name}.py": "" for name in ("one", "two", "three", "four", "five", "six")},
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(code, "PACKAGE", tmp_path)
    for function in (code._tree, code._imports):
        function.cache_clear()
    try:
        found = modules_of(["a.top"])
        assert found == sorted(
            ["a", "a.top", "a.beside", "a.below", "a.below.deep", "b"]
            + [f"b.{name}" for name in ("one", "two", "three", "four", "five")]
        )
        with pytest.raises(ValueError, match=r"a\.nothing"):
            modules_of(["a.nothing"])
    finally:
        for function in (code._tree, code._imports):
            function.cache_clear()


def test_files_that_are_loaded_count():
    without = code_of(STAGES["report"].modules)
    assert code_of(STAGES["report"].modules, STAGES["report"].files) != without


def test_parts_of_the_configuration():
    config = as_dict(load_config("{networks: {a: {training: {device: cpu}}, b: {}}}"))
    part = part_of("train", config, "a")
    assert set(part) == {"seed", "networks"}
    assert set(part["networks"]) == {"a"}
    assert "device" not in part["networks"]["a"]["training"]
    assert config["networks"]["a"]["training"]["device"] == "cpu"
    assert part == part_of("train", as_dict(load_config("{networks: {a: {}}}")), "a")
    assert "errors" not in part_of("fit", config)["reconstruction"]
    assert "errors" in part_of("calibrate", config)["reconstruction"]
    assert not {"results", "network", "training"} & set(part_of("score", config))
    for stage in STAGES:
        assert part_of(stage, part_of(stage, config)) == part_of(stage, config)


def test_a_network_depends_on_its_own_model_and_head():
    def code(**settings):
        network = {"model": "grid", "head": "mean"} | settings
        return code_of_stage("train", {"networks": {"a": network}})

    assert len({code(), code(head="gaussian"), code(model="set"), code(model="mine.py")}) == 4


def test_what_made_a_job_changes_with_everything_above(tmp_path):
    model = tmp_path / "mine.py"
    model.write_text("one")

    def chain(**changes):
        config = as_dict(load_config({"networks": {"a": {"model": str(model)}}, **changes}))
        events = made_by("simulate", config, showers=["test", 0, 10])
        calibration = made_by("calibrate", config, [events])
        fits = made_by("fit", config, [events, calibration])
        return events, calibration, fits, made_by("train", config, [events, fits], "a")

    def changed(one, two):
        return [a != b for a, b in zip(one, two, strict=True)]

    first = chain()
    assert first == chain(results="elsewhere", data={"format": "auger"}, scores={"bootstrap": 11})
    assert changed(first, chain(front={"local_factor": 2.0})) == [True] * 4
    assert changed(first, chain(reconstruction={"errors": {"time_floor": 9}})) == [
        False,
        *[True] * 3,
    ]
    assert changed(first, chain(reconstruction={"min_stations": 6})) == [False, *[True] * 3]
    model.write_text("two")
    assert changed(first, chain()) == [False, False, False, True]


def test_products_and_chunks():
    config = as_dict(load_config(CONFIG)) | {"samples": {"chunk_size": 100, "test": 250}}
    config["samples"] |= {"calibration": 100, "train": 100, "validation": 100_100}
    assert chunk_names(config, "test") == ["000", "001", "002"]
    assert len(chunk_names(config, "validation")) == 1001
    assert chunk_names(config, "validation")[-1] == "1000"
    found = products(config)
    assert "networks/a/test/002.h5" in found
    assert "reconstructions/validation/0000.h5" in found
    assert found[-1] == "report.html"
    config["samples"]["train"] = 250
    for showers, names in ((0, ["000", "001", "002"]), (100, ["000"]), (101, ["000", "001"])):
        own = config["networks"]["a"] | {"showers": showers}
        assert train_chunks(config | {"networks": {"a": own}}, "a") == names
    several = config | {"networks": as_dict(load_config("{network: {seeds: 2}}"))["networks"]}
    assert "networks/stations_only_seed2/test/002.h5" in products(several)
    measured = config | {"data": {"files": ["x"], "calibration": "", "checkpoints": ["n/b/c.pt"]}}
    assert products(measured) == [
        *("calibration.json", "data/fits.h5", "data/networks/b.h5", "data/report.html")
    ]
