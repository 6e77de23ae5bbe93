"""Options of the training, each against a closed form of one or two steps."""

import json

import numpy as np
import pytest
import torch
from network.test_network import made_sample, unit_norm, untrained
from scipy.stats import vonmises_fisher
from torch import nn

from tashower.config import as_dict, load_config
from tashower.errors import InputError
from tashower.io.stages import made_by
from tashower.network.contracts import find_head, find_model
from tashower.network.epoch import Learner, Run, end_epoch, loss_of, train_epoch
from tashower.network.heads import mean
from tashower.network.normalisation import normalise
from tashower.network.optimisation import (
    averages_epoch,
    initialise,
    make_average,
    make_optimiser,
    make_schedule,
    measure_normalisations,
    penalty,
    prepare_gradients,
)
from tashower.network.predict import Trained
from tashower.network.processes import Processes
from tashower.network.sample import take_batch
from tashower.network.tiles import STATION_FEATURES
from tashower.network.training import _waited

RATE = 0.1
START = torch.tensor([[2.0, -0.5]])


def settings(**training):
    """A training without clipping, warm-up and weight decay, but for what is given."""
    base = {
        "learning_rate": RATE,
        "weight_decay": 0.0,
        "gradients": {"clip": "none"},
        "schedule": {"name": "constant", "warm_up": 0.0},
    }
    return load_config({"training": base}, {"training": training}).training


def linear(weight=START):
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight.data.copy_(weight)
    return layer


def stepped(steps, slope=1.0, **training):
    """Weights after steps on the loss slope |w|^2 / 2, whose gradient is slope w; float64."""
    layer = linear().double()
    optimiser = make_optimiser(layer, settings(**training))
    for _ in range(steps):
        optimiser.zero_grad()
        (0.5 * slope * layer.weight.square().sum()).backward()
        optimiser.step()
    return layer.weight.detach()


def nesterov(w, mu):
    """Sutskever et al. 2013, eq. 3 and 4, in v and theta; torch's weights are theta + mu v."""
    theta, v = w, torch.zeros_like(w)
    for _ in range(2):
        v = mu * v - RATE * (theta + mu * v)
        theta = theta + v
    return theta + mu * v


def adam(w, b1, b2):
    """Kingma and Ba 2015, algorithm 1, two steps."""
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for t in (1, 2):
        m, v = b1 * m + (1 - b1) * w, b2 * v + (1 - b2) * w**2
        w = w - RATE * (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + 1e-8)
    return w


def adadelta(w, rho):
    """Zeiler 2012, algorithm 1, two steps, with torch's epsilon."""
    squares, moves = torch.zeros_like(w), torch.zeros_like(w)
    for _ in range(2):
        squares = rho * squares + (1 - rho) * w**2
        move = ((moves + 1e-6) / (squares + 1e-6)).sqrt() * w
        moves, w = rho * moves + (1 - rho) * move**2, w - RATE * move
    return w


W = START.double()
W1 = W - RATE * W  # after a step of plain descent


@pytest.mark.parametrize(
    ("optimiser", "steps", "wanted"),
    [
        ({"name": "sgd"}, 2, W * (1 - RATE) ** 2),
        ({"name": "sgd", "momentum": 0.8}, 2, W1 - RATE * (0.8 * W + W1)),
        ({"name": "sgd", "momentum": 0.8, "nesterov": True}, 2, nesterov(W, 0.8)),
        ({"name": "rmsprop", "rho": 0.75}, 1, W - RATE * W.sign() / 0.25**0.5),
        ({"name": "rmsprop"}, 1, W - RATE * W.sign() / 0.1**0.5),
        ({"name": "adagrad"}, 1, W - RATE * W.sign()),
        ({"name": "adadelta", "rho": 0.75}, 2, adadelta(W, 0.75)),
        ({"name": "adadelta"}, 2, adadelta(W, 0.9)),
        ({"name": "adam"}, 1, W - RATE * W.sign()),
        ({"name": "adam", "beta1": 0.6, "beta2": 0.7}, 2, adam(W, 0.6, 0.7)),
        ({"name": "adamw", "beta1": 0.6, "beta2": 0.7}, 2, adam(W, 0.6, 0.7)),
        ({}, 2, adam(W, 0.9, 0.999)),
    ],
)
def test_steps_of_every_optimiser(optimiser, steps, wanted):
    torch.testing.assert_close(stepped(steps, optimiser=optimiser), wanted, rtol=1e-6, atol=1e-9)


