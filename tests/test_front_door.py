"""`import tashower as ts`: what the names do, with files and with objects in memory."""

import json
import logging
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tashower as ts
from tashower.calibration.calibration import DEFAULT, Calibration, read_calibration
from tashower.cli import main
from tashower.config import load_config
from tashower.events.model import select_rows
from tashower.io.event_file import read_events, write_events
from tashower.io.json_file import as_json
from tashower.io.reconstruction_file import read_reconstruction, write_reconstruction
from tashower.reconstruction.reconstruct import reconstruct

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "data" / "sample.h5"
SMALL = {"array": {"columns": 6, "rows": 6}}


@pytest.fixture(scope="module")
def events():
    return ts.read(SAMPLE)


@pytest.fixture(scope="module")
def fits(events):
    return ts.fit(events)


def test_names_are_listed_and_nothing_heavy_is_loaded():
    code = (
        "import sys, tashower as ts\n"
        "assert set(ts.__all__) <= set(dir(ts))\n"
        "print([m for m in ('torch', 'numba', 'numpy', 'scipy', 'matplotlib', 'h5py', 'tqdm')"
        " if m in sys.modules])\n"
        "assert all(getattr(ts, name) is getattr(ts, name) for name in ts.__all__)\n"
        "print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "False False"]
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        ts.nothing_of_the_kind  # noqa: B018


def test_fit_gives_what_the_stages_give(events, fits):
    tables, _, features = reconstruct(
        events, read_calibration(DEFAULT), load_config().reconstruction
    )
    assert list(fits) == list(tables)
    assert len(fits) == len(tables)
    for name, table in tables.items():
        np.testing.assert_array_equal(fits[name].zenith, table.zenith)
        assert getattr(fits, name) is fits[name]
    assert list(fits.features) == list(features)
    assert "free" in dir(fits)
    with pytest.raises(AttributeError, match="there are: free"):
        fits.absent  # noqa: B018
    again = pickle.loads(pickle.dumps(fits))
    np.testing.assert_array_equal(again.free.energy, fits.free.energy)
    assert "free: <Reconstruction" in repr(fits)
    assert "1,249 pulses" in repr(fits)


def test_the_default_calibration_is_said_and_a_given_one_is_used(events, caplog, tmp_path):
    with caplog.at_level(logging.WARNING, "tashower"):
        default = ts.fit(events[:3])
    assert "default configuration is used" in caplog.text
    caplog.clear()
    content = json.loads(DEFAULT.read_text())
    content["energy"]["log10_energy"] = (
        np.array(content["energy"]["log10_energy"]) + np.log10(2)
    ).tolist()
    (tmp_path / "c.json").write_bytes(as_json(content))
    other = ts.fit(events[:3], tmp_path / "c.json")
    assert caplog.text == ""
    np.testing.assert_allclose(other.free.energy, 2 * default.free.energy, rtol=1e-6)
    assert isinstance(ts.read(tmp_path / "c.json"), Calibration)
    same = ts.fit(events[:3], ts.read(tmp_path / "c.json"))
    np.testing.assert_array_equal(same.free.energy, other.free.energy)


def test_methods_and_settings_of_the_fit(events):
    assert list(ts.fit(events[:2], methods=["plane", "free"])) == ["plane", "free"]
    with pytest.raises(ts.InputError, match="no method best"):
        ts.fit(events[:2], methods=["best"])
    strict = ts.fit(events, config={"reconstruction": {"max_zenith_deg": 10.0}})
    assert 0 < strict.free.passes_cuts.sum() < ts.fit(SAMPLE).free.passes_cuts.sum()


def test_simulate_is_the_simulation_of_the_configuration(tmp_path):
    events = ts.simulate(30, seed=5, config=SMALL)
    config = tmp_path / "c.yaml"
    config.write_text("seed: 5\narray: {columns: 6, rows: 6}\nsamples: {test: 30}\n")
    assert main(["simulate", "--config", str(config), "--output", str(tmp_path / "e.h5")]) == 0
    written = read_events(tmp_path / "e.h5")
    for other in (
        written,
        ts.simulate(30, 5, array=SMALL["array"]),
        ts.simulate(30, config=config),
    ):
        np.testing.assert_array_equal(events.waveform, other.waveform)
    assert not np.array_equal(ts.simulate(30, 6, SMALL).hit_time, events.hit_time)
    assert not np.array_equal(ts.simulate(30, 5, SMALL, "train").truth.energy, events.truth.energy)
    first = ts.simulate(10, 5, SMALL)
    np.testing.assert_array_equal(first.event_id, events.event_id[: len(first)])
    wider = ts.simulate(5, 5, SMALL, array={"spacing_m": 900.0})
    assert (wider.array.spacing, wider.array.n_stations) == (900.0, 36)


def test_showers_of_a_table_are_simulated():
    drawn = ts.simulate(20, 5, SMALL)
    given = ts.simulate(truth=select_rows(drawn.truth, [2, 2, 5]), seed=5, config=SMALL)
    assert set(given.truth.energy) <= {drawn.truth.energy[2], drawn.truth.energy[5]}
    again = ts.simulate(truth=select_rows(drawn.truth, [2, 2, 5]), seed=5, array=drawn.array)
    np.testing.assert_array_equal(again.waveform, given.waveform)
    other = ts.simulate(truth=select_rows(drawn.truth, [2, 2, 5]), seed=6, array=drawn.array)
    assert not np.array_equal(other.hit_time, given.hit_time)
    with pytest.raises(ts.InputError, match="n and truth"):
        ts.simulate(3, truth=drawn.truth)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n 0"),
        ({"n": 2.5}, "n 2.5"),
        ({"n": 5, "split": "tests"}, "split 'tests'"),
        ({"n": 5, "array": {"colums": 3}}, "colums"),
        ({"n": 5, "seed": -1}, "seed"),
        ({"n": 5, "config": "absent.yaml"}, "absent.yaml"),
        ({"n": 5, "speed": 3}, "speed"),
    ],
)
def test_bad_arguments_of_simulate(arguments, message):
    with pytest.raises(ts.InputError, match=message):
        ts.simulate(**arguments)


