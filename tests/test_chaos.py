"""A few of the trials of `make chaos`, in the fast suite."""

import json
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
from chaos.__main__ import PARTS, WHOLE, Numbers, main, numbers
from chaos.flips import flips
from chaos.foreign import mutate
from chaos.inputs import MUTATIONS
from chaos.kills import CONFIG, KEYS, LINES
from chaos.report import SECTIONS, Row
from chaos.trials import run_trials, told
from chaos.writers import JSON, writers_of_one_file
from test_trust import over

import tashower
from tashower.config import load_config


def test_mutated_foreign_files_are_read_or_refused():
    """More of them: `make chaos`."""
    n = 4
    for name, outcome in mutate(n, seed=n).items():
        assert not outcome.faults, f"{name}: {told(outcome)}"
        assert sum(outcome.counts.values()) == n
        assert outcome.counts["refused"] > n // 10, name
    assert sorted(mutate(0)) == sorted(MUTATIONS)


@pytest.mark.parametrize("n", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_every_flipped_bit_in_our_files_is_noticed(n):
    for kind, outcome in flips(n).items():
        assert outcome.counts == {"refused": n}, f"{kind}: {told(outcome)}"


def test_the_lines_of_code_that_kills_change_are_there():
    package = Path(tashower.__file__).parent
    for file, line, instead in LINES:
        assert line in (package / file).read_text(), f"{file}: {line}"
        assert line != instead


@pytest.mark.parametrize("change", KEYS, ids=str)
def test_configurations_that_kills_change_to_are_valid(change, tmp_path):
    (tmp_path / "mine.yaml").write_text(json.dumps(over(CONFIG, change)))
    assert load_config(tmp_path / "mine.yaml") != load_config()


@pytest.mark.parametrize(("n", "rounds"), [(3, 3), pytest.param(8, 20, marks=pytest.mark.slow)])
def test_of_several_writers_of_one_file_one_wins(n, rounds):
    assert set(writers_of_one_file(n, rounds).values()) == {()}


def test_a_writer_that_is_not_atomic_is_noticed(monkeypatch):
    """The trial itself: a file that grows under its name is seen half."""

    def in_place(source, target):
        data = Path(source).read_bytes()
        with open(target, "wb", buffering=0) as file:
            for k in range(0, len(data), 1 + len(data) // 20):
                file.write(data[k : k + 1 + len(data) // 20])
                time.sleep(0.002)

    monkeypatch.setattr("tashower.io.atomic.os.replace", in_place)
    assert any("file: " in fault for fault in writers_of_one_file(2, 5, JSON)[JSON])


def test_trials_that_crash_hang_or_want_all_memory_are_counted():
    def one(k):
        if k == 1:
            os._exit(3)
        if k == 3:
            time.sleep(60)
        if k == 6:
            while True:
                pass
        if k == 4:
            try:
                np.ones(10**12)
            except MemoryError:
                return "memory", "too large"
        return "fine", ""

    outcome = run_trials(one, range(7), ("fine",), seconds=0.2)
    assert outcome.counts == {"fine": 3, "crash": 1, "hang": 2, "memory": 1}
    found = [(k, word) for k, word, _ in outcome.faults]
    assert found == [(1, "crash"), (3, "hang"), (4, "memory"), (6, "hang")]
    assert "1 x crash: its process ended with status 3 (trial 1)" in told(outcome)


def test_numbers_are_scaled_with_the_kills_or_given(monkeypatch):
    for name in (*WHOLE, "KILLS"):
        monkeypatch.delenv(name, raising=False)
    assert numbers() == Numbers(*WHOLE.values())
    monkeypatch.setenv("KILLS", "4")
    monkeypatch.setenv("FLIPS", "7")
    assert numbers() == Numbers(4, 100, 7, 20, 2, 4)


def test_the_page_says_what_was_tried_and_what_failed(monkeypatch, tmp_path):
    rows = [
        Row("Kills", "all 3", 3, "1 end", []),
        Row("Flipped bits", "event file", 5, "4 refused", ["byte 7 of 9"]),
    ]
    monkeypatch.setitem(PARTS, "flips", lambda *_: rows)
    monkeypatch.setenv("PARTS", "flips")
    monkeypatch.setenv("REPORT", str(tmp_path / "page.md"))
    assert main() == 1
    text = (tmp_path / "page.md").read_text()
    assert "| Kills | all 3 | 3 | 1 end | 0 |" in text
    assert "| Flipped bits | event file | 5 | 4 refused | 1 |" in text
    assert "Flipped bits, event file: byte 7 of 9" in text
    assert all(f"## {section}" in text for section in SECTIONS)
    assert re.search(r"^20\d\d-\d\d-\d\d, commit [0-9a-f+a-z]+, seed 1, 0 minutes\.$", text, re.M)
    monkeypatch.setitem(PARTS, "flips", lambda *_: rows[:1])
    assert main() == 0