def test_momentum_of_rmsprop_and_the_sum_of_adagrad():
    """Their second steps."""
    one = stepped(1, optimiser={"name": "rmsprop"})
    plain = stepped(2, optimiser={"name": "rmsprop"})
    kept = stepped(2, optimiser={"name": "rmsprop", "momentum": 0.5})
    torch.testing.assert_close(kept - plain, 0.5 * (one - W))
    one = W - RATE * W.sign()
    wanted = one - RATE * one / (W**2 + one**2).sqrt()
    torch.testing.assert_close(stepped(2, optimiser={"name": "adagrad"}), wanted)


@pytest.mark.parametrize("name", ["adamw", "sgd", "rmsprop", "adagrad", "adadelta"])
def test_decoupled_weight_decay_takes_its_part_of_the_weight_whatever_the_gradient(name):
    for slope in (0.0, 1.0, 7.0):
        plain = stepped(1, slope, optimiser={"name": name})
        found = stepped(1, slope, optimiser={"name": name}, weight_decay=0.5)
        torch.testing.assert_close(found - plain, -RATE * 0.5 * W)


def test_decay_follows_the_learning_rate():
    layer = linear()
    optimiser = make_optimiser(layer, settings(optimiser={"name": "sgd"}, weight_decay=0.5))
    optimiser.param_groups[0]["lr"] = 0.02
    layer.weight.grad = torch.zeros_like(layer.weight)
    optimiser.step()
    torch.testing.assert_close(layer.weight.detach(), START * (1 - 0.02 * 0.5))


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.2), (0.3, 0.2)])
def test_penalties_of_weights_alone(l1, l2):
    network = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    network[0].weight.data.copy_(START)
    found = penalty(network, settings(penalty={"l1": l1, "l2": l2}))
    assert found.item() == pytest.approx(l1 * 2.5 + l2 * 4.25)
    found.backward()
    torch.testing.assert_close(network[0].weight.grad, l1 * START.sign() + 2 * l2 * START)
    assert all(p.grad is None for p in (network[0].bias, *network[1].parameters()))
    assert penalty(network, settings()) == 0.0


def with_gradients(seed=1):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Linear(5, 2))
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter) + 1.0
    return network, [p.grad.clone() for p in network.parameters()]


def test_centralised_gradients_have_mean_zero_over_the_inputs():
    network, before = with_gradients()
    prepare_gradients(network.parameters(), settings(gradients={"centralise": True}))
    for parameter, was in zip(network.parameters(), before, strict=True):
        if parameter.ndim == 1:
            assert torch.equal(parameter.grad, was)
            continue
        inputs = tuple(range(1, parameter.ndim))
        torch.testing.assert_close(parameter.grad.mean(dim=inputs), torch.zeros(len(was)))
        moved = (was - parameter.grad).flatten(1)
        torch.testing.assert_close(moved, moved[:, :1].expand_as(moved))


@pytest.mark.parametrize("limit", [0.3, 100.0])
def test_clipping(limit):
    def found(**gradients):
        network, before = with_gradients()
        prepare_gradients(network.parameters(), settings(gradients=gradients))
        after = torch.cat([p.grad.flatten() for p in network.parameters()])
        return torch.cat([g.flatten() for g in before]), after

    before, after = found(clip="norm", limit=limit)
    torch.testing.assert_close(after, before * min(1.0, limit / before.norm().item()))
    before, after = found(clip="value", limit=limit)
    assert torch.equal(after, before.clamp(-limit, limit))
    before, after = found()
    assert torch.equal(after, before)
    # The mean goes before the limit is asked.
    _, after = found(clip="norm", limit=0.3, centralise=True)
    assert after.norm().item() == pytest.approx(0.3, rel=1e-4)


