"""Several writers of one file: one wins, and what it made is whole."""

import multiprocessing
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chaos import workflow
from tashower.errors import InputError
from tashower.events.model import select_events
from tashower.io.event_file import read_events, write_events
from tashower.io.json_file import parsed_json, write_json

JSON = "calibration (JSON)"


class Kind(NamedTuple):
    """A kind of file: how writer k writes it, and which writer a file is from."""

    write: Callable[[Path, int], None]
    writer_of: Callable[[Path], int]


def _event_file() -> Kind:
    events = select_events(read_events(workflow.ROOT / "data" / "sample.h5"), np.arange(50) < 2)

    def write(path, k):
        write_events(path, replace(events, event_id=np.full(2, k)), {})

    return Kind(write, lambda path: int(read_events(path).event_id[1]))


def _json() -> Kind:
    def write(path, k):
        content = {"format": "tashower calibration", "version": 2, "rows": [k] * (1000 + k)}
        write_json(path, content)

    return Kind(write, lambda path: parsed_json(path)["rows"][-1])


def _checkpoint() -> Kind:
    # Imported here: a second that the other kinds do not need.
    import torch

    from tashower.network.checkpoint import load_checkpoint, save_checkpoint

    torch.set_num_threads(1)  # threads do not come along into forked processes

    def write(path, k):
        save_checkpoint(path, {"weights": {"w": torch.full((3000 + k,), float(k))}})

    return Kind(write, lambda path: int(load_checkpoint(path)["weights"]["w"][-1]))


KINDS = {"event file": _event_file, JSON: _json, "checkpoint": _checkpoint}


def _write_often(kind: Kind, path: Path, k: int, rounds: int) -> None:
    for _ in range(rounds):
        kind.write(path, k)


def writers_of_one_file(n: int, rounds: int = 10, only: str = "") -> dict[str, tuple[str, ...]]:
    """{kind of file: faults} of n processes that write one file `rounds` times each, while it is
    read: whoever was last, a file that has its name is that of one writer, whole; only: a word in
    the name of the kinds.
    """
    context = multiprocessing.get_context("fork")
    faults: dict[str, tuple[str, ...]] = {}
    for name, make in KINDS.items():
        if only not in name:
            continue
        kind, found = make(), []
        with tempfile.TemporaryDirectory(prefix="writers-") as folder:
            path = Path(folder) / "file"
            kind.write(path, 0)
            processes = [
                context.Process(target=_write_often, args=(kind, path, k, rounds)) for k in range(n)
            ]
            for process in processes:
                process.start()
            while any(process.is_alive() for process in processes):
                found += _not_whole(kind, path, n)
            for process in processes:
                process.join()
                if process.exitcode:
                    found.append(f"a writer ended with status {process.exitcode}")
            found += _not_whole(kind, path, n)
            left = sorted(p.name for p in Path(folder).iterdir())
            if left != ["file"]:
                found.append(f"left behind: {left}")
        faults[name] = tuple(found)
    return faults


def _not_whole(kind: Kind, path: Path, n: int) -> list[str]:
    """What is wrong with the file of this moment."""
    try:
        writer = kind.writer_of(path)
    except InputError as error:
        return [str(error)]
    return [] if 0 <= writer < n else [f"of writer {writer}"]
