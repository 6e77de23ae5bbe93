"""Break one line of the package at a time, and see whether a test notices: `make mutants`.

General mutation tools change a loaded module. Here most formulas are compiled by numba, together
with their callers and with a cache between processes, so a change in memory would never be seen:
each mutation is written into a copy of the package, and pytest runs there from the start.

Every mutation is one that a person makes: a sign, a factor of two, two layers swapped, one too
many, a term forgotten, another power, a mean for a median, degrees for radians. The fast tests of
the folder that was changed must fail. Their compiled loops are kept for folders that are the same.

Usage: python tests/mutants.py [--jobs N] [--minutes M] [--list] [FOLDER or WORD ...]

FOLDER or WORD choose mutations: "network", "simulation/stations.py" or any part of a description.
With --minutes they are taken in a random order, and after so long no other is begun.
The table goes to standard output, and into docs/mutants.md when every mutation was tried; progress
goes to standard error. The exit status is 1 where one survived, 2 where the list no longer fits the
package.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
#: The mutations: folder and description, then the old and the new text of one line.
LIST = Path(__file__).with_name("mutations.txt")
#: Where the table goes when every mutation was tried.
RESULT = ROOT / "docs" / "mutants.md"
#: Tests that a mutation of a folder must not survive, the quickest first.
TESTS = {
    "physics": ["tests/physics", "tests/events"],
    "events": ["tests/events", "tests/physics"],
    "calibration": ["tests/calibration", "tests/reconstruction"],
    "simulation": ["tests/simulation"],
    "reconstruction": ["tests/reconstruction"],
    "convert": ["tests/convert"],
    # Without whole trainings, which see the inputs only through what is learnt from them.
    "network": [
        *("tests/network/test_tile_by_hand.py", "tests/network/test_tiles.py"),
        *("tests/network/test_network.py", "tests/network/test_models.py"),
        "tests/network/test_heads.py",
    ],
}
#: A run that takes longer than this [s] hangs: it counts as killed.
LONGEST = 1200


class Mutation(NamedTuple):
    """One change of one line: `old`, found exactly once below `folder`, becomes `new`."""

    folder: str
    old: str
    new: str
    what: str


def mutations() -> list[Mutation]:
    """What tests/mutations.txt lists.

    Raises
    ------
    ValueError : an entry is not `folder: what`, `- old`, `+ new`.
    """
    found = []
    for entry in LIST.read_text().strip().split("\n\n"):
        parts = re.fullmatch(r"(\w+): (.+)\n- (.+)\n\+ (.+)", entry)
        if not parts:
            raise ValueError(f"{LIST.name}: not an entry:\n{entry}")
        found.append(Mutation(parts[1], parts[3], parts[4], parts[2]))
    return found


def place(mutation: Mutation, package: Path) -> Path:
    """The file of the package that holds `old`.

    Raises
    ------
    SystemExit : with status 2, where it is not there exactly once.
    """
    files = sorted((package / mutation.folder).rglob("*.py"))
    counts = {path: path.read_text().count(mutation.old) for path in files}
    if sum(counts.values()) != 1:
        where = ", ".join(f"{p.relative_to(package)} ({n})" for p, n in counts.items() if n)
        sys.stderr.write(
            f"mutants: {mutation.what}: the text is to be found exactly once in "
            f"tashower/{mutation.folder}, and is in: {where or 'no file'}\n    {mutation.old}\n"
        )
        raise SystemExit(2)
    return max(counts, key=counts.get)


def copy_of_the_repository(folder: Path) -> Path:
    """Copy what git knows, and new files that it does not ignore."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def tests_pass(copy: Path, folder: str) -> tuple[bool, str]:
    """(every test passed, last words) of the tests of a folder, in the copy."""
    environment = os.environ | {
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_CACHE_HOME": str(copy / ".cache"),
        "OMP_NUM_THREADS": "1",
    }
    words = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
    words += [path for path in TESTS[folder] if (copy / path).exists()]
    with tempfile.TemporaryFile("w+") as output:
        run = subprocess.Popen(
            words, cwd=copy, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            status = run.wait(LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            return False, f"not done after {LONGEST} s"
        output.seek(0)
        text = output.read()
    failed = [line for line in text.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if status not in (0, 1) and not failed:
        raise RuntimeError(f"pytest could not run ({status}):\n{text[-2000:]}")
    return status == 0, failed[0] if failed else text.strip().splitlines()[-1]


def survives(mutation: Mutation, copy: Path) -> tuple[bool, str]:
    """(no test noticed, what pytest said) with the mutation in the copy, which is put back."""
    path = place(mutation, copy / "tashower")
    text, stat = path.read_text(), path.stat()
    try:
        path.write_text(text.replace(mutation.old, mutation.new))
        return tests_pass(copy, mutation.folder)
    finally:
        path.write_text(text)
        # The cache of compiled loops goes by the time of the file.
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def commit_now() -> str:
    """The commit that is copied, and whether files differ from it."""

    def git(*words):
        return subprocess.run(("git", *words), cwd=ROOT, capture_output=True, text=True).stdout

    commit = git("rev-parse", "--short", "HEAD").strip() or "unknown"
    if git("status", "--porcelain").strip():
        commit += " and changes"
    return commit


def table(found: list[tuple], listed: int, commit: str, seconds: float) -> str:
    """The result in Markdown; found : (mutation, file, survived, last words of pytest) of each."""
    lines = [
        "# Mutations of the package, and which of them the fast tests notice",
        "",
        f"`make mutants` on {time.strftime('%Y-%m-%d')}, commit {commit}: {len(found)} of {listed} "
        f"mutations in {seconds / 60:.0f} minutes. Each is an entry of `tests/mutations.txt`, "
        "applied "
        "alone; killed: a fast test of the folder fails.",
        "",
        "| folder | mutations | killed | rate |",
        "|---|---|---|---|",
    ]
    for folder in [*TESTS, "all"]:
        alive = [s for m, _, s, _ in found if folder in (m.folder, "all")]
        if alive:
            killed = alive.count(False)
            share = f"{100 * killed / len(alive):.0f} %"
            lines.append(f"| {folder} | {len(alive)} | {killed} | {share} |")
    lines += ["", "| file | mutation | result | noticed by |", "|---|---|---|---|"]
    for mutation, path, alive, words in found:
        by = "" if alive else words.split(" - ")[0].removeprefix("FAILED ").removeprefix("ERROR ")
        result = "**survived**" if alive else "killed"
        test = by.split("::")[-1].split("[")[0]
        file = by.split("::")[0].removeprefix("tests/")
        lines.append(f"| {path} | {mutation.what} | {result} | {file} {test} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the mutations that are chosen; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chosen", nargs="*", help="folder, file, or part of a description")
    parser.add_argument("--jobs", type=int, default=2, help="mutations at a time (default: 2)")
    parser.add_argument("--minutes", type=float, help="begin none after this time")
    parser.add_argument("--list", action="store_true", help="say which, and run nothing")
    arguments = parser.parse_args()
    package, begin, commit = ROOT / "tashower", time.monotonic(), commit_now()
    every = [(m, place(m, package).relative_to(package)) for m in mutations()]
    chosen = [
        (m, path)
        for m, path in every
        if not arguments.chosen
        or any(w.strip("/") == m.folder or w in f"{path} {m.what}" for w in arguments.chosen)
    ]
    if not chosen:
        parser.error(f"no mutation of {' or '.join(arguments.chosen)}")
    if arguments.list:
        for mutation, path in chosen:
            print(f"{path}: {mutation.what}")
        return 0
    if arguments.minutes:
        random.Random(1).shuffle(chosen)
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        copies = Queue()
        for i in range(min(arguments.jobs, len(chosen))):
            copies.put(copy_of_the_repository(Path(scratch) / f"copy{i}"))

        def check(folder):
            """The tests must pass where nothing is broken."""
            copy = copies.get()
            passed, words = tests_pass(copy, folder)
            copies.put(copy)
            if not passed:
                raise SystemExit(f"mutants: without a mutation, tests of {folder} fail: {words}")

        def one(item):
            mutation, path = item
            if arguments.minutes and time.monotonic() - begin > 60.0 * arguments.minutes:
                return None
            copy = copies.get()
            try:
                alive, words = survives(mutation, copy)
            finally:
                copies.put(copy)
            result = "SURVIVED" if alive else "killed"
            print(f"{result}: {path}: {mutation.what} ({words})", file=sys.stderr, flush=True)
            return mutation, path, alive, words

        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(check, dict.fromkeys(m.folder for m, _ in chosen)))
            found = [result for result in pool.map(one, chosen) if result]
    found.sort(key=lambda result: every.index(result[:2]))
    text = table(found, len(every), commit, time.monotonic() - begin)
    if len(found) == len(every):
        RESULT.write_text(text)
    print(text, end="")
    return 1 if any(alive for _, _, alive, _ in found) else 0


if __name__ == "__main__":
    sys.exit(main())
