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
)
from pydantic.dataclasses import dataclass

from tashower.config.kinds import STRICT, Number, Switch, Text, Whole
from tashower.config.training import TrainingConfig


@dataclass(frozen=True, config=STRICT)
class InputsConfig:
    """What a network sees beside the station features."""

    waveforms: Switch = Field(True, description="The network reads the waveforms.")
    event_features: Switch = Field(True, description="The network reads the event features.")
    station_likelihood: Switch = Field(
        False,
        description="The network is told what the station likelihood says of every hit at the fit "
        "that it corrects; the workflow learns one where likelihood.file is auto and that of the "
        "package is of other stations.",
    )
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
class TileOptions:
    """Options of the models over a grid."""

    waveform_channels: Whole = Field(16, ge=4, le=512, description="Width of the waveform encoder.")
    station_channels: Whole = Field(
        32, ge=4, le=1024, description="Width of the layers over the grid."
    )
    grid_layers: Whole = Field(
        2, ge=0, le=20, description="Layers over the grid: convolutions, or blocks of several."
    )
    dense_channels: Whole = Field(128, ge=4, le=4096, description="Width of the dense head.")
    dropout: Number = Field(0.1, ge=0, le=0.9, description="Dropout in the dense head.")
    pooling: Literal["flat", "average"] = Field(
        "flat", description="What the dense head sees: every cell, or the mean over the cells."
    )
    decoder_weight: Number = Field(
        0.0,
        ge=0,
        le=1000,
        description="Weight of an auxiliary loss in training: a decoder makes the waveforms again "
        "of what the encoder says of them; 0: no decoder.",
    )


@dataclass(frozen=True, config=STRICT)
class GridOptions(TileOptions):
    """Options of the model `grid`; the other built-in models of the grid
    (docs/network_backbones.md) have them without batch_normalisation, `residual` and `fractal` with
    drop_path; `set` has others. Those of a model of your own are numbers, text or true and false,
    given to its function as they are.
    """

    batch_normalisation: Switch = Field(
        True,
        description="Normalise each channel over the batch before every grid convolution (Ioffe "
        "and Szegedy 2015, arXiv:1502.03167).",
    )


@dataclass(frozen=True, config=STRICT)
class ResidualOptions(TileOptions):
    """Those of `residual`: with stochastic depth (Huang et al. 2016, arXiv:1603.09382)."""

    drop_path: Number = Field(
        0.0, ge=0, le=0.9, description="Part of the events that leave out the last block."
    )


@dataclass(frozen=True, config=STRICT)
class FractalOptions(TileOptions):
    """Those of `fractal` (Larsson et al. 2017, arXiv:1605.07648)."""

    grid_layers: Whole = Field(
        2, ge=1, le=6, description="Columns; the longest has 2^(grid_layers - 1) convolutions."
    )
    drop_path: Number = Field(
        0.15, ge=0, le=0.9, description="Part of the paths into a join that are left out."
    )


@dataclass(frozen=True, config=STRICT)
class SetOptions:
    """Options of the model `set`."""

    waveform_channels: Whole = Field(16, ge=4, le=512, description="Width of the waveform encoder.")
    station_channels: Whole = Field(
        32, ge=4, le=1024, description="Width of a station's token, a multiple of heads."
    )
    attention_layers: Whole = Field(
        1, ge=0, le=20, description="Times that the stations look at each other."
    )
    heads: Whole = Field(
        4, ge=1, le=64, description="Parts of a token that look for different things."
    )
    places: Whole = Field(
        6,
        ge=2,
        le=16,
        description="Along a side of the square of places to which stations count by their "
        "nearness.",
    )
    dense_channels: Whole = Field(128, ge=4, le=4096, description="Width of the dense head.")
    dropout: Number = Field(0.1, ge=0, le=0.9, description="Dropout in the dense head.")


