"""Mutated inputs of every foreign format."""

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import published
from damage import corrupted
from nasty import few, nasty_json, nasty_npy, nasty_table, nasty_yaml
from nasty_ta import (
    damaged_banks,
    damaged_structure,
    damaged_text,
    nasty_columns,
    whole_banks,
    write_nasty_hdf5,
)

from tashower.convert.dst import read_banks
from tashower.convert.ta_dst import Options
from tashower.convert.ta_export import write_dst
from tashower.convert.ta_text_export import write_text
from tashower.events.model import select_events
from tashower.io.event_file import read_events, write_events
from tashower.reconstruction.pulses import find_pulses

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data" / "samples"
#: Kind of a `Call` for a file that needs no conversion.
EVENT_FILE = "event file"
#: What stands in a root attribute.
ATTRIBUTES = (
    *("", "x", "nan", "irregular", "hexagonal", "tashower reconstruction", "2.0", "1.99", -1, 0),
    *(np.nan, np.inf, 1e300, 1e-300, 2**62, np.arange(3), h5py.Empty("f8"), np.void(b"12"), b"x"),
    *("[" * 60_000, "{", "[]", "{}", "null", '{"area": null}', '{"area": -1, "n_layers": 2}'),
    *('{"n_layers": 1}', '{"n_bins": 0}', '{"n_bins": 1e999}', '{"area": "x", "n_bins": 128}'),
)


class Call(NamedTuple):
    """Arguments of `convert_file` for a mutated input."""

    paths: list[Path]
    kind: str | None = None
    stations: Path | None = None
    options: Options = Options()


