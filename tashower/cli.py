"""The command line: thin. What a workflow rule calls is what a person calls.

Every import of a stage happens inside its command, so that `tashower --help` answers at once.
"""

import argparse
import os
import subprocess
import sys

from tashower import __version__
from tashower.errors import InputError

_CONFIG_HELP = (
    "configuration: a YAML file, or JSON text that starts with '{'; left out: the defaults"
)


def _simulate(args) -> None:
    from tashower.config import as_dict, load_config
    from tashower.io.event_file import write_events
    from tashower.simulation.simulate import simulate_events

    config = load_config(args.config)
    size = config.samples.chunk_size
    total = getattr(config.samples, args.split)
    first, last = (
        (0, total)
        if args.chunk is None
        else (args.chunk * size, min((args.chunk + 1) * size, total))
    )
    if first >= last:
        raise InputError(
            f"--chunk {args.chunk}: {args.split} has {total} showers in chunks of {size}"
        )
    events = simulate_events(config, args.split, first, last - first)
    write_events(args.output, events, as_dict(config))
    print(
        f"{args.output}: {events.n_events} of {last - first} showers triggered, {events.n_hits} hits",
        flush=True,
    )


def _convert(args) -> None:
    from tashower.convert.convert import convert_file
    from tashower.events.array import read_lateral
    from tashower.physics.shower_front import Front

    lateral = read_lateral(args.lateral, args.reference)
    front = Front(*args.front)
    array, n_events, n_hits = convert_file(
        args.files, args.to, args.format, args.stations, args.windows, lateral, front
    )
    lattice = (
        f"a {array.kind} lattice"
        if array.kind != "irregular"
        else "no lattice (the network needs one)"
    )
    print(
        f"{args.to}: {n_events} events, {n_hits} hits, {array.n_stations} stations on {lattice}",
        flush=True,
    )


def _export(args) -> None:
    from tashower.convert.ta_dst import write_dst
    from tashower.convert.ta_text import write_text
    from tashower.io.event_file import read_events
    from tashower.reconstruction.pulses import find_pulses

    events = read_events(args.events)
    write = write_text if args.format == "ta_text" else write_dst
    write(args.to, events, find_pulses(events))
    print(f"{args.to}: {events.n_events} events", flush=True)


def _calibrate(args) -> None:
    from tashower.calibration.calibration import write_calibration
    from tashower.config import as_dict, load_config
    from tashower.events.model import concatenate_events
    from tashower.io.event_file import read_events
    from tashower.reconstruction.calibrate import calibrate

    config = load_config(args.config)
    events = concatenate_events([read_events(path) for path in args.events])
    write_calibration(
        args.output, calibrate(events, config.reconstruction), as_dict(config), args.events
    )
    print(f"{args.output}: from {events.n_events} events", flush=True)


def _fit(args) -> None:
    from tashower.calibration.calibration import read_calibration
    from tashower.config import as_dict, load_config
    from tashower.io.event_file import read_events
    from tashower.io.reconstruction_file import write_reconstruction
    from tashower.reconstruction.reconstruct import reconstruct

    config = load_config(args.config)
    calibration = read_calibration(args.calibration)
    events = read_events(args.events)
    tables, pulses, features = reconstruct(
        events, calibration, config.reconstruction, args.minimiser
    )
    inputs = (args.events, args.calibration)
    write_reconstruction(args.output, tables, as_dict(config), pulses, features, inputs)
    valid = ", ".join(f"{name} {table.valid.mean():.1%}" for name, table in tables.items())
    print(f"{args.output}: {events.n_events} events, valid: {valid}", flush=True)


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
    if subprocess.run([*torchrun, "-m", "tashower.cli", *words], check=False).returncode:
        raise InputError("a process of the training failed: its message stands above")


def _apply(args) -> None:
    from tashower.network.apply import apply_network

    apply_network(args.checkpoint, args.events, args.fits, args.output, args.device, args.model)


def _score(args) -> None:
    from tashower.config import load_config
    from tashower.evaluation.evaluate import evaluate

    evaluate(
        load_config(args.config),
        args.events,
        args.fits,
        _named(args.network),
        args.calibration,
        args.output,
    )


