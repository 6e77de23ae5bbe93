"""The models in other words: JSON schema, Markdown tables, the default configuration as YAML."""

import textwrap
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from tashower.config.generators import OPTIONS_OF_KIND, GeneratorSettings
from tashower.config.models import Config
from tashower.config.networks import NETWORKS, GridOptions
from tashower.config.reading import as_dict
from tashower.config.yaml_text import flow

_WIDTH = 100


class _NoTitles(GenerateJsonSchema):
    """Without the titles that pydantic makes of the names."""

    def field_title_should_be_set(self, schema) -> bool:
        """Never."""
        return False


def _schema_of(kind) -> dict:
    """The schema of a dataclass, descriptions on one line."""
    made = TypeAdapter(kind).json_schema(schema_generator=_NoTitles)
    for entry in (made, *made.get("$defs", {}).values()):
        entry.pop("title", None)
        if "description" in entry:
            entry["description"] = " ".join(entry["description"].split())
    return made


@cache
def schema() -> dict:
    """The JSON schema (draft 2020-12) of the configuration."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | _schema_of(Config)


def _followed(entry: dict) -> dict:
    """An entry of the schema, its reference followed."""
    if "$ref" not in entry:
        return entry
    return schema()["$defs"][entry["$ref"].rsplit("/", 1)[-1]] | entry


def _keys(values, entry: dict) -> Iterator[tuple[str, object, dict]]:
    """(key, default, schema) of a section's keys; a default that is a dataclass is a section."""
    for field in fields(values):
        default, item = getattr(values, field.name), _followed(entry["properties"][field.name])
        if field.name == "networks":
            default = NETWORKS
        elif field.name == "options" and not isinstance(values, GeneratorSettings):
            default, item = GridOptions(), _schema_of(GridOptions)
        yield field.name, default, item


def _range(entry: dict) -> str:
    if "enum" in entry:
        return ", ".join(str(value) for value in entry["enum"])
    text = {"object": "map", "array": "list", "boolean": "true, false"}.get(
        entry["type"], entry["type"]
    )
    limits = [
        f"{sign} {flow(entry[key])}"
        for key, sign in (
            ("exclusiveMinimum", ">"),
            ("minimum", ">="),
            ("exclusiveMaximum", "<"),
            ("maximum", "<="),
        )
        if key in entry
    ]
    return " ".join([text, ", ".join(limits)]).strip()


def _tables(name: str, values, entry: dict) -> list[str]:
    """The Markdown of a section, and of those inside of it after it."""
    inner, rows = [], []
    for key, default, item in _keys(values, entry):
        if is_dataclass(default):
            inner += _tables(f"{name}.{key}" if name else key, default, item)
        else:
            shown = flow(default).replace("|", "\\|")
            rows.append(f"| `{key}` | {_range(item)} | `{shown}` | {item['description']} |")
    title, about = (name, entry["description"]) if name else ("top level", "Outside any section.")
    head = [
        f"## {title}",
        "",
        about,
        "",
        "| key | type, range | default | meaning |",
        "|---|---|---|---|",
    ]
    return [*head, *rows, "", *inner]


def describe() -> str:
    """Every key of the configuration as Markdown tables: type and range, default, meaning."""
    whole = schema()
    one = whole["$defs"]["GeneratorSettings"]  # there is none by default
    of_generators = _tables("generators.NAME", GeneratorSettings(), one)
    for kind, options in OPTIONS_OF_KIND.items():
        name = f"generators.NAME.options of the kind {kind}"
        of_generators += _tables(name, options(), _schema_of(options))
    return "\n".join([*_tables("", Config(), whole), *of_generators]).strip()


def _yaml(values, entry: dict, indent: str) -> list[str]:
    """The lines of a section: each key after a comment that says what it means."""
    lines = []
    for key, default, item in _keys(values, entry):
        mark = f"{indent}# "
        lines += [""] if not indent and lines else []
        lines += textwrap.wrap(
            item["description"],
            _WIDTH,
            initial_indent=mark,
            subsequent_indent=mark,
            break_long_words=False,
            break_on_hyphens=False,
        )
        if is_dataclass(default):
            lines += [f"{indent}{key}:", *_yaml(default, item, f"{indent}  ")]
        elif key == "networks":  # one line each
            lines.append(f"{indent}{key}:")
            lines += [f"{indent}  {name}: {flow(each)}" for name, each in default.items()]
        else:
            lines.append(f"{indent}{key}: {flow(default)}")
    return lines


def _completed(values: dict, default: dict, indent: str) -> list[str]:
    lines = []
    for key, value in values.items():
        usual = default.get(key) if isinstance(default, dict) else None
        if isinstance(value, dict) and value:
            lines += [f"{indent}{key}:", *_completed(value, usual, f"{indent}  ")]
        else:
            mark = "" if usual is None or value == usual else f"  # default: {flow(usual)}"
            lines.append(f"{indent}{key}: {flow(value)}{mark}")
    return lines


def completed_yaml(config: Config) -> str:
    """A whole configuration as YAML, with the default beside what differs from it."""
    return "\n".join(_completed(as_dict(config), as_dict(Config()), ""))


def default_yaml() -> str:
    """The default configuration as YAML, each key with its meaning: the text of
    config/config.yaml.
    """
    return "\n".join(
        ["# yaml-language-server: $schema=config.schema.json", "", *_yaml(Config(), schema(), "")]
    )
