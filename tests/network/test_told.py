"""Networks that are told what the station likelihood says of every hit."""

import json
import subprocess
import sys

import numpy as np
import pytest
from network.small import SMALL
from toy_networks import fitted_sample

from tashower.calibration.station_likelihood import DEFAULT, read_station_likelihood
from tashower.config import InputsConfig, as_dict, load_config
from tashower.errors import InputError
from tashower.io.json_file import parsed_json, write_json
from tashower.io.reconstruction_file import read_reconstruction
from tashower.io.stages import PACKAGED, learns_stations, made_by, products, station_likelihood_of
from tashower.network.apply import apply_network
from tashower.network.checkpoint import save_checkpoint
from tashower.network.normalisation import measure, normalise
from tashower.network.sample import make_sample, map_sample, store_sample, take_batch
from tashower.network.tiles import ORIENTATIONS, STATION_FEATURES, WITH_SCORES
from tashower.reconstruction.likelihood.station_scores import STATION_SCORES, station_scores

F = len(STATION_FEATURES)
INPUTS = InputsConfig(tile=6, n_bins=64, station_likelihood=True)
TOLD = load_config(SMALL | {"networks": {"a": {"inputs": {"station_likelihood": True}}}})


@pytest.fixture(scope="module")
def told():
    """(what is fitted, its sample)."""
    fitted = fitted_sample(12)._replace(stations=read_station_likelihood(DEFAULT))
    return fitted, make_sample(fitted, INPUTS, np.arange(len(fitted.fit)))


def test_scores_stand_behind_the_features_in_the_cells_of_their_hits(told):
    fitted, sample = told
    plain = make_sample(fitted._replace(stations=None), INPUTS, sample.rows)
    np.testing.assert_array_equal(sample.tiles.cells[..., :F], plain.tiles.cells)
    assert sample.tiles.cells.shape[-1] == F + len(STATION_SCORES) == len(WITH_SCORES)
    scores = station_scores(fitted.events, fitted.pulses, fitted.fit, fitted.stations)
    cells = sample.tiles.cells.reshape(len(sample.rows), -1, len(WITH_SCORES))
    hit = cells[..., STATION_FEATURES.index("hit")] > 0
    assert not cells[~hit][:, F:].any()
    # The signal of the upper layer says which hit a cell is of.
    upper = np.log1p(np.maximum(fitted.pulses.signal[:, 0], 0.0)).astype(np.float32)
    found = 0
    for event in range(len(cells)):
        mine = fitted.events.hit_event == event
        for row in cells[event][hit[event]]:
            one = np.flatnonzero(mine & (upper == row[STATION_FEATURES.index("log_upper")]))
            if len(one) == 1:
                np.testing.assert_allclose(row[F:], scores[one[0]], rtol=1e-6)
                found += 1
    assert found > 50


@pytest.mark.parametrize("orientation", ORIENTATIONS["square"])
def test_turned_tiles_keep_them(told, orientation):
    _, sample = told
    cells = take_batch(sample, sample.rows, orientation, "cpu")[0].numpy()
    before = sample.tiles.cells.reshape(len(cells), -1, len(WITH_SCORES))[..., F:]
    after = cells.reshape(len(cells), -1, len(WITH_SCORES))[..., F:]
    np.testing.assert_array_equal(np.sort(before, axis=1), np.sort(after, axis=1))
    assert (before != after).any() == (orientation != 0)


