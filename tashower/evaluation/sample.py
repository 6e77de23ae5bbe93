"""The files of a test sample, each read once."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tashower.errors import InputError
from tashower.evaluation.names import REFERENCE, in_order
from tashower.events.model import (
    Events,
    Pulses,
    Reconstruction,
    Truth,
    concatenate_rows,
    select_events,
    select_rows,
)
from tashower.io.event_file import PARTS, read_events
from tashower.io.reconstruction_file import read_reconstruction
from tashower.types import FilePath


class Example(NamedTuple):
    """One event to draw."""

    events: Events  #: this event alone
    tables: dict[str, Reconstruction]
    pulses: Pulses
    position: int  #: of it in its file, from 0


class Sample(NamedTuple):
    """Reconstructions of the events of a test sample."""

    methods: dict[str, Reconstruction]  #: the baselines first; all of the same events
    truth: Truth
    examples: list[Example]


def single_event(
    events: Events, index: int, tables: dict[str, Reconstruction], pulses: Pulses
) -> Example:
    """Event number `index` alone, without its neighbours."""
    hits = slice(*events.hit_offset[index : index + 2])
    return Example(
        select_events(events, [index]),
        {name: select_rows(table, [index]) for name, table in tables.items()},
        select_rows(pulses, hits),
        index,
    )


def check_same_events(
    table: Reconstruction, events: Events, path: FilePath, events_path: FilePath
) -> None:
    """Refuse a reconstruction of other events.

    Raises
    ------
    InputError : names both files.
    """
    if not np.array_equal(table.event_id, events.event_id):
        raise InputError(f"{path}: is not a reconstruction of {events_path}")


def read_methods(
    events: Events, events_path: FilePath, fits_path: FilePath, network_paths: Mapping[str, str]
) -> tuple[dict[str, Reconstruction], Pulses | None, dict[str, np.ndarray]]:
    """({method: reconstruction}, pulses, event features) of the events of one file; the methods
    are the baselines that are there, all others of `fits_path`, the networks.

    network_paths : {name: file of `tashower apply`}

    Raises
    ------
    InputError : a method is missing, files that do not belong together.
    """
    found, pulses, features = read_reconstruction(fits_path)
    if REFERENCE not in found:
        raise InputError(f"{fits_path}: no reconstruction {REFERENCE!r}")
    methods, where = {name: found[name] for name in in_order(found)}, {}
    for name, path in network_paths.items():
        of_network = read_reconstruction(path)[0]
        if name not in of_network:
            raise InputError(f"{path}: no reconstruction {name!r}")
        if name in found:
            raise InputError(f"{path}: {fits_path} holds a method {name!r} as well")
        methods[name], where[name] = of_network[name], path
    for name, table in methods.items():
        check_same_events(table, events, where.get(name, fits_path), events_path)
    return methods, pulses, features


def _examples(n: int, events: Events, methods: dict, pulses) -> list[Example]:
    """Up to n events that pass the cuts of the reference fit, spread evenly in energy."""
    good = np.flatnonzero(methods[REFERENCE].passes_cuts)
    if not len(good) or not n:
        return []
    order = good[np.argsort(events.truth.energy[good])]
    wanted = np.linspace(0, len(order) - 1, n + 2)[1:-1].astype(int)
    return [single_event(events, int(order[k]), methods, pulses) for k in wanted]


def read_sample(
    events_paths: Sequence,
    fits_paths: Sequence,
    networks: Mapping[str, Sequence],
    n_examples: int = 0,
) -> Sample:
    """Read event files, their reconstructions and those of networks, in the same order.

    Waveforms are read of the first file alone, of which the examples are.

    Raises
    ------
    InputError : no truth, files that do not belong together.
    """
    for name, paths in {"": fits_paths, **networks}.items():
        if len(paths) != len(events_paths):
            raise InputError(
                (f"network {name}: {len(paths)} files for " if name else "")
                + f"{len(events_paths)} event files"
                + ("" if name else f", but {len(paths)} reconstruction files")
            )
    truths, parts, examples = [], [], []
    for k, (events_path, fits_path) in enumerate(zip(events_paths, fits_paths, strict=True)):
        events = read_events(events_path, PARTS if not k and n_examples else ("truth",))
        if events.truth is None:
            raise InputError(f"{events_path}: scores need simulated events: these have no truth")
        network_paths = {name: paths[k] for name, paths in networks.items()}
        methods, pulses, _ = read_methods(events, events_path, fits_path, network_paths)
        if not k:
            if n_examples and pulses is None:
                raise InputError(f"{fits_path}: holds no pulses")
            examples = _examples(n_examples, events, methods, pulses)
        truths.append(events.truth)
        parts.append(methods)
        if missing := set(parts[0]) ^ set(methods):
            raise InputError(
                f"{fits_path}: has other methods than {fits_paths[0]} ({', '.join(missing)})"
            )
    methods = {name: concatenate_rows([part[name] for part in parts]) for name in parts[0]}
    return Sample(methods, concatenate_rows(truths), examples)
