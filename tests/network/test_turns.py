"""All orientations at once are what each alone is, and every waveform is encoded once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_networks import USERS, N, built, described, normalisation, random_sample

from tashower.network.contracts import find_head
from tashower.network.predict import Trained, outputs, predict, turned_outputs
from tashower.network.sample import take_batch
from tashower.network.tiles import ORIENTATIONS
from tashower.network.turns import Turns

ROWS = np.arange(6)


@pytest.mark.parametrize("name", ["grid", "set", "mine.py"])
@pytest.mark.parametrize("kind", ["square", "hexagonal"])
def test_each_is_the_network_on_the_turned_tile(rng, tmp_path, name, kind):
    if name == "mine.py":
        (tmp_path / name).write_text(USERS)
        name = str(tmp_path / name)
    network = built(name, described(lattice=kind))
    sample = random_sample(rng, 6, kind)
    orientations = ORIENTATIONS[kind]
    found = Turns(network, orientations, N, kind)(*take_batch(sample, ROWS, 0, "cpu")[:4])
    assert found.shape == (len(orientations), 6, 5)
    for orientation, one in zip(orientations, found, strict=True):
        wanted = network(*take_batch(sample, ROWS, orientation, "cpu")[:4])
        torch.testing.assert_close(one, wanted, atol=1e-4, rtol=1e-4)
    assert found.std(dim=0).mean() > 5e-3


@pytest.mark.parametrize("name", ["grid", "set"])
def test_waveforms_are_encoded_once(rng, name):
    network, seen = built(name, described()), []
    network.encoder.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    Turns(network, range(8), N)(*take_batch(random_sample(rng, 6), ROWS, 0, "cpu")[:4])
    assert seen == [18]


def test_batches_of_any_size_give_the_same(rng):
    """Also one that is not full, and no event at all."""
    network = built("grid", described())
    trained = Trained(network, find_head("mean"), normalisation(), event_features=True)
    sample = random_sample(rng)
    whole = turned_outputs(trained, sample, "cpu", (0, 5))
    torch.testing.assert_close(
        turned_outputs(trained, sample, "cpu", (0, 5), batch_size=7), whole, atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(whole[1], outputs(trained, sample, "cpu", 5), atol=1e-4, rtol=1e-4)
    none = replace(
        sample, rows=sample.rows[:0], first_waveform=sample.first_waveform[:1], targets=None
    )
    assert predict(trained, none, "cpu", range(8))[0].shape == (0, 5)


def test_a_model_that_says_nothing_gets_every_waveform_with_its_one_place(rng):
    class Plain(torch.nn.Module):
        def forward(self, cells, event_features, waveform, waveform_place):
            assert waveform_place.shape == (len(waveform),)
            said = torch.zeros(len(cells) * N * N)
            said[waveform_place] = waveform.sum(dim=(1, 2))
            return said.view(len(cells), -1).sum(dim=1, keepdim=True)

    cells, features, waveform, place, _ = take_batch(random_sample(rng, 6), ROWS, 0, "cpu")
    found = Turns(Plain(), range(8), N)(cells, features, waveform, place)
    wanted = waveform.sum(dim=(1, 2)).view(6, 3).sum(dim=1)
    torch.testing.assert_close(found[..., 0], wanted.expand(8, 6), atol=1e-4, rtol=1e-4)
