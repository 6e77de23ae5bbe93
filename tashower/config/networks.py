"""The networks: model, head, inputs, options, training; each network over the defaults of all."""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from math import isfinite
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass

from tashower.config.kinds import STRICT, Number, Switch, Text, Whole


@dataclass(frozen=True, config=STRICT)
class InputsConfig:
    """What a network sees beside the station features."""

    waveforms: Switch = Field(True, description="The network reads the waveforms.")
    event_features: Switch = Field(True, description="The network reads the event features.")
    tile: Whole = Field(6, ge=4, le=8, description="Stations along a side of the tile.")
    n_bins: Whole = Field(
        128,
        ge=32,
        le=256,
        description="Waveform bins that the network reads; longer ones are cut, shorter ones "
        "padded.",
    )
    bin_width_ns: Number = Field(
        0.0,
        ge=0,
        le=1000,
        description="Width of those bins [ns]: waveforms of other widths are shared out among "
        "them, sums kept; 0: the detector's, and only detectors of that width are accepted.",
    )


@dataclass(frozen=True, config=STRICT)
class GridOptions:
    """Options of the model `grid` (Ivanov et al. 2020, arXiv:2005.07117); those of a model of your
    own are numbers, text or true and false, given to its function as they are.
    """

    waveform_channels: Whole = Field(24, ge=4, le=512, description="Width of the waveform encoder.")
    station_channels: Whole = Field(
        48, ge=4, le=1024, description="Width of the grid convolutions."
    )
    grid_layers: Whole = Field(
        3, ge=0, le=20, description="Residual separable convolutions over the grid."
    )
    dense_channels: Whole = Field(128, ge=4, le=4096, description="Width of the dense head.")
    dropout: Number = Field(0.1, ge=0, le=0.9, description="Dropout in the dense head.")


#: Options of the built-in models.
OPTIONS = {"grid": GridOptions}


def _model(form: str) -> str:
    if form not in OPTIONS and not form.endswith(".py"):
        raise ValueError(
            f"must be {', '.join(OPTIONS)} or the path of a Python file (.py), not {form}"
        )
    return form


def _option(value):
    if not isinstance(value, bool | int | float | str):
        raise ValueError("must be a number, text, true or false")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("must be a finite number")
    return value


#: Most trainings of one network (choice).
MOST_SEEDS = 100

Model = Annotated[Text, AfterValidator(_model)]
Option = Annotated[
    bool | int | float | str,
    PlainValidator(_option),
    WithJsonSchema({"type": ["number", "string", "boolean"]}),
]


@dataclass(frozen=True, config=STRICT)
class NetworkConfig:
    """Defaults of every network; an entry of `networks` may give any of these keys, too."""

    model: Model = Field(
        "grid",
        description="grid (after Ivanov et al. 2020, arXiv:2005.07117), or the path of a Python "
        "file that defines model(inputs, **options).",
    )
    head: Literal["mean", "gaussian"] = Field(
        "mean", description="What the network says: the correction, or also its covariance."
    )
    corrects: Literal["free", "constrained", "complete"] = Field(
        "free",
        description="Which fit the network corrects; the published network corrects the free one.",
    )
    seeds: Whole = Field(
        1,
        ge=1,
        le=MOST_SEEDS,
        description="Trainings that differ by their random numbers alone: a network of three is "
        "trained as NAME, NAME_seed2 and NAME_seed3, and scored as one, with the scatter between "
        "them in its errors.",
    )
    inputs: InputsConfig = Field(default_factory=InputsConfig)
    options: dict[str, Option] = Field(
        default_factory=dict, description="Options of the model; left out: its defaults."
    )

    @field_validator("options")
    @classmethod
    def _options_of_the_model(cls, options: dict, info: ValidationInfo) -> dict:
        kind = OPTIONS.get(info.data.get("model"))
        return asdict(TypeAdapter(kind).validate_python(options)) if kind else options


