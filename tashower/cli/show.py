"""`tashower show` and `tashower config`: look, and change nothing."""

import argparse

from tashower.cli.messages import say
from tashower.cli.words import add_command


def _show(args) -> None:
    from tashower.errors import InputError

    if args.event is None and args.id is None:
        given = {"--fits": args.fits, "--calibration": args.calibration, "--output": args.output}
        if extra := [name for name, value in given.items() if value]:
            raise InputError(f"{', '.join(extra)}: which event? --event POSITION or --id ID")
        from tashower.evaluation.show import show_file

        say("\n".join(show_file(args.file)))
    else:
        from tashower.evaluation.show_event import show_event

        say(
            show_event(
                args.file, args.event, args.fits or (), args.output, args.id, args.calibration
            )
        )


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
    which = sub.add_mutually_exclusive_group()
    which.add_argument(
        "--event",
        type=int,
        metavar="POSITION",
        help="draw the event at this position of the file, counted from 0",
    )
    which.add_argument("--id", type=int, metavar="ID", help="draw the event with this id")
    sub.add_argument(
        "--fits",
        nargs="+",
        metavar="FILE",
        help="reconstruction files of the events, of fits (tashower fit) and networks (tashower "
        "apply); left out: fitted on the spot",
    )
    sub.add_argument(
        "--calibration",
        metavar="FILE",
        help="calibration of the fits, for their errors of times and the stations that they "
        "rejected; left out: that of the package, where the fits were made with it",
    )
    sub.add_argument(
        "--output",
        help="picture to write (.png, .pdf, .svg); left out: FILE-event-POSITION.png or "
        "FILE-id-ID.png in this folder",
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
