"""The method likelihood_edges and its file, with the station likelihood of the package."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import chi2

from tashower.calibration.calibration import DEFAULT as CALIBRATION
from tashower.calibration.calibration import read_calibration
from tashower.calibration.station_likelihood import (
    DEFAULT,
    read_station_likelihood,
    write_station_likelihood,
)
from tashower.config import as_dict, load_config
from tashower.errors import InputError
from tashower.events.model import FLAGS, pulls, select_events, select_rows
from tashower.likelihood.station_likelihood import learn_station_likelihood
from tashower.likelihood.stations import (
    LARGE_PART,
    SIGNALS,
    conditions_of,
    draw_stations,
    sample_stations,
)
from tashower.physics.geometry import direction, opening_angle
from tashower.reconstruction.likelihood.explore import scratch_space
from tashower.reconstruction.likelihood.fit import ENOUGH, EVEN
from tashower.reconstruction.likelihood.weighted import propose_again
from tashower.reconstruction.methods import LIKELIHOOD, Context
from tashower.reconstruction.methods.fits import fit_complete
from tashower.reconstruction.methods.likelihood import (
    N_POINTS,
    POINTS_OF_TABLE,
    _model,
    fit_likelihood_edges,
    posterior_points,
)
from tashower.reconstruction.pulses import find_pulses
from tashower.reconstruction.reconstruct import reconstruct
from tashower.simulation.simulate import array_from_config, simulate_events, simulate_stations

CONFIG = load_config()
CONTEXT = Context(
    read_calibration(CALIBRATION), CONFIG.reconstruction, stations=read_station_likelihood(DEFAULT)
)


@pytest.fixture(scope="module")
def events():
    """(events without waveforms, pulses) that the station likelihood has not seen."""
    found = simulate_events(load_config({"seed": 31}), "test", 0, 450)
    return replace(found, waveform=None), find_pulses(found)


@pytest.fixture(scope="module")
def tables(events):
    return fit_complete(*events, CONTEXT), fit_likelihood_edges(*events, CONTEXT)


def outputs_of(density, conditions):
    """(n, 12 K + 2) outputs of the network, in numpy."""

    def bent(x):
        return x / np.sqrt(1.0 + x * x)

    x = (np.clip(conditions, density.low, density.high) - density.mean) / density.width
    x = bent(bent(x @ density.weight_1.T + density.bias_1) @ density.weight_2.T + density.bias_2)
    return x @ density.weight_3.T + density.bias_3


def test_conditions_are_what_the_simulation_puts_there():
    """The expected signal and the plane front's delay, against many simulations of a station."""
    truth = draw_stations(CONFIG, 0, 2000)
    array = array_from_config(CONFIG)
    conditions, plane = conditions_of(truth, CONFIG, array)
    chosen = np.flatnonzero((conditions[:, 0] > np.log(40.0)) & (conditions[:, 0] < np.log(60.0)))
    for row in chosen[:3]:
        many = select_rows(truth, np.full(1500, row))
        pulses = find_pulses(simulate_stations(many, CONFIG, 3))
        signal = pulses.signal.mean(axis=1)
        # What comes after the window is lost, a few per cent.
        assert -0.08 < np.log(signal.mean()) - conditions[row, 0] < 0.02
        delay = pulses.arrival_time - many.t0 - plane[row]
        # The clock's error, and no particle before the plane; but background in 1 or 2 of 100.
        assert (delay > -80.0).mean() > 0.97


def test_stations_are_drawn_anew_and_the_same():
    one, other = sample_stations(CONFIG, 0, 2000), sample_stations(CONFIG, 50_000, 2000)
    again = sample_stations(CONFIG, 0, 2000)
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.isin(one.conditions[:, 0], other.conditions[:, 0]).any()
    assert 0.2 < one.saturated[one.hit].mean() < 0.5
    assert (one.time[~one.hit] == 0).all()


