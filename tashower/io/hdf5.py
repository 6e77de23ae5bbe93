"""Named arrays as self-describing HDF5 files that are whole or not there, and the checksums that
say so.

Every file has root attributes `format`, `version`, `software`, `commit`, `created`, `versions`,
`configuration` (JSON) and `inputs` (JSON); those of a stage also `stage` and `code`.
It is written under a temporary name and renamed: a file that has its name is whole.
"""

import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from tashower.errors import InputError
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.io.foreign_hdf5 import (
    check_readable,
    check_size_claimed,
    items_of,
    numbers_of,
    open_to_read,
)
from tashower.io.stages import stated
from tashower.types import FilePath

_STAMP, _STAMP_SIZE = "tashower file", 512
_ON_PURPOSE = " (to use a file that you changed on purpose, leave out its first 512 bytes)"

_UNITS = {
    "position": "m",
    "spacing": "m",
    "hit_time": "ns",
    "waveform": "counts",
    "pedestal": "counts/bin",
    "counts_per_vem": "counts/VEM",
    "arrival_time": "ns",
    "signal": "VEM",
    "area_over_peak": "ns",
    "energy": "EeV",
    "zenith": "rad",
    "azimuth": "rad",
    "core_x": "m",
    "core_y": "m",
    "t0": "ns",
    "xmax": "g/cm^2",
    "xmax_error": "g/cm^2",
    "s_ref": "VEM/m^2",
    "curvature": "ns",
}


def write_arrays(
    path: FilePath,
    kind: str,
    version: str,
    groups: dict,
    configuration: dict,
    inputs: Sequence[FilePath] = (),
    attributes: dict | None = None,
    stage: str = "",
) -> None:
    """Write named arrays as an HDF5 file.

    Parameters
    ----------
    path : file to write; an existing one is replaced when the new one is whole
    kind : what the file is, for example "events"; stored as `format = "tashower events"`
    groups : {group: {name: array}}; None values are left out
    configuration : stored as JSON
    inputs : paths of the files it was made from; their names and provenance are stored
    attributes : further root attributes
    stage : one of `stages.STAGES` that makes the file; "": a program of one's own
    """
    with new_file(path, kind, version, configuration, inputs, stage) as file:
        file.attrs.update(attributes or {})
        for group_name, columns in groups.items():
            group = file.create_group(group_name)
            for name, column in columns.items():
                if column is not None:
                    create_column(group, name, np.asarray(column))


@contextmanager
def new_file(
    path: FilePath,
    kind: str,
    version: str,
    configuration: dict,
    inputs: Sequence[FilePath] = (),
    stage: str = "",
) -> Iterator[h5py.File]:
    """An HDF5 file open for writing that says what made it; it takes its name when the block ends
    well.
    """
    with written_aside(path) as aside:
        with (
            _full_disk_tolerated(aside) as raw,
            h5py.File(raw, "w", userblock_size=_STAMP_SIZE) as file,
        ):
            file.attrs["format"] = f"tashower {kind}"
            file.attrs["version"] = version
            file.attrs["software"] = provenance.software()
            file.attrs["commit"] = provenance.commit()
            file.attrs["created"] = provenance.now()
            file.attrs["versions"] = json.dumps(provenance.versions())
            how = stated(stage, configuration)
            file.attrs["configuration"] = json.dumps(how.pop("configuration"), sort_keys=True)
            file.attrs.update(how)
            file.attrs["inputs"] = json.dumps([Path(p).name for p in inputs])
            file.attrs["made_from"] = json.dumps(made_from(inputs))
            yield file
        _stamp(aside)


class _Tolerant(io.FileIO):
    """A file that notes the first error of writing, or an interrupt, and goes on: the HDF5 library
    crashes where a write fails, and what is raised while it closes is lost.
    """

    error: OSError | KeyboardInterrupt | None = None

    def write(self, data):
        """Write all of the data; an error is kept for later."""
        try:
            view = memoryview(data).cast("B")
            done = 0
            while done < len(view):
                done += super().write(view[done:])
        except (OSError, KeyboardInterrupt) as error:
            self.error = self.error or error
        return len(data)

    def truncate(self, size=None):
        """Cut off at a size; an error is kept for later."""
        try:
            return super().truncate(size)
        except (OSError, KeyboardInterrupt) as error:
            self.error = self.error or error
            return size


@contextmanager
def _full_disk_tolerated(path):
    """A file for HDF5 to write to; what goes wrong with it is raised at the end."""
    file = _Tolerant(path, "w+")
    try:
        yield file
    except Exception:
        if file.error is None:
            raise
    finally:
        file.close()
    if isinstance(file.error, KeyboardInterrupt):
        raise file.error
    if file.error is not None:
        raise OSError(file.error.errno, file.error.strerror, str(path))


def create_column(
    group: h5py.Group, name: str, column: np.ndarray, growing: bool = False
) -> h5py.Dataset:
    """A dataset of an array, compressed unless it is short; growing: rows can be added."""
    options = {"maxshape": (None, *column.shape[1:])} if growing else {}
    if growing or column.size > 64:
        bytes_per_row = max(1, int(np.prod(column.shape[1:], dtype=np.int64)) * column.itemsize)
        rows = (1 << (18 if growing else 20)) // bytes_per_row
        options |= {
            **hdf5plugin.Bitshuffle(cname="lz4"),
            "chunks": (max(1, rows if growing else min(len(column), rows)), *column.shape[1:]),
        }
    dataset = group.create_dataset(name, data=column, **options)
    if name in _UNITS:
        dataset.attrs["unit"] = _UNITS[name]
    return dataset


