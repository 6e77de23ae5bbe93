"""How far a workflow is: by the work of its jobs, not by their number."""

import pytest

from tashower import workload as module
from tashower.workload import Workload, duration


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_a_job_counts_as_its_seconds(clock):
    """One of a hundred seconds and fifty of two are two halves; on a machine that is as fast as
    that of the measurement what is left takes as long as it says.
    """
    work = Workload({"long": 100.0, "short": 2.0}, 1)
    work.plan({"long": 1, "short": 50, "other": 7})
    assert work.state() == (0.0, 0.0)
    assert work.known
    work.start(0, "long")
    assert work.state() == (0.0, pytest.approx(200.0))
    clock.now += 50.0
    assert work.state() == (pytest.approx(0.25), pytest.approx(150.0))
    clock.now += 50.0
    work.finish(0)
    assert work.state() == (pytest.approx(0.5), pytest.approx(100.0))
    for job in range(1, 26):
        work.start(job, "short")
        clock.now += 2.0
        work.finish(job)
    assert work.state() == (pytest.approx(0.75), pytest.approx(50.0))


def test_a_slower_machine_and_more_cores_are_learned(clock):
    """Four cores at a quarter of the speed are one; the first ten seconds of work count as if on
    the machine of the measurement.
    """
    work = Workload({"a": 100.0}, 4)
    work.plan({"a": 40})
    for job in range(8):
        work.start(job, "a")
    clock.now += 400.0 * 2
    for job in range(8):
        work.finish(job)
    speed = (800 + 10) / (800 + 10 / 4)
    assert work.state() == (pytest.approx(0.2), pytest.approx(3200 / speed))


def test_a_job_that_takes_longer_than_measured_is_never_done_before_it_ends(clock):
    work = Workload({"a": 10.0}, 1)
    work.plan({"a": 1})
    work.start("x", "a")
    clock.now += 1000.0
    part, left = work.state()
    assert part == pytest.approx(0.9)
    assert left > 1.0
    work.finish("x")
    assert work.state() == (1.0, 0.0)
    work.finish("never begun")
    assert work.bar() == f"[{'#' * 24}] 100% of the work"


def test_rules_that_nobody_measured_have_no_bar(clock):
    work = Workload({"a": 1.0}, 1)
    work.plan({"compare": 1})
    work.start(0, "compare")
    assert not work.known


def test_the_bar(clock):
    work = Workload({"a": 120.0}, 1)
    work.plan({"a": 2})
    work.start(1, "a")
    clock.now += 120.0
    work.finish(1)
    assert work.bar() == f"[{'#' * 12}{'.' * 12}] 50% of the work, about 2 min left"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "5 s"), (42, "40 s"), (89, "90 s"), (90, "2 min"), (3000, "50 min"), (7200, "2.0 h")],
)
def test_durations_in_words(seconds, text):
    assert duration(seconds) == text