def test_stations_are_drawn_up_to_the_core():
    """Those that expect much: flat in ln of the expected signal, up to that of the core."""
    truth, array = draw_stations(CONFIG, 0, 20_000), array_from_config(CONFIG)
    expected = conditions_of(truth, CONFIG, array)[0][:, 0]
    origin = np.zeros(len(expected))
    at_core = conditions_of(replace(truth, core_x=origin, core_y=origin), CONFIG, array)[0][:, 0]
    least = np.log(SIGNALS[1])
    part = ((expected - least) / (at_core - least))[expected > least]
    assert abs(len(part) / len(expected) - LARGE_PART) < 0.02
    np.testing.assert_allclose(np.quantile(part, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.03)
    assert 0.98 < part.max() < 1.02
    assert np.exp(expected.max()) > 1e7
    assert CONTEXT.stations.density.high[0] > np.log(1e7)


def test_probability_integral_transforms_are_flat():
    """Of time and signal of independent stations, by expected signal, distance and zenith."""
    sample = sample_stations(CONFIG, 40_000_000, 100_000)
    density = CONTEXT.stations.density
    out, conditions = outputs_of(density, sample.conditions), sample.conditions
    half = (out.shape[1] - 2) // 2
    part = np.where(sample.saturated[:, None], out[:, half : 2 * half], out[:, :half])
    w, m, n, s, q, rho = np.split(part, 6, axis=1)
    w = np.exp(w) / np.exp(w).sum(axis=1, keepdims=True)
    time = (w * ndtr((sample.time[:, None] - m) / np.exp(s))).sum(axis=1)
    ratio = (w * ndtr((sample.ratio[:, None] - n) / np.exp(q) / np.sqrt(1 + rho**2))).sum(axis=1)
    expected = -np.expm1(-np.exp(np.minimum(conditions[:, 0] + out[:, -2], 8.0)))
    levels = np.linspace(0.05, 0.95, 19)
    edges = {
        # No shower expects more, or less far away, than at its core.
        0: np.log([0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 400.0, 2e3, 1e4, 1e5, 1e6, 3e6, 1e9]),
        4: np.log([10.0, 30.0, 100.0, 300.0, 600.0, 900.0, 1200.0, 1600.0, 2200.0, 3000.0]),
        3: [1.0, 1.1, 1.2, 1.3, 1.4, 1.55],
    }
    for column, limits in edges.items():
        for low, high in itertools.pairwise(limits):
            chosen = (conditions[:, column] >= low) & (conditions[:, column] < high)
            of_hits = chosen & sample.hit
            noise = 1.0 / np.sqrt(of_hits.sum())
            for values, clipped in ((time, 0.0), (ratio, sample.saturated[of_hits].mean())):
                found = (values[of_hits][:, None] < levels).mean(axis=0)
                # Six Gaussians are coarser than the clipped signals of saturated stations.
                allowed = 0.012 + 0.03 * clipped + 1.2 * noise
                assert np.abs(found - levels).max() < allowed, (column, low)
                outside = (np.abs(values[of_hits] - 0.5) > 0.49).mean()
                assert outside > 0.01 - 0.2 * noise, (column, low)
                assert outside < 0.025 + 0.4 * noise, (column, low)
            part = expected[chosen]
            rms = np.sqrt((part * (1 - part)).sum()) / chosen.sum()
            assert abs(sample.hit[chosen].mean() - part.mean()) < 0.003 + 3.0 * rms, (column, low)


def test_it_is_better_than_the_fit_that_it_begins_with(events, tables):
    """Directions, cores and sizes of events that nothing was learned from."""
    truth = events[0].truth
    good = np.all([table.passes_cuts for table in tables], axis=0)
    assert good.sum() > 200
    true = direction(truth.zenith, truth.azimuth)
    angle, core, size = (
        np.array(column)
        for column in zip(
            *(
                (
                    opening_angle(direction(t.zenith, t.azimuth), true)[good],
                    np.hypot(t.core_x - truth.core_x, t.core_y - truth.core_y)[good],
                    np.log(t.s_ref / truth.s_ref)[good],
                )
                for t in tables
            ),
            strict=True,
        )
    )
    assert (angle[1] ** 2).mean() < 0.95 * (angle[0] ** 2).mean()
    assert np.quantile(core[1], 0.68) < 0.97 * np.quantile(core[0], 0.68)
    assert size[1].std() < 0.9 * size[0].std()
    assert abs(size[1].mean()) < 0.03


def test_its_errors_are_right(events, tables):
    table, truth = tables[1], events[0].truth
    good = table.passes_cuts
    found = pulls(table, truth)[good]
    for i in (0, 1, 2, 4, 5):
        low, high = np.quantile(found[:, i], [0.16, 0.84])
        assert 0.8 < 0.5 * (high - low) < 1.2
        assert abs(np.median(found[:, i])) < 0.25
    off = np.stack([table.core_x - truth.core_x, table.core_y - truth.core_y], axis=1)[good]
    matrix = table.covariance[good][:, :2, :2]
    inside = chi2.cdf(np.einsum("ni,nij,nj->n", off, np.linalg.inv(matrix), off), 2)
    for level in (0.5, 0.9):
        assert abs((inside < level).mean() - level) < 0.1


def test_points_have_the_mean_that_the_table_has(events, tables):
    some = events[0][:20]
    pulses = select_rows(events[1], slice(0, some.n_hits))
    n = POINTS_OF_TABLE[LIKELIHOOD][0]
    found, table = posterior_points(some, pulses, CONTEXT, n_points=n), tables[1][:20]
    assert posterior_points(some, pulses, CONTEXT).points.shape == (20, N_POINTS, 10)
    assert found.points.shape == (20, n, 10)
    good = table.valid
    np.testing.assert_allclose(found.weights[good].sum(axis=1), 1.0)
    np.testing.assert_allclose(1.0 / (found.weights[good] ** 2).sum(axis=1), found.effective[good])
    assert good.sum() > 8
    mean = (found.weights[:, :, None] * found.points).sum(axis=1)[good]
    for column, name in ((0, "core_x"), (5, "t0"), (9, "curvature")):
        np.testing.assert_allclose(mean[:, column], getattr(table, name)[good], rtol=1e-9)
    np.testing.assert_allclose(np.exp(mean[:, 4]), table.s_ref[good])
    assert not (table.flags[good] >> FLAGS.index("few_points") & 1).any()
    more = posterior_points(some, pulses, CONTEXT, n_points=4 * n)
    assert more.points.shape == (20, 4 * n, 10)
    well = good & (found.effective > 40)
    assert np.median(more.effective[well] / found.effective[well]) == pytest.approx(4, rel=0.2)
    finer = (more.weights[:, :, None] * more.points).sum(axis=1)[well]
    np.testing.assert_allclose(finer[:, 4], np.log(table.s_ref[well]), atol=0.05)


def test_uneven_weights_get_more_points(events, monkeypatch):
    """Errors of the core: from the many points, and from the few for all other events."""
    numbers = (N_POINTS, 4 * N_POINTS)
    monkeypatch.setitem(POINTS_OF_TABLE, LIKELIHOOD, numbers)
    some = events[0][:120]
    pulses = select_rows(events[1], slice(0, some.n_hits))
    table = fit_likelihood_edges(some, pulses, CONTEXT)
    few, many = (posterior_points(some, pulses, CONTEXT, n_points=n) for n in numbers)
    part = few.effective / N_POINTS
    uneven = table.valid & (part > ENOUGH) & (part < EVEN)
    for chosen, found in ((table.valid & (part > EVEN), few), (uneven, many)):
        assert chosen.sum() > 10
        factor = 1.0 + 1.0 / found.effective
        wanted = moments_of(found)[1] * factor[:, None, None]
        same = np.isclose(table.covariance[:, :2, :2], wanted, rtol=1e-6).all(axis=(1, 2))
        # Where the few were drawn anew, the many begin there and not at the maximum.
        assert same[chosen].mean() > 0.7


def test_a_covariance_that_is_none_proposes_nothing():
    scratch = scratch_space(
        _model(CONTEXT.stations, array_from_config(CONFIG), False).learned, 4, 3
    )
    scratch.factor[:] = np.eye(9)
    assert not propose_again(np.ones(10), -np.eye(10), scratch)
    assert (scratch.base == 0.0).all()
    np.testing.assert_array_equal(scratch.factor, np.eye(9))
    assert propose_again(np.ones(10), np.eye(10), scratch)
    assert (scratch.base == 1.0).all()
    np.testing.assert_allclose(scratch.factor, np.sqrt(1.25) * np.eye(9))


def test_where_there_is_no_result_there_are_no_points(events):
    """Not those of the event before."""
    some = events[0][:3]
    pulses = select_rows(events[1], slice(0, some.n_hits))
    late = pulses.arrival_time.copy()
    late[some.hit_offset[1] : some.hit_offset[2]] = np.nan
    found = posterior_points(some, replace(pulses, arrival_time=late), CONTEXT)
    assert found.effective[1] == 0.0
    assert np.isnan(found.points[1]).all()
    assert (found.weights[1] == 0.0).all()


def moments_of(posterior):
    """((n, 2) mean, (n, 2, 2) covariance) of the core, of weighted points."""
    core, weights = posterior.points[:, :, :2], posterior.weights
    mean = np.einsum("ek,eki->ei", weights, core)
    off = core - mean[:, None]
    return mean, np.einsum("ek,eki,ekj->eij", weights, off, off)


def test_points_reach_behind_the_edge_of_a_saturated_station(events):
    """Cores at which the nearest station is just saturated: what the table's points say, against
    what many say. Second derivatives at the maximum alone would describe the edge.
    """
    some, truth = replace(events[0], pulses=events[1]), events[0].truth
    position = some.array.position[:, :2]
    x, y = position[:, 0] - truth.core_x[:, None], position[:, 1] - truth.core_y[:, None]
    nearest = np.hypot(x, y).min(axis=1)
    good = fit_complete(*events, CONTEXT).passes_cuts & (nearest > 300) & (nearest < 424)
    some = select_events(some, np.flatnonzero(good & (truth.energy < 10.0)))
    pulses = find_pulses(some)
    assert some.n_events > 15
    many = posterior_points(some, pulses, CONTEXT, n_points=4086)
    mean, covariance = moments_of(posterior_points(some, pulses, CONTEXT))
    off = many.points[:, :, :2] - mean[:, None]
    square = np.einsum("eki,eij,ekj->ek", off, np.linalg.inv(covariance), off)
    inside = (many.weights * (chi2.cdf(square, 2) < 0.95)).sum(axis=1)
    assert inside.mean() > 0.9, inside.mean()


def test_a_silent_station_and_a_wrong_time_do_not_decide(events, tables):
    """One that is out of service without being listed; one that is a microsecond off."""
    some, pulses = events[0][:60], select_rows(events[1], slice(0, events[0][:60].n_hits))
    base = tables[1][:60]
    time = pulses.arrival_time.copy()
    second = [
        begin + np.argsort(pulses.signal[begin:end].mean(axis=1))[-3]
        for begin, end in zip(some.hit_offset[:-1], some.hit_offset[1:], strict=True)
    ]
    time[second] += 8000.0
    table = fit_likelihood_edges(some, replace(pulses, arrival_time=time), CONTEXT)
    good = base.passes_cuts & table.valid & (base.n_stations > 9)
    moved = np.hypot(table.core_x - base.core_x, table.core_y - base.core_y)[good]
    assert good.sum() > 15
    assert np.median(moved) < 40.0


def test_without_a_station_likelihood_or_with_another(events):
    some, pulses = events[0][:3], select_rows(events[1], slice(0, events[0][:3].n_hits))
    with pytest.raises(InputError, match="station-likelihood"):
        fit_likelihood_edges(some, pulses, CONTEXT._replace(stations=None))
    other = CONTEXT.stations._replace(area=1.5)
    with pytest.raises(InputError, match=r"1.5 m\^2"):
        fit_likelihood_edges(some, pulses, CONTEXT._replace(stations=other))
    other = CONTEXT.stations._replace(layers=1)
    with pytest.raises(InputError, match="1 layer"):
        fit_likelihood_edges(some, pulses, CONTEXT._replace(stations=other))
    settings = replace(CONFIG.reconstruction, distance="ground")
    with pytest.raises(InputError, match="distance"):
        fit_likelihood_edges(some, pulses, CONTEXT._replace(settings=settings))
    described = CONTEXT.stations.described._replace(reference=1000.0)
    other = CONTEXT.stations._replace(described=described)
    with pytest.raises(InputError, match="station likelihood"):
        fit_likelihood_edges(some, pulses, CONTEXT._replace(stations=other))


def test_it_is_made_where_there_is_a_station_likelihood(events):
    some = replace(events[0][:3], pulses=select_rows(events[1], slice(0, events[0][:3].n_hits)))
    told = some, CONTEXT.calibration, CONFIG.reconstruction
    assert "likelihood_edges" not in reconstruct(*told)[0]
    assert "likelihood_edges" in reconstruct(*told, stations=CONTEXT.stations)[0]
    with pytest.raises(InputError, match="station-likelihood"):
        reconstruct(*told, only=["likelihood_edges"])


def test_the_file_is_read_as_it_was_written_and_refused_when_damaged(tmp_path):
    path = tmp_path / "s.json"
    write_station_likelihood(path, CONTEXT.stations, as_dict(CONFIG))
    again = read_station_likelihood(path)
    for ours, theirs in zip(again, CONTEXT.stations, strict=True):
        if isinstance(ours, tuple):
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(a, b)
        else:
            assert ours == theirs
    text = path.read_text()
    path.write_text(text.replace('"rate": 1', '"rate": 2'))
    with pytest.raises(InputError, match="checksum"):
        read_station_likelihood(path)
    wrong = CONTEXT.stations.density._replace(bias_1=np.zeros(7))
    write_station_likelihood(path, CONTEXT.stations._replace(density=wrong), {})
    with pytest.raises(InputError, match="not a station likelihood"):
        read_station_likelihood(path)
    with pytest.raises(InputError, match="not a tashower station likelihood"):
        read_station_likelihood(CALIBRATION)


def test_a_file_with_an_odd_number_of_neurons_is_refused(tmp_path):
    """Loops take neurons in pairs, and would write behind the last."""
    path, density = tmp_path / "s.json", CONTEXT.stations.density
    odd = density._replace(
        weight_1=density.weight_1[:-1],
        bias_1=density.bias_1[:-1],
        weight_2=density.weight_2[:-1, :-1],
        bias_2=density.bias_2[:-1],
        weight_3=density.weight_3[:, :-1],
    )
    write_station_likelihood(path, CONTEXT.stations._replace(density=odd), {})
    with pytest.raises(InputError, match="not a station likelihood"):
        read_station_likelihood(path)


def test_another_array_with_one_layer():
    """A few stations are enough to see that it runs; any layout will do."""
    config = load_config(
        {
            "seed": 5,
            "array": {"lattice": "hexagonal", "columns": 8, "rows": 8, "spacing_m": 750},
            "detector": {"layers": 1, "area_m2": 10.0, "bin_width_ns": 25, "bins": 256},
        }
    )
    stations = learn_station_likelihood(config, 20_000, 2.0)
    assert stations.layers == 1
    found = simulate_events(config, "test", 0, 20)
    context = CONTEXT._replace(stations=stations)
    table = fit_likelihood_edges(found, find_pulses(found), context)
    start = fit_complete(found, find_pulses(found), context)
    np.testing.assert_array_equal(table.valid, start.valid)
    assert table.valid.sum() > 10
