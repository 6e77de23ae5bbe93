"""Learned generators of waveforms: kind, sample, training, options of the kind."""

from dataclasses import asdict
from typing import Literal

from pydantic import Field, TypeAdapter, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from tashower.config.kinds import STRICT, Number, Whole
from tashower.config.networks import Option


@dataclass(frozen=True, config=STRICT)
class StationFlowOptions:
    """Options of the kind `station_flow`."""

    hits: Whole = Field(
        400_000, ge=1000, description="Most hits of the training sample that it learns from."
    )
    channels: Whole = Field(
        256, ge=8, le=4096, description="Width of the network that makes waveforms."
    )
    layers: Whole = Field(3, ge=1, le=20, description="Its residual layers.")
    steps: Whole = Field(10, ge=1, le=1000, description="Midpoint steps from noise to a waveform.")


@dataclass(frozen=True, config=STRICT)
class TileGanOptions:
    """Options of the kind `tile_gan`."""

    tile: Whole = Field(8, ge=4, le=12, description="Stations along a side of the tile.")
    events: Whole = Field(
        20_000, ge=2, description="Events of the training sample that are used, at most."
    )
    critic_steps: Whole = Field(
        3, ge=1, le=100, description="Steps of the critic for one of the generator."
    )
    penalty: Number = Field(
        10.0, gt=0, description="lambda, weight of the gradient penalty (Gulrajani et al. 2017)."
    )
    latent: Whole = Field(16, ge=1, le=1024, description="Random numbers of an event.")
    noise: Whole = Field(12, ge=4, le=256, description="Random numbers of a station.")
    width: Whole = Field(48, ge=8, le=1024, description="Width of the layers of both networks.")


#: What stands for 0.
USUAL = {
    "station_flow": {"epochs": 8, "batch_size": 512, "learning_rate": 0.002},
    "tile_gan": {"epochs": 6, "batch_size": 32, "learning_rate": 0.001},
}
#: Options of the kinds.
OPTIONS_OF_KIND = {"station_flow": StationFlowOptions, "tile_gan": TileGanOptions}


@dataclass(frozen=True, config=STRICT)
class GeneratorSettings:
    """One generator: everything that decides it."""

    kind: Literal["station_flow", "tile_gan"] = Field(
        "station_flow",
        description="station_flow: flow matching (Lipman et al. 2023, arXiv:2210.02747) for every "
        "station by itself; tile_gan: a generative adversarial network with gradient penalty "
        "(Gulrajani et al. 2017, arXiv:1704.00028) for all stations around the core.",
    )
    epochs: Whole = Field(
        0,
        ge=0,
        validate_default=True,
        description="Passes over the training sample; 0: 8 (tile_gan: 6).",
    )
    batch_size: Whole = Field(
        0,
        ge=0,
        validate_default=True,
        description="Stations (tile_gan: events) in a step; 0: 512 (tile_gan: 32).",
    )
    learning_rate: Number = Field(
        0.0,
        ge=0,
        validate_default=True,
        description="Highest learning rate; station_flow: it rises once, and falls; tile_gan: of "
        "both networks, it stays for half of the training, and falls; 0: 0.002 (tile_gan: 0.001).",
    )
    threads: Whole = Field(1, ge=1, le=256, description="CPU threads of the training.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where to train; auto takes a GPU where there is one."
    )
    options: dict[str, Option] = Field(
        default_factory=dict,
        description="Options of the kind (docs/generation.md); left out: its defaults.",
    )

    @field_validator("epochs", "batch_size", "learning_rate")
    @classmethod
    def _usual(cls, value, info: ValidationInfo):
        return value or USUAL.get(info.data.get("kind"), {}).get(info.field_name, value)

    @field_validator("options")
    @classmethod
    def _options_of_the_kind(cls, options: dict, info: ValidationInfo) -> dict:
        kind = OPTIONS_OF_KIND.get(info.data.get("kind"))
        return asdict(TypeAdapter(kind).validate_python(options)) if kind else options
