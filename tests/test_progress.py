"""How far a command is: lines in a log, a bar on a terminal, nothing in a library."""

import contextlib
import io
import logging
import sys

import pytest

from tashower import progress as module
from tashower.cli.messages import log, messages_to_stderr
from tashower.progress import blocks, counted, progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""

    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_a_line_now_and_then_and_at_the_end(clock, caplog):
    caplog.set_level(logging.INFO, "tashower")
    with progress("simulate test", 1000, "showers") as advance:
        for _ in range(8):
            clock.now += 1.0
            advance(125)
    assert caplog.messages == [
        "simulate test: 625 of 1,000 showers, 125/s, 3 s left",
        "simulate test: 1,000 of 1,000 showers, 125/s",
    ]


def test_short_tasks_and_failures_are_not_worth_a_line(clock, caplog):
    caplog.set_level(logging.INFO, "tashower")
    with progress("fit", 10) as advance:
        clock.now += 0.5
        advance(10)
    with contextlib.suppress(ZeroDivisionError), progress("fit", 10):
        clock.now += 3.0
        raise ZeroDivisionError
    with progress("fit", 10, shown=False) as advance:
        clock.now += 30.0
        advance(10)
    assert caplog.messages == []
    with progress("convert") as advance:
        clock.now += 2.0
        advance(10)
    assert caplog.messages == ["convert: 10 events, 5/s"]


def test_a_library_says_nothing_by_itself(clock, capfd, monkeypatch):
    monkeypatch.setattr(log, "level", logging.NOTSET)
    monkeypatch.setattr(log, "handlers", [])
    with progress("fit", 10) as advance:
        clock.now += 60.0
        advance(10)
    assert capfd.readouterr() == ("", "")


def test_blocks_cover_everything_in_order():
    assert list(blocks("fit", 7, 3)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(blocks("fit", 0, 3)) == []
    assert list(counted("train", iter("abc"), 3, "steps")) == ["a", "b", "c"]


def test_a_bar_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(module, "SHORT", 0.0)
    messages_to_stderr()
    with progress("simulate test", 100, "showers") as advance:
        advance(50)
        log.warning("half")
    said = terminal.getvalue()
    assert "simulate test" in said
    assert "tashower: half\n" in said
