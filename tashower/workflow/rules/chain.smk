"""Why a job runs again. All rules have one parameter that Snakemake compares, `made_by`: the keys that its stage reads, its
code, files of yours that it names and, in `above`, the same of all jobs whose files it reads. A product can thus not outlive
a change above it, whatever became of the jobs between. Which keys and which code: tashower/io/stages.py.
"""

import functools
import json
from base64 import urlsafe_b64encode
from pathlib import Path

from tashower.io.stages import (
    content_of,
    made_by,
    part_of,
    products,
    robustness_products,
    showers_of,
)
from tashower.io.statements import is_made_by


def handed(stage):
    """The configuration for a command as JSON, for a parameter of a rule that Snakemake does not compare, as what
    depends on threads: `made_by` decides, and the rest (a device, sizes of other samples) decides nothing.
    """

    def text(wildcards, threads):
        network = getattr(wildcards, "network", getattr(wildcards, "generator", None))
        if stage == "simulate":
            of_sample = in_world(CONFIG, wildcards.split)
            part = part_of(simulates(wildcards.split), of_sample)
            part["samples"] = CONFIG["samples"]
        else:
            part = part_of(stage, CONFIG, network)
        if stage == "generate":
            part["samples"] = CONFIG["samples"]
        if stage == "train-generator":
            part["generators"] = {network: CONFIG["generators"][network]}
        if stage == "train":
            part["networks"] = {network: CONFIG["networks"][network]}
            part["samples"] = CONFIG["samples"]  # its showers are some of them
        return json.dumps(part, sort_keys=True)

    return text


def device(wildcards, threads):
    """Where a network is applied; not compared either."""
    return TRAINING.get(wildcards.network, CONFIG["training"])["device"]


def simulated_split(sample):
    """What `tashower simulate` calls a sample; the world is in the configuration that it gets."""
    return "test" if sample in world_samples(CONFIG) else sample


@functools.cache
def simulated(split, chunk):
    showers = [simulated_split(split), *showers_of(CONFIG, split, int(chunk))]
    return made_by(simulates(split), in_world(CONFIG, split), showers=showers)


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
def learned():
    return made_by("station-likelihood", CONFIG)


def likelihood():
    """The station likelihood that fits take: a file of yours or of the package, or ours."""
    if learns_stations(CONFIG):
        return [learned()]
    return [{"stations": content_of(STATIONS)}] if STATIONS else []


@functools.cache
def fitted(split, chunk):
    above = [simulated(split, chunk), calibrated()]
    tested = split_of(split) == "test"
    return made_by("fit", CONFIG, above + (likelihood() if tested else []))


def sample(split, names=None):
    """What made the events and fits of a sample, or of these chunks of it."""
    names = chunk_names(CONFIG, split) if names is None else names
    return [made(split, chunk) for made in (simulated, fitted) for chunk in names]


@functools.cache
def trained(network):
    train, validation = (
        learning_sample(CONFIG, network, split) for split in ("train", "validation")
    )
    above = [*sample(train, train_chunks(CONFIG, network)), *sample(validation)]
    above += likelihood() if is_told(CONFIG, network) else []
    return made_by("train", CONFIG, above, network)


@functools.cache
def corrected(network, split, chunk):
    above = [trained(network), simulated(split, chunk), fitted(split, chunk)]
    return made_by("apply", CONFIG, above, network)


@functools.cache
def trained_generator(generator):
    names = [
        (split, c)
        for split in ("train", "validation")
        for c in chunk_names(CONFIG, split)
    ]
    above = [simulated(split, chunk) for split, chunk in names]
    return made_by("train-generator", CONFIG, above, generator)


@functools.cache
def generated(generator, chunk):
    above = [trained_generator(generator)]
    showers = ["test", *showers_of(CONFIG, "test", int(chunk))]
    return made_by("generate", CONFIG, above, generator, showers=showers)


