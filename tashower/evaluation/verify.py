"""Do the files of a folder belong together? Every one whole, and made from the others as they
are.
"""

import json
from collections import Counter
from pathlib import Path

from tashower.errors import InputError
from tashower.io.hdf5 import checksum_of, read_attributes
from tashower.types import FilePath


def _described(path: Path) -> dict | None:
    """made_from, commit and seed of a file of tashower; None for other files.

    Raises
    ------
    InputError : a damaged file.
    """
    if path.suffix == ".h5":
        content = read_attributes(path)
        content = content | {
            key: json.loads(content.get(key, "null")) for key in ("made_from", "configuration")
        }
    elif path.suffix == ".pt":
        from tashower.network.checkpoint import load_checkpoint

        content = load_checkpoint(path)
    elif path.suffix == ".json":
        try:
            content = json.loads(path.read_text())
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise InputError(f"{path}: not JSON ({error})") from None
        if not isinstance(content, dict) or not str(content.get("format", "")).startswith(
            "tashower "
        ):
            return None
    else:
        return None
    configuration = content.get("configuration") or {}
    return {
        "made_from": content.get("made_from"),
        "commit": content.get("commit"),
        "seed": configuration.get("seed"),
    }


def problems_of(folder: FilePath) -> tuple[list[str], list[str]]:
    """(problems, remarks) of all event, reconstruction, calibration, score files and checkpoints
    below a folder.

    A problem is a damaged file, a file that was made from another version of one that is here, or
    that states nothing of what it was made from. A remark: files of different commits or seeds,
    inputs that are not in the folder.

    Raises
    ------
    InputError : no such folder, or nothing of tashower in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    problems, described = [], {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and ".snakemake" not in p.parts):
        try:
            found = _described(path)
        except InputError as error:
            problems.append(str(error))
            continue
        if found is not None:
            described[path] = found
    if not described and not problems:
        raise InputError(f"{folder}: holds no file of tashower")
    checksums = {path: checksum_of(path) for path in described}
    known = set(checksums.values())
    by_name: dict[str, list[Path]] = {}
    for path in described:
        by_name.setdefault(path.name, []).append(path)
    elsewhere: Counter = Counter()
    for path, found in described.items():
        if found["made_from"] is None:
            problems.append(f"{path}: does not say what it was made from")
            continue
        for name, checksum in found["made_from"]:
            if checksum in known:
                continue
            if name in by_name:
                problems.append(f"{path}: was made from another {name} than any that is here")
            else:
                elsewhere[name] += 1
    remarks = []
    for key in ("commit", "seed"):
        counts = Counter(str(found[key]) for found in described.values() if found[key] is not None)
        if len(counts) > 1:
            remarks.append(
                f"{key}s differ: "
                + ", ".join(f"{value} ({n} files)" for value, n in counts.most_common())
            )
    remarks += [
        f"{name}: {n} files were made from it, and it is not in this folder"
        for name, n in elsewhere.most_common()
    ]
    return problems, [f"{len(described)} files looked at", *remarks]
