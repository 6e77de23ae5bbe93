"""Built-in architectures against what is known of them: numbers of parameters, what sees what, what
an option does; the contract that all pass is in test_models.py.
"""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from tashower.config import load_config
from tashower.config.networks import OPTIONS
from tashower.errors import InputError
from tashower.network import epoch
from tashower.network.contracts import ModelInputs, build_model, built_in, find_model
from tashower.network.cost import multiply_adds
from tashower.network.layers import WaveformDecoder, convolution, normalised, reconstruction_loss
from tashower.network.models import (
    dense_connections,
    dilated,
    fractal,
    inception,
    residual,
    squeeze_excitation,
    xception,
)
from tashower.network.processes import Processes
from tashower.network.tiles import STATION_FEATURES
from tashower.reconstruction.features import EVENT_FEATURES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "network_backbones.md"
SMALL = {"waveform_channels": 4, "station_channels": 8, "grid_layers": 2, "dense_channels": 8}


def inputs_of(tile=5, bins=32, layers=2, waveforms=True):
    names = tuple(EVENT_FEATURES)
    return ModelInputs(tile, bins, layers, STATION_FEATURES, names, waveforms, "square", 5)


def made(name, inputs=None, **options):
    torch.manual_seed(1)
    return build_model(find_model(name), inputs or inputs_of(), SMALL | options)


def batch_of(inputs, b=3, hits=2):
    generator = torch.Generator().manual_seed(4)
    n = inputs.tile
    hits = hits if inputs.waveforms else 0
    place = (torch.arange(b)[:, None] * n**2 + torch.arange(3, 3 + hits)).flatten()
    return (
        torch.randn(b, n, n, len(inputs.station_features), generator=generator),
        torch.randn(b, len(inputs.event_features), generator=generator),
        torch.randn(b * hits, inputs.n_bins, inputs.n_layers, generator=generator),
        place,
    )


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


