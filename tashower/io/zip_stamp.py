"""ZIP archives, as torch writes them, that say themselves whether they are whole: their comment
holds a checksum. (torch looks at no checksum when it reads: a flipped weight is a weight.)
"""

import logging
import re
import struct
import zlib
from pathlib import Path

from tashower.errors import InputError
from tashower.types import FilePath

_LOG = logging.getLogger(__name__)
#: Signature of the record that ends an archive, and its size without a comment; its last two bytes
#: are the comment's length (PKWARE, APPNOTE.TXT 6.3.10, section 4.3.16).
_SIGNATURE, _SIZE = b"PK\x05\x06", 22
_STAMP = re.compile(rb"tashower file, (\d+) bytes, crc32 ([0-9a-f]{8})\n\Z")


def with_stamp(data: bytes) -> bytes:
    """An archive without a comment, with length and CRC-32 of all before it as comment."""
    if data[-_SIZE:][:4] != _SIGNATURE or data[-2:] != b"\0\0":
        raise ValueError("not a ZIP archive without a comment")

    def comment(value):
        return f"tashower file, {len(data)} bytes, crc32 {value:08x}\n".encode()

    body = data[:-2] + struct.pack("<H", len(comment(0)))
    return body + comment(zlib.crc32(body))


def check_stamp(path: FilePath) -> None:
    """Refuse an archive that is not as it was written; one without a stamp, of an earlier version,
    is named in the log.

    Raises
    ------
    InputError : names the file.
    """
    data = Path(path).read_bytes()
    if data[-_SIZE:][:4] == _SIGNATURE and data[-2:] == b"\0\0":
        _LOG.warning("%s: of an earlier version, has no checksum: damage is not seen", path)
        return
    found = _STAMP.search(data[-80:])
    if found is None:
        raise InputError(f"{path}: not a checkpoint, or damaged")
    body = data[: len(data) - len(found[0])]
    if len(body) != int(found[1]) or zlib.crc32(body) != int(found[2], 16):
        raise InputError(f"{path}: its checksum is wrong: damaged, or changed")
