"""A tiny sample to learn from."""

from types import SimpleNamespace

import pytest
from generation.small_generators import SMALL

from tashower.config import as_dict, load_config


@pytest.fixture(scope="session")
def learned(tmp_path_factory):
    """Files of events, configuration and checkpoint of a tiny generator, and how it was trained."""
    from tashower.generation.checkpoint import load_generator
    from tashower.generation.training import train_generator
    from tashower.io.event_file import write_events
    from tashower.simulation.simulate import simulate_events

    folder = tmp_path_factory.mktemp("generators")
    config, paths, events = load_config(SMALL), {}, {}
    for split, n in (("train", 120), ("validation", 60)):
        events[split] = simulate_events(config, split, 0, n)
        paths[split] = folder / f"{split}.h5"
        write_events(paths[split], events[split], as_dict(config))

    def train(output, config=config):
        output.parent.mkdir(exist_ok=True)
        train_generator(config, "g", [paths["train"]], [paths["validation"]], output)
        return load_generator(output)

    checkpoint = folder / "first" / "c.pt"
    content = train(checkpoint)
    return SimpleNamespace(
        folder=folder,
        config=config,
        paths=paths,
        events=events,
        train=train,
        checkpoint=checkpoint,
        content=content,
    )
