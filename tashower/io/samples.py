"""Samples of showers by their names: the splits, those in which nuisances vary, and the test sample
in other worlds.
"""

from collections.abc import Mapping

#: Samples that a run fits: that of the weights, that of the best checkpoint, that of the scores.
_FITTED = ("train", "validation", "test")
#: Begin of the name of a sample with nuisances, and of the test sample in another world.
RANDOMISED, WORLD = "randomised_", "world_"


def split_of(sample: str) -> str:
    """The split whose showers a sample holds."""
    return "test" if sample.startswith(WORLD) else sample.removeprefix(RANDOMISED)


def simulates(sample: str) -> str:
    """The stage that simulates a sample."""
    return "simulate-randomised" if sample.startswith(RANDOMISED) else "simulate"


def in_world(configuration: Mapping, sample: str) -> dict:
    """The configuration that a sample is simulated with: in another world some keys differ."""
    if not sample.startswith(WORLD):
        return dict(configuration)
    changes = configuration["robustness"]["worlds"][sample.removeprefix(WORLD)]
    sections = {name: {**configuration[name], **own} for name, own in changes.items()}
    return {**configuration, **sections}


def samples_of(configuration: Mapping) -> list[str]:
    """Names of the samples that a whole run fits, but for that of the calibration."""
    randomised = any(n.get("randomised") for n in configuration["networks"].values())
    more = [f"{RANDOMISED}{split}" for split in _FITTED[:2]] if randomised else []
    return [*_FITTED, *more]


def world_samples(configuration: Mapping) -> list[str]:
    """Names of the test samples in all worlds, that of everything else first."""
    return ["test", *(f"{WORLD}{name}" for name in configuration["robustness"]["worlds"])]


def world_of(sample: str) -> str:
    """Name of the world of a test sample; "nominal" for that of everything else."""
    return sample.removeprefix(WORLD) if sample.startswith(WORLD) else "nominal"


def learning_sample(configuration: Mapping, network: str, split: str) -> str:
    """Name of the training or validation sample (split) of a network."""
    randomised = configuration["networks"][network].get("randomised")
    return f"{RANDOMISED}{split}" if randomised else split
