"""`tashower score`, `report`, `report-data`, `learning-curve`, `robustness` and `verify`."""

import argparse
from pathlib import Path

from tashower.cli.messages import say
from tashower.cli.words import add_command, named
from tashower.errors import InputError


def _score(args) -> None:
    from tashower.config import load_config
    from tashower.evaluation.evaluate import evaluate
    from tashower.evaluation.summary import summary

    scores = evaluate(
        load_config(args.config),
        args.events,
        args.fits,
        named(args.network),
        args.calibration,
        args.output,
    )
    say(summary(scores))


def _report(args) -> None:
    from tashower.config import load_config
    from tashower.evaluation.report import write_report

    config = None if args.config is None else load_config(args.config)
    write_report(config, args.scores, args.benchmarks, args.output)
    say(f"{args.output}: {Path(args.output).stat().st_size / 1e6:.1f} MB")


def _report_data(args) -> None:
    from tashower.config import load_config
    from tashower.evaluation.data_report import report_data

    networks = {name: paths[0] for name, paths in named(args.network).items()}
    n_events = report_data(
        load_config(args.config),
        args.events,
        args.fits,
        networks,
        args.simulated_fits or (),
        args.output,
        args.calibration,
    )
    say(f"{args.output}: {n_events} events")


def _learning_curve(args) -> None:
    from tashower.evaluation.learning_curve import write_learning_curve

    say(", ".join(map(str, write_learning_curve(args.scores, args.output))))


def _robustness(args) -> None:
    from tashower.config import load_config
    from tashower.evaluation.robustness import score_worlds
    from tashower.evaluation.robustness_tables import sentences, write_robustness

    config = load_config(args.config)
    found = score_worlds(config, named(args.events), args.fits, named(args.network))
    paths = write_robustness(found, args.output)
    say("\n".join(sentences(found)))
    say(", ".join(map(str, paths)))


def _verify(args) -> None:
    from tashower.evaluation.verify import problems_of

    problems, remarks = problems_of(args.folder)
    say("\n".join([*remarks, *problems]))
    if problems:
        raise InputError(f"{args.folder}: {len(problems)} things do not belong together")
    say(f"{args.folder}: everything belongs together")


def _add_score(commands) -> None:
    sub = add_command(
        commands,
        "score",
        _score,
        "Score fit and networks on the same events; write scores and figures.",
        True,
    )
    sub.add_input("events", "event files of the test sample", "--events", several=True)
    sub.add_argument(
        "--fits", nargs="+", required=True, help="their reconstruction files, in the same order"
    )
    sub.add_argument(
        "--network",
        nargs="*",
        help="NAME=FILE: files of `tashower apply`, in the same order for each name",
    )
    sub.add_argument("--calibration", help="calibration file, for the record")
    sub.add_output("scores (JSON) to write; tables and figures go beside it")


def _add_reports(commands) -> None:
    sub = add_command(commands, "report", _report, "Write the report: one HTML file.", True)
    sub.add_input("scores", "file that `tashower score` wrote", "--scores")
    sub.add_argument("--benchmarks", help="folder of the workflow's benchmark files, for the times")
    sub.add_output("HTML file to write")

    sub = add_command(
        commands,
        "report-data",
        _report_data,
        "Write the report of measured events: one HTML file.",
        True,
    )
    sub.add_input("events", "event file", "--events")
    sub.add_argument("--fits", required=True, help="its reconstruction file")
    sub.add_argument("--network", nargs="*", help="NAME=FILE of `tashower apply`")
    sub.add_argument("--calibration", help="calibration of the fit, for the pulls of the times")
    sub.add_argument(
        "--simulated-fits",
        nargs="*",
        help="reconstruction files of simulated events to compare with",
    )
    sub.add_output("HTML file to write; figures go beside it")


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `score`, `report`, `report-data`, `learning-curve`, `robustness` and `verify`."""
    _add_score(commands)
    _add_reports(commands)
    sub = add_command(
        commands,
        "learning-curve",
        _learning_curve,
        "What networks gain by more showers to learn from: tables and a figure.",
    )
    sub.add_input("scores", "file that `tashower score` wrote, of networks with several `showers`")
    sub.add_output("tables to write (Markdown); the figure goes beside it (.png, .pdf)")
    sub = add_command(
        commands,
        "robustness",
        _robustness,
        "Bias, size and coverage of every method in other worlds than that which it learned in.",
        True,
    )
    sub.add_input(
        "events",
        "WORLD=FILE: event files of the same showers in every world, the nominal one first",
        several=True,
    )
    sub.add_argument(
        "--fits", nargs="+", required=True, help="their reconstruction files, in the same order"
    )
    sub.add_argument(
        "--network",
        nargs="*",
        help="NAME=FILE: files of `tashower apply`, in the same order for each name",
    )
    sub.add_output("file to write (JSON); tables (.md, .csv) and a figure go beside it")
    sub = add_command(
        commands,
        "verify",
        _verify,
        "Check that the files of a folder are whole and made from each other.",
    )
    sub.add_input("folder", "folder of results")