def rates(steps, losses=(), per_epoch=1, **training):
    """Learning rate of every step, with a validation loss after every epoch."""
    layer = linear()
    chosen = settings(**training)
    optimiser = make_optimiser(layer, chosen)
    schedule, plateau = make_schedule(optimiser, chosen, steps)
    found, losses = [], iter(losses)
    for step in range(steps):
        found.append(optimiser.param_groups[0]["lr"] / RATE)
        optimiser.step()
        schedule.step()
        if plateau is not None and (step + 1) % per_epoch == 0:
            plateau.step(next(losses))
    return found


def test_warm_up_cosine_and_constant():
    t = np.arange(40)
    cosine = 0.5 * (1 + np.cos(np.pi * t / 40))
    found = rates(40, schedule={"name": "cosine", "warm_up": 0.25})
    np.testing.assert_allclose(found, np.minimum(1, (t + 1) / 10) * cosine, rtol=1e-12)
    usual = rates(40, schedule={"name": "cosine"})
    np.testing.assert_allclose(usual, np.minimum(1, (t + 1) / 4) * cosine, rtol=1e-12)
    found = rates(40, schedule={"name": "constant", "warm_up": 0.25})
    np.testing.assert_allclose(found, np.minimum(1, (t + 1) / 10), rtol=1e-12)
    assert rates(40) == [1.0] * 40


PLATEAU = {"name": "reduce_on_plateau", "warm_up": 0.0, "factor": 0.1, "patience": 1}


@pytest.mark.parametrize(
    ("change", "losses", "wanted"),
    [
        # Lowered when a second epoch in a row is no better; equal is no better.
        ({}, [5, 5, 4, 4, 4, 4, 4], [1, 1, 1, 1, 1, 0.1, 0.1]),
        ({"patience": 0}, [5, 6, 6, 1], [1, 1, 0.1, 0.01]),
        ({"patience": 2}, [5, 6, 6, 6, 6], [1, 1, 1, 1, 0.1]),
        ({"factor": 0.5}, [5, 6, 6, 6, 6, 6], [1, 1, 1, 0.5, 0.5, 0.25]),
        # Better by 0.3 at a time is not better by more than 0.5.
        ({"min_delta": 0.5}, [5, 4.7, 4.4, 4.1, 3.8], [1, 1, 1, 1, 1]),
        ({"min_delta": 0.7}, [5, 4.7, 4.4, 4.1, 3.8], [1, 1, 1, 0.1, 0.1]),
        ({"min_delta": 0.7}, [5, 4.2, 5, 5, 5], [1, 1, 1, 1, 0.1]),
        # Two epochs after a lowering do not count; without, it is lowered again at once.
        ({"patience": 0, "cooldown": 2}, [5, 6, 6, 6, 6, 6], [1, 1, 0.1, 0.1, 0.1, 0.01]),
        ({"patience": 0}, [5, 6, 6, 6, 6, 6], [1, 1, 0.1, 0.01, 1e-3, 1e-4]),
        # The bound itself is reached, and kept.
        (
            {"patience": 0, "min_learning_rate": 0.03 * RATE},
            [5, 6, 6, 6, 6],
            [1, 1, 0.1, 0.03, 0.03],
        ),
        ({"patience": 0, "factor": 1e-5}, [5, 6, 6, 6, 6], [1, 1, 1e-5, 1e-10, 1e-15]),
    ],
)
def test_the_rate_falls_on_a_plateau_exactly_when_it_should(change, losses, wanted):
    found = rates(len(losses), losses, schedule=PLATEAU | change)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_a_plateau_during_the_warm_up():
    """The rise goes on from what was lowered."""
    schedule = PLATEAU | {"patience": 0, "factor": 0.5, "warm_up": 1.0}
    found = rates(8, [1, 2], per_epoch=4, schedule=schedule)
    np.testing.assert_allclose(found, np.arange(1, 9) / 8, rtol=1e-12)
    found = rates(12, [1, 2, 3], per_epoch=4, schedule=schedule)
    wanted = np.arange(1, 13) / 12 * np.repeat([1, 1, 0.5], 4)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_patience_of_early_stopping_with_min_delta():
    def waited(losses, delta=0.0):
        return _waited([{"validation_loss": loss} for loss in losses], delta)

    assert [waited(losses) for losses in ([], [3], [3, 3], [3, 4, 2.9], [3, 4, 4])] == [
        *(0, 0, 1, 0, 2)
    ]
    slow = [3.0, 2.75, 2.5, 2.25]
    assert [waited(slow, delta) for delta in (0.0, 0.25, 0.5, 1.0)] == [0, 1, 0, 3]


