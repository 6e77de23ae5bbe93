"""The container of Telescope Array DST files: banks of bytes in blocks of 32,000 bytes. Own reader
and writer.

Every byte 96 in control position is followed by a command; lengths and numbers are little-endian
int32. A bank starts with its number and version and may be cut into segments at the end of a block;
each segment is followed by the checksum (CRC-16/KERMIT) of the whole bank.
"""

import bz2
import gzip
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tashower.errors import InputError
from tashower.io.atomic import written_aside
from tashower.physics.compiled import compiled
from tashower.types import FilePath

BLOCK = 32_000
_OPCODE = 96
_START_BLOCK, _END_BLOCK, _LAST_END, _FILLER = 97, 98, 99, 100
_START_BANK, _CONTINUE, _END_BANK, _TO_BE_CONTINUED = 7, 8, 14, 15
#: Largest bank that is believed [bytes]: a thousand waveforms take a tenth of it.
LARGEST_BANK = 16_000_000
#: Markers around the banks of an event.
EVENT_BEGIN, EVENT_END = 1_400_000_023, 1_400_000_101

#: Blocks that are unpacked at once.
BLOCKS_AT_ONCE = 64


def _checksum_table() -> np.ndarray:
    """(8, 256) uint16: what a byte, k bytes before the end, adds to CRC-16/KERMIT (polynomial
    0x1021, reflected: 0x8408).
    """
    table = np.zeros((8, 256), np.uint16)
    for i in range(256):
        value = i
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
        table[0, i] = value
    for k in range(1, 8):
        table[k] = (table[k - 1] >> 8) ^ table[0, table[k - 1] & 255]
    return table


_TABLE = _checksum_table()


@compiled
def _checksum(data, table):
    """CRC-16/KERMIT, eight bytes at a time (Kounavis & Berry 2008, doi:10.1109/TC.2008.85)."""
    value = np.uint32(0)
    n = len(data) // 8 * 8
    for i in range(0, n, 8):
        value = np.uint32(
            table[7, data[i] ^ (value & 255)]
            ^ table[6, data[i + 1] ^ (value >> 8)]
            ^ table[5, data[i + 2]]
            ^ table[4, data[i + 3]]
            ^ table[3, data[i + 4]]
            ^ table[2, data[i + 5]]
            ^ table[1, data[i + 6]]
            ^ table[0, data[i + 7]]
        )
    for i in range(n, len(data)):
        value = np.uint32(value >> 8 ^ table[0, data[i] ^ (value & 255)])
    return value


def checksum(payload: bytes) -> int:
    """CRC-16/KERMIT, the reflected form of the CCITT polynomial.

    Examples
    --------
    checksum(b"123456789") == 0x2189
    """
    return int(_checksum(np.frombuffer(payload, np.uint8), _TABLE))


