"""From the files of a test sample to scores, tables and figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tashower.config import Config
from tashower.evaluation.comparison import score
from tashower.evaluation.figures.event import event_figure
from tashower.evaluation.figures.of_scores import figures_of, names_of
from tashower.evaluation.figures.style import save
from tashower.evaluation.markdown import as_markdown
from tashower.evaluation.page import scores_source
from tashower.evaluation.sample import read_sample
from tashower.evaluation.trainings import history_paths
from tashower.io.atomic import written_aside
from tashower.io.hdf5 import made_from, read_attributes
from tashower.io.json_file import as_json, parsed_json
from tashower.io.stages import stated
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
    others = [*history_paths(networks).values(), *([calibration] if calibration else [])]
    scores["made_from"] = made_from([*events_paths, *fits_paths, *networks_paths, *others])
    scores["calibration"] = None if calibration is None else parsed_json(calibration)["errors"]
    scores["simulation_commit"] = read_attributes(events_paths[0])["commit"]
    examples = {f"event_{number}": one for number, one in enumerate(sample.examples, 1)}
    scores["figures"] = [*names_of(scores), *examples]
    scores |= stated("score", scores["configuration"])
    output = Path(output)
    content = as_json(scores, finite=True)
    source = scores_source(output.name, content)
    for name, figure in figures_of(scores, scored):
        save(figure, output.parent / "figures" / f"{name}.png", source)
    for name, (event, methods, pulses) in examples.items():
        picture = output.parent / "figures" / f"{name}.png"
        save(event_figure(event, 0, methods, pulses), picture, source)
    with written_aside(output.with_name("scores.md")) as aside:
        aside.write_text(f"{as_markdown(scores)}\nMade from {source}.\n")
    with written_aside(output) as aside:
        aside.write_bytes(content)
    return scores
