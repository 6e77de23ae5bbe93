"""The table of all trials, and the page docs/reliability.md."""

import textwrap
from datetime import UTC, datetime
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table."""

    section: str
    what: str
    trials: int
    outcome: str
    faults: list[str]


_INTRODUCTION = """
What `make chaos` tried, and what came of it: files damaged in every way that we could think of,
runs killed and changed, configurations drawn at random. It writes this page; the code is in
`tests/chaos`, and a small part of every trial is in the fast tests (`tests/test_chaos.py`).
`make chaos KILLS=3` is a small version of all of it.
"""

#: What is tried in each section, and what would be a failure.
SECTIONS = {
    "Kills": """
A run of the workflow is killed with SIGKILL after a random share of its jobs: all its processes,
Snakemake alone, or one job. In between keys of the configuration and lines of the package change
at random, there and back. After each kill `tashower verify` may find no damaged file; at each end
all products are compared with those of a fresh run of the same configuration and code, bit by bit
except times.
""",
    "Stale results": """
Products at the ends of those runs that an earlier configuration or code had made.
""",
    "Flipped bits": """
One bit of a file is flipped, of every second file in its first and last 600 bytes, and the file is
read. Every flip has to be noticed.
""",
    "Mutated files": """
Files of each foreign format with something wrong in structure or bytes: numbers replaced by NaN,
1e999, -1, 2^63, 10^400, text; empty lists, other shapes and kinds, counts off by one, missing keys;
flipped, cut and doubled bytes. Each is converted in 2 GB and 60 s, read back and fitted, or refused
in one line that names a file. A traceback, a crash, a hang, or a file left behind is a failure.
Event files are in the table as well, as others may write them without our checksum.
""",
    "Random configurations": """
Valid configurations, every number drawn from its range, simulated, calibrated and fitted. A
traceback, a crash, or a result that cannot be is a failure.
""",
    "Two runs in one folder": """
While a run is going on, others are started in its folder.
""",
    "Writers of one file": """
Processes that write the same file ten times each, while another reads it.
""",
}


def _paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False)


def tabled(rows: list[Row]) -> str:
    """The table as Markdown."""
    lines = ["| trial | of what | number | outcome | failures |", "|---|---|---|---|---|"]
    for row in rows:
        lines.append(
            f"| {row.section} | {row.what} | {row.trials:,} | {row.outcome} | {len(row.faults)} |"
        )
    lines += [f"\n{row.section}, {row.what}: {fault}" for row in rows for fault in row.faults[:5]]
    return "\n".join(lines)


def page(rows: list[Row], commit: str, seed: int, seconds: float) -> str:
    """The page: date, commit, table, and what each trial is."""
    now = datetime.now(UTC).date().isoformat()
    made = f"{now}, commit {commit}, seed {seed}, {seconds / 60:.0f} minutes."
    sections = [f"## {name}\n\n{_paragraph(text)}" for name, text in SECTIONS.items()]
    return (
        "\n\n".join(["# Reliability", _paragraph(_INTRODUCTION), made, tabled(rows), *sections])
        + "\n"
    )
