"""What is handed out: wheel and sdist, conda environments, the image; and the workflow of an
installed package, with no checkout in sight.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import tashower

ROOT = Path(__file__).resolve().parent.parent
#: What git holds and the sdist does not: for a checkout only.
OF_A_CHECKOUT = (".ci/", ".gitignore", ".pre-commit-config.yaml")


def run(*words, folder, **environment):
    """A command that knows nothing of this checkout; its output on failure."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "CONFIG")}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    done.all = done.stdout + done.stderr
    return done


def tracked() -> list[str]:
    """Files that git holds, and those that it would if they were added."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git, or no repository")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with wheel and sdist, made of what git holds; nothing is built in the checkout."""
    folder = tmp_path_factory.mktemp("built")
    for name in tracked():
        target = folder / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    (folder / "source" / "profiles").symlink_to("tashower/workflow/profiles")
    for kind in ("wheel", "sdist"):
        code = f"from setuptools import build_meta as b; b.build_{kind}({str(folder)!r})"
        done = run(sys.executable, "-c", code, folder=folder / "source")
        assert done.returncode == 0, done.all
    return folder


def test_the_wheel_holds_the_package_and_all_that_it_reads(built):
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        text = wheel.read(f"tashower-{tashower.__version__}.dist-info/METADATA").decode()
    assert names == {name for name in tracked() if name.startswith("tashower/")}
    # Said one by one, too: the files that are no modules.
    workflow = [f"rules/{name}.smk" for name in ("all", "common", "jobs", "simulate", "train")]
    workflow += ["Snakefile", "environment.yml", "resources.json", "report/report.rst"]
    workflow += [f"profiles/{name}/config.yaml" for name in ("default", "slurm", "kubernetes")]
    others = ["calibration/default_calibration.json", "evaluation/templates/report.html.j2"]
    for name in [f"workflow/{part}" for part in workflow] + others:
        assert f"tashower/{name}" in names
    assert "License-Expression: BSD-3-Clause" in text