def _checksum(file) -> int:
    """CRC-32 of the rest of an open file."""
    value = 0
    while block := file.read(1 << 22):
        value = zlib.crc32(block, value)
    return value


def _stamp(path) -> None:
    """Write length and checksum into the block before the HDF5 content: damage is seen before HDF5
    looks at it.
    """
    with open(path, "r+b") as file:
        file.seek(_STAMP_SIZE)
        value = _checksum(file)
        size = file.tell()
        file.seek(0)
        file.write(
            f"{_STAMP}, {size} bytes, crc32 {value:08x}\n".encode().ljust(_STAMP_SIZE, b"\0")
        )


def checksum_of(path: FilePath) -> str:
    """CRC-32 of a file as eight hexadecimal digits: the stamped one of our HDF5 files, else that of
    all bytes.
    """
    with open(path, "rb") as file:
        found = re.match(
            rf"{_STAMP}, \d+ bytes, crc32 ([0-9a-f]{{8}})\n",
            file.read(_STAMP_SIZE).decode("latin-1"),
        )
        if found:
            return found[1]
        file.seek(0)
        return f"{_checksum(file):08x}"


def made_from(paths: Sequence[FilePath]) -> list[list[str]]:
    """[[name, checksum]] of files: what a file says that it was made from."""
    return [[Path(p).name, checksum_of(p)] for p in paths if Path(p).is_file()]


def check_whole(path: FilePath) -> None:
    """Refuse a damaged file. Files without a stamp, which others may write, are HDF5 from their
    first byte on: those are read once to the end by a process of its own.
    """
    with open(path, "rb") as file:
        begin = file.read(_STAMP_SIZE)
        if begin.startswith(b"\x89HDF"):
            return check_readable(path)
        found = re.fullmatch(
            rf"{_STAMP}, (\d+) bytes, crc32 ([0-9a-f]{{8}})\n\0*", begin.decode("latin-1")
        )
        if found is None:
            raise InputError(f"{path}: cannot be read as HDF5")
        value = _checksum(file)
        if file.tell() != int(found[1]):
            raise InputError(
                f"{path}: {file.tell()} bytes, {found[1]} were written: cut, or "
                f"changed{_ON_PURPOSE}"
            )
        if value != int(found[2], 16):
            raise InputError(f"{path}: its checksum is wrong: damaged, or changed{_ON_PURPOSE}")


def read_arrays(
    path: FilePath, kind: str, version: str, leave_out: Sequence[str] = ()
) -> tuple[dict, dict]:
    """Read a file of `write_arrays`: ({group: {name: array}}, {root attribute: value}).

    leave_out : groups ("truth") and arrays ("hits/waveform") that are not read: they are checked as
        far as that needs no reading, and are not in what is returned

    Raises
    ------
    InputError : no such file, not HDF5, another kind, a newer major version.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    check_whole(path)
    try:
        with open_to_read(path) as file:
            attributes = dict(file.attrs)
            found = str(attributes.get("format", ""))
            if found != f"tashower {kind}":
                raise InputError(
                    f"{path}: holds {found[:40] or 'no tashower data'!r}, where 'tashower {kind}' "
                    "is needed"
                )
            written = str(attributes.get("version", "0"))[:24]
            if written.split(".")[0] != version.split(".")[0]:
                raise InputError(
                    f"{path}: version {written}; this software reads version {version}"
                )
            groups = {
                g: items_of(item, path)
                for g, item in items_of(file, path).items()
                if isinstance(item, h5py.Group)
            }
            items = [item for group in groups.values() for item in group.values()]
            if not all(isinstance(item, h5py.Dataset) for item in items):
                raise InputError(f"{path}: holds groups in groups, which no file of tashower does")
            check_size_claimed(items, path)
            groups = {
                g: {
                    # Names of stations are bytes, all else are numbers.
                    name: numbers_of(item, path, "fiubS")
                    for name, item in group.items()
                    if f"{g}/{name}" not in leave_out
                }
                for g, group in groups.items()
                if g not in leave_out
            }
    except OSError as error:
        raise InputError(f"{path}: cannot be read as HDF5 ({_reason(error)})") from None
    return groups, attributes


def _reason(error: OSError) -> str:
    """The first line of what HDF5 says, with the hint for files of other formats."""
    said = str(error).splitlines()[0]
    hint = "; files of other formats go through `tashower convert`"
    return said + (hint if "signature not found" in said else "")


def read_attributes(path: FilePath) -> dict[str, str]:
    """Root attributes of any tashower HDF5 file, as text.

    Raises
    ------
    InputError : no such file, not HDF5, not of tashower.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    check_whole(path)
    try:
        with open_to_read(path) as file:
            attributes = {name: str(value) for name, value in file.attrs.items()}
    except OSError as error:
        raise InputError(f"{path}: cannot be read as HDF5 ({_reason(error)})") from None
    if not attributes.get("format", "").startswith("tashower "):
        raise InputError(f"{path}: not a file of tashower")
    return attributes
