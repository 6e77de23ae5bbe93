"""`tashower simulate`."""

import argparse
import json

from tashower.cli.messages import say
from tashower.cli.words import add_command
from tashower.errors import InputError


def _simulate(args) -> None:
    from tashower.config import as_dict, load_config
    from tashower.io.event_file import write_events
    from tashower.io.samples import simulates, split_of
    from tashower.io.stages import showers_of

    config = load_config(args.config)
    if args.truth:
        _simulate_given(args, config)
        return
    configuration = as_dict(config)
    stage, split = simulates(args.split), split_of(args.split)
    size, total = config.samples.chunk_size, getattr(config.samples, split)
    first, last = (
        (0, total) if args.chunk is None else showers_of(configuration, args.split, args.chunk)
    )
    if not 0 <= first < last:
        raise InputError(
            f"--chunk {args.chunk}: {args.split} has {total} showers in chunks of {size}"
        )
    if stage == "simulate":
        from tashower.simulation.simulate import simulate_events

        events = simulate_events(config, split, first, last - first)
    else:
        from tashower.simulation.randomised import simulate_randomised

        if not config.robustness.nuisances:
            raise InputError(
                f"--split {args.split}: robustness.nuisances names nothing that varies"
            )
        events = simulate_randomised(config, split, first, last - first)
    showers = {"showers": json.dumps([args.split, first, last])}
    write_events(args.output, events, configuration, (), stage, showers)
    say(
        f"{args.output}: {events.n_events} of {last - first} showers triggered, "
        f"{events.n_hits} hits"
    )


def _simulate_given(args, config) -> None:
    """Simulate the showers of a table or of an event file."""
    from tashower.config import as_dict
    from tashower.io.event_file import write_events
    from tashower.simulation.given import read_truth
    from tashower.simulation.simulate import simulate

    if args.chunk is not None:
        raise InputError("--chunk: given showers are simulated together")
    truth = read_truth(args.truth, config)
    events = simulate(truth, config, config.seed)
    write_events(args.output, events, as_dict(config), [args.truth], "simulate")
    say(
        f"{args.output}: {events.n_events} of {len(truth.zenith)} showers triggered, "
        f"{events.n_hits} hits"
    )


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `simulate`."""
    sub = add_command(
        commands, "simulate", _simulate, "Simulate showers down to triggered waveforms.", True
    )
    sub.add_argument(
        "--split",
        default="test",
        choices=(
            *("calibration", "train", "validation", "test"),
            *("randomised_train", "randomised_validation"),
        ),
        help="which sample; randomised: what robustness.nuisances names varies",
    )
    sub.add_argument("--chunk", type=int, help="which chunk of it; left out: all in one file")
    sub.add_argument(
        "--truth",
        help="simulate these showers instead of drawn ones: a table (energy_eev, zenith_deg, "
        "azimuth_deg, core_x_m, core_y_m, and what else is known) or an event file",
    )
    sub.add_output("event file to write")
