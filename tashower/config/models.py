"""The whole configuration."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from tashower.config.analysis import DataConfig, ReconstructionConfig, ScoresConfig
from tashower.config.experiment import (
    ArrayConfig,
    DetectorConfig,
    FrontConfig,
    SamplesConfig,
    ShowersConfig,
)
from tashower.config.kinds import STRICT, Text, Whole
from tashower.config.networks import (
    InputsConfig,
    NetworkConfig,
    NetworkName,
    TrainingConfig,
    default_networks,
)


@dataclass(frozen=True, config=STRICT)
class Config:
    """Configuration of tashower: attributes are named like the keys."""

    seed: Whole = Field(
        2020,
        ge=0,
        description="Root of every random number; [seed, split, event] decides an event.",
    )
    results: Annotated[Text, Field(pattern="^[A-Za-z0-9._/-]+$")] = Field(
        "results", description="Folder for everything that the workflow makes."
    )
    array: ArrayConfig = Field(default_factory=ArrayConfig)
    detector: DetectorConfig = Field(default_factory=DetectorConfig)
    showers: ShowersConfig = Field(default_factory=ShowersConfig)
    front: FrontConfig = Field(default_factory=FrontConfig)
    samples: SamplesConfig = Field(default_factory=SamplesConfig)
    reconstruction: ReconstructionConfig = Field(default_factory=ReconstructionConfig)
    network: NetworkConfig = Field(default_factory=NetworkConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    networks: dict[NetworkName, InputsConfig] = Field(
        default_factory=default_networks,
        min_length=1,
        description="The networks to train, by name: which inputs each one sees.",
    )
    data: DataConfig = Field(default_factory=DataConfig)
    scores: ScoresConfig = Field(default_factory=ScoresConfig)