@pytest.mark.parametrize("kind", ["xavier_uniform", "xavier_normal", "he_uniform", "he_normal"])
def test_variances_of_the_initial_weights(kind):
    torch.manual_seed(3)
    layers = nn.Linear(300, 500), nn.Conv2d(40, 60, 3), nn.Conv1d(50, 90, 4)
    initialise(nn.Sequential(*layers), kind)
    for layer, n_in, n_out in zip(
        layers, (300, 9 * 40, 4 * 50), (500, 9 * 60, 4 * 90), strict=True
    ):
        variance = 2 / (n_in + n_out) if kind.startswith("xavier") else 2 / n_in
        weight = layer.weight.detach()
        assert weight.var().item() == pytest.approx(variance, rel=0.03)
        assert abs(weight.mean().item()) < 5 * (variance / weight.numel()) ** 0.5
        # Kurtosis of a uniform distribution 1.8, of a normal one 3.
        kurtosis = (weight**4).mean().item() / variance**2
        assert kurtosis == pytest.approx(1.8 if kind.endswith("uniform") else 3.0, rel=0.1)
        assert not layer.bias.any()


def test_orthogonal_weights():
    layer = nn.Linear(20, 7)
    initialise(layer, "orthogonal")
    torch.testing.assert_close(layer.weight @ layer.weight.T, torch.eye(7), atol=1e-5, rtol=0)


def test_what_the_model_sets_to_zero_stays_so(rng):
    """Training starts from no correction, whatever the initialisation; "model" changes nothing."""
    torch.manual_seed(1)
    own = untrained().state_dict()
    sample = made_sample(rng)
    batch = normalise(take_batch(sample, np.arange(8), 0, "cpu"), unit_norm(), True)
    for kind in ("model", "xavier_uniform", "he_normal", "orthogonal"):
        torch.manual_seed(1)
        network = untrained().eval()
        initialise(network, kind)
        assert not network(*batch[:4]).any()
        found = network.state_dict()
        same = {key for key in own if torch.equal(own[key], found[key])}
        changed = {name for name in own if name.endswith("weight") and ".norm." not in name}
        changed -= {"head.5.weight"}
        assert not (same & changed if kind != "model" else own.keys() - same)


def test_exponential_average_of_the_steps():
    chosen, layer = settings(averaging={"name": "ema", "decay": 0.7}), linear()
    average = make_average(layer, chosen)
    steps = torch.randn(6, 1, 2)
    for weight in steps:
        layer.weight.data.copy_(weight)
        average.update_parameters(layer)
    # The first step weighs 0.7^5, the others 0.3 0.7^(5 - k).
    share = torch.tensor([0.7**5, *(0.3 * 0.7 ** (5 - k) for k in range(1, 6))])
    torch.testing.assert_close(average.module.weight.detach(), torch.tensordot(share, steps, 1))
    assert make_average(layer, settings()) is None
    # Running statistics, too.
    norm = nn.BatchNorm1d(2)
    average = make_average(norm, chosen)
    for value in (1.0, 2.0):
        norm.running_mean.fill_(value)
        average.update_parameters(norm)
    torch.testing.assert_close(average.module.running_mean, torch.full((2,), 1.3))


def test_mean_of_the_last_epochs():
    chosen, layer = settings(averaging={"name": "swa", "start": 0.5}, epochs=8), linear()
    assert [averages_epoch(chosen, epoch) for epoch in range(8)] == 4 * [False] + 4 * [True]
    third = settings(averaging={"name": "swa", "start": 0.3}, epochs=10)
    assert [averages_epoch(third, epoch) for epoch in (2, 3)] == [False, True]
    assert not averages_epoch(settings(averaging={"name": "ema"}), 12)
    average, ends = make_average(layer, chosen), torch.randn(4, 1, 2)
    for weight in ends:
        layer.weight.data.copy_(weight)
        average.update_parameters(layer)
    torch.testing.assert_close(average.module.weight.detach(), ends.mean(dim=0))


