"""What a network looks at, of networks whose answer is known in closed form."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toy_networks import NORM, L, N, T, fitted_sample, random_sample, subject_of

from tashower.errors import InputError
from tashower.events.array import regular_array
from tashower.network.contracts import ModelInputs, build_model, find_model
from tashower.network.insight.attribution import has_captum, integrated_gradients
from tashower.network.insight.filters import first_filters
from tashower.network.insight.layers import pieces, tile_layer, waveform_layers
from tashower.network.insight.maps import class_activation, maps
from tashower.network.insight.permutation import Input, inputs_of, permutations, permuted
from tashower.network.insight.shift import lengths, moved, shifts
from tashower.network.insight.subject import answer, seen, weights_of
from tashower.network.sample import make_sample
from tashower.network.tiles import STATION_FEATURES, TARGETS, make_tiles
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.geometry import direction
from tashower.reconstruction.features import EVENT_FEATURES

WIDTH = NORM["target_width"].numpy().astype(float)
needs_captum = pytest.mark.skipif(not has_captum(), reason="needs captum")


class Linear(nn.Module):
    """Every output is a sum of weight times input, over all inputs of an event."""

    def __init__(self, outputs=5):
        super().__init__()
        generator = torch.Generator().manual_seed(8)
        draw = lambda *shape: nn.Parameter(torch.randn(*shape, generator=generator))  # noqa: E731
        self.cells = draw(N * N * len(STATION_FEATURES), outputs)
        self.features = draw(len(EVENT_FEATURES), outputs)
        self.waveform = draw(T * L, outputs)

    def forward(self, cells, event_features, waveform, place):
        n = cells.shape[1]
        out = cells.flatten(1) @ self.cells + event_features @ self.features
        return out.index_add(0, place // (n * n), waveform.flatten(1) @ self.waveform)


@needs_captum
@pytest.mark.parametrize("question", ["direction", "core_y", "log10_energy"])
def test_integrated_gradients_of_a_linear_network_are_weight_times_input(rng, question):
    subject, rows = subject_of(Linear(), random_sample(rng)), np.array([2, 7, 3])
    found = integrated_gradients(subject, question, rows, steps=4)
    what, network = seen(subject, rows), subject.trained.network
    mean = network(*what)
    if question == "direction":
        along = mean[:, :2] / mean[:, :2].norm(dim=1, keepdim=True)
        weight = torch.cat([along, torch.zeros(3, 3)], dim=1) * 0.01
    else:
        k = TARGETS.index(question)
        weight = torch.eye(5)[k].expand(3, 5) * WIDTH[k]
    cells = torch.einsum("bf,fo,bo->bf", what.cells.flatten(1), network.cells, weight)
    cells = cells.reshape(what.cells.shape).numpy()
    for mask in ("exists", "working"):  # the baseline has them
        cells[..., STATION_FEATURES.index(mask)] = 0.0
    np.testing.assert_allclose(found.cells, cells, rtol=2e-4, atol=1e-6)
    features = torch.einsum("bf,fo,bo->bf", what.event_features, network.features, weight)
    np.testing.assert_allclose(found.event_features, features.numpy(), rtol=2e-4, atol=1e-6)
    event = what.place // (N * N)
    waveform = torch.einsum(
        "hf,fo,ho->hf", what.waveform.flatten(1), network.waveform, weight[event]
    )
    np.testing.assert_allclose(
        found.waveform.reshape(9, -1), waveform.numpy(), rtol=2e-4, atol=1e-6
    )
    np.testing.assert_allclose(found.answer, (mean * weight).sum(dim=1).numpy(), rtol=1e-4)
    np.testing.assert_allclose(found.missing, 0.0, atol=1e-3 * np.abs(found.answer).max())
    np.testing.assert_allclose(
        found.of_waveforms, found.waveform.reshape(3, 3, -1).sum(axis=(1, 2)), rtol=1e-4
    )


@needs_captum
def test_integrated_gradients_are_complete_for_what_bends(rng):
    """y = relu(x) + x^2 + s^2 of one feature and the sum of the waveforms of an event: between
    baseline and input they add up, and no point of the path sees the waveforms of another.
    """

    class Bent(nn.Module):
        def forward(self, cells, event_features, waveform, place):
            x, event = event_features[:, 3], place // cells.shape[1] ** 2
            s = torch.zeros_like(x).index_add(0, event, waveform.sum(dim=(1, 2)))
            return (torch.relu(x) + x**2 + s**2)[:, None].expand(-1, 5)

    subject = subject_of(Bent(), random_sample(rng))
    found = integrated_gradients(subject, "axis_x", np.arange(12), steps=64)
    x = np.arcsinh(subject.sample.event_features[:, 3])
    wanted = 0.01 * (np.maximum(x, 0) + x**2)
    np.testing.assert_allclose(found.event_features[:, 3], wanted, rtol=1e-3, atol=1e-7)
    assert np.abs(np.delete(found.event_features, 3, axis=1)).max() == 0
    assert np.abs(found.cells).max() == 0
    s = subject.sample.tiles.waveform.astype(float).reshape(12, -1).sum(axis=1) / 2.0
    np.testing.assert_allclose(found.of_waveforms, 0.01 * s**2, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.missing, 0.0, atol=1e-5 * np.abs(found.answer).max())


def test_integrated_gradients_without_captum_are_refused_in_one_line(rng, monkeypatch):
    monkeypatch.setattr("tashower.network.insight.attribution.has_captum", lambda: False)
    with pytest.raises(InputError, match=r"need captum: pip install 'tashower\[explain\]'"):
        integrated_gradients(subject_of(Linear(), random_sample(rng)), "direction", np.arange(2))


class Mapped(nn.Module):
    """A linear map of the tile and one along the waveforms, each weighted channel by channel."""

    def __init__(self, encoder="conv"):
        super().__init__()
        torch.manual_seed(4)
        self.tile = nn.Conv2d(len(STATION_FEATURES), 3, 1)
        self.encoder = nn.Conv1d(L, 6, 4, stride=4) if encoder == "conv" else nn.Linear(4 * L, 6)
        self.v, self.w = torch.randn(3, 5), torch.randn(6, 5)

    def pieces(self, waveform):
        """(h, pieces, 6)."""
        if isinstance(self.encoder, nn.Conv1d):
            return self.encoder(waveform.transpose(1, 2)).transpose(1, 2)
        return self.encoder(waveform.reshape(len(waveform), T // 4, 4 * L))

    def forward(self, cells, event_features, waveform, place):
        n = cells.shape[1]
        out = torch.einsum("bcij,co->bo", self.tile(cells.permute(0, 3, 1, 2)), self.v)
        if len(waveform):
            of_hits = torch.einsum("hpc,co->ho", self.pieces(waveform), self.w)
            out = out.index_add(0, place // (n * n), of_hits)
        return out


@pytest.mark.parametrize("encoder", ["conv", "linear"])
def test_grad_cam_of_a_linear_network_is_its_weighted_map(rng, encoder):
    network = Mapped(encoder)
    subject, rows = subject_of(network, random_sample(rng)), np.array([3, 1])
    found, what = maps(subject, "core_x", rows), seen(subject, rows)
    activation = network.tile(what.cells.permute(0, 3, 1, 2))
    assert (found.tile_layer, found.waveform_layer) == ("tile", "encoder")
    np.testing.assert_allclose(found.weights, np.tile(30.0 * network.v[:, 2], (2, 1)), rtol=1e-5)
    wanted = 30.0 * torch.einsum("bcij,c->bij", activation, network.v[:, 2])
    np.testing.assert_allclose(found.tile, wanted.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.channels, activation.permute(0, 2, 3, 1), rtol=1e-5)
    along = 30.0 * torch.einsum("hpc,c->hp", network.pieces(what.waveform), network.w[:, 2])
    np.testing.assert_allclose(found.along, along.numpy(), rtol=1e-4, atol=1e-4)
    assert found.hit_offset.tolist() == [0, 3, 6]
    assert found.ends.tolist() == list(range(0, T + 1, 4))
    mean = network(*what)[:, 2] * 30.0
    np.testing.assert_allclose(found.answer, mean.numpy(), rtol=1e-5)


def test_what_no_gradient_passes_is_no_activation():
    activation = torch.tensor([[[2.0], [-5.0], [3.0]]])
    gradient = torch.tensor([[[1.0], [0.0], [2.0]]])  # cut off behind the layer
    alpha, cam = class_activation(activation, gradient)
    assert alpha.tolist() == [[1.0]]
    assert cam.tolist() == [[2.0, 0.0, 3.0]]


def test_the_direction_is_asked_along_itself(rng):
    mean = torch.tensor([[3.0, -4.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0, 1.0]])
    weights = weights_of("direction", mean, NORM["target_width"])
    assert (mean * weights).sum(dim=1).tolist() == pytest.approx([0.05, 0.0])
    with pytest.raises(InputError, match="target zenith: is none of direction, axis_x"):
        weights_of("zenith", mean, NORM["target_width"])


def described(waveforms=True, lattice="square"):
    names = tuple(EVENT_FEATURES)
    return ModelInputs(N, T, L, STATION_FEATURES, names, waveforms, lattice, 5)


def test_layers_of_the_grid_are_found(rng):
    subject = subject_of(build_model(find_model("grid"), described(), {}), random_sample(rng))
    what, network = seen(subject, np.arange(5)), subject.trained.network
    found = waveform_layers(network, what)
    assert [(layer.name, layer.places) for layer in found] == [
        ("encoder.pieces", (8,)), ("encoder.pairs", (4,)), ("encoder.quads", (2,)),
        ("encoder.out", ()),
    ]  # fmt: skip
    assert tile_layer(network, what).name == "grid"
    without = what._replace(waveform=what.waveform[:0], place=what.place[:0])
    assert waveform_layers(network, without) == []


def test_pieces_of_fields_that_overlap():
    assert pieces(np.array([[0, 4], [2, 6], [4, 8]]), 8).tolist() == [0, 3, 5, 8]
    assert pieces(np.array([[0, 8], [0, 8]]), 8).tolist() == [0, 4, 8]


class Recurrent(nn.Module):
    """A recurrent layer, which gives a tuple, in front of a layer that is found."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.memory, self.out = nn.GRU(L, 3, batch_first=True), nn.Linear(3, 5)

    def forward(self, cells, event_features, waveform, place):
        out = self.out(self.memory(waveform)[0]).sum(dim=1)
        n = cells.shape[1]
        return cells.new_zeros(len(cells), 5).index_add(0, place // (n * n), out)


def test_a_recurrent_encoder_has_maps_along_the_waveform(rng):
    network = Recurrent()
    found = maps(subject_of(network, random_sample(rng)), "core_y", np.arange(2))
    assert (found.tile_layer, found.waveform_layer) == ("", "out")
    assert found.along.shape == (6, T)
    np.testing.assert_allclose(found.along.sum(axis=1).reshape(2, 3).sum(axis=1), found.answer,
                               rtol=1e-4)  # fmt: skip


def test_a_network_without_layers_has_no_maps(rng):
    found = maps(subject_of(Linear(), random_sample(rng)), "direction", np.arange(2))
    assert (found.tile_layer, found.waveform_layer) == ("", "")
    assert np.isnan(found.tile).all()
    assert found.along.shape == (6, 0)
    assert first_filters(subject_of(Linear(), random_sample(rng))) is None


@pytest.mark.parametrize("encoder", ["conv", "linear"])
def test_filters_and_the_pulses_that_excite_them(rng, encoder):
    network, sample = Mapped(encoder), random_sample(rng, n=20)
    weight = network.encoder.weight.detach().numpy()
    weight = weight.transpose(0, 2, 1) if encoder == "conv" else weight.reshape(6, 4, L)
    # A pulse in the form of a filter, in one hit, at its third place.
    sample.tiles.waveform[41, 8:12] = 30.0 * weight[2]
    found = first_filters(subject_of(network, sample), n_pulses=2)
    order = {channel: k for k, channel in enumerate(found.channel)}
    k = order[2]
    assert found.layer == "encoder"
    # Per ln(1 + VEM): waveforms are divided by 2.
    np.testing.assert_allclose(found.weight[k], weight[2] / 2.0, rtol=1e-5)
    assert (found.hit[k, 0], found.first[k, 0]) == (41, 8)
    value = sample.tiles.waveform[41, 8:12].astype(float) / 2.0
    constant = float(network.encoder.bias[2].detach())
    assert found.output[k, 0] == pytest.approx((weight[2] * value).sum() + constant, rel=1e-3)
    assert (np.diff(found.output, axis=1) <= 0).all()
    assert (np.diff(found.output[:, 0]) <= 0).all()
    assert found.hit[k, 0] != found.hit[k, 1]


class OneFeature(nn.Module):
    """The direction is one event feature, the core one station feature of the hits."""

    def forward(self, cells, event_features, waveform, place):
        hit = cells[..., STATION_FEATURES.index("hit")]
        of_hits = (cells[..., STATION_FEATURES.index("log_upper")] * hit).sum(dim=(1, 2))
        zero = torch.zeros_like(of_hits)
        return torch.stack([event_features[:, 5], zero, of_hits, zero, zero], dim=1)


def test_only_the_feature_that_is_read_changes_the_answer(rng):
    subject = subject_of(OneFeature(), random_sample(rng, n=30))
    found = permutations(subject, seed=1)
    moved = {
        one.name: np.abs(without - found.whole).max(axis=0)
        for one, without in zip(found.inputs, found.without, strict=True)
    }
    for name, change in moved.items():
        assert (change[0] > 0) == (name in ("chi2_per_ndof", "all event features")), name
        assert (change[2] > 0) == (name in ("log_upper", "all signals")), name
        assert not change[[1, 3, 4]].any(), name
    # The same answers in another order: among events, and for the hits all of them.
    for name, column in (("chi2_per_ndof", 0),):
        k = [one.name for one in found.inputs].index(name)
        np.testing.assert_allclose(
            np.sort(found.without[k, :, column]), np.sort(found.whole[:, column]), rtol=1e-6
        )
    assert found.constant == ["exists", "working", "hit", "timed", "saturated"]


def test_vectors_are_permuted_as_a_whole_and_only_among_hits(rng):
    subject = subject_of(OneFeature(), random_sample(rng, n=10))
    inputs, _ = inputs_of(subject)
    assert ("x", "y") in [one.features for one in inputs]
    assert Input("waveforms", "hits", ()) in inputs
    what = seen(subject, np.arange(10))
    new = permuted(what, Input("x, y", "hits", ("x", "y")), rng)
    hit = what.cells[..., STATION_FEATURES.index("hit")] > 0
    changed = (new.cells != what.cells).any(dim=(0, 1, 2))
    names = [STATION_FEATURES[k] for k in torch.nonzero(changed)[:, 0]]
    assert names == ["x", "y"]
    assert torch.equal(new.cells[~hit], what.cells[~hit])
    columns = [STATION_FEATURES.index(name) for name in ("x", "y")]
    pairs = {tuple(p) for p in what.cells[hit][:, columns].tolist()}
    assert {tuple(p) for p in new.cells[hit][:, columns].tolist()} == pairs
    waves = permuted(what, Input("waveforms", "hits", ()), rng)
    assert torch.equal(waves.cells, what.cells)
    assert not torch.equal(waves.waveform, what.waveform)
    assert torch.equal(waves.waveform.sum(dim=0).sort()[0], what.waveform.sum(dim=0).sort()[0]) or (
        torch.allclose(waves.waveform.sum(dim=0), what.waveform.sum(dim=0), atol=1e-4)
    )


class Follows(nn.Module):
    """The core is where the strongest station stands; the direction is 0.3 and -0.2, always."""

    def forward(self, cells, event_features, waveform, place):
        flat = cells.flatten(1, 2)
        strongest = flat[..., STATION_FEATURES.index("log_upper")].argmax(dim=1)
        at = flat[torch.arange(len(flat)), strongest]
        x, y = (1200.0 / 30.0 * at[:, STATION_FEATURES.index(name)] for name in ("x", "y"))
        one = torch.ones_like(x)
        return torch.stack([0.3 * one, -0.2 * one, x, y, 0 * one], dim=1)


def test_a_network_that_follows_takes_every_shift_back():
    fitted = fitted_sample()
    rows = np.arange(len(fitted.fit))
    subject = subject_of(Follows(), _sample(fitted, rows), fitted)
    found = shifts(subject, rows)
    assert found.core.shape == (len(found.applied), 4, len(rows), 2)
    # Half a tile is 3.5 spacings: up to two the station of the core never leaves it.
    for k in np.flatnonzero(found.applied <= 2 * 1200.0):
        wanted = np.broadcast_to(-found.applied[k] * found.ways[:, None], found.core[k].shape)
        np.testing.assert_allclose(found.core[k], wanted, atol=0.02)
        np.testing.assert_allclose(found.along[k], -found.applied[k], atol=0.02)
    np.testing.assert_array_equal(found.axis, 0.0)
    assert found.needed == pytest.approx(30.0)


def _sample(fitted, rows):
    from tashower.config import InputsConfig

    return make_sample(fitted, InputsConfig(tile=8, n_bins=T), rows)


def test_lengths_end_at_half_the_tile():
    assert lengths(1200.0, 6, 36.0).tolist() == [36, 72, 144, 600, 1200, 1800, 2400, 3000]
    assert lengths(100.0, 2, 36.0).tolist() == [36, 50]


def test_the_plane_front_stays_where_it_is():
    """A station's time after the plane front of the moved fit is the same as before."""
    fitted = fitted_sample()
    heading = 0.4
    new = moved(fitted.fit, np.array([300.0, -100.0]), heading)
    c, s = np.cos(heading), np.sin(heading)
    shift = np.array([300 * c + 100 * s, 300 * s - 100 * c])
    np.testing.assert_allclose(new.core_x - fitted.fit.core_x, shift[0], rtol=1e-6)
    np.testing.assert_allclose(new.core_y - fitted.fit.core_y, shift[1], rtol=1e-6)
    axis = direction(fitted.fit.zenith, fitted.fit.azimuth)[:, :2]
    np.testing.assert_allclose(
        new.t0 - fitted.fit.t0, -axis @ shift / SPEED_OF_LIGHT, rtol=1e-6, atol=1e-6
    )
    before, after = (
        make_tiles(fitted.events, fitted.pulses, fit, 8, T, False)
        for fit in (fitted.fit, moved(fitted.fit, np.array([50.0, 20.0])))
    )
    k = STATION_FEATURES.index("plane_time")
    same = before.cells[..., STATION_FEATURES.index("hit")] > 0
    same &= after.cells[..., STATION_FEATURES.index("hit")] > 0
    same &= (
        before.cells[..., STATION_FEATURES.index("z")]
        == (after.cells[..., STATION_FEATURES.index("z")])
    )  # the tile did not move
    assert same.sum() > 20
    np.testing.assert_allclose(after.cells[same][:, k], before.cells[same][:, k], atol=1e-4)


def test_shifts_of_a_hexagonal_array():
    """Events whose stations are taken for those of a hexagonal lattice: the frame is the same."""
    fitted = fitted_sample(3)
    array = fitted.events.array
    other = regular_array(30, 34, 1200.0, detector=array.detector, kind="hexagonal")
    nearest = np.linalg.norm(
        array.position[:, None, :2] - other.position[None, :, :2], axis=2
    ).argmin(axis=1)
    station = nearest[fitted.events.hit_station]
    events = replace(
        fitted.events,
        array=other,
        hit_station=station.astype(np.int32),
        dead_offset=np.zeros_like(fitted.events.dead_offset),
        dead_station=fitted.events.dead_station[:0],
    )
    fitted = fitted._replace(events=events)
    subject = subject_of(Follows(), _sample(fitted, np.arange(3)), fitted)
    assert subject.sample.kind == "hexagonal"
    found = shifts(subject, np.arange(3))
    k = list(found.applied).index(600.0)
    wanted = np.broadcast_to(-600.0 * found.ways[:, None], found.core[k].shape)
    np.testing.assert_allclose(found.core[k], wanted, atol=0.05)


def test_shifts_where_stations_stand_on_no_lattice():
    fitted = fitted_sample(3)
    array = replace(fitted.events.array, kind="irregular")
    fitted = fitted._replace(events=replace(fitted.events, array=array))
    subject = subject_of(Follows(), _sample(fitted, np.arange(3)), fitted)
    found = shifts(subject, np.arange(3))
    k = list(found.applied).index(1200.0)
    wanted = np.broadcast_to(-1200.0 * found.ways[:, None], found.core[k].shape)
    np.testing.assert_allclose(found.core[k], wanted, atol=0.05)
    np.testing.assert_array_equal(found.axis, 0.0)


def test_layers_of_the_set_are_found(rng):
    subject = subject_of(
        build_model(find_model("set"), described(lattice="irregular"), {}), random_sample(rng)
    )
    found = maps(subject, "core_x", np.arange(3))
    assert (found.tile_layer, found.waveform_layer) == ("norm", "encoder.quads")
    assert found.channels.shape == (3, N, N, 32)


def test_answers_of_a_head_with_covariance_are_its_mean(rng):
    subject = subject_of(Linear(outputs=20), random_sample(rng), head="gaussian")
    what = seen(subject, np.arange(4))
    y = answer(subject, "core_x", what)
    np.testing.assert_allclose(y, 30.0 * subject.trained.network(*what)[:, 2], rtol=1e-5)
