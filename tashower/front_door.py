"""The functions behind `import tashower as ts`: each a few calls of what the command line calls."""

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tashower.config import Config, as_dict, load_config
from tashower.errors import InputError
from tashower.events.model import Events, Pulses, Reconstruction, Truth
from tashower.types import FilePath

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tashower.calibration.calibration import Calibration
    from tashower.calibration.station_likelihood import StationLikelihood

_log = logging.getLogger("tashower")


@dataclass(frozen=True, repr=False)
class Fits(Mapping):
    """Reconstructions of the same events by method, as attributes and as a dictionary:
    `fits.free`, `fits["free"]`, `for name, table in fits.items()`.

    Attributes
    ----------
    tables : {method: Reconstruction}
    pulses : what was found in the waveforms, one row per hit; None where a file holds none
    features : {name: (n_events,) array}, event features of the free fit; may be empty
    """

    tables: dict[str, Reconstruction]
    pulses: Pulses | None = None
    features: dict[str, np.ndarray] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Reconstruction:
        # Copying and unpickling ask for names before there are tables.
        tables = self.__dict__.get("tables", {})
        if name in tables:
            return tables[name]
        raise AttributeError(f"no reconstruction {name!r}; there are: {', '.join(tables)}")

    def __getitem__(self, name: str) -> Reconstruction:
        return self.tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.tables})

    def __repr__(self) -> str:
        lines = [f"  {name}: {table!r}" for name, table in self.tables.items()]
        pulses = "no pulses" if self.pulses is None else f"{len(self.pulses.arrival_time):,} pulses"
        return "\n".join([f"<Fits: {pulses}, {len(self.features)} event features", *lines]) + ">"


