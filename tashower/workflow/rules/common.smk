import hashlib
import json
import os
import shlex
import shutil
from pathlib import Path

from snakemake.exceptions import WorkflowError

import tashower
from tashower.config import (
    as_dict,
    load_config,
    missing_files,
    missing_likelihood,
    missing_nuisances,
    plain_scalars,
)
from tashower.errors import InputError
from tashower.io.samples import (
    in_world,
    learning_sample,
    samples_of,
    simulates,
    split_of,
    world_of,
    world_samples,
)
from tashower.io.stages import (
    PACKAGED,
    chunk_names,
    is_told,
    learns_stations,
    products,
    station_likelihood_of,
    train_chunks,
)

# The package that this file lies in; in a job elsewhere (a pod) it may be a copy.
PACKAGE = Path(tashower.__file__).resolve().parent
if (
    workflow.is_main_process
    and PACKAGE / "workflow/rules" != Path(workflow.current_basedir).resolve()
):
    raise WorkflowError(
        f"the workflow in {workflow.current_basedir} belongs to another tashower than that of this"
        f" Python, {PACKAGE}: use `tashower run`, or `snakemake` in the checkout"
    )

# Of this machine, where Snakemake was not told a number: on a cluster it is not (`workflow.cores` raises there).
CORES = workflow.resource_settings.cores or os.cpu_count() or 1

# Read by the package, not taken from Snakemake's `config`: Snakemake takes 1e-3 for text, and adds a user's networks and
# primaries to the default ones instead of replacing them.
# A checkout has a file of all keys beside its Snakefile; without one the defaults are those of the package.
DEFAULTS = Path(workflow.basedir, "config/config.yaml")
GIVEN = plain_scalars(dict(workflow.config_settings.config))
# Configurations to compare (compare.smk): no key of a configuration itself.
COMPARED = GIVEN.pop("compare", [])
try:
    complete = load_config(
        DEFAULTS if DEFAULTS.is_file() else None,
        *workflow.overwrite_configfiles,
        GIVEN,
    )
    # What a storage holds is not here.
    without_storage = not workflow.storage_settings.default_storage_provider
    absent = missing_files(complete, data=without_storage)
    absent += missing_nuisances(complete)
    absent += missing_likelihood(complete)
    if absent:
        raise InputError("\n".join(absent))
    CONFIG = as_dict(complete)
except InputError as error:
    raise WorkflowError(str(error))

# As Snakemake writes a path: with a slash at its end or two inside it would be another one at every start.
RESULTS = os.path.normpath(CONFIG["results"])
TRAINING = {name: settings["training"] for name, settings in CONFIG["networks"].items()}


def gpus(network=None):
    """GPUs to ask for: of a network, or of one that was trained elsewhere."""
    return gpus_for(TRAINING.get(network, CONFIG["training"])["device"])


def gpus_for(device):
    """GPUs to ask for on a device of the configuration."""
    # Where a cluster starts the jobs there may be no GPU to see: `device: cuda` asks for one.
    return int(
        device == "cuda" or (device == "auto" and bool(shutil.which("nvidia-smi")))
    )


wildcard_constraints:
    split="calibration|(randomised_)?(train|validation)|test|world_[a-z0-9_]+",
    chunk=r"[0-9]+",
    network="[a-z][a-z0-9_]*",
    generator="[a-z][a-z0-9_]*",


def chunks(path, split):
    """`path` for every chunk of a sample, with {chunk} filled in."""
    names = chunk_names(CONFIG, split)
    return [path.format(split=split, chunk=chunk) for chunk in names]


def first_chunks(path, network):
    """`path` for every chunk that a network is trained with."""
    names, split = (
        train_chunks(CONFIG, network),
        learning_sample(CONFIG, network, "train"),
    )
    return [path.format(split=split, chunk=chunk) for chunk in names]


def validation_chunks(path, network):
    """`path` for every chunk that a network is validated with."""
    return chunks(path, learning_sample(CONFIG, network, "validation"))


# Memory and seconds of the rules, measured (benchmarks/resources.py).
MEASURED = json.loads((PACKAGE / "workflow/resources.json").read_text())["rules"]
SAMPLES = CONFIG["samples"]
# Showers that a job handles; a job of measured events is taken for one of a chunk.
SHOWERS = {
    "calibrate_fit": SAMPLES["calibration"],
    "train_station_likelihood": CONFIG["likelihood"]["stations"],
    "train_network": SAMPLES["train"] + SAMPLES["validation"],
    "train_generator": SAMPLES["train"] + SAMPLES["validation"],
    "score_methods": SAMPLES["test"],
    "judge_generated": SAMPLES["train"],
    "apply_network": min(SAMPLES["chunk_size"], SAMPLES["test"]),
    "reconstruct_tested": min(SAMPLES["chunk_size"], SAMPLES["test"]),
}


