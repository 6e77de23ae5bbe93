"""`tashower init`: a folder to begin with."""

import argparse
import shutil
from pathlib import Path

from tashower.cli.messages import say
from tashower.cli.words import add_command
from tashower.errors import InputError

_PRESETS = ("telescope_array", "auger", "hisparc", "own")


def _sources(preset: str) -> dict[str, Path]:
    """{name: file of the package} of what a preset puts into the folder."""
    from tashower import config
    from tashower.calibration.calibration import DEFAULT

    folder = Path(config.__file__).with_name("presets") / preset
    found = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
    return found | ({"calibration.json": DEFAULT} if preset == "hisparc" else {})


def _write(sources: dict[str, Path], folder: Path) -> None:
    """Copy files into a folder, all of them or none.

    Raises
    ------
    InputError : one of them is there.
    """
    from tashower.io.atomic import written_aside

    if there := [str(folder / name) for name in sources if (folder / name).exists()]:
        raise InputError(f"{', '.join(there)}: is there, and would be overwritten")
    made = []
    try:
        for name, source in sources.items():
            made.append(folder / name)
            with written_aside(folder / name) as aside:
                shutil.copyfile(source, aside)
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise


def _init(args) -> None:
    import shlex

    folder = Path(args.folder)
    sources = _sources(args.preset)
    _write(sources, folder)
    lines = [
        f"{folder}: {', '.join(sources)}",
        "Read and change mine.yaml, then:",
        f"    cd {shlex.quote(str(folder))}",
        "    tashower config --check mine.yaml",
        "    tashower run --config mine.yaml",
    ]
    say("\n".join(lines))


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Add `init`."""
    sub = add_command(
        commands,
        "init",
        _init,
        "Begin: write a commented configuration for an array, and what it names, into a folder.",
    )
    sub.add_argument("folder", help="folder to write to; what is there is not overwritten")
    sub.add_argument(
        "--preset",
        required=True,
        choices=_PRESETS,
        help="own: an array of any layout, with an example of its table of stations",
    )