def read(path: FilePath, *more: FilePath) -> Any:
    """What a file holds.

    Parameters
    ----------
    path : a file of tashower, or of an experiment in one of the formats that `tashower convert`
        knows (docs/new_data.md)
    more : further files of the same foreign format, or the table of hits after that of stations

    Returns
    -------
    `Events` for an event file and for foreign formats; `Fits` for a reconstruction file;
    `Calibration`; a dictionary for scores and training curves; for a checkpoint a dictionary that
    describes it, without its weights (`ts.apply` takes the path).

    Raises
    ------
    InputError : no such file, or none that is known; names what is wrong with it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    kind = None if more else _kind_of(path)
    if kind == "tashower events":
        from tashower.io.event_file import read_events

        return read_events(path)
    if kind == "tashower reconstruction":
        from tashower.io.reconstruction_file import read_reconstruction

        return Fits(*read_reconstruction(path))
    if kind == "tashower calibration":
        from tashower.calibration.calibration import read_calibration

        return read_calibration(path)
    if kind == "checkpoint":
        return _describe_checkpoint(path)
    if kind in ("tashower scores", "tashower history"):
        from tashower.io.json_file import parsed_json

        return parsed_json(path)
    if kind is not None:
        raise InputError(f"{path}: holds {kind!r}, which is not known")
    from tashower.convert.convert import convert

    return convert([path, *more])


def _json(path: Path):
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:  # of UTF-8 and of JSON
        raise InputError(f"{path}: not JSON ({error})") from None


def _kind_of(path: Path) -> str | None:
    """What a file of tashower says that it is; None: not one of ours."""
    with open(path, "rb") as file:
        begin = file.read(16)
    if begin.startswith(b"PK\x03\x04"):  # what torch.save writes is a zip archive
        return "checkpoint"
    if begin.lstrip().startswith(b"{"):
        content = _json(path)
        found = content.get("format") if isinstance(content, dict) else None
        return found if str(found).startswith("tashower ") else None
    if begin.startswith((b"\x89HDF", b"tashower file")):
        from tashower.io.hdf5 import read_attributes

        try:
            return read_attributes(path)["format"]
        except InputError:
            if begin.startswith(b"tashower file"):
                raise
    return None


def _describe_checkpoint(path: Path) -> dict:
    """A checkpoint without its tensors, and how many numbers it has learned."""
    from tashower.network.checkpoint import load_checkpoint

    content = load_checkpoint(path)
    weights = content.pop("weights")
    content.pop("normalisation", None)
    return content | {"n_weights": sum(value.numel() for value in weights.values())}


def configuration(source: "Config | FilePath | Mapping | None" = None, **sections: Any) -> Config:
    """A configuration: the defaults, a YAML file, a dictionary or a `Config`; keys of `sections`
    replace those of the same section, or the key itself.

    Raises
    ------
    InputError : names the key that is unknown, of the wrong type or out of range.
    """
    return load_config(as_dict(source) if isinstance(source, Config) else source, sections)


def simulate(
    n: int | None = None,
    seed: int | None = None,
    config: "Config | FilePath | Mapping | None" = None,
    split: str = "test",
    truth: Truth | None = None,
    **sections: Any,
) -> Events:
    """Simulate showers down to triggered waveforms: drawn ones, or those of a table.

    Parameters
    ----------
    n : number of showers that are drawn, 100 when nothing is said; those that do not trigger give
        no event, so fewer may come back
    seed : in place of the configuration's
    config : a YAML file, a dictionary or a `Config`; None: the defaults (config/README.md)
    split : "calibration", "train", "validation" or "test": samples that share no random number
    truth : showers to simulate, in place of n drawn ones
    sections : keys of single sections in place of the configuration's, for example
        `array={"columns": 8, "rows": 8}, showers={"max_zenith_deg": 45}`; with truth, `array` may
        also be an `Array`

    Returns
    -------
    Events, with their truth. The same arguments give the same events, and the first m of n showers
    are those of `simulate(m, ...)`.

    Raises
    ------
    InputError : a key of the configuration, n or split is wrong.
    """
    from tashower.config import SPLITS
    from tashower.events.array import Array
    from tashower.simulation import simulate as stage

    if split not in SPLITS:
        raise InputError(f"split {split!r}: it is one of {', '.join(SPLITS)}")
    if seed is not None:
        sections["seed"] = seed
    if truth is not None:
        if n is not None:
            raise InputError("n and truth: one of the two is needed")
        array = sections.pop("array") if isinstance(sections.get("array"), Array) else None
        settings = configuration(config, **sections)
        return stage.simulate(truth, settings, settings.seed, array)
    n = 100 if n is None else n
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InputError(f"n {n!r}: a whole number from 1 on is needed")
    return stage.simulate_events(configuration(config, **sections), split, 0, int(n))


def _events(source: "Events | FilePath") -> Events:
    found = read(source) if isinstance(source, str | PathLike) else source
    if not isinstance(found, Events):
        raise InputError(f"{source}: holds no events")
    return found


def fit(
    events: "Events | FilePath",
    calibration: "Calibration | FilePath | None" = None,
    methods: Sequence[str] | None = None,
    config: "Config | FilePath | Mapping | None" = None,
    stations: "StationLikelihood | FilePath | None" = None,
) -> Fits:
    """Reconstruct events analytically.

    Parameters
    ----------
    events : or a file of them
    calibration : or a file of `tashower calibrate`; None: that of the default configuration, which
        comes with the package, and a line of the log says so. It is right for events like those
        of the Telescope Array
    methods : names of those that are wanted; None: all
    config : whose section `reconstruction` holds the settings; None: the defaults
    stations : station likelihood, or a file of `tashower station-likelihood`, for the method
        likelihood_edges, which is made where it is given

    Raises
    ------
    InputError : the calibration was made for another lateral distribution or front; an unknown
        method.
    """
    from tashower.calibration.calibration import DEFAULT, Calibration, read_calibration
    from tashower.calibration.station_likelihood import StationLikelihood, read_station_likelihood
    from tashower.reconstruction.methods import methods as all_methods
    from tashower.reconstruction.reconstruct import reconstruct

    events = _events(events)
    if calibration is None:
        _log.warning("fit: no calibration is given: that of the default configuration is used")
        calibration = DEFAULT
    if not isinstance(calibration, Calibration):
        calibration = read_calibration(calibration)
    known = [*all_methods(), *(["standard"] if events.standard is not None else [])]
    unknown = [name for name in methods or () if name not in known]
    if unknown:
        raise InputError(f"no method {', '.join(unknown)}; there are: {', '.join(known)}")
    if stations is not None and not isinstance(stations, StationLikelihood):
        stations = read_station_likelihood(stations)
    tables, pulses, features = reconstruct(
        *(events, calibration, configuration(config).reconstruction),
        only=methods,
        stations=stations,
    )
    return Fits({name: tables[name] for name in methods or tables}, pulses, features)


def apply(
    checkpoint: FilePath,
    events: "Events | FilePath",
    fits: "Fits | FilePath",
    device: str = "auto",
    model: FilePath | None = None,
    temperature: bool = True,
) -> Reconstruction:
    """Correct a reconstruction with a trained network.

    Parameters
    ----------
    checkpoint : file that `tashower train` wrote
    events, fits : the events and their reconstruction by `fit`, or files of them
    device : "auto", "cpu" or "cuda"
    model : file of the model that the checkpoint was trained with, where it is one of your own;
        None: where it lay
    temperature : whether errors are multiplied by the factors from the validation sample

    Raises
    ------
    InputError : the network was trained for another array or other inputs; events and fits that do
        not belong together.
    """
    from tashower.io.event_file import write_events
    from tashower.io.reconstruction_file import read_reconstruction, write_reconstruction
    from tashower.network.apply import apply_network

    with tempfile.TemporaryDirectory(prefix="tashower-") as folder:
        # The network reads files, as it must for samples that are larger than the memory.
        if isinstance(events, Events):
            write_events(Path(folder) / "events.h5", events, {})
            events = Path(folder) / "events.h5"
        if isinstance(fits, Mapping):
            write_reconstruction(
                Path(folder) / "fits.h5", dict(fits), {}, fits.pulses, fits.features
            )
            fits = Path(folder) / "fits.h5"
        output = Path(folder) / "network.h5"
        apply_network(checkpoint, events, fits, output, device, model, temperature)
        return next(iter(read_reconstruction(output)[0].values()))


def score(
    events: "Events | FilePath",
    fits: "Fits | FilePath",
    networks: "Mapping[str, Reconstruction] | None" = None,
    config: "Config | FilePath | Mapping | None" = None,
) -> dict:
    """Score fits and networks on the same simulated events.

    Parameters
    ----------
    events, fits : simulated events and their reconstruction by `fit`, or files of them
    networks : {name: reconstruction that `apply` gave}
    config : whose section `scores` holds bins and number of bootstrap samples; None: the defaults

    Returns
    -------
    The content of scores.json: resolutions, explained variances and pulls with bootstrap errors
    (docs/network.md).

    Raises
    ------
    InputError : no truth; reconstructions of other events; fewer than ten events pass the cuts.
    """
    from tashower.evaluation.comparison import score as score_of
    from tashower.evaluation.names import REFERENCE

    events = _events(events)
    fits = read(fits) if isinstance(fits, str | PathLike) else fits
    if events.truth is None:
        raise InputError("scores need simulated events: these have no truth")
    if REFERENCE not in fits:
        raise InputError(f"scores need the fit {REFERENCE!r}, which is missing")
    networks = dict(networks or {})
    methods = {**fits, **networks}
    for name, table in methods.items():
        if not np.array_equal(table.event_id, events.event_id):
            raise InputError(f"{name}: is not a reconstruction of these events")
    of_networks = dict.fromkeys(networks, ())
    return score_of(configuration(config), methods, events.truth, of_networks)[0]


def show(
    events: "Events | FilePath",
    event: int = 0,
    fits: "Fits | None" = None,
    output: "FilePath | None" = None,
    event_id: "int | None" = None,
    calibration: "Calibration | FilePath | None" = None,
) -> "Figure":
    """Draw one event: footprint, waveforms, times, densities, residuals, parameters.

    Parameters
    ----------
    events : or a file of them
    event : its position, from 0; negative: from the end
    fits : their reconstruction; None: fitted on the spot as `fit` does it, or not at all where the
        calibration that comes with the package does not fit the array
    output : picture to write as well (.png, .pdf, .svg)
    event_id : id of the event, in place of its position
    calibration : that the fits were made with, or a file of it, for the errors and the rejected
        stations of the fits themselves; None: that of the package, where it is the one

    Returns
    -------
    Figure : of matplotlib; a notebook shows it, `figure.savefig` writes it.

    Raises
    ------
    InputError : no such event; fits of other events.
    """
    from tashower.calibration.calibration import DEFAULT, Calibration, read_calibration
    from tashower.evaluation.figures.event import event_figure
    from tashower.evaluation.figures.style import save
    from tashower.evaluation.refit import Made
    from tashower.evaluation.sample import single_event
    from tashower.evaluation.show_event import (
        fit_on_the_spot,
        place_of,
        position_of,
        with_known_calibration,
    )
    from tashower.reconstruction.pulses import find_pulses

    path = None if isinstance(events, Events) else events
    events = _events(events)
    if event_id is None and -len(events) <= event < 0:
        event += len(events)
    event = position_of(path or "events", events, event, event_id)
    if calibration is None or not isinstance(calibration, Calibration):
        calibration = read_calibration(DEFAULT if calibration is None else calibration)
    if fits is None:
        one = events[event]
        tables, pulses, made = fit_on_the_spot(one, calibration)
    elif any(not np.array_equal(t.event_id, events.event_id) for t in fits.values()):
        raise InputError("the fits are not those of these events")
    else:
        pulses = find_pulses(events) if fits.pulses is None else fits.pulses
        made = with_known_calibration(Made(calibration), fits, events, pulses, event)
        one, tables, pulses, _ = single_event(events, event, dict(fits), pulses)
    made = made._replace(place=place_of(path, event))
    figure = event_figure(one, 0, tables, pulses, made)
    if output is not None:
        save(figure, output)
    return figure


def view(
    events: "Events | FilePath",
    fits: "Fits | Sequence[FilePath] | None" = None,
    output: FilePath = "view.html",
    event: "Sequence[int] | None" = None,
    event_id: "Sequence[int] | None" = None,
    number: "int | None" = None,
    calibration: "Calibration | FilePath | None" = None,
) -> Path:
    """Write events as one page for a browser, which needs nothing else: events are chosen there,
    stations clicked for their waveforms, methods switched on and off.

    Parameters
    ----------
    events : or a file of them
    fits : their reconstruction, or reconstruction files, of fits and networks; None: the chosen
        events are fitted on the spot, as `show` does it
    output : page to write (.html)
    event, event_id : positions of the events, from 0, or their ids
    number : how many, the first ones; of the three one at most. None: all, but at most 200
    calibration : that the fits were made with, or a file of it; None: that of the package, where
        it is the one

    Returns
    -------
    Path : of the page. Its address with `#id=ID` leads to an event, `&station=NAME` to a station.

    Raises
    ------
    InputError : no such event; fits of other events; a page that is no .html.
    """
    from tashower.evaluation.view import Choice, write_view

    path = None if isinstance(events, Events) else events
    events = _events(events)
    if isinstance(fits, str | PathLike):
        fits = [fits]
    pulses = fits.pulses if isinstance(fits, Fits) else None
    choice = Choice(event or (), event_id or (), number)
    text = write_view(events, path, output, fits or (), pulses, choice, calibration)
    _log.info(f"{output}: {text}")
    return Path(output)
