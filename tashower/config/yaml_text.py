"""YAML as people write it: numbers of YAML 1.2, every key once, errors with their line."""

import json
import math
import re
from collections.abc import Iterator

import yaml

_CORE = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """PyYAML reads YAML 1.1, in which 1e-3 is text, 010 is eight, 1:30 is ninety and 2020-01-01 a
    date.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 (PyYAML's name and kind)
        first: [
            pair
            for pair in pairs
            if pair[0].removeprefix(_CORE) not in ("int", "float", "timestamp")
        ]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _decimal(loader, node) -> int:
    return int(loader.construct_scalar(node))


_Loader.add_implicit_resolver(
    f"{_CORE}int", re.compile(r"[-+]?[0-9]+(_[0-9]+)*\Z"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    f"{_CORE}float",
    re.compile(
        r"""[-+]?(\.[0-9]+|[0-9]+(_[0-9]+)*(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z
        |[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z""",
        re.VERBOSE,
    ),
    list("-+.0123456789"),
)
_Loader.add_constructor(f"{_CORE}int", _decimal)


def parse_yaml(text: str, where: str) -> tuple[object, list[str]]:
    """(value, problems) of a YAML document; JSON is YAML.

    A problem is one line that begins with `where` and the number of the line: a document that
    cannot be read (the value is None), a key that is given twice or is not text (it is left out).
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, []
        problems = [f"{where}, line {line}: {said}" for line, said in _check_keys(node)]
        return loader.construct_document(node), problems
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        said = " ".join(str(error.problem or error.context).split())
        return None, [f"{where}{line}: not valid YAML: {said}"]
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        said = f"the character U+{error.character:04X} is not text"
        return None, [f"{where}, line {line}: not valid YAML: {said}"]
    except RecursionError:
        return None, [f"{where}: not valid YAML: nested too deeply"]
    except (ValueError, AttributeError) as error:  # a tag that the text does not obey: !!int one
        return None, [f"{where}: not valid YAML: {error}"]


def _check_keys(node, path=(), seen=None) -> Iterator[tuple[int, str]]:
    """(line, problem) of the keys in a tree of nodes; what has one is taken out of the tree.

    `seen` holds the nodes before this one, by identity, and whether they are whole: an alias gives
    a node again.
    """
    seen = {} if seen is None else seen
    if id(node) in seen:
        if not seen[id(node)]:
            raise yaml.composer.ComposerError(
                problem="an alias inside of what it stands for", problem_mark=node.start_mark
            )
        return
    seen[id(node)] = False
    yield from _check_entries(node, path, seen)
    seen[id(node)] = True


def _check_entries(node, path, seen) -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.SequenceNode):
        for position, entry in enumerate(node.value):
            yield from _check_keys(entry, (*path, str(position)), seen)
    if not isinstance(node, yaml.MappingNode):
        return
    kept, lines = [], {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        full = ".".join((*path, name))
        if key.tag == f"{_CORE}merge":
            kept.append((key, value))
        elif key.tag != f"{_CORE}str":
            yield line, f"{full}: the key is not text; put it between quotes"
        elif name in lines:
            yield line, f"{full}: given twice (first in line {lines[name]})"
        else:
            lines[name] = line
            kept.append((key, value))
        yield from _check_keys(value, (*path, name), seen)
    node.value = kept


def plain_scalars(value: object) -> object:
    """Text within maps and lists as YAML reads it: {"tile": "5"} becomes {"tile": 5}.

    Snakemake's --config leaves every scalar inside of a map as text.
    """
    if isinstance(value, dict):
        return {key: plain_scalars(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain_scalars(entry) for entry in value]
    if not isinstance(value, str) or not value:
        return value
    loader = _Loader("")
    tag = loader.resolve(yaml.ScalarNode, value, (True, False))
    if tag.removeprefix(_CORE) not in ("int", "float", "bool", "null"):
        return value
    try:
        return loader.construct_object(yaml.ScalarNode(tag, value))
    except ValueError:  # more digits than Python takes
        return value


def flow(value: object) -> str:
    """A value in YAML's flow style; 1200.0 is 1200, and keys have no quotes."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {flow(entry)}' for key, entry in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, float):
        if not math.isfinite(value):
            return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
        return repr(value).removesuffix(".0")
    return json.dumps(value, default=str, ensure_ascii=False)