@dataclass(frozen=True, config=STRICT)
class TrainingConfig:
    """How the networks are trained; an entry of `networks` may give any of these keys under
    `training`.
    """

    epochs: Whole = Field(13, ge=1, description="Most passes over the training sample.")
    patience: Whole = Field(
        5, ge=1, description="Passes without a better validation loss before training stops."
    )
    batch_size: Whole = Field(128, ge=2, description="Events in a step.")
    learning_rate: Number = Field(
        0.003, gt=0, description="Highest learning rate; warmed up, then lowered along a cosine."
    )
    weight_decay: Number = Field(0.01, ge=0, description="Decoupled weight decay.")
    augment: Switch = Field(
        True, description="Show each event in a random one of the square's eight orientations."
    )
    threads: Whole = Field(
        1,
        ge=1,
        le=256,
        description="CPU threads of one training. Several networks train side by side; sums over "
        "several threads round differently, so the trained weights depend on it in the last "
        "digits.",
    )
    processes: Whole = Field(
        1,
        ge=1,
        le=1024,
        description="Processes that share one training (torchrun): one for each GPU, or on CPUs "
        "with `threads` threads each.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where to train; auto takes a GPU where there is one."
    )

    @model_validator(mode="after")
    def _every_process_has_an_event(self):
        if self.processes > self.batch_size:
            raise ValueError(
                f"processes ({self.processes}) is above batch_size ({self.batch_size})"
            )
        return self


@dataclass(frozen=True, config=STRICT)
class NetworkSettings(NetworkConfig):
    """One network: everything that decides it."""

    training: TrainingConfig = Field(default_factory=TrainingConfig)


#: Names that mean something else in files and scores.
TAKEN = (
    *("complete", "constrained", "features", "free", "plane", "published", "pulses", "standard"),
    "truth",
)


def _not_taken(name: str) -> str:
    if name in TAKEN:
        raise ValueError(f"{name} is the name of something else: another one for the network")
    return name


NetworkName = Annotated[Text, Field(pattern="^[a-z][a-z0-9_]*$"), AfterValidator(_not_taken)]

#: The four inputs of the published table, as they stand in the configuration.
NETWORKS = {
    "waveforms_and_features": {},
    "waveforms_only": {"inputs": {"event_features": False}},
    "features_only": {"inputs": {"waveforms": False}},
    "stations_only": {"inputs": {"waveforms": False, "event_features": False}},
}


def merge(
    lower: Mapping, upper: Mapping, replaced: frozenset = frozenset(), path: tuple = ()
) -> dict:
    """Both maps as one, key by key; where both give a value, `upper` holds.

    Parameters
    ----------
    replaced : paths of the maps that `upper` replaces as a whole. The options of another model are
        replaced in any case: they mean nothing to this one.
    """
    whole = dict(lower)
    if "model" in upper and upper["model"] != whole.get("model", "grid"):
        whole.pop("options", None)
    for key, value in upper.items():
        below, here = whole.get(key), (*path, key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        whole[key] = merge(below, value, replaced, here) if both and here not in replaced else value
    return whole


def over_defaults(entry: object, network: object, training: object) -> object:
    """An entry of `networks` completed by the sections `network` and `training`. What is no map is
    left to the models: it is complete, or wrong.
    """
    if not isinstance(entry, Mapping):
        return entry
    network, training = (
        asdict(section) if is_dataclass(section) else section for section in (network, training)
    )
    defaults = network if isinstance(network, Mapping) else {}
    return merge({**defaults, "training": training}, entry)


def each_training(networks: Mapping) -> dict:
    """Completed entries of `networks` with one entry for each training, whose `seeds` is 1: the
    random numbers of a training come from its name. A number that is none of trainings is left to
    the models.

    Raises
    ------
    ValueError : another network has the name of a training.
    """
    found = {}
    for name, entry in networks.items():
        seeds = entry.get("seeds", 1) if isinstance(entry, Mapping) else 1
        found[name] = entry
        if seeds not in range(2, MOST_SEEDS + 1):
            continue
        found[name] = {**entry, "seeds": 1}
        for number in range(2, int(seeds) + 1):
            other = f"{name}_seed{number}"
            if other in networks:
                raise ValueError(f"networks: {other} is the name of a training of {name}")
            found[other] = found[name]
    return found
