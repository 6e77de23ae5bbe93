"""A few of the trials of `make chaos`, in the fast suite."""

import os
import time

import numpy as np
import pytest
from chaos.flips import flips
from chaos.foreign import MUTATIONS, mutate
from chaos.trials import run_trials, told


@pytest.mark.parametrize("n", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutated_foreign_files_are_read_or_refused(n):
    for name, outcome in mutate(n, seed=n).items():
        assert not outcome.faults, f"{name}: {told(outcome)}"
        assert sum(outcome.counts.values()) == n
        assert outcome.counts["refused"] > n // 10, name
    assert sorted(mutate(0)) == sorted(MUTATIONS)


@pytest.mark.parametrize("n", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_every_flipped_bit_in_our_files_is_noticed(n):
    for kind, outcome in flips(n).items():
        assert outcome.counts == {"refused": n}, f"{kind}: {told(outcome)}"


def test_trials_that_crash_hang_or_want_all_memory_are_counted():
    def one(k):
        if k == 1:
            os._exit(3)
        if k == 3:
            time.sleep(60)
        if k == 4:
            try:
                np.ones(10**12)
            except MemoryError:
                return "memory", "too large"
        return "fine", ""

    outcome = run_trials(one, range(6), ("fine",), seconds=0.5)
    assert outcome.counts == {"fine": 3, "crash": 1, "hang": 1, "memory": 1}
    assert [(k, word) for k, word, _ in outcome.faults] == [
        (1, "crash"),
        (3, "hang"),
        (4, "memory"),
    ]
    assert "1 x crash: its process ended with status 3 (trial 1)" in told(outcome)
