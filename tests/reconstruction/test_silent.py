"""Simulated events whose strongest station is missing without being listed as out of service."""

from dataclasses import replace

import numpy as np
import pytest

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import load_config
from tashower.events.model import FLAGS, select_events, select_rows
from tashower.reconstruction.methods import Context
from tashower.reconstruction.methods.fits import fit_events
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.simulate import simulate_events

REJECTED = 1 << FLAGS.index("silent_rejected")


@pytest.fixture(scope="module")
def context():
    return Context(read_calibration(DEFAULT), load_config().reconstruction)


def good_events(context, n_showers, n_wanted, name="constrained"):
    """(events with pulses and a fit that passes the cuts, how many of all have a silent
    station rejected).
    """
    events = simulate_events(load_config(), "validation", 0, n_showers)
    events = replace(events, pulses=find_pulses(events), waveform=None)
    table = fit_events(events, events.pulses, context, name)
    chosen = np.flatnonzero(table.passes_cuts)[:n_wanted]
    assert len(chosen) == n_wanted
    return select_events(events, chosen), (table.flags & REJECTED > 0).mean()


def without_strongest(events):
    """(events without their strongest unsaturated hit, the same with its station listed)."""
    signal = np.where(events.pulses.saturated, -1.0, events.pulses.signal.mean(axis=1))
    ends = zip(events.hit_offset[:-1], events.hit_offset[1:], strict=True)
    missing = np.array([begin + np.argmax(signal[begin:end]) for begin, end in ends])
    keep = np.ones(events.n_hits, bool)
    keep[missing] = False
    hole = replace(
        events,
        hit_offset=events.hit_offset - np.arange(events.n_events + 1),
        hit_station=events.hit_station[keep],
        hit_time=events.hit_time[keep],
        pulses=select_rows(events.pulses, keep),
    )
    old = events.dead_station, np.repeat(np.arange(events.n_events), np.diff(events.dead_offset))
    station = np.concatenate([old[0], events.hit_station[missing]])
    event = np.concatenate([old[1], np.arange(events.n_events)])
    listed = replace(
        hole,
        dead_offset=events.dead_offset + np.arange(events.n_events + 1),
        dead_station=station[np.argsort(event, kind="stable")],
    )
    return hole, listed


def check(events, context, name):
    """Hold the fits without the strongest station to what they owe."""
    whole = fit_events(events, events.pulses, context, name)
    hole, dead = (fit_events(e, e.pulses, context, name) for e in without_strongest(events))
    accepted = whole.valid & ((hole.flags & ~np.uint16(REJECTED)) == 0)
    flagged = hole.flags & REJECTED > 0
    n = accepted.sum()
    assert n > 0.8 * events.n_events
    ratio = (hole.energy / whole.energy)[accepted]
    assert (ratio < 0.6).sum() <= 0.02 * n
    # Where nothing is said, the energy is that of the complete event.
    assert (np.abs(ratio - 1.0)[~flagged[accepted]] > 0.4).sum() <= 0.02 * n
    assert flagged[accepted].mean() > 0.9
    # What is rejected is as good as listed.
    as_listed = np.abs(hole.energy / dead.energy - 1.0)[accepted & dead.valid]
    assert (as_listed < 0.1).mean() > 0.93
    assert (dead.flags & REJECTED > 0).mean() <= 0.02


@pytest.mark.parametrize("name", ["free", "constrained", "complete"])
def test_two_hundred_events_without_their_strongest_station(context, name):
    events, rejected = good_events(context, 480, 200)
    check(events, context, name)
    assert rejected < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", ["free", "constrained", "complete"])
def test_many_events_without_their_strongest_station(context, name):
    events, rejected = good_events(context, 2500, 1200, name)
    check(events, context, name)
    assert rejected < 0.005
