"""`tashower show` and `tashower config`: look, and change nothing."""

import argparse

from tashower.cli.messages import log, say
from tashower.cli.words import add_command
from tashower.errors import InputError


def _show(args) -> None:
    from tashower.evaluation.show import show_event, show_file

    if args.event is None:
        say("\n".join(show_file(args.file)))
    else:
        say(show_event(args.file, args.event, args.fits, args.output, _fit_on_the_spot))


def _fit_on_the_spot(events) -> tuple[dict, object]:
    """Both fits, with the calibration of the default configuration that comes with the package."""
    from tashower.config import load_config
    from tashower.reconstruction.calibration import DEFAULT, check_description, read_calibration
    from tashower.reconstruction.pulses import find_pulses
    from tashower.reconstruction.reconstruct import reconstruct

    calibration = read_calibration(DEFAULT)
    try:
        check_description(calibration, events.array, "not fitted (--fits FILE shows a fit)")
    except InputError as reason:
        log.warning(str(reason))
        return {}, find_pulses(events)
    return reconstruct(events, calibration, load_config().reconstruction)[:2]


def _config(args) -> None:
    from tashower.config import default_yaml, describe

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
    sub.add_argument(
        "--yaml", action="store_true", help="print the default configuration as YAML instead"
    )
