"""`tashower run`: the whole workflow, that of the package that this command belongs to."""

import argparse
import getpass
import os
import sys
from pathlib import Path

from tashower.caches import cache_folder, home, temporary_home, why_not_writable
from tashower.cli.words import add_command
from tashower.errors import InputError

_HELP = (
    "Run the whole workflow: simulate, fit, train, score, report. Further words are handed to "
    "Snakemake, for example -n (only say what would be done), -C seed=3 (one key of the "
    "configuration), --workflow-profile slurm, or a rule to stop at (reconstructed)."
)


def snakemake_command(
    configurations: list[str], cores: str | None = None, further: list[str] | None = None
) -> list[str]:
    """The command that runs the workflow of this package with the Snakemake beside it.

    Parameters
    ----------
    configurations : names of files; later ones over earlier ones
    cores : a number, or "all"; None: what the profile says
    further : words for Snakemake
    """
    snakefile = Path(__file__).resolve().parent.parent / "workflow" / "Snakefile"
    # -P: a folder `tashower` in the working directory is not taken for the package.
    command = [sys.executable, "-P", "-m", "tashower.cli.begin", "--snakefile", str(snakefile)]
    command += ["--cores", cores] if cores else []
    command += further or []
    return command + (["--configfile", *configurations] if configurations else [])


def _environment() -> dict[str, str]:
    """That of this process, with a user, a home and a cache folder where Snakemake would end for
    want of one.
    """
    # Files that are named in UTF-8, whatever the locale (a cluster's is often C).
    environment = os.environ | {"PYTHONUTF8": "1"}
    environment.pop("PYTHONIOENCODING", None)
    try:
        getpass.getuser()
    except (KeyError, OSError):  # no entry in passwd
        environment["USER"] = f"user-{os.geteuid()}"
    hidden = os.path.join(home(), ".cache") if home() else None
    chosen = environment.get("XDG_CACHE_HOME") or hidden
    if (not home() or why_not_writable(chosen)) and temporary_home():
        if not home():
            environment["HOME"] = temporary_home()
        if not chosen or why_not_writable(chosen):
            environment["XDG_CACHE_HOME"] = os.path.join(temporary_home(), ".cache")
    return environment


def _run(args) -> None:
    from tashower.config import load_config

    for name in args.config:
        if name.lstrip().startswith("{"):
            raise InputError("run: --config takes a file; single keys are given as -C seed=3")
    # Before Snakemake, which ends in a traceback where it cannot read a file.
    load_config(*args.config)
    command = snakemake_command(args.config, args.cores, args.further)
    # In the place of this process: status, signals and terminal are Snakemake's.
    cache_folder()  # says it where that is a temporary one
    os.execve(command[0], command, _environment())


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `run`."""
    sub = add_command(commands, "run", _run, _HELP)
    sub.allow_abbrev = False
    sub.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="FILE",
        help="configuration; can be given several times, later ones over earlier ones; left out: "
        "the defaults",
    )
    sub.add_argument("--cores", metavar="N", help="how many cores to use, or all (the default)")
    sub.set_defaults(further=[])
