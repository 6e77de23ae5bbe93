"""What the rules of the workflow need, from the benchmark files of a small and a large run:
tashower/workflow/resources.json.

    python benchmarks/resources.py RESULTS_SMALL RESULTS_LARGE > tashower/workflow/resources.json

Memory and seconds of a job are taken to be a constant and a slope with the showers that it handles:
the largest job of each rule in each run, and the line through the two; likewise the mean time of
the jobs of a rule.
"""

import json
import sys
from pathlib import Path

from scaling import rows_of

#: What stands for `reconstruct_events` of a test sample.
TESTED = "reconstruct_tested"
PRESENT = Path(__file__).resolve().parents[1] / "tashower/workflow/resources.json"


def showers_of(configuration: dict) -> dict[str, float]:
    """Showers that a job of each rule handles; for the training times the passes over them in
    `passes`.
    """
    samples = configuration["samples"]
    chunk = samples["chunk_size"]
    return {
        "simulate_events": min(chunk, samples["train"]),
        "reconstruct_events": min(chunk, samples["train"]),
        TESTED: min(chunk, samples["test"]),
        "calibrate_fit": samples["calibration"],
        "train_network": samples["train"] + samples["validation"],
        "apply_network": min(chunk, samples["test"]),
        "score_methods": samples["test"],
        "write_report": 0.0,
    }


def measured(folder: Path) -> tuple[dict[str, dict], str]:
    """({quantity: {rule: (showers, or showers and passes, value)}}, commit): memory [MB] and time
    [s] of the largest job of each rule, which are asked for, and the mean time, by which it is said
    how long a run still takes.
    """
    about = json.loads((folder / "scores.json").read_text())
    configuration = about["configuration"]
    showers = showers_of(configuration)
    memory, seconds, mean_seconds = {}, {}, {}
    history = [
        json.loads(path.read_text())["epochs"] for path in folder.glob("networks/*/history.json")
    ]
    all_rows = rows_of(folder / "benchmarks")
    # The likelihoods, which take longest, are made of the test sample alone.
    fits = all_rows.pop("reconstruct_events")
    for rule, tested in (("reconstruct_events", False), (TESTED, True)):
        all_rows[rule] = [row for row in fits if row["name"].startswith("test-") == tested]
    for rule, rows in all_rows.items():
        if rule in showers:
            passes = max(map(len, history)) if rule == "train_network" else 1
            memory[rule] = (showers[rule], max(row["max_rss"] for row in rows))
            times = [row["s"] for row in rows]
            seconds[rule] = (showers[rule] * passes, max(times))
            mean_seconds[rule] = (showers[rule] * passes, sum(times) / len(times))
    found = {"memory_mb": memory, "seconds": seconds, "mean_seconds": mean_seconds}
    return found, about["commit"]


def line(small: tuple[float, float], large: tuple[float, float]) -> list[float]:
    """[constant, slope per 1000 showers], neither negative."""
    (x, y), (u, v) = small, large
    slope = max((v - y) / (u - x), 0.0) if u > x else 0.0
    return [round(max(y - slope * x, 0.0), 1), round(1000.0 * slope, 3)]


def main(small: str, large: str) -> None:
    """Print the file."""
    (one, _), (other, commit) = measured(Path(small)), measured(Path(large))
    rules = {
        rule: {quantity: line(one[quantity][rule], other[quantity][rule]) for quantity in one}
        for rule in one["memory_mb"]
    }
    # What no run of the two has, as generators by default, stays as it was measured.
    rules = json.loads(PRESENT.read_text())["rules"] | rules
    for of_rule in rules.values():
        of_rule.setdefault("mean_seconds", of_rule["seconds"])
    command = f"python benchmarks/resources.py {Path(small).name} {Path(large).name}"
    about = f"{command}, on a CPU; [constant, per 1000 showers]"
    print(json.dumps({"measured": about, "commit": commit, "rules": rules}, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
