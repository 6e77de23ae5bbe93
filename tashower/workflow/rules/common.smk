import hashlib
import json
import os
import shlex
import shutil
from pathlib import Path

from snakemake.exceptions import WorkflowError

import tashower
from tashower.config import as_dict, load_config, plain_scalars
from tashower.errors import InputError
from tashower.io.stages import chunk_names, products

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

# Read by the package, not taken from Snakemake's `config`: Snakemake takes 1e-3 for text, and adds a user's networks and
# primaries to the default ones instead of replacing them.
# A checkout has a file of all keys beside its Snakefile; without one the defaults are those of the package.
DEFAULTS = Path(workflow.basedir, "config/config.yaml")
try:
    CONFIG = as_dict(
        load_config(
            DEFAULTS if DEFAULTS.is_file() else None,
            *workflow.overwrite_configfiles,
            plain_scalars(dict(workflow.config_settings.config)),
        )
    )
except InputError as error:
    raise WorkflowError(str(error))

for name, settings in CONFIG["networks"].items():
    if settings["model"].endswith(".py") and not Path(settings["model"]).is_file():
        raise WorkflowError(f"networks.{name}.model: {settings['model']}: no such file")

# As Snakemake writes a path: with a slash at its end or two inside it would be another one at every start.
RESULTS = os.path.normpath(CONFIG["results"])
TRAINING = {name: settings["training"] for name, settings in CONFIG["networks"].items()}


def gpus(network=None):
    """GPUs to ask for: of a network, or of one that was trained elsewhere."""
    device = TRAINING.get(network, CONFIG["training"])["device"]
    # Where a cluster starts the jobs there may be no GPU to see: `device: cuda` asks for one.
    return int(
        device == "cuda" or (device == "auto" and bool(shutil.which("nvidia-smi")))
    )


wildcard_constraints:
    split="calibration|train|validation|test",
    chunk=r"[0-9]+",
    network="[a-z][a-z0-9_]*",


def chunks(path, split):
    """`path` for every chunk of a split, with {chunk} filled in."""
    names = chunk_names(CONFIG, split)
    return [path.format(split=split, chunk=chunk) for chunk in names]


# Memory and seconds of the rules, measured (benchmarks/resources.py).
MEASURED = json.loads((PACKAGE / "workflow/resources.json").read_text())["rules"]
SAMPLES = CONFIG["samples"]
# Showers that a job handles; a job of measured events is taken for one of a chunk.
SHOWERS = {
    "calibrate_fit": SAMPLES["calibration"],
    "train_network": SAMPLES["train"] + SAMPLES["validation"],
    "score_methods": SAMPLES["test"],
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


EVENTS = f"{RESULTS}/events/{{split}}/{{chunk}}.h5"
FITS = f"{RESULTS}/reconstructions/{{split}}/{{chunk}}.h5"
NETWORKS = list(CONFIG["networks"])
DATA = CONFIG["data"]
# Trained networks to apply to data, by the name of the folder that each lies in.
CHECKPOINTS = {Path(path).parent.name: path for path in DATA["checkpoints"]}
REPORT = f"{RESULTS}/data/report.html" if DATA["files"] else f"{RESULTS}/report.html"


def applied(name):
    """Reconstruction files of one network for the test sample."""
    return chunks(f"{RESULTS}/networks/{name}/{{split}}/{{chunk}}.h5", "test")
