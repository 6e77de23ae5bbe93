"""What every reconstruction promises, whoever makes it: one suite for all of `METHODS`.

A method of `tashower.reconstruction.methods` is held to it by being one, and says in `PROMISES` how
exactly it returns an exact shower; what is not among them is added to `METHODS`, as a function of
events and pulses.
"""

import copy
from dataclasses import fields, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from reconstruction.toy import calibration, draw_truth, toy_events, with_waveforms

from tashower.calibration.station_likelihood import DEFAULT, read_station_likelihood
from tashower.config import load_config
from tashower.errors import InputError
from tashower.events.array import Array, array_from_positions, lattice_heading, regular_array
from tashower.events.model import PARAMETERS, Events, concatenate_events, select_events, select_rows
from tashower.network.apply import corrected
from tashower.network.contracts import ModelInputs, build_model, find_head, find_model
from tashower.network.predict import Trained, predict
from tashower.network.sample import Sample
from tashower.network.tiles import ORIENTATIONS, STATION_FEATURES, TARGETS, make_tiles
from tashower.physics.geometry import direction, opening_angle
from tashower.reconstruction.features import EVENT_FEATURES, event_features
from tashower.reconstruction.methods import Context, methods

SETTINGS = load_config().reconstruction
CALIBRATION = calibration(draw_truth(np.random.default_rng(0), 1))
STATIONS = read_station_likelihood(DEFAULT)
#: Rms of the corrections of the network below: n_x, n_y, core [m], log10 energy. Small, so that an
#: exact shower stays nearly exact.
CORRECTION = (1e-3, 1e-3, 5.0, 5.0, 0.01)


def told(method, **words):
    """A method as a function of events and pulses."""
    context = Context(CALIBRATION, SETTINGS, stations=STATIONS, **words)
    if method is methods()["likelihood_waveforms"]:
        return lambda events, pulses: method(with_waveforms(events, pulses), pulses, context)
    return lambda events, pulses: method(events, pulses, context)


def network(events, pulses, form="grid", **options):
    """A small network with random weights, applied to the free fit as `apply_network` does."""
    fit = METHODS["free"](events, pulses)
    rows = np.flatnonzero(fit.valid & np.isfinite(fit.energy))
    features = event_features(events, pulses, fit)
    tiles = make_tiles(
        select_events(events, rows),
        select_rows(pulses, np.isin(events.hit_event, rows)),
        select_rows(fit, rows),
        4,
        16,
        with_waveforms=False,
    )
    columns = np.stack([features[name][rows] for name in EVENT_FEATURES], axis=1)
    first = np.zeros(len(rows) + 1, np.int64)
    sample = Sample(tiles, columns.astype(np.float32), None, first, rows, events.array.kind)
    torch.manual_seed(4)
    inputs = ModelInputs(
        4, 16, 2, STATION_FEATURES, tuple(EVENT_FEATURES), False, events.array.kind, len(TARGETS)
    )
    options |= {"waveform_channels": 4, "station_channels": 8, "dense_channels": 8, "dropout": 0.0}
    net = build_model(find_model(form), inputs, options).double()
    torch.nn.init.normal_(net.head[-1].weight, std=0.3)  # a trained one has other than zeros there
    norm = {
        "station_mean": torch.zeros(len(STATION_FEATURES)),
        "station_width": torch.ones(len(STATION_FEATURES)),
        "event_mean": torch.zeros(len(EVENT_FEATURES)),
        "event_width": torch.full((len(EVENT_FEATURES),), 100.0),
        "waveform_width": torch.ones(1),
    }
    norm = {name: value.double() for name, value in norm.items()}
    change = np.zeros((0, len(TARGETS)))
    if len(rows):
        orientations = ORIENTATIONS[events.array.kind]
        trained = Trained(net, find_head("mean"), norm, event_features=True)
        change = predict(trained, sample, "cpu", orientations)[0] * CORRECTION
    return corrected(fit, rows, change, lattice_heading(events.array))


#: The methods that are held to the contract: those of the package, and what else there is.
METHODS = {
    **{name: told(method) for name, method in methods().items()},
    "scipy": told(methods()["free"], minimiser="scipy"),
    "network": partial(network, grid_layers=1),
    "set": partial(network, form="set", attention_layers=1),
}


