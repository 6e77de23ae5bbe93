"""`tashower judge`."""

import argparse

from tashower.cli.messages import say
from tashower.cli.words import add_command, named


def _judge(args) -> None:
    from tashower.calibration.calibration import DEFAULT, read_calibration
    from tashower.cli.fit import say_default
    from tashower.config import load_config
    from tashower.errors import InputError
    from tashower.evaluation.judge import FEWEST, NUMBER, Asked
    from tashower.evaluation.judge_page import write_judgement
    from tashower.evaluation.judged_tables import sentences
    from tashower.io.event_file import read_events

    networks = named(args.network)
    if twice := [name for name, paths in networks.items() if len(paths) > 1]:
        raise InputError(f"--network {twice[0]}: names {len(networks[twice[0]])} checkpoints")
    number = NUMBER if args.number is None else args.number
    if number < FEWEST:
        raise InputError(f"--number {number}: at least {FEWEST} events are needed")
    calibration = read_calibration(args.calibration or DEFAULT)
    if args.calibration is None and not args.fits:
        say_default(calibration, read_events(args.reference, ()).array)
    networks = {name: paths[0] for name, paths in networks.items()}
    asked = Asked(calibration, args.fits or (), networks, args.training or (), number)
    judged, paths = write_judgement(
        load_config(args.config), [args.reference, *args.events], asked, args.output
    )
    say("\n".join(sentences(judged)))
    say(", ".join(map(str, paths)))


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `judge`."""
    sub = add_command(
        commands,
        "judge",
        _judge,
        "Judge event files, generated or refined ones, against a reference event file by what "
        "training never saw: one HTML file.",
        True,
    )
    sub.add_input("reference", "event file of real showers: simulated, or measured")
    sub.add_input("events", "event files that are judged", several=True)
    sub.add_argument(
        "--fits",
        nargs="+",
        metavar="FILE",
        help="reconstruction files of the reference and of the others, in this order; left out: "
        "fitted on the spot",
    )
    sub.add_argument(
        "--calibration",
        metavar="FILE",
        help="calibration for these fits; left out: that of the package",
    )
    sub.add_argument(
        "--network",
        nargs="*",
        help="NAME=CHECKPOINT: networks that are applied to every file, trained on real showers or "
        "on generated ones",
    )
    sub.add_argument(
        "--training",
        nargs="+",
        metavar="FILE",
        help="event files that the generator learned from, to look for copies of them",
    )
    sub.add_argument(
        "--number", type=int, help="the first so many events of each file (default: 2000)"
    )
    sub.add_output("HTML file to write; numbers (.json) and figures go beside it")
