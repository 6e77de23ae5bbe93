"""Events, fits, features and samples are the same to the bit, however many chunks they are made
in.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hits import same

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import InputsConfig, load_config
from tashower.events.model import concatenate_events, concatenate_rows
from tashower.io.event_file import write_events
from tashower.io.reconstruction_file import write_reconstruction
from tashower.network.contracts import ModelInputs, build_model, find_head, find_model
from tashower.network.normalisation import measure
from tashower.network.predict import Trained, predict
from tashower.network.sample import map_sample, read_sample, store_sample
from tashower.network.tiles import ORIENTATIONS, STATION_FEATURES, TARGETS
from tashower.reconstruction.features import EVENT_FEATURES
from tashower.reconstruction.reconstruct import reconstruct
from tashower.simulation.simulate import simulate_events

N = 210
INPUTS = InputsConfig()


def made(folder, n_chunks):
    """(events, {method: fits}, features, sample on disk) of N showers in chunks."""
    config = load_config()
    parts, samples = [], []
    for k, numbers in enumerate(np.array_split(np.arange(N), n_chunks)):
        events = simulate_events(config, "test", int(numbers[0]), len(numbers))
        tables, pulses, features = reconstruct(
            events, read_calibration(DEFAULT), config.reconstruction
        )
        paths = folder / f"{n_chunks}-{k}.h5", folder / f"{n_chunks}-{k}-fits.h5"
        write_events(paths[0], events, {})
        write_reconstruction(paths[1], tables, {}, pulses, features)
        samples.append(read_sample(*paths, "free", INPUTS, True)[0])
        parts.append((events, tables, features))
    store_sample(folder / str(n_chunks), samples)
    return (
        concatenate_events([events for events, _, _ in parts]),
        {name: concatenate_rows([tables[name] for _, tables, _ in parts]) for name in parts[0][1]},
        {
            name: np.concatenate([features[name] for _, _, features in parts])
            for name in parts[0][2]
        },
        map_sample(folder / str(n_chunks)),
    )


@pytest.mark.parametrize("n_chunks", [2, 7])
def test_results_do_not_depend_on_the_number_of_chunks(tmp_path, n_chunks):
    events, tables, features, sample = made(tmp_path, 1)
    others, their_tables, their_features, their_sample = made(tmp_path, n_chunks)
    same(replace(others, array=events.array), events)
    np.testing.assert_array_equal(others.array.position, events.array.position)
    for name, table in tables.items():
        same(their_tables[name], table)
    for name, column in features.items():
        np.testing.assert_array_equal(their_features[name], column, err_msg=name)
    for name in ("cells", "waveform", "waveform_cell"):
        np.testing.assert_array_equal(
            getattr(their_sample.tiles, name), getattr(sample.tiles, name), err_msg=name
        )
    np.testing.assert_array_equal(their_sample.first_waveform, sample.first_waveform)
    np.testing.assert_array_equal(their_sample.targets, sample.targets)


def test_applied_networks_do_not_depend_on_the_number_of_chunks(tmp_path):
    made(tmp_path, 1)
    made(tmp_path, 3)
    whole = map_sample(tmp_path / "1")
    norm = measure(whole)
    torch.manual_seed(0)
    inputs = ModelInputs(
        6, 128, 2, STATION_FEATURES, tuple(EVENT_FEATURES), True, "square", len(TARGETS)
    )
    network = build_model(find_model("grid"), inputs, {})
    torch.nn.init.normal_(network.head[-1].weight)

    def correction(sample):
        trained = Trained(network, find_head("mean"), norm, event_features=True)
        return predict(trained, sample, torch.device("cpu"), ORIENTATIONS["square"])[0]

    parts = []
    for k in range(3):
        store_sample(
            tmp_path / "part",
            [
                read_sample(
                    tmp_path / f"3-{k}.h5", tmp_path / f"3-{k}-fits.h5", "free", INPUTS, True
                )[0]
            ],
        )
        parts.append(correction(map_sample(tmp_path / "part")))
    np.testing.assert_array_equal(np.concatenate(parts), correction(whole))
