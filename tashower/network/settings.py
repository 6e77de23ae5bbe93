"""The resolved configuration of one network."""

from dataclasses import asdict, dataclass

from tashower.config import Config


@dataclass(frozen=True)
class NetworkInputs:
    """What a network reads; names as in the configuration."""

    waveforms: bool
    event_features: bool
    tile: int
    n_bins: int
    bin_width_ns: float


@dataclass(frozen=True)
class NetworkSettings:
    """Everything that decides one network, and nothing of the others."""

    model: str
    head: str
    corrects: str
    inputs: NetworkInputs
    options: dict
    training: object


def settings_of(config: Config, name: str) -> NetworkSettings:
    """The settings of one entry of `networks`, completed from the sections `network` and `training`
    where the entry is not complete by itself.
    """
    entry = config.networks[name]
    if hasattr(entry, "model"):
        return entry
    sizes = asdict(config.network)
    corrects = sizes.pop("correct")
    of_inputs = {key: sizes.pop(key) for key in ("tile", "n_bins", "bin_width_ns")}
    inputs = NetworkInputs(entry.waveforms, entry.event_features, **of_inputs)
    return NetworkSettings("grid", "mean", corrects, inputs, sizes, config.training)