class Promise(NamedTuple):
    """How a method returns an exact shower, and what it says about it."""

    angle: float  #: largest error of the direction [degrees]
    core: float  #: largest error of the core [m]; NaN: it does not look for one
    size: float  #: largest relative error of S800; NaN: states none
    time: float  #: largest error of t0 [ns]; NaN: belongs to another core
    curvature: float  #: largest relative error of a; NaN: states none
    front: float = 1.2  #: curvature a [ns] of the showers that it is given
    covariance: tuple = PARAMETERS  #: the parameters whose covariance it states
    refuses_a_line: bool = False  #: raises an `InputError` for stations on a line
    noise: float = 0.0  #: part of its errors by which it may change where the array is turned


#: The silent stations pull a little: their expectation is not exactly 0. A plane front is exact for
#: showers that have one.
PROMISES = {
    "plane": Promise(
        1e-4, np.nan, np.nan, np.nan, np.nan, front=0.0, covariance=("zenith", "azimuth", "t0")
    ),
    "free": Promise(0.05, 8.0, 0.02, 6.0, 0.03),
    "constrained": Promise(0.05, 8.0, 0.02, 6.0, 0.02),
    "complete": Promise(0.05, 8.0, 0.02, 6.0, 0.02),
    # Its S800 is that of a core that is pulled to the centre of gravity.
    "published": Promise(0.005, 1.0, 0.1, 0.5, 0.005, front=0.35),
    # It knows simulated stations, whose front and scatter are not those of these showers; it
    # begins with the errors of the complete fit, whose widths of x and y were measured apart.
    "likelihood_edges": Promise(1.5, 150.0, 0.25, 400.0, 0.5, front=0.5, noise=0.05),
    "likelihood_waveforms": Promise(1.5, 150.0, 0.25, 400.0, 0.5, front=0.5, noise=0.05),
    "scipy": Promise(0.05, 8.0, 0.02, 6.0, 0.03),
    "network": Promise(0.4, 40.0, 0.02, 6.0, 0.03, covariance=(), refuses_a_line=True),
    "set": Promise(0.4, 40.0, 0.02, 6.0, 0.03, covariance=()),
}
STATED = {"plane": ("core_x", "core_y", "zenith", "azimuth", "t0", "chi2")}


@pytest.fixture(params=METHODS)
def name(request):
    return request.param


def layout(kind) -> Array:
    """Stations with altitudes; none of the arrays is centred."""
    rng = np.random.default_rng(3)
    if kind == "square":
        return regular_array(11, 11, 1200.0, 40.0, 30.0, rng)
    if kind == "hexagonal":
        return regular_array(11, 11, 1200.0, 30.0, 40.0, rng, kind="hexagonal")
    along = np.arange(-5, 6) * 900.0
    line = np.column_stack([0.8 * along + 70.0, 0.6 * along - 40.0, rng.normal(0.0, 20.0, 11)])
    return array_from_positions(np.arange(11) + 1, line)


def showers(front, zenith=(3.0, 20.0, 43.0), s_ref=60.0):
    """Every zenith at six azimuths, with cores of both signs."""
    azimuth = np.radians([0.0, 37.0, 100.0, 180.0, 233.0, 291.0])
    core = np.array([(137.0, 421.0), (-311.0, -90.0), (240.0, -333.0)])
    cases = [
        (z, a, *core[(i + j) % 3]) for i, z in enumerate(zenith) for j, a in enumerate(azimuth)
    ]
    z, a, x, y = np.array(cases).T
    truth = draw_truth(np.random.default_rng(5), len(z), np.radians(z), a, None, s_ref)
    return replace(truth, core_x=x, core_y=y, azimuth=a, curvature=np.full(len(z), front))


def exact(name, kind="square", **words):
    """(truth, events, pulses) of exact showers as the method is promised to return them."""
    truth = showers(PROMISES[name].front, **words)
    return truth, *toy_events(np.random.default_rng(1), truth, layout(kind), exact=True)


def noisy(kind="square", n=12):
    """(events, pulses) of showers with errors, some of them so small that a fit fails."""
    rng = np.random.default_rng(8)
    truth = draw_truth(rng, n, s_ref=np.geomspace(1.5, 80.0, n))
    return toy_events(rng, truth, layout(kind))


