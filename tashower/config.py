"""The configuration: YAML or JSON, checked against `config.schema.json`, completed with its
defaults, frozen.

The schema is the one place where a key, its type, range, unit, default and description stand.
"""

import itertools
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from tashower.errors import InputError

SPLITS = ("calibration", "train", "validation", "test")


@dataclass(frozen=True)
class ArrayConfig:
    """Section `array`."""

    lattice: str
    columns: int
    rows: int
    spacing_m: float
    jitter_m: float
    altitude_spread_m: float
    lateral: str
    reference_m: float
    front_distance_m: float
    front_power: float
    front_density_power: float


@dataclass(frozen=True)
class DetectorConfig:
    """Section `detector`."""

    layers: int
    area_m2: float
    bin_width_ns: float
    bins: int
    out_of_service_fraction: float
    calibration_spread: float
    accidental_rate_khz: float
    accidental_radius_m: float


@dataclass(frozen=True)
class ShowersConfig:
    """Section `showers`."""

    interaction_model: str
    primaries: dict
    min_log10_energy_ev: float
    max_log10_energy_ev: float
    spectral_index: float
    max_zenith_deg: float
    core_margin_m: float
    throws: int


@dataclass(frozen=True)
class FrontConfig:
    """Section `front`."""

    electron_delay_ns: float
    electron_shape: int
    muon_delay_ns: float
    onset_ns: float
    local_ns: float


@dataclass(frozen=True)
class SamplesConfig:
    """Section `samples`."""

    calibration: int
    train: int
    validation: int
    test: int
    chunk_size: int


@dataclass(frozen=True)
class ReconstructionConfig:
    """Section `reconstruction`."""

    distance: str
    min_stations: int
    max_chi2_per_ndof: float
    max_zenith_deg: float
    min_border_distance_m: float
    max_pointing_error_deg: float
    max_s800_error: float
    errors: dict


@dataclass(frozen=True)
class NetworkConfig:
    """Section `network`."""

    correct: str
    tile: int
    n_bins: int
    bin_width_ns: float
    waveform_channels: int
    station_channels: int
    grid_layers: int
    dense_channels: int
    dropout: float


@dataclass(frozen=True)
class TrainingConfig:
    """Section `training`."""

    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    augment: bool
    threads: int
    processes: int
    device: str


@dataclass(frozen=True)
class InputsConfig:
    """One entry of `networks`: what a network sees beside the station features."""

    waveforms: bool
    event_features: bool


@dataclass(frozen=True)
class DataConfig:
    """Section `data`: measured events."""

    files: tuple
    format: str
    stations: str
    calibration: str
    checkpoints: tuple


@dataclass(frozen=True)
class ScoresConfig:
    """Section `scores`."""

    bootstrap: int
    energy_edges_log10_ev: tuple
    zenith_edges_deg: tuple
    examples: int


@dataclass(frozen=True)
class Config:
    """The whole configuration; attributes are named like the keys."""

    seed: int
    results: str
    array: ArrayConfig
    detector: DetectorConfig
    showers: ShowersConfig
    front: FrontConfig
    samples: SamplesConfig
    reconstruction: ReconstructionConfig
    network: NetworkConfig
    training: TrainingConfig
    networks: dict
    data: DataConfig
    scores: ScoresConfig


_SECTIONS = {
    "array": ArrayConfig,
    "detector": DetectorConfig,
    "showers": ShowersConfig,
    "front": FrontConfig,
    "samples": SamplesConfig,
    "reconstruction": ReconstructionConfig,
    "network": NetworkConfig,
    "training": TrainingConfig,
    "data": DataConfig,
    "scores": ScoresConfig,
}


@cache
def schema() -> dict:
    """The JSON schema of the configuration."""
    return json.loads((Path(__file__).parent / "config.schema.json").read_text())


