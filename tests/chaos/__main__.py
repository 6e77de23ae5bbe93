"""`make chaos`: all trials, and docs/reliability.md.

    PYTHONPATH=tests python -m chaos

Numbers come from the environment: KILLS (40) scales all the others with it, and each has a name of
its own: MUTATIONS, FLIPS, CONFIGURATIONS, SECOND_RUNS, WRITERS; SEED (1); PARTS, words of the parts
to run (all); REPORT, a file to write instead of docs/reliability.md, which only whole runs replace.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from chaos.inputs import MUTATIONS, ROOT
from chaos.report import Row, page, tabled
from tashower.io import provenance

#: Numbers of a whole run.
WHOLE = {
    "KILLS": 40,
    "MUTATIONS": 1000,
    "FLIPS": 500,
    "CONFIGURATIONS": 200,
    "SECOND_RUNS": 5,
    "WRITERS": 8,
}
#: Kills of one folder, one after the other.
SERIES = 8
#: Fewest of those that scale.
FEWEST = {"WRITERS": 4}
say = partial(print, flush=True)


class Numbers(NamedTuple):
    """How often each thing is tried."""

    kills: int
    mutations: int
    flips: int
    configurations: int
    second_runs: int
    writers: int


def numbers() -> Numbers:
    """From the environment; what is not named there is scaled with KILLS."""
    share = int(os.environ.get("KILLS", WHOLE["KILLS"])) / WHOLE["KILLS"]
    scaled = {
        name: max(FEWEST.get(name, 2), round(n * min(share, 1.0))) for name, n in WHOLE.items()
    }
    chosen = {name: int(os.environ.get(name, n)) for name, n in scaled.items()}
    return Numbers(*(chosen[name] for name in WHOLE))


def mutations(found: Numbers, seed: int) -> list[Row]:
    """Mutated files of every foreign format."""
    from chaos.foreign import mutate
    from chaos.trials import told

    rows, n = [], found.mutations
    for name in MUTATIONS:
        outcome = mutate(n, seed, (name,))[name]
        counts = outcome.counts
        say(f"mutations: {name}: {told(outcome)}")
        said = f"{counts['accepted']} read and fitted, {counts['refused']} refused"
        rows.append(Row("Mutated files", name, n, said, [text for _, _, text in outcome.faults]))
    return rows


def flipped(found: Numbers, seed: int) -> list[Row]:
    """Flipped bits in every kind of file of ours."""
    from chaos.flips import flips
    from chaos.trials import told

    rows, n = [], found.flips
    for kind, outcome in flips(n, seed).items():
        say(f"flips: {kind}: {told(outcome)}")
        said = f"{outcome.counts['refused']} refused"
        rows.append(Row("Flipped bits", kind, n, said, [text for _, _, text in outcome.faults]))
    return rows


def writers(found: Numbers, _seed: int) -> list[Row]:
    """Several writers of one file."""
    from chaos.writers import writers_of_one_file

    n = found.writers
    outcome = writers_of_one_file(n)
    say(f"writers: {outcome}")
    said = "one wins, whole, at every moment"
    return [
        Row("Writers of one file", kind, n, said, list(faults)) for kind, faults in outcome.items()
    ]


def killed(found: Numbers, seed: int) -> list[Row]:
    """Kills with changes in between."""
    from chaos.kills import STALE, kept, kills, together

    # In series, of which those that are finished are kept: an hour's trial may be interrupted.
    folder = ROOT / "build" / "chaos" / provenance.commit()
    series, outcomes = -(-found.kills // SERIES), []
    for k in range(series):
        n = min(SERIES, found.kills - k * SERIES)
        tried = found.second_runs if k == 0 else 0
        words = n, 1000 * seed + k, tried, say
        if "+" in folder.name:  # nobody knows of which changes
            outcomes.append(kills(*words))
            continue
        path = folder / f"kills-{seed}-{k}-{n}-{tried}.json"
        outcomes.append(kept(path, lambda words=words: kills(*words)))
    outcome = together(outcomes)
    ends = f"runs that came to an end: {outcome.ends}, equal to a fresh run to the bit"
    stale = [fault for fault in outcome.faults if fault.startswith(STALE)]
    others = [fault for fault in outcome.faults if fault not in stale]
    return [
        Row("Kills", _counted(outcome.kills), outcome.kills.total(), ends, others),
        Row("Stale results", _counted(outcome.changes), outcome.changes.total(), "none", stale),
        Row(
            "Two runs in one folder",
            "second runs",
            outcome.second_runs,
            "each said why and ended; the first one is that of a fresh run",
            list(outcome.of_second_runs),
        ),
    ]


def _counted(counts: Counter) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))


def configurations(found: Numbers, seed: int) -> list[Row]:
    """Random valid configurations through simulation and fit, where there is what makes them."""
    try:
        from random_configurations import run
    except ImportError:
        say("configurations: not tried (tests/random_configurations.py is not here)")
        return []
    n = found.configurations
    faults = [str(failure) for failure in run(n, seed)]
    said = "simulated and fitted, or refused in one line"
    return [Row("Random configurations", "all sections", n, said, faults)]


PARTS: dict[str, Callable[[Numbers, int], list[Row]]] = {
    "flips": flipped,
    "writers": writers,
    "mutations": mutations,
    "configurations": configurations,
    "kills": killed,
}


def main() -> int:
    """Run the parts, print the table, write the page; exit status 1 where something failed."""
    found, seed = numbers(), int(os.environ.get("SEED", "1"))
    chosen = os.environ.get("PARTS", " ".join(PARTS)).split()
    rows: list[Row] = []
    commit = provenance.commit()  # of the beginning: somebody may commit meanwhile
    began = time.monotonic()
    for name in chosen:
        start = time.monotonic()
        rows += PARTS[name](found, seed)
        say(f"{name}: {time.monotonic() - start:.0f} s\n")
    say(tabled(rows))
    whole = found == Numbers(*WHOLE.values()) and chosen == list(PARTS)
    to = os.environ.get("REPORT") or (ROOT / "docs" / "reliability.md" if whole else None)
    if to:
        Path(to).write_text(page(rows, commit, seed, time.monotonic() - began))
        say(f"\nwritten: {to}")
    return 1 if any(row.faults for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
