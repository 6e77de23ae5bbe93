"""Hits that are no measurement stay in the events and are used by nothing."""

from dataclasses import replace

import numpy as np
import pytest
from independent import banks as independent_banks
from independent import rufptn

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.calibration.station_likelihood import DEFAULT as DEFAULT_STATIONS
from tashower.calibration.station_likelihood import read_station_likelihood
from tashower.config import ReconstructionConfig
from tashower.convert.convert import convert
from tashower.convert.ta_export import write_dst
from tashower.convert.ta_text_export import write_text
from tashower.evaluation.figures.event import event_figure
from tashower.events.model import concatenate_events, select_events
from tashower.io.append import event_file
from tashower.io.event_file import read_events, write_events
from tashower.network.tiles import make_tiles
from tashower.reconstruction.features import event_features
from tashower.reconstruction.methods import Context, methods
from tashower.reconstruction.pulses import find_pulses


def marked(events):
    """The events with every seventh hit rejected and its station out of service; which hits."""
    rejected = np.arange(events.n_hits) % 7 == 3
    event = events.hit_event
    of_event = np.repeat(np.arange(events.n_events), np.diff(events.dead_offset))
    pairs = np.unique(
        np.concatenate(
            [
                np.stack([of_event, events.dead_station], axis=1),
                np.stack([event[rejected], events.hit_station[rejected]], axis=1),
            ]
        ),
        axis=0,
    )
    lengths = np.bincount(pairs[:, 0], minlength=events.n_events)
    return replace(
        events,
        rejected=rejected,
        dead_offset=np.concatenate([[0], np.cumsum(lengths)]),
        dead_station=pairs[:, 1].astype(np.int32),
    )


def left_out(events):
    """The events without their rejected hits."""
    keep = ~events.rejected
    lengths = np.bincount(events.hit_event[keep], minlength=events.n_events)
    columns = ("hit_station", "hit_time", "waveform", "pedestal", "counts_per_vem")
    return replace(
        events,
        rejected=None,
        hit_offset=np.concatenate([[0], np.cumsum(lengths)]),
        **{name: getattr(events, name)[keep] for name in columns},
    )


@pytest.fixture(scope="module")
def both():
    events = marked(read_events("data/sample.h5")[:60])
    return events, left_out(events)


def same(a, b, names=None):
    for name in names or vars(a):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_results_are_those_of_events_without_them(both):
    context = Context(
        read_calibration(DEFAULT),
        ReconstructionConfig(),
        stations=read_station_likelihood(DEFAULT_STATIONS),
    )
    found = [find_pulses(events) for events in both]
    for name, method in methods().items():
        fits = [method(events, pulses, context) for events, pulses in zip(both, found, strict=True)]
        same(*fits)
        features = [event_features(*x) for x in zip(both, found, fits, strict=True)]
        for key in features[0]:
            np.testing.assert_array_equal(features[0][key], features[1][key], err_msg=key)
        if name == "free":
            good = np.flatnonzero(fits[0].valid)
            tiles = [
                make_tiles(
                    select_events(events, good),
                    find_pulses(select_events(events, good)),
                    fit[good],
                    7,
                    128,
                )
                for events, fit in zip(both, fits, strict=True)
            ]
            same(*tiles)


def test_pulses_that_come_with_the_data_are_kept_and_hidden(both):
    events, _ = both
    raw = find_pulses(replace(events, rejected=None))
    given = replace(events, waveform=None, pedestal=None, counts_per_vem=None, pulses=raw)
    found = find_pulses(given)
    same(found, find_pulses(events))
    assert np.isfinite(given.pulses.signal[given.rejected]).all()


def test_through_files(both, tmp_path):
    events, _ = both
    write_events(tmp_path / "e.h5", events, {})
    np.testing.assert_array_equal(read_events(tmp_path / "e.h5").rejected, events.rejected)
    with event_file(tmp_path / "a.h5", {}) as file:
        file.append(events[:30])
        file.append(events[30:])
        file.finish(events.array)
        n_hits = sum(len(time) for _, _, _, time in file.hits())
    assert n_hits == (~events.rejected).sum()
    read = read_events(tmp_path / "a.h5")
    np.testing.assert_array_equal(read.rejected, events.rejected)
    np.testing.assert_array_equal(
        concatenate_events([read[:20], read[20:]]).rejected, read.rejected
    )
    nothing = replace(events, rejected=np.zeros(events.n_hits, bool))
    with event_file(tmp_path / "n.h5", {}) as file:
        file.append(nothing)
        file.finish(events.array)
    assert read_events(tmp_path / "n.h5").rejected is None


@pytest.mark.parametrize(("write", "name"), [(write_dst, "e.dst"), (write_text, "e.txt")])
def test_exported_as_isgood_0(both, tmp_path, write, name):
    events, _ = both
    write(tmp_path / name, events, find_pulses(events))
    back = convert([tmp_path / name])
    np.testing.assert_array_equal(back.rejected, events.rejected)
    if write is write_dst:
        banks = independent_banks(tmp_path / name)
        good = np.concatenate(
            [rufptn(data)["isgood"] for number, _, data in banks if number == 13103]
        )
        np.testing.assert_array_equal(good == 0, events.rejected)


def test_drawn_apart(both):
    events, _ = both
    texts = []
    for i in range(3):
        figure = event_figure(events, i, {}, find_pulses(events))
        texts += [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert "hit that is no measurement" in texts
