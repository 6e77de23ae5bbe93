"""One training of a trial, and what it says of the validation sample."""

import json
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from tashower.config import Config, load_config
from tashower.io import provenance
from tashower.io.json_file import write_json
from tashower.network.checkpoint import build_network
from tashower.network.contracts import find_head, find_model
from tashower.network.epoch import Run
from tashower.network.normalisation import in_units
from tashower.network.predict import Trained, predict
from tashower.network.processes import join_processes
from tashower.network.tiles import ORIENTATIONS
from tashower.network.training import train_stored
from trials.catalogue import RECIPES, Recipe
from trials.pretraining import pretrain
from trials.samples import Stored, stored_sample


class Budget(NamedTuple):
    """What all trials have in common."""

    showers: int  #: to train with
    validation: int  #: showers to validate and judge with
    epochs: int
    seed: int


class Answer(NamedTuple):
    """What a training says of the validation sample: corrections (n, 5) in physical units."""

    mean: np.ndarray  #: over the equal orientations
    one: np.ndarray  #: in one orientation


def sizes(recipe: Recipe, budget: Budget) -> tuple[int, int]:
    """(showers to train with, passes); with 0 epochs every event is seen once, and there are as
    many showers as the default sees.
    """
    if recipe.epochs == 0.0:
        return budget.showers * budget.epochs, 1
    epochs = max(1, round(recipe.epochs * budget.epochs))
    return round(recipe.showers * budget.showers), epochs


def configuration(recipe: Recipe, budget: Budget, options: dict) -> Config:
    """That of a training whose network is called `trial`; options : further ones of the model."""
    entry = recipe.entry | {"options": recipe.entry.get("options", {}) | options}
    training = {"epochs": sizes(recipe, budget)[1], "device": "cpu"}
    return load_config({"seed": budget.seed, "training": training, "networks": {"trial": entry}})


def _answer(content: dict, path: Path, stored: Stored) -> Answer:
    network = build_network(content, path, "cpu")
    norm, sample = content["normalisation"], stored.validation
    features = content["inputs"]["event_features"]
    trained = Trained(network, find_head(content["head"]), norm, features)
    said = (
        predict(trained, sample, "cpu", turns)[0] for turns in (ORIENTATIONS[sample.kind], (0,))
    )
    return Answer(*(in_units(one, None, norm)[0] for one in said))


def learn(root: Path, name: str, number: int, budget: Budget) -> tuple[dict, Answer, Stored]:
    """(what is known of a training, its answer, its sample); made where it is not there.

    name : of RECIPES; number : of the training, from 1; the same number has the same random numbers
    in all recipes

    A training that was killed goes on.
    """
    recipe = RECIPES[name]
    n_showers, _ = sizes(recipe, budget)
    path = root / "trainings" / f"{name}-{number}"
    plain = configuration(recipe, budget, {"encoder": "x"} if recipe.pretrained else {})
    settings = plain.networks["trial"]
    stored = stored_sample(
        root / "samples", plain, settings, recipe.way, (n_showers, budget.validation)
    )
    if path.with_suffix(".json").is_file():
        about = json.loads(path.with_suffix(".json").read_text())
        return about, Answer(*np.load(path.with_suffix(".npy"))), stored
    path.mkdir(parents=True, exist_ok=True)
    options, before = {}, 0.0
    if recipe.pretrained:
        options["encoder"] = str(path / "encoder.pt")
        before = pretrain(
            path / "encoder.pt", stored.folder, plain, settings, n_showers, budget.seed + number
        )
    config = configuration(recipe, budget, options)
    settings, device = config.networks["trial"], torch.device("cpu")
    torch.set_num_threads(settings.training.threads)
    run = Run(
        "trial" if number == 1 else f"trial_seed{number}",
        config.seed,
        settings,
        find_model(settings.model),
        find_head(settings.head, settings.loss),
        device,
        join_processes(device),
    )
    described = {"array": dict(stored.array), "made_from": [stored.folder.name]}
    begun = time.process_time()
    content, history = train_stored(run, stored.folder, described, path / "checkpoint.pt")
    seconds = before + time.process_time() - begun
    answer = _answer(content, path / "checkpoint.pt", stored)
    n_events = history[0]["events"]
    about = {
        "recipe": recipe._asdict(),
        "events": n_events,
        "epochs": len(history),
        "best_epoch": content["best_epoch"],
        "validation_loss": min(epoch["validation_loss"] for epoch in history),
        "train_loss": history[-1]["train_loss"],
        "seconds": seconds,
        "events_per_s": n_events * len(history) / seconds,
        "commit": provenance.commit(),
    }
    np.save(path.with_suffix(".npy"), np.stack(answer))
    write_json(path.with_suffix(".json"), about)
    shutil.rmtree(path)
    return about, answer, stored
