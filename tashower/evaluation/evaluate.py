"""From the files of a test sample to scores, tables and figures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tashower.config import Config
from tashower.evaluation import tables
from tashower.evaluation.comparison import score
from tashower.evaluation.figures.event import event_figure
from tashower.evaluation.figures.of_scores import figures_of
from tashower.evaluation.figures.style import save
from tashower.evaluation.sample import read_sample
from tashower.io.atomic import written_aside
from tashower.io.hdf5 import made_from, read_attributes
from tashower.types import FilePath


def evaluate(
    config: Config,
    events_paths: Sequence,
    fits_paths: Sequence,
    networks: Mapping[str, Sequence],
    calibration: FilePath | None,
    output: FilePath,
) -> dict:
    """Score fit and networks; write scores.json (`output`), scores.md and figures/ beside it.

    Parameters
    ----------
    events_paths, fits_paths : files of the test sample, in the same order
    networks : {name: files of `apply_network`, in the same order}
    calibration : path of the fit's calibration, for the record

    Returns the scores.

    Raises
    ------
    InputError : no truth, files that do not belong together, nothing to score.
    """
    sample = read_sample(events_paths, fits_paths, networks, config.scores.examples)
    scores, scored = score(config, sample.methods, sample.truth, networks)
    scores["inputs"] = [Path(p).name for p in (*events_paths, *fits_paths)]
    networks_paths = [path for paths in networks.values() for path in paths]
    scores["made_from"] = made_from(
        [*events_paths, *fits_paths, *networks_paths, *([calibration] if calibration else [])]
    )
    scores["calibration"] = (
        None if calibration is None else json.loads(Path(calibration).read_text())["errors"]
    )
    scores["simulation_commit"] = read_attributes(events_paths[0])["commit"]
    output = Path(output)
    figures = output.parent / "figures"
    for name, figure in figures_of(scores, scored):
        save(figure, figures / f"{name}.png")
    for number, (event, methods, pulses) in enumerate(sample.examples, 1):
        save(event_figure(event, 0, methods, pulses), figures / f"event_{number}.png")
    with written_aside(output.with_name("scores.md")) as aside:
        aside.write_text(tables.as_markdown(scores))
    with written_aside(output) as aside:
        aside.write_text(json.dumps(scores, indent=1, allow_nan=False) + "\n")
    return scores
