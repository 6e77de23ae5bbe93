"""Findings appear where what they speak of was put in, and not where it was not."""

from dataclasses import replace

import numpy as np
import pytest
from hits import make_events, make_reconstruction

from tashower.config import Config, as_dict
from tashower.evaluation import advice
from tashower.evaluation.explained import cuts_of, methods_explained
from tashower.events.model import FLAGS

SETTINGS = as_dict(Config())["reconstruction"]
N = 60


@pytest.fixture
def events(rng):
    return make_events(rng, N)


@pytest.fixture
def fit(rng, events):
    """Of good events, with a chi2 as its degrees of freedom."""
    ndof = np.full(N, 8, np.int32)
    fit = make_reconstruction(rng, events)
    return replace(fit, chi2=rng.chisquare(8, N), ndof=ndof, flags=np.zeros(N, np.uint16))


def said(found):
    return " ".join(f"{one.what} {one.remedy}" for one in found)


def test_chi2_too_large_and_too_small(fit):
    assert advice._chi2(fit) == []
    assert "chi2 is too large. Recalibrate with `tashower calibrate`" in said(
        advice._chi2(replace(fit, chi2=3 * fit.chi2))
    )
    assert "the errors are too large" in said(advice._chi2(replace(fit, chi2=0.3 * fit.chi2)))
    few = replace(fit, flags=np.where(np.arange(N) < 10, 0, 1).astype(np.uint16))
    assert advice._chi2(replace(few, chi2=3 * fit.chi2)) == []  # too few to tell


def test_a_clock_that_is_late_is_named(rng, events):
    n = 1500
    station, r = rng.integers(0, 25, n), rng.uniform(100, 2000, n)
    time = rng.normal(-r / 20, 40)  # a pattern that all stations have in common
    assert advice.clocks(events, station, r, time) == []
    late = time + np.where(station == 7, 80.0, 0.0)
    (found,) = advice.clocks(events, station, r, late)
    assert f"{events.array.name_of(7)} by " in found.what
    assert found.what.count(" ns in ") == 1
    assert "Check their clocks" in found.remedy
    # Nine of nine are late by chance once in 256, which among 25 stations is no finding.
    few = station != 7
    few[np.flatnonzero(station == 7)[:9]] = True
    late = time + np.where(station == 7, 900.0, 0.0)
    assert advice.clocks(events, station[few], r[few], late[few]) == []


def test_a_front_that_is_not_that_of_the_data(rng):
    n = 400
    event, r = np.repeat(np.arange(40), 10), rng.uniform(100, 2000, n)
    time = rng.normal(0, 40, n)
    assert advice.front(r, time, event) == []
    assert "ns after the fitted front (median of 40 events" in said(
        advice.front(r, time + 60, event)
    )
    assert advice.front(r, rng.normal(5, 1, n), event) == []  # too small to matter
    assert advice.front(r[:100], time[:100] + 60, event[:100]) == []  # ten events


def test_pulls_that_are_too_wide(rng):
    assert advice._pull_width(rng.normal(size=500)) == []
    assert "too small" in said(advice._pull_width(rng.normal(size=500) * 2))
    assert "too large" in said(advice._pull_width(rng.normal(size=500) / 2))
    assert advice._pull_width(rng.normal(size=50) * 2) == []
    assert "--calibration FILE" in said(advice._pull_width(None))


def test_saturated_stations_are_counted_where_they_are_the_strongest(events, fit):
    none = replace(events.pulses, saturated=np.zeros(events.n_hits, bool))
    assert advice._saturated(events, none, fit) == []
    signal = events.pulses.signal.mean(axis=1)
    strongest = np.zeros(events.n_hits, bool)
    for i, j in zip(events.hit_offset[:-1], events.hit_offset[1:], strict=True):
        if j > i:
            strongest[i + np.argmax(signal[i:j])] = True
    n = int(strongest.sum())
    found = advice._saturated(events, replace(none, saturated=strongest), fit)
    assert f"In {n} of {n} events the strongest station is saturated" in said(found)
    half = replace(fit, flags=(np.arange(N) % 2).astype(np.uint16))
    n = int((np.diff(events.hit_offset)[::2] > 0).sum())
    found = advice._saturated(events, replace(none, saturated=strongest), half)
    assert f"In {n} of {n} events" in said(found)
    single = np.repeat(np.diff(events.hit_offset) == 1, np.diff(events.hit_offset))
    others = replace(none, saturated=~strongest & ~single)
    assert advice._saturated(events, others, fit) == []


@pytest.mark.parametrize("cut", [cut for cut in cuts_of(SETTINGS) if cut.remedy])
def test_a_cut_that_many_fail_comes_with_its_remedy(fit, cut):
    flags = np.where(np.arange(N) < 20, 1 << FLAGS.index(cut.flag), 0).astype(np.uint16)
    (found,) = advice._cuts(replace(fit, flags=flags), SETTINGS, "S800")
    assert found.what.startswith(f"20 of {N} events fail the cut {cut.flag}: ")
    assert found.remedy.lower() == f"{cut.remedy}.".lower()
    flags[10:] = 0
    assert advice._cuts(replace(fit, flags=flags), SETTINGS, "S800") == []


def test_all_together_with_few_events(events, fit):
    few = replace(fit, flags=np.where(np.arange(N) < 5, 0, 1).astype(np.uint16))
    found = advice.advice(events, events.pulses, few, None, SETTINGS, ["zenith: apart"])
    text = said(found)
    for words in ("5 events with a result", "No calibration was given", "zenith: apart"):
        assert words in text


def test_cuts_state_their_thresholds():
    of = {cut.flag: cut.meaning for cut in cuts_of(SETTINGS | {"min_stations": 7}, "S1000")}
    assert list(of) == list(FLAGS)
    assert "fewer than 7 stations" in of["few_stations"]
    assert "45°" in of["zenith"]
    assert "S1000" in of["s800_error"]


def test_every_method_is_explained():
    names = ["free", "plane", "net", "elsewhere", "theirs"]
    seen = {"net": {"waveforms": True, "event_features": True}, "elsewhere": None}
    found = dict(methods_explained(names, seen, {"net": {"corrects": "complete"}}))
    assert list(found)[2:] == ["network: net", "network: elsewhere", "theirs"]
    assert "times, signals, waveforms and event features" in found["network: net"]
    assert "the complete fit" in found["network: net"]
    assert "elsewhere" in found["network: elsewhere"]
    assert all(found.values())
