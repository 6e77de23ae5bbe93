"""What a file of tashower states of how it was made."""

import json
from pathlib import Path

from tashower.errors import InputError
from tashower.io.hdf5 import read_attributes
from tashower.io.json_file import parsed_json
from tashower.types import FilePath


def statement_in(path: FilePath) -> dict | None:
    """Root attributes of an HDF5 file, or the content of a JSON file, of tashower, with `made_from`
    and `configuration` as lists and maps; None for other files.

    Raises
    ------
    InputError : a damaged file.
    """
    path = Path(path)
    if path.suffix == ".h5":
        content = read_attributes(path)
        keys = ("made_from", "configuration")
        try:
            return content | {key: json.loads(content.get(key, "null")) for key in keys}
        except (ValueError, RecursionError):
            raise InputError(f"{path}: what it states of how it was made is not JSON") from None
    if path.suffix == ".json":
        content = parsed_json(path)
        if isinstance(content, dict) and str(content.get("format", "")).startswith("tashower "):
            return content
    return None


def is_made_by(path: FilePath, made: dict) -> bool:
    """Whether a file states the configuration and the code of `stages.made_by`; True for files
    that state neither (checkpoints, pages, pictures).
    """
    try:
        stated = statement_in(path)
    except InputError:
        return False
    keys = ("configuration", "code")
    return stated is None or all(stated.get(key) == made.get(key) for key in keys)
