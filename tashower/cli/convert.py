"""`tashower convert` and `tashower export`: from and to formats of others."""

import argparse

from tashower.cli.messages import say
from tashower.cli.words import add_command


def _convert(args) -> None:
    from tashower.convert.convert import convert_file
    from tashower.convert.ta_dst import Options
    from tashower.events.array import read_lateral
    from tashower.physics.shower_front import Front

    lateral = read_lateral(args.lateral, args.reference)
    front = Front(*args.front)
    options = Options(args.windows, args.counts_per_vem)
    done = convert_file(
        args.files, args.output, args.format, args.stations, options, lateral, front, args.force
    )
    array = done.array
    lattice = (
        f"a {array.kind} lattice"
        if array.kind != "irregular"
        else "no lattice (the network needs one)"
    )
    say(
        f"{args.output}: {done.n_events} events, {done.n_hits} hits, {array.n_stations} stations "
        f"on {lattice}"
    )
    say("\n".join(f"  {line}" for line in done.lines))


def _export(args) -> None:
    from tashower.convert.export import export_file
    from tashower.reconstruction.pulses import find_pulses

    done = export_file(args.events, args.output, args.format, find_pulses)
    say(f"{args.output}: {done}")


def _positive(word: str) -> float:
    value = float(word)
    if not 0.0 <= value < 1e6:
        raise ValueError
    return value


def _add_convert(commands) -> None:
    sub = add_command(
        commands, "convert", _convert, "Turn files of an experiment into an event file."
    )
    sub.add_input(
        "files",
        "DST, text dump, JSON, YAML header of plain tables, or stations.csv hits.csv",
        several=True,
    )
    sub.add_output("event file to write", former=["--to"])
    sub.add_argument(
        "--force",
        action="store_true",
        help="convert even where the light speed says that times or positions have another unit",
    )
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
        choices=range(1, 11),
        metavar="1..10",
        help="windows of 128 bins to keep of a station that was read out several times in a row "
        "(Telescope Array); left out: 2, as the simulation has",
    )
    sub.add_argument(
        "--counts-per-vem",
        type=float,
        metavar="VALUE",
        help="integrated FADC counts of a vertical muon, for DST files without bank rufptn",
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
        help="front to fit, delay = a (1 + r/R)^P LDF^-Q "
        "(default: 30 1.5 0.5, the Telescope Array's)",
    )


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `convert` and `export`."""
    _add_convert(commands)
    sub = add_command(
        commands,
        "export",
        _export,
        "Write events in a format of the Telescope Array, or results as a table.",
    )
    sub.add_input("events", "event file, or reconstruction file for a table")
    sub.add_output(
        "file to write; its ending says what: .dst, .txt (packed: .gz, .bz2), or a table of "
        "results: .csv, .parquet, .fits",
        former=["--to"],
    )
    sub.add_argument(
        "--format", choices=("ta_dst", "ta_text", "table"), help="left out: told from the ending"
    )
