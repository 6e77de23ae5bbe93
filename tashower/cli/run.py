"""`tashower run`: the whole workflow, of the package that this command belongs to."""

import argparse
import os
import sys
from pathlib import Path

from tashower.cli.words import add_command

_HELP = (
    "Run the whole workflow: simulate, fit, train, score, report. Further words are handed to "
    "Snakemake, for example -n (say what would be done), -C seed=3 (one key of the configuration), "
    "--workflow-profile slurm, or a rule to stop at (reconstructed)."
)


def _keys(text: str) -> list[str]:
    """Words KEY=VALUE for Snakemake, of a configuration that is JSON text."""
    import json

    from tashower.config.reading import read_values

    _, values, _ = read_values(text)
    return [f"{key}={json.dumps(value)}" for key, value in values.items()]


def snakemake_command(
    configurations: list[str], cores: str | None = None, words: list[str] | None = None
) -> list[str]:
    """The command that runs the workflow of this package with the Snakemake beside it.

    Parameters
    ----------
    configurations : files, or JSON text that starts with `{`; later ones over earlier ones
    cores : number or "all"; None: what the profile says
    words : further words for Snakemake
    """
    snakefile = Path(__file__).resolve().parent.parent / "workflow" / "Snakefile"
    files = [name for name in configurations if not name.lstrip().startswith("{")]
    keys = [word for name in configurations if name not in files for word in _keys(name)]
    # -P: a folder `tashower` in the working directory is not taken for the package.
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", str(snakefile)]
    command += ["--cores", cores] if cores else []
    command += words or []
    command += ["--configfile", *files] if files else []
    return command + (["--config", *keys] if keys else [])


def _run(args) -> None:
    from tashower.config import load_config

    # Snakemake ends in a traceback where it cannot read a file.
    load_config(*args.config)
    command = snakemake_command(args.config, args.cores, args.further)
    sys.stdout.flush()
    # In the place of this process: status, signals and terminal are those of Snakemake.
    os.execv(command[0], command)


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `run`."""
    sub = add_command(commands, "run", _run, _HELP)
    sub.allow_abbrev = False
    sub.add_argument(
        "--config",
        action="append",
        default=[],
        help="configuration: a YAML file, or JSON text that starts with '{'; can be given several "
        "times, the last one holds; left out: the defaults",
    )
    sub.add_argument("--cores", metavar="N", help="how many cores to use, or all (the default)")
    sub.set_defaults(further=[])
