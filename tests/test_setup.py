"""pyproject.toml, environment.yml and the lock say the same; the package keeps to its floors."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
CONDA_NAMES = {
    "pytorch": "torch",
    "matplotlib-base": "matplotlib",
    "snakemake-minimal": "snakemake",
}


def specifiers(words) -> dict[str, str]:
    return {r.name: str(r.specifier) for r in map(Requirement, words)}


def ranges():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    words = project["dependencies"] + project["optional-dependencies"]["test"]
    return specifiers(words), project["requires-python"]


def locked():
    lines = (ROOT / "requirements.lock.txt").read_text().splitlines()
    return {
        r.name.lower(): r
        for r in (Requirement(line) for line in lines if line and not line.startswith("#"))
    }


def conda(path) -> dict:
    """A conda environment, checked to be one that conda can solve: a name and a range for each
    package, and no section for pip, which would take neither flags nor a path.
    """
    environment = yaml.safe_load((ROOT / path).read_text())
    assert set(environment) <= {"name", "channels", "dependencies"}
    bioconda = ["bioconda"] if "name" in environment else []  # Snakemake's home
    assert environment["channels"] == ["conda-forge", *bioconda, "nodefaults"]
    entry = re.compile(r"[a-z0-9][a-z0-9_-]*([<>=]=?[0-9.]+(,[<>]=?[0-9.]+)*)?")
    assert all(entry.fullmatch(word) for word in environment["dependencies"])
    found = specifiers(environment["dependencies"])
    return {CONDA_NAMES.get(name, name): specifier for name, specifier in found.items()}


def test_environments_agree_with_pyproject():
    wanted, python = ranges()
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = specifiers(pyproject["build-system"]["requires"])
    develop, jobs = conda("environment.yml"), conda("tashower/workflow/environment.yml")
    for found in (develop, jobs):
        assert sorted(found.pop("python").split(",")) == sorted(python.split(","))
    assert develop == wanted | build | {"pip": ""}
    # A job is started by Snakemake, and starts none.
    run = specifiers(pyproject["project"]["dependencies"])
    assert jobs == {name: specifier for name, specifier in run.items() if name != "snakemake"}


def test_lock_is_within_the_ranges():
    wanted, _ = ranges()
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = specifiers(pyproject["build-system"]["requires"])
    assert build == {"setuptools": ">=77"}  # the first that reads a license expression (PEP 639)
    lock = locked()
    for name, specifier in (wanted | build).items():
        pins = list(lock[name.lower()].specifier)
        assert len(pins) == 1, name
        assert pins[0].operator == "==", name
        assert Version(pins[0].version) in Requirement(f"{name}{specifier}").specifier, name


def test_lock_holds_no_cuda_and_the_pinned_torch():
    lock = locked()
    assert str(lock["torch"].specifier) == "==2.13.0"
    assert not [name for name in lock if re.match(r"nvidia|triton|cuda", name)]


# Which folders a folder may import, and which heavy packages only it may import.
FLOORS = {
    "config": set(),
    "physics": set(),
    "events": {"physics"},
    "io": {"physics", "events"},
    "convert": {"physics", "events", "io"},
    "simulation": {"config", "physics", "events", "io"},
    "calibration": {"config", "physics", "events", "io"},
    "reconstruction": {"config", "physics", "events", "io", "calibration"},
    "likelihood": {
        *("config", "physics", "events", "io", "simulation", "calibration", "reconstruction")
    },
    "network": {"config", "physics", "events", "io", "calibration", "reconstruction"},
}
FLOORS["generation"] = {*FLOORS, "generation"} - {"convert"}
FLOORS["evaluation"] = FLOORS["network"] | {"simulation", "network", "generation"}
FLOORS["limit"] = set(FLOORS) - {"convert"}
FLOORS["cli"] = set(FLOORS)
ONLY_IN = {
    "torch": {"network", "likelihood", "generation"},
    "matplotlib": {"evaluation"},
    "jinja2": {"evaluation"},
    "h5py": {"io", "convert"},
    "hdf5plugin": {"io"},
    "pydantic": {"config"},
    "snakemake": set(),
}


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "tashower").glob("*/**/*.py")),
    ids=lambda p: str(p.relative_to(ROOT / "tashower")),
)
def test_floors(path):
    room = path.relative_to(ROOT / "tashower").parts[0]
    assert room in FLOORS, f"{room}: which floor does it stand on?"
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            top, *rest = name.split(".")
            if top in ONLY_IN:
                assert room in ONLY_IN[top], f"{path.name} imports {name}"
            if top == "tashower" and rest and rest[0] in FLOORS:
                assert rest[0] in FLOORS[room] | {room}, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "tashower").rglob("*.py")), ids=lambda p: p.stem)
def test_loops_round_as_ieee_754_says(path):
    """Else results depend on what the cache of compiled loops holds."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            assert "fastmath" not in {keyword.arg for keyword in node.keywords}


def test_import_and_help_load_nothing_heavy():
    code = (
        "import sys, tashower.cli\n"
        "try: tashower.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'numba', 'numpy', 'scipy', 'matplotlib', 'h5py') if m in "
        "sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
