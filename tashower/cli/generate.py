"""`tashower train-generator` and `tashower generate`."""

import argparse

from tashower.cli.messages import say
from tashower.cli.words import add_command
from tashower.errors import InputError


def _train(args) -> None:
    from tashower.config import load_config
    from tashower.generation.training import train_generator

    config = load_config(args.config)
    if args.generator not in config.generators:
        known = ", ".join(config.generators) or "none: see docs/generation.md"
        raise InputError(f"--generator {args.generator}: the configuration has {known}")
    files = args.train_events, args.validation_events
    train_generator(config, args.generator, *files, args.output)


def _generate(args) -> None:
    from tashower.config import load_config
    from tashower.generation.generate import Wanted, generate_file

    if args.truth is not None and args.number is not None:
        raise InputError("--events: showers that are given are generated together")
    if args.chunk is not None and (args.truth or args.number):
        raise InputError("--chunk: is of a sample (--split), not of given or drawn showers")
    if args.number is not None and args.number < 1:
        raise InputError(f"--events {args.number}: must be at least 1")
    if args.seed is not None and not 0 <= args.seed < 2**63:
        raise InputError(f"--seed {args.seed}: must be from 0 to 2^63 - 1")
    wanted = Wanted(args.split, args.chunk, args.truth, args.number, args.seed)
    events = generate_file(args.checkpoint, load_config(args.config), wanted, args.output)
    say(f"{args.output}: {events.n_events} generated events, {events.n_hits} hits")


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `train-generator` and `generate`."""
    sub = add_command(
        commands,
        "train-generator",
        _train,
        "Learn to generate waveforms from events with a truth.",
        True,
    )
    sub.add_argument("--generator", required=True, help="which entry of `generators`")
    for split in ("train", "validation"):
        sub.add_argument(
            f"--{split}-events", nargs="+", required=True, help=f"event files of the {split} sample"
        )
    sub.add_output("checkpoint to write; the training curve goes beside it (history.json)")

    sub = add_command(
        commands,
        "generate",
        _generate,
        "Generate triggered waveforms with a trained generator: an event file like any other.",
        True,
    )
    sub.add_input("checkpoint", "file that `tashower train-generator` wrote", "--checkpoint")
    sub.add_argument(
        "--split",
        default="test",
        choices=("calibration", "train", "validation", "test"),
        help="the showers of which sample, as `tashower simulate` draws them",
    )
    sub.add_argument("--chunk", type=int, help="which chunk of it; left out: all in one file")
    sub.add_argument(
        "--truth", help="these showers: a table as of `tashower simulate`, or an event file"
    )
    sub.add_argument(
        "--events", dest="number", type=int, help="so many events of showers that are drawn anew"
    )
    sub.add_argument(
        "--seed", type=int, help="of everything random; left out: that of the configuration"
    )
    sub.add_output("event file to write")
