"""Precision of the training's products: who gets bfloat16, and what it changes."""

import pytest
import torch
from made_networks import built, described, normalisation, random_sample

from tashower.config import load_config
from tashower.network.contracts import find_head, find_model
from tashower.network.epoch import Learner, Run, half_precision, train_epoch, validate
from tashower.network.predict import Trained
from tashower.network.processes import Processes


def a_run(precision, device="cpu"):
    config = load_config({"training": {"precision": precision, "batch_size": 8}})
    name, settings = next(iter(config.networks.items()))
    code = find_model("grid"), find_head("mean")
    return Run(name, config.seed, settings, *code, torch.device(device), Processes())


@pytest.mark.parametrize(
    ("precision", "on_cpu", "on_gpu"),
    [("auto", False, True), ("float32", False, False), ("bfloat16", True, True)],
)
def test_who_gets_bfloat16(precision, on_cpu, on_gpu):
    assert half_precision(a_run(precision)) is on_cpu
    assert half_precision(a_run(precision, "cuda")) is on_gpu


def after_an_epoch(rng_sample, precision):
    """(kind of the products in steps, loss of the training, weights, loss of the validation)."""
    network, seen = built("grid", described()), set()
    trained = Trained(network, find_head("mean"), normalisation(), event_features=True)
    hook = network.encoder.pairs.register_forward_hook(lambda *what: seen.add(what[2].dtype))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimiser, 1.0)
    learner = Learner(network, optimiser, schedule)
    loss = train_epoch(learner, trained, rng_sample, a_run(precision), 0)
    hook.remove()
    checked = []
    network.encoder.pairs.register_forward_hook(lambda *what: checked.append(what[2].dtype))
    validation, _ = validate(trained, rng_sample, "cpu")
    assert set(checked) == {torch.float32}
    weights = torch.nn.utils.parameters_to_vector(network.parameters()).detach()
    assert weights.dtype == torch.float32
    return seen, loss, weights, validation


def test_bfloat16_rounds_the_products_of_a_step_and_nothing_else(rng):
    sample = random_sample(rng, 48)
    plain, same, half = (after_an_epoch(sample, p) for p in ("auto", "float32", "bfloat16"))
    assert plain[0] == same[0] == {torch.float32}
    assert torch.equal(plain[2], same[2])
    assert half[0] == {torch.bfloat16}
    assert not torch.equal(plain[2], half[2])
    assert half[1] == pytest.approx(plain[1], rel=0.05)
    assert half[3] == pytest.approx(plain[3], rel=0.1)
