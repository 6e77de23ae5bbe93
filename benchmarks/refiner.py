"""How much of what a network loses in a world that it was not trained for comes back when its
training showers are refined, or re-weighted, towards that world.

    python benchmarks/refiner.py FOLDER                 # all cells, then the tables
    python benchmarks/refiner.py FOLDER --only all      # cells of one world
    python benchmarks/refiner.py FOLDER --table         # the tables of the cells that are there

Every cell is a file in FOLDER: what is there is not made again; all take half an hour on one
core. A world plays the data: its showers are other ones than those of the simulation, and only
network (d) sees their truth.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import as_dict, load_config
from tashower.evaluation.bootstrap import draw_showers
from tashower.evaluation.coverage import depths
from tashower.evaluation.scores import explained_variance, mean, residuals, resolution_68
from tashower.evaluation.tables import markdown_table
from tashower.events.model import Events
from tashower.generation.refine_file import Wanted, refine_file
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.io.event_file import read_events, write_events
from tashower.io.hdf5 import read_attributes
from tashower.io.reconstruction_file import read_reconstruction, write_reconstruction
from tashower.network.apply import apply_network
from tashower.network.training import train_network
from tashower.reconstruction.reconstruct import reconstruct
from tashower.simulation.simulate import simulate_events

#: What the worlds change, in turn and together.
WORLDS = {
    "muons": ("muons +30 %", {"showers": {"muon_factor": 1.3}}),
    "pulse": ("pulses 10 % longer", {"detector": {"pulse_width_factor": 1.1}}),
    "late": ("late pulses in 30 % of the stations", {"detector": {"late_pulse_probability": 0.3}}),
    "noise": ("noise × 1.5", {"detector": {"noise_factor": 1.5}}),
}
_DETECTOR = {"pulse_width_factor": 1.1, "late_pulse_probability": 0.3, "noise_factor": 1.5}
WORLDS["all"] = ("together", {"showers": {"muon_factor": 1.3}, "detector": _DETECTOR})
WORLDS["none"] = ("nothing", {})
#: Seeds of the showers of simulation and data.
SIMULATION, DATA = 1, 2
#: What the network of a cell was trained with.
KINDS = {
    "unrefined": "(a) simulation as it is",
    "refined": "(b) refined",
    "reweighted": "(c) re-weighted",
    "own": "(d) the data's own world",
}
_SMALL = {"waveform_channels": 16, "station_channels": 32, "dense_channels": 64}
#: The default network says corrections; a small one with errors is asked for its coverage: for a
#: likelihood so few showers teach next to no correction of the direction (docs/network_trials.md).
NETWORKS = {"corrects": {}, "states": {"options": _SMALL, "head": "gaussian"}}
_SAMPLES = 400  # of the bootstrap


class Folder:
    """Cells of one run."""

    def __init__(self, path: Path, args: argparse.Namespace):
        self.path, self.args = path, args
        path.mkdir(parents=True, exist_ok=True)
        self.sizes = {
            "train": args.showers,
            "validation": max(args.showers // 4, 200),
            "test": args.test,
        }

    def config(self, world: str, seed: int):
        """Configuration of a world's showers."""
        return load_config({"seed": seed}, WORLDS[world][1])

    def events(self, world: str, split: str) -> Path:
        """Event file of a world (simulation: of the nominal one)."""
        path = self.path / f"{world}-{split}.h5"
        if not path.exists():
            nominal = world == "simulation"
            config = self.config("none" if nominal else world, SIMULATION if nominal else DATA)
            events = simulate_events(config, split, 0, self.sizes[split])
            write_events(path, events, as_dict(config), (), "simulate", {})
        return path

    def fits(self, path: Path) -> Path:
        """Its free fit."""
        fits = path.with_name(f"{path.stem}.fits.h5")
        if not fits.exists():
            config = load_config()
            found = reconstruct(
                read_events(path), read_calibration(DEFAULT), config.reconstruction, only=["free"]
            )
            write_reconstruction(fits, *found[:1], as_dict(config), *found[1:], (path,), "fit")
        return fits

    def training(self, world: str, kind: str, split: str, seed: int) -> Path:
        """Event file that a network is trained with."""
        if kind == "unrefined":
            return self.events("simulation", split)
        if kind == "own":
            return self.events(world, split)
        path = self.path / f"{world}-{kind}{seed}-{split}.h5"
        if path.exists():
            return path
        simulated, data = self.events("simulation", split), self.events(world, "train")
        checkpoint = self.path / f"{world}-refiner{seed}.pt"
        started = time.process_time()
        if kind == "reweighted":
            wanted = Wanted((data,), "reweight", None, seed)
        elif split == "train" or not checkpoint.exists():
            wanted = Wanted((data,), "adversarial", checkpoint, seed, self.args.steps)
        else:
            wanted = Wanted((), "adversarial", checkpoint, seed)
        refine_file(simulated, path, wanted)
        self.say(f"{path.name}: {time.process_time() - started:.0f} s")
        return path

    def network(self, world: str, kind: str, seed: int, name: str) -> Path:
        """Checkpoint of a network of NETWORKS."""
        of = "" if kind == "unrefined" else f"{world}-"
        path = self.path / f"{of}{kind}{seed}-{name}" / "checkpoint.pt"
        if not path.exists():
            training = {"epochs": self.args.epochs, "batch_size": 64, "threads": 1}
            config = load_config(
                {"seed": seed, "networks": {name: {**NETWORKS[name], "training": training}}}
            )
            started = time.process_time()
            files = []
            for split in ("train", "validation"):
                events = self.training(world, kind, split, seed)
                files += [[events], [self.fits(events)]]
            path.parent.mkdir(exist_ok=True)
            train_network(config, name, *files, path)
            self.say(f"{path.parent.name}: {time.process_time() - started:.0f} s")
        return path

    def said(self, world: str, kind: str, seed: int, name: str) -> Path:
        """Where stands what the network says of the test sample of the world."""
        return self.path / f"{world}-{kind}{seed}-{name}-test.said.h5"

    def cell(self, world: str, kind: str, seed: int) -> None:
        """Make what is not there."""
        for name in NETWORKS:
            path = self.said(world, kind, seed, name)
            if not path.exists():
                events = self.events(world, "test")
                network = self.network(world, kind, seed, name)
                apply_network(network, events, self.fits(events), path)

    def say(self, text: str) -> None:
        """Note it on stderr."""
        print(text, file=sys.stderr, flush=True)


