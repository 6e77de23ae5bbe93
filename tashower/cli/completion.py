"""`tashower completion`: commands, options and files at a press of the tab key."""

import argparse
import os

from tashower.cli.messages import say
from tashower.cli.words import add_command

_WHERE = {
    "bash": 'eval "$(tashower completion bash)"          # in ~/.bashrc',
    "zsh": 'eval "$(tashower completion zsh)"           # in ~/.zshrc, after compinit',
    "fish": "tashower completion fish | source           # in ~/.config/fish/config.fish",
}


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions, and end; else nothing."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)


def _completion(args) -> None:
    import argcomplete

    say(argcomplete.shellcode(["tashower"], shell=args.shell))


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `completion`."""
    sub = add_command(
        commands,
        "completion",
        _completion,
        "Print what a shell needs to complete commands, options and files.",
    )
    sub.formatter_class = argparse.RawDescriptionHelpFormatter
    sub.epilog = "\n".join(_WHERE.values())
    sub.add_argument("shell", choices=_WHERE, help="which shell")
