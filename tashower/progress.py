"""How far a long command is: a bar on a terminal, a line now and then in a log.

Nothing is said unless the logger "tashower" lets level INFO through: the command line sees to that;
in a program of one's own, `logging.basicConfig(level=logging.INFO)` does.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

#: Seconds between two lines in a log (choice).
SECONDS_BETWEEN_LINES = 5.0
#: What is over within this many seconds is not worth a bar or a line (choice).
SHORT = 1.0

_log = logging.getLogger("tashower")


@contextmanager
def progress(
    task: str, total: int | None = None, unit: str = "events", shown: bool = True
) -> Iterator[Callable[[int], None]]:
    """Say how far a task is while the block runs; gives the function to call with what was done.

    Parameters
    ----------
    task : what stands before the bar or the numbers, for example "simulate test"
    total : how many there are to do; None: not known
    unit : of what is counted, in the plural
    shown : False: say nothing (of several processes only the first speaks)

    A task that ends with an error says nothing at its end. Example:

        with progress("convert", unit="events") as advance:
            for part in parts:
                advance(part.n_events)
    """
    if not shown or not _log.isEnabledFor(logging.INFO):
        yield lambda n: None
    elif sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(
            desc=task, total=total, unit=f" {unit}", delay=SHORT, file=sys.stderr, leave=False
        ) as bar:
            yield bar.update
    else:
        lines = _Lines(task, total, unit)
        yield lines.advance
        lines.end()


def blocks(task: str, n: int, size: int, unit: str = "events") -> Iterator[slice]:
    """Slices of at most `size` that cover n things in order; says how far the loop over them is."""
    with progress(task, n, unit) as advance:
        for first in range(0, n, size):
            last = min(first + size, n)
            yield slice(first, last)
            advance(last - first)


def counted(
    task: str, things: Iterable, total: int | None, unit: str, shown: bool = True
) -> Iterator:
    """The things, one by one; says how far the loop over them is."""
    with progress(task, total, unit, shown) as advance:
        for thing in things:
            yield thing
            advance(1)


class _Lines:
    """The lines of one task in a log."""

    def __init__(self, task: str, total: int | None, unit: str):
        self._task, self._total, self._unit = task, total, unit
        self._done = 0
        self._told = -1
        self._started = self._said = time.monotonic()

    def advance(self, n: int) -> None:
        """Count n more; a line now and then."""
        self._done += n
        if time.monotonic() - self._said >= SECONDS_BETWEEN_LINES:
            self._say()

    def end(self) -> None:
        """The last line, where the work was long."""
        if self._told != self._done and time.monotonic() - self._started >= SHORT:
            self._say()

    def _say(self) -> None:
        self._said, self._told = time.monotonic(), self._done
        seconds = self._said - self._started
        rate = self._done / seconds if seconds else 0.0
        text = f"{self._task}: {self._done:,}"
        if self._total is not None:
            text += f" of {self._total:,}"
        text += f" {self._unit}, {rate:,.0f}/s"
        if self._total is not None and 0 < self._done < self._total:
            text += f", {(self._total - self._done) / rate:,.0f} s left"
        _log.info(text)