def chosen_rows(events: Events, fit, tables: list) -> np.ndarray:
    """Events that pass the cuts of the fit, with a result of every network."""
    good = fit.passes_cuts & np.isfinite(fit.energy)
    for table in tables:
        good &= np.isfinite(table.zenith) & np.isfinite(table.energy)
    return np.flatnonzero(good)


def scored(truth, fit, pairs: list, weights: np.ndarray) -> dict[str, np.ndarray]:
    """{score: (seeds, b)} of the networks of one kind; pairs : tables of both of NETWORKS."""
    base, found = residuals(fit, truth), {}

    def add(name, values):
        found.setdefault(name, []).append(values)

    for table, stating in pairs:
        r = residuals(table, truth)
        add("ev", explained_variance(r.axis, base.axis, weights))
        add("ev_energy", explained_variance(r.log_energy, base.log_energy, weights))
        add("bias", mean(r.log_energy, weights))
        add("angle", resolution_68(r.angle, weights) / resolution_68(base.angle, weights))
        depth = depths(stating, truth, False)
        for quantity in ("direction", "energy"):
            inside = np.where(np.isfinite(depth[quantity]), depth[quantity] < 0.68, False)
            add(f"coverage_{quantity}", mean(inside.astype(float), weights))
    return {name: np.stack(values) for name, values in found.items()}


def with_error(values: np.ndarray) -> tuple[float, float]:
    """(mean over the seeds, error) of (seeds, b): bootstrap of the events, and scatter of the
    seeds where there are several.
    """
    over = values.mean(axis=0)
    scatter = values[:, 0].std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return float(over[0]), float(np.hypot(over[1:].std(), scatter))


def came_back(scores: dict, kind: str, name: str) -> str:
    """Part of what (a) lost against (d) that another kind regains, where that loss is more than
    two of its errors; nothing is said of one seed, whose scatter is not known.
    """
    if not {kind, "unrefined", "own"} <= scores.keys():
        return "—"
    if min(len(scores[k][name]) for k in (kind, "unrefined", "own")) < 2:
        return "one seed"
    lost = with_error(_difference(scores, "own", "unrefined", name))
    gained = with_error(_difference(scores, kind, "unrefined", name))
    worse = np.sign(with_error(scores["unrefined"][name])[0]) if name == "bias" else -1.0
    if not -worse * lost[0] > 2.0 * lost[1]:
        return "nothing lost"
    part = gained[0] / lost[0]
    error = np.hypot(gained[1], part * lost[1]) / abs(lost[0])
    return f"{100 * part:.0f} ± {100 * error:.0f} %"


