"""Trials of networks, side by side: the same showers, the same number of events seen.

    python benchmarks/network_trials.py FOLDER [--only NAME ...] [--seeds 3]

Prints a Markdown table for docs/network_trials.md. Showers are simulated and fitted for it, by the
default configuration with another seed: no test sample takes part, what is judged is the
validation sample. FOLDER keeps every training, also one that failed: a command that was stopped
goes on where it was, and one with other names adds to it. `--list` says what there is.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from trials.catalogue import TRIALS, Trial
from trials.judge import Worth, draws, mean_and_error, worth
from trials.learn import Budget, learn

from tashower.errors import InputError
from tashower.evaluation.rounding import with_error
from tashower.evaluation.tables import markdown_table
from tashower.io import provenance
from tashower.io.json_file import parsed_json, write_json

COLUMNS = [
    "trial",
    "what",
    "EV over the fit it corrects",
    "EV over free",
    "less the default's",
    "68 % ratio to free",
    "to complete",
    "scatter of EV over free",
    "events x passes",
    "events/s",
    "CPU s",
    "commit",
]


class Cell(NamedTuple):
    """One trial with one seed."""

    worth: Worth
    trainings: list[dict]  #: what `learn` says of each


def set_up(folder: Path, budget: Budget) -> None:
    """The folder, for this budget alone.

    Raises
    ------
    InputError : it holds trials of another one.
    """
    path = folder / "budget.json"
    folder.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        write_json(path, budget._asdict())
    found = {key: value for key, value in parsed_json(path).items() if key in Budget._fields}
    if found != budget._asdict():
        raise InputError(f"{folder}: holds trials of another budget: {found}")


def cell(folder: Path, trial: Trial, number: int, budget: Budget) -> Cell | str:
    """One trial with seed `number`, from 1; or what went wrong, which is kept, too."""
    failed = folder / "failures" / f"{trial.recipe}-{number}.txt"
    if failed.is_file():
        return failed.read_text()
    numbers = range((number - 1) * trial.members + 1, number * trial.members + 1)
    try:
        found = [learn(folder, trial.recipe, k, budget) for k in numbers]
    except Exception as error:  # whatever a trial may do: the others go on
        failed.parent.mkdir(exist_ok=True)
        failed.write_text(" ".join(f"{type(error).__name__}: {error}".split()))
        return failed.read_text()
    trainings, answers, stored = zip(*found, strict=True)
    said = np.mean([one.mean if trial.all_turns else one.one for one in answers], axis=0)
    judged = stored[0].judged
    return Cell(worth(judged, said, draws(len(said), budget.seed)), list(trainings))


def row(name: str, cells: list[Cell | str], default: list[Cell | str]) -> list[str]:
    """Of the table; the default has the same seeds."""
    trial = TRIALS[name]
    good = [k for k, one in enumerate(cells) if isinstance(one, Cell)]
    if not good:
        return [f"`{name}`", f"{trial.about}. **Failed:** {cells[0]}", *[""] * (len(COLUMNS) - 2)]
    missing = [one for one in cells if isinstance(one, str)]
    cells = [cells[k] for k in good]
    ev, ev_free, ratio, to_complete = zip(*(one.worth for one in cells), strict=True)
    less = [default[k].worth.ev_free for k in good if isinstance(default[k], Cell)]
    gain = with_error(*mean_and_error(ev_free, less)[:2]) if len(less) == len(good) else ""
    _, _, scatter = mean_and_error(ev_free)
    trainings = [training for one in cells for training in one.trainings]
    seconds = sum(t["seconds"] for t in trainings) / len(cells)
    seen = sum(t["events"] * t["epochs"] for t in trainings) / len(cells)
    passes = f"{trainings[0]['events']:,} x {trainings[0]['epochs']}"
    return [
        f"`{name}`",
        trial.about + "".join(f". **One training failed:** {one}" for one in missing),
        with_error(*mean_and_error(ev)[:2]),
        with_error(*mean_and_error(ev_free)[:2]),
        "" if name == "default" else gain,
        with_error(*mean_and_error(ratio)[:2]),
        with_error(*mean_and_error(to_complete)[:2]),
        "" if np.isnan(scatter) else f"{scatter:.3f}",
        passes if trial.members == 1 else f"{trial.members} x {passes}",
        f"{seen / seconds:,.0f}",
        f"{seconds:,.0f}",
        trainings[0]["commit"][:7],
    ]


def table(folder: Path, names: list[str], seeds: int, budget: Budget) -> str:
    """The Markdown table of these trials; trains what is not there."""
    cells = {}
    for number in range(1, seeds + 1):
        for name in ["default", *names]:
            kept = cells.setdefault(name, [])
            if len(kept) < number:
                kept.append(cell(folder, TRIALS[name], number, budget))
                logging.getLogger("tashower").info(f"{name}, training {number}: {_short(kept[-1])}")
    lines = [row(name, found, cells["default"]) for name, found in cells.items()]
    return markdown_table([COLUMNS, *lines])


def _short(found: Cell | str) -> str:
    return found if isinstance(found, str) else f"EV over free {found.worth.ev_free[0]:.3f}"


def main(words: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="keeps samples and trainings")
    parser.add_argument("--only", nargs="+", choices=TRIALS, metavar="NAME", help="some trials")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each (3)")
    parser.add_argument("--showers", type=int, default=60_000, help="to train with (60,000)")
    parser.add_argument("--validation", type=int, default=10_000, help="to judge with (10,000)")
    parser.add_argument("--epochs", type=int, default=13, help="passes of the default (13)")
    parser.add_argument("--seed", type=int, default=20_261_127, help="of showers and networks")
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    told = parser.parse_args(words)
    if told.list:
        print(
            markdown_table([["trial", "what"], *([f"`{k}`", v.about] for k, v in TRIALS.items())])
        )
        return
    if told.folder is None or min(told.seeds, told.showers, told.validation, told.epochs) < 1:
        parser.error("name a folder; numbers are 1 or more")
    logging.basicConfig(format="%(message)s", stream=sys.stderr, level=logging.INFO)
    budget = Budget(told.showers, told.validation, told.epochs, told.seed)
    try:
        set_up(told.folder, budget)
    except InputError as error:
        parser.error(str(error))
    print(
        f"`python benchmarks/network_trials.py FOLDER --seeds {told.seeds} --showers"
        f" {told.showers} --validation {told.validation} --epochs {told.epochs}`, {_when()}:\n"
    )
    print(table(told.folder, told.only or list(TRIALS), told.seeds, budget))


def _when() -> str:
    return f"commit {provenance.commit()[:7]}, {provenance.now()[:10]}"


if __name__ == "__main__":
    main(sys.argv[1:])
