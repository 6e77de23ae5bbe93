"""What a run of the workflow cost, per million showers, from its benchmark files: seconds, memory,
bytes, and what Snakemake added.

python benchmarks/scaling.py RESULTS [cores]
"""

import csv
import sys
from pathlib import Path

#: Where the files of each rule lie.
_OUTPUTS = {
    "simulate_events": "events",
    "reconstruct_events": "reconstructions",
    "train_network": "networks",
}


def rows_of(folder: Path) -> dict[str, list[dict]]:
    """{rule: [row of a benchmark file, with its `name` and `end`, when it ended]}."""
    found: dict[str, list[dict]] = {}
    for path in sorted(folder.glob("**/*.tsv")):
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        with path.open() as file:
            for row in csv.DictReader(file, delimiter="\t"):
                numbers = {
                    name: float(row[name])
                    for name in ("s", "cpu_time", "max_pss", "max_rss")
                    if row[name] not in ("NA", "-")
                }
                about = {"name": path.stem, "end": path.stat().st_mtime}
                found.setdefault(rule, []).append(numbers | about)
    return found


def showers_in(folder: Path) -> float:
    """Thrown showers of a run, from what its event files state."""
    import json

    from tashower.io.hdf5 import read_attributes

    chunks = (json.loads(read_attributes(path)["showers"]) for path in folder.glob("events/*/*.h5"))
    return sum(end - first for _, first, end in chunks)


def main(results: str, cores: int = 2) -> None:
    """Print the table."""
    folder = Path(results)
    millions = showers_in(folder) / 1e6
    found = rows_of(folder / "benchmarks")
    print(
        f"{millions * 1e6:,.0f} showers         jobs   s/job   CPU s per million   memory of a "
        "job [MB]   GB per million"
    )
    for rule, rows in found.items():
        cpu = sum(row.get("cpu_time", row["s"]) for row in rows) / millions
        place = folder / _OUTPUTS.get(rule, "nothing")
        size = (
            sum(path.stat().st_size for path in place.glob("**/*") if path.is_file())
            / 1e9
            / millions
        )
        memory = max(row.get("max_pss", 0.0) for row in rows)
        seconds = sum(row["s"] for row in rows)
        print(
            f"  {rule:20} {len(rows):6d}  {seconds / len(rows):6.1f}   {cpu:17.0f}   "
            f"{memory:20.0f}   {size:14.2f}"
        )
    everything = [row for rows in found.values() for row in rows]
    wall = max(row["end"] for row in everything) - min(row["end"] - row["s"] for row in everything)
    busy = sum(row["s"] for row in everything)
    print(
        f"  {wall:.0f} s from the first job's start to the last one's end on {cores} cores; "
        f"{busy / cores:.0f} s of work on each: ",
        end="",
    )
    print(f"{100 * (1 - busy / cores / wall):.0f} % between the jobs")


if __name__ == "__main__":
    main(sys.argv[1], *(int(word) for word in sys.argv[2:]))
