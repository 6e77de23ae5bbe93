"""`tashower train`, `apply`, `explain` and `export-network`: the network."""

import argparse
import os
import subprocess
import sys

from tashower.cli.messages import say
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
        args.station_likelihood,
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

    files = (args.checkpoint, args.events, args.fits, args.output)
    apply_network(*files, args.device, args.model, not args.no_temperature)


def _explain(args) -> None:
    from tashower.evaluation.explain import Asked, explain_network
    from tashower.events.flat import counted

    asked = Asked(args.target, args.number, args.event or (), args.device, args.model)
    found = explain_network(args.checkpoint, args.events, args.fits, args.output, asked)
    say(f"{args.output}: {counted(found.subject.n, 'event')}")


def _add_explain(commands: "argparse._SubParsersAction") -> None:
    sub = add_command(
        commands, "explain", _explain, "Show what a trained network looks at: one HTML file."
    )
    sub.add_input("checkpoint", "file that `tashower train` wrote")
    sub.add_input("events", "event file, with or without a truth", "--events")
    sub.add_argument("--fits", required=True, help="its reconstruction file")
    sub.add_output("HTML file to write")
    sub.add_argument(
        "--target",
        default="direction",
        choices=("direction", "axis_x", "axis_y", "core_x", "core_y", "log10_energy"),
        help="which correction is explained; direction: along where it points (default)",
    )
    sub.add_argument(
        "--number", type=int, default=1000, help="events that are asked (default: 1000)"
    )
    sub.add_argument(
        "--event",
        type=int,
        nargs="+",
        help="positions of events to draw; left out: three, by the size of their correction",
    )
    sub.add_argument(
        "--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to compute"
    )
    sub.add_argument(
        "--model", help="file of the user's model in the checkpoint; left out: where it lay"
    )


def _export_network(args) -> None:
    from tashower.network.onnx_file import export_network

    worst = export_network(args.checkpoint, args.output, args.model)
    say(f"{args.output}: onnxruntime agrees with torch to {worst:.0e} of the rms of a target")


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `train`, `apply`, `explain` and `export-network`."""
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
        "--station-likelihood",
        help="file that `tashower station-likelihood` wrote, for a network that is told of one; "
        "left out: that of the package",
    )
    sub.add_output("checkpoint to write; the training curve goes beside it (.json)")

    sub = add_command(commands, "apply", _apply, "Correct a reconstruction with a trained network.")
    sub.add_input("checkpoint", "file that `tashower train` wrote")
    sub.add_input("events", "event file", "--events")
    sub.add_argument("--fits", required=True, help="its reconstruction file")
    sub.add_output("reconstruction file to write")
    sub.add_argument(
        "--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to compute"
    )
    sub.add_argument(
        "--model", help="file of the user's model in the checkpoint; left out: where it lay"
    )
    sub.add_argument(
        "--no-temperature",
        action="store_true",
        help="leave the errors as the network states them, without the factors from the "
        "validation sample",
    )
    _add_explain(commands)

    sub = add_command(
        commands,
        "export-network",
        _export_network,
        "Write a trained network as an ONNX file, for other languages.",
    )
    sub.add_input("checkpoint", "file that `tashower train` wrote")
    sub.add_output("ONNX file to write; it is checked against torch before it gets its name")
    sub.add_argument(
        "--model", help="file of the user's model in the checkpoint; left out: where it lay"
    )