def angle(table, truth):
    """Error of the direction [degrees]."""
    one = direction(table.zenith, table.azimuth)
    return np.degrees(opening_angle(one, direction(truth.zenith, truth.azimuth)))


def check(name, table, events):
    """What holds for every table that a method returns."""
    n = events.n_events
    np.testing.assert_array_equal(table.event_id, events.event_id)
    assert table.covariance.shape == (n, 7, 7)
    for field in fields(table):
        column = getattr(table, field.name)
        if column is None:  # of the mass, of which it says nothing
            assert field.default is None, field.name
            continue
        assert len(column) == n, field.name
        kinds = {"event_id": "i", "flags": "u", "ndof": "i", "n_stations": "i", "n_excluded": "i"}
        assert column.dtype.kind == kinds.get(field.name, "f"), field.name
    valid = (table.flags & 1) == 0
    for column in (*PARAMETERS, "energy", "covariance"):
        assert np.isnan(getattr(table, column)[~valid]).all(), f"{column} of an invalid event"
    for column in STATED.get(name, (*PARAMETERS, "energy", "chi2")):
        assert np.isfinite(getattr(table, column)[valid]).all(), f"{column} of a valid event"
    assert ((table.zenith[valid] >= 0) & (table.zenith[valid] < np.pi / 2)).all()
    assert ((table.azimuth[valid] >= 0) & (table.azimuth[valid] < 2 * np.pi)).all()
    stated = [PARAMETERS.index(column) for column in PROMISES[name].covariance]
    rest = np.delete(np.arange(len(PARAMETERS)), stated)
    assert np.isnan(table.covariance[:, rest]).all()
    assert np.isnan(table.covariance[:, :, rest]).all()
    for matrix in table.covariance[valid][:, stated][:, :, stated] if stated else ():
        scale = np.sqrt(np.diag(matrix))
        assert (scale > 0).all()
        correlation = matrix / np.outer(scale, scale)
        np.testing.assert_allclose(correlation, correlation.T, atol=1e-9)
        assert np.linalg.eigvalsh(correlation).min() > 0
    assert (table.n_stations >= 0).all()
    assert (table.n_excluded >= 0).all()
    return valid


@pytest.mark.parametrize("kind", ["square", "hexagonal"])
def test_exact_showers_come_back(name, kind):
    truth, events, pulses = exact(name, kind)
    table, promise = METHODS[name](events, pulses), PROMISES[name]
    assert check(name, table, events).all()
    assert angle(table, truth).max() < promise.angle
    for column, limit, relative in (
        ("core_x", promise.core, False),
        ("core_y", promise.core, False),
        ("s_ref", promise.size, True),
        ("t0", promise.time, False),
        ("curvature", promise.curvature, True),
    ):
        found, true = getattr(table, column), getattr(truth, column)
        if not np.isnan(limit):
            np.testing.assert_allclose(
                found,
                true,
                rtol=limit if relative else 0.0,
                atol=0.0 if relative else limit,
                err_msg=column,
            )
    assert (table.n_excluded == 0).all()


@pytest.mark.parametrize("kind", ["square", "hexagonal"])
@pytest.mark.parametrize("middle", [True, False])
def test_vertical_showers(name, kind, middle):
    """Where the azimuth means nothing; also in the very middle of an undisplaced array."""
    truth = draw_truth(np.random.default_rng(5), 2, 0.0, [0.0, 2.0], (0.0, 0.0), 60.0)
    truth = replace(truth, curvature=np.full(2, PROMISES[name].front))
    array = layout(kind)
    if middle:
        array = regular_array(11, 11, 1200.0, kind=kind)
    else:
        truth = replace(truth, core_x=np.array([130.0, -90.0]), core_y=np.array([-210.0, 77.0]))
    events, pulses = toy_events(np.random.default_rng(1), truth, array, exact=True)
    table = METHODS[name](events, pulses)
    assert check(name, table, events).all()
    assert angle(table, truth).max() < PROMISES[name].angle


def test_stations_on_a_line_give_no_direction(name):
    """The two sides of a line are alike. A method may refuse such an array, with a message."""
    _, events, pulses = exact(name, "line")
    if PROMISES[name].refuses_a_line:
        with pytest.raises(InputError, match="lattice"):
            METHODS[name](events, pulses)
        return
    assert not check(name, METHODS[name](events, pulses), events).any()


