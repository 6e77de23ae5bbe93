import hashlib
import json
import shutil
from pathlib import Path

from snakemake.exceptions import WorkflowError

import tashower
from tashower.config import complete
from tashower.errors import InputError

# Snakemake merges maps: a list of networks or primaries would add to the default ones instead of replacing them.
if "networks" in GIVEN:
    config["networks"] = GIVEN["networks"]
if isinstance(GIVEN.get("showers"), dict) and "primaries" in GIVEN["showers"]:
    config["showers"]["primaries"] = GIVEN["showers"]["primaries"]

try:
    CONFIG = complete(config)
except InputError as error:
    raise WorkflowError(str(error))

RESULTS = CONFIG["results"]
GPUS = 1 if shutil.which("nvidia-smi") and CONFIG["training"]["device"] != "cpu" else 0


wildcard_constraints:
    split="calibration|train|validation|test",
    chunk=r"[0-9]+",
    network="[a-z][a-z0-9_]*",


def section(*names):
    """The named sections of the configuration as JSON: a rule runs again when they change, and only then."""
    return json.dumps({name: CONFIG[name] for name in ("seed", *names)}, sort_keys=True)


def package_code(*rooms):
    """Fingerprint of the sources in the named folders of the package: a rule runs again when its code changes."""
    package = Path(tashower.__file__).parent
    digest = hashlib.sha256()
    for room in rooms:
        for path in sorted((package / room).glob("**/*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def lateral_code():
    """Fingerprint of the file that defines the lateral distribution; empty for the built-in one."""
    path = Path(CONFIG["array"]["lateral"])
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else ""


def chunks(path, split):
    """`path` for every chunk of a split, with {chunk} filled in."""
    n_chunks = -(-CONFIG["samples"][split] // CONFIG["samples"]["chunk_size"])
    return [path.format(split=split, chunk=f"{chunk:03d}") for chunk in range(n_chunks)]


def named(names, paths):
    """NAME=FILE words; of paths as the job sees them, which may be copies from a storage."""
    return [f"{name}={path}" for name, path in zip(names, paths, strict=True)]


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
