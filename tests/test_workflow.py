"""The workflow: dry runs in the fast suite, the tiny configuration end to end in the slow one."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import tashower as ts
from tashower.cli import main
from tashower.config import load_config

ROOT = Path(__file__).resolve().parent.parent
RULES = {
    "simulate_events",
    "calibrate_fit",
    "reconstruct_events",
    "train_network",
    "apply_network",
    "score_methods",
    "write_report",
}
#: Runs the package of this repository in another folder: what numba compiled lies beside the code.
COMPILED = ("--snakefile", str(ROOT / "Snakefile"))


def snakemake(*words, folder=ROOT):
    """Run snakemake in the repository or a copy of it, with this interpreter's commands first in
    the path.
    """
    environment = dict(
        os.environ, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--nolock", *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    done.all = done.stdout + done.stderr
    return done


def jobs(output):
    """Rules in the job table that snakemake prints."""
    known = RULES | {"train_generator", "generate_events", "judge_generated"}
    return {
        line.split()[0]
        for line in output.splitlines()
        if line and line.split()[0] in known and len(line.split()) == 2
    }


def test_default_plan_has_every_rule(tmp_path):
    done = snakemake("--dry-run", "--config", f"results={tmp_path.relative_to('/')}/r")
    assert done.returncode == 0, done.all
    assert jobs(done.all) == RULES


@pytest.mark.slow
def test_what_a_network_looks_at_is_made_when_it_is_asked_for(tmp_path):
    results = tmp_path.relative_to("/") / "r"
    done = snakemake(
        "explain", "--dry-run", "--printshellcmds", "--config", f"results={results}",
        "networks={b: {inputs: {waveforms: false}}, a: {}}",
    )  # fmt: skip
    assert done.returncode == 0, done.all
    command = next(line for line in done.all.splitlines() if "tashower explain" in line)
    assert f"{results}/networks/b/checkpoint.pt" in command
    assert f"--output {results}/explain/b.html" in command
    assert "write_report" not in done.all


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config", "seeed=3"], "seeed"),
        (["--config", "showers={max_zenith: 3}"], "max_zenith"),
        (["--config", "seed=high"], "seed"),
    ],
)
def test_bad_key_stops_the_run_and_is_named(words, message):
    done = snakemake("--dry-run", *words)
    assert done.returncode != 0
    assert message in done.all
    assert "Traceback" not in done.all


@pytest.mark.slow
def test_numbers_of_snakemake_are_numbers(tmp_path):
    """Snakemake by itself takes 1e-3 for text, and every number inside a map of --config."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"results: {tmp_path}/r\ntraining: {{learning_rate: 1e-3, weight_decay: 1}}\n")
    words = ["--configfile", str(path), "--config", "training={weight_decay: 1e-5, epochs: 3}"]
    done = snakemake("--dry-run", "--printshellcmds", *words)
    assert done.returncode == 0, done.all
    for key in ('"learning_rate": 0.001', '"weight_decay": 1e-05', '"epochs": 3'):
        assert key in done.all


