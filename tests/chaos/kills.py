"""Kill a run of the workflow at random moments — all of it, Snakemake alone, or one job — and
change configuration or code in between: what stands at the end is what a fresh run makes.
"""

import json
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from test_trust import CONFIG as TINY
from test_trust import NETWORKS, all_content, over

from chaos import workflow

#: What begins the fault of a product that an earlier configuration or code had made.
STALE = "stale"
#: Fewer jobs than there: every one takes a second or two to start.
CONFIG = over(TINY, {"samples": {"chunk_size": 300}})
#: Changes of the configuration, one of each line at a time.
KEYS = (
    *({"training": {"epochs": n}} for n in (2, 3, 4)),
    *({"samples": {"test": n}} for n in (250, 300, 420)),
    *({"scores": {"bootstrap": n}} for n in (10, 20)),
    *({"reconstruction": {"max_zenith_deg": x}} for x in (45, 44)),
    *({"networks": NETWORKS | more} for more in ({}, {"c": {"head": "gaussian"}})),
    {"networks": {"a": {}}},
    {"training": {"weight_decay": 0.1}},
    {"seed": 1},
    {"array": {"jitter_m": 30.0}},
    {"results": "./r"},
)
#: Changes of the code: file, a line of it, and what it becomes.
LINES = (
    ("evaluation/scores.py", "ONE_SIGMA = 0.6827", "ONE_SIGMA = 0.68"),
    ("network/optimisation.py", "(parameters, chosen.limit)", "(parameters, 0.5 * chosen.limit)"),
    ("network/optimisation.py", "return warm * 0.5 *", "return warm * 0.4 *"),
    ("network/apply.py", "import ", "# a comment\nimport "),
    ("evaluation/templates/page.html.j2", "</body>", "<p>changed</p></body>"),
    ("convert/dst.py", "import ", "CHANGED = 1\nimport "),
)


class Outcome(NamedTuple):
    """What came of all kills."""

    kills: Counter  #: by what was killed
    changes: Counter  #: by what was changed: "configuration", "code"
    ends: int  #: runs that came to their end and were compared with a fresh one
    faults: list[str]
    second_runs: int = 0  #: that were tried in the folder of a fresh run, while it went on
    of_second_runs: Sequence[str] = ()  #: their faults


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """Several series as one."""
    return Outcome(
        sum((one.kills for one in outcomes), Counter()),
        sum((one.changes for one in outcomes), Counter()),
        sum(one.ends for one in outcomes),
        [fault for one in outcomes for fault in one.faults],
        sum(one.second_runs for one in outcomes),
        [fault for one in outcomes for fault in one.of_second_runs],
    )


def kept(path: Path, make: Callable[[], Outcome]) -> Outcome:
    """The outcome that a file holds, else a new one, which is written there."""
    if path.is_file():
        found = json.loads(path.read_text())
        return Outcome(Counter(found[0]), Counter(found[1]), *found[2:])
    outcome = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(outcome))
    return outcome


