"""What every model passes: the built-in ones, and the file of docs/own_network.md."""

import inspect
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from tashower.config.networks import OPTIONS, NetworkConfig
from tashower.errors import InputError
from tashower.network.contracts import (
    ModelInputs,
    build_model,
    built_in,
    find_head,
    find_model,
    kept_model,
)
from tashower.network.layers import TileNetwork
from tashower.network.tiles import STATION_FEATURES
from tashower.reconstruction.features import EVENT_FEATURES

DOC = Path(__file__).resolve().parents[2] / "docs" / "own_network.md"
USERS = "docs/own_network.md"


def blocks(kind):
    """The fenced blocks of docs/own_network.md in a language."""
    return re.findall(rf"```{kind}\n(.*?)```", DOC.read_text(), re.DOTALL)


def described(n=4, bins=32, layers=2, features=True, waveforms=True, lattice="square", outputs=5):
    names = tuple(EVENT_FEATURES) if features else ()
    return ModelInputs(n, bins, layers, STATION_FEATURES, names, waveforms, lattice, outputs)


#: Descriptions that every model is built for.
INPUTS = {
    "square": described(),
    "larger": described(n=7, bins=100),
    "one layer": described(layers=1),
    "hexagonal": described(lattice="hexagonal"),
    "no event features": described(features=False),
    "no waveforms": described(waveforms=False),
    "stations alone": described(features=False, waveforms=False),
    "covariance": described(outputs=20),
}
#: Built-in models that need no lattice.
ANYWHERE = ("set",)


#: Inputs that the fast suite tries with models that share all but their layers over the grid.
FEW = ("square", "larger", "stations alone")


def tries(name, inputs):
    """A model and inputs, slow where the same parts were tried with them elsewhere."""
    shares = name not in ("grid", USERS)
    shares = shares and find_model(name).make.__annotations__.get("return") is TileNetwork
    slow = [pytest.mark.slow] if shares and inputs not in FEW else []
    return pytest.param(name, INPUTS[inputs], id=f"{name}-{inputs}", marks=slow)


MODELS = [*built_in("models"), USERS]
with_every_input = pytest.mark.parametrize(
    ("model", "inputs"),
    [tries(name, inputs) for name in MODELS for inputs in INPUTS],
    indirect=["model"],
)
every_model = pytest.mark.parametrize("model", MODELS, indirect=True)


@pytest.fixture(scope="module")
def model(request, tmp_path_factory):
    """A built-in model, or that of a user's file."""
    if request.param != USERS:
        return find_model(request.param)
    path = tmp_path_factory.mktemp("model") / "my_network.py"
    path.write_text(blocks("python")[0])
    return find_model(str(path))


def events(inputs, n=6, hits=3):
    """A batch of random content; `hits` stations of every event have a waveform."""
    generator = torch.Generator().manual_seed(4)
    shape = (n, inputs.tile, inputs.tile, len(inputs.station_features))
    hits = hits if inputs.waveforms else 0
    place = torch.arange(n)[:, None] * inputs.tile**2 + torch.tensor([1, 5, 14])[:hits]
    return (
        torch.randn(shape, generator=generator),
        torch.randn(n, len(inputs.event_features), generator=generator),
        torch.randn(n * hits, inputs.n_bins, inputs.n_layers, generator=generator),
        place.flatten(),
    )


def built(model, inputs, options=None):
    """The module, with parameters other than those it starts from: a trained one."""
    torch.manual_seed(2)
    network = build_model(model, inputs, options or {})
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


@with_every_input
def test_starts_at_no_correction(model, inputs):
    network = build_model(model, inputs, {}).eval()
    assert torch.equal(network(*events(inputs)), torch.zeros(6, inputs.n_outputs))