def test_everything_wrong_in_a_file_is_said_by_snakemake(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("seed: 1\nseed: 2\narray: {collumns: 9}\nsamples: {train: .nan}\n")
    done = snakemake("--dry-run", "--configfile", str(path))
    assert done.returncode != 0
    assert f"{path}, line 2: seed: given twice (first in line 1)\n" in done.all
    assert f"{path}: array.collumns: unknown; did you mean array.columns?\n" in done.all
    assert f"{path}: samples.train: must be a whole number, not .nan\n" in done.all
    assert "Traceback" not in done.all


@pytest.mark.parametrize("content", [None, b"seed: [1\n", "seed: 1\n".encode("utf-16")])
def test_make_run_says_in_one_line_that_it_cannot_read_the_configuration(content, tmp_path):
    """Snakemake by itself ends in a traceback, before it reads the Snakefile."""
    path = tmp_path / "it's mine ü.yaml"
    if content:
        path.write_bytes(content)
    binaries, ready = Path(sys.executable).parent, tmp_path / "ready"
    ready.touch()  # newer than all that it is made from, so that nothing is set up
    done = subprocess.run(
        ["make", "run", f"CONFIG={path}", f"BIN={binaries}", f"READY={ready}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1
    assert said[0].startswith(f"tashower: {path}")


@pytest.mark.slow
def test_a_network_has_its_own_resources_and_is_trained_for_its_own_keys(tmp_path):
    path, model = tmp_path / "mine.yaml", tmp_path / "mine.py"
    path.write_text(
        f"results: {tmp_path}/r\nnetworks:\n  a: {{training: {{threads: 2, epochs: 7}}}}\n"
        f"  b: {{model: {model}, options: {{width: 3}}}}\n"
    )
    done = snakemake("--dry-run", "--configfile", str(path))
    assert done.returncode != 0
    assert f"networks.b.model: {model}: no such file" in done.all
    model.write_text("")
    done = snakemake("--dry-run", "--printshellcmds", "--configfile", str(path))
    assert done.returncode == 0, done.all
    trainings = [block for block in done.all.split("\n\n") if "rule train_network" in block]
    (of_a,) = (block for block in trainings if "network=a" in block)
    (of_b,) = (block for block in trainings if "network=b" in block)
    assert "threads: 2" in of_a
    assert "threads: 2" not in of_b
    assert '"options": {"width": 3}' in of_b
    assert '"epochs": 7' in of_a


@pytest.mark.slow
def test_a_network_learns_from_the_first_chunks_that_hold_its_showers(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"results: {tmp_path}/r\nsamples: {{train: 2000, chunk_size: 500}}\n"
        "networks: {a: {showers: 501}, b: {}}\n"
    )
    done = snakemake("learning_curve", "--dry-run", "--printshellcmds", "--configfile", str(path))
    assert done.returncode == 0, done.all
    assert "learning_curve" in jobs(done.all) or "rule learning_curve" in done.all
    lines = {
        line.split("--network ")[1][0]: line
        for line in done.all.splitlines()
        if "tashower train" in line
    }
    assert "train/{000..001}.h5" in lines["a"]
    assert "train/{000..003}.h5" in lines["b"]
    path.write_text(path.read_text().replace("501", "2001"))
    done = snakemake("--dry-run", "--configfile", str(path))
    assert done.returncode != 0
    assert "networks.a.showers (2001) is above samples.train (2000)" in done.all


@pytest.mark.slow
def test_networks_and_primaries_of_the_user_replace_the_default_ones(tmp_path):
    """Snakemake by itself would merge them."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"results: {tmp_path}/r\nnetworks: {{mine: {{inputs: {{waveforms: false}}}}}}\nshowers: "
        f"{{primaries: {{iron: 1}}}}\n"
    )
    done = snakemake("--dry-run", "--printshellcmds", "--configfile", str(path))
    assert done.returncode == 0, done.all
    assert "--network mine" in done.all
    assert "waveforms_only" not in done.all
    assert '"primaries": {"iron": 1.0}' in done.all
    assert "helium" not in done.all


def test_a_network_is_trained_again_only_when_it_changes_itself(tmp_path):
    """What the rule hands over, whose change starts it again, names one network."""

    def commands(networks):
        path = tmp_path / "mine.yaml"
        path.write_text(json.dumps({"results": f"{tmp_path}/r", "networks": networks}))
        done = snakemake("--dry-run", "--printshellcmds", "--configfile", str(path))
        assert done.returncode == 0, done.all
        lines = [line for line in done.all.splitlines() if "tashower train" in line]
        return {line.split("--network ")[1].split()[0]: line for line in lines}

    one = {"training": {"epochs": 3}}
    before = commands({"a": one, "b": one})
    changed = commands({"b": {"inputs": {"event_features": False}}, "c": one, "a": one})
    assert set(before) == {"a", "b"}
    assert set(changed) == {"a", "b", "c"}
    assert changed["a"] == before["a"]
    assert changed["b"] != before["b"]


@pytest.mark.slow
def test_configuration_of_the_tutorial(tmp_path):
    """The block of docs/new_data.md that runs the workflow on measured events."""
    text = (ROOT / "docs" / "new_data.md").read_text()
    block = text[
        text.index("    results: results-mine") : text.index("    make run CONFIG=mine.yaml")
    ]
    checkpoint = tmp_path / "my_network" / "checkpoint.pt"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"")
    path = tmp_path / "mine.yaml"
    lines = block.replace(
        "results/networks/waveforms_and_features/checkpoint.pt", str(checkpoint)
    ).splitlines()
    path.write_text("\n".join(line.removeprefix("    ") for line in lines) + "\n")
    done = snakemake("--dry-run", "--configfile", str(path))
    assert done.returncode == 0, done.all
    for rule in ("convert_data", "fit_data", "apply_to_data", "report_data", "calibrate_fit"):
        assert rule in done.all
    assert "train_network" not in done.all


def tutorial_blocks():
    """The indented blocks of docs/new_data.md, without their indentation."""
    blocks, current = [], []
    for line in (ROOT / "docs" / "new_data.md").read_text().splitlines():
        if line.startswith("    "):
            current.append(line[4:])
        elif current:
            blocks.append(current)
            current = []
    return blocks


def out_of_service(folder):
    """A table that says of the first event that a station without a hit was out of service."""
    tables = [
        (folder / "data" / "samples" / f"{name}.csv").read_text().splitlines()
        for name in ("hits", "stations")
    ]
    hits, stations = ([line.split(",")[:2] for line in table[1:]] for table in tables)
    hit = {station for event, station in hits if event == hits[0][0]}
    silent = next(station for station, _ in stations if station not in hit)
    return f"event,station\n{hits[0][0]},{silent}\n"


@pytest.mark.slow
def test_every_line_of_the_tutorial_runs(copy, monkeypatch):
    """Commands in their order; tables and header against the files that they show; configurations
    as a dry run. What has to be simulated first: the slow test below.
    """
    add_code(copy)
    shutil.copytree(ROOT / "data", copy / "data")
    monkeypatch.chdir(copy)
    seen = set()
    for block in tutorial_blocks():
        kind = block[0].split(":")[0].split(" ")[0].split(",")[0]
        seen.add(kind)
        if block[0].startswith("tashower simulate"):
            continue
        if kind == "tashower":
            for line in block:
                assert main(shlex.split(line)[1:]) == 0, line
        elif kind in ("station", "event"):
            name = "stations.csv" if kind == "station" else "hits.csv"
            lines = (copy / "data" / "samples" / name).read_text().splitlines()
            columns = [lines[0].split(",").index(column) for column in block[0].split(",")]
            assert [lines[1].split(",")[k] for k in columns] == block[1].split(",")
        elif kind == "stations":
            header = yaml.safe_load("\n".join(block))
            shipped = yaml.safe_load((copy / "data" / "samples" / "header.yaml").read_text())
            assert shipped == {key: header[key] for key in shipped}
            (copy / "data" / "samples" / "other.yaml").write_text("\n".join(block))
            (copy / "data" / "samples" / "out.csv").write_text(out_of_service(copy))
            assert main(["convert", "data/samples/other.yaml", "--to", "build/other.h5"]) == 0
        elif kind == "snakemake":
            done = snakemake("--dry-run", *shlex.split(block[0])[1:], folder=copy)
            assert done.returncode == 0, done.all
        else:  # of the workflow: test_configuration_of_the_tutorial
            assert kind in ("results", "make"), block
    assert seen == {"tashower", "station", "event", "stations", "snakemake", "results", "make"}
    for name in ("event.png", "report.html", "sample.dst.gz", "auger.h5", "dst-view.html"):
        assert (copy / "build" / "mine" / name).stat().st_size > 1000
    assert {"likelihood_edges", "likelihood_waveforms", "standard"} <= set(
        ts.read("build/mine/dst-fits.h5")
    )


@pytest.mark.slow
def test_what_the_tutorial_simulates_runs(copy, monkeypatch):
    """The block with a calibration and a likelihood of its own, and the workflow on measured
    events, at small size.
    """
    shutil.copytree(ROOT / "data", copy / "data")
    monkeypatch.chdir(copy)
    small = {
        "samples": {"calibration": 2000, "train": 10, "validation": 10, "test": 300},
        "likelihood": {"stations": 20_000},
        "scores": {"bootstrap": 10},
    }
    preset = copy / "config" / "auger.yaml"
    preset.write_text(yaml.safe_dump(yaml.safe_load(preset.read_text()) | small))
    blocks = tutorial_blocks()
    first = next(i for i, b in enumerate(blocks) if b[0].startswith("tashower simulate"))
    convert = next(x for b in blocks for x in b if x.startswith("tashower convert data/samples/au"))
    for line in [convert, *blocks[first]]:
        assert main(shlex.split(line)[1:]) == 0, line
    edges = ts.read("build/mine/auger-fits.h5")["likelihood_edges"]
    assert edges.valid.all()
    configuration = yaml.safe_load(
        "\n".join(next(b for b in blocks if b[0].startswith("results:")))
    )
    del configuration["data"]["checkpoints"]
    (copy / "mine.yaml").write_text(yaml.safe_dump(configuration | small))
    done = snakemake(*COMPILED, "--configfile", "mine.yaml", folder=copy)
    assert done.returncode == 0, done.all[-5000:]
    assert (copy / "results-mine" / "data" / "report.html").is_file()


#: Planned in the slow suite.
PRESETS = (
    *("telescope_array", "tax4", "tale", "hisparc", "paper", "sample", "seeds"),
    *("auger", "long", "robustness", "systematic_gain"),
)


@pytest.mark.parametrize(
    "name", ["learning_curve", *(pytest.param(one, marks=pytest.mark.slow) for one in PRESETS)]
)
def test_presets_are_complete_configurations(name):
    """Planned; and every command takes the part of the configuration that it is given."""
    done = snakemake("--dry-run", "-p", "--configfile", f"config/{name}.yaml")
    assert done.returncode == 0, done.all
    given = set(re.findall(r"--config ('\{.*?\}')\s", done.all))
    assert given
    for text in given:
        load_config(json.loads(shlex.split(text)[0]))
    if name == "learning_curve":  # each learns from the first chunks that hold its showers
        learned = re.findall(r"--network (\w+) --train-events (\S+)", done.all)
        assert len(learned) == 15
        for network, files in learned:
            last = int(re.search(r"showers_(\d+)", network)[1]) // 10_000 - 1
            assert files.endswith(f"{last:03d}}}.h5" if last else "/000.h5"), network


@pytest.mark.slow
@pytest.mark.parametrize("name", ["auger", "tale"])
def test_another_array_from_start_to_report(copy, name):
    words = ["--configfile", f"config/{name}.yaml", "tests/config/brief.yaml"]
    done = snakemake(*COMPILED, *words, folder=copy)
    assert done.returncode == 0, done.all[-5000:]
    assert (copy / "results-smoke" / "station_likelihood.json").is_file()
    scores = json.loads((copy / "results-smoke" / "scores.json").read_text())
    assert scores["n_scored"] > 500


def test_lint():
    done = snakemake("--lint")
    assert done.returncode == 0, done.all


@pytest.fixture
def copy(tmp_path):
    """A folder with copies of the configurations."""
    for name in ("config", "tests/config"):
        shutil.copytree(ROOT / name, tmp_path / "copy" / name)
    return tmp_path / "copy"


def add_code(folder):
    """Copy the package and its workflow, which can be changed there."""
    for name in ("tashower", "profiles"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "Snakefile", folder)


@pytest.mark.slow
def test_smoke_run_from_start_to_report(copy):
    words = ["--configfile", "tests/config/smoke.yaml"]
    results = copy / "results-smoke"
    done = snakemake(*COMPILED, *words, folder=copy)
    assert done.returncode == 0, done.all[-5000:]
    assert "The report: results-smoke/report.html" in done.all
    scores = json.loads((results / "scores.json").read_text())
    assert scores["n_scored"] > 500
    assert (results / "report.html").stat().st_size > 100_000
    assert not list(results.rglob("*.part"))
    assert not list(results.rglob("*.state"))
    assert (results / "generators/flow/test/001.h5").is_file()
    assert 'href="generated.html"' in (results / "report.html").read_text()
    assert main(["verify", str(results)]) == 0
    add_code(copy)
    assert "Nothing to be done" in snakemake("--dry-run", *words, folder=copy).all

    # A change of code runs again what uses it, and nothing else; changes stay, one after the other.
    of_generators = {"train_generator", "generate_events", "judge_generated"}
    after_fit = {"train_network", "apply_network", "score_methods", "write_report"}
    for room, rerun in (
        ("generation", of_generators | {"write_report"}),
        ("evaluation", of_generators | {"score_methods", "write_report"}),
        ("network", after_fit | of_generators),
        ("simulation", RULES | of_generators),
    ):
        with (copy / "tashower" / room / "__init__.py").open("a") as file:
            file.write("CHANGED = 1\n")
        assert jobs(snakemake("--dry-run", *words, folder=copy).all) == rerun, room


@pytest.mark.slow
def test_workflow_on_files_of_another_experiment(tmp_path):
    """Simulated events as somebody's DST file: converted, fitted, reported beside the simulation;
    and without any truth.
    """
    from tashower.cli import main

    name = f"build/{tmp_path.name}"
    results = ROOT / name
    events, dst = tmp_path / "e.h5", tmp_path / "theirs.dst.gz"
    assert (
        main(["simulate", "--config", "{samples: {test: 150}, seed: 9}", "--output", str(events)])
        == 0
    )
    assert main(["export", str(events), "--to", str(dst)]) == 0
    config = tmp_path / "mine.yaml"
    config.write_text(
        f"results: {name}\nsamples: {{calibration: 3000, test: 500, chunk_size: 1000}}\nscores: "
        f"{{bootstrap: 10}}\n"
        f"data: {{files: [{dst}]}}\n"
    )
    shutil.rmtree(results, ignore_errors=True)
    try:
        done = snakemake("--configfile", str(config))
        assert done.returncode == 0, done.all[-5000:]
        report = (results / "data" / "report.html").read_text()
        for words in (
            "Data against simulation",
            "Against the truth",
            "Method against method",
            "theirs.dst.gz",
        ):
            assert words in report
        assert not (results / "networks").exists()
        assert main(["verify", str(results)]) == 0
    finally:
        shutil.rmtree(results, ignore_errors=True)
