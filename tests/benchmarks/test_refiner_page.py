"""The pieces of benchmarks/refiner.py, on scores that are known."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import refiner as script

sys.path.pop()


def made(value, scatter=0.0, seeds=2, spread=0.001):
    """(seeds, 1 + 200) of a score; the bootstrap of all kinds is the same, as of paired events."""
    rng = np.random.default_rng(1)
    of_seeds = value + scatter * np.linspace(-1.0, 1.0, seeds)[:, None]
    return of_seeds + spread * np.concatenate([[0.0], rng.standard_normal(200)])


def test_error_is_of_events_and_seeds():
    assert script.with_error(made(0.5))[1] == pytest.approx(0.001, rel=0.1)
    value, error = script.with_error(made(0.5, 0.1))
    assert value == pytest.approx(0.5)
    assert error == pytest.approx(0.1, rel=0.01)  # rms 0.1414 of two, over sqrt 2


def test_what_comes_back():
    scores = {
        kind: {"ev": made(ev), "bias": made(bias)}
        for kind, ev, bias in (("unrefined", 0.1, 0.13), ("refined", 0.2, 0.07), ("own", 0.3, 0.01))
    }
    assert script.came_back(scores, "refined", "ev") == "50 ± 0 %"
    assert script.came_back(scores, "refined", "bias") == "50 ± 0 %"
    assert script.came_back(scores, "reweighted", "ev") == "—"
    better = scores | {"own": {"ev": made(0.05), "bias": made(0.2)}}
    assert script.came_back(better, "refined", "ev") == "nothing lost"
    assert script.came_back(better, "refined", "bias") == "nothing lost"
    one = {kind: {"ev": of["ev"][:1]} for kind, of in scores.items()}
    assert script.came_back(one, "refined", "ev") == "one seed"


def test_worlds_are_those_of_the_configuration():
    for world in script.WORLDS:
        config = script.load_config({"seed": 1}, script.WORLDS[world][1])
        changed = config != script.load_config({"seed": 1})
        assert changed == (world != "none")
