"""Do the files of a folder belong together? Every one whole, made from the others as they are, by
one configuration and one code, and all there.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tashower.errors import InputError
from tashower.evaluation.page import is_picture_of, scores_source, statement_of
from tashower.io.hdf5 import checksum_of
from tashower.io.stages import STAGES, code_of_stage, flat, products, robustness_products
from tashower.io.statements import statement_in
from tashower.types import FilePath

#: Folders that only the workflow makes: where one is, all products of a run must be.
_OF_A_RUN = ("reconstructions", "networks", "logs")
#: Stages at the end of a run, and those that build a network.
_LAST = ("score", "report", "report-data")
_NETWORK = ("train", "apply")
_GENERATOR = ("train-generator", "generate")
#: Kinds of files that are made from a configuration alone.
_OF_NO_FILE = ("tashower station likelihood", "tashower limit")
#: Keys that may differ along a chain: a network may serve events of another seed.
_FREE = ("seed",)


@dataclass(frozen=True)
class _Stated:
    """What a file of tashower states of how it was made."""

    kind: str
    made_from: list | None
    commit: str | None
    stage: str
    code: str
    configuration: dict = field(default_factory=dict)


def _content(path: Path) -> dict | None:
    """What a file of tashower holds about itself; None for other files.

    Raises
    ------
    InputError : a damaged file.
    """
    if path.suffix == ".pt":
        from tashower.generation.checkpoint import FORM
        from tashower.network.checkpoint import FORMAT, VERSION, load_checkpoint

        return load_checkpoint(path, forms=((FORMAT, VERSION), FORM))
    if path.suffix == ".html":
        return statement_of(path)
    return statement_in(path)


def _stated(path: Path) -> _Stated | None:
    content = _content(path)
    if content is None:
        return None
    stage, made_from = str(content.get("stage", "")), content.get("made_from")
    configuration = content.get("configuration") or {}
    pairs = isinstance(made_from, list) and all(
        isinstance(pair, list) and list(map(type, pair)) == [str, str] for pair in made_from
    )
    if not isinstance(configuration, dict) or not (made_from is None or pairs):
        raise InputError(f"{path}: what it states of its origin cannot be read")
    return _Stated(
        str(content.get("format", "")),
        made_from,
        content.get("commit"),
        stage if stage in STAGES else "",
        str(content.get("code", "")),
        configuration,
    )


def _inputs(found: dict[Path, _Stated], checksums: dict) -> tuple[dict, list[str], Counter]:
    """({file: files that it was made from}, problems, {name: how many files were made from one of
    that name that is not here}).
    """
    paths: dict[str, list[Path]] = defaultdict(list)
    for path, checksum in checksums.items():
        paths[checksum].append(path)
    names = {path.name for path in found}
    problems, elsewhere, inputs = [], Counter(), {}
    for path, stated in found.items():
        inputs[path] = []
        if stated.made_from is None and stated.kind in _OF_NO_FILE:
            continue
        if stated.made_from is None:
            problems.append(f"{path}: does not say what it was made from")
            continue
        for name, checksum in stated.made_from:
            if checksum in paths:
                inputs[path] += paths[checksum]
            elif name in names:
                problems.append(f"{path}: was made from another {name} than any that is here")
            else:
                elsewhere[name] += 1
    return inputs, problems, elsewhere


def _above(path: Path, inputs: dict[Path, list[Path]]) -> list[Path]:
    """All files that one was made from, and what those were made from, and so on."""
    above: dict[Path, None] = {}
    left = list(inputs[path])
    while left:
        one = left.pop()
        if one != path and one not in above:
            above[one] = None
            left += inputs[one]
    return sorted(above)


def _in_worlds(own: dict, key: str) -> list:
    """Values of a key in the worlds that a configuration tests in."""
    worlds = {name: value for name, value in own.items() if name.startswith("robustness.worlds.")}
    return [value for name, value in worlds.items() if name.split(".", 3)[3:] == [key]]


def _other_keys(path: Path, above: list[Path], found: dict[Path, _Stated]) -> Iterator[str]:
    """Keys of a file that a file which it was made from states otherwise, each once."""
    stated = found[path]
    own, said = dict(flat(stated.configuration)), set(_FREE)
    for one in above if stated.stage else ():
        other = found[one]
        # Measured events may be given to networks of any configuration.
        if not other.stage or (stated.stage == "report-data" and other.stage in _NETWORK):
            continue
        for key, value in flat(other.configuration):
            other_value = key in own and value not in (own[key], *_in_worlds(own, key))
            if other_value and key not in said:
                said.add(key)
                yield (
                    f"{path}: says {key} {json.dumps(own[key])}, and was made from {one}, "
                    f"which says {json.dumps(value)}"
                )


def _other_code(above: list[Path], found: dict[Path, _Stated]) -> Iterator[str]:
    """Stages that made some of the files with different code."""
    codes: dict[tuple, dict[str, Path]] = defaultdict(dict)
    for one in above:
        stage, configuration = found[one].stage, found[one].configuration
        # Each network runs its own model and head, each generator the code of its kind.
        section = "networks" * (stage in _NETWORK) + "generators" * (stage in _GENERATOR)
        if stage:
            codes[stage, tuple(configuration.get(section, ()))][found[one].code] = one
    for (stage, _), by_code in codes.items():
        if len(by_code) > 1:
            files = ", ".join(map(str, sorted(by_code.values())))
            yield f"{files}: `{stage}` made them with different code"


def _disagreements(found: dict[Path, _Stated], inputs: dict) -> Iterator[str]:
    """What a file says otherwise than those which it was made from. Scores and reports are compared
    with all that stands above them, other files with their own inputs.
    """
    seen = set()
    for path, stated in found.items():
        above = _above(path, inputs) if stated.stage in _LAST else sorted(set(inputs[path]))
        for line in (*_other_keys(path, above, found), *_other_code([*above, path], found)):
            if line not in seen:
                seen.add(line)
                yield line


def _of_scores(path: Path) -> Iterator[str]:
    """Figures and tables beside scores that are missing or of other scores."""
    source = scores_source(path.name, path.read_bytes())
    for name in json.loads(path.read_text()).get("figures", ()):
        picture = path.parent / "figures" / f"{name}.png"
        if not picture.is_file():
            yield f"{picture}: is missing"
        elif not is_picture_of(picture, source):
            yield f"{picture}: was not drawn from {path}"
    tables = path.with_name("scores.md")
    if tables.is_file() and source not in tables.read_text(errors="replace"):
        yield f"{tables}: was not made from {path}"


def _roots(found: dict[Path, _Stated]) -> dict[Path, _Stated]:
    """{folder of a run of the workflow: scores or report that state its configuration}."""
    roots: dict[Path, _Stated] = {}
    for path, stated in found.items():
        if stated.stage not in _LAST:
            continue
        root = path.parent.parent if stated.stage == "report-data" else path.parent
        if any((root / name).is_dir() for name in _OF_A_RUN) and (
            root not in roots or stated.stage == "score"
        ):
            roots[root] = stated
    return roots


def _missing(root: Path, configuration: dict, found: dict) -> tuple[list[str], list[str]]:
    """(products of a whole run that are missing, files that are none of them)."""
    names, table = products(configuration), found.get(root / "robustness.json")
    if table is not None and table.stage == "robustness":
        names += robustness_products(table.configuration)
    wanted = [root / name for name in names]
    missing = [f"{path}: is missing" for path in wanted if not path.exists()]
    rooms = [root / "reconstructions", root / "networks"]
    left = [path for path in found if any(room in path.parents for room in rooms)]
    # Epochs of a checkpoint lie in a folder beside it (training.checkpoints).
    left = [p for p in left if p.parent.parent / "checkpoint_epochs" != p.parent]
    over = [f"{path}: belongs to no part of the run" for path in left if path not in wanted]
    return missing, over


def problems_of(folder: FilePath) -> tuple[list[str], list[str]]:
    """(problems, remarks) of all event, reconstruction, calibration, score files, checkpoints and
    reports below a folder.

    A problem is a damaged file; one that was made from another version of one that is here, or by
    another configuration than a file that it was made from, or that does not say from what; files
    of a stage that different code made, where one file depends on both; figures and tables of other
    scores; a product of a run of the workflow that is missing. A remark: files of different commits
    or seeds, of other code than this package's, inputs that are not in the folder, files that are
    no part of the run.

    Raises
    ------
    InputError : no such folder, or nothing of tashower in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    problems, found = [], {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and ".snakemake" not in p.parts):
        try:
            stated = _stated(path)
        except InputError as error:
            problems.append(str(error))
            continue
        if stated is not None:
            found[path] = stated
    if not found and not problems:
        raise InputError(f"{folder}: holds no file of tashower")
    inputs, others, elsewhere = _inputs(found, {path: checksum_of(path) for path in found})
    problems += [*others, *_disagreements(found, inputs)]
    for path, stated in found.items():
        if stated.kind == "tashower scores":
            problems += _of_scores(path)
        if stated.stage == "report" and not inputs[path]:
            problems.append(f"{path}: the scores that it was made from are not here")
    remarks = []
    for root, stated in _roots(found).items():
        missing, over = _missing(root, stated.configuration, found)
        problems += [line for line in missing if line not in problems]
        remarks += over
    return problems, [f"{len(found)} files looked at", *_remarks(found, elsewhere), *remarks]


def _of_this_package(stated: _Stated) -> bool:
    try:
        return stated.code == code_of_stage(stated.stage, stated.configuration)
    except (AttributeError, KeyError, TypeError, ValueError):  # no network of this package
        return False


def _remarks(found: dict[Path, _Stated], elsewhere: Counter) -> Iterator[str]:
    seeds = [stated.configuration.get("seed") for stated in found.values()]
    commits = [stated.commit for stated in found.values()]
    for key, values in (("commit", commits), ("seed", seeds)):
        counts = Counter(str(value) for value in values if value is not None)
        if len(counts) > 1:
            several = (f"{value} ({n} files)" for value, n in counts.most_common())
            yield f"{key}s differ: {', '.join(several)}"
    old = Counter(
        stated.stage for stated in found.values() if stated.stage and not _of_this_package(stated)
    )
    for stage, n in old.items():
        yield f"{n} files were made by other code of `{stage}` than that of this package"
    for name, n in elsewhere.most_common():
        yield f"{name}: {n} files were made from it, and it is not in this folder"
