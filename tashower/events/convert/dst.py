"""The container of Telescope Array DST files: banks of bytes in blocks of 32,000 bytes. Own reader and writer.

Every byte 96 in control position is followed by a command; lengths and numbers are little-endian int32. A bank starts with its number and
version and may be cut into segments at the end of a block; each segment is followed by the checksum (CRC-16/KERMIT) of the whole bank.
"""

import binascii
import bz2
import gzip
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from tashower.errors import InputError
from tashower.events.file import written_aside

BLOCK = 32_000
_OPCODE = 96
_START_BLOCK, _END_BLOCK, _LAST_END, _FILLER = 97, 98, 99, 100
_START_BANK, _CONTINUE, _END_BANK, _TO_BE_CONTINUED = 7, 8, 14, 15
#: Largest bank that is believed [bytes]: a thousand waveforms take a tenth of it.
LARGEST_BANK = 16_000_000
#: Markers around the banks of an event.
EVENT_BEGIN, EVENT_END = 1_400_000_023, 1_400_000_101

_REVERSED = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))


def checksum(payload: bytes) -> int:
    """CRC-16/KERMIT: the reflected form of the CCITT polynomial, from the other form in the standard library.

    Examples
    --------
    checksum(b"123456789") == 0x2189
    """
    value = binascii.crc_hqx(bytes(payload).translate(_REVERSED), 0)
    return int(f"{value:016b}"[::-1], 2)


def open_packed(path):
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


def read_banks(path) -> Iterator[tuple[int, int, bytes]]:
    """(number, version, payload after these two) of every bank of a DST file, plain, gzip or bzip2, in constant memory.

    Raises
    ------
    InputError : names file and block: not a DST file, truncated, a length that cannot be, a wrong checksum.
    """
    number, bank = 0, None
    try:
        with open_packed(path) as file:
            while block := file.read(BLOCK):
                where = f"{path}: block {number}"
                if len(block) < BLOCK:
                    raise InputError(f"{where}: truncated: {len(block)} of {BLOCK} bytes")
                bank = yield from _read_block(block, bank, number, where)
                number += 1
    except InputError:
        raise
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: block {number}: cannot be unpacked ({error})") from None
    except (ValueError, struct.error) as error:
        raise InputError(f"{path}: block {number}: {error}") from None
    if number == 0:
        raise InputError(f"{path}: empty")
    if bank is not None:
        raise InputError(f"{path}: truncated: the last bank has no end")


def _read_block(block: bytes, bank, number: int, where: str):
    """Banks that end in a block; returns the bytes of the one that goes on in the next."""
    position = 0

    def integer() -> int:
        nonlocal position
        value = struct.unpack_from("<i", block, position)[0]
        position += 4
        return value

    while position < BLOCK:
        if block[position] != _OPCODE or position + 2 > BLOCK:
            raise InputError(f"{where}, byte {position}: not a DST file, or damaged")
        command = block[position + 1]
        position += 2
        if command == _START_BLOCK:
            if integer() != number:
                raise InputError(f"{where}: blocks are missing or out of order")
        elif command in (_END_BLOCK, _LAST_END):
            return bank
        elif command in (_START_BANK, _CONTINUE):
            length = integer()
            if length < 0 or position + length > BLOCK:
                raise InputError(f"{where}, byte {position}: a bank segment of {length} bytes does not fit")
            if command == _START_BANK:
                if bank is not None:
                    raise InputError(f"{where}: a bank starts before the last one ended")
                bank = bytearray()
            elif bank is None:
                raise InputError(f"{where}: a bank goes on that never started")
            bank += block[position : position + length]
            if len(bank) > LARGEST_BANK:
                raise InputError(f"{where}: a bank of more than {LARGEST_BANK} bytes")
            position += length
        elif command in (_END_BANK, _TO_BE_CONTINUED):
            found = integer()
            if bank is None:
                raise InputError(f"{where}: a bank ends that never started")
            if command == _END_BANK:
                if found & 0xFFFF != checksum(bank):
                    raise InputError(f"{where}: wrong checksum of a bank")
                if len(bank) < 8:
                    raise InputError(f"{where}: a bank of {len(bank)} bytes")
                payload, bank = bytes(bank), None
                yield (*struct.unpack_from("<ii", payload), payload[8:])
        elif command != _FILLER:
            raise InputError(f"{where}, byte {position}: unknown command {command}")
    raise InputError(f"{where}: has no end")


class _Blocks:
    """Bytes on their way into blocks."""

    def __init__(self, file):
        self.file, self.number, self.buffer = file, 0, bytearray()

    def begin(self) -> None:
        self.buffer = bytearray(struct.pack("<BBi", _OPCODE, _START_BLOCK, self.number))

    def end(self, command: int) -> None:
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
            self.buffer += struct.pack("<BBi", _OPCODE, _END_BANK if last else _TO_BE_CONTINUED, value)
            if last:
                return
            self.end(_END_BLOCK)
            self.begin()
            command = _CONTINUE


def write_banks(path, banks: Iterable[tuple[int, int, bytes]]) -> None:
    """Write (number, version, payload) banks as a DST file; .gz and .bz2 are packed. Event markers are banks like others."""
    opener = {".gz": gzip.open, ".bz2": bz2.open}.get(Path(path).suffix, open)
    with written_aside(path) as aside, opener(aside, "wb") as file:
        blocks = _Blocks(file)
        blocks.begin()
        for number, version, payload in banks:
            blocks.add(struct.pack("<ii", number, version) + payload)
        blocks.end(_LAST_END)
