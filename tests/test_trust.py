"""No stale result, no needless work: what a run of the workflow does after a change, after a job
was killed, after Snakemake was killed.
"""

import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tashower.cli import main
from tashower.evaluation.verify import problems_of
from tashower.io.hdf5 import checksum_of
from tashower.io.json_file import as_json
from tashower.io.stages import products

ROOT = Path(__file__).resolve().parent.parent
NETWORKS = {"a": {}, "b": {"inputs": {"event_features": False}}}
CONFIG = {
    "results": "r",
    "array": {"columns": 8, "rows": 8},
    "samples": {
        **{"calibration": 900, "train": 300, "validation": 100, "test": 250},
        "chunk_size": 200,
    },
    "reconstruction": {"min_border_distance_m": 0},
    "showers": {"min_log10_energy_ev": 19.0},
    "network": {
        "inputs": {"tile": 4, "waveforms": False},
        "options": {"station_channels": 8, "grid_layers": 1, "dense_channels": 8},
    },
    "training": {"epochs": 2, "batch_size": 32},
    "networks": NETWORKS,
    "scores": {"bootstrap": 10, "examples": 1},
}
RULES = {
    "simulate_events": 5 + 2 + 1 + 2,
    "calibrate_fit": 1,
    "reconstruct_events": 2 + 1 + 2,
    "train_network": 2,
    "apply_network": 4,
    "score_methods": 1,
    "write_report": 1,
}
AFTER_TRAINING = {
    rule: RULES[rule]
    for rule in ("train_network", "apply_network", "score_methods", "write_report")
}
AFTER_SIMULATION = {rule: n for rule, n in RULES.items() if rule != "simulate_events"}
#: The command of each rule.
STAGES = ("simulate", "calibrate", "fit", "train", "apply", "score", "report")
#: Read by every Python that starts: kills the first command of a stage, once. `sys.orig_argv` is
#: [python, -P, -m, tashower, STAGE, ...].
KILLER = """
import os, signal, sys
words = sys.orig_argv
if os.environ.get("KILLED") and "tashower" in words and words[words.index("tashower") + 1:][:1] == [
        os.environ["KILLED"]]:
    try:
        os.mkdir(os.environ["KILLED_ONCE"])
    except FileExistsError:
        pass
    else:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def over(config, changes):
    """A configuration with changes, section by section."""
    whole = json.loads(json.dumps(config))
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(whole.get(key), dict) and key != "networks"
        whole[key] = over(whole[key], value) if both else value
    return whole


def command(folder, config, *words, root=ROOT):
    (folder / "mine.yaml").write_text(json.dumps(config))
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile")),
        *("--cores", "2", "--nolock", "--rerun-incomplete", "--configfile", "mine.yaml", *words),
    ]


def environment(root=ROOT, **further):
    return os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"} | further


def snakemake(folder, config, *words, root=ROOT, kill=None):
    """(status, output) of the workflow in a folder; kill : the stage of which one job is killed."""
    env = environment(root)
    if kill:
        killer = folder / "killer"
        killer.mkdir(exist_ok=True)
        (killer / "sitecustomize.py").write_text(KILLER)
        env["PYTHONPATH"] += f"{os.pathsep}{killer}"
        once = folder / f"killed-{kill}"
        if once.exists():
            once.rmdir()
        env |= {"KILLED": kill, "KILLED_ONCE": str(once)}
    done = subprocess.run(
        command(folder, config, *words, root=root),
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if kill:
        assert once.exists(), (
            f"no job of {kill} started:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    return done.returncode, done.stdout + done.stderr


def run(folder, config, *words):
    """A run that ends well."""
    status, output = snakemake(folder, config, *words)
    assert status == 0, output[-5000:]


def planned(folder, config, root=ROOT):
    """{rule: number of jobs} that Snakemake wants."""
    status, output = snakemake(folder, config, "--dry-run", root=root)
    assert status == 0, output[-5000:]
    rows = [line.split() for line in output.splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[0] in RULES}


#: What says when and how fast a file was made, and a checksum of that and the rest; who works here
#: may commit meanwhile.
OF_THE_TIME = ("created", "seconds", "crc32", "commit", "simulation_commit")


def digest(array):
    """What an array holds, in a few letters: a difference is not printed whole."""
    return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()[:12]}"


def content(path):
    """What a product holds, without times."""
    import h5py
    import torch
    from matplotlib.image import imread

    def kept(value):
        if isinstance(value, dict):
            return {k: kept(v) for k, v in value.items() if k not in OF_THE_TIME}
        if isinstance(value, list | tuple):
            return [kept(item) for item in value]
        if isinstance(value, torch.Tensor):
            value = value.numpy()
        return digest(value) if isinstance(value, np.ndarray) else value

    if path.suffix == ".h5":
        with h5py.File(path) as file:
            columns = {}
            file.visititems(
                lambda name, item: (
                    columns.update({name: digest(np.asarray(item[()]))})
                    if isinstance(item, h5py.Dataset)
                    else None
                )
            )
            attributes = {key: str(value) for key, value in file.attrs.items()}
        # Checksums of inputs change with their times: whom they name is enough.
        attributes["made_from"] = [name for name, _ in json.loads(attributes["made_from"])]
        return kept(attributes | columns)
    if path.suffix in (".pt", ".json"):
        found = torch.load(path) if path.suffix == ".pt" else json.loads(path.read_text())
        found["made_from"] = [name for name, _ in found["made_from"]]
        found["histories"] = found.get("histories")
        return kept(found)
    if path.suffix == ".png":
        return digest(imread(path)) if path.stem != "training_curves" else ""
    return None  # pages and tables are made of these


def all_content(folder, config):
    """{product: content} of a run."""
    names = [path for name in products(config) for path in sorted([folder / "r" / name])]
    files = [
        file for path in names for file in (sorted(path.iterdir()) if path.is_dir() else [path])
    ]
    return {str(file.relative_to(folder)): content(file) for file in files}


def check_equal(folder, fresh, config):
    """Every product of a run is that of a fresh run, and belongs together."""
    one, two = all_content(folder, config), all_content(fresh, config)
    assert set(one) == set(two)
    for name in one:
        assert one[name] == two[name], name
    assert problems_of(folder / "r")[0] == []


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a whole tiny run; to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    run(folder, CONFIG)
    assert planned(folder, CONFIG) == {}
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture(scope="session")
def with_code(finished, tmp_path_factory):
    """The finished run in a copy of the package whose code can be changed."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("code") / "run")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tashower", folder / "tashower", ignore=ignored)
    shutil.copytree(ROOT / "config", folder / "config")
    shutil.copy(ROOT / "Snakefile", folder)
    return folder