def needs(rule, quantity, passes=1):
    """memory_mb or seconds of a job, measured, for the showers that it handles."""
    constant, slope = MEASURED[rule][quantity]
    return constant + slope * passes * SHOWERS.get(rule, SAMPLES["chunk_size"]) / 1000


def memory(rule):
    """Memory [MB] to ask for: half as much again as measured, and as much again with every attempt."""
    return lambda wildcards, attempt: int(
        attempt * (200 + 1.5 * needs(rule, "memory_mb"))
    )


def memory_of_files(rule):
    """Memory [MB] to ask for where files of any size are held in memory: eight times their size (5.5 times is measured)."""
    constant = MEASURED[rule]["memory_mb"][0]
    return lambda wildcards, input, attempt: int(
        attempt * (200 + 1.5 * constant + 8 * input.size_mb)
    )


def minutes(rule, passes=1):
    """Time [min] to ask for: four times as much as measured, at least ten."""
    return lambda wildcards, attempt: int(
        attempt * max(10, 4 * needs(rule, "seconds", passes) / 60)
    )


def named(names, paths):
    """NAME=FILE words; of paths as the job sees them, which may be copies from a storage."""
    return [f"{name}={path}" for name, path in zip(names, paths, strict=True)]


def counted(paths):
    """Numbered paths as the shell counts them, folder/{000..123}.h5: a command may not be longer than 128 kB."""
    first, last = Path(paths[0]), Path(paths[-1])
    if first == last:
        return shlex.quote(str(first))
    (begin, ending), (end, _) = (path.name.split(".", 1) for path in (first, last))
    return f"{shlex.quote(str(first.parent))}/{{{begin}..{end}}}.{ending}"


def stations_file(taken=lambda wildcards: True):
    """The station likelihood as an input of the jobs that take one. That of the package is none: it lies where the
    package does, and a run goes on with the same package in another place (`made_by` has its content).
    """
    packaged = STATIONS == str(PACKAGED)
    file = [local(STATIONS) if Path(STATIONS).is_absolute() else STATIONS]
    return lambda wildcards: (
        file if STATIONS and not packaged and taken(wildcards) else []
    )


def with_stations(taken=lambda wildcards: True):
    """The words that name a station likelihood, where a fit or a network takes one."""

    def words(wildcards, input):
        if not STATIONS or not taken(wildcards):
            return []
        return ["--station-likelihood", *(input.stations or [STATIONS])]

    return words


def is_tested(wildcards):
    """Whether fits are of a test sample: the likelihood methods are compared with others, and correct nothing."""
    return split_of(wildcards.split) == "test"


def measured_as(rule, split):
    """Name of a rule in the measurements, which know fits of a test sample, with their likelihoods, apart."""
    tested = rule == "reconstruct_events" and split_of(split) == "test"
    return "reconstruct_tested" if tested else rule


def is_informed(wildcards):
    """Whether a network is told of the station likelihood."""
    return is_told(CONFIG, wildcards.network)


EVENTS = f"{RESULTS}/events/{{split}}/{{chunk}}.h5"
FITS = f"{RESULTS}/reconstructions/{{split}}/{{chunk}}.h5"
# Of which the likelihood methods take what single stations say; "": they are not made.
STATIONS = station_likelihood_of(CONFIG, RESULTS)
NETWORKS = list(CONFIG["networks"])
# Those that correct a fit.
CORRECTIONS = [
    name for name in NETWORKS if CONFIG["networks"][name]["predicts"] == "correction"
]
DATA = CONFIG["data"]
# Trained networks to apply to data, by the name of the folder that each lies in.
CHECKPOINTS = {Path(path).parent.name: path for path in DATA["checkpoints"]}
REPORT = f"{RESULTS}/data/report.html" if DATA["files"] else f"{RESULTS}/report.html"


def applied(name, sample="test"):
    """Reconstruction files of one network for the test sample, also that of another world."""
    return chunks(f"{RESULTS}/networks/{name}/{{split}}/{{chunk}}.h5", sample)


# The test sample, and the same showers in other worlds.
WORLDS = world_samples(CONFIG)


def in_worlds(path):
    """`path` for every chunk of the test sample in every world."""
    if len(WORLDS) < 2:
        raise WorkflowError(
            "robustness: robustness.worlds of the configuration names no world (config/robustness.yaml has some)"
        )
    return [one for world in WORLDS for one in chunks(path, world)]
