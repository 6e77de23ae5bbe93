"""What several commands have in common: adding a command, and reading its words.

Everywhere alike: what a command reads first stands by position, what it writes behind
`-o`/`--output`. Options that once stood in their place are still taken.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence

from tashower.errors import InputError

_CONFIG_HELP = (
    "configuration: a YAML file, or JSON text that starts with '{'; left out: the defaults"
)


class CommandParser(argparse.ArgumentParser):
    """A parser whose files stand by position, or behind the option that they once had."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self._former: dict[str, argparse.Action] = {}

    def add_input(
        self, name: str, help: str, former: str | None = None, several: bool = False
    ) -> None:
        """Files to read, by position; former : an option that is taken in its place."""
        settings = {"nargs": "+"} if several else {}
        action = self.add_argument(name, help=help, **settings)
        if former is not None:
            self.add_argument(former, dest=name, help=argparse.SUPPRESS, **settings)
            self._former[former] = action

    def add_output(
        self, help: str, former: Sequence[str] = (), required: bool = True, **settings: object
    ) -> None:
        """The file to write."""
        names = ("-o", "--output", *former)
        self.add_argument(*names, dest="output", required=required, help=help, **settings)

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse does; where a former option is given, its place by position is empty."""
        given = {word.partition("=")[0] for word in args or ()}
        for former, action in self._former.items():
            if former in given:
                action.nargs, action.required, action.dest = 0, False, argparse.SUPPRESS
                action.default = argparse.SUPPRESS
        namespace, further = super().parse_known_args(args, namespace)
        vars(namespace).pop(argparse.SUPPRESS, None)  # that place
        return namespace, further


def add_command(
    commands: "argparse._SubParsersAction",
    name: str,
    run: Callable[[argparse.Namespace], int | None],
    text: str,
    configured: bool = False,
) -> CommandParser:
    """A new command that calls `run`; configured: it takes --config."""
    # argparse fills the help in, not the description.
    sub = commands.add_parser(name, help=text.replace("%", "%%"), description=text)
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
