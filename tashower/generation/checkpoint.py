"""What a trained generator is on disk; the same conventions as a network's checkpoint."""

from importlib import import_module
from types import ModuleType

import torch

from tashower.errors import InputError
from tashower.network.checkpoint import load_checkpoint, save_checkpoint
from tashower.types import FilePath

#: What a generator calls itself, and its version.
FORM = ("tashower generator", 1)
#: Kind of a generator -> module of this room that trains and applies it: it has `begin` (see
#: `training.Learning`) and `generate_stations` (see `generate.Generated`).
KINDS = {"station_flow": "flow", "tile_gan": "gan"}


def module_of(kind: str) -> ModuleType:
    """The module of a kind.

    Raises
    ------
    InputError : there is no such kind.
    """
    if kind not in KINDS:
        raise InputError(f"a generator of kind {kind}: known are {', '.join(KINDS)}")
    return import_module(f"tashower.generation.{KINDS[kind]}")


def save_generator(path: FilePath, content: dict) -> None:
    """Write a generator (tensors, numbers, text, lists and dictionaries of them)."""
    save_checkpoint(path, {"format": FORM[0], "version": FORM[1], **content})


def load_generator(path: FilePath, device: torch.device | str = "cpu") -> dict:
    """Read a generator; only tensors and plain values are accepted. Its `kind` says which module
    applies it, its `array` what an array must share (`network.checkpoint.check_array`).

    Raises
    ------
    InputError : no such file, damaged, not a generator, another version.
    """
    return load_checkpoint(path, device, (FORM,))
