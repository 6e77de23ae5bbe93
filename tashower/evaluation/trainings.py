"""Networks that are scored: what they see, how they were trained, and which of them are trainings
of one network.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tashower.config import Config
from tashower.io.json_file import parsed_json


def trainings(config: Config, networks: Mapping) -> dict[str, list[str]]:
    """{network: names of its trainings}, itself the first: networks of the configuration whose
    settings are the same differ by the seed alone, which comes from the name.
    """
    found, known = {}, {}
    for name in networks:
        own = config.networks.get(name)
        if own is not None:  # where it was trained decides nothing
            own = replace(own, training=replace(own.training, device="auto"))
        first = next((one for one in known if own is not None and known[one] == own), name)
        known[name] = own
        found.setdefault(first, []).append(name)
    return found


def switches(config: Config, name: str) -> dict | None:
    """What a network of the configuration sees, `station_likelihood` only where it is told of one;
    None for a network that was trained elsewhere.
    """
    if name not in config.networks:
        return None
    inputs = config.networks[name].inputs
    told = {"station_likelihood": True} if inputs.station_likelihood else {}
    return {"waveforms": inputs.waveforms, "event_features": inputs.event_features, **told}


def history_paths(networks: Mapping[str, list]) -> dict[str, Path]:
    """{network: its history.json}, beside the checkpoint, two folders above the network's results;
    without those that have none.
    """
    found = {}
    for name, paths in networks.items():
        for folder in list(Path(paths[0]).parents)[:3] if paths else ():
            if (folder / "history.json").is_file():
                found[name] = folder / "history.json"
                break
    return found


def histories(networks: Mapping[str, list]) -> dict[str, list[dict]]:
    """Training curves of the networks."""
    paths = history_paths(networks)
    return {name: parsed_json(path)["epochs"] for name, path in paths.items()}
