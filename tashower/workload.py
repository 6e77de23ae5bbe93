"""How much of a workflow is done, and how long the rest takes: by the seconds that its jobs were
measured to need, not by their number.
"""

import time
from collections.abc import Mapping

#: Characters of the bar (choice).
_WIDTH = 24
#: Work [s of one core] with which the machine is taken for that of the measurement, before its own
#: speed is known (choice).
_PRIOR = 10.0
#: Share of its work that a job is given while it runs, at most: it may need longer than measured
#: (choice).
_MOST = 0.9


def duration(seconds: float) -> str:
    """A time in words, as coarse as it is uncertain."""
    if seconds < 90:
        return f"{max(1, round(seconds / 5)) * 5:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


class Workload:
    """The jobs of a run, each with its work in seconds of one core.

    Parameters
    ----------
    seconds : {rule: work of one of its jobs}; rules that are missing have none
    cores : how many jobs can run at once
    """

    def __init__(self, seconds: Mapping[str, float], cores: int):
        self._seconds = seconds
        self._cores = max(1, cores)
        self._total = self._done = 0.0
        self._running: dict[object, tuple[str, float]] = {}
        self._begun: float | None = None

    @property
    def known(self) -> bool:
        """Whether there is work that was measured."""
        return self._total > 0.0

    def plan(self, jobs: Mapping[str, int]) -> None:
        """How many jobs of each rule there are in all; they may be planned anew."""
        self._total = sum(self._seconds.get(rule, 0.0) * n for rule, n in jobs.items())

    def start(self, job: object, rule: str) -> None:
        """A job begins."""
        now = time.monotonic()
        self._begun = now if self._begun is None else self._begun
        self._running[job] = (rule, now)

    def finish(self, job: object) -> None:
        """A job has ended."""
        if job in self._running:
            rule, _ = self._running.pop(job)
            self._done += self._seconds.get(rule, 0.0)

    def _worked(self, now: float) -> float:
        """Work that is done, with that of the running jobs as far as they are."""
        return self._done + sum(
            min(now - begun, _MOST * self._seconds.get(rule, 0.0))
            for rule, begun in self._running.values()
        )

    def state(self) -> tuple[float, float]:
        """(part of the work that is done, seconds that the rest takes)."""
        if not self._total or self._begun is None:
            return 0.0, 0.0
        now = time.monotonic()
        worked = min(self._worked(now), self._total)
        speed = (worked + _PRIOR) / (now - self._begun + _PRIOR / self._cores)
        return worked / self._total, (self._total - worked) / speed

    def bar(self) -> str:
        """One line: a bar, the part of the work that is done, the time that is left."""
        part, left = self.state()
        full = int(part * _WIDTH)
        text = f"[{'#' * full}{'.' * (_WIDTH - full)}] {part:.0%} of the work"
        return text if part >= 1.0 else f"{text}, about {duration(left)} left"
