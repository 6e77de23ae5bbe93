"""Trained in one world, tested in others: bias, size and coverage of every method where the showers
or the stations are not those that calibration, likelihood and network learned from.

Every world holds the same showers (energy, direction, core, primary), so that what changes from the
nominal world is known with paired errors: of the events that pass the cuts in both.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tashower.config import Config, as_dict
from tashower.errors import InputError
from tashower.evaluation import cuts
from tashower.evaluation.bins import clean
from tashower.evaluation.bootstrap import Draws, draw_showers, over_trainings, replicates
from tashower.evaluation.comparison import settled
from tashower.evaluation.coverage import depths
from tashower.evaluation.names import BASELINES
from tashower.evaluation.runs import Run, common_rows
from tashower.evaluation.sample import Sample, read_sample
from tashower.evaluation.scores import mean, residuals, statistics
from tashower.evaluation.stated import Stated, of_rows, read_stated
from tashower.evaluation.trainings import trainings
from tashower.events.model import Reconstruction, Truth, select_rows
from tashower.io import provenance
from tashower.io.hdf5 import made_from
from tashower.io.stages import flat, stated
from tashower.progress import counted

#: Version of robustness.json.
VERSION = 1
#: Mean deviations, and 68 % sizes, of every method in every world.
BIASES = ("zenith_bias_deg", "azimuth_bias_deg", "core_bias_m", "log_energy_bias")
SIZES = ("angle_68_deg", "core_68_m", "log_energy_68")
#: What has stated errors, and the coverage that is compared.
COVERED, LEVEL = ("direction", "core", "energy"), 0.68
#: Methods that lie between two others, and that tables for people and figures leave out.
_BETWEEN = ("constrained",)
_SECTIONS = ("detector", "showers", "front")
_SEED_TAG = 4713  # keeps the bootstrap's stream apart from others


def azimuth_deviation(table: Reconstruction, truth: Truth) -> np.ndarray:
    """(n,) deviation [rad] across the zenith angle, sin(zenith) (azimuth - true azimuth), the
    difference between -pi and pi.
    """
    difference = (table.azimuth - truth.azimuth + np.pi) % (2.0 * np.pi) - np.pi
    return np.sin(truth.zenith) * difference


def _measured(
    table: Reconstruction, truth: Truth, draws: Draws, with_size: bool, stated: Stated
) -> dict:
    """Replicates of biases, sizes and, under ("coverage", quantity), coverage."""
    rows = np.arange(len(truth.energy))
    off, across = residuals(table, truth), np.degrees(azimuth_deviation(table, truth))
    found = replicates(
        lambda w: statistics(off, truth.azimuth, w) | {"azimuth_bias_deg": mean(across, w)},
        draws,
        rows,
    )
    for quantity, depth in depths(table, truth, with_size, stated.radii).items():
        known = np.flatnonzero(np.isfinite(depth))
        inside = (depth[known] < LEVEL).astype(float)
        if quantity in COVERED:
            found["coverage", quantity] = replicates(
                lambda w, x=inside: {"": mean(x, w)}, draws, known
            )[""]
    return found


def _ratio(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(other > 0, one / other, np.nan)


def _of_method(here: Sequence[dict], nominal: Sequence[dict], best: dict) -> dict:
    """What is said of a method in a world.

    here, nominal : replicates of its trainings in this world and in the nominal one, of the same
        events; best : of the best fit in this world
    """
    pairs = list(zip(here, nominal, strict=True))
    covered = [q for q in COVERED if ("coverage", q) in here[0]]
    return {
        "bias": {q: over_trainings([one[q] for one in here]) for q in BIASES},
        "shift": {q: over_trainings([a[q] - b[q] for a, b in pairs]) for q in BIASES},
        "size": {q: over_trainings([one[q] for one in here]) for q in SIZES},
        "over_nominal": {q: over_trainings([_ratio(a[q], b[q]) for a, b in pairs]) for q in SIZES},
        "over_best": {q: over_trainings([_ratio(one[q], best[q]) for one in here]) for q in SIZES},
        "coverage": {q: over_trainings([one["coverage", q] for one in here]) for q in covered},
    }


def twins(config: Config, groups: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """{network that learned from varying nuisances: the one that differs by that alone}."""
    found = {}
    for name in groups:
        own = config.networks.get(name)
        if own is None or not own.randomised:
            continue
        plain = replace(own, randomised=False)
        same = [other for other in groups if config.networks.get(other) == plain]
        if same:
            found[name] = same[0]
    return found


def changes_of(configuration: Mapping, world: str) -> dict[str, object]:
    """{key with dots: value} of what differs in a world of a configuration; none of "nominal"."""
    own = configuration["robustness"]["worlds"].get(world, {})
    usual = dict(flat({name: configuration[name] for name in _SECTIONS}))
    return {key: value for key, value in flat(own) if usual.get(key) != value}


def _paired(
    nominal: Sample, other: Sample, where: str
) -> tuple[list[Sample], list[np.ndarray], int]:
    """(the events of both that pass the cuts in both, their rows in both, how many pass in the
    nominal world).
    """
    samples = [nominal, other]
    runs = [
        Run(name, Path(name), {}, "", sample.methods, sample.truth, "", {})
        for name, sample in zip(("nominal", where), samples, strict=True)
    ]
    rows = common_rows(runs)

    def chosen(sample: Sample, some: np.ndarray) -> Sample:
        methods = {name: select_rows(table, some) for name, table in sample.methods.items()}
        return Sample(methods, select_rows(sample.truth, some), [])

    samples = [chosen(sample, some) for sample, some in zip(samples, rows, strict=True)]
    good = np.flatnonzero(np.logical_and(*(cuts.in_common(sample.methods) for sample in samples)))
    if len(good) < 10:
        raise InputError(f"world {where}: {len(good)} events pass the cuts there and in nominal")
    n_nominal = int(cuts.in_common(nominal.methods).sum())
    return [chosen(one, good) for one in samples], [some[good] for some in rows], n_nominal


def _of_world(
    config: Config,
    tested: Mapping[str, tuple[Sample, Mapping[str, Stated]]],
    names: tuple[str, str],
    groups: Mapping,
    fits: set,
) -> dict:
    """What is said of a world; names : of the nominal one and of this."""
    (nominal, _), (other, _) = (tested[name] for name in names)
    pair, rows, n_nominal = _paired(nominal, other, names[1])
    truth = pair[0].truth
    seed = [config.seed, _SEED_TAG]
    draws = draw_showers(truth.shower_id, config.scores.bootstrap, seed)
    members = [member for several in groups.values() for member in several]

    def measured(name: str, one: Sample, some: np.ndarray) -> dict:
        of = {m: of_rows(tested[name][1].get(m, Stated()), some) for m in members}
        return {m: _measured(one.methods[m], one.truth, draws, m in fits, of[m]) for m in members}

    usual, here = (measured(*each) for each in zip(names, pair, rows, strict=True))
    best = next(fit for fit in reversed(BASELINES) if fit in groups)
    price = {}
    for name, plain in twins(config, groups).items():
        several = zip(groups[name], groups[plain], strict=False)
        found = [{q: _ratio(here[a][q], here[b][q]) for q in SIZES} for a, b in several]
        price[name] = {q: over_trainings([one[q] for one in found]) for q in SIZES}
    return {
        "n_triggered": len(other.truth.energy),
        "n_compared": len(truth.energy),
        "kept": len(truth.energy) / n_nominal,
        "methods": {
            name: _of_method([here[m] for m in several], [usual[m] for m in several], here[best])
            for name, several in groups.items()
        },
        "over_plain": price,
    }


def _same_methods(worlds: Mapping[str, Sample], networks: Mapping) -> dict[str, Sample]:
    """The worlds with the methods that give direction, core and energy in all of them."""
    kept = {name: settled(sample.methods, networks) for name, sample in worlds.items()}
    first, *others = kept.values()
    names = [name for name in first if all(name in other for other in others)]
    return {
        world: sample._replace(methods={name: kept[world][name] for name in names})
        for world, sample in worlds.items()
    }


def robustness(
    config: Config,
    worlds: Mapping[str, Sample],
    networks: Mapping,
    stated_of: Mapping[str, Mapping[str, Stated]] | None = None,
) -> dict:
    """Bias, size and coverage of every method in every world.

    Parameters
    ----------
    worlds : {name: reconstructed events of the same showers}, the nominal world first
    networks : {name: its files} of those methods that are networks; those that differ by their
        seed alone count as one
    stated_of : {world: {network: what its files state beside the tables}}

    Returns
    -------
    dict : "nominal": name of the first world; "best": the fit that methods are divided by;
        "trainings"; "worlds": {name: {"changes", "n_triggered", "n_compared": events that pass the
        cuts there and in the nominal world, "kept": part of those that pass in the nominal world,
        "methods": {name: {"bias", "shift": bias - that in the nominal world, "size",
        "over_nominal", "over_best": ratios of the sizes, "coverage"}}, "over_plain": {network with
        `randomised`: ratios of its sizes to those of the network without}}}. All numbers are
        {"value", "error"}, errors from paired draws.

    Raises
    ------
    InputError : fewer than two worlds, other showers in one of them, or fewer than ten events.
    """
    if len(worlds) < 2:
        raise InputError("two worlds or more are needed, the nominal one first")
    worlds = _same_methods(worlds, networks)
    nominal, *_ = worlds
    methods = worlds[nominal].methods
    groups = trainings(config, networks)
    groups = {n: groups.get(n, [n]) for n in methods if n not in networks or n in groups}
    configuration, fits = as_dict(config), {n for n in methods if n not in networks}
    tested = {name: (one, (stated_of or {}).get(name, {})) for name, one in worlds.items()}
    found = {}
    for name in counted("worlds", worlds, len(worlds), "worlds"):
        of_world = _of_world(config, tested, (nominal, name), groups, fits)
        found[name] = {"changes": changes_of(configuration, name), **of_world}
    return clean(
        {
            "format": "tashower robustness",
            "version": VERSION,
            "software": provenance.software(),
            "commit": provenance.commit(),
            "created": provenance.now(),
            "versions": provenance.versions(),
            "nominal": nominal,
            "best": next(fit for fit in reversed(BASELINES) if fit in groups),
            "trainings": {name: several for name, several in groups.items() if name in networks},
            "twins": twins(config, groups),
            "worlds": found,
            **stated("robustness", configuration),
        }
    )


def shown(found: Mapping) -> list[str]:
    """Methods that tables for people and figures hold."""
    methods = found["worlds"][found["nominal"]]["methods"]
    return [name for name in methods if name not in _BETWEEN]


def _parted(paths: Sequence, numbers: Sequence[int]) -> Iterator[list]:
    begin = 0
    for number in numbers:
        yield list(paths[begin : begin + number])
        begin += number


def score_worlds(
    config: Config, events: Mapping[str, Sequence], fits: Sequence, networks: Mapping[str, Sequence]
) -> dict:
    """`robustness` of files, with what they are.

    Parameters
    ----------
    events : {world: event files}, the nominal world first
    fits : their reconstruction files, in the same order; networks : {name: files of `tashower
        apply`, in the same order}

    Raises
    ------
    InputError : not as many files of every kind, no truth, files that do not belong together.
    """
    numbers = [len(paths) for paths in events.values()]
    for what, paths in {"--fits": fits, **networks}.items():
        if len(paths) != sum(numbers):
            raise InputError(f"{what}: {len(paths)} files for {sum(numbers)} event files")
    parts = {name: list(_parted(paths, numbers)) for name, paths in networks.items()}
    worlds, said = {}, {}
    for k, (name, fit) in enumerate(zip(events, _parted(fits, numbers), strict=True)):
        of_networks = {network: parted[k] for network, parted in parts.items()}
        worlds[name] = read_sample(events[name], fit, of_networks)
        said[name] = {network: read_stated(paths) for network, paths in of_networks.items()}
    found = robustness(config, worlds, networks, said)
    several = (paths for group in (events, networks) for paths in group.values())
    found["made_from"] = made_from([*(path for paths in several for path in paths), *fits])
    return found
