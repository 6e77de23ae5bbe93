"""Kill the smoke run at random moments and resume it: the scores must be those of an undisturbed
run.

    python tests/chaos.py [kills] [seed]

Every kill is a SIGKILL of all that the workflow runs. After each one no file may be damaged
(`tashower verify`), and the message that a left lock gives must say what to do.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def words(results: Path) -> list[str]:
    """The workflow's command."""
    return [
        "snakemake",
        "--cores",
        "2",
        "--configfile",
        "tests/config/smoke.yaml",
        "--config",
        f"results={results}",
    ]


def start(results: Path, log: Path) -> subprocess.Popen:
    """The workflow in a session of its own, so that everything it starts can be found."""
    with log.open("w") as file:
        return subprocess.Popen(
            words(results), cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )


def kill_session(session: int) -> int:
    """SIGKILL to every process of a session; returns how many there were."""
    killed = 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
        except OSError:  # it ended by itself meanwhile
            continue
    return killed


def run(command: list[str]) -> tuple[int, str]:
    """(status, output) of a command."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


#: What says when, how fast and from which files a run was made.
_OF_THE_RUN = ("created", "commit", "versions", "made_from", "inputs", "configuration", "seconds")


def scores_of(results: Path) -> dict:
    """The scores and training curves of a run."""

    def kept(value):
        if isinstance(value, dict):
            return {name: kept(item) for name, item in value.items() if name not in _OF_THE_RUN}
        return [kept(item) for item in value] if isinstance(value, list) else value

    return kept(json.loads((results / "scores.json").read_text()))


def fail(text: str, log: Path) -> None:
    """Say what went wrong, and stop."""
    sys.exit(f"chaos: {text}\n{''.join(log.read_text().splitlines(keepends=True)[-30:])}")


def unlock(results: Path, log: Path) -> bool:
    """Whether a run failed at a lock that a kill left; then the message has to say what to do, and
    that has to help.
    """
    said = log.read_text()
    if "LockException" not in said:
        return False
    if "--unlock" not in said:
        fail("after a kill the workflow does not say what to do", log)
    status, output = run([*words(results), "--unlock"])
    if status:
        fail(f"--unlock does not help:\n{output[-2000:]}", log)
    return True


def main(kills: int = 20, seed: int = 1) -> None:
    """Run, kill, resume, compare."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        whole, broken, log = Path(folder) / "whole", Path(folder) / "broken", Path(folder) / "log"
        began = time.monotonic()
        if start(whole, log).wait():
            fail("the undisturbed run fails", log)
        length = time.monotonic() - began
        wanted = scores_of(whole)
        print(f"chaos: undisturbed in {length:.0f} s", flush=True)
        done = runs = locks = 0
        while True:
            process = start(broken, log)
            moment = draw.uniform(1.0, 0.6 * length) if done < kills else 10 * length
            try:
                status = process.wait(moment)
            except subprocess.TimeoutExpired:
                killed = kill_session(process.pid)
                process.wait()
                done += 1
                if broken.exists():
                    # What is not made yet is missing; nothing else may be wrong.
                    status, output = run(["tashower", "verify", str(broken)])
                    said = output.splitlines()
                    wrong = [line for line in said if line.startswith(str(broken))]
                    if status and not all(line.endswith("is missing") for line in wrong):
                        fail(f"after kill {done}: {output}", log)
                files = sum(path.is_file() for path in broken.rglob("*")) if broken.exists() else 0
                print(
                    f"chaos: kill {done} of {kills} after {moment:.1f} s: {killed} processes, "
                    f"{files} files stand",
                    flush=True,
                )
                continue
            if status and unlock(broken, log):
                locks += 1
                continue
            if status:
                fail("a resumed run fails", log)
            runs += 1
            if scores_of(broken) != wanted:
                fail("the scores differ from those of the undisturbed run", log)
            left = [
                path
                for path in broken.rglob("*")
                if path.name.endswith((".part", ".state", ".sample"))
            ]
            if left:
                fail(f"left behind: {', '.join(map(str, left))}", log)
            if done >= kills:
                break
            shutil.rmtree(broken)  # it came to its end between two kills: from the beginning
        print(
            f"chaos: {done} kills, {runs} runs to the end, {locks} left locks removed: the scores "
            "are those of the undisturbed run"
        )


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
