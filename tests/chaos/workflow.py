"""A tiny run of the workflow in a folder of its own, with a copy of the package whose code can be
changed: started, killed, unlocked, compared.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from chaos.inputs import ROOT

#: What is said of a file that is not whole.
DAMAGED = ("cannot be read", "checksum", "not JSON", "not a checkpoint", "bytes,")
#: Names of files that are still being written.
UNFINISHED = (".part", ".state", ".sample")


def environment(folder: Path) -> dict:
    """For commands that take the package from a folder's copy of it."""
    # Compiled loops go where they vanish with the folder.
    cache = folder / "cache"
    return os.environ | {
        "PYTHONPATH": str(folder / "code"),
        "XDG_CACHE_HOME": str(cache),
        "OMP_NUM_THREADS": "1",
    }


def copy_package(folder: Path) -> None:
    """A copy of the package in a folder."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tashower", folder / "code" / "tashower", ignore=ignored)


def words(*further: str) -> list[str]:
    """The workflow's command, in a folder with a configuration `mine.yaml`."""
    command = [sys.executable, "-P", "-m", "tashower", "run", "--config", "mine.yaml"]
    return [*command, "--cores", "2", *further]


def start(folder: Path, config: dict, room: str, *further: str) -> subprocess.Popen:
    """The workflow in the folder's room, in a session of its own, so that everything that it starts
    can be found; what it says goes to ROOM.log.
    """
    (folder / room).mkdir(exist_ok=True)
    (folder / room / "mine.yaml").write_text(json.dumps(config))
    with (folder / f"{room}.log").open("w") as log:
        return subprocess.Popen(
            words(*further),
            cwd=folder / room,
            env=environment(folder),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def reached(process: subprocess.Popen, log: Path, share: float) -> int | None:
    """Wait until a run has finished a share of its jobs; its status where it ended before."""
    while process.poll() is None:
        said = log.read_text(errors="replace")
        started = "Select jobs to execute" in said
        done = re.findall(r"^(\d+) of (\d+) steps", said, re.M)
        now = int(done[-1][0]) / int(done[-1][1]) if done else 0.0
        if started and now >= share * 0.95:
            return None
        time.sleep(0.2)
    return process.poll()


def processes_of(session: int) -> list[tuple[int, bytes]]:
    """(process id, its command line) of all processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                found.append((int(entry.name), (entry / "cmdline").read_bytes()))
        except OSError:  # it ended by itself meanwhile
            continue
    return found


def kill(process: subprocess.Popen, what: str, draw: random.Random) -> int:
    """SIGKILL to "all" processes of a run, to "Snakemake" alone, or to one "job"; returns how many
    there were.
    """
    for _ in range(100):
        found = processes_of(process.pid)
        jobs = [pid for pid, line in found if b"\0-m\0tashower\0" in line and pid != process.pid]
        if what != "job" or jobs or process.poll() is not None:
            break
        time.sleep(0.1)  # between two jobs
    chosen = {"all": [pid for pid, _ in found], "Snakemake": [process.pid]}.get(what)
    if chosen is None:
        chosen = [draw.choice(jobs)] if jobs else []
    killed = 0
    for pid in chosen:
        try:
            os.kill(pid, signal.SIGKILL)
            killed += 1
        except ProcessLookupError:
            continue
    return killed


def end_of_jobs(process: subprocess.Popen, patience: float = 20.0) -> bool:
    """Whether all that a killed Snakemake had started ends by itself."""
    process.wait()
    for _ in range(int(patience / 0.2)):
        if not any(b"\0tashower\0" in line for _, line in processes_of(process.pid)):
            return True
        time.sleep(0.2)
    return False


def run(command: list[str], folder: Path, room: str) -> tuple[int, str]:
    """(status, output) of a command in the folder's room."""
    done = subprocess.run(
        command,
        cwd=folder / room,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def verify(folder: Path, room: str) -> tuple[int, str]:
    """(status, output) of `tashower verify` on a room's results."""
    return run([sys.executable, "-P", "-m", "tashower", "verify", "r"], folder, room)


def unlocked(folder: Path, room: str) -> bool:
    """Whether a run failed at a lock that a kill left; it has to say what to do, and that has to
    help.
    """
    said = (folder / f"{room}.log").read_text()
    if "LockException" not in said and "cannot be locked" not in said:
        return False
    return "--unlock" in said and run(words("--unlock"), folder, room)[0] == 0


def second_runs(folder: Path, room: str, first: subprocess.Popen, n: int) -> tuple[int, list[str]]:
    """(how many were tried, faults) of up to n runs in the room of one that goes on: each ends at
    once and says why, without a traceback.
    """
    faults: list[str] = []
    reached(first, folder / f"{room}.log", 0.0)
    for k in range(n):
        status, said = run(words(), folder, room)
        if first.poll() is not None:
            return k, faults  # there was nothing to disturb any more
        if not status or "cannot be locked" not in said or "Traceback" in said:
            faults.append(f"second run: status {status}: {said[-300:]}")
    return n, faults


def unfinished(results: Path) -> list[Path]:
    """Files of a run that has ended which should be gone."""
    return [path for path in results.rglob("*") if path.name.endswith(UNFINISHED)]


def last_lines(folder: Path, room: str, n: int = 12) -> str:
    """The end of what a run said."""
    return "\n".join((folder / f"{room}.log").read_text().splitlines()[-n:])