@with_every_input
def test_gradient_reaches_every_parameter(model, inputs):
    network = built(model, inputs).train()
    network(*events(inputs)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # A bias before batch normalisation would get none.
        assert parameter.grad.abs().max() > 0, name


@with_every_input
def test_events_of_a_batch_do_not_see_each_other(model, inputs):
    network, (cells, features, waveform, place) = built(model, inputs), events(inputs)
    whole, cells_of_one = network(cells, features, waveform, place), inputs.tile**2
    for i in range(len(cells)):
        mine = place // cells_of_one == i
        one = network(
            cells[i : i + 1], features[i : i + 1], waveform[mine], place[mine] - i * cells_of_one
        )
        torch.testing.assert_close(one, whole[i : i + 1], atol=1e-4, rtol=1e-3)
    assert (whole[0] - whole[1]).abs().max() > 1e-3  # and they are not all alike


@with_every_input
def test_events_without_any_waveform(model, inputs):
    out = built(model, inputs)(*events(inputs, hits=0))
    assert out.shape == (6, inputs.n_outputs)
    assert torch.isfinite(out).all()


@every_model
def test_the_same_seed_gives_the_same_start(model):
    one, two = built(model, INPUTS["square"]), built(model, INPUTS["square"])
    for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@every_model
def test_an_option_that_does_not_exist_is_named(model):
    with pytest.raises(InputError, match=r"no option widht; it has \w+, "):
        build_model(model, INPUTS["square"], {"widht": 3})


def test_the_configuration_knows_the_built_in_ones():
    for head in built_in("heads"):
        assert NetworkConfig(head=head).head == head
    assert sorted(OPTIONS) == built_in("models")
    for name, kind in OPTIONS.items():
        given = inspect.signature(find_model(name).make).parameters.values()
        assert {p.name: p.default for p in given if p.kind is p.KEYWORD_ONLY} == asdict(kind())


@pytest.mark.parametrize("name", ANYWHERE)
def test_stations_without_a_lattice(name):
    inputs = described(lattice="irregular")
    network, (cells, features, waveform, place) = (built(find_model(name), inputs), events(inputs))
    base = network(cells, features, waveform, place)
    # Neither the order of the stations nor what stands where there is none matters.
    order = torch.randperm(inputs.tile**2, generator=torch.Generator().manual_seed(3))
    cells_of_one, moved = inputs.tile**2, torch.argsort(order)
    other = cells.flatten(1, 2)[:, order].view_as(cells)
    to = place // cells_of_one * cells_of_one + moved[place % cells_of_one]
    torch.testing.assert_close(network(other, features, waveform, to), base, atol=1e-4, rtol=1e-3)
    exists = inputs.station_features.index("exists")
    absent = cells[..., exists] <= 0
    other = cells.clone()
    other[absent] += 1.0 * (torch.arange(cells.shape[3]) != exists)
    torch.testing.assert_close(network(other, features, waveform, place), base)
    # But each that is there does.
    there = (~absent).nonzero()[0]
    other = cells.clone()
    other[*there, inputs.station_features.index("x")] += 1.0
    assert (network(other, features, waveform, place) - base).abs().max() > 1e-3
    # And nothing fails where there is none at all.
    cells[..., exists] = 0.0
    assert torch.isfinite(network(cells, features, waveform, place)).all()


@pytest.mark.parametrize("name", sorted(set(built_in("models")) - set(ANYWHERE)))
def test_a_model_of_the_grid_refuses_stations_without_a_lattice(name):
    with pytest.raises(InputError, match=r"grid needs .* lattice.*: model set takes any"):
        build_model(find_model(name), described(lattice="irregular"), {})


def test_every_option_of_set_matters():
    sizes = {"waveform_channels": 8, "station_channels": 8, "attention_layers": 1, "heads": 2}
    sizes |= {"dense_channels": 16}
    made, inputs = find_model("set"), INPUTS["square"]

    def shapes(options):
        return [tuple(p.shape) for p in build_model(made, inputs, options).parameters()]

    sizes |= {"places": 3}
    for name in ("waveform_channels", "station_channels", "attention_layers", "places"):
        assert shapes(sizes | {name: sizes[name] + 4}) != shapes(sizes), name
    assert shapes(sizes | {"dense_channels": 20}) != shapes(sizes)
    outputs = [built(made, inputs, sizes | {"heads": n})(*events(inputs)) for n in (2, 4)]
    assert (outputs[0] - outputs[1]).abs().max() > 1e-3
    wet = build_model(made, inputs, sizes | {"dropout": 0.5})
    assert [m.p for m in wet.modules() if isinstance(m, torch.nn.Dropout)] == [0.5, 0.5]
    with pytest.raises(InputError, match=r"station_channels \(8\) is no multiple of heads \(3\)"):
        build_model(made, inputs, sizes | {"heads": 3})


def write(path, text):
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "defines no function model"),
        ("import absent_package", "ModuleNotFoundError"),
        ("def model(:", "SyntaxError"),
    ],
)
def test_a_file_that_defines_no_model(tmp_path, text, words):
    with pytest.raises(InputError, match=rf"m\.py.*{words}"):
        find_model(write(tmp_path / "m.py", text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def model(inputs, width): ...", "option width is missing"),
        ("def model(inputs): return 1 / 0", "ZeroDivisionError"),
        (
            "import torch\nclass M(torch.nn.Module):\n"
            "    def forward(self, cells, *_): return cells[:, 0, 0, :3]\n"
            "def model(inputs): return M()",
            r"for 2 events is \(2, 3\), not \(2, 5\)",
        ),
    ],
)
def test_a_model_that_cannot_be_built(tmp_path, text, words):
    with pytest.raises(InputError, match=rf"m\.py.*{words}"):
        build_model(find_model(write(tmp_path / "m.py", text)), INPUTS["square"], {})


def test_names_that_are_none():
    with pytest.raises(InputError, match=r"model gird: is none of .*, grid, .*, and no file"):
        find_model("gird")
    with pytest.raises(InputError, match=r"head median: is none of flow, gaussian, mean"):
        find_head("median")


def test_code_of_a_checkpoint_is_run_only_from_a_file_with_its_checksum(tmp_path):
    mark = tmp_path / "ran"
    text = f"open({str(mark)!r}, 'a').write('x')\ndef model(inputs): ...\n"
    path = tmp_path / "m.py"
    found = find_model(write(path, text))
    kept = {"form": found.form, "source": found.source, "sha256": found.sha256}
    assert found.source == text
    mark.unlink()
    assert kept_model(kept, "c.pt").sha256 == found.sha256  # lies where it lay
    assert mark.read_text() == "x"
    other = write(tmp_path / "other.py", text + "# changed\n")
    for named, where in ((other, r"other\.py is not that file"), ("no.py", r"no\.py is not there")):
        with pytest.raises(InputError, match=rf"c\.pt: .*{where} .*--model"):
            kept_model(kept, "c.pt", named)
    path.rename(tmp_path / "moved.py")
    with pytest.raises(InputError, match=r"m\.py is not there"):
        kept_model(kept, "c.pt")
    assert mark.read_text() == "x"  # none of these ran
    assert kept_model(kept, "c.pt", str(tmp_path / "moved.py")).sha256 == found.sha256
    assert mark.read_text() == "xx"
    with pytest.raises(InputError, match="built-in model grid"):
        kept_model({"form": "grid", "source": "", "sha256": ""}, "c.pt", other)


def test_blocks_of_the_documentation_are_there():
    assert len(blocks("python")) == len(blocks("yaml")) == 1
    assert np.sum([len(text.splitlines()) for text in blocks("python") + blocks("yaml")]) < 32
