"""`tashower refine`: simulated events moved towards data."""

import argparse

from tashower.cli.messages import say
from tashower.cli.words import add_command
from tashower.errors import InputError


def _refine(args) -> None:
    from tashower.generation.refine_file import Wanted, as_text, refine_file

    if not 0 <= args.seed < 2**31:
        raise InputError(f"--seed {args.seed}: must be from 0 to 2^31 - 1")
    if args.steps < 20:
        raise InputError(f"--steps {args.steps}: must be at least 20")
    wanted = Wanted(args.towards or (), args.method, args.checkpoint, args.seed, args.steps)
    events, found = refine_file(args.simulated, args.output, wanted)
    say(f"{args.output}: {events.n_events} events; {as_text(found)}")


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `refine`."""
    sub = add_command(
        commands, "refine", _refine, "Move simulated events towards data; their truth is kept."
    )
    sub.add_input("simulated", "simulated event file")
    sub.add_argument(
        "--towards", nargs="+", help="event files of data; left out: apply --checkpoint"
    )
    sub.add_argument(
        "--method",
        default="adversarial",
        choices=("adversarial", "reweight"),
        help="adversarial: change the waveforms (default); reweight: draw events by a weight",
    )
    sub.add_argument(
        "--checkpoint",
        help="refiner: written with --towards, so that other files can be refined alike; read "
        "without",
    )
    sub.add_argument("--seed", type=int, default=1, help="of everything random (default: 1)")
    sub.add_argument("--steps", type=int, default=400, help="steps of the training (default: 400)")
    sub.add_output("event file to write")