def seen_by_the_middle(grid, channels, n=15):
    """(n, n) bool: which cells the cell in the middle of what `grid` makes depends on."""
    for parameter in grid.parameters():
        nn.init.uniform_(parameter, 0.1, 1.0)  # nothing cancels, no ReLU is shut
    x = torch.ones(1, channels, n, n, requires_grad=True)
    out = grid.eval()(x)
    out[0, :, n // 2, n // 2].sum().backward()
    return (x.grad[0].abs().sum(dim=0) > 0).numpy()


# Options.


@pytest.mark.parametrize("name", sorted(set(built_in("models")) - {"set"}))
def test_every_option_matters(name):
    """A size changes shapes of parameters; dropout and pooling what comes out."""
    here = {key: value for key, value in SMALL.items() if key != "grid_layers"}
    here |= {"grid_layers": 2}

    def shapes(**options):
        return sorted(tuple(p.shape) for p in made(name, **(here | options)).parameters())

    options = set(OPTIONS[name].__dataclass_fields__)
    for size, other in (
        ("waveform_channels", 6),
        ("station_channels", 12),
        ("grid_layers", 3),
        ("dense_channels", 9),
        ("decoder_weight", 0.5),
    ):
        assert shapes(**{size: other}) != shapes(), size
        options.remove(size)
    wet = made(name, dropout=0.5)
    assert [m.p for m in wet.modules() if isinstance(m, nn.Dropout)] == [0.5, 0.5]
    options.remove("dropout")
    assert made(name, pooling="average").flat.in_features == 8
    assert made(name, pooling="flat").flat.in_features == (8 * 4 if name == "lenet" else 8 * 25)
    options.remove("pooling")
    if name == "grid":
        assert shapes(batch_normalisation=False) != shapes()
        options.remove("batch_normalisation")
    assert options == ({"drop_path"} if name in ("residual", "fractal") else set())
    with pytest.raises(InputError, match="pooling max: is neither flat nor average"):
        made(name, pooling="max")


def test_the_mean_over_the_cells_does_not_know_where_a_pattern_lies():
    """Of one layer, away from the border; flattened the head knows."""
    inputs = inputs_of(tile=8, waveforms=False)
    pattern = torch.randn(2, 2, len(STATION_FEATURES), generator=torch.Generator().manual_seed(2))
    events = torch.zeros(2, 8, 8, len(STATION_FEATURES))
    events[0, 2:4, 2:4] = pattern
    events[1, 4:6, 3:5] = pattern
    for pooling, same in (("average", True), ("flat", False)):
        network = made("vgg", inputs, pooling=pooling, grid_layers=1).eval()
        nn.init.normal_(network.head[-1].weight)
        one, two = network(events, torch.zeros(2, 16), torch.zeros(0, 32, 2), torch.arange(0))
        assert torch.allclose(one, two, atol=1e-6) == same


# What sees what, and how many parameters it takes.


def test_reach_of_dilated_and_plain_convolutions():
    """1 + 2 sum(d) cells: 15 of dilations 1, 2, 4, and 7 of three plain convolutions."""
    assert dilated.dilations(5, 8) == [1, 2, 4, 1, 2]
    assert dilated.dilations(3, 4) == [1, 2, 3]
    for name, reach in (("dilated", 15), ("vgg", 7)):
        grid = made(name, inputs_of(tile=8), grid_layers=3).grid
        seen = seen_by_the_middle(grid, 8, n=19)
        assert seen.any(axis=0).sum() == seen.any(axis=1).sum() == reach, name
        assert seen[9 - reach // 2, 9 - reach // 2]


def test_factorised_kernels_see_as_much_with_six_weights_for_nine():
    one, whole = inception.factorised(4), normalised(convolution(4, 4))
    weights = [sum(p.numel() for p in m.parameters() if p.ndim == 4) for m in (one, whole)]
    assert weights == [6 * 4 * 4, 9 * 4 * 4]
    for module in (one, whole):
        seen = seen_by_the_middle(module, 4, n=5)
        assert np.array_equal(seen, np.pad(np.ones((3, 3), bool), 1))
    assert [m.kernel_size for m in one.modules() if isinstance(m, nn.Conv2d)] == [(3, 1), (1, 3)]


def test_an_inception_layer_goes_four_ways():
    """Of 10 channels: 4 + 2 + 2 + 2, of reach 1, 3, 5 and 3."""
    layer = inception.Inception(10)
    out = [way(torch.zeros(1, 10, 7, 7)).shape[1] for way in layer.ways]
    assert out == [4, 2, 2, 2]
    found = [seen_by_the_middle(way, 10, n=7).any(axis=0).sum() for way in layer.ways]
    assert found == [1, 3, 5, 3]
    x = torch.randn(2, 10, 7, 7)
    layer.eval()
    assert torch.equal(layer(x)[:, 4:6], layer.ways[1](x))


def test_a_separable_convolution_has_9_c_and_c_squared_weights():
    assert n_parameters(xception.separable(48)) == 9 * 48 + 48**2
    steps = xception.separable(3)
    x = torch.randn(1, 3, 6, 6)
    each = [
        nn.functional.conv2d(x[:, c : c + 1], steps[0].weight[c : c + 1], padding=1)
        for c in range(3)
    ]
    torch.testing.assert_close(
        steps(x), nn.functional.conv2d(torch.cat(each, dim=1), steps[1].weight)
    )
    block = xception.Separable(8)
    assert n_parameters(block) == 2 * (9 * 8 + 8**2 + 2 * 8)
    assert seen_by_the_middle(block, 8, n=9).sum() == 25


def test_a_network_in_network_has_a_dense_network_at_each_cell():
    grid = made("network_in_network", grid_layers=1).grid
    assert n_parameters(grid) == 9 * 8**2 + 8 + 2 * (8**2 + 8)
    assert seen_by_the_middle(grid, 8, n=5).sum() == 9


def test_lenet_halves_the_tile_with_means():
    for tile, sizes in ((4, [2, 1, 1]), (5, [3, 2, 1]), (6, [3, 2, 1]), (7, [4, 2, 1])):
        x, found = torch.zeros(1, 8, tile, tile), []
        for layer in made("lenet", inputs_of(tile=tile), grid_layers=3).grid:
            x = layer(x)
            found.append(x.shape[2])
        assert found == sizes
    pool = made("lenet").grid[0][-1]
    assert torch.equal(pool(torch.tensor([[[[1.0, 3, 5]]]])), torch.tensor([[[[2.0, 5]]]]))


def test_dense_connections_keep_all_that_was_found():
    """Layer k sees S + k S/4 channels, the first S of which are the input."""
    grid = made("dense_connections", station_channels=16, grid_layers=3).grid
    widths = [m.num_features for m in grid.modules() if isinstance(m, nn.BatchNorm2d)]
    assert widths == [16, 20, 24]
    layer, x = dense_connections.Layer(16, 4).eval(), torch.randn(2, 16, 5, 5)
    out = layer(x)
    assert torch.equal(out[:, :16], x)
    assert out.shape == (2, 20, 5, 5)
    assert grid[-1].in_channels == 28


# Residual: stochastic depth, gate.


def test_a_residual_block_adds_to_its_input():
    block, x = residual.Residual(6).eval(), torch.randn(2, 6, 5, 5)
    nn.init.zeros_(block.branch[-1].weight)
    nn.init.zeros_(block.branch[-1].bias)
    assert torch.equal(block(x), x)
    nn.init.ones_(block.branch[-1].bias)
    assert torch.equal(block(x), x + 1)
    assert seen_by_the_middle(residual.Residual(6), 6, n=9).sum() == 25


def test_stochastic_depth_keeps_the_mean_and_is_off_when_applied():
    """Events are left out whole, a part `rate` of them; sqrt(rate/(1 - rate)/n) is the error of the
    mean.
    """
    torch.manual_seed(3)
    n, rate = 4000, 0.3
    x = torch.ones(n, 2, 3, 3)
    found = residual.stochastic_depth(x, rate, True)
    assert found.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert (found.flatten(1).std(dim=1) == 0).all()
    assert abs(found.mean() - 1) < 4 * np.sqrt(rate / (1 - rate) / n)
    assert residual.stochastic_depth(x, rate, False) is x
    assert residual.stochastic_depth(x, 0.0, True) is x
    assert residual.dropped_rates(4, 0.4) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    network = made("residual", drop_path=0.4)
    assert [block.dropped for block in network.grid] == [0.2, 0.4]
    one, x = network.grid[1], torch.randn(50, 8, 5, 5)
    left_out = (one.train()(x) == x).flatten(1).all(dim=1)
    assert 0 < left_out.sum() < 50
    assert not (one.eval()(x) == x).flatten(1).all(dim=1).any()


def test_a_gate_multiplies_every_channel_by_what_the_means_say():
    gate, x = squeeze_excitation.Gate(8), torch.randn(3, 8, 4, 4)
    assert n_parameters(gate) == 2 * 8 * 2 + 8 + 2
    part = gate(x) / x
    torch.testing.assert_close(part, part[..., :1, :1].expand_as(part))
    assert ((part > 0) & (part < 1)).all()
    turned = x.flatten(2)[..., torch.randperm(16)].view_as(x)  # the same means
    torch.testing.assert_close((gate(turned) / turned)[..., 0, 0], part[..., 0, 0])
    nn.init.zeros_(gate.weights[2].weight)
    nn.init.constant_(gate.weights[2].bias, np.log(3.0))
    torch.testing.assert_close(gate(x), 0.75 * x)  # 1/(1 + 1/3)
    block = squeeze_excitation.Gated(8)
    assert n_parameters(block) == n_parameters(residual.Residual(8)) + n_parameters(gate)
    nn.init.constant_(block.branch[-1].weights[2].bias, -100.0)
    torch.testing.assert_close(block.eval()(x), x)


# Fractal.


def columns_by_hand(block, x):
    """{column: what it alone makes of x}."""
    found = []
    for column in block.columns:
        y = x
        for step in column:
            y = step(y)
        found.append(y)
    return found


def test_a_fractal_is_what_its_definition_says():
    """f1 = conv; f2 = mean(conv, f1 f1); of three columns the last join is one mean of three."""
    x = torch.randn(2, 4, 5, 5)
    two = fractal.Fractal(4, 2, 0.0).eval()
    (a,), (b, c) = two.columns
    torch.testing.assert_close(two(x), (a(x) + c(b(x))) / 2)
    three = fractal.Fractal(4, 3, 0.0).eval()
    assert [len(column) for column in three.columns] == [1, 2, 4]
    (a,), (b, c), (d, e, f, g) = three.columns
    middle = (b(x) + e(d(x))) / 2
    torch.testing.assert_close(three(x), (a(x) + c(middle) + g(f(middle))) / 3)
    assert n_parameters(three) == 7 * (9 * 4 * 4 + 2 * 4)


def test_drop_path_of_a_fractal(monkeypatch):
    torch.manual_seed(5)
    block, x = fractal.Fractal(4, 3, 0.3).eval(), torch.randn(3, 4, 5, 5)
    # Off when applied.
    assert torch.equal(block(x), block(x))
    # Events that see a single column see that alone.
    only = torch.tensor([0, 1, 2])
    kept = block.kept
    monkeypatch.setattr(block, "kept", lambda ends, _: kept(ends, only))
    block.training = True  # the normalisations stay as applied
    alone = columns_by_hand(block, x)
    torch.testing.assert_close(block(x), torch.stack([alone[c][c] for c in range(3)]))


def test_paths_that_are_kept():
    torch.manual_seed(6)
    block, n = fractal.Fractal(4, 3, 0.3), 5000
    local = block.kept([0, 1, 2], torch.full((n,), -1))
    assert local.any(dim=0).all()  # never none
    # One of three stays where all would be left out: 0.7 + 0.3^3 / 3.
    error = np.sqrt(0.3 * 0.7 / n)
    assert abs(local.double().mean(dim=1) - (0.7 + 0.009)).max() < 4 * error
    assert block.kept([1, 2], torch.tensor([0, 1, 2])).tolist() == [
        [True, True, False],
        [True, False, True],
    ]
    found = torch.arange(3.0)[:, None, None, None, None].expand(3, 2, 1, 1, 1)
    which = torch.tensor([[True, True], [False, True], [True, True]])
    assert fractal.join(found, which).flatten().tolist() == [1.0, 1.0]
    assert fractal.join(found[[0, 2]], which[1:]).flatten().tolist() == [2.0, 1.0]
    assert fractal.join(found, None).flatten().tolist() == [1.0, 1.0]


def test_a_fractal_draws_in_training_alone():
    torch.manual_seed(7)
    x = torch.randn(400, 4, 3, 3)
    for rate, same in ((0.0, True), (0.2, False)):
        block = fractal.Fractal(4, 2, rate).train()
        assert torch.equal(block(x), block(x)) == same
    # Half of the events see one column, of either as many.
    seen = []
    block.kept = lambda ends, only: seen.append(only) or torch.ones(len(ends), 400, dtype=bool)
    block(x)
    parts = [(seen[0] == c).double().mean() for c in (-1, 0, 1)]
    assert parts == pytest.approx([0.5, 0.25, 0.25], abs=0.1)


# The decoder.


@pytest.mark.parametrize(("bins", "layers"), [(32, 2), (100, 1), (128, 2)])
def test_the_decoder_makes_waveforms_piece_by_piece(bins, layers):
    decoder = WaveformDecoder(bins, layers, 6)
    out = decoder(torch.randn(3, 6))
    assert out.shape == (3, bins, layers)
    assert decoder(torch.zeros(0, 6)).shape == (0, bins, layers)
    # 16 bins are made of C numbers in the middle, and of no others.
    assert decoder.begin.out_features == 6 * -(-bins // 16)
    code = torch.rand(1, 6, 2, requires_grad=True)
    decoder.widest(torch.relu(decoder.wider(code)))[0, :, :16].sum().backward()
    assert (code.grad[0].abs().sum(dim=0) > 0).tolist() == [True, False]


def test_loss_of_the_decoder():
    waveform = torch.tensor([[[1.0], [3.0]], [[0.0], [2.0]]])
    assert reconstruction_loss(torch.zeros(2, 2, 1), waveform) == 14 / 4
    assert reconstruction_loss(waveform, waveform) == 0
    assert reconstruction_loss(torch.zeros(0, 2, 1), torch.zeros(0, 2, 1)) == 0


@pytest.mark.parametrize("name", ["grid", "vgg"])
def test_the_auxiliary_loss_is_there_in_training_alone(name):
    inputs = inputs_of()
    batch = batch_of(inputs)
    network, plain = made(name, decoder_weight=0.5), made(name)
    # It is made last: all else begins as without it.
    for key, value in plain.state_dict().items():
        assert torch.equal(value, network.state_dict()[key]), key
    assert isinstance(plain.train()(*batch), torch.Tensor)
    assert isinstance(network.eval()(*batch), torch.Tensor)
    output, loss = network.train()(*batch)
    assert output.shape == (3, 5)
    code = network.encoder(batch[2])
    torch.testing.assert_close(loss, 0.5 * (network.decoder(code) - batch[2]).square().mean())
    loss.backward()  # reaches the decoder and the encoder, and nothing else
    for key, parameter in network.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
        assert reached == key.startswith(("decoder", "encoder")), key
    assert made(name, inputs_of(waveforms=False), decoder_weight=0.5).decoder is None
    without = (*batch[:2], batch[2][:0], batch[3][:0])
    assert network(*without)[1] == 0


def test_the_decoder_learns_to_tell_waveforms():
    """Pulses of two places and sizes, which two of the encoder's four numbers hold."""
    torch.manual_seed(2)
    network = made("vgg", decoder_weight=1.0)
    size, late = torch.rand(60, 1, 1), torch.rand(60, 1, 1) < 0.5
    pulse = torch.exp(-0.5 * ((torch.arange(32) - 8) / 3.0) ** 2)[None, :, None]
    waveform = size * torch.where(late, pulse.roll(16, dims=1), pulse).expand(60, 32, 2)
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(150):
        loss = reconstruction_loss(network.decoder(network.encoder(waveform)), waveform)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1 * waveform.var()


class OfOneNumber(nn.Module):
    """Says p for everything, with the auxiliary loss 3 p."""

    def __init__(self):
        super().__init__()
        self.p = nn.Parameter(torch.tensor(0.5))

    def forward(self, cells, *_):
        output = self.p.expand(len(cells), 5)
        return (output, 3.0 * self.p) if self.training else output


def test_training_adds_the_auxiliary_loss_to_that_of_the_head(monkeypatch):
    """With loss (p - 2)^2/2 of the head: value and gradient, each times the share of the step."""
    network = OfOneNumber()
    inputs = (torch.zeros(4, 5, 5, 3), *3 * [torch.zeros(4, 0)], torch.full((4, 5), 2.0))
    monkeypatch.setattr(epoch, "batches", lambda *_: (1, iter([(inputs, 0.5)])))
    monkeypatch.setattr(epoch, "normalise", lambda batch, *_: batch)
    head = SimpleNamespace(loss=lambda output, target: 0.5 * (output - target).square().mean())
    settings = load_config().networks["waveforms_and_features"]
    run = epoch.Run("a", 1, settings, None, head, torch.device("cpu"), Processes(0, 1))
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimiser, 1.0)
    learner = epoch.Learner(network, optimiser, schedule)
    loss = epoch.train_epoch(learner, epoch.Trained(network, head, {}, True), None, run, 0)
    assert loss == pytest.approx(0.5 * (0.5 * 1.5**2 + 3 * 0.5))
    assert network.p.item() == pytest.approx(0.5 - 0.1 * 0.5 * (-1.5 + 3.0))


# What it costs.


def test_multiply_adds_of_layers_are_those_of_the_formulas():
    inputs = inputs_of(waveforms=False)
    here = {"station_channels": 8, "dense_channels": 8, "grid_layers": 0}
    features, cells = len(STATION_FEATURES), 25
    base = cells * (features * 8 + 8 * 8) + 200 * 8 + (8 + 16) * 8 + 8 * 5

    def count(name, **options):
        return multiply_adds(build_model(find_model(name), inputs, here | options), inputs)

    assert count("vgg") == base
    assert count("vgg", grid_layers=2) == base + 2 * cells * 9 * 8**2
    assert count("vgg", pooling="average") == base - 200 * 8 + 8 * 8
    assert count("xception", grid_layers=1) == base + 2 * cells * (9 * 8 + 8**2)
    assert count("grid", grid_layers=1) == base + cells * (9 * 8 + 2 * 8 * 16)


def test_multiply_adds_of_attention():
    """Of 25 tokens: 8 C^2 for each, 2 C for every pair."""
    inputs = inputs_of(waveforms=False)
    one, two = (
        multiply_adds(build_model(find_model("set"), inputs, {"attention_layers": n}), inputs)
        for n in (1, 2)
    )
    assert two - one == 25 * 8 * 32**2 + 25**2 * 2 * 32


def test_multiply_adds_of_the_encoder_are_for_every_hit():
    inputs = inputs_of()
    network = made("vgg")
    one, two, most, all_cells = (multiply_adds(network, inputs, n) for n in (1, 2, 25, 99))
    pieces = 8 * (8 * 4) + 4 * 8 * 8 + 2 * 16 * 8 + 16 * 4
    assert two - one == pieces
    assert all_cells == most == one + 24 * pieces


def test_networks_of_the_comparison_are_of_one_size():
    """config/backbones.yaml: within 2 % of the multiply-adds of the default one, but for those
    whose pooling takes work away. The page says how many.
    """
    config = load_config(ROOT / "config" / "backbones.yaml")
    first = {name: one for name, one in config.networks.items() if "_seed" not in name}
    assert {one.model for one in first.values()} == set(OPTIONS)
    assert len(config.networks) == 3 * len(first)
    inputs = inputs_of(tile=6, bins=128)
    made = {
        name: build_model(find_model(one.model), inputs, one.options) for name, one in first.items()
    }
    counts = {name: multiply_adds(network, inputs) for name, network in made.items()}
    stated = re.findall(r"^\| (`\w+`) \| ([\d,]+) \| ([\d.]+) \|", PAGE.read_text(), re.MULTILINE)
    rows = {n: row[1:] for row in stated for n in re.findall("`(.*?)`", row[0])}
    assert rows == {
        name: (f"{n_parameters(network):,}", f"{counts[name] / 1e6:.2f}")
        for name, network in made.items()
    }
    for name, count in counts.items():
        limit = 0.11 if name == "grid_average" else 0.02
        assert abs(count / counts["grid"] - 1) < limit, name
        different = {k for k, v in vars(first[name]).items() if v != vars(first["grid"])[k]}
        assert different <= {"model", "options"}, name