def test_normalisations_of_averaged_weights_are_measured():
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1)).eval()

    class OfFour(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x, *others):
            return self.network(x)

    data = torch.randn(5, 16, 3) * 4.0 + 2.0
    measure_normalisations(OfFour(), ((part, 0, 0, 0) for part in data))
    torch.testing.assert_close(network[0].running_mean, data.mean(dim=(0, 1)))
    torch.testing.assert_close(network[0].running_var, data.var(dim=1).mean(dim=0))


CLIPPED = {"clip": "norm", "limit": 0.01}


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"gradients": CLIPPED},
        {"gradients": {"clip": "value", "limit": 1e-3}},
        {"gradients": CLIPPED | {"centralise": True}},
        {"penalty": {"l1": 0.02, "l2": 0.01}},
        {"weight_decay": 0.5},
        {"averaging": {"name": "ema", "decay": 0.25}},
        {"averaging": {"name": "swa", "start": 0.0}, "epochs": 2},
        {"schedule": {"name": "constant", "warm_up": 1.0}},
    ],
)
def test_an_epoch_does_what_the_configuration_says(rng, training):
    """Two steps of plain descent by hand: gradient, penalty, centralised, limited, step, average;
    the reported loss is without the penalty.
    """
    sample, head = made_sample(rng, 16), find_head("mean")
    options = {"optimiser": {"name": "sgd"}, "augment": False, "batch_size": 8, "epochs": 1}
    chosen = settings(**(options | training))
    torch.manual_seed(2)
    network = untrained()
    network.grid = nn.Identity()  # no batch normalisation: sums of events are those of batches
    nn.init.normal_(network.head[-1].weight)
    torch.manual_seed(2)
    by_hand = untrained()
    by_hand.grid = nn.Identity()
    by_hand.load_state_dict(network.state_dict())
    config = load_config({"networks": {"a": {}}})
    entry = config.networks["a"].__class__(training=chosen)
    code = find_model("grid"), head
    run = Run("a", 1, entry, *code, torch.device("cpu"), Processes())
    optimiser = make_optimiser(network, chosen)
    learner = Learner(
        network, optimiser, *make_schedule(optimiser, chosen, 2), make_average(network, chosen)
    )
    trained = Trained(network, head, unit_norm(), event_features=True)
    found_loss = train_epoch(learner, trained, sample, run, 0)
    judged = end_epoch(learner, trained, sample, run, 0)

    from tashower.network.epoch import batches

    weights, losses = [], []
    parameters = list(by_hand.parameters())
    for step, (batch, _) in enumerate(batches(sample, run, 0)[1]):
        ready = normalise(batch, unit_norm(), True)
        loss = head.loss(by_hand(*ready[:4]), ready[4])
        gradients = list(torch.autograd.grad(loss, parameters))
        losses.append(loss.item())
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            if p.ndim > 1:
                g = g + chosen.penalty.l1 * p.detach().sign() + 2 * chosen.penalty.l2 * p.detach()
                if chosen.gradients.centralise:
                    g = g - g.flatten(1).mean(dim=1).reshape(-1, *[1] * (p.ndim - 1))
            gradients[i] = g
        norm = torch.cat([g.flatten() for g in gradients]).norm()
        rate = RATE * (0.5 * (step + 1) if chosen.schedule.warm_up else 1.0)
        for p, g in zip(parameters, gradients, strict=True):
            if chosen.gradients.clip == "norm":
                g = g * chosen.gradients.limit / norm
            elif chosen.gradients.clip == "value":
                g = g.clamp(-chosen.gradients.limit, chosen.gradients.limit)
            p.data.mul_(1 - rate * chosen.weight_decay).sub_(rate * g)
        weights.append([p.detach().clone() for p in parameters])
    assert found_loss == pytest.approx(np.mean(losses), rel=1e-5)
    for p, q in zip(network.parameters(), parameters, strict=True):
        torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-4, atol=1e-6)
    kept = judged.network.parameters()
    for p, one, two in zip(kept, *weights, strict=True):
        wanted = 0.25 * one + 0.75 * two if chosen.averaging.name == "ema" else two
        torch.testing.assert_close(p.detach(), wanted, rtol=1e-4, atol=1e-6)
    assert (judged.network is network) == (chosen.averaging.name == "none")