def test_read_tells_files_apart(events, fits, tmp_path):
    write_reconstruction(tmp_path / "f.h5", dict(fits), {}, fits.pulses, fits.features)
    found = ts.read(tmp_path / "f.h5")
    np.testing.assert_array_equal(found.constrained.s_ref, fits.constrained.s_ref)
    (tmp_path / "scores.json").write_text('{"format": "tashower scores", "n_scored": 3}')
    assert ts.read(str(tmp_path / "scores.json"))["n_scored"] == 3
    foreign = sorted((ROOT / "data" / "samples").iterdir())
    stations = next(p for p in foreign if "stations" in p.name and p.suffix == ".csv")
    hits = next(p for p in foreign if "hits" in p.name and p.suffix == ".csv")
    assert isinstance(ts.read(stations, hits), ts.read(SAMPLE).__class__)
    for path in foreign:
        if path.suffix in (".dst", ".json", ".h5"):
            assert len(ts.read(path)) > 0, path


def test_read_refuses_what_it_does_not_know(tmp_path):
    with pytest.raises(ts.InputError, match=r"absent\.h5: no such file"):
        ts.read(tmp_path / "absent.h5")
    (tmp_path / "x.json").write_text('{"format": "tashower nonsense"}')
    with pytest.raises(ts.InputError, match=r"x\.json.*nonsense"):
        ts.read(tmp_path / "x.json")
    (tmp_path / "x.bin").write_bytes(b"nothing known")
    with pytest.raises(ts.InputError, match=r"x\.bin"):
        ts.read(tmp_path / "x.bin")
    damaged = bytearray(SAMPLE.read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "d.h5").write_bytes(damaged)
    with pytest.raises(ts.InputError, match="checksum"):
        ts.read(tmp_path / "d.h5")