def _report(args) -> None:
    from tashower.config import load_config
    from tashower.evaluation.report import write_report

    write_report(load_config(args.config), args.scores, args.benchmarks, args.output)


def _report_data(args) -> None:
    from tashower.config import load_config
    from tashower.evaluation.data_report import report_data

    networks = {name: paths[0] for name, paths in _named(args.network).items()}
    report_data(
        load_config(args.config),
        args.events,
        args.fits,
        networks,
        args.simulated_fits or (),
        args.output,
        args.calibration,
    )


def _show(args) -> None:
    from tashower.evaluation.show import show_event, show_file

    if args.event is None:
        show_file(args.file)
    else:
        show_event(args.file, args.event, args.fits, args.output)


def _verify(args) -> None:
    from tashower.evaluation.verify import problems_of

    problems, remarks = problems_of(args.folder)
    print("\n".join([*remarks, *problems]), flush=True)
    if problems:
        raise InputError(f"{args.folder}: {len(problems)} things do not belong together")
    print(f"{args.folder}: everything belongs together", flush=True)


def _config(args) -> None:
    import json

    from tashower.config import default_yaml, describe, load_config, schema

    if args.check is not None:
        load_config(*args.check)
        print(f"{', '.join(args.check)}: valid")
    elif args.schema:
        print(json.dumps(schema(), indent=2, ensure_ascii=False))
    else:
        print(default_yaml() if args.yaml else describe())


def _named(pairs) -> dict:
    """NAME=FILE words, grouped by name."""
    found = {}
    for pair in pairs or ():
        name, separator, path = pair.partition("=")
        if not separator:
            raise InputError(f"{pair}: NAME=FILE is needed")
        found.setdefault(name, []).append(path)
    return found


