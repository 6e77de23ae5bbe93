"""`tashower train` and `tashower apply`: the network."""

import argparse
import os
import subprocess
import sys

from tashower.cli.words import add_command
from tashower.errors import InputError


def _train(args) -> None:
    from tashower.config import load_config
    from tashower.network.training import train_network

    config = load_config(args.config)
    if args.network not in config.networks:
        raise InputError(
            f"--network {args.network}: the configuration has {', '.join(config.networks)}"
        )
    processes = config.networks[args.network].training.processes
    if processes > 1 and "WORLD_SIZE" not in os.environ:
        _run_in_processes(processes, args.words)
        return
    train_network(
        config,
        args.network,
        args.train_events,
        args.train_fits,
        args.validation_events,
        args.validation_fits,
        args.output,
    )


def _run_in_processes(n: int, words: list[str]) -> None:
    """This command again, in n processes that share the work."""
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(n),
    ]
    training = subprocess.Popen(
        [*torchrun, "-m", "tashower.cli", *words],
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        for line in training.stderr:
            print(line, end="", file=sys.stderr, flush=True)
        training.wait()
    except KeyboardInterrupt:
        # torchrun ends its processes, and says so in many lines that are not passed on.
        training.terminate()
        training.communicate()
        raise
    if training.returncode:
        raise InputError("a process of the training failed: its message stands above")


def _apply(args) -> None:
    from tashower.network.apply import apply_network

    apply_network(args.checkpoint, args.events, args.fits, args.output, args.device, args.model)


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `train` and `apply`."""
    sub = add_command(commands, "train", _train, "Train a network to correct the fit.", True)
    sub.add_argument("--network", required=True, help="which entry of `networks`")
    for split in ("train", "validation"):
        sub.add_argument(
            f"--{split}-events", nargs="+", required=True, help=f"event files of the {split} sample"
        )
        sub.add_argument(
            f"--{split}-fits",
            nargs="+",
            required=True,
            help="their reconstruction files, in the same order",
        )
    sub.add_argument(
        "--output",
        required=True,
        help="checkpoint to write; the training curve goes beside it (.json)",
    )

    sub = add_command(commands, "apply", _apply, "Correct a reconstruction with a trained network.")
    sub.add_argument("checkpoint", help="file that `tashower train` wrote")
    sub.add_argument("--events", required=True, help="event file")
    sub.add_argument("--fits", required=True, help="its reconstruction file")
    sub.add_argument("--output", required=True, help="reconstruction file to write")
    sub.add_argument(
        "--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to compute"
    )
    sub.add_argument(
        "--model", help="file of the user's model in the checkpoint; left out: where it lay"
    )
