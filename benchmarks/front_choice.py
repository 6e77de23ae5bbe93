"""Fit and network in the three named fronts, and in a world whose showers follow neither the
lateral distribution nor the front that is fitted: writes docs/front_choice.md, and the band of the
headline that reports quote (tashower/evaluation/fronts.json).

    python benchmarks/front_choice.py

Runs the workflow once per world with half of the default training sample and two networks (with
and without waveforms, both with event features), each trained three times: half an hour on 2 cores.
Results go to results-front/. What is finished is not run again.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
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
#: The same showers for fits and networks that do not know of them: those of the first world.
UNKNOWING = "misspecified, with calibration and networks of `sourced`"
SMALLER = {
    "samples": {
        "calibration": 20_000,
        "train": 30_000,
        "validation": 6_000,
        "test": 15_000,
        "chunk_size": 15_000,
    },
    "networks": {"waveforms_and_features": {}, "features_only": {"inputs": {"waveforms": False}}},
    "network": {"seeds": 3},
    "scores": {"bootstrap": 100, "examples": 0},
}


#: What is compared, and the keys of the ladder in scores.json.
FITS = ("published", "free", "constrained", "complete")
KEYS = {"ratio_68": "Ratio of the 68 % opening angles", "ev": "Explained variance of the direction"}
SHORT = {"waveforms_and_features": "network with waveforms", "features_only": "without"}
#: Worlds whose numbers are the band of the headline.
FRONTS = ("sourced", "formula", "rough")
ROOT = Path("results-front")
BAND = Path("tashower/evaluation/fronts.json")
PAGE = Path("docs/front_choice.md")


def folder_of(name: str) -> Path:
    """Where a world's results go."""
    return ROOT / name.replace(", ", "-")


def call(*command: str) -> None:
    """Run a command of the package; the rules of the workflow call `tashower`, too."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, "PATH": path})


def run(name: str, changes: dict) -> dict:
    """Scores of the workflow in this world."""
    folder = folder_of(name)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**SMALLER, **changes, "results": str(folder)}))
    call("tashower", "run", "--config", str(path), "--nolock")
    return json.loads((folder / "scores.json").read_text())


def run_unknowing() -> dict:
    """Scores of the first world's fits and networks on the misspecified showers."""
    learned, made = folder_of("sourced"), folder_of("sourced, misspecified")
    target = ROOT / "unknowing"
    (target / "networks").mkdir(parents=True, exist_ok=True)
    configuration, calibration = str(learned / "config.yaml"), str(learned / "calibration.json")
    events, fits, networks = sorted((made / "events" / "test").glob("*.h5")), [], {}
    for path in events:
        fits.append(str(target / path.name))
        fit = ("fit", str(path), "--config", configuration, "--calibration", calibration)
        call("tashower", *fit, "--output", fits[-1])
    for checkpoint in sorted((learned / "networks").glob("*/checkpoint.pt")):
        for path, fit in zip(events, fits, strict=True):
            output = target / "networks" / f"{checkpoint.parent.name}-{path.name}"
            made_with = (str(checkpoint), "--events", str(path), "--fits", fit)
            call("tashower", "apply", *made_with, "--output", str(output))
            networks.setdefault(checkpoint.parent.name, []).append(str(output))
    given = [f"{name}={path}" for name, paths in networks.items() for path in paths]
    call(
        *("tashower", "score", "--config", configuration, "--calibration", calibration),
        *("--events", *map(str, events), "--fits", *fits, "--network", *given),
        *("--output", str(target / "scores.json")),
    )
    return json.loads((target / "scores.json").read_text())


def band(scores: dict[str, dict]) -> dict:
    """What reports quote: {front: {network: {fit: {"ratio_68" and "ev": {value, error}}}}}."""
    return {
        "format": "tashower fronts",
        "version": 1,
        "command": "python benchmarks/front_choice.py",
        "commit": scores["sourced"]["commit"],
        "showers": SMALLER["samples"]["train"],
        "trainings": SMALLER["network"]["seeds"],
        "fronts": {
            front: {
                network: {
                    fit: {key: found["ladder"][fit][network]["all"]["axis"][key] for key in KEYS}
                    for fit in FITS
                }
                for network in SMALLER["networks"]
            }
            for front, found in scores.items()
            if front in FRONTS
        },
    }


def pm(entry: dict, digits: int = 3) -> str:
    """A number with its error."""
    return f"{entry['value']:.{digits}f} ± {entry['error']:.{digits}f}"


def lines(scores: dict[str, dict]) -> Iterator[str]:
    """The page."""
    sourced = scores["sourced"]
    yield "# The headline and the choice of the front"
    yield ""
    yield (
        f"`python benchmarks/front_choice.py`, commit {sourced['commit'][:7]}: "
        f"{SMALLER['samples']['train']:,} showers to train with, {SMALLER['samples']['test']:,} to "
        "score, two networks, each trained three times (the first with waveforms, the second "
        "without; both with event features). Errors: paired bootstrap of showers, for networks "
        "with the scatter between trainings ([scores.md](scores.md)). With the default's 60,000 "
        "showers networks gain more; here the worlds are compared."
    )
    methods = (*FITS, *SMALLER["networks"])
    yield from ("", "68 % opening angle [deg]:", "")
    yield "| showers | " + " | ".join(SHORT.get(m, m) for m in methods) + " |"
    yield "|" + "---|" * (1 + len(methods))
    for name, found in scores.items():
        angle = [pm(found["methods"][m]["all"]["angle_68_deg"], 2) for m in methods]
        yield "| " + " | ".join([name, *angle]) + " |"
    for key, title in KEYS.items():
        for network in SMALLER["networks"]:
            yield from ("", f"{title}, {SHORT[network]} against", "")
            yield "| showers | " + " | ".join(FITS) + " |"
            yield "|" + "---|" * (1 + len(FITS))
            for name, found in scores.items():
                values = [pm(found["ladder"][f][network]["all"]["axis"][key]) for f in FITS]
                yield "| " + " | ".join([name, *values]) + " |"


def main() -> None:
    """Run all worlds; write the page and the band."""
    scores = {name: run(name, changes) for name, changes in WORLDS.items()}
    scores[UNKNOWING] = run_unknowing()
    BAND.write_text(json.dumps(band(scores), indent=1) + "\n")
    PAGE.write_text("\n".join(lines(scores)) + "\n")
    print(f"{PAGE} and {BAND} are written: the text beside the tables is to be written anew")


if __name__ == "__main__":
    main()