CHANGES = {
    "nothing": ({}, {}),
    "more showers to test with": (
        {"samples": {"test": 300}},
        {"simulate_events": 1, "reconstruct_events": 1, "apply_network": 2}
        | {"score_methods": 1, "write_report": 1},
    ),
    "a third network": (
        {"networks": NETWORKS | {"c": {}}},
        {"train_network": 1, "apply_network": 2, "score_methods": 1, "write_report": 1},
    ),
    "two more trainings of a network": (
        {"networks": NETWORKS | {"a": {"seeds": 3}}},
        {"train_network": 2, "apply_network": 4, "score_methods": 1, "write_report": 1},
    ),
    "networks in another order": (  # which tables and figures have
        {"networks": dict(reversed(NETWORKS.items()))},
        {"score_methods": 1, "write_report": 1},
    ),
    "primaries in another order": (
        {"showers": {"primaries": dict.fromkeys(("iron", "nitrogen", "helium", "proton"), 1)}},
        {},
    ),
    "one network": (
        {"networks": NETWORKS | {"b": {"inputs": {"event_features": False}, "head": "gaussian"}}},
        {"train_network": 1, "apply_network": 2, "score_methods": 1, "write_report": 1},
    ),
    "a slash after the folder": ({"results": "r/"}, {}),
    "a dot before the folder": ({"results": "./r"}, {}),
    "device": ({"training": {"device": "cpu"}}, {}),
    "epochs": ({"training": {"epochs": 3}}, AFTER_TRAINING),
    "bootstrap": ({"scores": {"bootstrap": 20}}, {"score_methods": 1, "write_report": 1}),
    "of measured events": ({"data": {"format": "auger"}}, {}),
    "a cut": ({"reconstruction": {"max_zenith_deg": 44}}, AFTER_SIMULATION),
    "an error of the calibration": (
        {"reconstruction": {"errors": {"time_floor": 20}}},
        AFTER_SIMULATION,
    ),
    "the front": ({"front": {"local_factor": 2.0}}, RULES),
    "the seed": ({"seed": 1}, RULES),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_configuration_reruns_what_reads_it(finished, name):
    changes, wanted = CHANGES[name]
    assert planned(finished, over(CONFIG, changes)) == wanted


CODE = "\nCHANGED = 1\n"
CODES = {
    "a comment everywhere": ("*", "\n# changed\n", {}),
    "a reader": ("convert/dst.py", CODE, {}),
    "the command line": ("cli/fit.py", CODE, {}),
    "what is said of files": ("io/provenance.py", CODE, {}),
    "a head that nobody uses": ("network/heads/gaussian.py", CODE, {}),
    "a head": ("network/heads/mean.py", CODE, AFTER_TRAINING),
    "the loop": ("network/epoch.py", CODE, AFTER_TRAINING),
    "what is applied": (
        "network/apply.py",
        CODE,
        {"apply_network": 4, "score_methods": 1, "write_report": 1},
    ),
    "scores": ("evaluation/scores.py", CODE, {"score_methods": 1, "write_report": 1}),
    "the report": ("evaluation/report.py", CODE, {"write_report": 1}),
    "its page": ("evaluation/templates/report.html.j2", "\n<p>changed</p>\n", {"write_report": 1}),
    "the fit": ("reconstruction/joint/fit.py", CODE, AFTER_SIMULATION),
    "the simulation": ("simulation/showers.py", CODE, RULES),
    "a formula": ("physics/lateral.py", CODE, RULES),
}


@contextmanager
def changed(folder, pattern, text):
    """Files of the package with text added, for a while."""
    paths = [p for p in (folder / "tashower").rglob("*.py" if pattern == "*" else pattern)]
    before = {path: path.read_bytes() for path in paths}
    assert before
    try:
        for path, was in before.items():
            path.write_bytes(was + text.encode())
        yield
    finally:
        for path, was in before.items():
            path.write_bytes(was)


@pytest.mark.slow
@pytest.mark.parametrize("name", CODES)
def test_a_change_of_code_reruns_what_runs_it(with_code, name):
    pattern, text, wanted = CODES[name]
    with changed(with_code, pattern, text):
        assert planned(with_code, CONFIG, root=with_code) == wanted


@pytest.mark.slow
def test_a_job_of_every_rule_killed_once(folder, tmp_path):
    """After a change of everything each run loses one job, of the next rule; the last one finds
    all of it, and ends where a fresh run does.
    """
    config = over(CONFIG, {"seed": 1, "training": {"epochs": 3}, "scores": {"bootstrap": 20}})
    for stage in STAGES:
        status, output = snakemake(folder, config, kill=stage)
        assert status != 0, stage
        assert "killed (SIGKILL)" in output
        assert problems_of(folder / "r")[0], stage  # what stands is not taken for a whole run
    run(folder, config)
    assert planned(folder, config) == {}
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    run(fresh, config)
    check_equal(folder, fresh, config)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["train", "score"])
