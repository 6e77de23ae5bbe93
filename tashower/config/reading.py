"""From YAML or JSON to the frozen configuration."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tashower.config.models import Config
from tashower.config.networks import merge
from tashower.config.problems import problem_of
from tashower.config.yaml_text import parse_yaml
from tashower.errors import InputError

_COMPLETE = TypeAdapter(Config)
#: Maps that a user's file replaces as a whole: its networks, primaries and worlds are all there
#: are.
_REPLACED = frozenset(
    {
        *(("networks",), ("generators",), ("showers", "primaries")),
        *(("robustness", "worlds"), ("robustness", "nuisances")),
    }
)


def read_values(source: str | Path) -> tuple[str, dict, list[str]]:
    """(name, values, problems) of a YAML or JSON file, or of JSON text that starts with `{`.

    Files are UTF-8, with or without a byte order mark, whatever the locale. A problem is one line
    that names the file; the values are those that could be read.
    """
    if str(source).lstrip().startswith("{"):
        where, text = "configuration", str(source)
    else:
        where = str(source)
        try:
            text = Path(source).read_bytes().decode()
        except FileNotFoundError:
            return where, {}, [f"{where}: no such file"]
        except OSError as error:
            return where, {}, [f"{where}: {error.strerror}"]
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            byte = error.object[error.start]
            return where, {}, [f"{where}, line {line}: not UTF-8 text (byte 0x{byte:02x})"]
    values, problems = parse_yaml(text, where)
    if values is not None and not isinstance(values, dict):
        problems.append(f"{where}: not a map of keys to values")
    return where, values if isinstance(values, dict) else {}, problems


def _holds(values, path: tuple) -> bool:
    for key in path:
        if not isinstance(values, Mapping) or key not in values:
            return isinstance(values, list | tuple)  # a position in a list
        values = values[key]
    return True


def _without(values: Mapping, path: tuple) -> dict:
    """A configuration without the key at a path."""
    first, *rest = path
    inside = values.get(first)
    if rest and isinstance(inside, Mapping):
        return {**values, first: _without(inside, tuple(rest))}
    return {key: value for key, value in values.items() if key != first}


def _rest(whole: Mapping, paths: list[tuple]) -> Config | None:
    """What a configuration says without its wrong keys, or the sections that hold them; None where
    that cannot be told.
    """
    for depth in (None, 1):
        kept = whole
        for path in filter(None, paths):
            kept = _without(kept, path[:depth])
        try:
            return _COMPLETE.validate_python(kept)
        except ValidationError:
            continue
    return None


def examined(*sources: str | Path | Mapping | None) -> tuple[Config | None, list[str]]:
    """(configuration, problems) of what `load_config` takes: with problems, one line each, it is
    without the keys that are wrong, or None.
    """
    layers, problems, whole = [], [], {}
    for source in sources:
        if source is None:
            continue
        if isinstance(source, Mapping):
            where, values = "configuration", source
        else:
            where, values, found = read_values(source)
            problems += found
        layers.append((where, values))
        whole = merge(whole, values, _REPLACED)
    try:
        return _COMPLETE.validate_python(whole), problems
    except ValidationError as errors:
        found = [problem_of(error) for error in errors.errors()]
        # A wrong default of all networks is said once, where it stands.
        own = [(path, words) for path, words in found if _holds(whole, path)]
        for path, words in own or found:
            holders = [where for where, values in layers if _holds(values, path)]
            where = holders[-1] if holders else layers[-1][0]
            key = ".".join(str(part) for part in path)
            problems.append(f"{where}: {key}: {words}" if key else f"{where}: {words}")
        return _rest(whole, [path for path, _ in found]), problems


def load_config(*sources: str | Path | Mapping | None) -> Config:
    """Read a configuration and complete it with the defaults.

    Parameters
    ----------
    sources : each a YAML file, JSON text that starts with `{`, or a mapping; where several give a
        key the last one holds. None, or no source: the defaults.

    Raises
    ------
    InputError : one line for everything that is wrong, with the file and the key.
    """
    config, problems = examined(*sources)
    if problems or config is None:
        raise InputError("\n".join(problems))
    return config


def as_dict(config: Config) -> dict:
    """The configuration as plain dictionaries and lists, ready for JSON; `load_config` reads it
    back.
    """
    return json.loads(json.dumps(asdict(config)))
