"""Fit and network in the three named fronts and in a misspecified world: prints
docs/front_choice.md.

    python benchmarks/front_choice.py > docs/front_choice.md

Runs the workflow once per world with half of the default training sample and two networks (with
and without waveforms, both with event features): twenty minutes on 2 cores. Results go to
results-front/. What is finished is not run again.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

#: Name -> what differs from the default configuration.
WORLDS = {
    "sourced": {},
    "formula": {"front": {"model": "formula"}},
    "rough": {"front": {"model": "rough"}, "detector": {"clock_ns": 0.0}},
    "sourced, misspecified": {
        "showers": yaml.safe_load(Path("config/misspecified.yaml").read_text())["showers"]
    },
}
SMALLER = {
    "samples": {
        "calibration": 20_000,
        "train": 30_000,
        "validation": 6_000,
        "test": 15_000,
        "chunk_size": 15_000,
    },
    "networks": {"waveforms_and_features": {}, "features_only": {"inputs": {"waveforms": False}}},
    "scores": {"bootstrap": 100, "examples": 0},
}


def run(name: str, changes: dict) -> dict:
    """Scores of the workflow in this world."""
    folder = Path("results-front") / name.replace(", ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**SMALLER, **changes, "results": str(folder)}))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "all",
        "--configfile",
        str(path),
        "--nolock",
    ]
    # the rules call `tashower`
    path_with_us = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, "PATH": path_with_us})
    return json.loads((folder / "scores.json").read_text())


def main() -> None:
    """Print the page."""
    print("# Explained variance and the choice of the front\n")
    scores = {name: run(name, changes) for name, changes in WORLDS.items()}
    commit = next(iter(scores.values()))["commit"][:7]
    print(
        f"Printed by `python benchmarks/front_choice.py`, commit {commit}: 30,000 showers to "
        "train with, 15,000 to score. EV: variance of the free fit's direction error that is "
        "explained.\n"
    )
    methods = ("free", "constrained", "complete", "waveforms_and_features")
    print(
        "| front | "
        + " | ".join(f"{m.replace('_', ' ')}, 68 %" for m in methods)
        + " | EV with waveforms | EV without | EV of the complete fit |"
    )
    print("|" + "---|" * (4 + len(methods)))
    for name, found in scores.items():
        ev = found["ev_of_correction"]["free"]
        values = [
            f"{ev[m]['axis']['value']:.3f} ± {ev[m]['axis']['error']:.3f}"
            for m in (*SMALLER["networks"], "complete")
        ]
        angle = [
            f"{found['methods'][m]['all']['angle_68_deg']['value']:.2f}°"
            for m in methods
            if m in found["methods"]
        ]
        print("| " + " | ".join([name, *angle, *values]) + " |")


if __name__ == "__main__":
    main()
