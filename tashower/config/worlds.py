"""Worlds in which a network, a fit or a likelihood is tested that learned in another one, and
nuisances that vary in a training sample.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from tashower.config.experiment import DetectorConfig, FrontConfig, ShowersConfig
from tashower.config.kinds import STRICT, Number, Text
from tashower.config.networks import Option

#: What another world may change, by section: the same showers are thrown at the same stations.
CHANGEABLE = {
    "detector": (
        *("out_of_service_fraction", "calibration_spread", "gain_shift", "clock_ns"),
        *("accidental_rate_khz", "noise_factor", "pulse_width_factor", "late_pulse_probability"),
    ),
    "showers": (
        *("interaction_model", "muon_factor", "slope_shift", "lateral_far_power"),
        "front_power",
    ),
    "front": (
        *("model", "electron_delay_factor", "muon_delay_factor", "onset_factor", "local_factor"),
    ),
}
_KINDS = {"detector": DetectorConfig, "showers": ShowersConfig, "front": FrontConfig}


def _value(section: str, key: str, value: object) -> object:
    """A value of a key that worlds may change, as the section has it.

    Raises
    ------
    ValueError : another key, or no value of it.
    """
    if key not in CHANGEABLE[section]:
        raise ValueError(
            f"{section}.{key}: not in another world; a world changes only "
            f"{', '.join(CHANGEABLE[section])} there"
        )
    try:
        return getattr(TypeAdapter(_KINDS[section]).validate_python({key: value}), key)
    except ValidationError as error:
        raise ValueError(f"{section}.{key}: {value}: {error.errors()[0]['msg']}") from None


Section = Literal["detector", "showers", "front"]


def _world(changes: dict[str, dict]) -> dict[str, dict]:
    return {
        section: {key: _value(section, key, value) for key, value in own.items()}
        for section, own in changes.items()
    }


World = Annotated[dict[Section, dict[Text, Option]], AfterValidator(_world)]


def _not_nominal(name: str) -> str:
    if name == "nominal":
        raise ValueError("nominal is the world that everything learns in: another name")
    return name


WorldName = Annotated[Text, Field(pattern="^[a-z][a-z0-9_]*$"), AfterValidator(_not_nominal)]


def _values(values: tuple) -> tuple:
    numbers = [isinstance(value, float) for value in values]
    if any(numbers) and (not all(numbers) or len(values) != 2 or values[0] > values[1]):
        raise ValueError("must be [lowest, highest], or a list of texts")
    return values


def _nuisances(nuisances: dict[str, dict]) -> dict[str, dict]:
    return {
        section: {
            key: tuple(_value(section, key, value) for value in values)
            for key, values in own.items()
        }
        for section, own in nuisances.items()
    }


Values = Annotated[tuple[Number | Text, ...], Field(min_length=1), AfterValidator(_values)]
Nuisances = Annotated[dict[Section, dict[Text, Values]], AfterValidator(_nuisances)]


@dataclass(frozen=True, config=STRICT)
class RobustnessConfig:
    """What is learned in one world is tested in others (`snakemake robustness`): the same showers,
    simulated otherwise, with calibration, station likelihood and networks of this configuration
    (docs/robustness.md).
    """

    worlds: dict[WorldName, World] = Field(
        default_factory=dict,
        description="Worlds to test in, by name: what differs in the sections detector, showers and"
        " front, {gain_up: {detector: {gain_shift: 0.05}}}. Keys that would throw other showers or "
        "move stations are refused.",
    )
    nuisances: Nuisances = Field(
        default_factory=dict,
        description="What varies in the training and validation sample of a network with "
        "`randomised`: keys as in a world, each with [lowest, highest] of a flat distribution, or "
        "texts to choose from; drawn anew for every hundred showers.",
    )
