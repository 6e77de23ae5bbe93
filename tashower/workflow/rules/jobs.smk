"""How a job calls `tashower`: as the package that this workflow lies in, whatever is in the path."""

import shlex
import sysconfig

from snakemake.settings.types import DeploymentMethod


def job_python():
    """Shell text that names the Python of a job, and lets it find the package."""
    if DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
        # An environment for jobs (environment.yml) holds what the package needs and not the package
        # itself. A folder that holds nothing else leads to it: a folder with other packages in it
        # would bring those into the environment, too.
        name = hashlib.sha256(str(PACKAGE).encode()).hexdigest()[:12]
        folder = Path.cwd() / ".snakemake" / f"tashower-{name}"
        link, target = shlex.quote(f"{folder}/tashower"), shlex.quote(str(PACKAGE))
        return (
            f"mkdir -p {shlex.quote(str(folder))};"
            f" [ -e {link} ] || ln -s {target} {link} || [ -e {link} ];"
            f" export PYTHONPATH={shlex.quote(str(folder))} TASHOWER_PYTHON=python;"
        )
    python = shlex.quote(sys.executable)
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    if str(PACKAGE.parent) in installed:
        return f"export TASHOWER_PYTHON={python};"
    source = shlex.quote(str(PACKAGE.parent))
    return f"export TASHOWER_PYTHON={python} PYTHONPATH={source}${{PYTHONPATH:+:$PYTHONPATH}};"


# What a job says when it does not end by itself, in its log and on the screen; `kill -l` names a
# signal. UTF-8 whatever the locale; a crash in compiled code says where in ours it was.
ENDED = """
tashower() {
    local status=0
    "$TASHOWER_PYTHON" -P -m tashower "$@" || status=$?
    case $status in
        137) echo "tashower $1: killed (SIGKILL), most often because memory ran out" ;;
        143) echo "tashower $1: told to stop (SIGTERM), by a time limit or by Snakemake" ;;
        12[89]|13[1-9]|1[4-9]?)
            echo "tashower $1: crashed (SIG$(kill -l $((status - 128)) || echo "? $status"))" ;;
    esac >&2
    return $status
}
"""

shell.prefix(
    "set -euo pipefail; "
    + (
        # Commands end with the workflow that started them (tashower/cli/orphan.py).
        f"export PYTHONUTF8=1 PYTHONFAULTHANDLER=1 TASHOWER_WORKFLOW={os.getpid()};"
        f" {job_python()}{ENDED}"
    )
    .replace("{", "{{")
    .replace("}", "}}")
)
