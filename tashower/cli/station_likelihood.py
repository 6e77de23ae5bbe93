"""`tashower station-likelihood`."""

import argparse

from tashower.cli.messages import say
from tashower.cli.words import add_command
from tashower.errors import InputError

_FEWEST = 10_000  # stations, so that every kind of hit is among them (choice)


def _learn(args) -> None:
    from tashower.calibration.station_likelihood import write_station_likelihood
    from tashower.config import as_dict, load_config
    from tashower.likelihood.station_likelihood import EPOCHS, learn_station_likelihood

    if args.number is not None and args.number < _FEWEST:
        raise InputError(f"--number {args.number}: at least {_FEWEST} stations are needed")
    config = load_config(args.config)
    n = config.likelihood.stations if args.number is None else args.number
    learned = learn_station_likelihood(config, n, EPOCHS, not args.without_waveforms)
    write_station_likelihood(args.output, learned, as_dict(config), "station-likelihood")
    say(f"{args.output}: from {n:,} stations")


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `station-likelihood`."""
    sub = add_command(
        commands,
        "station-likelihood",
        _learn,
        "Learn from simulated stations what one station says of a shower: for the method "
        "likelihood_edges of `tashower fit`; also what the shapes of waveforms add, for "
        "likelihood_waveforms.",
        True,
    )
    sub.add_output("station likelihood (JSON) to write")
    sub.add_argument(
        "--number", type=int, help="how many stations to simulate; left out: likelihood.stations"
    )
    sub.add_argument(
        "--without-waveforms", action="store_true", help="for the method likelihood_edges alone"
    )
