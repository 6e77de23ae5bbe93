"""`tashower score`, `report`, `report-data` and `verify`."""

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


def _add_reports(commands) -> None:
    sub = add_command(commands, "report", _report, "Write the report: one HTML file.", True)
    sub.add_argument("--scores", required=True, help="file that `tashower score` wrote")
    sub.add_argument("--benchmarks", help="folder of the workflow's benchmark files, for the times")
    sub.add_argument("--output", required=True, help="HTML file to write")

    sub = add_command(
        commands,
        "report-data",
        _report_data,
        "Write the report of measured events: one HTML file.",
        True,
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


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `score`, `report`, `report-data` and `verify`."""
    _add_score(commands)
    _add_reports(commands)
    sub = add_command(
        commands,
        "verify",
        _verify,
        "Check that the files of a folder are whole and made from each other.",
    )
    sub.add_argument("folder", help="folder of results")
