"""`tashower calibrate` and `tashower fit`: the analytic reconstruction."""

import argparse
from typing import TYPE_CHECKING

from tashower.cli.messages import log, say
from tashower.cli.words import add_command

if TYPE_CHECKING:
    from tashower.calibration.calibration import Calibration
    from tashower.events.array import Array

_ALIKE = 0.05  # relative difference up to which an array is like the default (choice)


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


def say_default(calibration: "Calibration", array: "Array") -> None:
    """Say that the calibration of the package is used, and for what it was not made.

    Raises
    ------
    InputError : an array that it does not hold for.
    """
    from tashower.config import Config
    from tashower.events.described import check_described

    check_described(calibration.described, array.described, "the calibration of the package")
    log.info("fit: no --calibration: that of the package, of the default configuration, is used")
    default, found = Config(), array.detector
    pairs = (
        ("layers", found.n_layers, default.detector.layers),
        ("m2", found.area, default.detector.area_m2),
        ("ns bins", found.bin_width, default.detector.bin_width_ns),
        ("m apart", array.spacing, default.array.spacing_m),
    )
    # Stations are displaced from their lattice: its spacing is not known to the per cent.
    other = [(unit, a, b) for unit, a, b in pairs if not abs(a - b) <= _ALIKE * b]
    if other:
        theirs, ours = (", ".join(f"{pair[k]:g} {pair[0]}" for pair in other) for k in (1, 2))
        log.warning(
            f"fit: that calibration is of stations with {ours}; these have {theirs}: errors and "
            "energies are not those of this array (tashower calibrate makes its own)"
        )


def _fit(args) -> None:
    from tashower.calibration.calibration import DEFAULT, read_calibration
    from tashower.calibration.station_likelihood import read_station_likelihood
    from tashower.config import as_dict, load_config
    from tashower.io.event_file import read_events
    from tashower.io.reconstruction_file import write_reconstruction
    from tashower.reconstruction.reconstruct import reconstruct

    _check_methods(args.method or ())
    config = load_config(args.config)
    chosen = args.calibration or DEFAULT
    calibration = read_calibration(chosen)
    stations = args.station_likelihood
    stations = read_station_likelihood(stations) if stations else None
    events = read_events(args.events)
    if args.calibration is None:
        say_default(calibration, events.array)
    tables, pulses, features = reconstruct(
        *(events, calibration, config.reconstruction, args.minimiser),
        only=args.method,
        primary=args.primary,
        stations=stations,
    )
    inputs = (args.events, chosen, *filter(None, [args.station_likelihood]))
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
    sub.add_input("events", "simulated event files, used for nothing else", several=True)
    sub.add_output("calibration (JSON) to write")

    sub = add_command(
        commands, "fit", _fit, "Reconstruct core, direction, S800 and energy analytically.", True
    )
    sub.add_input("events", "event file")
    sub.add_argument(
        "--calibration",
        metavar="FILE",
        help="file that `tashower calibrate` wrote; left out: that of the package, of the default "
        "configuration, which is right for events like those of the Telescope Array",
    )
    sub.add_argument(
        "--station-likelihood",
        help="file that `tashower station-likelihood` wrote: the methods likelihood_edges and "
        "likelihood_waveforms, too",
    )
    sub.add_output("reconstruction file to write")
    sub.add_argument(
        "--method",
        action="append",
        help="make this fit only (published, free, constrained, complete, plane, "
        "likelihood_edges, likelihood_waveforms); may be given "
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
