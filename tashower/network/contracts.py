"""What a model is, how one is found by its name or in a user's file, and built.

A model is one function, `model(inputs, **options)`: it gets a `ModelInputs` and the options of the
configuration and returns a torch module with

    forward(cells, event_features, waveform, waveform_place) -> (b, n_outputs)

    cells : (b, N, N, F) normalised station features; 0 where there is no station
    event_features : (b, E) normalised; E = 0 without them
    waveform : (h, T, L) of the stations with a hit, of all events of the batch; h = 0 without them
    waveform_place : (h,) which cell of the batch each belongs to, event N N + cell

A module that says `encodes_once = True` also takes a waveform_place of (k, h), a waveform in k
cells of the batch, and encodes each once: applied, an event is shown in k orientations, and no turn
changes a waveform. Others get the waveforms k times.

In training it may also return (output, loss): a scalar, weighted as its options say and meant over
the batch, that is added to the loss of the head (an auxiliary head; Szegedy et al. 2015,
arXiv:1409.4842). The validation loss has none of it.

It starts at an output of 0, which is no correction, and the events of a batch do not see each other
when it is applied. tests/network/test_models.py is what every model passes.
"""

import hashlib
import importlib
import inspect
import pkgutil
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import torch

from tashower.errors import InputError
from tashower.types import FilePath


@dataclass(frozen=True)
class ModelInputs:
    """What a model sees and how much it says.

    Attributes
    ----------
    tile : N, stations along a side of the tile
    n_bins, n_layers : T and L of a waveform
    station_features : names of the F channels of a cell (`tiles.STATION_FEATURES`)
    event_features : names of the E event features (`reconstruction.features`); empty without them
    waveforms : whether there are waveforms
    lattice : "square"; "hexagonal": then the tile is a rhombus of axial coordinates; "irregular":
        then its cells are the N^2 stations nearest to the fitted core, in that order
    n_outputs : numbers for an event, as many as the head wants
    """

    tile: int
    n_bins: int
    n_layers: int
    station_features: tuple[str, ...]
    event_features: tuple[str, ...]
    waveforms: bool
    lattice: str
    n_outputs: int


class Model(NamedTuple):
    """A model function and where it is from."""

    make: Callable  #: model(inputs, **options)
    form: str  #: name of a built-in model, or path of a file
    source: str  #: text of the file; empty for a built-in model
    sha256: str  #: of the file's bytes; empty for a built-in model


def built_in(kind: str) -> list[str]:
    """Names of the built-in "models" or "heads"."""
    package = importlib.import_module(f"tashower.network.{kind}")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def find_head(name: str, loss: str = "huber") -> ModuleType:
    """The head of that name (`tashower.network.heads`); loss : another one than its own, which
    `mean` has.

    Raises
    ------
    InputError : there is none.
    """
    if name not in built_in("heads"):
        raise InputError(f"head {name}: is none of {', '.join(built_in('heads'))}")
    head = importlib.import_module(f"tashower.network.heads.{name}")
    return head if loss == "huber" else head.with_loss(loss)


def find_model(form: str) -> Model:
    """The built-in model of that name, or the one that a Python file defines.

    The file is code of yours and is run: name only files that you trust.

    Raises
    ------
    InputError : neither, or the file defines no function `model`.
    """
    if form in built_in("models"):
        return Model(importlib.import_module(f"tashower.network.models.{form}").model, form, "", "")
    path = Path(form)
    if not path.is_file():
        raise InputError(f"model {form}: is none of {', '.join(built_in('models'))}, and no file")
    try:
        data = path.read_bytes()
        make = runpy.run_path(str(path))["model"]
        return Model(make, form, data.decode(), hashlib.sha256(data).hexdigest())
    except KeyError:
        raise InputError(f"{path}: defines no function model(inputs, **options)") from None
    except Exception as error:  # whatever a user's file may do
        raise InputError(f"{path}: {type(error).__name__}: {error}") from None


def kept_model(kept: dict, checkpoint: FilePath, named: str | None = None) -> Model:
    """The model of a checkpoint. Code of a user is run only from a file that was named or that lies
    where it lay, and only if it is to the byte what the checkpoint was trained with.

    Parameters
    ----------
    kept : form, source and sha256 of the `Model`
    checkpoint : path, for messages
    named : file that the user names now; None: where the file lay in training

    Raises
    ------
    InputError : the file is not there, or is another one.
    """
    if not kept["sha256"]:
        if named is not None:
            raise InputError(f"{named}: {checkpoint} has the built-in model {kept['form']}")
        return find_model(kept["form"])
    path = Path(kept["form"] if named is None else named)
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != kept["sha256"]:
        raise InputError(
            f"{checkpoint}: was trained with a user's model, which is run only from its file, and"
            f" {path} is not {'that file' if path.is_file() else 'there'} (sha256"
            f" {kept['sha256'][:12]}): name it with --model; the checkpoint holds its text"
        )
    return find_model(str(path))


def check_options(model: Model, options: dict) -> None:
    """Refuse options that the model does not have, and missing ones that have no default."""
    _, *parameters = inspect.signature(model.make).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    names = [p.name for p in parameters]
    unknown = [name for name in options if name not in names]
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in options]
    if unknown:
        raise InputError(
            f"model {model.form}: has no option {', '.join(unknown)};"
            f" it has {', '.join(names) or 'none'}"
        )
    if missing:
        raise InputError(f"model {model.form}: option {', '.join(missing)} is missing")


def _probe(network: torch.nn.Module, inputs: ModelInputs) -> torch.Size:
    """Shape of the output for two events without content; also sizes lazy layers."""
    n, h = inputs.tile, 3 if inputs.waveforms else 0
    with torch.no_grad():
        output = network.eval()(
            torch.zeros(2, n, n, len(inputs.station_features)),
            torch.zeros(2, len(inputs.event_features)),
            torch.zeros(h, inputs.n_bins, inputs.n_layers),
            torch.tensor([0, 1, n * n])[:h],
        )
    network.train()
    return output.shape


def build_model(model: Model, inputs: ModelInputs, options: dict) -> torch.nn.Module:
    """The module that the model makes of these inputs, tried on two empty events.

    Raises
    ------
    InputError : an option that the model does not have; a user's code that fails or gives another
        number of outputs.
    """
    check_options(model, options)
    try:
        network = model.make(inputs, **options)
        shape = tuple(_probe(network, inputs))
    except Exception as error:
        if not model.sha256:
            raise
        raise InputError(f"{model.form}: {type(error).__name__}: {error}") from None
    if shape != (2, inputs.n_outputs):
        raise InputError(
            f"{model.form}: its output for 2 events is {shape}, not {(2, inputs.n_outputs)}"
        )
    return network