@cache
def _of_sample() -> dict:
    """The sample's first two events as a DST file's banks and a text dump."""
    events = select_events(read_events(ROOT / "data" / "sample.h5"), np.arange(50) < 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        write_dst(path / "a.dst", events, find_pulses(events))
        write_text(path / "a.txt", events, find_pulses(events))
        banks = [(n, version, bytes(payload)) for n, version, payload in read_banks(path / "a.dst")]
        return {"dst": banks, "text": (path / "a.txt").read_text()}


@cache
def _of_event_file() -> tuple[dict, dict]:
    """({group/name: array}, root attributes) of an event file of the sample's first two events."""
    events = select_events(read_events(ROOT / "data" / "sample.h5"), np.arange(50) < 2)
    with tempfile.TemporaryDirectory() as folder:
        write_events(Path(folder) / "a.h5", replace(events, pulses=find_pulses(events)), {})
        with h5py.File(Path(folder) / "a.h5") as file:
            columns = {f"{g}/{name}": item[()] for g in file for name, item in file[g].items()}
            return columns, dict(file.attrs)


@cache
def _tiles(n: int = 2) -> dict:
    """Two events of the sample of dense tiles."""
    with h5py.File(SAMPLES / "ta_dnn.h5") as file:
        return {name: item[:n] for name, item in file.items()}


@cache
def _hits(n: int = 2) -> tuple[str, np.ndarray]:
    """The hits of the first events of the plain tables, and their waveforms."""
    rows = list(csv.reader(io.StringIO((SAMPLES / "hits.csv").read_text())))
    kept = [row for row in rows[1:] if int(row[0]) < n]
    text = "\n".join(",".join(row) for row in [rows[0], *kept]) + "\n"
    return text, np.load(SAMPLES / "waveforms.npy")[: len(kept)]


def _dst(rng, folder) -> Call:
    path, whole = folder / "x.dst", (whole_banks(), _of_sample()["dst"])[rng.integers(2)]
    if rng.random() < 0.8:
        for _ in range(few(rng)):
            whole = damaged_banks(rng, whole)
        path.write_bytes(published.dst(whole))
    else:
        path.write_bytes(corrupted(rng, published.dst(whole)))
    per_vem = 40.0 if rng.random() < 0.2 else None
    stations = SAMPLES / "stations.csv" if rng.random() < 0.2 else None
    options = Options(int(rng.integers(1, 4)), per_vem)
    return Call([path], "ta_dst" if rng.random() < 0.3 else None, stations, options)


def _text(rng, folder) -> Call:
    two = published.per_event(published.dump_sections(), published.dump_sections())
    path, text = folder / "x.txt", (two, _of_sample()["text"])[rng.integers(2)]
    if rng.random() < 0.8:
        for _ in range(few(rng)):
            text = damaged_text(rng, text)
        path.write_text(text)
    else:
        path.write_bytes(corrupted(rng, text.encode()))
    stations = SAMPLES / "stations.csv" if rng.random() < 0.2 else None
    kind = "ta_text" if rng.random() < 0.3 else None
    return Call([path], kind, stations, Options(int(rng.integers(1, 4))))


def _hdf5(rng, folder, columns) -> Call:
    path = folder / "x.h5"
    if rng.random() < 0.7:
        write_nasty_hdf5(rng, path, nasty_columns(rng, columns))
    else:
        published.lists(path, columns)
        damage = corrupted if rng.random() < 0.3 else damaged_structure
        path.write_bytes(damage(rng, path.read_bytes()))
    return Call([path], "ta_dnn" if rng.random() < 0.3 else None)


def _tiles_of(rng, folder) -> Call:
    return _hdf5(rng, folder, _tiles())


def _lists_of(rng, folder) -> Call:
    return _hdf5(rng, folder, published.lists_of_hits())


def _tables(folder, hits: bytes, stations: bytes, waveforms=None, header=None) -> Call:
    """Plain tables in a folder."""
    (folder / "hits.csv").write_bytes(hits)
    (folder / "stations.csv").write_bytes(stations)
    if waveforms is None and header is None:
        return Call([folder / "stations.csv", folder / "hits.csv"])
    (folder / "waveforms.npy").write_bytes(waveforms)
    (folder / "header.yaml").write_bytes(header or (SAMPLES / "header.yaml").read_bytes())
    return Call([folder / "header.yaml"])


def _csv(rng, folder) -> Call:
    hits, waveforms = _hits()
    stations = (SAMPLES / "stations.csv").read_text()
    which = rng.integers(3)
    data = nasty_table(rng, hits) if which != 1 else hits.encode()
    if which == 2:
        data = corrupted(rng, hits.encode())
    table = nasty_table(rng, stations) if which == 1 else stations.encode()
    with_waveforms = rng.random() < 0.3
    return _tables(folder, data, table, _npy_bytes(waveforms) if with_waveforms else None)


def _npy_bytes(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _npy(rng, folder) -> Call:
    hits, waveforms = _hits()
    data = (
        nasty_npy(rng, waveforms) if rng.random() < 0.8 else corrupted(rng, _npy_bytes(waveforms))
    )
    return _tables(folder, hits.encode(), (SAMPLES / "stations.csv").read_bytes(), data)


def _yaml(rng, folder) -> Call:
    hits, waveforms = _hits()
    text = (SAMPLES / "header.yaml").read_text()
    header = nasty_yaml(rng, text) if rng.random() < 0.8 else corrupted(rng, text.encode())
    stations = (SAMPLES / "stations.csv").read_bytes()
    return _tables(folder, hits.encode(), stations, _npy_bytes(waveforms), header)


def _json(rng, folder, kind: str) -> Call:
    text = (SAMPLES / f"{kind}.json").read_text()
    path = folder / "x.json"
    if rng.random() < 0.8:
        path.write_bytes(nasty_json(rng, json.loads(text)))
    else:
        path.write_bytes(corrupted(rng, text.encode()))
    return Call([path], kind if rng.random() < 0.5 else None)


def _auger(rng, folder) -> Call:
    return _json(rng, folder, "auger")


def _hisparc(rng, folder) -> Call:
    return _json(rng, folder, "hisparc")


def _event_file(rng, folder) -> Call:
    """An event file without a stamp, as others write it."""
    columns, attributes = _of_event_file()
    path = folder / "x.h5"
    if rng.random() < 0.7:
        columns = nasty_columns(rng, columns)
    if rng.random() < 0.4:
        attributes, name = dict(attributes), str(rng.choice(sorted(attributes)))
        attributes[name] = ATTRIBUTES[rng.integers(len(ATTRIBUTES))]
    with h5py.File(path, "w") as file:
        for name, column in columns.items():
            file[name] = column.astype("S") if column.dtype.kind == "O" else column
        file.attrs.update(attributes)
    if rng.random() < 0.2:
        path.write_bytes(damaged_structure(rng, path.read_bytes()))
    return Call([path], EVENT_FILE)


#: What makes a mutated input of each format.
MUTATIONS: dict[str, Callable[[np.random.Generator, Path], Call]] = {
    "TA DST": _dst,
    "TA text dump": _text,
    "parser HDF5, tiles": _tiles_of,
    "parser HDF5, lists": _lists_of,
    "CSV tables": _csv,
    "npy waveforms": _npy,
    "YAML header": _yaml,
    "Auger JSON": _auger,
    "HiSPARC JSON": _hisparc,
    "event file by others": _event_file,
}


def unharmed(folder: Path) -> Iterator[Call]:
    """An input of every format as it should be, tables with waveforms of both kinds; each is to be
    used before the next is made.
    """
    hits, waveforms = _hits()
    stations = (SAMPLES / "stations.csv").read_bytes()
    (folder / "a.dst").write_bytes(published.dst(whole_banks()))
    (folder / "a.txt").write_text(_of_sample()["text"])
    published.lists(folder / "a.h5", _tiles())
    published.lists(folder / "b.h5", published.lists_of_hits())
    for name in ("a.dst", "a.txt", "a.h5", "b.h5"):
        yield Call([folder / name])
    yield _tables(folder, hits.encode(), stations)
    for array in (waveforms, waveforms + np.float32(0.5)):
        yield _tables(folder, hits.encode(), stations, _npy_bytes(array))
    for name in ("auger.json", "hisparc.json"):
        yield Call([SAMPLES / name])
