"""What is wrong with a configuration, in words: one line for each key."""

import difflib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from tashower.config.models import Config
from tashower.config.networks import GridOptions, InputsConfig, NetworkSettings
from tashower.config.yaml_text import flow


def leaves(kind: object = Config, path: tuple = ()) -> Iterator[tuple]:
    """The path of every key that holds a value, in the order of the models."""
    for field in fields(kind):
        inside = GridOptions if field.name == "options" else field.type
        if is_dataclass(inside):
            yield from leaves(inside, (*path, field.name))
        else:
            yield (*path, field.name)


def shown(value: object) -> str:
    """A value as YAML has it, cut to 60 characters; maps and lists in it are only named, since
    aliases can make them longer than any memory.
    """
    if value is None:
        return "nothing"
    inside = list(value.values()) if isinstance(value, dict) else value
    if isinstance(inside, list | tuple) and any(isinstance(e, dict | list | tuple) for e in inside):
        return f"a {'map' if isinstance(value, dict) else 'list'} of maps or lists"
    text = flow(value)
    return text if len(text) <= 60 else text[:57] + "..."


#: Keys of `front` that were times [ns]: they are factors of what the named front has.
_FRONT = {
    **{f"{name}_ns": f"{name}_factor" for name in ("electron_delay", "muon_delay", "onset")},
    "local_ns": "local_factor",
    "electron_shape": "model",
}


def _moved(path: tuple) -> str:
    """Where a key of the sections `network`, `networks` and `front` is that once was elsewhere;
    empty for others.
    """
    *section, name = path
    if section == ["front"]:
        return f"front.{_FRONT[name]}" if name in _FRONT else ""
    place = {"correct": "corrects"}
    place |= {field.name: f"inputs.{field.name}" for field in fields(InputsConfig)}
    place |= {field.name: f"options.{field.name}" for field in fields(GridOptions)}
    here = section == ["network"] or (len(section) == 2 and section[0] == "networks")
    return ".".join((*section, place[name])) if here and name in place else ""


def nearest(path: tuple) -> str:
    """The known key that an unknown one may mean, as words to append; empty where none is near."""
    if _moved(path):
        return f"; it is now {_moved(path)}"
    # An entry of `networks` has its own keys, below its name.
    start, kind = (2, NetworkSettings) if len(path) > 2 and path[0] == "networks" else (0, Config)
    *section, name = path[start:]
    known = list(leaves(kind))
    depth = len(section)
    inside = {key[depth]: key[: depth + 1] for key in known if key[:depth] == tuple(section)}
    match = difflib.get_close_matches(str(name), inside, 1)
    found = inside[match[0]] if match else None
    if found is None:
        anywhere = {key[-1]: key for key in reversed(known)}
        match = difflib.get_close_matches(str(name), anywhere, 1, cutoff=0.8)
        found = anywhere[match[0]] if match else None
    return f"; did you mean {'.'.join((*path[:start], *found))}?" if found else ""


#: Words for the kinds of pydantic's errors, with the numbers in their context.
_WORDS = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "must be text in UTF-8",
    "dataclass_type": "must be a map of keys to values",
    "dict_type": "must be a map of keys to values",
    "tuple_type": "must be a list",
    "literal_error": "must be {expected}",
    "greater_than": "must be > {gt}",
    "greater_than_equal": "must be >= {ge}",
    "less_than": "must be < {lt}",
    "less_than_equal": "must be <= {le}",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must not be empty",
    "too_short": "must have at least {min_length} entries",
}


def problem_of(error: dict) -> tuple[tuple, str]:
    """(path, words) of one of pydantic's errors."""
    kind, path = error["type"], tuple(error["loc"])
    context = error.get("ctx", {})
    numbers = {key: flow(value) for key, value in context.items() if isinstance(value, int | float)}
    words = _WORDS[kind].format(**context | numbers) if kind in _WORDS else None
    if path[-1:] == ("[key]",):
        path = path[:-1]
        if kind == "value_error":
            return path, str(context["error"])
        if kind == "literal_error":
            return path, f"unknown; known are {context['expected']}"
        return path, f"the name {words}" if words else error["msg"]
    if kind == "unexpected_keyword_argument":
        return path, f"unknown{nearest(path)}"
    if kind == "missing":
        return path, "is missing"
    if kind == "value_error":
        return path, str(context["error"])
    if words is None:
        return path, f"{error['msg']}, not {shown(error['input'])}"
    return path, f"{words}, not {shown(error['input'])}"