def test_they_are_normalised_over_hits(told):
    _, sample = told
    norm = measure(sample)
    cells = normalise(take_batch(sample, sample.rows, 0, "cpu"), norm, True)[0].numpy()
    hit = cells[..., STATION_FEATURES.index("hit")] > 0
    assert not cells[~hit][:, F:].any()
    np.testing.assert_allclose(cells[hit][:, F:].mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(cells[hit][:, F:].std(axis=0), 1.0, atol=1e-4)


def test_they_go_through_the_disk(told, tmp_path):
    _, sample = told
    store_sample(tmp_path, [sample])
    np.testing.assert_array_equal(map_sample(tmp_path).tiles.cells, sample.tiles.cells)


def test_trained_and_applied_with_the_likelihood_that_the_checkpoint_keeps(trained, tmp_path):
    _, _, paths, train = trained
    content, _ = train(tmp_path / "one" / "c.pt", TOLD)
    assert content["station_features"] == list(WITH_SCORES)
    assert content["station_likelihood"] == parsed_json(DEFAULT)
    assert [DEFAULT.name] == [name for name, _ in content["made_from"] if name.endswith(".json")]
    encoder = next(v for k, v in content["weights"].items() if v.ndim == 4)
    assert encoder.shape[1] >= len(WITH_SCORES)
    events, fits = paths["validation"]
    apply_network(tmp_path / "one" / "c.pt", events, fits, tmp_path / "one.h5", "cpu")
    one = read_reconstruction(tmp_path / "one.h5")[0]["a"]
    assert np.isfinite(one.zenith).sum() > 50
    # Of another likelihood the answer is another: it is asked, and it is that of the checkpoint.
    other = json.loads(json.dumps(content["station_likelihood"]))
    other["variety"]["coefficients"][2][0] += 0.5
    save_checkpoint(tmp_path / "two.pt", content | {"station_likelihood": other})
    apply_network(tmp_path / "two.pt", events, fits, tmp_path / "two.h5", "cpu")
    two = read_reconstruction(tmp_path / "two.h5")[0]["a"]
    assert (two.zenith != one.zenith).any()
    # A checkpoint that lost it, or is told of nothing, is refused.
    save_checkpoint(tmp_path / "none.pt", content | {"station_likelihood": None})
    with pytest.raises(InputError, match="is to be told of a station likelihood"):
        apply_network(tmp_path / "none.pt", events, fits, tmp_path / "none.h5", "cpu")
    untold = content | {"inputs": content["inputs"] | {"station_likelihood": False}}
    save_checkpoint(tmp_path / "untold.pt", untold)
    with pytest.raises(InputError, match="other station features"):
        apply_network(tmp_path / "untold.pt", events, fits, tmp_path / "none.h5", "cpu")


def test_a_likelihood_of_other_stations_is_one_line(trained, tmp_path):
    _, _, paths, _ = trained
    content = parsed_json(DEFAULT) | {"area": 10.0}
    write_json(tmp_path / "auger.json", content)
    (tmp_path / "config.json").write_text(json.dumps(as_dict(TOLD)))
    words = ["train", "--config", str(tmp_path / "config.json"), "--network", "a"]
    for split in ("train", "validation"):
        words += [
            f"--{split}-events",
            str(paths[split][0]),
            f"--{split}-fits",
            str(paths[split][1]),
        ]
    words += ["--station-likelihood", str(tmp_path / "auger.json")]
    command = [sys.executable, "-m", "tashower", *words, "--output", str(tmp_path / "c.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "of stations of 10 m^2" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "c.pt").exists()


def test_which_one_a_run_takes():
    changed = {"detector": {"gain_shift": 0.05}}
    untold, told = (
        {"networks": {"a": {"inputs": {"station_likelihood": is_told}}}}
        for is_told in (False, True)
    )
    for parts, path in (
        ((untold,), str(PACKAGED)),
        (({},), str(PACKAGED)),
        ((told,), str(PACKAGED)),
        ((changed, untold), ""),
        ((changed,), "r/station_likelihood.json"),
        ((changed, told), "r/station_likelihood.json"),
        ((told, {"likelihood": {"file": "learn"}}), "r/station_likelihood.json"),
        ((changed, told, {"likelihood": {"file": "none"}}), ""),
    ):
        configuration = as_dict(load_config(*parts))
        assert station_likelihood_of(configuration, "r") == path
        assert learns_stations(configuration) == path.startswith("r/")
        assert ("station_likelihood.json" in products(configuration)) == path.startswith("r/")


def test_being_told_counts_for_a_network():
    told, untold = (made_by("train", as_dict(c), [], "a") for c in (TOLD, load_config(SMALL)))
    assert told["configuration"] != untold["configuration"]