@functools.cache
def judged():
    """What made the page of generated showers."""
    first = chunk_names(CONFIG, "test")[0]
    above = [simulated("test", first), calibrated()]
    above += [simulated("train", chunk) for chunk in chunk_names(CONFIG, "train")]
    above += [generated(name, first) for name in CONFIG["generators"]]
    above += [trained(network) for network in CORRECTIONS]
    return made_by("judge", CONFIG, above, order=[*CONFIG["generators"], *CORRECTIONS])


def explained(network):
    first = chunk_names(CONFIG, "test")[0]
    above = [trained(network), simulated("test", first), fitted("test", first)]
    return made_by("explain", CONFIG, above, network)


@functools.cache
def scored():
    names = chunk_names(CONFIG, "test")
    networks = [trained(network) for network in NETWORKS]
    networks += [corrected(network, "test", c) for network in NETWORKS for c in names]
    above = [*sample("test"), calibrated(), *networks]
    # Tables and figures hold the networks in the order of the configuration.
    return made_by("score", CONFIG, above, order=NETWORKS)


@functools.cache
def tabulated():
    """What made the table of all worlds."""
    names = chunk_names(CONFIG, "test")
    above = [made for world in world_samples(CONFIG) for made in sample(world)]
    above += [
        corrected(network, world, chunk)
        for world in world_samples(CONFIG)
        for network in NETWORKS
        for chunk in names
    ]
    return made_by("robustness", CONFIG, above, order=NETWORKS)


def reported():
    return made_by(
        "report", CONFIG, [scored(), *([judged()] if CONFIG["generators"] else [])]
    )


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
    return made_by("fit", CONFIG, [converted(), calibrated_for_data(), *likelihood()])


def corrected_data(network):
    above = [converted(), fitted_data()]
    return made_by("apply", {}, above, checkpoint=content_of(CHECKPOINTS[network]))


def reported_data():
    above = [converted(), fitted_data(), calibrated_for_data()]
    above += [corrected_data(name) for name in CHECKPOINTS]
    return made_by(
        "report-data", CONFIG, above + ([] if DATA["calibration"] else sample("test"))
    )


def of_product(name):
    """What makes a product, of those that state it; None for others."""
    room, *parts = name.removesuffix(".h5").split("/")
    if room == "reconstructions":
        return fitted(*parts)
    if room == "networks" and parts[1:] != ["checkpoint.pt"]:
        return trained(parts[0]) if parts[1] == "history.json" else corrected(*parts)
    if room == "generators" and parts[1:] != ["checkpoint.pt"]:
        of_curve = parts[1] == "history.json"
        return (
            trained_generator(parts[0]) if of_curve else generated(parts[0], parts[2])
        )
    if room == "data" and parts != ["report.html"]:
        return fitted_data() if parts == ["fits"] else None
    others = {
        "calibration.json": calibrated,
        "station_likelihood.json": learned,
        "scores.json": scored,
        "robustness.json": tabulated,
    }
    return others.get(name, lambda: None)()


def without_record():
    """Products that Snakemake has no record of, and that do not state this configuration and code: it would take them for
    finished."""
    for name in (*products(CONFIG), *robustness_products(CONFIG)):
        path = f"{RESULTS}/{name}"
        record = urlsafe_b64encode(path.encode()).decode()
        if (
            Path(path).is_file()
            and len(record) < 200  # longer ones lie elsewhere
            and not Path(".snakemake/metadata", record).exists()
            and not Path(".snakemake/incomplete", record).exists()
            and (made := of_product(name))
            and not is_made_by(path, made)
        ):
            yield path


# Records are files here, unless a database was asked for.
BACKEND = getattr(workflow.workflow_settings, "persistence_backend", None)
if workflow.is_main_process and getattr(BACKEND, "name", "FILE") == "FILE":
    if found := list(without_record()):
        raise WorkflowError(
            f"{found[0]}: was made by another configuration or code, and Snakemake's record of it is gone"
            f" ({len(found)} such files): remove it, or take another folder for the results"
        )
