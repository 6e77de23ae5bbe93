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
from tashower.cli import convert, evaluate, fit, network, run, show, simulate, station_likelihood
from tashower.cli.messages import log, messages_to_stderr
from tashower.cli.orphan import end_with_workflow
from tashower.errors import InputError
from tashower.io.paths import check_arguments

#: Modules of commands, in the order in which `tashower --help` lists them.
_GROUPS = (run, simulate, convert, fit, station_likelihood, network, evaluate, show)
#: Exit status of a command that was interrupted: 128 + SIGINT, as shells count.
INTERRUPTED = 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tashower", description="Air showers: simulate, fit, train, compare."
    )
    parser.add_argument("--version", action="version", version=f"tashower {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in _GROUPS:
        group.add_commands(commands)
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 2 for bad input, 130 when interrupted."""
    words = sys.argv[1:] if words is None else list(words)
    parser = _parser()
    args, further = parser.parse_known_args(words)
    if further and not hasattr(args, "further"):
        parser.error(f"unrecognized arguments: {' '.join(further)}")
    args.words, args.further = words, further
    messages_to_stderr()
    end_with_workflow()
    one_of_several = "LOCAL_RANK" in os.environ  # torchrun ends them with SIGTERM
    if one_of_several:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        check_arguments(vars(args))
        args.run(args)
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
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        where = (
            error.filename or getattr(args, "output", None) or getattr(args, "to", None) or words[0]
        )
        log.error(f"{where}: {error.strerror}")
        return 2
    return 0
