"""What a training leaves beside its checkpoint, if it is asked to: every epoch, and its curve for
TensorBoard. A training that begins removes what an earlier one left.
"""

import re
from pathlib import Path
from typing import Any

import torch

from tashower.errors import InputError
from tashower.network.checkpoint import save_aside, save_checkpoint
from tashower.types import FilePath

_EPOCH = re.compile(r"(\d{3,})\.pth?")
#: Names of the curves: key of an epoch in history.json.
CURVES = {
    "loss/train": "train_loss",
    "loss/validation": "validation_loss",
    "explained_variance/validation": "validation_ev",
    "learning_rate": "learning_rate",
    "seconds": "seconds",
}


def epochs_folder(output: FilePath) -> Path:
    """Where the epochs of the checkpoint `output` are: c.pt, c_epochs/001.pt."""
    return Path(output).with_name(f"{Path(output).stem}_epochs")


def log_folder(output: FilePath) -> Path:
    """Where TensorBoard finds the curve of the checkpoint `output`."""
    return Path(output).with_name(f"{Path(output).stem}_tensorboard")


def keep_epoch(output: FilePath, kind: str, content: dict, network: torch.nn.Module) -> None:
    """Write one epoch of a training.

    Parameters
    ----------
    kind : `training.checkpoints`: "every_epoch", a checkpoint that can be applied; "weights", the
        `state_dict` alone, for torch.load; "best", nothing
    content : of the checkpoint, but for the weights; its `epoch` is the name
    """
    if kind == "best":
        return
    weights = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    path = epochs_folder(output) / f"{content['epoch']:03d}.pt"
    if kind == "weights":
        save_aside(path.with_suffix(".pth"), weights)
    else:
        save_checkpoint(path, content | {"weights": weights})


def remove_later(output: FilePath, epoch: int) -> None:
    """Remove the epochs after one that is given, and the curve: `Log` writes it anew."""
    later = [
        path
        for path in epochs_folder(output).glob("*")
        if (found := _EPOCH.fullmatch(path.name)) and int(found[1]) > epoch
    ]
    for path in (*later, *log_folder(output).glob("events.out.tfevents.*")):
        path.unlink()
    for folder in (epochs_folder(output), log_folder(output)):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def find_tensorboard() -> type:
    """torch's writer of TensorBoard's files.

    Raises
    ------
    InputError : the package tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "training.tensorboard: the package tensorboard is not installed"
            " (pip install 'tashower[tensorboard]'), or set it to false"
        ) from None
    return SummaryWriter


class Log:
    """The curve as TensorBoard reads it, epoch by epoch; where it is not wanted, nothing."""

    def __init__(self, output: FilePath, wanted: bool):
        self.writer: Any = find_tensorboard()(log_folder(output)) if wanted else None

    def write(self, *epochs: dict) -> None:
        """Write epochs of history.json."""
        if self.writer is None:
            return
        for epoch in epochs:
            for name, key in CURVES.items():
                self.writer.add_scalar(name, epoch[key], epoch["epoch"])
        self.writer.flush()

    def close(self) -> None:
        """End the file."""
        if self.writer is not None:
            self.writer.close()
