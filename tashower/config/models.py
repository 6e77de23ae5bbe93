"""The whole configuration."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs

from tashower.config.analysis import (
    DataConfig,
    LikelihoodConfig,
    ReconstructionConfig,
    ScoresConfig,
)
from tashower.config.experiment import (
    ArrayConfig,
    DetectorConfig,
    FrontConfig,
    SamplesConfig,
    ShowersConfig,
)
from tashower.config.generators import GeneratorSettings
from tashower.config.kinds import STRICT, Text, Whole
from tashower.config.networks import (
    NETWORKS,
    NetworkConfig,
    NetworkName,
    NetworkSettings,
    TrainingConfig,
    each_training,
    over_defaults,
)
from tashower.config.worlds import RobustnessConfig


@dataclass(frozen=True, config=STRICT)
class Config:
    """Configuration of tashower: attributes are named like the keys."""

    seed: Whole = Field(
        2020,
        ge=0,
        le=2**63 - 1,
        description="Root of every random number; [seed, split, event] decides an event.",
    )
    # Without what Snakemake reads in a name ({}: a wildcard; a scheme: a storage), or a shell.
    results: Annotated[Text, Field(pattern=r"""^[^{}<>|&;*?"'`$~:\\\x00-\x1f]+$""")] = Field(
        "results", description="Folder for everything that the workflow makes."
    )
    array: ArrayConfig = Field(default_factory=ArrayConfig)
    detector: DetectorConfig = Field(default_factory=DetectorConfig)
    showers: ShowersConfig = Field(default_factory=ShowersConfig)
    front: FrontConfig = Field(default_factory=FrontConfig)
    samples: SamplesConfig = Field(default_factory=SamplesConfig)
    reconstruction: ReconstructionConfig = Field(default_factory=ReconstructionConfig)
    likelihood: LikelihoodConfig = Field(default_factory=LikelihoodConfig)
    network: NetworkConfig = Field(default_factory=NetworkConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    networks: dict[NetworkName, NetworkSettings] = Field(
        default_factory=dict,
        min_length=1,
        description="The networks to train, by name. Each is what `network` and `training` say, "
        "but for what its entry says: {inputs: {tile: 5}, training: {epochs: 20}}.",
    )
    generators: dict[NetworkName, GeneratorSettings] = Field(
        default_factory=dict,
        description="Generators of waveforms to train on the training sample, by name, and to "
        "generate the showers of the test sample with (docs/generation.md); none by default: "
        "{flow: {kind: station_flow}}.",
    )
    data: DataConfig = Field(default_factory=DataConfig)
    scores: ScoresConfig = Field(default_factory=ScoresConfig)
    robustness: RobustnessConfig = Field(default_factory=RobustnessConfig)

    @model_validator(mode="before")
    @classmethod
    def _networks_over_their_defaults(cls, given):
        values = given.kwargs or {} if isinstance(given, ArgsKwargs) else given
        networks = values.get("networks", NETWORKS)
        if isinstance(networks, Mapping):
            sections = values.get("network", {}), values.get("training", {})
            networks = {name: over_defaults(entry, *sections) for name, entry in networks.items()}
            networks = each_training(networks)
        return {**values, "networks": networks}

    @model_validator(mode="after")
    def _networks_have_their_showers(self):
        for name, network in self.networks.items():
            if network.showers > self.samples.train:
                raise ValueError(
                    f"networks.{name}.showers ({network.showers}) is above samples.train"
                    f" ({self.samples.train})"
                )
        return self
