"""Where people's machines really are: without a home, a user's entry, a lock, a mode, a terminal of
UTF-8, room for a cache.
"""

import errno
import fcntl
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import h5py
import numba.core.caching
import pytest

from tashower import caches
from tashower.io.atomic import written_aside
from tashower.io.event_file import read_events, write_events
from tashower.physics import compiled

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "data" / "sample.h5"
#: A user that the system does not know, who can read everything and write nothing of others.
NOBODY = 54321
AS_NOBODY = [
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *(f"--{kind}=-all,+dac_read_search" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
]


def run(*words, prefix=(), folder=None, **environment):
    """A command without what names a home, a cache or a backend; None takes a variable away."""
    hidden = ("HOME", "USER", "LOGNAME", "PYTHONPATH", "MPLBACKEND", "MPLCONFIGDIR")
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in hidden and not name.startswith(("XDG_", "NUMBA_", "LC_", "LANG"))
    }
    done = subprocess.run(
        [*prefix, sys.executable, "-P", *map(str, words)],
        env=clean | {"PYTHONPATH": str(ROOT)} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    done.all = done.stdout + done.stderr
    return done


@pytest.fixture
def fresh(monkeypatch):
    """What this process knows of caches, forgotten before and after."""

    def forget():
        for known in (caches.cache_folder, caches.temporary_home, caches.why_not_writable):
            known.cache_clear()
        caches.say_once.cache_clear()
        compiled.cache_root.cache_clear()

    forget()
    monkeypatch.setattr(compiled, "_CHOSEN_BY_USER", None)
    yield
    monkeypatch.undo()
    forget()


LOOPS = """
import tashower.reconstruction.reconstruct, tashower.simulation.simulate
from tashower.caches import cache_folder
print(cache_folder())
"""

DRAW = """
import os
from tashower.evaluation.figures.style import save
from matplotlib.figure import Figure
figure = Figure()
figure.subplots().plot([1, 2])
save(figure, "a.png")
print(os.environ.get("MPLBACKEND"))
"""


@pytest.mark.parametrize("home", ["missing", "a file", None])
def test_without_a_home_loops_are_compiled_and_it_is_said_once(home, tmp_path):
    """numba by itself ends in a traceback, "no locator", where it can write nowhere; and ~ of a
    user without an entry would be a folder of that name.
    """
    (tmp_path / "a file").write_text("")
    (tmp_path / "~").mkdir()
    environment = {"TMPDIR": str(tmp_path)} | ({"HOME": str(tmp_path / home)} if home else {})
    prefix = []
    if home is None:
        if os.geteuid() != 0 or not shutil.which("setpriv"):
            pytest.skip("only root becomes a user without an entry")
        prefix = AS_NOBODY
        tmp_path.chmod(0o777)
    done = run("-c", LOOPS, prefix=prefix, folder=tmp_path, **environment)
    assert done.returncode == 0, done.all
    user = NOBODY if prefix else os.geteuid()
    own = tmp_path / f"tashower-{user}"
    assert done.stdout == f"{own}/.cache/tashower\n"
    assert done.stderr.count("\n") == 1
    assert "no home folder: caches are kept in" in done.stderr
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert {p.name for p in tmp_path.iterdir()} == {"a file", "~", own.name}
    assert not list((tmp_path / "~").iterdir())


@pytest.fixture
def shared_folder():
    """A folder that other users can see, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.slow
def test_a_read_only_home_and_a_read_only_package(shared_folder):
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root becomes another user")
    temporary = shared_folder / "temporary"
    temporary.mkdir()
    temporary.chmod(0o1777)
    environment = {"HOME": str(shared_folder), "TMPDIR": str(temporary)}
    done = run("-c", LOOPS, prefix=AS_NOBODY, **environment)
    assert done.returncode == 0, done.all
    assert done.stderr.startswith(
        f"{shared_folder}/.cache/tashower: Permission denied: caches are kept"
    )
    assert done.stderr.count("\n") == 1
    words = ["-m", "tashower", "run", "-n"]
    done = run(*words, prefix=AS_NOBODY, folder=temporary, **environment)
    assert done.returncode == 0, done.all
    assert "train_network" in done.all
    assert done.all.count("caches are kept") == 1
    done = run("-c", DRAW, prefix=AS_NOBODY, folder=temporary, **environment)
    assert done.returncode == 0, done.all
    assert "atplotlib" not in done.stderr  # nor does it complain about its folders


def test_a_folder_that_another_made_among_the_temporary_files_is_not_used(
    tmp_path, monkeypatch, fresh
):
    """Compiled code is read from it: it must be ours alone."""
    monkeypatch.setattr(caches.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(caches.tempfile, "tempdir", str(tmp_path))
    taken = tmp_path / f"tashower-{os.geteuid()}"
    taken.mkdir()
    taken.chmod(0o777)
    found = Path(caches.temporary_home())
    assert found != taken
    assert found.parent == tmp_path
    taken.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    taken.symlink_to(tmp_path / "elsewhere")
    caches.temporary_home.cache_clear()
    assert Path(caches.temporary_home()) not in (taken, found)
    taken.unlink()
    caches.temporary_home.cache_clear()
    assert Path(caches.temporary_home()) == taken


def loop_of(folder: Path):
    """A function in a file of its own, as numba caches by file."""
    (folder / "loops.py").write_text("def twice(x):\n    return 2 * x\n")
    module = types.ModuleType("loops")
    module.__file__ = str(folder / "loops.py")
    code = compile((folder / "loops.py").read_text(), module.__file__, "exec")
    exec(code, module.__dict__)
    return module.twice


def test_a_full_cache_disk_is_named_and_stops_nothing(tmp_path, monkeypatch, fresh, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "_save_data", full)
    with caplog.at_level(logging.WARNING, "tashower"):
        loop = compiled.compiled(loop_of(tmp_path))
        assert (loop(3), loop(3.5)) == (6, 7.0)
    assert caplog.messages == [
        f"{tmp_path}/tashower: No space left on device: compiled loops are not kept"
    ]


def test_where_nothing_can_be_written_loops_are_compiled_anew(tmp_path, monkeypatch, fresh):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(caches.tempfile, "gettempdir", lambda: str(tmp_path / "file"))
    assert caches.cache_folder() is None
    before = numba.config.CACHE_DIR
    loop = compiled.compiled(loop_of(tmp_path))
    assert loop(3) == 6
    assert not loop.stats.cache_path
    assert before == numba.config.CACHE_DIR
    assert {p.name for p in tmp_path.iterdir()} == {"file", "loops.py"}


def test_a_cache_that_the_user_names_is_used_or_refused(tmp_path, monkeypatch, fresh, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(compiled, "_CHOSEN_BY_USER", str(tmp_path / "mine"))
    before = numba.config.CACHE_DIR
    loop = compiled.compiled(loop_of(tmp_path))
    assert Path(loop.stats.cache_path).is_relative_to(tmp_path / "mine")
    assert before == numba.config.CACHE_DIR  # what others compile goes where it went
    compiled.cache_root.cache_clear()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(compiled, "_CHOSEN_BY_USER", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING, "tashower"):
        loop = compiled.compiled(loop_of(tmp_path))
    assert Path(loop.stats.cache_path).is_relative_to(tmp_path / "xdg" / "tashower")
    assert caplog.messages == [f"NUMBA_CACHE_DIR={tmp_path}/file: File exists: not used"]


@pytest.mark.parametrize("backend", ["module://nothing.there", "nonsense", "TkAgg"])
def test_figures_are_drawn_whatever_backend_is_named(backend, tmp_path):
    done = run("-c", DRAW, folder=tmp_path, MPLBACKEND=backend, HOME="/dev/null")
    assert done.returncode == 0, done.all
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert done.stdout == f"{backend}\n"
    assert "atplotlib" not in done.stderr


def test_a_file_that_another_process_holds_a_lock_on_is_read():
    """As where a file system answers "try again" to every lock."""
    with SAMPLE.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="lock"), h5py.File(SAMPLE, "r", locking=True):
            pass
        assert len(read_events(SAMPLE)) == 50


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EAGAIN, 524])
def test_files_are_written_and_read_where_there_are_no_locks(number, tmp_path):
    """NFS without a lock daemon, and file systems that know no locks (524 is ENOTSUPP of Linux)."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no compiler to make a refusal with")
    source, library = tmp_path / "refuse.c", tmp_path / "refuse.so"
    source.write_text(
        "#include <errno.h>\n"
        f"int flock(int file, int operation) {{ errno = {number}; return -1; }}\n"
    )
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    code = (
        "import h5py, sys, tashower as ts; from tashower.io.event_file import write_events\n"
        "try: h5py.File(sys.argv[1], 'r', locking=True)\n"
        "except OSError as error: print('refused', error.errno)\n"
        "events = ts.read(sys.argv[1])\n"
        "write_events('copy.h5', events, {}); print(len(ts.read('copy.h5')))"
    )
    done = run("-c", code, SAMPLE, folder=tmp_path, LD_PRELOAD=str(library), HOME=str(tmp_path))
    assert done.returncode == 0, done.all
    assert done.stdout == f"refused {number}\n50\n"


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_modes_is_written_to(number, tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise OSError(number, os.strerror(number))

    for name in ("chmod", "fchmod"):
        monkeypatch.setattr(os, name, refuse)
    with written_aside(tmp_path / "a.txt") as aside:
        aside.write_text("whole")
    events = read_events(SAMPLE)
    write_events(tmp_path / "a.h5", events[:3], {})
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert len(read_events(tmp_path / "a.h5")) == 3
    assert {p.name for p in tmp_path.iterdir()} == {"a.txt", "a.h5"}


def job(script: Path) -> subprocess.CompletedProcess:
    """The shell text of a job, whose Python is a script."""
    script.chmod(0o755)
    text = (
        "set -euo pipefail; TASHOWER_PYTHON=./python TASHOWER_FOUND= TASHOWER_LINKED=;"
        f"source '{ROOT}/tashower/workflow/jobs.sh';"
        "tashower train --network a 2>&1 | tee log"
    )
    words = ["bash", "-c", text]
    return subprocess.run(words, cwd=script.parent, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("number", "line"),
    [
        ("KILL", "tashower train: killed (SIGKILL), most often because memory ran out"),
        ("TERM", "tashower train: told to stop (SIGTERM), by a time limit or by Snakemake"),
        ("SEGV", "tashower train: crashed (SIGSEGV)"),
        ("BUS", "tashower train: crashed (SIGBUS)"),
        ("ABRT", "tashower train: crashed (SIGABRT)"),
        ("XCPU", "tashower train: crashed (SIGXCPU)"),
    ],
)
def test_a_job_that_is_killed_says_so_in_its_log(number, line, tmp_path):
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\necho working >&2\nkill -{number} $$\n")
    done = job(script)
    assert done.returncode == 128 + getattr(signal, f"SIG{number}")
    assert (tmp_path / "log").read_text().splitlines()[0] == "working"
    assert (tmp_path / "log").read_text().splitlines()[-1] == line
    assert line in done.stdout


@pytest.mark.parametrize("status", [0, 1, 2, 130])
def test_a_job_that_ends_by_itself_has_the_last_word(status, tmp_path):
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\necho "$@" $PYTHONUTF8\nexit {status}\n')
    done = job(script)
    assert done.returncode == status
    assert done.stdout == "-P -m tashower train --network a 1\n"
    assert not done.stderr


@pytest.mark.slow
def test_a_killed_job_of_the_workflow_names_stage_and_log(tmp_path):
    """As by the memory killer; the shell goes on and says what happened."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'simulate' in sys.orig_argv: os.kill(os.getpid(), 9)\n"
    )
    words = ["--config", ROOT / "tests" / "config" / "smoke.yaml", "--cores", "1"]
    path = f"{ROOT}{os.pathsep}{tmp_path}"
    done = run(
        *("-m", "tashower", "run", *words, "results-smoke/events/test/000.h5"),
        folder=tmp_path,
        PYTHONPATH=path,
    )
    assert done.returncode == 1
    log = "results-smoke/logs/simulate_events/test-000.log"
    assert "tashower simulate: killed (SIGKILL), most often because memory ran out\n" in done.all
    assert f"log: {log}" in done.all
    assert "killed (SIGKILL)" in (tmp_path / log).read_text()


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"},
        pytest.param(
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, marks=pytest.mark.slow
        ),
        pytest.param({"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"}, marks=pytest.mark.slow),
    ],
    ids=["C", "ascii", "ascii output"],
)
def test_names_with_umlauts_in_a_locale_without_them(locale, tmp_path):
    (tmp_path / "meine Größen.yaml").write_bytes(
        "results: Ergebnisse für TA\ntraining: {epochs: 7}\n".encode()
    )
    words = ["-m", "tashower", "run", "--config", "meine Größen.yaml", "-n", "-p"]
    done = run(*words, folder=tmp_path, **locale)
    assert done.returncode == 0, done.all
    assert '"epochs": 7' in done.all
    assert "train_network" in done.all
    shutil.copy(SAMPLE, tmp_path / "größe.h5")
    done = run("-m", "tashower", "show", "größe.h5", folder=tmp_path, **locale)
    assert done.returncode == 0, done.all
    assert "events: 50" in done.all
