"""JSON files that say themselves whether they are whole: the last entry is a checksum of the rest.

`crc32` is the CRC-32 of all bytes of the file with eight zeros in its place.
"""

import json
import logging
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tashower.errors import InputError
from tashower.io.atomic import written_aside
from tashower.types import FilePath

_LOG = logging.getLogger(__name__)
_KEY, _NONE = "crc32", "00000000"
_END = re.compile(rb'"crc32": "([0-9a-f]{8})"\n\}\n\Z')
#: First version of each kind that ends with a checksum; earlier ones are read all the same.
_SINCE = {
    "tashower calibration": 2,
    "tashower scores": 2,
    "tashower history": 1,
    "tashower station likelihood": 1,
    "tashower robustness": 1,
    "tashower judgement": 1,
}


def as_json(content: dict, finite: bool = False) -> bytes:
    """The file of a content; finite: NaN and infinities are refused."""
    text = json.dumps(content | {_KEY: _NONE}, indent=1, allow_nan=not finite) + "\n"
    data = text.encode()
    end = len(data) - len(f'{_NONE}"\n}}\n')
    return data[:end] + f"{zlib.crc32(data):08x}".encode() + data[end + len(_NONE) :]


def write_json(path: FilePath, content: dict) -> None:
    """Write a JSON file with its checksum; it takes its name when it is whole."""
    with written_aside(path) as aside:
        aside.write_bytes(as_json(content))


def parsed_json(path: FilePath) -> Any:
    """What a JSON file holds, without its checksum; of a file of tashower checked against it.

    Raises
    ------
    InputError : no such file, not JSON, or not as it was written.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    data = path.read_bytes()
    try:
        content = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({str(error).splitlines()[0][:100]})") from None
    if isinstance(content, dict):
        _check(content, data, path)
        content.pop(_KEY, None)
    return content


def _check(content: dict, data: bytes, path: Path) -> None:
    """Refuse a file of tashower whose checksum is wrong, or which should have one."""
    kind, version = content.get("format"), content.get("version", 0)
    since = _SINCE.get(kind) if isinstance(kind, str) else None
    cure = f'take out "{_KEY}" and write version {(since or 1) - 1}'
    on_purpose = f"damaged, or changed (to use a file that you changed on purpose, {cure})"
    found = _END.search(data)
    if found:
        begin, end = found.span(1)
        if zlib.crc32(data[:begin] + _NONE.encode() + data[end:]) != int(found[1], 16):
            raise InputError(f"{path}: its checksum is wrong: {on_purpose}")
        return
    if since is None:
        return
    if _KEY in content or not isinstance(version, int) or version >= since:
        raise InputError(f"{path}: without its checksum: {on_purpose}")
    _LOG.warning("%s: of an earlier version, has no checksum: damage is not seen", path)


def read_json(path: FilePath, kind: str, versions: Sequence[int]) -> dict:
    """The content of a JSON file of tashower.

    Raises
    ------
    InputError : no such file, damaged, another kind ("tashower calibration") or version.
    """
    content = parsed_json(path)
    if (
        not isinstance(content, dict)
        or content.get("format") != kind
        or content.get("version") not in versions
    ):
        raise InputError(f"{path}: not a {kind} of version {versions[-1]}")
    return content