def _difference(scores, one, other, name):
    a, b = scores[one][name], scores[other][name]
    n = min(len(a), len(b))
    return a[:n] - b[:n]


def world_rows(folder: Folder, world: str) -> tuple[list, list]:
    """(rows of the networks, row of the refiner) of the cells that are there."""
    seeds = range(1, folder.args.seeds + 1)
    tables = {}
    for kind in KINDS:
        for seed in seeds:
            paths = [folder.said(world, kind, seed, name) for name in NETWORKS]
            if all(path.exists() for path in paths):
                pair = zip(paths, NETWORKS, strict=True)
                found = [read_reconstruction(path)[0][name] for path, name in pair]
                tables.setdefault(kind, []).append(found)
    if not tables:
        return [], []
    events = read_events(folder.events(world, "test"), ("truth",))
    fit = read_reconstruction(folder.fits(folder.events(world, "test")))[0]["free"]
    every = [t for some in tables.values() for pair in some for t in pair]
    rows = chosen_rows(events, fit, every)
    draws = draw_showers(events.truth.shower_id[rows], _SAMPLES, 1)
    weights = np.concatenate(list(draws.weights(np.arange(len(rows)))))
    truth = events[rows].truth
    scores = {
        kind: scored(truth, fit[rows], [[t[rows] for t in pair] for pair in some], weights)
        for kind, some in tables.items()
    }
    found = []
    for kind, of in scores.items():
        value = {name: with_error(values) for name, values in of.items()}
        cell = [WORLDS[world][0], KINDS[kind], str(len(tables[kind]))]
        cell += [_pm(value["ev"], 3), _pm(value["ev_energy"], 3), _pm(value["bias"], 3)]
        cell += [_pm(value["angle"], 3)]
        cell += [_pm(value[f"coverage_{q}"], 3) for q in ("direction", "energy")]
        back = [came_back(scores, kind, name) for name in ("ev", "ev_energy", "bias")]
        found.append(cell + (back if kind in ("refined", "reweighted") else ["", "", ""]))
    return found, _refiner_rows(folder, world, seeds)


def _refiner_rows(folder, world, seeds):
    rows = []
    for kind in ("refined", "reweighted"):
        for seed in seeds:
            path = folder.path / f"{world}-{kind}{seed}-train.h5"
            if not path.exists():
                continue
            said = json.loads(read_attributes(path)["refined"])
            before = f"{said['auc_before']:.3f} ± {said['auc_before_error']:.3f}"
            after = f"{said['auc_after']:.3f}" if "auc_after" in said else "—"
            size = said.get("effective_sample_size")
            changed = ("yes" if said["changed"] else "no") + (f", {size:,.0f}" if size else "")
            rows.append([WORLDS[world][0], KINDS[kind], str(seed), before, after, changed])
    return rows


def _pm(value, digits):
    return f"{value[0]:.{digits}f} ± {value[1]:.{digits}f}"


def tables(folder: Folder) -> str:
    """The page's tables."""
    head = ["data", "network trained on", "seeds", "EV of the direction", "EV of ln E", "bias ln E"]
    head += ["68 % angle / fit", "coverage direction", "coverage energy"]
    head += ["back: EV direction", "back: EV ln E", "back: bias ln E"]
    networks = [head]
    refiners = [["data", "", "seed", "AUC before", "AUC after", "changed (effective size)"]]
    for world in WORLDS:
        rows, of_refiner = world_rows(folder, world)
        networks += rows
        refiners += of_refiner
    a = folder.args
    about = (
        f"{a.showers:,} showers to train with, {a.test:,} to test, {a.epochs} epochs, "
        f"{a.steps} steps of the refiner; commit {provenance.commit()[:12]}."
    )
    return "\n\n".join([about, markdown_table(networks), markdown_table(refiners)])


def main() -> None:
    """Make the cells and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", default=list(WORLDS), choices=list(WORLDS))
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--showers", type=int, default=6000)
    parser.add_argument("--test", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    folder = Folder(args.folder, args)
    if not args.table:
        for seed in range(1, args.seeds + 1):
            for world in args.only:
                for kind in KINDS:
                    folder.cell(world, kind, seed)
    text = tables(folder)
    with written_aside(args.folder / "refiner.md") as aside:
        aside.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
