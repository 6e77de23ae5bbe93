"""`tashower show`, `tashower view` and `tashower config`: look, and change nothing."""

import argparse

from tashower.cli.messages import say
from tashower.cli.words import add_command


def _show(args) -> None:
    from tashower.errors import InputError

    if args.event is None and args.id is None:
        given = {"--fits": args.fits, "--calibration": args.calibration, "--output": args.output}
        given["--anomalies"] = args.anomalies
        if extra := [name for name, value in given.items() if value]:
            raise InputError(f"{', '.join(extra)}: which event? --event POSITION or --id ID")
        from tashower.evaluation.show import show_file

        say("\n".join(show_file(args.file)))
    else:
        from tashower.evaluation.show_event import show_event

        files = args.calibration, args.anomalies
        say(show_event(args.file, args.event, args.fits or (), args.output, args.id, *files))


def _view(args) -> None:
    from pathlib import Path

    from tashower.front_door import view

    output = args.output or f"{Path(args.file).name.split('.')[0]}-view.html"
    path = view(
        args.file, args.fits or None, output, args.event, args.id, args.number, args.calibration
    )
    say(path)


def _config(args) -> None:
    import json

    from tashower.config import (
        completed_yaml,
        default_yaml,
        describe,
        examined,
        missing_files,
        missing_likelihood,
        missing_nuisances,
        schema,
    )
    from tashower.errors import InputError

    if args.check is not None:
        names = ", ".join(args.check)
        config, problems = examined(*args.check)
        if config is not None:
            problems += [f"{names}: {line}" for line in missing_files(config)]
            problems += [f"{names}: {line}" for line in missing_nuisances(config)]
            problems += [f"{names}: {line}" for line in missing_likelihood(config)]
        if problems or config is None:
            raise InputError("\n".join(problems))
        say(f"# {names}: valid; completed with the defaults:\n{completed_yaml(config)}")
    elif args.schema:
        say(json.dumps(schema(), indent=2, ensure_ascii=False))
    else:
        say(default_yaml() if args.yaml else describe())


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `show`, `view` and `config`."""
    sub = add_command(commands, "show", _show, "Summarise a file, or draw one of its events.")
    sub.add_input("file", "event, reconstruction or calibration file, or checkpoint")
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
        "--anomalies",
        metavar="FILE",
        help="file (.h5) of `tashower anomalies`: what is odd in words, and flagged stations in "
        "red rings",
    )
    sub.add_output(
        "picture to write (.png, .pdf, .svg); left out: FILE-event-POSITION.png or "
        "FILE-id-ID.png in this folder",
        required=False,
    )

    _add_view(commands)
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
        help="say everything that is wrong in these files, each over those before it, and what "
        "they name that is not there; else print the configuration that they make, complete",
    )


def _add_view(commands: "argparse._SubParsersAction") -> None:
    text = "Write events as one page for a browser: choose them, click stations, switch methods."
    sub = add_command(commands, "view", _view, text)
    sub.add_argument("file", help="event file, or data in a format that tashower convert reads")
    which = sub.add_mutually_exclusive_group()
    which.add_argument(
        "--number", type=int, metavar="N", help="the first N events of the file (default: 200)"
    )
    which.add_argument(
        "--event",
        type=int,
        nargs="+",
        metavar="POSITION",
        help="the events at these positions of the file, counted from 0",
    )
    which.add_argument("--id", type=int, nargs="+", metavar="ID", help="the events with these ids")
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
        help="calibration of the fits; left out: that of the package, where it is the one",
    )
    sub.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="page to write (.html); left out: FILE-view.html in this folder",
    )
