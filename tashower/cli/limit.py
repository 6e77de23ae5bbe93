"""`tashower limit`."""

import argparse
from pathlib import Path

from tashower.cli.messages import say
from tashower.cli.words import add_command
from tashower.errors import InputError

#: Events by default, and at least (choices: errors of 1 %, and of anything at all).
_EVENTS, _FEWEST = 10_000, 100


def _limit(args) -> None:
    from tashower.config import load_config
    from tashower.io.atomic import written_aside
    from tashower.io.json_file import as_json
    from tashower.limit.limit import limit_text, measure, prepare

    if args.number < _FEWEST:
        raise InputError(f"--number {args.number}: at least {_FEWEST} events are needed")
    config = load_config(args.config)
    prepared = prepare(config, args.calibration, args.station_likelihood)
    found = measure(config, args.number, prepared)
    text = limit_text(found)
    if args.output:
        with written_aside(Path(args.output)) as aside:
            aside.write_bytes(as_json(found, finite=True))
    say(f"{found['n_scored']:,} events of {found['n_triggered']:,} that triggered")
    print(text, end="")


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `limit`."""
    sub = add_command(
        commands,
        "limit",
        _limit,
        "How well an array can reconstruct at all, from times and signals and from waveforms, and "
        "how near the fits come: simulates, calibrates, learns what stations say where no files "
        "are given (ten minutes on one core), and prints tables.",
        True,
    )
    sub.add_output("JSON file to write, with everything that is printed", required=False)
    sub.add_argument("--calibration", help="file that `tashower calibrate` wrote")
    sub.add_argument("--station-likelihood", help="file that `tashower station-likelihood` wrote")
    sub.add_argument(
        "--number", type=int, default=_EVENTS, help=f"events that are scored (default {_EVENTS})"
    )
