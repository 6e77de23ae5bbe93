"""A tiny sample to train on."""

import json

import pytest
from network.small import SMALL

from tashower.config import load_config
from tashower.network.checkpoint import load_checkpoint


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A tiny training, its files and configuration."""
    from tashower.calibration.calibration import DEFAULT, read_calibration
    from tashower.io.event_file import read_events, write_events
    from tashower.io.reconstruction_file import write_reconstruction
    from tashower.network.training import train_network
    from tashower.reconstruction.reconstruct import reconstruct
    from tashower.simulation.simulate import simulate_events

    folder = tmp_path_factory.mktemp("train")
    config = load_config(SMALL)
    paths = {}
    for split, n in (("train", 250), ("validation", 120)):
        events = simulate_events(config, split, 0, n)
        tables, pulses, features = reconstruct(
            events, read_calibration(DEFAULT), config.reconstruction
        )
        paths[split] = (folder / f"{split}.h5", folder / f"{split}-fits.h5")
        write_events(paths[split][0], events, {})
        write_reconstruction(paths[split][1], tables, {}, pulses, features)
        assert read_events(paths[split][0]).n_events == events.n_events

    def train(output, config=config, name="a"):
        output.parent.mkdir(exist_ok=True)
        files = ([p] for split in ("train", "validation") for p in paths[split])
        train_network(config, name, *files, output)
        return load_checkpoint(output), json.loads(output.with_name("history.json").read_text())[
            "epochs"
        ]

    return folder, config, paths, train
