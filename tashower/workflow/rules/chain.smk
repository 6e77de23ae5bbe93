"""Why a job runs again. All rules have one parameter that Snakemake compares, `made_by`: the keys that its stage reads, its
code, files of yours that it names and, in `above`, the same of all jobs whose files it reads. A product can thus not outlive
a change above it, whatever became of the jobs between. Which keys and which code: tashower/io/stages.py.
"""

import functools
import json
from base64 import urlsafe_b64encode
from pathlib import Path

from tashower.io.stages import content_of, made_by, part_of, products, showers_of
from tashower.io.statements import is_made_by


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
    above = [*sample("test"), calibrated(), *networks]
    # Tables and figures hold the networks in the order of the configuration.
    return made_by("score", CONFIG, above, order=NETWORKS)


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


def of_product(name):
    """What makes a product, of those that state it; None for others."""
    room, *parts = name.removesuffix(".h5").split("/")
    if room == "reconstructions":
        return fitted(*parts)
    if room == "networks" and parts[1:] != ["checkpoint.pt"]:
        return trained(parts[0]) if parts[1] == "history.json" else corrected(*parts)
    if room == "data" and parts != ["report.html"]:
        return fitted_data() if parts == ["fits"] else None
    return {"calibration.json": calibrated, "scores.json": scored}.get(
        name, lambda: None
    )()


def without_record():
    """Products that Snakemake has no record of, and that do not state this configuration and code: it would take them for
    finished."""
    for name in products(CONFIG):
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