def test_show_draws_the_event_that_is_asked_for(events, fits, tmp_path):
    figure = ts.show(events, event=3, output=tmp_path / "e.png")
    assert (tmp_path / "e.png").stat().st_size > 10_000
    ids = [int(events.event_id[3]), int(events.event_id[-1])]
    assert f"event id {ids[0]} (position 3, counted from 0)" in figure.get_suptitle()
    title = ts.show(SAMPLE, 3, fits).get_suptitle()
    assert f"event id {ids[0]} (position 3 in sample.h5, counted from 0)" in title
    assert f"event id {ids[1]} (position 49," in ts.show(events, -1, fits).get_suptitle()
    shuffled = events[[4, 2]]
    assert f"event id {events.event_id[2]} (position 1," in (
        ts.show(shuffled, fits=ts.fit(shuffled), event_id=int(events.event_id[2])).get_suptitle()
    )
    with pytest.raises(ts.InputError, match="no event at position 50"):
        ts.show(events, 50)
    with pytest.raises(ts.InputError, match="no event with id 1000"):
        ts.show(events, event_id=1000)
    with pytest.raises(ts.InputError, match="not those of these events"):
        ts.show(events[1:], 0, fits)
    with pytest.raises(ts.InputError, match="holds no events"):
        ts.show(DEFAULT)


def test_score_needs_events_with_truth_and_their_own_fits(events, fits):
    scores = ts.score(events, fits, config={"scores": {"bootstrap": 10}})
    assert scores["n_triggered"] == len(events)
    assert scores["n_scored"] == fits.free.passes_cuts.sum()
    shifted = {"again": fits.free}
    assert "again" in ts.score(events, fits, shifted, {"scores": {"bootstrap": 10}})["methods"]
    with pytest.raises(ts.InputError, match="is not a reconstruction of these events"):
        ts.score(events[::-1], fits)
    with pytest.raises(ts.InputError, match="'free', which is missing"):
        ts.score(events, ts.Fits({"plane": fits.plane}))


def test_apply_is_the_command(tmp_path, events):
    small = {
        "samples": {"train": 600, "validation": 200},
        "network": {
            "inputs": {"tile": 4},
            "options": {
                "waveform_channels": 4,
                "station_channels": 8,
                "grid_layers": 1,
                "dense_channels": 8,
            },
        },
        "training": {"epochs": 1, "batch_size": 32},
        "networks": {"small": {"inputs": {"waveforms": False}}},
    }
    from tashower.network.training import train_network

    config = load_config(json.dumps(small))
    files = []
    for split, n in (("train", 300), ("validation", 100)):
        sample = ts.simulate(n, config=small, split=split)
        found = ts.fit(sample, config=small)
        write_events(tmp_path / f"{split}.h5", sample, small)
        write_reconstruction(
            tmp_path / f"{split}-fits.h5", dict(found), small, found.pulses, found.features
        )
        files += [[tmp_path / f"{split}.h5"], [tmp_path / f"{split}-fits.h5"]]
    checkpoint = tmp_path / "c.pt"
    train_network(config, "small", *files, checkpoint)
    about = ts.read(checkpoint)
    assert about["name"] == "small"
    assert about["n_weights"] > 100
    assert "weights" not in about
    sample = ts.read(tmp_path / "validation.h5")
    fits = ts.read(tmp_path / "validation-fits.h5")
    ours = ts.apply(checkpoint, sample, fits)
    words = ["apply", str(checkpoint), "--events", str(files[2][0]), "--fits", str(files[3][0])]
    assert main([*words, "--output", str(tmp_path / "n.h5")]) == 0
    theirs = read_reconstruction(tmp_path / "n.h5")[0]["small"]
    np.testing.assert_array_equal(ours.zenith, theirs.zenith)
    np.testing.assert_array_equal(
        ts.apply(checkpoint, *map(Path, (files[2][0], files[3][0]))).energy, theirs.energy
    )
    with pytest.raises(ts.InputError, match="is not the reconstruction of"):
        ts.apply(checkpoint, sample[::-1], fits)
