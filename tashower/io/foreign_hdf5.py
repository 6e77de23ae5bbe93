"""HDF5 files that others wrote: no checksum says that they are whole, and damaged HDF5 can send the
library round in circles.

They are read to the end by a process of its own first, which is stopped when it takes too long.
"""

import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from tashower.errors import InputError
from tashower.types import FilePath

#: Largest ratio of the size in memory to that of the file that is believed: waveforms reach 10,
#: columns of zeros 300.
MOST_COMPRESSION = 3000
#: Time [s] for a file, beside a second for every 10 MB.
PATIENCE = 10.0


def open_to_read(path: FilePath) -> h5py.File:
    """Open an HDF5 file that nobody writes any more: without a lock, which some file systems refuse
    (NFS, Lustre) and others grant to one reader only.
    """
    return h5py.File(path, "r", locking=False)


def check_size_claimed(items: Sequence[h5py.Dataset], path: FilePath) -> None:
    """Refuse datasets that claim more than the file can hold: a few bytes can claim an array of any
    size.

    Raises
    ------
    InputError : names the file.
    """
    if sum(item.nbytes for item in items) > MOST_COMPRESSION * (Path(path).stat().st_size + 1):
        raise InputError(f"{path}: claims to hold more than {MOST_COMPRESSION} times its own size")


def numbers_of(dataset: h5py.Dataset, path: FilePath, kinds: str = "fiub") -> np.ndarray:
    """The array of a dataset of real numbers with at least one axis; kinds: that are taken, as
    numpy names them.

    Raises
    ------
    InputError : names file and dataset: text, records, complex numbers, a single number, nothing.
    """
    name = str(dataset.name).lstrip("/")
    if dataset.shape is None or dataset.dtype.kind not in kinds:
        raise InputError(f"{path}: {name} does not hold numbers")
    if not dataset.shape:
        raise InputError(f"{path}: {name} is a single number, where a list of them is needed")
    return dataset[()]


def wholes_of(column: np.ndarray, name: str, path: FilePath) -> np.ndarray:
    """An array of numbers as int64; 3.0 is 3.

    Raises
    ------
    InputError : names file and array: a number that is not whole, not finite, or too large.
    """
    if column.dtype.kind in "ib":
        return column.astype(np.int64)
    if column.dtype.kind == "u":
        fits = column < 2**63
    else:
        with np.errstate(invalid="ignore"):
            fits = (np.abs(column) <= 2.0**53) & (np.rint(column) == column)
    if not fits.all():
        wrong = column[~fits].ravel()[0]
        raise InputError(f"{path}: {name} holds {wrong:g}, where a whole number is needed")
    return column.astype(np.int64)


def items_of(group: h5py.Group, path: FilePath) -> dict:
    """{name: group or dataset} of an HDF5 group; nothing that lies in another file is ever opened.

    Raises
    ------
    InputError : a link to another place, a dataset whose numbers lie in other files.
    """
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise InputError(f"{path}: {name} is a link to another place, which is not followed")
    items = dict(group.items())
    for name, item in items.items():
        if isinstance(item, h5py.Dataset) and (item.is_virtual or item.external):
            raise InputError(f"{path}: {name} lies in other files, which are not opened")
    return items


def _read_all(path, pipe) -> None:
    try:
        with open_to_read(path) as file:
            top = items_of(file, path)
            groups = [item for item in top.values() if isinstance(item, h5py.Group)]
            items = [
                item
                for part in (top, *(items_of(group, path) for group in groups))
                for item in part.values()
            ]
            datasets = [item for item in items if isinstance(item, h5py.Dataset)]
            check_size_claimed(datasets, path)
            for item in [file, *groups, *datasets]:
                dict(item.attrs)
            for dataset in datasets:
                dataset[()]
        pipe.send("")
    except Exception as error:  # whatever a damaged file makes h5py raise
        pipe.send(
            (str(error).splitlines() or [type(error).__name__])[0][:150] or type(error).__name__
        )


def check_readable(path: FilePath) -> None:
    """Refuse an HDF5 file that cannot be read to the end within PATIENCE and a second for every 10
    MB.

    Raises
    ------
    InputError : no such file, or says why.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    limit = PATIENCE + path.stat().st_size / 1e7
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_read_all, args=(path, there), daemon=True)
    child.start()
    there.close()
    try:
        answer = here.recv() if here.poll(limit) else f"not read within {limit:.1f} s"
    except EOFError:
        answer = "the HDF5 library broke down"
    if answer:
        child.kill()
    child.join()
    if answer:
        raise InputError(f"{path}: cannot be read as HDF5 ({answer.removeprefix(f'{path}: ')})")


def has_item(path: FilePath, name: str) -> bool:
    """Whether a file that can be read has something of that name.

    Raises
    ------
    InputError : as of `check_readable`.
    """
    check_readable(path)
    with open_to_read(path) as file:
        return name in file