def test_what_one_killed_job_leaves_is_found_and_made_again(folder, finished, stage, capsys):
    """One job is lost, all others go on: its old products do not survive, and are not scored."""
    config = over(CONFIG, {"training": {"epochs": 3}})
    status, _ = snakemake(folder, config, "--keep-going", kill=stage)
    assert status != 0
    assert main(["verify", str(folder / "r")]) == 2
    said = capsys.readouterr().out
    if stage == "train":
        assert "checkpoint.pt: is missing" in said
    if stage == "score":
        assert f"{folder}/r/scores.json: is missing" in said
    wanted = planned(folder, config)
    assert {"write_report"} <= set(wanted)
    assert ("train_network" in wanted) == (stage == "train")
    run(folder, config)
    assert planned(folder, config) == {}
    epochs = {
        name: json.loads((folder / "r" / "networks" / name / "history.json").read_text())["epochs"]
        for name in NETWORKS
    }
    assert {len(curve) for curve in epochs.values()} == {3}
    assert main(["verify", str(folder / "r")]) == 0
    # Back to what it was: made again, bit for bit.
    run(folder, CONFIG)
    check_equal(folder, finished, CONFIG)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("calibration.json", "reconstructions/test/001.h5", "networks/a/checkpoint.pt"),
        *("networks/a/history.json", "networks/b/test/000.h5"),
        *("scores.json", "scores.md", "figures", "report.html"),
    ],
)
def test_a_product_that_is_missing_is_made_again(folder, name):
    path = folder / "r" / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert any(line.startswith(f"{path}") for line in problems_of(folder / "r")[0])
    assert planned(folder, CONFIG)


