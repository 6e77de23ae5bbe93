"""The picture of an event: what is in it, for events of every kind; no empty panel, no "nan"."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hits import make_events, make_reconstruction
from matplotlib.figure import Figure
from matplotlib.text import Text

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import load_config
from tashower.convert.convert import convert
from tashower.evaluation.event_content import line_styles
from tashower.evaluation.figures.event import event_figure
from tashower.evaluation.figures.event_marks import draw_within, style
from tashower.evaluation.refit import Made
from tashower.evaluation.sample import single_event
from tashower.evaluation.station_fits import DISTRUSTED, NO_MEASUREMENT, OUT_OF_FIT, OUTSIDE, USED
from tashower.evaluation.station_marks import Mark, mark_of
from tashower.events.model import select_events
from tashower.io.event_file import read_events
from tashower.reconstruction.pulses import find_pulses
from tashower.reconstruction.reconstruct import reconstruct

CALIBRATION = read_calibration(DEFAULT)
SETTINGS = load_config().reconstruction


@pytest.fixture(scope="module")
def sample():
    events = read_events("data/sample.h5")[:8]
    tables, pulses, _ = reconstruct(events, CALIBRATION, SETTINGS)
    return events, tables, pulses


@pytest.fixture
def made_up(rng):
    """Events without meaning, a table of theirs, and the event with the most hits."""
    events = make_events(rng, 6)
    return events, make_reconstruction(rng, events), int(np.argmax(np.diff(events.hit_offset)))


def texts(figure):
    return [t.get_text() for t in figure.findobj(Text) if t.get_text()]


def legend(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def panel(figure, title):
    return next(axis for axis in figure.axes if axis.get_title() == title)


def check(figure, rendered=False):
    """Every panel holds something, and no text is nan or -0; it can be drawn."""
    if rendered:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # panels that leave no room for each other
            figure.savefig("/dev/null", format="png")
    for axis in figure.axes:
        held = [*axis.lines, *axis.collections, *axis.texts, *axis.patches, *axis.containers]
        assert held, axis.get_title()
    for text in texts(figure):
        words = text.lower().replace(",", " ").split()
        assert "nan" not in words
        assert not {"-0", "−0", "-0.0", "−0.0", "inf"} & set(words)
    return figure


def draw(sample, i, made=None, **changes):
    events, tables, pulses, _ = single_event(sample[0], i, sample[1], sample[2])
    made = Made(CALIBRATION) if made is None else made
    return check(event_figure(replace(events, **changes), 0, tables, pulses, made))


@pytest.fixture(scope="module")
def figure(sample):
    return check(draw(sample, 3), rendered=True)


def test_one_axis_of_distances_and_residuals_in_sigma(figure):
    front, lateral = panel(figure, "shower front"), panel(figure, "lateral distribution")
    shared = front.get_shared_x_axes()
    residuals = [axis for axis in figure.axes if axis.get_ylabel().endswith("/σ")]
    assert len(residuals) == 2
    assert all(shared.joined(front, axis) for axis in (lateral, *residuals))
    for axis in residuals:
        low, high = axis.get_ylim()
        assert -low == high
        assert 3.5 < high < 9.0
    assert residuals[1].get_xlabel() == "distance to the axis of the complete fit [m]"
    assert front.get_ylabel() == "time after the plane [µs]"


def test_methods_are_lines_and_stations_are_drawn_once(sample, figure):
    front = panel(figure, "shower front")
    names = ["true", "free fit", "published fit", "constrained fit", "complete fit"]
    assert legend(front) == names
    curves = [line for line in front.lines if len(line.get_xdata()) > 100]
    assert len(curves) == len(names)
    points = [line for line in front.lines if line.get_ls() == "None"]
    assert len(points) == np.diff(sample[0].hit_offset)[3]
    assert len({str(line._unscaled_dash_pattern) for line in curves[1:]}) == 4
    assert len({line.get_marker() for line in front.get_legend().get_lines()}) == len(names)


def test_the_y_scale_is_that_of_the_stations_of_the_fit(sample):
    """A hit 20 microseconds early stands at the margin, with an arrow."""
    events, tables, pulses = sample
    first = events.hit_offset[3]
    moved = pulses.arrival_time.copy()
    outside = first + np.argmin(pulses.signal[first : events.hit_offset[4]].mean(axis=1))
    moved[outside] -= 20_000.0
    figures = [
        draw((events, tables, replace(pulses, arrival_time=t)), 3)
        for t in (pulses.arrival_time, moved)
    ]
    front = [panel(figure, "shower front") for figure in figures]
    assert front[0].get_ylim() == front[1].get_ylim()


@pytest.mark.parametrize(
    ("x", "y", "arrows"), [(0.5, 0.5, 0), (2.0, 0.5, 1), (0.5, -9.0, 1), (np.nan, 0.5, 0)]
)
def test_points_beyond_the_axes_stand_at_the_margin(x, y, arrows):
    axis = Figure().add_subplot()
    axis.set(xlim=(0, 1), ylim=(0, 1))
    draw_within(axis, [x], [y], marker="o")
    assert len(axis.texts) == arrows
    if np.isfinite(x):
        place = np.array([axis.lines[0].get_xdata()[0], axis.lines[0].get_ydata()[0]])
        assert ((place > 0) & (place < 1)).all()
        np.testing.assert_allclose(place[[x == 0.5, y == 0.5]], 0.5)
    assert len(axis.lines) == np.isfinite(x)


def test_every_kind_of_station_has_its_own_mark():
    states = (USED, DISTRUSTED, OUT_OF_FIT, OUTSIDE, NO_MEASUREMENT)
    marks = [mark_of(state, False) for state in states] + [mark_of(USED, True)]
    looks = {(mark.marker, mark.filled) for mark in marks}
    assert len(looks) == len(marks)
    assert all(isinstance(mark, Mark) and style(mark)["marker"] == mark.marker for mark in marks)


def test_dead_saturated_and_silent_stations_are_in_the_legend(sample):
    pulses = sample[2]
    seen = set()
    for i in (0, 2):
        seen |= set(legend(draw(sample, i).axes[0]))
    assert pulses.saturated.any()
    assert {
        "used by the fit",
        "saturated: its signal is a lower limit",
        "silent",
        "silent, and counted so by the fit",
        "out of service",
        "rejected by the fit",
        "10 VEM",
        "core, axis",
    } <= seen


def test_the_table_holds_quality_and_versions(sample):
    versions = dict.fromkeys(sample[1], "tashower 9.9")
    made = Made(CALIBRATION, versions=versions, place="position 3 in x.h5, counted from 0")
    figure = draw(sample, 3, made)
    words = texts(figure)
    table = sample[1]["free"]
    assert f"{table.chi2[3]:.1f} / {table.ndof[3]} = {table.chi2[3] / table.ndof[3]:.2f}" in words
    assert words.count("tashower 9.9") == 4
    assert "passes all" in words
    identity = int(sample[0].event_id[3])
    title = f"event id {identity} (position 3 in x.h5, counted from 0): 22 stations with a hit"
    assert figure.get_suptitle() == title


def test_without_its_calibration_the_complete_fit_says_so(sample):
    words = draw(sample, 3, Made())
    assert "complete fit (without onset) *" in legend(panel(words, "shower front"))
    assert any("calibration not at hand" in text for text in texts(words))


def without_waveforms(events, pulses):
    nothing = dict.fromkeys(("waveform", "pedestal", "counts_per_vem", "pedestal_rms"))
    return replace(events, pulses=pulses, **nothing)


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize("waveforms", [True, False])
def test_without_a_fit(sample, truth, waveforms):
    events, _, pulses, _ = single_event(sample[0], 3, {}, sample[2])
    events = events if waveforms else without_waveforms(events, pulses)
    events = events if truth else replace(events, truth=None)
    figure = check(event_figure(events, 0, {}, pulses, Made(why="no calibration")), True)
    titles = [axis.get_title() for axis in figure.axes]
    assert ("shower front" in titles) == truth
    assert any(title.startswith("waveforms") for title in titles) == waveforms
    assert ("hits by time" in titles) == (not truth and not waveforms)
    assert any("No fit: no calibration" in text for text in texts(figure))


def test_fits_without_a_result_are_named(sample):
    events, tables, pulses, _ = single_event(sample[0], 3, sample[1], sample[2])
    lost = {n: replace(t, zenith=np.array([np.nan])) for n, t in tables.items()}
    figure = check(event_figure(replace(events, truth=None), 0, lost, pulses))
    assert any(text.startswith("No result: free fit, published fit") for text in texts(figure))
    only_plane = lost | {"plane": tables["plane"]}
    figure = check(event_figure(replace(events, truth=None), 0, only_plane, pulses))
    assert legend(panel(figure, "shower front"))[0].startswith("plane front")
    assert "none: direction alone" in texts(figure)
    with pytest.raises(StopIteration):
        panel(figure, "lateral distribution")


@pytest.mark.parametrize("name", ["auger.json", "hisparc.json", "ta_dnn.h5"])
def test_samples_of_other_experiments(name):
    events = select_events(convert([f"data/samples/{name}"]), [0])
    tables, pulses, _ = reconstruct(events, CALIBRATION, SETTINGS)
    check(event_figure(events, 0, tables, pulses, Made(CALIBRATION)), rendered=True)


def test_one_layer(sample):
    events, tables, _ = sample
    detector = replace(events.array.detector, n_layers=1)
    one = replace(
        events,
        array=replace(events.array, detector=detector),
        **{n: getattr(events, n)[..., :1] for n in ("waveform", "pedestal", "counts_per_vem")},
        pedestal_rms=None,
    )
    figure = check(event_figure(one, 3, tables, find_pulses(one)))
    assert not any("upper" in text for text in texts(figure))


def test_any_method_is_drawn(made_up):
    events, table, most = made_up
    names = ("free", "constrained", "new_fit", "waveforms_only", "features_only")
    figure = check(event_figure(events, most, dict.fromkeys(names, table), find_pulses(events)))
    shown = ["free fit", "constrained fit", "new_fit", "waveforms_only", "features_only"]
    front = panel(figure, "shower front")
    assert [text.split(" *")[0] for text in legend(front)[1:]] == shown
    curves = [line for line in front.lines if len(line.get_xdata()) > 100][1:]
    assert len({line.get_color() for line in curves}) == len(shown)


def test_many_methods_are_distinct_in_grey(made_up):
    events, table, most = made_up
    assert len({str(dashes) for dashes in line_styles(7)}) == 7
    names = [f"training_with_a_long_name_{k}" for k in range(9)]
    figure = check(event_figure(events, most, dict.fromkeys(names, table), find_pulses(events)))
    lines = panel(figure, "shower front").get_legend().get_lines()[1:]
    assert len({(str(x._unscaled_dash_pattern), x.get_marker()) for x in lines}) == 9


def test_a_plane_front_is_drawn_only_where_nothing_else_is_known(made_up):
    events, table, most = made_up
    nan = np.full(events.n_events, np.nan)
    plane = replace(table, s_ref=nan, curvature=nan, energy=nan)
    lost = replace(table, zenith=nan)
    events = replace(events, truth=None)
    for free, expected in ((table, "free fit"), (lost, "plane front")):
        methods = {"free": free, "plane": plane}
        figure = check(event_figure(events, most, methods, find_pulses(events)))
        assert [text.split(" *")[0] for text in legend(panel(figure, "shower front"))] == [expected]
