"""Mutations of files of every foreign format: each is converted and, where it was accepted, read
back and fitted. Seeded: trial k of a format is the same every time.
"""

import shutil
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np

from chaos.inputs import EVENT_FILE, MUTATIONS, SAMPLES, unharmed
from chaos.trials import Outcome, quiet, run_trials
from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import load_config
from tashower.convert.convert import convert_file
from tashower.errors import InputError
from tashower.io.event_file import read_events
from tashower.reconstruction.reconstruct import reconstruct

#: Words of `trial` that are no faults.
GOOD = ("accepted", "refused")


def where_of(error: BaseException) -> str:
    """Type, place in the package and begin of what an exception says."""
    place, trace = "", error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if "tashower" in path.parts:
            place = f"{path.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    said = (str(error).splitlines() or [""])[0][:80]
    return f"{type(error).__name__} at {place}: {said}"


def _fit(path) -> None:
    """Read what was converted, and fit it."""
    events = read_events(path)  # what conversion wrote has to be readable
    with suppress(InputError):  # made for another array than the calibration
        reconstruct(events, read_calibration(DEFAULT), load_config().reconstruction)


def trial(name: str, seed: int, k: int, folder: Path) -> tuple[str, str]:
    """(word, what was said) of mutation k: "accepted" and fitted or "refused" with one line that
    names a file; else what went wrong.
    """
    rng = np.random.default_rng([seed, sorted(MUTATIONS).index(name), k])
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "out").mkdir(parents=True)
    try:
        call = MUTATIONS[name](rng, folder)
    except Exception as error:
        return "no mutation", f"{type(error).__name__}: {error}"
    to, force = folder / "out" / "events.h5", rng.random() < 0.3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A number that cannot be whole, and became one all the same.
        warnings.filterwarnings("error", message=".*invalid value encountered in cast")
        try:
            if call.kind == EVENT_FILE:
                read_events(call.paths[0])
                to = call.paths[0]
            else:
                convert_file(call.paths, to, call.kind, call.stations, call.options, force=force)
        except InputError as error:
            word, text = _refused(str(error), folder)
        except OSError as error:  # one line of the command's, if it says where
            clear = error.errno is not None and error.filename is not None
            word, text = ("refused", "") if clear else ("traceback", where_of(error))
        except MemoryError as error:
            word, text = "memory", where_of(error)
        except BaseException as error:
            word, text = "traceback", where_of(error)
        else:
            word, text = "accepted", ""
        left = [path.name for path in (folder / "out").iterdir()]
        if word != "accepted":
            return ("half-written", f"{left} after: {text}") if left else (word, text)
        try:
            _fit(to)
        except MemoryError as error:
            return "memory", f"fit: {where_of(error)}"
        except BaseException as error:
            return "traceback", f"accepted, then {where_of(error)}"
    return word, text


def _refused(message: str, folder: Path) -> tuple[str, str]:
    """Whether a message is what it should be: one line, not too long, naming a file."""
    if "\n" in message or len(message) > 400 + len(str(folder)):
        return "unclear", f"message of {len(message)} characters: {message[:100]!r}"
    if str(folder) not in message and str(SAMPLES) not in message:
        return "unclear", f"message names no file: {message[:100]!r}"
    return "refused", ""


def _warm(folder: Path) -> None:
    """Compile what conversion and fit call, before processes are made that would each do it."""
    for call in unharmed(folder):
        convert_file(call.paths, folder / "warm.h5", call.kind, call.stations, call.options)
        _fit(folder / "warm.h5")


def mutate(
    n: int, seed: int = 1, names: tuple[str, ...] = tuple(MUTATIONS), first: int = 0
) -> dict[str, Outcome]:
    """{format: outcome} of n mutations of each format, from number `first` on."""
    with quiet(), tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        (Path(folder) / "warm").mkdir()
        _warm(Path(folder) / "warm")
        return {
            name: run_trials(
                lambda k, name=name: trial(name, seed, k, Path(folder) / "trial"),
                range(first, first + n),
                GOOD,
            )
            for name in names
        }
