"""How a job calls `tashower`: as the package that this workflow lies in, whatever is in the path."""

import os
import shlex
import sys
import sysconfig

from snakemake.settings.types import DeploymentMethod

from tashower.cli.orphan import end_with_workflow
from tashower.io.atomic import remove_unfinished

# A workflow that another one started (compare.smk) ends with it.
if workflow.is_main_process:
    end_with_workflow()
    if not workflow.dryrun:
        remove_unfinished(RESULTS)


def found_by_jobs():
    """(python, folder, package) of a job, as workflow/jobs.sh takes them."""
    if DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
        # An environment for jobs (environment.yml) holds what the package needs and not the package
        # itself. It is found through a folder that holds nothing else: one with other packages in it
        # would bring those into the environment, too.
        name = hashlib.sha256(str(PACKAGE).encode()).hexdigest()[:12]
        return "python", Path.cwd() / ".snakemake" / f"tashower-{name}", PACKAGE
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    if str(PACKAGE.parent) in installed:
        return sys.executable, "", ""
    return sys.executable, PACKAGE.parent, ""


def job_prefix():
    """What the shell of every job does first."""
    names = ("TASHOWER_PYTHON", "TASHOWER_FOUND", "TASHOWER_LINKED")
    chosen = zip(names, found_by_jobs(), strict=True)
    words = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in chosen)
    source = f"source {shlex.quote(str(PACKAGE / 'workflow/jobs.sh'))}"
    # Commands end with the workflow that started them (tashower/cli/orphan.py).
    watched = f"export TASHOWER_WORKFLOW={os.getpid()}"
    return f"set -euo pipefail; {watched}; {words}; {source}; "


shell.prefix(job_prefix().replace("{", "{{").replace("}", "}}"))
