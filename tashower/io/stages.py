"""The stages from a configuration to a report: which modules each runs, which keys it reads, which
files it makes. Workflow, files, resumed trainings and `tashower verify` all ask here.

A key that is missing here would leave old results behind a change of it; one too many would repeat
work. tests/test_stages.py runs every stage and compares both with what it reads and imports.
"""

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tashower.io.code import PACKAGE, code_of
from tashower.io.samples import samples_of, split_of, world_samples


class Stage(NamedTuple):
    """What decides the output of a stage, beside its input files."""

    modules: tuple[str, ...]  #: that its command calls, without "tashower."
    keys: tuple[str, ...]  #: of the configuration, or whole sections
    files: tuple[str, ...] = ()  #: patterns of files of the package that the modules load


_SHOWERS = ("seed", "array", "detector", "showers", "front")
_FIT = tuple(
    f"reconstruction.{key}"
    for key in (
        *("distance", "min_stations", "max_chi2_per_ndof", "max_zenith_deg"),
        *("min_border_distance_m", "max_pointing_error_deg", "max_s800_error"),
    )
)
_FILES = ("io.event_file", "io.reconstruction_file")
#: What the scores record: all that decides them.
_SCORED = (*_SHOWERS, "samples", "reconstruction", "networks", "scores")
_TEMPLATES = ("evaluation/templates/*.j2",)

STAGES = {
    # Which showers of which sample is not here: it is a job's own.
    "simulate": Stage(("simulation.simulate", "simulation.given", "io.event_file"), _SHOWERS),
    "simulate-randomised": Stage(
        ("simulation.randomised", "io.event_file"), (*_SHOWERS, "robustness.nuisances")
    ),
    "convert": Stage(
        ("convert.convert", "events.array"),
        (
            *("data.format", "data.stations", "array.lateral", "array.reference_m"),
            *("array.front_distance_m", "array.front_power", "array.front_density_power"),
        ),
    ),
    "calibrate": Stage(
        ("reconstruction.calibrate", "calibration.calibration", *_FILES), ("reconstruction",)
    ),
    "station-likelihood": Stage(
        ("likelihood.station_likelihood", "calibration.station_likelihood"),
        (*_SHOWERS, "likelihood.stations"),
    ),
    "fit": Stage(("reconstruction.reconstruct", "calibration.calibration", *_FILES), _FIT),
    "train": Stage(("network.training",), ("seed", "networks")),
    "apply": Stage(("network.apply",), ("seed", "networks")),
    "train-generator": Stage(("generation.training",), (*_SHOWERS, "generators")),
    "generate": Stage(("generation.generate", "io.event_file"), (*_SHOWERS, "generators")),
    "refine": Stage(("generation.refine_file", "io.event_file"), _SHOWERS),
    "explain": Stage(("evaluation.explain",), ("seed", "networks"), _TEMPLATES),
    "score": Stage(("evaluation.evaluate",), _SCORED),
    "robustness": Stage(
        ("evaluation.robustness", "evaluation.robustness_tables"), (*_SCORED, "robustness.worlds")
    ),
    "judge": Stage(("evaluation.judge_page",), (*_SHOWERS, *_FIT), _TEMPLATES),
    "report": Stage(("evaluation.report",), _SCORED, (*_TEMPLATES, "evaluation/fronts.json")),
    "report-data": Stage(("evaluation.data_report",), (*_SCORED, "data"), _TEMPLATES),
}
#: Kinds of generators, and their modules.
_GENERATORS = {"station_flow": "flow", "tile_gan": "gan"}
#: Keys that decide where and not what is computed.
_WHERE = ("networks.*.training.device", "generators.*.device")
#: Keys that may name a file of the user's, whose content counts.
_USERS_FILES = ("array.lateral", "array.stations", "networks.*.model", "data.stations")
#: The station likelihood that comes with the package, and what decides what a station sees.
PACKAGED = PACKAGE / "calibration/default_station_likelihood.json"
_OF_A_STATION = (
    *("array.lateral", "array.reference_m", "front"),
    *("array.front_distance_m", "array.front_power", "array.front_density_power"),
    *(f"detector.{key}" for key in ("layers", "area_m2", "bin_width_ns", "bins", "windows")),
    *(f"detector.{key}" for key in ("calibration_spread", "clock_ns", "accidental_rate_khz")),
    *("detector.gain_shift", "showers.muon_factor"),
    *("detector.noise_factor", "detector.pulse_width_factor", "detector.late_pulse_probability"),
    *(f"showers.{key}" for key in ("interaction_model", "primaries", "min_log10_energy_ev")),
    *(f"showers.{key}" for key in ("max_log10_energy_ev", "spectral_index", "max_zenith_deg")),
    *(f"showers.{key}" for key in ("slope_shift", "lateral_far_power", "front_power")),
)
#: Those that are younger than that file, and what it was learned with.
_YOUNGER = {
    "detector.gain_shift": 0.0,
    "showers.muon_factor": 1.0,
    "detector.noise_factor": 1.0,
    "detector.pulse_width_factor": 1.0,
    "detector.late_pulse_probability": 0.0,
}


