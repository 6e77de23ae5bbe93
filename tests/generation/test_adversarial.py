"""Losses and steps of the adversarial training, and its networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tashower.generation.adversarial import (
    Play,
    critic_step,
    generator_step,
    gradient_penalty,
    interpolated,
    make_batch,
    make_players,
    set_rates,
)
from tashower.generation.tile_models import (
    Cells,
    Critic,
    Generator,
    Shower,
    TileShape,
    draw_random,
    shown_of,
    station_terms,
    straight_through,
)
from tashower.generation.tile_sample import STATION_CONDITION, TileSample

SHAPE = TileShape(n=5, cells=11, layers=2, latent=3, noise=5, width=8)
WORKING, EXPECTED = (STATION_CONDITION.index(name) for name in ("working", "log_expected"))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(3)


def made_sample(rng, n_events=12):
    """Tiles with random content."""
    n = SHAPE.n
    hit = rng.random((n_events, n * n)) < 0.3
    event, cell = np.nonzero(hit)
    maps = rng.normal(size=(n_events, n, n, 7)).astype(np.float32)
    maps[..., WORKING] = 1.0
    maps[..., EXPECTED] = rng.normal(0.0, 2.0, (n_events, n, n))
    light = rng.exponential(0.7, (len(event), SHAPE.cells, 2)).astype(np.float16)
    return TileSample(
        rng.normal(size=(n_events, 8)).astype(np.float32),
        maps,
        event,
        cell,
        rng.normal(2.0, 1.0, len(event)).astype(np.float32),
        light,
    )


def shower_of(sample, n):
    return Shower(torch.from_numpy(sample.condition[:n]), torch.from_numpy(sample.maps[:n]))


def test_generator_begins_with_the_mean_of_hits(rng):
    """Times and signals that are linear in the terms are found again, and their rms."""
    sample = made_sample(rng, 60)
    batch = make_batch(sample, np.arange(60))
    event = batch.cells.place // SHAPE.n**2
    terms = station_terms(
        batch.shower.maps.flatten(0, 2)[batch.cells.place], batch.shower.condition[event]
    )
    vem = torch.exp(0.2 + 0.4 * terms[:, 1] + 0.1 * torch.randn(len(terms)))
    part = torch.softmax(torch.arange(SHAPE.cells) / 3.0, 0)[:, None].expand(-1, 2)
    content = batch.cells.content.clone()
    content[:, 1] = 1.0 - 0.5 * terms[:, 7] + 0.3 * torch.randn(len(terms))
    off = torch.exp(0.1 * torch.randn(len(terms), 1, 1) * torch.tensor([1.0, -1.0]))
    content[:, 2:] = torch.asinh(vem[:, None, None] * part * off / 0.1).flatten(1)
    generator = Generator(SHAPE)
    generator.start(Cells(batch.cells.place, content), batch.shower)
    assert generator.mean[0].tolist() == pytest.approx([1.0, 0.2], abs=0.15)
    assert float(generator.mean[7, 0]) == pytest.approx(-0.5, abs=0.1)
    assert float(generator.mean[1, 1]) == pytest.approx(0.4, abs=0.15)
    rms = (terms @ generator.rms).exp().mean(0).tolist()
    assert rms[:2] == pytest.approx([0.3, 0.1], rel=0.35)
    assert rms[2:] == pytest.approx([0.2 / 2**0.5] * 2, rel=0.35)
    assert torch.allclose(generator.usual[0], part, atol=1e-4)


@pytest.mark.parametrize("slope", [1.0, 0.0, 3.5])
def test_penalty_of_a_linear_critic_is_that_of_its_slope(slope):
    # D(x) = k w.x with |w| = 1 over all cells of a tile: |grad D| = k everywhere.
    x, tile = torch.randn(12, 4), torch.arange(3).repeat_interleave(4)
    w = torch.randn(4, 4)
    w = w / w.norm()
    penalty = gradient_penalty(lambda x: slope * (x.view(3, 4, 4) * w).sum((1, 2)), x, tile)
    assert float(penalty) == pytest.approx((slope - 1.0) ** 2, abs=1e-5)


def test_penalty_is_the_mean_over_tiles_not_of_their_sum():
    # Slopes 1 and 3: ((1 - 1)^2 + (3 - 1)^2)/2 = 2; of the mean slope it would be 1.
    slope, x = torch.tensor([1.0, 3.0]), torch.zeros(2, 1)
    penalty = gradient_penalty(lambda x: slope * x[:, 0], x, torch.arange(2))
    assert float(penalty) == pytest.approx(2.0, abs=1e-5)


def test_penalty_teaches_the_critic_its_slope():
    k = torch.tensor(3.0, requires_grad=True)
    gradient_penalty(lambda x: k * x[:, 0], torch.zeros(2, 1), torch.arange(2)).backward()
    assert float(k.grad) == pytest.approx(4.0, abs=1e-4)  # d (k - 1)^2/dk


def test_interpolated_by_hand():
    real = Cells(torch.tensor([0, 2, 5]), torch.tensor([[1.0], [2.0], [3.0]]))
    fake = Cells(torch.tensor([2, 4]), torch.tensor([[10.0], [20.0]]))
    found = interpolated(real, fake, torch.tensor([0.25, 0.5]), 4)
    assert found.place.tolist() == [0, 2, 4, 5]
    assert found.content[:, 0].tolist() == [0.25, 0.25 * 2 + 0.75 * 10, 0.5 * 20, 0.5 * 3]


def test_batch_is_the_sample(rng):
    sample, rows = made_sample(rng), np.array([7, 2])
    (place, content, _), shower = make_batch(sample, rows)
    assert np.array_equal(shower.condition, sample.condition[rows])
    assert np.array_equal(shower.maps, sample.maps[rows])
    assert (torch.diff(place) > 0).all()
    for i, row in enumerate(rows):
        mine, its = place // SHAPE.n**2 == i, sample.hit_event == row
        assert (place[mine] % SHAPE.n**2).tolist() == sample.hit_cell[its].tolist()
        assert (content[mine, 0] == 1.0).all()
        assert np.array_equal(content[mine, 1], sample.time[its])
        light = sample.light[its].reshape(its.sum(), -1)
        assert np.array_equal(content[mine, 2:], light.astype(np.float32))


@pytest.mark.parametrize("n", [4, 5, 6, 8])
@pytest.mark.parametrize(("cells", "layers"), [(8, 2), (11, 1), (32, 2)])
def test_shapes(n, cells, layers):
    shape = TileShape(n, cells, layers, latent=3, noise=5, width=8)
    maps = torch.randn(3, n, n, 7)
    maps[..., WORKING], maps[..., EXPECTED] = 1.0, 1.0
    shower = Shower(torch.randn(3, 8), maps)
    random = draw_random(shape, 3, torch.Generator().manual_seed(1))
    place, content, _ = Generator(shape)(shower, random)
    assert content.shape == (len(place), 2 + layers * cells)
    assert 0 < len(place) <= 3 * n * n
    assert (torch.diff(place) > 0).all()
    assert place.max() < 3 * n * n
    assert (content[:, 2:] >= 0.0).all()
    assert Critic(shape)(Cells(place, content), shower).shape == (3,)


def test_hit_comes_with_its_probability_and_the_gradient_of_a_sigmoid():
    logit = torch.full((20_000,), -1.0, requires_grad=True)
    hit = straight_through(logit, torch.rand(20_000))
    assert set(hit.unique().tolist()) == {0.0, 1.0}
    p = float(torch.sigmoid(torch.tensor(-1.0)))
    assert float(hit.detach().mean()) == pytest.approx(p, abs=4.0 * np.sqrt(p * (1.0 - p) / 20_000))
    hit.sum().backward()
    assert (logit.grad > 0.0).all()
    assert (logit.grad <= 0.25).all()


def test_stations_out_of_service_have_no_hits(rng):
    sample = made_sample(rng)
    sample.maps[..., EXPECTED] = 6.0
    sample.maps[:, 2, 3, WORKING] = 0.0
    generator = Generator(SHAPE)
    random = draw_random(SHAPE, 6, torch.Generator())
    for possible in (False, True):
        place, _, gate = generator(shower_of(sample, 6), random, possible)
        cells = set((place % SHAPE.n**2).tolist())
        assert 2 * SHAPE.n + 3 not in cells
        assert len(cells) > 20
        assert gate is None or gate.mean() > 0.9


def test_what_could_have_been_a_hit_changes_nothing_but_the_gradient(rng):
    shower = shower_of(made_sample(rng), 6)
    generator, critic = Generator(SHAPE), Critic(SHAPE)
    random = draw_random(SHAPE, 6, torch.Generator())
    hits, possible = generator(shower, random), generator(shower, random, True)
    assert len(possible.place) > len(hits.place)
    there = possible.gate > 0.5
    assert torch.equal(possible.place[there], hits.place)
    assert torch.allclose(possible.content[there], hits.content, atol=1e-5)
    assert set(possible.gate.tolist()) == {0.0, 1.0}
    value = critic(possible, shower)
    assert torch.allclose(critic(hits, shower), value, atol=1e-5)
    # An empty cell is told whether a hit with its content would have been better.
    (slope,) = torch.autograd.grad(value.sum(), possible.gate)
    one = int((~there).nonzero()[0])
    gate = possible.gate.detach().clone()
    gate[one] = 1e-3
    changed = critic(possible._replace(gate=gate), shower) - value
    assert float(changed.sum().detach()) == pytest.approx(1e-3 * float(slope[one]), rel=0.05)


@pytest.mark.parametrize("name", range(8))
def test_every_number_of_the_condition_matters(name, rng):
    sample = made_sample(rng)
    generator, critic = Generator(SHAPE), Critic(SHAPE)
    random, shower = draw_random(SHAPE, 6, torch.Generator()), shower_of(sample, 6)
    sample = replace(sample, condition=sample.condition.copy())
    sample.condition[:, name] += 1.0
    other = shower_of(sample, 6)
    a, b = generator(shower, random, True), generator(other, random, True)
    assert a.content.shape != b.content.shape or not torch.allclose(a.content, b.content)
    cells = Cells(*(x.detach() for x in a))
    assert not torch.allclose(critic(cells, shower), critic(cells, other))


def test_what_is_learned_of_the_mask_is_bounded(rng):
    """Where 150 VEM are expected there is a hit, whatever the networks say."""
    sample, generator = made_sample(rng), Generator(SHAPE)
    sample.maps[..., EXPECTED] = 5.0
    with torch.no_grad():
        generator.numbers.bias[0], generator.spread.bias[0] = -100.0, 100.0
    random = draw_random(SHAPE, 6, torch.Generator())
    found = generator(shower_of(sample, 6), random)
    assert len(found.place) == 6 * SHAPE.n**2
    assert float(found.content[:, 1].detach().std()) < 3.5  # e times 1, which it begins with


def test_random_numbers_matter_each(rng):
    shower, generator = shower_of(made_sample(rng), 6), Generator(SHAPE)
    random = draw_random(SHAPE, 6, torch.Generator())
    first = generator(shower, random).content
    for name in random._fields:
        other = generator(shower, random._replace(**{name: getattr(random, name).flip(0)})).content
        assert other.shape != first.shape or not torch.equal(other, first), name


def test_larger_showers_have_more_hits(rng):
    sample, generator = made_sample(rng), Generator(SHAPE)
    random = draw_random(SHAPE, 6, torch.Generator())
    sample.maps[..., EXPECTED] = -2.0
    few = len(generator(shower_of(sample, 6), random).place)
    sample.maps[..., EXPECTED] = 1.0
    assert len(generator(shower_of(sample, 6), random).place) > 3 * few


def test_shown_by_hand():
    # Two cells of time and two layers: 0.3 and 0.1 VEM above, 0.4 VEM in the first cell below.
    vem = torch.tensor([[0.3, 0.4, 0.1, 0.0]])
    content = torch.cat([torch.ones(1, 1), torch.zeros(1, 1), torch.asinh(vem / 0.1)], 1)
    found = shown_of(content, torch.tensor([np.log(0.9)]), 2)[0].tolist()
    ln5 = np.log(5.0)
    assert found[:2] == pytest.approx([ln5, ln5], abs=1e-5)
    assert found[2:4] == pytest.approx([ln5 - np.log(10.0)] * 2, abs=1e-5)
    assert found[4:6] == pytest.approx([3.0 * (0.1 - 0.3) / 0.5, 3.0 * -0.8], abs=1e-5)
    assert found[8:10] == pytest.approx([3.0 * 0.6, 3.0 * 0.8], abs=1e-5)
    assert found[10] == pytest.approx(0.0, abs=1e-5)
    nothing = torch.zeros(1, 6)
    assert shown_of(nothing, torch.tensor([1.0]), 2).abs().max() < 1e-6


def test_pulls_by_hand():
    # One cell of time, two layers: 0.9 and 0.4 VEM beside the 0.1 that the logarithm begins with.
    shape = TileShape(4, 1, 2)
    critic, terms = Critic(shape), torch.zeros(2, 10)
    terms[:, 0] = 1.0
    critic.mean[0] = torch.tensor([1.5, float(np.log(0.5))])
    critic.rms[0] = torch.tensor([0.5, 0.25, 0.1, 0.1]).log()
    content = torch.zeros(2, 4)
    content[0] = torch.tensor([1.0, 2.5, *np.arcsinh([9.0, 4.0])])
    found = critic._pulls(content, terms)
    pulls = np.array([2.0, np.log(0.75 / 0.5) / 0.25, np.log(2.0) / 2**0.5 / 0.2])
    expected = [*np.arcsinh(pulls), *np.log1p(pulls**2)]
    assert found[0].tolist() == pytest.approx(expected, abs=1e-5)
    assert found[1].tolist() == [0.0] * 6


def test_critic_parts_what_the_generator_brings_together(rng):
    """The signs of the two losses; the penalty is small, which alone would part them, too."""
    sample, play = made_sample(rng), Play(3, 0.1, 0.01, 0.01)
    batch = make_batch(sample, np.arange(12))
    players, random = make_players(SHAPE, play, batch), torch.Generator().manual_seed(2)
    same = draw_random(SHAPE, 12, torch.Generator().manual_seed(5))

    def values():
        with torch.no_grad():
            fake = players.critic(players.generator(batch.shower, same), batch.shower)
            return float(players.critic(*batch).mean()), float(fake.mean())

    real, fake = values()
    for _ in range(10):
        critic_step(players, play, batch, random)
    assert np.subtract(*values()) > real - fake + 0.5
    real, fake = values()
    losses = [generator_step(players, batch, random) for _ in range(8)]
    after, better = values()
    assert after == pytest.approx(real, abs=1e-5)
    assert better > fake + 0.1
    assert losses[0] == pytest.approx(-fake, rel=0.1)


def test_a_step_of_one_leaves_the_other(rng):
    play = Play()
    batch = make_batch(made_sample(rng), np.arange(12))
    players, random = make_players(SHAPE, play, batch), torch.Generator().manual_seed(2)

    def state(network):
        return {k: v.clone() for k, v in network.state_dict().items()}

    def same(network, old):
        return all(torch.equal(v, old[k]) for k, v in network.state_dict().items())

    generator, critic = state(players.generator), state(players.critic)
    critic_step(players, play, batch, random)
    assert same(players.generator, generator)
    assert not same(players.critic, critic)
    critic = state(players.critic)
    generator_step(players, batch, random)
    assert same(players.critic, critic)
    assert not same(players.generator, generator)
    assert all(p.requires_grad for p in players.critic.parameters())


def test_rates_fall_in_the_second_half(rng):
    play = Play(generator_rate=0.2, critic_rate=0.4)
    players = make_players(SHAPE, play, make_batch(made_sample(rng), np.arange(12)))
    for part, factor in ((0.0, 1.0), (0.5, 1.0), (0.75, 0.5), (1.0, 0.0)):
        set_rates(players, play, part)
        assert players.generator_optimiser.param_groups[0]["lr"] == pytest.approx(0.2 * factor)
        assert players.critic_optimiser.param_groups[0]["lr"] == pytest.approx(0.4 * factor)
