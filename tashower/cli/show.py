"""`tashower show` and `tashower config`: look, and change nothing."""

import argparse

from tashower.cli.messages import say
from tashower.cli.words import add_command


def _show(args) -> None:
    from tashower.evaluation.show import show_event, show_file

    if args.event is None:
        say("\n".join(show_file(args.file)))
    else:
        say(show_event(args.file, args.event, args.fits, args.output))


def _config(args) -> None:
    import json

    from tashower.config import default_yaml, describe, load_config, missing_files, schema
    from tashower.errors import InputError

    if args.check is not None:
        absent = missing_files(load_config(*args.check))
        if absent:
            raise InputError("\n".join(f"{', '.join(args.check)}: {line}" for line in absent))
        say(f"{', '.join(args.check)}: valid")
    elif args.schema:
        say(json.dumps(schema(), indent=2, ensure_ascii=False))
    else:
        say(default_yaml() if args.yaml else describe())


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `show` and `config`."""
    sub = add_command(commands, "show", _show, "Summarise a file, or draw one of its events.")
    sub.add_argument("file", help="event, reconstruction or calibration file, or checkpoint")
    sub.add_argument("--event", type=int, help="draw this event: its position in the file, from 0")
    sub.add_argument(
        "--fits", help="reconstruction file of the events; left out: fitted on the spot"
    )
    sub.add_argument(
        "--output", help="picture to write (.png, .pdf); left out: FILE with -event-N.png beside it"
    )

    sub = add_command(
        commands,
        "config",
        _config,
        "Print every key of the configuration: type, range, default, meaning.",
    )
    what = sub.add_mutually_exclusive_group()
    what.add_argument(
        "--yaml", action="store_true", help="print the default configuration as YAML instead"
    )
    what.add_argument("--schema", action="store_true", help="print the JSON schema instead")
    what.add_argument(
        "--check",
        nargs="+",
        metavar="FILE",
        help="only say whether these files, each over those before it, are a valid configuration, "
        "and whether what they name is there",
    )