def _found(values: Any, key: str, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple, Any]]:
    """(path, value) of a key in nested maps; "*" stands for every key."""
    first, _, rest = key.partition(".")
    for name in list(values) if first == "*" else [first]:
        if not isinstance(values, Mapping) or name not in values:
            continue
        here = (*path, name)
        if rest:
            yield from _found(values[name], rest, here)
        else:
            yield here, values[name]


def flat(values: Mapping, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of everything in nested maps."""
    for name, value in values.items():
        here = f"{path}.{name}" if path else name
        if isinstance(value, Mapping) and value:
            yield from flat(value, here)
        else:
            yield here, value


def part_of(stage: str, configuration: Mapping, network: str | None = None) -> dict:
    """The part of a configuration that decides what a stage makes.

    Parameters
    ----------
    configuration : nested maps, as `config.as_dict` gives them; missing keys stay missing
    network : the network or generator that is trained or applied; None: all
    """
    part: dict = {}
    for key in STAGES[stage].keys:
        for path, value in _found(configuration, key):
            place = part
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = copy.deepcopy(value)
    for section in ("networks", "generators"):
        if network is not None and section in part:
            part[section] = {network: part[section][network]}
    for key in _WHERE:
        for path, _ in list(_found(part, key)):
            place = part
            for name in path[:-1]:
                place = place[name]
            del place[path[-1]]
    return part


def code_of_stage(stage: str, configuration: Mapping) -> str:
    """Fingerprint of the code that a stage runs (`code.code_of`).

    configuration : of which `train`, `apply` and `explain` take the models and heads of the
        networks, which are found by their names; of a network that was trained elsewhere they take
        all; and the stages of generators the kinds of these
    """
    modules, files = list(STAGES[stage].modules), STAGES[stage].files
    if stage in ("train", "apply", "explain"):
        if stage != "train" and not configuration.get("networks"):
            folders = [PACKAGE / "network" / room for room in ("models", "heads")]
            found = [p for folder in folders for p in folder.glob("[a-z]*.py")]
            modules += [f"network.{p.parent.name}.{p.stem}" for p in found]
        for network in configuration.get("networks", {}).values():
            modules.append(f"network.heads.{network['head']}")
            if not network["model"].endswith(".py"):
                modules.append(f"network.models.{network['model']}")
    if stage in ("train-generator", "generate"):
        kinds = {entry["kind"] for entry in configuration.get("generators", {}).values()}
        modules += [f"generation.{_GENERATORS[kind]}" for kind in kinds or _GENERATORS]
    return code_of(tuple(sorted(set(modules))), files)


def stated(stage: str, configuration: Mapping, network: str | None = None) -> dict:
    """What a file states of how it was made: `configuration`, and with a stage `stage`, `code` and
    of the configuration only what that stage reads; network : the one that is trained.
    """
    if not stage:
        return {"configuration": dict(configuration)}
    part = part_of(stage, configuration, network)
    return {"stage": stage, "code": code_of_stage(stage, part), "configuration": part}


def _fingerprint(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def content_of(path: str | Path) -> str:
    """Twelve hexadecimal digits of a file's content; empty where there is no such file."""
    path = Path(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else ""


def made_by(
    stage: str,
    configuration: Mapping,
    above: Sequence[Mapping] = (),
    network: str | None = None,
    **own: object,
) -> dict:
    """What decides the output of one job: its configuration, code, files of the user's and, in
    `above`, the same of all jobs whose files it reads. It changes when any of these does.

    Parameters
    ----------
    above : what this function gave for those jobs
    network : the one that is trained or applied
    own : what else is this job's own
    """
    part = json.loads(json.dumps(part_of(stage, configuration, network), sort_keys=True))
    files = {
        str(value): content_of(value)
        for key in _USERS_FILES
        for _, value in _found(part, key)
        if content_of(value)
    }
    return {
        "configuration": part,
        "code": code_of_stage(stage, part),
        **({"files": files} if files else {}),
        **own,
        **({"above": _fingerprint(list(above))} if above else {}),
    }


def _of_a_station(configuration: Mapping) -> dict:
    return {
        ".".join(path): value for key in _OF_A_STATION for path, value in _found(configuration, key)
    }


def is_told(configuration: Mapping, network: str) -> bool:
    """Whether a network of the configuration is told what the station likelihood says."""
    return configuration["networks"][network]["inputs"]["station_likelihood"]


def _of_the_package(configuration: Mapping) -> bool:
    """Whether the station likelihood of the package is that of these simulated events: of their
    showers and stations.
    """
    learned_from = json.loads(PACKAGED.read_text())["configuration"]
    same = _YOUNGER | _of_a_station(learned_from) == _of_a_station(configuration)
    return same and not configuration["data"]["files"]


def learns_stations(configuration: Mapping) -> bool:
    """Whether a run learns a station likelihood: where it is told to, and where a network is told
    of one and that of the package is another's.
    """
    named = configuration.get("likelihood", {}).get("file")
    if named != "auto" or configuration.get("data", {}).get("files"):
        return named == "learn"
    told = any(is_told(configuration, network) for network in configuration["networks"])
    return told and not _of_the_package(configuration)


def station_likelihood_of(configuration: Mapping, results: str) -> str:
    """Path of the station likelihood that a run uses, "" where it uses none.

    results : folder in which one is learned
    """
    if learns_stations(configuration):
        return f"{results}/station_likelihood.json"
    named = configuration["likelihood"]["file"]
    if named == "auto":
        return str(PACKAGED) if _of_the_package(configuration) else ""
    return "" if named == "none" else named


def chunk_names(configuration: Mapping, sample: str) -> list[str]:
    """Names of the chunks of a sample: numbers with as many digits as the last, at least three."""
    samples = configuration["samples"]
    n_chunks = -(-samples[split_of(sample)] // samples["chunk_size"])
    digits = max(3, len(str(n_chunks - 1)))
    return [f"{chunk:0{digits}d}" for chunk in range(n_chunks)]


def train_chunks(configuration: Mapping, network: str) -> list[str]:
    """Names of the chunks that a network is trained with: the first that hold its `showers`."""
    names, showers = (
        chunk_names(configuration, "train"),
        configuration["networks"][network].get("showers", 0),
    )
    size = configuration["samples"]["chunk_size"]
    return names[: -(-showers // size)] if showers else names


def showers_of(configuration: Mapping, sample: str, chunk: int) -> list[int]:
    """[first, one after the last] shower of a chunk; the two are equal where there is none."""
    samples = configuration["samples"]
    size, total = samples["chunk_size"], samples[split_of(sample)]
    return [min(chunk * size, total), min((chunk + 1) * size, total)]


def products(configuration: Mapping) -> list[str]:
    """Files that a whole run makes below its folder, the report last; events, which are large and
    which only the next stage reads, are not among them.
    """
    data = configuration.get("data", {})
    learned = ["station_likelihood.json"] if learns_stations(configuration) else []
    if data.get("files"):
        names = [Path(path).parent.name for path in data["checkpoints"]]
        return [
            *([] if data["calibration"] else ["calibration.json"]),
            *learned,
            "data/fits.h5",
            *(f"data/networks/{name}.h5" for name in names),
            "data/report.html",
        ]
    networks = list(configuration["networks"])
    return [
        "calibration.json",
        *learned,
        *(
            f"reconstructions/{split}/{chunk}.h5"
            for split in samples_of(configuration)
            for chunk in chunk_names(configuration, split)
        ),
        *(
            f"networks/{name}/{file}"
            for name in networks
            for file in ("checkpoint.pt", "history.json")
        ),
        *(
            f"networks/{name}/test/{chunk}.h5"
            for name in networks
            for chunk in chunk_names(configuration, "test")
        ),
        *(
            f"generators/{name}/{file}"
            for name in configuration.get("generators", {})
            for file in (
                *("checkpoint.pt", "history.json"),
                *(f"test/{chunk}.h5" for chunk in chunk_names(configuration, "test")),
            )
        ),
        *(("generated.html", "generated.json") if configuration.get("generators") else ()),
        *("scores.json", "scores.md", "figures", "report.html"),
    ]


def robustness_products(configuration: Mapping) -> list[str]:
    """Files that `snakemake robustness` makes below the folder of a run beside `products`, the
    table last.
    """
    names = chunk_names(configuration, "test")
    rooms = ["reconstructions", *(f"networks/{name}" for name in configuration["networks"])]
    return [
        *(
            f"{room}/{sample}/{chunk}.h5"
            for sample in world_samples(configuration)[1:]
            for room in rooms
            for chunk in names
        ),
        "robustness.json",
    ]