@pytest.mark.parametrize(
    ("training", "line"),
    [
        (
            {"optimiser": {"momentum": 0.9}},
            "optimiser.momentum: has no meaning with adamw, only with sgd and rmsprop",
        ),
        (
            {"optimiser": {"name": "sgd", "nesterov": True}},
            "optimiser.nesterov: needs a momentum above 0",
        ),
        (
            {"optimiser": {"name": "rmsprop", "momentum": 0.9, "nesterov": True}},
            "optimiser.nesterov: has no meaning with rmsprop, only with sgd",
        ),
        (
            {"optimiser": {"name": "sgd", "beta2": 0.9}},
            "optimiser.beta2: has no meaning with sgd, only with adamw and adam",
        ),
        (
            {"optimiser": {"name": "adagrad", "rho": 0.5}},
            "optimiser.rho: has no meaning with adagrad, only with rmsprop and adadelta",
        ),
        (
            {"optimiser": {"name": "adam"}},
            "optimiser: adam has no weight_decay (0.01): set it to 0, or choose adamw",
        ),
        ({"optimiser": {"name": "sgd", "momentum": 1.0}}, "optimiser.momentum: must be < 1, not 1"),
        (
            {"optimiser": {"momentun": 0.5}},
            "optimiser.momentun: unknown; did you mean training.optimiser.momentum?",
        ),
        (
            {"schedule": {"cooldown": 1}},
            "schedule.cooldown: has no meaning with cosine, only with reduce_on_plateau",
        ),
        (
            {"schedule": {"name": "constant", "factor": 0.1}},
            "schedule.factor: has no meaning with constant, only with reduce_on_plateau",
        ),
        (
            {"schedule": {"name": "reduce_on_plateau", "min_learning_rate": 0.1}},
            "schedule: min_learning_rate (0.1) is above learning_rate (0.003)",
        ),
        (
            {"gradients": {"clip": "none", "limit": 2}},
            "gradients.limit: has no meaning with none, only with norm and value",
        ),
        (
            {"averaging": {"name": "swa", "decay": 0.9}},
            "averaging.decay: has no meaning with swa, only with ema",
        ),
        ({"penalty": {"l1": -1}}, "penalty.l1: must be >= 0, not -1"),
    ],
)
def test_what_has_no_meaning_is_refused_in_one_line(training, line):
    for where, values in (
        ("training", {"training": training, "networks": {"a": {}, "b": {}}}),
        ("networks.a.training", {"networks": {"a": {"training": training}, "b": {}}}),
    ):
        with pytest.raises(InputError) as refused:
            load_config(values)
        said = line.replace("training.opt", f"{where}.opt")
        assert str(refused.value) == f"configuration: {where}.{said}"


def test_another_optimiser_takes_none_of_the_keys_of_the_one_below():
    below = {"optimiser": {"name": "sgd", "momentum": 0.9, "nesterov": True}}
    entries = {
        "a": {"training": {"optimiser": {"name": "adagrad"}}},
        "b": {"training": {"optimiser": {"momentum": 0.5}}},
        "c": {"training": {"optimiser": {"name": "sgd", "momentum": 0.4}}},
    }
    config = load_config({"training": below, "networks": entries})
    found = [network.training.optimiser for network in config.networks.values()]
    assert [(o.name, o.momentum, o.nesterov) for o in found] == [
        *(("adagrad", 0.0, False), ("sgd", 0.5, True), ("sgd", 0.4, True))
    ]
    assert load_config(json.dumps(as_dict(config))) == config


def test_every_option_decides_what_a_training_makes():
    def made(**entry):
        return made_by("train", as_dict(load_config({"networks": {"a": entry}})), network="a")

    changes = [
        {"loss": "gaussian"},
        *(
            {"training": change}
            for change in (
                {"optimiser": {"name": "sgd"}},
                {"gradients": {"centralise": True}},
                {"penalty": {"l1": 1.0}},
                {"schedule": {"warm_up": 0.2}},
                {"averaging": {"name": "ema"}},
                {"initialisation": "he_normal"},
                {"checkpoints": "weights"},
                {"tensorboard": True},
                {"min_delta": 0.1},
            )
        ),
    ]
    found = [json.dumps(made(**change)) for change in changes]
    assert len({json.dumps(made()), *found}) == 1 + len(changes)


