"""Many trials in a process of their own, which may crash, hang, or want all memory."""

import json
import logging
import multiprocessing
import os
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

#: Longest time of a trial [s of the processor; ten times that by the clock], and memory that it may
#: take beside what its process has [bytes] (choices).
SECONDS, MEMORY = 60.0, 2_000_000_000


class Outcome(NamedTuple):
    """What came of a number of trials."""

    counts: Counter  #: how often each word came
    faults: list[tuple[int, str, str]]  #: (number of the trial, word, what was said)
    seconds: float


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings in the log: there would be one of every second trial."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _limit_memory(more: int) -> None:
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))


def _of_processor(process: int) -> float:
    """Seconds that a process has computed, its own ended children included."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            ticks = file.read().rpartition(b")")[2].split()[11:15]
    except OSError:  # it ended meanwhile
        return 0.0
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _answers(pipe, child, seconds: float) -> bool:
    """Whether something comes from a child before it has computed for that long: other programs
    may hold the processor for a while.
    """
    began, computed = time.monotonic(), _of_processor(child.pid)
    while not pipe.poll(seconds / 10):
        passed = time.monotonic() - began
        if passed > 10 * seconds or _of_processor(child.pid) - computed > seconds:
            return False
    return True


def _work(one: Callable, numbers, pipe, memory: int) -> None:
    _limit_memory(memory)
    for k in numbers:
        pipe.send(("begins", k, ""))
        word, text = one(k)
        pipe.send((word, k, text))
    pipe.send(("ends", -1, ""))


def run_trials(
    one: Callable[[int], tuple[str, str]],
    numbers: range,
    good: tuple[str, ...],
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Outcome:
    """Trials `one(k)` → (word, what was said), one after the other in a forked process; a trial
    that ends or blocks the process is a "crash" or a "hang", and the next goes on in a new one.

    good : words that are no faults
    """
    context = multiprocessing.get_context("fork")
    counts: Counter = Counter()
    faults: list[tuple[int, str, str]] = []
    began, position = time.monotonic(), 0

    def note(word, k, text):
        counts[word] += 1
        if word not in good:
            faults.append((k, word, text))

    while position < len(numbers):
        here, there = context.Pipe(duplex=False)
        # Not a daemon: reading foreign HDF5 starts a process of its own.
        child = context.Process(target=_work, args=(one, numbers[position:], there, memory))
        child.start()
        there.close()
        current, ended = numbers[position], False
        while not ended:
            try:
                if not _answers(here, child, seconds):
                    note("hang", current, f"no end after {seconds:g} s")
                    break
                word, k, text = here.recv()
            except EOFError:
                child.join()
                note("crash", current, f"its process ended with status {child.exitcode}")
                break
            if word == "begins":
                current = k
            elif word == "ends":
                ended = True
            else:
                note(word, k, text)
        position = len(numbers) if ended else numbers.index(current) + 1
        child.kill()
        child.join()
    return Outcome(counts, faults, time.monotonic() - began)


def told(outcome: Outcome, most: int = 20) -> str:
    """Counts on one line, then what the faults said, each kind once."""
    lines = [json.dumps(dict(sorted(outcome.counts.items())))]
    kinds: dict[str, list[int]] = {}
    for k, word, text in outcome.faults:
        kinds.setdefault(f"{word}: {text}", []).append(k)
    for text, numbers in sorted(kinds.items(), key=lambda item: -len(item[1]))[:most]:
        lines.append(f"  {len(numbers)} x {text} (trial {numbers[0]})")
    return "\n".join(lines)
