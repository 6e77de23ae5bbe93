"""The pieces of benchmarks/network_trials.py."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made_networks import SMALL, T, described, random_sample

from tashower.config import InputsConfig, load_config
from tashower.errors import InputError
from tashower.network.contracts import build_model, find_model
from tashower.network.sample import make_sample, take_batch
from tashower.network.tiles import STATION_FEATURES, WITH_SCORES, target_matrix

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import network_trials as script
from trials import judge, learn, pretraining, samples
from trials.catalogue import MODELS, RECIPES, TRIALS

sys.path.pop()

GRID = SMALL["grid"]
ROWS = np.arange(6)


def built(name, **options):
    torch.manual_seed(3)
    model = find_model(str(MODELS / f"{name}.py"))
    network = build_model(model, described(), GRID | {"dropout": 0.0} | options)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


class Stub(torch.nn.Module):
    """Says the same of every event, and keeps what it sees."""

    encodes_once = True

    def __init__(self, said):
        super().__init__()
        self.said = torch.tensor(said)

    def forward(self, *seen):
        self.seen = seen
        return self.said.expand(len(seen[0]), -1)


# ---- models


def test_the_equivariant_model_turns_with_the_tile(rng):
    network, sample = built("equivariant"), random_sample(rng, 6)
    plain = network(*take_batch(sample, ROWS, 0, "cpu")[:4])
    assert plain.std(dim=0).min() > 1e-3
    each = [
        network.turns.network(*take_batch(sample, ROWS, k, "cpu")[:4]).detach().numpy()
        @ target_matrix(k)
        for k in range(8)
    ]
    np.testing.assert_allclose(plain.detach(), np.mean(each, axis=0), atol=1e-4)
    for orientation in range(1, 8):
        said = network(*take_batch(sample, ROWS, orientation, "cpu")[:4])
        turn = torch.from_numpy(target_matrix(orientation)).float()
        torch.testing.assert_close(said, plain @ turn.T, atol=1e-4, rtol=1e-4)


def test_the_frame_of_the_shower_has_the_axis_along_x(rng):
    network = built("shower_frame")
    network.network = Stub([1.0, 0.0, 0.0, 2.0, 0.5])
    cells = torch.from_numpy(random_sample(rng, 3).tiles.cells)
    x, y, axis_x, axis_y = map(STATION_FEATURES.index, ("x", "y", "axis_x", "axis_y"))
    cells[..., axis_x] = torch.tensor([3.0, 0.0, 0.0])[:, None, None]
    cells[..., axis_y] = torch.tensor([4.0, 0.0, -2.0])[:, None, None]
    said = network(cells, torch.zeros(3, 0), torch.zeros(0, T, 2), torch.zeros(0, dtype=int))
    (seen, *_) = network.network.seen
    torch.testing.assert_close(seen[0, 0, 0, [axis_x, axis_y]], torch.tensor([5.0, 0.0]))
    along = 0.6 * cells[0, ..., x] + 0.8 * cells[0, ..., y]
    torch.testing.assert_close(seen[0, ..., x], along)
    torch.testing.assert_close(seen[1], cells[1])
    # Along the axis, and to the left of it; a vertical shower has x for its azimuth.
    wanted = [[0.6, 0.8, -1.6, 1.2, 0.5], [1.0, 0.0, 0.0, 2.0, 0.5], [0.0, -1.0, 2.0, 0.0, 0.5]]
    torch.testing.assert_close(said, torch.tensor(wanted))


def test_the_fine_edge_moves_with_the_waveform(rng):
    encoder = built("fine_edge").encoder
    with torch.no_grad():
        encoder.whole.out.weight.zero_()
        encoder.edge[0].weight[:, -1] = 0.0
    early = torch.zeros(2, T, 2)
    early[:, 8:12] = torch.rand(2, 4, 2) + 0.1
    late = early.roll(3, dims=1)
    torch.testing.assert_close(encoder(early), encoder(late))
    torch.testing.assert_close(encoder(early), encoder(early.roll(-8, dims=1)))  # none before 0
    other = early.clone()
    other[:, 9] += 1.0
    assert (encoder(other) - encoder(early)).abs().min() > 1e-4
    assert torch.isfinite(encoder(torch.zeros(1, T, 2))).all()


def test_weights_of_the_encoder_come_from_the_file(tmp_path):
    path = tmp_path / "encoder.pt"
    other = built("fine_edge").encoder.whole
    torch.save(other.state_dict(), path)
    made = find_model(str(MODELS / "pretrained.py")).make(described(), encoder=str(path), **GRID)
    assert torch.equal(made.encoder.out.weight, other.out.weight)


# ---- samples


@pytest.fixture(scope="module")
def chunk():
    return samples.throw(load_config({"seed": 11}), "train", 0, 60)


INPUTS = InputsConfig(tile=5)


def test_showers_are_thrown_once(tmp_path, monkeypatch):
    asked = []

    def thrown(config, split, first, n):
        asked.append((split, first, n))
        return first

    monkeypatch.setattr(samples, "throw", thrown)
    config = load_config()
    assert list(samples.throw_all(tmp_path, config, "train", 12_000)) == [0, 10_000]
    assert list(samples.throw_all(tmp_path, config, "train", 20_000)) == [0, 10_000]
    wanted = [(0, 10_000), (10_000, 2000), (10_000, 10_000)]
    assert asked == [("train", *one) for one in wanted]


@pytest.mark.slow
def test_numbers_of_hits_lie_beside_their_waveforms(chunk):
    fitted = chunk.fitted
    numbers = np.log1p(np.maximum(fitted.pulses.signal[:, [0, -1, 0]], 0.0))
    numbers[:, 2] = -2.5
    beside = samples.beside_waveforms(fitted, INPUTS, numbers)
    sample = make_sample(fitted, INPUTS, np.arange(len(fitted.fit)))
    event = np.repeat(np.arange(len(sample.rows)), np.diff(sample.first_waveform))
    cells = sample.tiles.cells.reshape(len(sample.rows), 25, -1)[event, sample.tiles.waveform_cell]
    of = [STATION_FEATURES.index(name) for name in ("log_upper", "log_lower")]
    assert len(beside) == len(event) > 300
    np.testing.assert_allclose(beside[:, :2], np.minimum(cells[:, of], 8.0), atol=0.01)
    np.testing.assert_allclose(beside[:, 2], -2.5, atol=0.01)


@pytest.mark.slow
def test_the_first_particle_comes_where_the_waveform_begins(chunk):
    events = chunk.fitted.events
    found = pretraining.onset_and_numbers(events, load_config({"seed": 11}), "train")
    known, edge = found[:, 0] == 1.0, chunk.fitted.pulses.arrival_time - events.hit_time
    assert 0.9 < known.mean() < 1.0  # accidental hits have no particle
    late = edge[known] - 400.0 * found[known, 1]
    assert 0.0 < np.nanmedian(late) < 60.0
    signal = chunk.fitted.pulses.signal.mean(axis=1)[known]
    assert np.corrcoef(np.log1p(signal), found[known, 2:].sum(axis=1))[0, 1] > 0.8


@pytest.mark.slow
def test_a_network_that_is_told_sees_more_of_every_hit(chunk):
    config = load_config({"networks": {"trial": RECIPES["complete_told"].entry}})
    settings = config.networks["trial"]
    sample = samples.usual(chunk, settings, config, "train")
    assert sample.tiles.cells.shape[-1] == len(WITH_SCORES)
    assert (sample.tiles.cells[..., len(STATION_FEATURES) :] != 0).any(axis=(1, 2, 3)).all()


# ---- judgement


@pytest.fixture
def judged(rng):
    true = rng.normal(0, 0.2, (500, 2))
    away = rng.normal(0, 0.01, (3, 500, 2))
    return samples.Judged(*(true + away * np.array([1.0, 2.0, 0.5])[:, None, None]), true)


def test_no_correction_and_a_perfect_one(judged):
    drawn = judge.draws(500, 1)
    none = judge.worth(judged, np.zeros((500, 5)), drawn)
    assert none.ev == pytest.approx(np.zeros(1 + judge.N_BOOTSTRAP), abs=1e-12)
    assert none.ev_free[0] == pytest.approx(0.75, abs=0.05)
    assert none.ratio[0] == pytest.approx(0.5, abs=0.05)
    assert none.ratio_complete[0] == pytest.approx(2.0, abs=0.2)
    best = np.zeros((500, 5))
    best[:, :2] = judged.true - judged.fitted
    perfect = judge.worth(judged, best, drawn)
    assert perfect.ev[0] == pytest.approx(1.0)
    assert perfect.ratio[0] == pytest.approx(0.0, abs=1e-6)


def test_angles_in_closed_form():
    one = np.array([[0.0, 0.0], [np.sin(0.3), 0.0], [0.0, 2.0]])
    other = np.array([[0.0, np.sin(0.1)], [np.sin(0.3 + 1e-5), 0.0], [0.0, 1.0]])
    wanted = np.degrees([0.1, 1e-5, 0.0])
    np.testing.assert_allclose(judge.opening_angle(one, other), wanted, atol=1e-9)


def test_differences_are_paired():
    noise = np.linspace(-1, 1, 201)
    mean, error, scatter = judge.mean_and_error([noise + 0.3, noise + 0.5], [noise, noise + 0.1])
    assert (mean, error) == (pytest.approx(0.35), pytest.approx(0.0, abs=1e-12))
    assert scatter == pytest.approx(0.05 * 2**0.5)


# ---- trials


def test_budgets_are_equal_in_events_seen():
    budget = learn.Budget(1000, 500, 12, 1)
    for name, recipe in RECIPES.items():
        showers, epochs = learn.sizes(recipe, budget)
        if name not in ("third", "equivariant_short") and not name.startswith("size_"):
            assert showers * epochs == 12_000, name
    assert learn.sizes(RECIPES["fresh"], budget) == (12_000, 1)
    assert learn.sizes(RECIPES["third"], budget) == (1000, 4)
    assert learn.sizes(RECIPES["size_24_48_3"], budget) == (1000, 5)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_configurations_of_models_that_are_there(name, tmp_path):
    recipe = RECIPES[name]
    options = {"encoder": str(tmp_path / "encoder.pt")} if recipe.pretrained else {}
    if recipe.pretrained:
        torch.save(find_model("grid").make(described()).encoder.state_dict(), options["encoder"])
    config = learn.configuration(recipe, learn.Budget(1000, 500, 12, 1), options)
    settings = config.networks["trial"]
    assert recipe.way in samples.WAYS
    build_model(find_model(settings.model), described(), settings.options)
    assert name in {trial.recipe for trial in TRIALS.values()}


def test_a_folder_is_for_one_budget(tmp_path):
    script.set_up(tmp_path, learn.Budget(10, 10, 2, 1))
    script.set_up(tmp_path, learn.Budget(10, 10, 2, 1))
    with pytest.raises(InputError, match="another budget"):
        script.set_up(tmp_path, learn.Budget(10, 10, 3, 1))


def test_what_fails_is_kept_and_the_others_go_on(tmp_path, monkeypatch, judged):
    asked = []

    def taught(root, name, number, budget):
        asked.append((name, number))
        if name == "set":
            raise ValueError("no such thing")
        found = np.zeros((500, 5))
        found[:, :2] = 0.1 * number * (judged.true - judged.fitted)
        about = {"seconds": 2.0, "events": 50, "epochs": 4, "commit": "0123456789"}
        stored = samples.Stored(tmp_path, judged, {})
        return about, learn.Answer(found, 2.0 * found), stored

    monkeypatch.setattr(script, "learn", taught)
    budget = learn.Budget(100, 50, 4, 1)
    names = ["set", "one_orientation", "ensemble"]
    text = script.table(tmp_path, names, 1, budget)
    assert asked == [
        ("default", 1),
        ("set", 1),
        ("default", 1),
        *(("default", k) for k in (1, 2, 3)),
    ]
    lines = {line.split("`")[1]: line for line in text.splitlines()[2:]}
    assert "**Failed:** ValueError: no such thing" in lines["set"]
    ev = {
        name: float(line.split("|")[3].split("±")[0])
        for name, line in lines.items()
        if name != "set"
    }
    assert ev == {"default": 0.19, "one_orientation": 0.36, "ensemble": 0.36}
    assert "3 x 50 x 4" in lines["ensemble"]
    assert "| 100 | 2 | 0123456 |" in lines["default"]
    del asked[:]
    script.table(tmp_path, ["set"], 1, budget)
    assert asked == [("default", 1)]


def test_one_failed_training_of_two_is_named(judged):
    zero = judge.worth(judged, np.zeros((500, 5)), judge.draws(500, 1))
    about = {"seconds": 2.0, "events": 50, "epochs": 4, "commit": "0123456789"}
    good, other = script.Cell(zero, [about]), script.Cell(zero, [about])
    found = script.row("ema", [good, "ValueError: no"], [other, other])
    assert found[1].endswith(". **One training failed:** ValueError: no")
    assert found[4] == "0"
    assert script.row("ema", [good, other], [other, "ValueError: no"])[4] == ""
    assert len(found) == len(script.COLUMNS)


def test_a_folder_of_another_budget_is_one_line(tmp_path, capsys):
    script.set_up(tmp_path, learn.Budget(10, 10, 2, 1))
    with pytest.raises(SystemExit) as ended:
        script.main([str(tmp_path)])
    assert ended.value.code == 2
    assert "another budget" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_every_trial_from_showers_to_the_table(tmp_path, capsys):
    words = [str(tmp_path), "--seeds", "1", "--showers", "480", "--validation", "100"]
    words += ["--epochs", "1"]
    script.main(words)
    first = capsys.readouterr().out
    assert first.count("| `") == len(TRIALS)
    assert "ailed" not in first
    assert not list(tmp_path.glob("trainings/*/checkpoint.pt*"))
    script.main(words)
    assert capsys.readouterr().out == first