@pytest.mark.parametrize("kind", ["square", "hexagonal"])
def test_impossible_times_are_invalid(name, kind):
    """Times without any order, and none at all. A front that is slower than light may leave a row
    of stations that happens to fit; then it fails the cuts.
    """
    events, pulses = noisy(kind)
    position = events.array.position[events.hit_station]
    n = events.n_hits
    for time in (np.random.default_rng(2).uniform(0.0, 1e9, n), np.full(n, np.nan)):
        table = METHODS[name](events, replace(pulses, arrival_time=time))
        assert not check(name, table, events).any()
    for slow in (1.7, -1.2):
        time = position[:, 0] * slow / 0.299792458
        table = METHODS[name](events, replace(pulses, arrival_time=time))
        check(name, table, events)
        assert not table.passes_cuts.any()


def differs(name, table, base, turn=0.0, move=(0.0, 0.0), later=0.0):
    """Assert that a table is another one, turned about the origin by `turn`, then moved by `move`
    [m], and later [ns]: to a small part of an error. Not to rounding: other starts are tried in
    fixed directions, and a station near 4 VEM/m^2 may change from one likelihood to the other.
    Methods with `noise` climb to a maximum, which ends a little elsewhere.
    """
    valid = base.valid
    noise = PROMISES[name].noise
    variance = np.einsum("nii->ni", np.nan_to_num(base.covariance))
    errors = noise * np.sqrt(variance.T)
    errors[4] /= np.nan_to_num(base.s_ref, nan=1.0)
    error = dict(zip(PARAMETERS, errors, strict=True))
    # A core along one axis is one along both of a turned array.
    core = np.hypot(error["core_x"], error["core_y"])
    np.testing.assert_array_equal(table.valid, base.valid)
    # Close to a cut noise decides.
    assert (table.flags != base.flags).sum() <= (3 if noise else 0)
    np.testing.assert_array_equal(table.n_stations, base.n_stations)
    np.testing.assert_array_equal(table.n_excluded, base.n_excluded)
    c, s = np.round(np.cos(turn)), np.round(np.sin(turn))
    assert np.isclose(np.cos(turn), c)
    assert np.isclose(np.sin(turn), s)
    for found, expected, tolerance in (
        (table.core_x, c * base.core_x - s * base.core_y + move[0], 0.7 + core),
        (table.core_y, s * base.core_x + c * base.core_y + move[1], 0.7 + core),
        (table.t0, base.t0 + later, 1.0 + error["t0"]),
        (np.log(table.s_ref), np.log(base.s_ref), 2e-3 + error["s_ref"]),
        (np.log(table.energy), np.log(base.energy), 5e-3 + 2.0 * error["s_ref"]),
        (table.curvature, base.curvature, 5e-3 + error["curvature"]),
        (table.chi2, base.chi2, 0.3),
    ):
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        known = valid & ~np.isnan(expected)
        assert (np.abs(found - expected) <= tolerance)[known].all()
    one = direction(table.zenith[valid], table.azimuth[valid])
    other = direction(base.zenith[valid], base.azimuth[valid] + turn)
    pointing = np.hypot(error["zenith"], np.sin(np.nan_to_num(base.zenith)) * error["azimuth"])
    limit = 0.06 + np.degrees(pointing)[valid]
    assert (np.degrees(opening_angle(one, other)) < limit).all()


@pytest.mark.parametrize("kind", ["square", "hexagonal"])
def test_a_moved_array(name, kind):
    events, pulses = noisy(kind)
    array = events.array
    moved = replace(array, position=array.position + [52_000.0, -31_000.0, 0.0])
    base, table = METHODS[name](events, pulses), METHODS[name](replace(events, array=moved), pulses)
    assert base.valid.sum() > 6
    differs(name, table, base, move=(52_000.0, -31_000.0))


@pytest.mark.parametrize("kind", ["square", "hexagonal"])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_array(name, kind, quarters):
    events, pulses = noisy(kind)
    array = events.array
    x, y, z = array.position.T
    for _ in range(quarters):
        x, y = -y, x
    turned = replace(events, array=replace(array, position=np.column_stack([x, y, z])))
    base, table = METHODS[name](events, pulses), METHODS[name](turned, pulses)
    differs(name, table, base, turn=quarters * np.pi / 2)


