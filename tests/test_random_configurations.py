"""A few random valid configurations, and that their failures would be seen."""

from dataclasses import replace

import numpy as np
import pytest
import random_configurations as random

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import as_dict, load_config
from tashower.reconstruction.reconstruct import reconstruct
from tashower.simulation.simulate import simulate_events


def draw(number, seed=0):
    return random.random_configuration(np.random.default_rng([seed, number]))


def test_configurations_are_valid_reproducible_and_reach_every_key():
    many = [draw(number) for number in range(60)]
    assert draw(7) == many[7] != draw(7, seed=1)
    usual, seen = load_config(), set()
    for values in many:
        config = load_config(values)
        for section in random.SECTIONS:
            here, there = (as_dict(c)[section] for c in (config, usual))
            seen |= {f"{section}.{key}" for key in here if here[key] != there[key]}
    keys = {f"{section}.{key}" for section in random.SECTIONS for key in as_dict(usual)[section]}
    given = {"array.stations", "array.lateral", "reconstruction.errors", "showers.throws"}
    assert keys - seen == given


@pytest.mark.parametrize("number", range(5))
def test_one_random_configuration(number):
    said = random.try_one(draw(number, seed=2020))
    assert said == "" or said.startswith("refused: ")
    assert "\n" not in said


@pytest.mark.slow
def test_random_configurations():
    """More of them: `make chaos`."""
    assert random.run(15, seed=7) == []


def test_what_cannot_be_is_seen():
    events = simulate_events(load_config(), "test", 0, 60)
    settings = load_config().reconstruction
    tables, _, _ = reconstruct(events, read_calibration(DEFAULT), settings)
    assert random.absurd(events, tables, True) == ""
    free = tables["free"]
    good = np.flatnonzero(free.passes_cuts)

    def said(own=True, **columns):
        return random.absurd(events, tables | {"free": replace(free, **columns)}, own)

    holed = free.energy.copy()
    holed[good[0]] = np.nan
    assert said(energy=holed) == "free: energy of an accepted event is not finite"
    assert said(energy=free.energy * 150.0) == "free: energies are off by 10^2.2"
    assert said(own=False, energy=free.energy * 150.0) == ""
    assert said(zenith=free.zenith + 0.5).startswith("free: zenith angles are off by 2")


@pytest.mark.slow
def test_how_a_process_ends_is_seen():
    values = draw(1)
    assert random.outcome(values, seconds=0) == "hangs: more than 0 s"
    # Python itself may fail for want of memory, in its own words or with a signal.
    said = random.outcome(values, memory=1 << 20)
    assert said
    assert not said.startswith("refused: ")
    values["array"]["columns"] = 2
    assert "array.columns: must be >= 3" in random.outcome(values)
