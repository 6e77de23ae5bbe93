"""What several commands have in common: adding a command, and reading its words."""

import argparse
from collections.abc import Callable, Iterable

from tashower.errors import InputError

_CONFIG_HELP = (
    "configuration: a YAML file, or JSON text that starts with '{'; left out: the defaults"
)


def add_command(
    commands: "argparse._SubParsersAction",
    name: str,
    run: Callable[[argparse.Namespace], None],
    text: str,
    configured: bool = False,
) -> argparse.ArgumentParser:
    """A new command that calls `run`; configured: it takes --config."""
    sub = commands.add_parser(name, help=text, description=text)
    sub.set_defaults(run=run)
    if configured:
        sub.add_argument("--config", help=_CONFIG_HELP)
    return sub


def named(pairs: Iterable[str] | None) -> dict[str, list[str]]:
    """NAME=FILE words, grouped by name.

    Raises
    ------
    InputError : a word without "=".
    """
    found: dict[str, list[str]] = {}
    for pair in pairs or ():
        name, separator, path = pair.partition("=")
        if not separator:
            raise InputError(f"{pair}: NAME=FILE is needed")
        found.setdefault(name, []).append(path)
    return found