def _positive(word: str) -> float:
    value = float(word)
    if not 0.0 <= value < 1e6:
        raise ValueError
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tashower", description="Air showers: simulate, fit, train, compare."
    )
    parser.add_argument("--version", action="version", version=f"tashower {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name, run, text):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    def configured(sub):
        sub.add_argument("--config", help=_CONFIG_HELP)
        return sub

    sub = configured(
        command("simulate", _simulate, "Simulate showers down to triggered waveforms.")
    )
    sub.add_argument(
        "--split",
        default="test",
        choices=("calibration", "train", "validation", "test"),
        help="which sample",
    )
    sub.add_argument("--chunk", type=int, help="which chunk of it; left out: all in one file")
    sub.add_argument("--output", required=True, help="event file to write")

    sub = command("convert", _convert, "Turn files of an experiment into an event file.")
    sub.add_argument(
        "files",
        nargs="+",
        help="DST, text dump, JSON, YAML header of plain tables, or stations.csv hits.csv",
    )
    sub.add_argument("--to", required=True, help="event file to write")
    sub.add_argument(
        "--format",
        choices=("tables", "ta_dst", "ta_text", "ta_dnn", "hisparc", "auger"),
        help="left out: told from the content",
    )
    sub.add_argument(
        "--stations",
        help="table of stations (station, x_m, y_m, z_m) for formats that do not hold all of them",
    )
    sub.add_argument(
        "--windows",
        type=int,
        default=1,
        choices=range(1, 11),
        metavar="1..10",
        help="windows of 128 bins to keep of a station that was read out several times in a row (Telescope Array)",
    )
    sub.add_argument(
        "--lateral",
        default="telescope_array",
        help="lateral distribution to fit: telescope_array, or a Python file",
    )
    sub.add_argument("--reference", type=float, default=800.0, help="distance at which it is 1 [m]")
    sub.add_argument(
        "--front",
        nargs=3,
        type=_positive,
        default=(30.0, 1.5, 0.5),
        metavar=("R", "P", "Q"),
        help="front to fit, delay = a (1 + r/R)^P LDF^-Q (default: 30 1.5 0.5, the Telescope Array's)",
    )

    sub = command("export", _export, "Write simulated events in a format of the Telescope Array.")
    sub.add_argument("events", help="event file")
    sub.add_argument("--to", required=True, help="file to write; .gz and .bz2 are packed")
    sub.add_argument(
        "--format", default="ta_dst", choices=("ta_dst", "ta_text"), help="which format"
    )

    sub = configured(
        command(
            "calibrate",
            _calibrate,
            "Energy table, sigma_t and curvature prior from simulated events.",
        )
    )
    sub.add_argument("events", nargs="+", help="simulated event files, used for nothing else")
    sub.add_argument("--output", required=True, help="calibration (JSON) to write")

    sub = configured(
        command("fit", _fit, "Reconstruct core, direction, S800 and energy analytically.")
    )
    sub.add_argument("events", help="event file")
    sub.add_argument("--calibration", required=True, help="file that `tashower calibrate` wrote")
    sub.add_argument("--output", required=True, help="reconstruction file to write")
    sub.add_argument(
        "--minimiser",
        default="compiled",
        choices=("compiled", "scipy"),
        help="scipy: the same sum through scipy.optimize, slow, to check or to extend the fit",
    )

    sub = configured(command("train", _train, "Train a network to correct the fit."))
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

    sub = command("apply", _apply, "Correct a reconstruction with a trained network.")
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

    sub = configured(
        command(
            "score", _score, "Score fit and networks on the same events; write scores and figures."
        )
    )
    sub.add_argument("--events", nargs="+", required=True, help="event files of the test sample")
    sub.add_argument(
        "--fits", nargs="+", required=True, help="their reconstruction files, in the same order"
    )
    sub.add_argument(
        "--network",
        nargs="*",
        help="NAME=FILE: files of `tashower apply`, in the same order for each name",
    )
    sub.add_argument("--calibration", help="calibration file, for the record")
    sub.add_argument(
        "--output", required=True, help="scores (JSON) to write; tables and figures go beside it"
    )

    sub = configured(command("report", _report, "Write the report: one HTML file."))
    sub.add_argument("--scores", required=True, help="file that `tashower score` wrote")
    sub.add_argument("--benchmarks", help="folder of the workflow's benchmark files, for the times")
    sub.add_argument("--output", required=True, help="HTML file to write")

    sub = configured(
        command("report-data", _report_data, "Write the report of measured events: one HTML file.")
    )
    sub.add_argument("--events", required=True, help="event file")
    sub.add_argument("--fits", required=True, help="its reconstruction file")
    sub.add_argument("--network", nargs="*", help="NAME=FILE of `tashower apply`")
    sub.add_argument("--calibration", help="calibration of the fit, for the pulls of the times")
    sub.add_argument(
        "--simulated-fits",
        nargs="*",
        help="reconstruction files of simulated events to compare with",
    )
    sub.add_argument("--output", required=True, help="HTML file to write; figures go beside it")

    sub = command("show", _show, "Summarise a file, or draw one of its events.")
    sub.add_argument("file", help="event, reconstruction or calibration file, or checkpoint")
    sub.add_argument("--event", type=int, help="draw this event: its position in the file, from 0")
    sub.add_argument(
        "--fits", help="reconstruction file of the events; left out: fitted on the spot"
    )
    sub.add_argument(
        "--output", help="picture to write (.png, .pdf); left out: FILE with -event-N.png beside it"
    )

    sub = command(
        "verify", _verify, "Check that the files of a folder are whole and made from each other."
    )
    sub.add_argument("folder", help="folder of results")

    sub = command(
        "config", _config, "Print every key of the configuration: type, range, default, meaning."
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
        help="only say whether these files, each over those before it, are a valid configuration",
    )
    return parser


def main(words=None) -> int:
    """Run one command; returns the exit status: 0, 2 for bad input."""
    words = sys.argv[1:] if words is None else list(words)
    args = _parser().parse_args(words)
    args.words = words
    try:
        args.run(args)
    except InputError as error:
        print(f"tashower: {error}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"tashower: not enough memory{f' ({error})' if str(error) else ''}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        where = (
            error.filename or getattr(args, "output", None) or getattr(args, "to", None) or words[0]
        )
        print(f"tashower: {where}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
