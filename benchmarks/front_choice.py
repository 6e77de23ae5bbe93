"""How the explained variance depends on the choice of the front: prints docs/front_choice.md.

    python benchmarks/front_choice.py > docs/front_choice.md

Runs the workflow once per choice with half of the default training sample and two networks (with
and without waveforms, both with event features): a quarter of an hour on 2 cores. Results go to
results-front/. What is finished is not run again.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from tashower.config import load_config

#: Name -> section `front`. A and D: splits of the leading edge's delay and spread into the parts
#: that a waveform resolves (few early particles) and that nothing resolves (local fluctuation of
#: the front); A has more of the second, D more of the first.
CHOICES = {
    "default": {},
    "A: more local fluctuation": {
        "electron_shape": 2,
        "electron_delay_ns": 1125,
        "muon_delay_ns": 450,
        "onset_ns": 0.285,
        "local_ns": 0.8,
    },
    "D: late electrons, less local fluctuation": {
        "electron_shape": 3,
        "electron_delay_ns": 1407,
        "muon_delay_ns": 703,
        "onset_ns": 0.10,
        "local_ns": 0.3,
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


def run(name: str, front: dict) -> dict:
    """Scores of the workflow with this front."""
    folder = Path("results-front") / name.split(":")[0]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**SMALLER, "front": front, "results": str(folder)}))
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
    default = load_config().front
    print("# Explained variance and the choice of the front\n")
    scores = {name: run(name, front) for name, front in CHOICES.items()}
    commit = next(iter(scores.values()))["commit"][:7]
    print(
        f"Printed by `python benchmarks/front_choice.py`, commit {commit}: 30,000 showers to "
        "train with, 15,000 to score.\n"
    )
    print(
        "| front | electrons: shape, delay at 1 km | muons | onset a | local | free fit, 68 % | "
        "network, 68 % | EV with waveforms "
        "| EV without | EV of the constrained fit |"
    )
    print("|" + "---|" * 10)
    for name, found in scores.items():
        front = {**{k: getattr(default, k) for k in default.__dataclass_fields__}, **CHOICES[name]}
        ladder = found["ladder"]["free"]
        values = [
            f"{ev['value']:.3f} ± {ev['error']:.3f}"
            for m in (*SMALLER["networks"], "constrained")
            for ev in [ladder[m]["all"]["axis"]["ev"]]
        ]
        angle = [
            f"{found['methods'][m]['all']['angle_68_deg']['value']:.2f}°"
            for m in ("free", "waveforms_and_features")
        ]
        cells = [
            name,
            f"{front['electron_shape']}, {front['electron_delay_ns']:g} ns",
            f"{front['muon_delay_ns']:g} ns",
            f"{front['onset_ns']:g} ns",
            f"{front['local_ns']:g} ns",
            *angle,
            *values,
        ]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