@pytest.mark.slow
def test_the_command_line_trains_what_the_workflow_trains(finished, tmp_path):
    """The same files and a configuration that lists the networks the other way round: the same
    checkpoint to the bit, what it states included.
    """
    mine = tmp_path / "mine.yaml"
    mine.write_text(json.dumps(over(CONFIG, {"networks": dict(reversed(NETWORKS.items()))})))
    for name in NETWORKS:
        output = tmp_path / name / "checkpoint.pt"
        words = ["train", "--config", str(mine), "--network", name, "--output", str(output)]
        for split in ("train", "validation"):
            for kind, room in (("events", "events"), ("fits", "reconstructions")):
                paths = sorted((finished / "r" / room / split).glob("*.h5"))
                words += [f"--{split}-{kind}", *map(str, paths)]
        assert main(words) == 0
        assert content(output) == content(finished / "r" / "networks" / name / "checkpoint.pt")


@pytest.mark.slow
def test_products_without_a_record_are_looked_at(folder):
    """As of a folder that was copied without Snakemake's own: it would take them for finished."""
    shutil.rmtree(folder / ".snakemake")
    assert planned(folder, CONFIG) == {}
    for changes, name in (
        ({"training": {"epochs": 3}}, "networks/a/history.json"),
        ({"reconstruction": {"max_zenith_deg": 44}}, "calibration.json"),
        ({"scores": {"bootstrap": 20}}, "scores.json"),
    ):
        status, output = snakemake(folder, over(CONFIG, changes), "--dry-run")
        assert status != 0
        assert f"r/{name}: was made by another configuration or code" in output
        assert "Traceback" not in output


def edit(path, **changes):
    path.write_bytes(as_json(json.loads(path.read_text()) | changes))


@pytest.mark.slow
def test_verify_finds_what_does_not_belong_together(folder):
    """The two cases that a run could once end in, made by hand."""
    results = folder / "r"
    assert problems_of(results)[0] == []
    scores = json.loads((results / "scores.json").read_text())
    # Old predictions beside new settings.
    new = over(scores["configuration"], {})
    new["networks"]["a"]["training"]["epochs"] = 40
    edit(results / "scores.json", configuration=new)
    found = problems_of(results)[0]
    assert any("says networks.a.training.epochs 40" in line for line in found)
    assert f"{results}/report.html: was made from another scores.json" in "\n".join(found)
    assert any("pulls.png: was not drawn from" in line for line in found)
    assert any("scores.md: was not made from" in line for line in found)
    # An old report alone.
    (results / "scores.json").unlink()
    found = problems_of(results)[0]
    assert f"{results}/report.html: the scores that it was made from are not here" in found
    assert f"{results}/scores.json: is missing" in found


@pytest.mark.slow
def test_verify_finds_different_code(folder):
    history, scores = folder / "r" / "networks" / "a" / "history.json", folder / "r" / "scores.json"
    before = checksum_of(history)
    edit(history, code="0123456789ab")
    text = scores.read_text().replace(before, checksum_of(history))
    scores.write_bytes(as_json(json.loads(text)))
    found = "\n".join(problems_of(folder / "r")[0])
    assert "`train` made them with different code" in found