def test_the_sdist_holds_what_git_holds(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        files = [member for member in sdist.getmembers() if not member.isdir()]
    assert all(member.isreg() for member in files)  # no links: Windows has none
    names = {member.name.split("/", 1)[1] for member in files}
    made = {"PKG-INFO", "setup.cfg"} | {n for n in names if n.startswith("tashower.egg-info/")}
    profiles = {str(p.relative_to(ROOT)) for p in ROOT.glob("profiles/*/*")}
    wanted = {name for name in tracked() if not name.startswith(OF_A_CHECKOUT)}
    assert names - made == wanted | profiles
    for name in ("Snakefile", "config/config.yaml", "data/sample.h5", "profiles/slurm/config.yaml"):
        assert name in names


def test_profiles_of_a_checkout_are_those_of_the_package():
    of_package = ROOT / "tashower" / "workflow" / "profiles"
    names = [path.relative_to(of_package) for path in of_package.glob("*/*")]
    assert names
    assert {p.relative_to(ROOT / "profiles") for p in ROOT.glob("profiles/*/*")} == set(names)
    for name in names:
        assert (ROOT / "profiles" / name).read_bytes() == (of_package / name).read_bytes()


def new_environment(folder: Path) -> Path:
    """An environment that sees what tashower needs but not tashower; returns its `bin`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    # A path in a .pth file is not searched for further ones: an editable tashower stays unseen.
    (site / "needed.pth").write_text("\n".join(sorted(paths)) + "\n")
    return folder / "bin"


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """The `bin` of an environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("environment with spaces")
    binaries = new_environment(folder)
    (wheel,) = built.glob("*.whl")
    words = ["-m", "pip", "--python", binaries / "python", "install", "--no-deps", "--no-index"]
    done = run(sys.executable, *words, wheel, folder=folder)
    assert done.returncode == 0, done.all
    return binaries


@pytest.mark.slow
def test_an_installed_package_plans_the_workflow_from_any_folder(installed, tmp_path):
    """Its own rules and its own profile, even beside a folder that is called `tashower`."""
    (tmp_path / "tashower").mkdir()
    (tmp_path / "tashower" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "mine.yaml").write_text("training: {epochs: 7}\n")
    words = ["run", "--config", "mine.yaml", "--cores", "2", "-n", "-p", "-C", "seed=3"]
    done = run(installed / "tashower", *words, folder=tmp_path)
    assert done.returncode == 0, done.all
    package = next(installed.parent.glob("lib/python*/site-packages/tashower"))
    assert f"Snakefile: {package}/workflow/Snakefile" in done.all
    assert f"workflow specific profile {package}/workflow/profiles/default" in done.all
    assert '"epochs": 7' in done.all
    assert '"seed": 3' in done.all
    for rule in ("simulate_events", "train_network", "write_report"):
        assert f"\nrule {rule}:" in done.all


@pytest.mark.slow
def test_status_and_one_line_for_what_is_wrong(installed, tmp_path):
    done = run(installed / "tashower", "run", "--config", "absent.yaml", folder=tmp_path)
    assert (done.returncode, done.all) == (2, "tashower: absent.yaml: no such file\n")
    done = run(installed / "tashower", "run", "-n", "no_such_rule", folder=tmp_path)
    assert done.returncode == 1
    assert "no_such_rule" in done.all
    assert "Traceback" not in done.all
    done = run(installed / "tashower", "show", "x.h5", "--cores", "2", folder=tmp_path)
    assert done.returncode == 2
    assert "unrecognized arguments: --cores 2" in done.all
    assert not (tmp_path / "results").exists()


def test_a_workflow_of_another_package_is_refused(installed, tmp_path):
    """Rules of one version with the code of another would give results of neither."""
    other = ROOT / "tashower" / "workflow" / "Snakefile"
    done = run(installed / "python", "-m", "snakemake", "-n", "-s", other, folder=tmp_path)
    assert done.returncode == 1
    assert "belongs to another tashower" in done.all
    assert "Traceback" not in done.all


@pytest.mark.slow
def test_an_installed_package_runs_from_start_to_report(installed, tmp_path):
    shutil.copy(ROOT / "tests" / "config" / "brief.yaml", tmp_path / "meine Größen.yaml")
    words = [
        "run",
        "--config",
        "meine Größen.yaml",
        "--cores",
        "2",
        "-C",
        "results=Ergebnisse für TA",
    ]
    done = run(installed / "tashower", *words, folder=tmp_path)
    assert done.returncode == 0, done.all[-5000:]
    assert "The report: Ergebnisse für TA/report.html" in done.all
    results = tmp_path / "Ergebnisse für TA"
    assert (results / "report.html").stat().st_size > 100_000
    assert run(installed / "tashower", "verify", results, folder=tmp_path).returncode == 0


def environments() -> list[dict]:
    return [
        yaml.safe_load((ROOT / name).read_text())
        for name in ("environment.yml", "tashower/workflow/environment.yml")
    ]


@pytest.mark.extra
@pytest.mark.parametrize("environment", environments(), ids=["development", "jobs"])
def test_a_solver_of_conda_finds_the_environment(environment, tmp_path):
    """Against a channel with the versions of the lock: the text is conda's, and its ranges meet."""
    rattler = pytest.importorskip("rattler")
    lock = (ROOT / "requirements.lock.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lock if line and not line.startswith("#")]
    versions = {pin.name.lower(): next(iter(pin.specifier)).version for pin in pins}
    for conda, pip in (("pytorch", "torch"), ("matplotlib-base", "matplotlib")):
        versions[conda] = versions[pip]
    versions |= {"snakemake-minimal": versions["snakemake"], "python": "3.12.1", "pip": "25.0"}
    records = {
        f"{name}-{version}-0.conda": {
            **{"name": name, "version": version, "build": "0", "build_number": 0, "depends": []},
            **{"subdir": "noarch", "noarch": "generic", "sha256": "0" * 64, "size": 1},
        }
        for name, version in versions.items()
    }
    for platform, packages in (("noarch", records), ("linux-64", {})):
        (tmp_path / platform).mkdir()
        text = {"info": {"subdir": platform}, "packages": {}, "packages.conda": packages}
        (tmp_path / platform / "repodata.json").write_text(json.dumps(text))
    words = environment["dependencies"]
    found = asyncio.run(
        rattler.solve(
            sources=[tmp_path.as_uri()],
            specs=[rattler.MatchSpec(word, strict=True) for word in words],
            platforms=["linux-64", "noarch"],
            virtual_packages=[],
        )
    )
    assert {record.name.normalized for record in found} == {Requirement(w).name for w in words}


#: As much of conda as Snakemake asks for; `env create` copies an environment of this test.
CONDA = """#!/bin/sh
case "$*" in
    --version) echo "conda 24.11.0" ;;
    "info --json") echo '{{"conda_prefix": "{prefix}", "platform": "linux-64"}}' ;;
    "config --get channel_priority --json") echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
    env\\ create*) for word; do folder=$word; done; cp -r "{environment}" "$folder" ;;
    "clean "*) ;;
    *) echo "unknown: $*" >&2; exit 2 ;;
esac
"""

#: At the end of a process: what it ran in, which package, and whether it saw others beside it.
SEEN = """
import atexit, importlib.util, sys
def say():
    path = sys.modules["tashower"].__path__[0] if "tashower" in sys.modules else "none"
    with open("seen", "a") as file:
        print(sys.prefix, path, importlib.util.find_spec("beside"), sep="|", file=file)
atexit.register(say)
"""


@pytest.mark.slow
def test_jobs_in_a_conda_environment_run_the_package_of_the_workflow(installed, tmp_path):
    """The environment holds no tashower: the jobs are led to the installed one, and to nothing else
    that lies beside it.
    """
    environment, work = tmp_path / "environment", tmp_path / "work here"
    (site,) = new_environment(environment).parent.glob("lib/python*/site-packages")
    # Not sitecustomize: Debian has one of its own, which comes first.
    (site / "seen_at_start.py").write_text(SEEN)
    (site / "seen_at_start.pth").write_text("import seen_at_start\n")
    conda = tmp_path / "conda" / "bin" / "conda"
    conda.parent.mkdir(parents=True)
    activate = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'
    (conda.parent / "activate").write_text(activate)
    conda.write_text(CONDA.format(prefix=conda.parent.parent, environment=environment))
    conda.chmod(0o755)
    (package,) = installed.parent.glob("lib/python*/site-packages/tashower")
    (package.parent / "beside.py").write_text("")
    work.mkdir()
    shutil.copy(ROOT / "tests" / "config" / "smoke.yaml", work / "mine.yaml")
    words = ["results-smoke/events/test/000.h5", "--sdm", "conda", "--cores", "1"]
    path = f"{conda.parent}{os.pathsep}{os.environ['PATH']}"
    command = (installed / "tashower", "run", "--config", "mine.yaml", *words)
    done = run(*command, folder=work, PATH=path)
    assert done.returncode == 0, done.all[-5000:]
    assert (work / "results-smoke" / "events" / "test" / "000.h5").is_file()
    prefix, imported, beside = (work / "seen").read_text().splitlines()[-1].split("|")
    assert Path(prefix).is_relative_to(work / ".snakemake" / "conda")
    assert Path(imported).resolve() == package
    assert beside == "None"
