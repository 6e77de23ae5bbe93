"""Networks that say Xmax and ln A: targets, normalisation and back, what is learned and written."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hits import make_events, make_reconstruction

from tashower.config import load_config
from tashower.errors import InputError
from tashower.network.apply import with_mass
from tashower.network.contracts import ModelInputs, build_model, built_in, find_head, find_model
from tashower.network.heads import mean
from tashower.network.normalisation import in_units, measure, normalise, normalised_targets
from tashower.network.predict import Trained, explained_variance, predict
from tashower.network.sample import Sample, map_sample, store_sample, take_batch
from tashower.network.targets import CORRECTION, MASS, PREDICTED, predicted_by, true_mass
from tashower.network.tiles import ORIENTATIONS, STATION_FEATURES, Tiles, target_matrix
from tashower.reconstruction.features import EVENT_FEATURES

N = 4
SIZES = {"station_channels": 8, "grid_layers": 1, "dense_channels": 16, "dropout": 0.0}


def untrained(outputs):
    """The model `grid`, small, without waveforms."""
    names = (STATION_FEATURES, tuple(EVENT_FEATURES))
    inputs = ModelInputs(N, 32, 2, *names, False, "square", outputs)
    return build_model(find_model("grid"), inputs, SIZES)


def made_sample(rng, n=40):
    """A sample of random content, of a network that corrects."""
    cells = rng.normal(size=(n, N, N, len(STATION_FEATURES))).astype(np.float32)
    cells[..., : STATION_FEATURES.index("saturated")] = 1.0  # all masks are set
    none = np.zeros(0, np.int64)
    tiles = Tiles(cells, np.zeros((0, 32, 2), np.float16), none, none)
    features = rng.normal(size=(n, len(EVENT_FEATURES))).astype(np.float32)
    targets = rng.normal(size=(n, 5)).astype(np.float32)
    return Sample(tiles, features, targets, np.zeros(n + 1, np.int64), np.arange(n))


def sample_of_mass(rng, n=60):
    """A sample of random content whose targets are around those of showers."""
    xmax, ln_a = 750.0 + 60.0 * rng.normal(size=n), np.log(rng.choice([1, 4, 14, 56], n))
    targets = np.stack([xmax, ln_a], axis=1).astype(np.float32)
    return replace(made_sample(rng, n), targets=targets, predicts="mass")


def test_true_targets_and_what_is_not_known(rng):
    truth = replace(
        make_events(rng, 4).truth,
        mass_number=np.array([1, 56, 0, 14], np.int16),
        xmax=np.array([800.0, 700.0, 750.0, np.nan]),
    )
    expected = [[800.0, 0.0], [700.0, 4.0253517], [750.0, np.nan], [np.nan, 2.6390573]]
    np.testing.assert_allclose(true_mass(truth), expected, rtol=1e-6)


def test_names_of_targets():
    assert predicted_by(["xmax", "ln_a"]) == "mass"
    assert predicted_by(list(CORRECTION.names)) == "correction"
    assert predicted_by(["ln_a", "xmax"]) is None
    kinds = load_config("{networks: {a: {}, b: {predicts: mass}}}").networks
    assert [kinds[name].predicts for name in "ab"] == ["correction", "mass"]
    assert set(PREDICTED) == {"correction", "mass"}


def test_a_loss_of_directions_is_refused():
    own = {"predicts": "mass", "loss": "von_mises_fisher"}
    with pytest.raises(InputError, match="mass has no direction"):
        load_config({"networks": {"a": own}})
    load_config({"networks": {"a": own | {"loss": "gaussian"}}})


@pytest.mark.parametrize("orientation", ORIENTATIONS["square"])
def test_depth_and_mass_do_not_turn_with_the_tile(rng, orientation):
    np.testing.assert_array_equal(target_matrix(orientation, "square", MASS), np.eye(2))
    sample = sample_of_mass(rng, 5)
    batch = take_batch(sample, np.arange(5), orientation, "cpu")
    np.testing.assert_array_equal(batch[4], sample.targets)


def test_normalised_with_mean_and_width_and_back(rng):
    sample = sample_of_mass(rng)
    norm = measure(sample)
    np.testing.assert_allclose(norm["target_mean"], sample.targets.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(norm["target_width"], sample.targets.std(axis=0), rtol=1e-5)
    small = normalised_targets(torch.from_numpy(sample.targets), norm).numpy()
    np.testing.assert_allclose(small.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(small.std(axis=0), 1.0, rtol=1e-5)
    batch = normalise(take_batch(sample, np.arange(60), 0, "cpu"), norm, True)
    np.testing.assert_array_equal(batch[4], small)
    covariance = np.broadcast_to([[4.0, 0.5], [0.5, 1.0]], (60, 2, 2))
    back, spread = in_units(small, covariance, norm)
    np.testing.assert_allclose(back, sample.targets, atol=1e-4)
    a, b = norm["target_width"].numpy()
    np.testing.assert_allclose(spread[0], [[4 * a * a, 0.5 * a * b], [0.5 * a * b, b * b]])
    assert in_units(small, None, norm)[1] is None


def test_corrections_keep_mean_0_whatever_the_sample(rng):
    shifted = made_sample(rng)
    shifted.targets[:] += [3.0, 1.0, 50.0, 20.0, 0.1]
    assert measure(shifted)["target_mean"].tolist() == [0.0] * 5
    old = measure(shifted)
    del old["target_mean"]  # as checkpoints of older versions have it
    targets = torch.from_numpy(shifted.targets)
    new = measure(shifted)
    assert torch.equal(normalised_targets(targets, old), normalised_targets(targets, new))
    found = rng.normal(size=(3, 5))
    np.testing.assert_array_equal(in_units(found, None, old)[0], in_units(found, None, new)[0])


def test_a_stored_sample_knows_what_its_targets_are(rng, tmp_path):
    store_sample(tmp_path / "s", [sample_of_mass(rng, 3), sample_of_mass(rng, 4)])
    found = map_sample(tmp_path / "s")
    assert (found.predicts, found.targets.shape) == ("mass", (7, 2))
    store_sample(tmp_path / "t", [made_sample(rng, 3)])
    assert map_sample(tmp_path / "t").predicts == "correction"


def test_xmax_and_ln_a_count_alike_where_corrections_do_not():
    off = torch.zeros(1, 2)
    for i in (0, 1):
        output = off.clone()
        output[0, i] = 1.0
        assert mean.loss(output, off) == pytest.approx(0.25)
    of_axis, of_core = torch.eye(5)[:1], torch.eye(5)[2:3]
    zero = torch.zeros(1, 5)
    assert mean.loss(of_axis, zero) == pytest.approx(4 * mean.loss(of_core, zero))


@pytest.mark.parametrize("name", built_in("heads"))
def test_an_untrained_network_says_the_mean_shower(rng, name):
    """Output 0 is the mean of the training sample, with its width as the error where there is
    one; the mean over orientations stays that.
    """
    sample, head = sample_of_mass(rng, 6), find_head(name)
    norm = measure(sample)
    net = untrained(head.n_outputs(2)).eval()
    trained = Trained(net, head, norm, True)
    found, spread = in_units(*predict(trained, sample, "cpu", range(8)), norm)
    np.testing.assert_allclose(found, np.tile(norm["target_mean"], (6, 1)), rtol=1e-6)
    if spread is not None:
        np.testing.assert_allclose(np.sqrt(spread[2].diagonal()), norm["target_width"], rtol=1e-6)


def test_a_mass_that_is_written_into_a_feature_is_learned(rng):
    """ln A is an event feature, Xmax falls with it and has noise of its own: the
    covariance of both is learned, too.
    """
    sample = sample_of_mass(rng, 1920)
    ln_a = sample.targets[:, 1]
    noise = 30.0 * rng.normal(size=len(ln_a))
    sample.targets[:, 0] = 790.0 - 25.0 * ln_a + noise
    sample.event_features[:, 4] = ln_a
    sample.tiles.cells[:] = sample.tiles.cells[:1]  # what stations see says nothing
    norm = measure(sample)
    head = find_head("gaussian")
    torch.manual_seed(0)
    net = untrained(head.n_outputs(2)).train()
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    for step in range(300):
        rows = np.arange(64) + 64 * (step % 25)
        batch = normalise(take_batch(sample, rows, 0, "cpu"), norm, True)
        loss = head.loss(net(*batch[:4]), batch[4])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    unseen = np.arange(1600, 1920)
    with torch.no_grad():
        batch = normalise(take_batch(sample, unseen, 0, "cpu"), norm, True)
        said, spread = head.predict(net.eval()(*batch[:4]))
    found, spread = in_units(said.numpy(), spread.numpy(), norm)
    off = found - sample.targets[unseen]
    assert off[:, 1].std() < 0.3  # of 1.48
    assert 25.0 < off[:, 0].std() < 40.0  # the noise is 30, the spread 48
    assert np.median(np.sqrt(spread[:, 0, 0])) == pytest.approx(30.0, rel=0.25)
    shown = explained_variance(found, sample.targets[unseen], MASS)
    assert shown == pytest.approx(1 - off[:, 0].var() / sample.targets[unseen, 0].var(), rel=1e-5)


def test_what_is_written_is_the_fit_with_two_columns_and_errors(rng):
    fit = make_reconstruction(rng, make_events(rng, 5))
    rows = np.array([1, 3])
    found = np.array([[700.0, 1.5], [820.0, 0.2]])
    covariance = np.array([[[900.0, -3.0], [-3.0, 0.25]], [[400.0, 0.0], [0.0, 1.0]]])
    table = with_mass(fit, rows, found, covariance)
    nan = np.nan
    np.testing.assert_array_equal(table.xmax, [nan, 700.0, nan, 820.0, nan])
    np.testing.assert_array_equal(table.ln_a, [nan, 1.5, nan, 0.2, nan])
    np.testing.assert_array_equal(table.xmax_error, [nan, 30.0, nan, 20.0, nan])
    np.testing.assert_array_equal(table.ln_a_error, [nan, 0.5, nan, 1.0, nan])
    for f in fields(fit)[:-4]:
        np.testing.assert_array_equal(getattr(table, f.name), getattr(fit, f.name))
    without = with_mass(fit, rows, found)
    assert np.isnan(without.xmax_error).all()
    assert np.isnan(without.ln_a_error).all()
    np.testing.assert_array_equal(without.xmax, table.xmax)
