"""The recipe of the image: no daemon runs here, so its steps are read, and those that need no root
and no package index are run in a folder of their own.
"""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def steps() -> list[tuple[str, str]]:
    """(instruction, words) of the recipe, comments left out and lines joined."""
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    found = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return [(name, " ".join(words.split())) for name, words in found]


def stages() -> list[list[tuple[str, str]]]:
    found = []
    for step in steps():
        if step[0] == "FROM":
            found.append([])
        found[-1].append(step)
    return found


def in_context(name: str) -> bool:
    """Whether the build is given a file: the last matching line of .dockerignore decides."""
    given = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = Path(name).parts
        whole = any(fnmatch.fnmatch("/".join(parts[: n + 1]), pattern) for n in range(len(parts)))
        if whole or ("**/" in line and any(fnmatch.fnmatch(part, pattern) for part in parts)):
            given = line.startswith("!")
    return given


def test_only_known_instructions_and_the_last_user_is_not_root():
    known = {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in steps()} <= known
    build, final = stages()
    assert build[0][1].endswith(" AS build")
    # One Python for both, or the environment that is copied would lead nowhere.
    assert build[0][1].split()[0] == final[0][1] == "python:3.12-slim"
    users = [words for name, words in final if name == "USER"]
    assert users == ["tashower"]
    assert ("ENTRYPOINT", '["tashower"]') in final
    assert any(name == "RUN" and "useradd" in words for name, words in final)
    # What a stage makes as root comes before the user.
    assert [name for name, _ in final].index("USER") > [name for name, _ in final].index("RUN")


def test_what_is_copied_is_there_and_not_ignored():
    copied = [words.split() for name, words in steps() if name == "COPY"]
    for words in copied:
        sources = [word for word in words[:-1] if not word.startswith("--")]
        if "--from=build" in words:
            assert sources == ["/opt/tashower"]
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert in_context(source), source
    assert in_context("tashower/workflow/rules/common.smk")
    for name in ("tests/conftest.py", ".git/HEAD", "results/scores.json", ".venv/bin/python"):
        assert not in_context(name), name
    assert not in_context("tashower/io/__pycache__/atomic.pyc")


def test_the_lock_without_tests_is_what_a_run_needs():
    """What the recipe leaves out of the lock is for tests alone, torch apart."""
    (pattern,) = re.findall(r"grep -v -E '([^']+)' requirements.lock.txt", str(steps()[5:9]))
    lines = (ROOT / "requirements.lock.txt").read_text().splitlines()
    left_out = {line.split("==")[0] for line in lines if re.search(pattern, line)}
    left_out -= {line for line in left_out if line.startswith("#")}
    text = (ROOT / "pyproject.toml").read_text()
    needed = text[text.index("dependencies = [") : text.index("[project.optional")]
    assert [name for name in left_out if f'"{name}>' in needed] == ["torch"]


@pytest.mark.slow
def test_the_steps_of_the_build_run_in_a_folder(tmp_path):
    """With what this environment has in the place of an index: the packages of the lock."""
    source, target = tmp_path / "source", tmp_path / "opt" / "tashower"
    source.mkdir()
    for name, words in stages()[0]:
        words = words.replace("/opt/tashower", str(target))
        if name == "COPY":
            *names, last = words.split()
            for part in names:
                to = source / last if (ROOT / part).is_dir() else source / last / part
                copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
                copy(ROOT / part, to)
        elif name == "RUN":
            environment = {
                **{"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
                **{"HOME": "/nonexistent", "PIP_NO_INDEX": "1", "EXTRAS": "", "TORCH_INDEX": ""},
            }
            command = ["sh", "-e", "-c", words]
            done = subprocess.run(
                command, cwd=source, env=environment, capture_output=True, text=True, check=False
            )
            said = done.stdout + done.stderr
            if "No matching distribution" in said:
                pytest.skip(f"this environment is not that of the lock: {said[-200:]}")
            assert done.returncode == 0, f"{words}\n{said[-3000:]}"
            if " -m venv " in words:
                (site,) = target.glob("lib/python*/site-packages")
                for own in site.glob("setuptools*"):  # that of the image brings none
                    shutil.rmtree(own)
                paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
                (site / "needed.pth").write_text("\n".join(paths) + "\n")
    assert (target / "bin" / "tashower").is_file()
    needed = (source / "needed.txt").read_text()
    assert "snakemake==" in needed
    assert "pytest" not in needed