@pytest.mark.parametrize("later", [777.25, -1e6, 1e9])
def test_later_times(name, later):
    """Absolute times mean nothing: a second is as good as a microsecond."""
    events, pulses = noisy()
    base = METHODS[name](events, pulses)
    table = METHODS[name](
        replace(events, hit_time=events.hit_time + later),
        replace(pulses, arrival_time=pulses.arrival_time + later),
    )
    differs(name, table, base, later=later)


def test_flags_and_nan_say_the_same(name):
    events, pulses = noisy(n=40)
    valid = check(name, METHODS[name](events, pulses), events)
    # Both kinds are there, or nothing is shown.
    assert 0 < (~valid).sum() < valid.sum()


def test_events_in_another_order_give_the_same_rows(name):
    events, pulses = noisy()
    base = METHODS[name](events, pulses)
    order = np.random.default_rng(3).permutation(events.n_events)
    other = select_events(replace(events, pulses=pulses), order)
    table = METHODS[name](other, other.pulses)
    check(name, table, other)
    for field in fields(base):
        if getattr(base, field.name) is None:
            continue
        # A network sums in another order in another batch.
        np.testing.assert_allclose(
            getattr(table, field.name),
            getattr(base, field.name)[order],
            rtol=1e-9 if name in ("network", "set") else 0.0,
            err_msg=field.name,
        )


def empty_event(events: Events) -> Events:
    """An event without hits, on the same array."""
    one = select_events(events, [0])
    return replace(
        select_events(one, np.zeros(0, int)),
        event_id=np.array([4711]),
        hit_offset=np.zeros(2, np.int64),
        dead_offset=np.zeros(2, np.int64),
        truth=select_rows(one.truth, [0]),
    )


def test_an_event_without_hits(name):
    """It is invalid, and the events around it are what they were; also where there is no other."""
    events, pulses = noisy()
    events = replace(events, pulses=pulses)
    base, nothing = METHODS[name](events, pulses), empty_event(events)
    parts = [select_events(events, np.arange(5)), nothing, select_events(events, np.arange(5, 12))]
    joined = concatenate_events(parts)
    table = METHODS[name](joined, joined.pulses)
    assert not check(name, table, joined)[5]
    assert table.n_stations[5] == 0
    others = select_rows(table, np.arange(13) != 5)
    for column in (*PARAMETERS, "energy", "chi2", "flags"):
        np.testing.assert_allclose(getattr(others, column), getattr(base, column), rtol=1e-9)
    assert not check(name, METHODS[name](nothing, nothing.pulses), nothing).any()


def test_no_events_at_all(name):
    events, pulses = noisy()
    none = select_events(replace(events, pulses=pulses), np.zeros(0, int))
    table = METHODS[name](none, none.pulses)
    assert len(check(name, table, none)) == 0


def test_inputs_stay_as_they_are(name):
    events, pulses = noisy()
    before = copy.deepcopy((events, pulses))
    METHODS[name](events, pulses)
    for now, then in zip((events, pulses, events.array), (*before, before[0].array), strict=True):
        for field in fields(now):
            value = getattr(now, field.name)
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, getattr(then, field.name), field.name)


def test_dead_and_saturated_stations_are_allowed(name):
    """Every event has a station out of service, and its strongest is saturated."""
    truth, events, pulses = exact(name)
    strongest = [
        begin + np.argmax(pulses.signal[begin:end, 0])
        for begin, end in zip(events.hit_offset[:-1], events.hit_offset[1:], strict=True)
    ]
    keep = np.ones(events.n_hits, bool)
    dead = np.array(strongest) + np.where(np.array(strongest) % 2, 1, -1)
    keep[dead] = False
    saturated = np.zeros(events.n_hits, bool)
    saturated[strongest] = True
    pulses = select_rows(replace(pulses, saturated=saturated), keep)
    n = events.n_events
    events = replace(
        events,
        hit_offset=events.hit_offset - np.arange(n + 1),
        hit_station=events.hit_station[keep],
        hit_time=events.hit_time[keep],
        dead_offset=np.arange(n + 1, dtype=np.int64),
        dead_station=events.hit_station[dead],
        pulses=pulses,
    )
    table = METHODS[name](events, pulses)
    assert check(name, table, events).all()
    assert angle(table, truth).max() < 2.0 * PROMISES[name].angle
