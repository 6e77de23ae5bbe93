"""`tashower compare` and `backbones`."""

import argparse
from pathlib import Path

from tashower.cli.messages import say
from tashower.cli.words import add_command


def _compare(args) -> None:
    from tashower.evaluation.compare import compare
    from tashower.evaluation.compare_tables import sentences, write_comparison
    from tashower.evaluation.runs import read_runs

    comparison = compare(read_runs(args.runs, not args.unpaired))
    paths = write_comparison(comparison, args.output)
    say("\n".join(sentences(comparison)))
    say(", ".join(map(str, paths)))


def _backbones(args) -> None:
    from tashower.evaluation.backbones import as_markdown, backbones, write_backbones

    found = backbones(args.folder)
    paths = write_backbones(found, args.output or Path(args.folder) / "backbones.md")
    print(as_markdown(found), end="")
    say(", ".join(map(str, paths)))


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `compare` and `backbones`."""
    sub = add_command(
        commands,
        "compare",
        _compare,
        "Compare finished runs on the events that they have in common: differences with paired "
        "errors, and what differs in configuration, calibration and code.",
    )
    sub.add_input(
        "runs",
        "folders of results, or their scores.json; each is compared with the first",
        several=True,
    )
    sub.add_argument(
        "--unpaired",
        action="store_true",
        help="compare the scores as they stand, of different events, with larger errors",
    )
    sub.add_output(
        "HTML file to write; the tables go beside it (.md, .csv); left out: comparison.html",
        required=False,
        default="comparison.html",
    )
    sub = add_command(
        commands,
        "backbones",
        _backbones,
        "Compare the networks of a finished run: parameters, multiply-adds, training speed, "
        "explained variance and 68 % ratio, with the scatter over their trainings.",
    )
    sub.add_input("folder", "folder of results")
    sub.add_output(
        "Markdown file to write, the numbers go beside it (.json); left out: backbones.md in the "
        "folder",
        required=False,
    )