class _Run:
    """A run that is killed and changed; every method keeps to its folder."""

    def __init__(self, folder: Path, seed: int, second_runs: int):
        self.folder, self.draw = folder, random.Random(seed)
        self.second_runs, self.tried = second_runs, 0
        self.of_second_runs: list[str] = []
        self.config, self.edits = CONFIG, set()
        self.faults: list[str] = []
        self.fresh: dict[str, dict] = {}
        workflow.copy_package(folder)

    def change(self, kinds: tuple[str, ...] = ("configuration", "code", "nothing")) -> str:
        """Change the configuration, or a line of code there and back, or nothing."""
        kind = self.draw.choice(kinds)
        if kind == "configuration":
            self.config = over(self.config, self.draw.choice(KEYS))
        elif kind == "code":
            file, old, new = self.draw.choice(LINES)
            path = self.folder / "code" / "tashower" / file
            text = path.read_text()
            back = (file, old) in self.edits
            one, other = (new, old) if back else (old, new)
            if one not in text:
                self.faults.append(f"{file} has no line {one!r} to change")
            path.write_text(text.replace(one, other, 1))
            self.edits ^= {(file, old)}
        return kind

    def fault(self, text: str) -> None:
        self.faults.append(f"{text}\n{workflow.last_lines(self.folder, 'broken')}")

    def expected(self) -> dict:
        """Products of a fresh run of the present configuration and code."""
        key = repr((self.config, sorted(self.edits)))
        if key not in self.fresh:
            shutil.rmtree(self.folder / "fresh", ignore_errors=True)
            process = workflow.start(self.folder, self.config, "fresh")
            left = self.second_runs - self.tried
            tried, faults = workflow.second_runs(self.folder, "fresh", process, left)
            self.tried += tried
            self.of_second_runs += faults
            if process.wait():
                raise RuntimeError(
                    f"a fresh run fails: {workflow.last_lines(self.folder, 'fresh')}"
                )
            self.fresh[key] = all_content(self.folder / "fresh", self.config)
        return self.fresh[key]

    def compare(self) -> None:
        """A run that ended well holds what a fresh one does, and nothing else."""
        results, wanted = self.folder / "broken" / "r", self.expected()
        found = all_content(self.folder / "broken", self.config)
        stale = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
        if stale:
            self.fault(f"{STALE}: {', '.join(stale)}")
        left = [file for file in workflow.unfinished(results) if file.suffix == ".part"]
        self.clear_networks_of_before(results)  # theirs is also the state of a training
        left += [file for file in workflow.unfinished(results) if file not in left]
        if left:
            self.fault(f"left behind: {', '.join(map(str, left))}")
        status, said = workflow.verify(self.folder, "broken")
        if status:
            self.fault(f"verify after the end: {said[-500:]}")

    def clear_networks_of_before(self, results: Path) -> None:
        """Networks that the configuration no longer has stay in the folder, used by nothing:
        `tashower verify` names each of their files, and a user deletes them.
        """
        wanted = self.config["networks"]
        left = [f for f in (results / "networks").iterdir() if f.name not in wanted]
        if not left:
            return
        _, said = workflow.verify(self.folder, "broken")
        for folder in left:
            if f"networks/{folder.name}/" not in said:
                self.fault(f"verify does not name networks/{folder.name}: {said[-500:]}")
            shutil.rmtree(folder)

    def after_kill(self, number: int) -> None:
        """No file that has its name may be damaged."""
        if not (self.folder / "broken" / "r").exists():
            return
        _, said = workflow.verify(self.folder, "broken")
        if "Traceback" in said or any(word in said for word in workflow.DAMAGED):
            self.fault(f"after kill {number}: {said[-500:]}")


def kills(n: int, seed: int = 1, second_runs: int = 0, say: Callable = print) -> Outcome:
    """n kills of a run, and the comparison at each of its ends; beside the first fresh runs that
    it is compared with, second runs are tried in their folder.
    """
    killed, changed, ends = Counter(), Counter(), 0
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        run = _Run(Path(name), seed, second_runs)
        while not run.faults:
            process = workflow.start(run.folder, run.config, "broken")
            more = killed.total() < n
            share = run.draw.uniform(0.0, 0.9) if more else 2.0
            status = workflow.reached(process, run.folder / "broken.log", share)
            if status is None:
                time.sleep(run.draw.uniform(0.0, 1.5))
                status = process.poll()
            if status is None:
                what = ("all", "job", "Snakemake")[killed.total() % 3]
                if workflow.kill(process, what, run.draw):
                    killed[what] += 1
                    say(f"kills: {killed.total()} of {n}: {what} at {share:.0%}")
                if what == "job":
                    process.wait()  # the others go on; it says which failed
                elif not workflow.end_of_jobs(process):
                    run.fault("jobs of a killed run go on")
                run.after_kill(killed.total())
                changed[run.change()] += 1
                continue
            if status and workflow.unlocked(run.folder, "broken"):
                continue
            if status:
                run.fault(f"a resumed run ends with status {status}")
                break
            run.compare()
            ends += 1
            if not more:
                break
            changed[run.change(("configuration", "code"))] += 1
        return Outcome(killed, changed, ends, run.faults, run.tried, run.of_second_runs)