def test_losses_of_the_mean():
    """Squares without a tail; -ln of Fisher's density but for a constant, at any zenith."""
    torch.manual_seed(5)
    output, target = torch.randn(60, 5), torch.randn(60, 5)
    weights = np.array(mean.TARGET_WEIGHTS)
    squares = 0.5 * ((output - target).numpy() ** 2 * weights).mean()
    head = find_head("mean", "gaussian")
    assert head.loss(output, target).item() == pytest.approx(squares, rel=1e-5)
    assert head.loss(9 * output, 0 * target) == pytest.approx(81 * head.loss(output, 0 * target))
    assert head.predict is mean.predict

    width, fitted = 0.02, 0.6 * torch.rand(60, 2)
    found = mean.von_mises_fisher(output, target, fitted, torch.tensor(width)).item()

    def unit(cosines):
        x, y = (fitted + width * cosines[:, :2]).double().numpy().T
        return np.stack([x, y, np.sqrt(1 - x**2 - y**2)], axis=1)

    axes = zip(unit(output), unit(target), strict=True)
    kappa = 1 / width**2
    each = [
        vonmises_fisher(m, kappa).logpdf(m) - vonmises_fisher(m, kappa).logpdf(t) for m, t in axes
    ]
    rest = 0.5 * ((output - target).numpy()[:, 2:] ** 2 * weights[2:]).sum(axis=1)
    assert found == pytest.approx((np.array(each) + rest).mean() / 5, rel=1e-4)
    # Small corrections of vertical showers: the normal distribution.
    small = mean.von_mises_fisher(output, target, 0 * fitted, torch.tensor(1e-3))
    assert small.item() == pytest.approx(squares, rel=1e-3)
    # Beyond the horizon it stays finite, and so does its gradient.
    far = torch.full((3, 5), 100.0, requires_grad=True)
    mean.von_mises_fisher(far, target[:3], fitted[:3], torch.tensor(width)).backward()
    assert far.grad.isfinite().all()


@pytest.mark.parametrize("orientation", range(8))
def test_fishers_loss_knows_the_fit_from_the_tile(rng, orientation):
    """In any orientation, the angle between the directions that are meant."""
    sample = made_sample(rng, 12)
    cosines = rng.uniform(-0.6, 0.6, size=(12, 2)).astype(np.float32)
    exists, x, y = (STATION_FEATURES.index(key) for key in ("exists", "axis_x", "axis_y"))
    cells = sample.tiles.cells
    cells[..., exists] = rng.random(cells.shape[:3]) < 0.7
    cells[..., [x, y]] = cells[..., [exists]] * cosines[:, None, None]
    cells[-1, ..., [exists, x, y]] = 0.0  # no station at all: upright
    cosines[-1] = 0.0
    norm = unit_norm()
    norm["target_width"] = torch.tensor([0.1, 0.1, 1.0, 1.0, 1.0])
    trained = Trained(nn.Identity(), find_head("mean", "von_mises_fisher"), norm, True)
    cells, *_, targets = take_batch(sample, np.arange(12), orientation, "cpu")
    found = loss_of(trained, torch.zeros(12, 5), targets / norm["target_width"], cells)
    true = cosines + sample.targets[:, :2]

    def unit(n):
        up = np.sqrt(np.maximum(1 - (n**2).sum(axis=1, keepdims=True), 1e-12))
        n = np.concatenate([n, up], axis=1)
        return n / np.linalg.norm(n, axis=1, keepdims=True)

    wanted = (1 - (unit(true) * unit(cosines)).sum(axis=1)) / 0.1**2
    rest = 0.25 * nn.functional.huber_loss(
        torch.zeros(12, 3), targets[:, 2:], reduction="none", delta=mean.HUBER
    ).sum(dim=1)
    assert found.item() == pytest.approx((wanted + rest.numpy()).mean() / 5, rel=1e-4)