#: Options of the built-in models.
OPTIONS = {
    "dense_connections": TileOptions,
    "dilated": TileOptions,
    "fractal": FractalOptions,
    "grid": GridOptions,
    "inception": TileOptions,
    "lenet": TileOptions,
    "network_in_network": TileOptions,
    "residual": ResidualOptions,
    "set": SetOptions,
    "squeeze_excitation": TileOptions,
    "vgg": TileOptions,
    "xception": TileOptions,
}


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
        description="grid (after Ivanov et al. 2020, arXiv:2005.07117); set, attention over "
        "stations that may stand anywhere; another architecture of docs/network_backbones.md "
        "(dense_connections, dilated, fractal, inception, lenet, network_in_network, residual, "
        "squeeze_excitation, vgg, xception); or the path of a Python file that defines "
        "model(inputs, **options).",
    )
    head: Literal["mean", "gaussian", "flow"] = Field(
        "mean",
        description="What the network says: the correction; gaussian: also its covariance; flow: "
        "also skewness and tails.",
    )
    loss: Literal["huber", "gaussian", "von_mises_fisher"] = Field(
        "huber",
        description="Of head mean: squares that become linear beyond 4 rms (Huber 1964, "
        "doi:10.1214/aoms/1177703732); mean square (a normal distribution of fixed width); or a "
        "Fisher distribution of fixed concentration for the direction (Fisher 1953, "
        "doi:10.1098/rspa.1953.0064).",
    )
    predicts: Literal["correction", "mass"] = Field(
        "correction",
        description="What it predicts: the correction of direction, core and energy; mass: Xmax "
        "and ln A, beside a fit that stays as it is.",
    )
    corrects: Literal["free", "constrained", "complete"] = Field(
        "free",
        description="Which fit the network corrects, or sees the event with; the published network "
        "corrects the free one.",
    )
    seeds: Whole = Field(
        1,
        ge=1,
        le=MOST_SEEDS,
        description="Trainings that differ by their random numbers alone: a network of three is "
        "trained as NAME, NAME_seed2 and NAME_seed3, and scored as one, with the scatter between "
        "them in its errors.",
    )
    showers: Whole = Field(
        0,
        ge=0,
        description="Showers that the workflow trains with: the first chunks of the training "
        "sample that hold so many; 0: all.",
    )
    randomised: Switch = Field(
        False,
        description="It learns from showers in which what `robustness.nuisances` names varies.",
    )
    inputs: InputsConfig = Field(default_factory=InputsConfig)
    options: dict[str, Option] = Field(
        default_factory=dict, description="Options of the model; left out: its defaults."
    )

    @field_validator("loss")
    @classmethod
    def _loss_of_the_head(cls, loss: str, info: ValidationInfo) -> str:
        if loss != "huber" and info.data.get("head", "mean") != "mean":
            raise ValueError(f"has no meaning with head {info.data['head']}, only with mean")
        return loss

    @field_validator("predicts")
    @classmethod
    def _loss_of_what_is_predicted(cls, predicts: str, info: ValidationInfo) -> str:
        if predicts == "mass" and info.data.get("loss") == "von_mises_fisher":
            raise ValueError("mass has no direction, which loss von_mises_fisher is of")
        return predicts

    @field_validator("options")
    @classmethod
    def _options_of_the_model(cls, options: dict, info: ValidationInfo) -> dict:
        kind = OPTIONS.get(info.data.get("model"))
        return asdict(TypeAdapter(kind).validate_python(options)) if kind else options


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

#: The four inputs of the published table, as they stand in the configuration, and the strongest
#: that we know: it corrects the strongest fit, and is told what the station likelihood says.
NETWORKS = {
    "waveforms_and_features": {},
    "waveforms_only": {"inputs": {"event_features": False}},
    "features_only": {"inputs": {"waveforms": False}},
    "stations_only": {"inputs": {"waveforms": False, "event_features": False}},
    "with_likelihood": {"corrects": "complete", "inputs": {"station_likelihood": True}},
}

#: Sections of `training` whose keys belong to the name in them.
_BY_NAME = ("optimiser", "schedule", "averaging")


def merge(
    lower: Mapping, upper: Mapping, replaced: frozenset = frozenset(), path: tuple = ()
) -> dict:
    """Both maps as one, key by key; where both give a value, `upper` holds.

    Parameters
    ----------
    replaced : paths of the maps that `upper` replaces as a whole. The options of another model,
        optimiser, schedule or average are replaced in any case: they mean nothing to this one.
    """
    whole = dict(lower)
    if "model" in upper and upper["model"] != whole.get("model", "grid"):
        whole.pop("options", None)
    for key, value in upper.items():
        below, here = whole.get(key), (*path, key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping) and here not in replaced
        if both and key in _BY_NAME and {"name"} <= below.keys() & value.keys():
            both = below["name"] == value["name"]
        whole[key] = merge(below, value, replaced, here) if both else value
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
