"""The state of a training after an epoch: a killed one goes on from there, if it is still the same
training.
"""

import json
from pathlib import Path

import numpy as np
import torch

from tashower.errors import InputError
from tashower.network.checkpoint import load_saved, save_aside


def load_state(
    path: Path, identity: dict, parts: dict, device: torch.device | str
) -> tuple[dict, list[dict], str | None]:
    """(best, history, what to say) of a training that was interrupted, its parts put back; of a
    new one where there is no state, or where it is that of another training.

    Parameters
    ----------
    identity : plain values by name (configuration, code, inputs); all must be those it began with
    parts : {name: network, optimiser, schedule, plateau or average}

    Raises
    ------
    InputError : a damaged file, which is removed.
    """
    new: tuple[dict, list[dict]] = {"loss": np.inf, "weights": None, "epoch": 0}, []
    if not path.is_file():
        return *new, None
    try:
        state = load_saved(path, device)
        begun = json.loads(state["identity"])
        differs = [key for key in identity if begun.get(key) != identity[key]]
        if differs:
            return *new, f"{path}: began with other {', '.join(differs)}: training starts anew"
        for name, part in parts.items():
            part.load_state_dict(state[name])
        best, history = state["best"], json.loads(state["history"])
    except Exception as error:  # torch raises many kinds for a damaged file
        path.unlink()
        raise InputError(
            f"{path}: damaged ({type(error).__name__}), and removed: start again"
        ) from None
    return best, history, f"{path}: goes on after epoch {len(history)}"


def save_state(path: Path, identity: dict, parts: dict, best: dict, history: list[dict]) -> None:
    """Write what `load_state` reads."""
    state = {"identity": json.dumps(identity), "best": best, "history": json.dumps(history)}
    save_aside(path, state | {name: part.state_dict() for name, part in parts.items()})