def complete(values: dict, where: str = "configuration") -> dict:
    """Check a configuration and fill in the defaults; returns a new dictionary.

    Raises
    ------
    InputError : names the key that is unknown, of the wrong type or out of range.
    """
    import jsonschema

    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema()).iter_errors(values)
    )
    if error is not None:
        key = ".".join(str(p) for p in error.absolute_path) or "top level"
        raise InputError(f"{where}: {key}: {error.message}")
    whole = {}
    for name, entry in schema()["properties"].items():
        if name in _SECTIONS:
            given = values.get(name) or {}
            whole[name] = {
                key: given.get(key, item["default"]) for key, item in entry["properties"].items()
            }
        else:
            whole[name] = values.get(name, entry["default"])
    showers = whole["showers"]
    if showers["min_log10_energy_ev"] > showers["max_log10_energy_ev"]:
        raise InputError(
            f"{where}: showers.min_log10_energy_ev is above showers.max_log10_energy_ev"
        )
    if sum(showers["primaries"].values()) <= 0:
        raise InputError(f"{where}: showers.primaries: no primary has a positive abundance")
    if whole["training"]["processes"] > whole["training"]["batch_size"]:
        raise InputError(f"{where}: training.processes is above training.batch_size")
    for name in ("energy_edges_log10_ev", "zenith_edges_deg"):
        edges = whole["scores"][name]
        if any(b <= a for a, b in itertools.pairwise(edges)):
            raise InputError(f"{where}: scores.{name}: the edges do not increase")
    return whole


def freeze(values: dict, where: str = "configuration") -> Config:
    """A `Config` from a dictionary, checked and completed."""
    whole = complete(values, where)
    for name in ("scores", "data"):
        whole[name] = {k: tuple(v) if isinstance(v, list) else v for k, v in whole[name].items()}
    sections = {name: kind(**whole[name]) for name, kind in _SECTIONS.items()}
    networks = {name: InputsConfig(**inputs) for name, inputs in whole["networks"].items()}
    return Config(seed=whole["seed"], results=whole["results"], networks=networks, **sections)


def load_config(source: str | None = None) -> Config:
    """Read a configuration from a YAML file, or from JSON text that starts with `{`; None gives the
    defaults.

    Raises
    ------
    InputError : names the file and the key.
    """
    if source is None:
        return freeze({})
    where, text = "configuration", source
    if not source.lstrip().startswith("{"):
        path = Path(source)
        where = str(path)
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        text = path.read_text()
    import yaml

    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{where}: not valid YAML ({str(error).splitlines()[0]})") from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise InputError(f"{where}: not a mapping of keys to values")
    return freeze(values, where)


def as_dict(config: Config) -> dict:
    """The configuration as plain dictionaries, ready for JSON."""
    return json.loads(json.dumps(asdict(config)))


def _leaves():
    """(section or None, key, entry) of every key, in the order of the schema."""
    for name, entry in schema()["properties"].items():
        if name in _SECTIONS:
            for key, item in entry["properties"].items():
                yield name, key, item
        else:
            yield None, name, entry


def _range(entry: dict) -> str:
    if "enum" in entry:
        return ", ".join(str(v) for v in entry["enum"])
    low = entry.get("minimum", entry.get("exclusiveMinimum"))
    high = entry.get("maximum", entry.get("exclusiveMaximum"))
    text = entry["type"]
    if low is not None:
        text += f" {'>' if 'exclusiveMinimum' in entry else '>='} {low}"
    if high is not None:
        text += f"{',' if low is not None else ''} {'<' if 'exclusiveMaximum' in entry else '<='} {high}"
    return text


def describe() -> str:
    """Every key of the configuration as Markdown tables: type and range, default, meaning."""
    lines, section = [], ""
    for name, key, entry in _leaves():
        if name != section:
            section = name
            title = f"## {name}" if name else "## top level"
            about = (
                schema()["properties"][name]["description"]
                if name
                else "Keys outside of any section."
            )
            lines += [
                "",
                title,
                "",
                about,
                "",
                "| key | type, range | default | meaning |",
                "|---|---|---|---|",
            ]
        default = json.dumps(entry["default"]).replace("|", "\\|")
        lines.append(f"| `{key}` | {_range(entry)} | `{default}` | {entry['description']} |")
    return "\n".join(lines).strip()


def default_yaml() -> str:
    """The default configuration as YAML, each key with its meaning: the text of config/config.yaml."""
    lines, section = [], None
    for name, key, entry in _leaves():
        if name != section and name:
            lines += ["", f"# {schema()['properties'][name]['description']}", f"{name}:"]
        elif name != section or not name:
            lines += [""] if lines else []
        section = name
        indent = "  " if name else ""
        lines += [
            f"{indent}# {entry['description']}",
            f"{indent}{key}: {json.dumps(entry['default'])}",
        ]
    return "\n".join(lines)
