"""How well the default array can reconstruct at all, for the three simulated fronts, and how near
every fit comes.

Run `python benchmarks/information_limit.py FOLDER > docs/limits.md`; a quarter of an hour of one
core for each front, of which FOLDER keeps what is finished (so the run can be continued). With
`--only sourced` one front alone is made. Samples, calibrations and station likelihoods are made for
it; of the default front the station likelihood is that of the package.
"""

import argparse
import json
from pathlib import Path

from tashower.calibration.calibration import write_calibration
from tashower.calibration.station_likelihood import write_station_likelihood
from tashower.config import as_dict, load_config
from tashower.io.json_file import as_json, read_json
from tashower.limit.limit import KIND, VERSION, Prepared, limit_text, measure, prepare

SEED, EVENTS = 20_261_127, 10_000
FRONTS = {
    "sourced": "the default: delays of a hadronic cascade's muons",
    "formula": "gamma distributions of shape 2, for which the formula of the fit holds",
    "rough": "the same with four times the local fluctuation and more muons",
}


def configuration(front: str):
    """That of a front: the default with a seed of its own, that no sample of the workflow has."""
    return load_config({"seed": SEED, "front": {"model": front}})


def prepared(folder: Path, front: str) -> Prepared:
    """Calibration and station likelihood of a front, which the folder keeps."""
    config = configuration(front)
    paths = [folder / f"{front}_{what}.json" for what in ("calibration", "stations")]
    made = prepare(config, *(path if path.is_file() else None for path in paths))
    if not paths[0].is_file():
        write_calibration(paths[0], made.calibration, as_dict(config), stage="calibrate")
    if not paths[1].is_file():
        write_station_likelihood(paths[1], made.stations, as_dict(config), "station-likelihood")
    return made


def found(folder: Path, front: str) -> dict:
    """The limit for a front, from the folder where it is finished."""
    path = folder / f"{front}.json"
    if not path.is_file():
        limit = measure(configuration(front), EVENTS, prepared(folder, front))
        path.write_bytes(as_json(limit, finite=True))
    return read_json(path, KIND, (VERSION,))


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=FRONTS, help="make this front, print nothing")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.only:
        found(args.folder, args.only)
        return
    parts, made = [], {}
    for front, text in FRONTS.items():
        one = found(args.folder, front)
        made[f"commit {one['commit'][:7]}, {one['created'][:10]}"] = None
        parts.append(
            f"## Front `{front}`\n\n{text.capitalize()}. {one['n_scored']:,} of "
            f"{one['n_triggered']:,} triggered events are scored.\n\n{limit_text(one)}"
        )
    more = args.folder / "particles.json"
    known = json.loads(more.read_text())["text"] if more.is_file() else ""
    print(
        f"""# How well the array can reconstruct at all

`python benchmarks/information_limit.py FOLDER > docs/limits.md`, {"; ".join(made)}: the default
configuration with another seed ({SEED}) and each of its three fronts, a calibration and
a station likelihood of its own for each. For an array of one's own:
`tashower limit --config mine.yaml`.

The mean variance of the posterior is the least mean square error that any estimator can have. The
posteriors are those of `likelihood_edges` (leading edge and signal of every station, silence of the
others) and `likelihood_waveforms` (complete waveforms); their density of a station was learned from
simulated ones ([reconstruction.md](reconstruction.md)), so a better one may still gain a little.
Where the mean square error in brackets is that of the posterior, the errors are right. Showers,
stations and electronics are those of the simulation ([simulation.md](simulation.md)): what a real
array can do is less by what is not known of it.

{chr(10).join(parts)}
{known}"""
    )


if __name__ == "__main__":
    main()