def open_packed(path: FilePath) -> BinaryIO:
    """The file for reading bytes, unpacked when its first bytes say gzip or bzip2."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as file:
        magic = file.read(3)
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(path, "rb")
    if magic == b"BZh":
        return bz2.open(path, "rb")
    return path.open("rb")


#: What can be wrong with a block, by the number that `_scan` returns.
_PROBLEMS = (
    "",
    "{where}, byte {byte}: not a DST file, or damaged",
    "{where}: blocks are missing or out of order",
    "{where}, byte {byte}: the length of a bank segment does not fit",
    "{where}: a bank starts before the last one ended",
    "{where}: a bank goes on that never started",
    "{where}: a bank of more than " + f"{LARGEST_BANK} bytes",
    "{where}: a bank ends that never started",
    "{where}: wrong checksum of a bank",
    "{where}: a bank of less than 8 bytes",
    "{where}, byte {byte}: unknown command",
    "{where}: has no end",
)


def read_banks(path: FilePath) -> Iterator[tuple[int, int, memoryview]]:
    """(number, version, payload after these two) of every bank of a DST file, plain, gzip or bzip2,
    in constant memory.

    Raises
    ------
    InputError : names file and block: not a DST file, truncated, a length that cannot be, a wrong
        checksum.
    """
    number, rest = 0, None
    ends, seen = np.empty(BLOCKS_AT_ONCE * BLOCK // 6 + 1, np.int64), 0
    for data in _read(path):
        whole = len(data) // BLOCK * BLOCK
        carried = 0 if rest is None else len(rest)
        out = np.empty(carried + whole, np.uint8)
        out[:carried] = rest if carried else 0
        problem, at, used, seen = _scan(
            np.frombuffer(data, np.uint8, whole),
            np.int64(number),
            out,
            carried,
            rest is not None,
            _TABLE,
            ends,
        )
        if problem:
            raise InputError(
                _PROBLEMS[problem].format(
                    where=f"{path}: block {number + at // BLOCK}", byte=at % BLOCK
                )
            )
        number += whole // BLOCK
        if whole < len(data):
            raise InputError(
                f"{path}: block {number}: truncated: {len(data) - whole} of {BLOCK} bytes"
            )
        view, begin = out.data, 0
        for end in ends[:seen].tolist():
            yield (*struct.unpack_from("<ii", view, begin), view[begin + 8 : end])
            begin = end
        rest = out[begin:used] if at < 0 else None
    if number == 0:
        raise InputError(f"{path}: empty")
    if rest is not None:
        raise InputError(f"{path}: truncated: the last bank has no end")


def _read(path) -> Iterator[bytes]:
    """The unpacked bytes of a file, some blocks at a time."""
    done = 0
    try:
        with open_packed(path) as file:
            while data := file.read(BLOCKS_AT_ONCE * BLOCK):
                yield data
                done += len(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: block {done // BLOCK}: cannot be unpacked ({error})") from None


@compiled
def _integer(data, at):
    """The little-endian int32 that begins at a byte."""
    value = np.uint32(data[at]) | np.uint32(data[at + 1]) << np.uint32(8)
    value |= np.uint32(data[at + 2]) << np.uint32(16) | np.uint32(data[at + 3]) << np.uint32(24)
    return np.int64(np.int32(value))


@compiled
def _scan(data, number, out, used, open_bank, table, ends):
    """Take the banks out of whole blocks, the first of which has a number: their bytes go to `out`,
    where `used` bytes and perhaps the beginning of a bank (open_bank) are, the ends of whole banks
    to `ends`.

    Returns (problem, byte where it is, or -1 with no problem and a bank that goes on, bytes used of
    `out`, banks).
    """
    begin = np.int64(0)
    n_banks = 0
    for first in range(0, len(data), BLOCK):
        at, last = first, first + BLOCK
        ended = False
        while at < last and not ended:
            if data[at] != _OPCODE or at + 2 > last:
                return 1, at, used, n_banks
            command = data[at + 1]
            at += 2
            if command == _FILLER:
                continue
            if command in (_END_BLOCK, _LAST_END):
                ended = True
                continue
            if command not in (_START_BLOCK, _START_BANK, _CONTINUE, _END_BANK, _TO_BE_CONTINUED):
                return 10, at, used, n_banks
            if at + 4 > last:
                return 1, at, used, n_banks
            value = _integer(data, at)
            at += 4
            if command == _START_BLOCK:
                if value != number + first // BLOCK:
                    return 2, at, used, n_banks
            elif command in (_START_BANK, _CONTINUE):
                if value < 0 or at + value > last:
                    return 3, at, used, n_banks
                if open_bank == (command == _START_BANK):
                    return 4 if open_bank else 5, at, used, n_banks
                open_bank = True
                out[used : used + value] = data[at : at + value]
                used += value
                at += value
                if used - begin > LARGEST_BANK:
                    return 6, at, used, n_banks
            elif not open_bank:
                return 7, at, used, n_banks
            elif command == _END_BANK:
                if (value & 0xFFFF) != _checksum(out[begin:used], table):
                    return 8, at, used, n_banks
                if used - begin < 8:
                    return 9, at, used, n_banks
                ends[n_banks] = used
                n_banks += 1
                begin = used
                open_bank = False
        if not ended:
            return 11, at, used, n_banks
    return 0, -1 if open_bank else 0, used, n_banks


class _Blocks:
    """Bytes on their way into blocks."""

    def __init__(self, file):
        self.file, self.number, self.buffer = file, 0, bytearray()

    def begin(self) -> None:
        """Start a block."""
        self.buffer = bytearray(struct.pack("<BBi", _OPCODE, _START_BLOCK, self.number))

    def end(self, command: int) -> None:
        """Write the block out, ended by a command and filled up."""
        self.buffer += bytes((_OPCODE, command))
        self.buffer += bytes((_OPCODE, _FILLER)) * ((BLOCK - len(self.buffer)) // 2)
        self.file.write(self.buffer.ljust(BLOCK, bytes((_OPCODE,))))
        self.number += 1

    def room(self) -> int:
        """Bytes of payload that still fit with their commands and the block's end."""
        return BLOCK - len(self.buffer) - 20

    def add(self, bank: bytes) -> None:
        """One bank, cut at the ends of blocks."""
        command, done, value = _START_BANK, 0, checksum(bank)
        while True:
            if self.room() < 16:
                self.end(_END_BLOCK)
                self.begin()
            part = bank[done : done + self.room()]
            done += len(part)
            self.buffer += struct.pack("<BBi", _OPCODE, command, len(part)) + part
            last = done == len(bank)
            self.buffer += struct.pack(
                "<BBi", _OPCODE, _END_BANK if last else _TO_BE_CONTINUED, value
            )
            if last:
                return
            self.end(_END_BLOCK)
            self.begin()
            command = _CONTINUE


def write_banks(path: FilePath, banks: Iterable[tuple[int, int, bytes]]) -> None:
    """Write (number, version, payload) banks as a DST file; .gz and .bz2 are packed. Event markers
    are banks like others.
    """
    opener = {".gz": gzip.open, ".bz2": bz2.open}.get(Path(path).suffix, open)
    with written_aside(path) as aside, opener(aside, "wb") as file:
        blocks = _Blocks(file)
        blocks.begin()
        for number, version, payload in banks:
            blocks.add(struct.pack("<ii", number, version) + payload)
        blocks.end(_LAST_END)
