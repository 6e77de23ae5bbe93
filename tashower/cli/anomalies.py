"""`tashower anomalies`."""

import argparse

from tashower.cli.messages import say
from tashower.cli.words import add_command
from tashower.errors import InputError


def _anomalies(args) -> None:
    from tashower.calibration.calibration import DEFAULT, read_calibration
    from tashower.calibration.station_likelihood import DEFAULT as STATIONS
    from tashower.calibration.station_likelihood import read_station_likelihood
    from tashower.config import as_dict, load_config
    from tashower.events.model import concatenate_events
    from tashower.io.anomaly_file import check_anomaly_path, write_anomalies
    from tashower.io.event_file import read_events
    from tashower.likelihood.anomalies import calibrate_anomalies, check_before, find_anomalies
    from tashower.reconstruction.methods import Context

    check_anomaly_path(args.output)
    config = load_config(args.config)
    chosen = args.calibration or DEFAULT, args.station_likelihood or STATIONS
    stations = read_station_likelihood(chosen[1])
    context = Context(read_calibration(chosen[0]), config.reconstruction, stations=stations)
    events = read_events(args.events)
    simulated = [read_events(path) for path in args.calibrate]
    try:
        simulated = concatenate_events(simulated)
    except ValueError:
        raise InputError(f"{', '.join(args.calibrate)}: are of different arrays") from None
    check_before(args.rate, simulated, events, context)
    scale = calibrate_anomalies(simulated, context, config.seed % 2**32)
    found = find_anomalies(events, context, scale, args.rate)
    inputs = (args.events, *args.calibrate, *chosen)
    write_anomalies(args.output, found, as_dict(config), inputs)
    n, m = found.flagged.sum(), found.station_flagged.sum()
    say(
        f"{args.output}: {n:,} of {events.n_events:,} events flagged, with {m:,} stations, where a "
        f"rate of {args.rate:g} is {args.rate * events.n_events:.3g} by chance "
        f"({found.n_calibration:,} simulated events to rank among)"
    )


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `anomalies`."""
    sub = add_command(
        commands,
        "anomalies",
        _anomalies,
        "Flag events and stations that no simulated shower explains, with a stated false-alarm "
        "rate: ranks among simulated events of which nothing was learned.",
        True,
    )
    sub.add_input("events", "event file, simulated or measured")
    sub.add_argument(
        "--calibrate",
        nargs="+",
        required=True,
        metavar="SIMULATED",
        help="event files with truth, of the same array and detector, used for nothing else: half "
        "of their showers teach shapes and set the scale, the others are ranked among",
    )
    sub.add_argument(
        "--rate",
        type=float,
        default=0.01,
        help="part of the events like the simulated ones that is flagged nevertheless "
        "(default: 0.01); 0.001 needs 2,000 simulated events",
    )
    sub.add_argument(
        "--calibration", help="file that `tashower calibrate` wrote; left out: that of the package"
    )
    sub.add_argument(
        "--station-likelihood",
        help="file that `tashower station-likelihood` wrote; left out: that of the package",
    )
    sub.add_output("what was found: .h5, or .csv with one row per station")
