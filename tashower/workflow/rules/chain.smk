"""Why a job runs again. Every rule has one parameter that Snakemake compares, `made_by`: the keys that its stage reads, its
code, files of yours that it names and, in `above`, the same of all jobs whose files it reads. A product can thus not outlive
a change above it, whatever became of the jobs between. Which keys and which code: tashower/io/stages.py.
"""

import functools
import json
from pathlib import Path

from tashower.io.stages import content_of, made_by, part_of, showers_of


def handed(stage):
    """The configuration for a command as JSON, for a parameter of a rule that Snakemake does not compare, as what
    depends on threads: `made_by` decides, and the rest (a device, sizes of other samples) decides nothing.
    """

    def text(wildcards, threads):
        network = getattr(wildcards, "network", None)
        part = part_of(stage, CONFIG, network)
        if stage == "simulate":
            part["samples"] = CONFIG["samples"]
        if stage == "train":
            part["networks"] = {network: CONFIG["networks"][network]}
        return json.dumps(part, sort_keys=True)

    return text


def device(wildcards, threads):
    """Where a network is applied; not compared either."""
    return TRAINING.get(wildcards.network, CONFIG["training"])["device"]


@functools.cache
def simulated(split, chunk):
    return made_by(
        "simulate", CONFIG, showers=[split, *showers_of(CONFIG, split, int(chunk))]
    )


@functools.cache
def calibrated():
    return made_by(
        "calibrate",
        CONFIG,
        [
            simulated("calibration", chunk)
            for chunk in chunk_names(CONFIG, "calibration")
        ],
    )


@functools.cache
def fitted(split, chunk):
    return made_by("fit", CONFIG, [simulated(split, chunk), calibrated()])


def sample(split):
    """What made the events and fits of a sample."""
    names = chunk_names(CONFIG, split)
    return [made(split, chunk) for made in (simulated, fitted) for chunk in names]


@functools.cache
def trained(network):
    above = [*sample("train"), *sample("validation")]
    return made_by("train", CONFIG, above, network)


@functools.cache
def corrected(network, split, chunk):
    above = [trained(network), simulated(split, chunk), fitted(split, chunk)]
    return made_by("apply", CONFIG, above, network)


@functools.cache
def scored():
    names = chunk_names(CONFIG, "test")
    networks = [trained(network) for network in NETWORKS]
    networks += [corrected(network, "test", c) for network in NETWORKS for c in names]
    return made_by("score", CONFIG, [*sample("test"), calibrated(), *networks])


def reported():
    return made_by("report", CONFIG, [scored()])


def state_of(path):
    """Size and time of a file that may be too large to look into at every start."""
    path = Path(path)
    return [path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else []


def converted():
    return made_by(
        "convert", CONFIG, measured={path: state_of(path) for path in DATA["files"]}
    )


def calibrated_for_data():
    """The calibration that the fit of measured events takes: a file of yours, or ours."""
    path = DATA["calibration"]
    return {"calibration": content_of(path)} if path else calibrated()


def fitted_data():
    return made_by("fit", CONFIG, [converted(), calibrated_for_data()])


def corrected_data(network):
    above = [converted(), fitted_data()]
    return made_by("apply", {}, above, checkpoint=content_of(CHECKPOINTS[network]))


def reported_data():
    above = [converted(), fitted_data(), calibrated_for_data()]
    above += [corrected_data(name) for name in CHECKPOINTS]
    return made_by(
        "report-data", CONFIG, above + ([] if DATA["calibration"] else sample("test"))
    )
