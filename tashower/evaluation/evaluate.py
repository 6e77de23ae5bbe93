"""From the files of a test sample to scores, tables and figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tashower.calibration.calibration import read_calibration
from tashower.config import Config
from tashower.evaluation.comparison import score
from tashower.evaluation.figures.event import event_figure
from tashower.evaluation.figures.of_scores import figures_of, names_of
from tashower.evaluation.figures.style import save_both
from tashower.evaluation.markdown import as_markdown
from tashower.evaluation.mass import mass_scores, of_mass
from tashower.evaluation.page import scores_source
from tashower.evaluation.sample import read_sample
from tashower.evaluation.show_event import (
    command_of,
    files_of,
    made_of,
    place_of,
    with_known_calibration,
)
from tashower.evaluation.stated import read_stated
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
    Networks that say Xmax and ln A stand in `mass` alone.

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
    massive = of_mass(sample.methods, networks)
    others = {name: paths for name, paths in networks.items() if name not in massive}
    methods = {name: table for name, table in sample.methods.items() if name not in massive}
    said = {name: read_stated(paths) for name, paths in others.items()}
    scores, scored = score(config, methods, sample.truth, others, said)
    if massive:
        scores["mass"] = mass_scores(config, sample.methods, sample.truth, massive)
    scores["inputs"] = [Path(p).name for p in (*events_paths, *fits_paths)]
    networks_paths = [path for paths in networks.values() for path in paths]
    beside = [*history_paths(networks).values(), *([calibration] if calibration else [])]
    scores["made_from"] = made_from([*events_paths, *fits_paths, *networks_paths, *beside])
    scores["calibration"] = None if calibration is None else parsed_json(calibration)["errors"]
    scores["simulation_commit"] = read_attributes(events_paths[0])["commit"]
    examples = {f"event_{number}": one for number, one in enumerate(sample.examples, 1)}
    scores["figures"] = [*names_of(scores), *examples]
    networks_of_first = {name: paths[0] for name, paths in networks.items()}
    files = files_of(sample.methods, fits_paths[0], networks_of_first)
    scores["commands"] = {
        name: command_of(events_paths[0], int(one.events.event_id[0]), list(files), calibration)
        for name, one in examples.items()
    }
    scores |= stated("score", scores["configuration"])
    output = Path(output)
    content = as_json(scores, finite=True)
    source = scores_source(output.name, content)
    for name, figure in figures_of(scores, scored):
        save_both(figure, output.parent / "figures" / f"{name}.png", source)
    known = None if calibration is None else read_calibration(calibration)
    made = made_of(files, known) if examples else None
    for name, (event, methods, pulses, position) in examples.items():
        picture = output.parent / "figures" / f"{name}.png"
        how = made._replace(place=place_of(events_paths[0], position))
        how = with_known_calibration(how, methods, event, pulses, 0)
        save_both(event_figure(event, 0, methods, pulses, how), picture, source)
    with written_aside(output.with_name("scores.md")) as aside:
        aside.write_text(f"{as_markdown(scores)}\nMade from {source}.\n")
    with written_aside(output) as aside:
        aside.write_bytes(content)
    return scores