@pytest.mark.slow
def test_a_report_is_of_its_scores_and_figures(folder, capsys):
    results = folder / "r"
    words = ["report", "--scores", str(results / "scores.json")]
    words += ["--output", str(results / "new.html")]
    assert main(words) == 0
    mine = folder / "mine.yaml"
    mine.write_text(json.dumps(CONFIG))  # tests that share the run leave others
    assert main([*words, "--config", str(mine)]) == 0
    mine.write_text(json.dumps(over(CONFIG, {"scores": {"bootstrap": 30}})))
    capsys.readouterr()
    assert main([*words, "--config", str(mine)]) == 2
    assert "scores.bootstrap 10, the configuration says 30" in capsys.readouterr().err
    edit(results / "scores.json", created="another time")
    assert main(words) == 2
    assert "was not drawn from scores.json" in capsys.readouterr().err
    (results / "figures" / "ladder.png").unlink()
    assert main(words) == 2
    assert "ladder.png: no such file" in capsys.readouterr().err


def of_session(session):
    """Processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                found.append((int(entry.name), (entry / "cmdline").read_bytes()))
        except OSError:  # it ended meanwhile
            continue
    return found


@pytest.mark.slow
def test_jobs_of_a_killed_snakemake_end_and_write_nothing(folder, finished):
    config = over(CONFIG, {"training": {"epochs": 5000, "patience": 5000}})
    process = subprocess.Popen(
        command(folder, config),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        states = [folder / "r" / "networks" / name / "checkpoint.pt.state" for name in NETWORKS]
        for _ in range(1200):
            if any(state.exists() for state in states):
                break
            time.sleep(0.1)
        else:
            pytest.fail("no training began")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for _ in range(600):
            left = [words for _, words in of_session(process.pid) if b"tashower" in words]
            if not left:
                break
            time.sleep(0.1)
        assert not left
    finally:
        for pid, _ in of_session(process.pid):
            os.kill(pid, signal.SIGKILL)
    assert not any(state.with_name("checkpoint.pt").exists() for state in states)
    # What a killed job left of a network that is no longer asked for.
    left = folder / "r/networks/c" / f".000.h5.{platform.node()}-{process.pid}.abc.part"
    left.parent.mkdir()
    left.write_text("half")
    run(folder, CONFIG)
    assert not left.exists()
    check_equal(folder, finished, CONFIG)


#: A command that waits before it writes.
WAITING = """
import sys, time
import tashower.io.hdf5 as file
real = file.create_column
def slow(*args, **options):
    print("here", flush=True)
    time.sleep(600)
    return real(*args, **options)
file.create_column = slow
from tashower.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("gone", [False, True])
def test_a_command_ends_with_its_workflow(tmp_path, gone):
    workflow = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    if gone:
        workflow.kill()
        workflow.wait()
    words = ["simulate", "--config", "{samples: {test: 20}, array: {columns: 5, rows: 5}}"]
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, *words, "--output", "out.h5"],
        cwd=tmp_path,
        env=environment(TASHOWER_WORKFLOW=str(workflow.pid)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if not gone:
        assert process.stdout.readline() == "here\n"
        workflow.kill()  # not waited for: what has ended and was not collected does not live
    _, said = process.communicate(timeout=300)
    workflow.wait()
    assert process.returncode == 130
    assert "the workflow that started this command is gone" in said
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("p/a.py", True),
        ("p/deep/b.j2", True),
        ("p/new.py", True),
        ("Snakefile", True),
        ("profiles/default/config.yaml", True),
        ("docs/a.md", False),
        ("notes.py", False),
        ("p/notes.txt", False),
    ],
)
def test_a_commit_says_what_was_changed(tmp_path, path, wanted):
    from tashower.io.provenance import commit_of

    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        done = ["git", "-C", str(tmp_path), *identity, *words]
        return subprocess.run(done, capture_output=True, text=True, check=True).stdout.strip()

    assert commit_of(tmp_path) == "unknown"
    git("init", "-q")
    kept = ("p/__init__.py", "p/a.py", "p/deep/b.j2", "Snakefile", "profiles/default/config.yaml")
    for name in (*kept, "docs/a.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    assert commit_of(tmp_path / "p") == "unknown"
    git("add", ".")
    git("commit", "-qm", "first")
    head = git("rev-parse", "HEAD")
    assert commit_of(tmp_path / "p") == head
    with (tmp_path / path).open("a") as file:
        file.write("2")
    assert commit_of(tmp_path / "p") == head + ("+changes" if wanted else "")
    # A package that was installed below a checkout of something else has no commit.
    other = tmp_path / "installed"
    other.mkdir()
    (other / "__init__.py").write_text("")
    assert commit_of(other) == "unknown"
