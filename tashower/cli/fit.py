"""`tashower calibrate` and `tashower fit`: the analytic reconstruction."""

import argparse

from tashower.cli.messages import say
from tashower.cli.words import add_command


def _calibrate(args) -> None:
    from tashower.calibration.calibration import write_calibration
    from tashower.config import as_dict, load_config
    from tashower.events.model import concatenate_events
    from tashower.io.event_file import read_events
    from tashower.reconstruction.calibrate import calibrate

    config = load_config(args.config)
    events = concatenate_events([read_events(path) for path in args.events])
    write_calibration(
        args.output,
        calibrate(events, config.reconstruction),
        as_dict(config),
        args.events,
        "calibrate",
    )
    say(f"{args.output}: from {events.n_events} events")


def _check_methods(names) -> None:
    from tashower.errors import InputError
    from tashower.reconstruction.methods import methods

    unknown = [name for name in names if name not in methods()]
    if unknown:
        raise InputError(f"no method {', '.join(unknown)}; there are: {', '.join(methods())}")


def _fit(args) -> None:
    from tashower.calibration.calibration import read_calibration
    from tashower.calibration.station_likelihood import read_station_likelihood
    from tashower.config import as_dict, load_config
    from tashower.io.event_file import read_events
    from tashower.io.reconstruction_file import write_reconstruction
    from tashower.reconstruction.reconstruct import reconstruct

    _check_methods(args.method or ())
    config = load_config(args.config)
    calibration = read_calibration(args.calibration)
    stations = args.station_likelihood
    stations = read_station_likelihood(stations) if stations else None
    events = read_events(args.events)
    tables, pulses, features = reconstruct(
        *(events, calibration, config.reconstruction, args.minimiser),
        only=args.method,
        primary=args.primary,
        stations=stations,
    )
    inputs = (args.events, args.calibration, *filter(None, [args.station_likelihood]))
    write_reconstruction(args.output, tables, as_dict(config), pulses, features, inputs, "fit")
    valid = ", ".join(f"{name} {table.valid.mean():.1%}" for name, table in tables.items())
    say(f"{args.output}: {events.n_events} events, valid: {valid}")


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `calibrate` and `fit`."""
    sub = add_command(
        commands,
        "calibrate",
        _calibrate,
        "Energy table, sigma_t and curvature prior from simulated events.",
        True,
    )
    sub.add_argument("events", nargs="+", help="simulated event files, used for nothing else")
    sub.add_argument("--output", required=True, help="calibration (JSON) to write")

    sub = add_command(
        commands, "fit", _fit, "Reconstruct core, direction, S800 and energy analytically.", True
    )
    sub.add_argument("events", help="event file")
    sub.add_argument("--calibration", required=True, help="file that `tashower calibrate` wrote")
    sub.add_argument(
        "--station-likelihood",
        help="file that `tashower station-likelihood` wrote: the method likelihood_edges, too",
    )
    sub.add_argument("--output", required=True, help="reconstruction file to write")
    sub.add_argument(
        "--method",
        action="append",
        help="make this fit only (published, free, constrained, complete, plane, "
        "likelihood_edges); may be given "
        "several times; the free fit is always made",
    )
    sub.add_argument(
        "--minimiser",
        default="compiled",
        choices=("compiled", "scipy"),
        help="scipy: the same sum through scipy.optimize, slow, to check or to extend the fit",
    )
    sub.add_argument(
        "--primary",
        default="table",
        choices=("table", "proton", "helium", "nitrogen", "iron"),
        help="table: energies for the mixture that the calibration was made with; proton: by the "
        "Telescope Array's relation of proton showers",
    )
