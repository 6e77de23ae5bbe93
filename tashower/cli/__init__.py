"""The command line: thin. A command reads, calls, writes; what a rule of the workflow calls is what
a person calls.

Every import of a stage happens inside its command, so that `tashower --help` answers at once.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from tashower import __version__
from tashower.cli import (
    anomalies,
    compare,
    completion,
    convert,
    doctor,
    evaluate,
    fit,
    generate,
    init,
    judge,
    limit,
    network,
    refine,
    run,
    show,
    simulate,
    station_likelihood,
)
from tashower.cli.messages import log, messages_to_stderr, say
from tashower.cli.orphan import end_with_workflow
from tashower.cli.words import CommandParser
from tashower.errors import InputError
from tashower.io.paths import check_arguments

#: Modules of commands, in the order in which `tashower --help` lists them.
_GROUPS = (
    *(init, run, simulate, convert, fit, station_likelihood, limit, network, generate),
    *(refine, anomalies, evaluate, compare, judge, show, doctor, completion),
)
#: One thread for numpy's matrix products: the last digits of a sum depend on the number of threads.
#: torch, which may use the same library, is told its own number where it trains and applies.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
#: Exit status of a command that was interrupted: 128 + SIGINT, as shells count.
INTERRUPTED = 130


class _Version(argparse.Action):
    """Print the version, and the commit where it is known, and end."""

    def __call__(self, parser, namespace, values, option_string=None):
        from tashower.io.provenance import commit

        known = "" if commit() == "unknown" else f", commit {commit()}"
        say(f"tashower {__version__}{known}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="tashower", description="Air showers: simulate, fit, train, compare."
    )
    parser.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        default=argparse.SUPPRESS,
        help="show the version and the commit, and exit",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in _GROUPS:
        group.add_commands(commands)
    return parser


def _run(words: list[str]) -> int:
    parser = _parser()
    completion.complete(parser)
    args, further = parser.parse_known_args(words)
    if further and not hasattr(args, "further"):
        parser.error(f"unrecognized arguments: {' '.join(further)}")
    args.words, args.further = words, further
    end_with_workflow()
    try:
        check_arguments(vars(args))
        return args.run(args) or 0
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        where = error.filename or getattr(args, "output", None) or words[0]
        log.error(f"{where}: {error.strerror}")
        return 2


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 2 for bad input, 130 when interrupted; of
    `doctor` 1 where something is wrong.
    """
    words = sys.argv[1:] if words is None else list(words)
    if "numpy" not in sys.modules:  # else it is too late, and not ours to say
        os.environ |= {name: os.environ.get(name, "1") for name in _ONE_THREAD}
    one_of_several = "LOCAL_RANK" in os.environ  # torchrun ends them with SIGTERM
    try:
        messages_to_stderr()
        if one_of_several:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        return _run(words)
    except KeyboardInterrupt:
        if not one_of_several:  # else their parent says it
            log.error("interrupted; nothing half-written is left")
        return INTERRUPTED
    except InputError as error:
        log.error(str(error))
        return 2
    except MemoryError as error:
        log.error(f"not enough memory{f' ({error})' if str(error) else ''}")
        return 2
