"""What a trained network is on disk: everything that is needed to apply it. Reading one runs
nothing: a user's model is kept as text, and run from its file alone (`contracts.kept_model`).
"""

import io
import os
from pathlib import Path

import numpy as np
import torch

from tashower.calibration.station_likelihood import StationLikelihood, station_likelihood_from
from tashower.errors import InputError
from tashower.events.array import DETECTOR_SHAPE, Array
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.io.json_file import write_json
from tashower.io.zip_stamp import check_stamp, with_stamp
from tashower.network.contracts import ModelInputs, build_model, kept_model
from tashower.types import FilePath

FORMAT = "tashower network"
VERSION = 2
_NAMES = ("station_features", "event_features")


def array_description(array: Array, bin_width: float = 0.0) -> dict:
    """What two arrays must share for a network to serve both; with bins of its own [ns] the network
    takes those of any detector.
    """
    detector = {name: getattr(array.detector, name) for name in DETECTOR_SHAPE}
    if bin_width > 0:
        detector = {
            name: value for name, value in detector.items() if name not in ("bin_width", "n_bins")
        }
    layout = {}
    if array.kind == "irregular":
        # Nothing else says that these are the stations whose neighbourhoods were learned.
        away = array.position[:, :2] - array.position[:, :2].mean(axis=0)
        layout = {"stations": array.n_stations, "extent_m": float(np.sqrt((away**2).sum(1).mean()))}
    return {
        "lattice": array.kind,
        "spacing_m": float(array.spacing),
        **layout,
        "lateral": array.lateral_name,
        "lateral_reference_m": array.lateral.reference,
        **{f"front_{k}": v for k, v in array.front._asdict().items()},
        **{f"detector_{k}": v for k, v in detector.items()},
    }


def choose_device(wanted: str) -> torch.device:
    """The device for "auto", "cpu" or "cuda".

    Raises
    ------
    InputError : "cuda" where there is no GPU.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda: this machine has no usable GPU")
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device(
        "cuda", int(os.environ.get("LOCAL_RANK", "0"))
    )  # of the processes of torchrun, each has its own


def save_checkpoint(path: FilePath, content: dict) -> None:
    """Write a checkpoint (tensors, numbers, text, lists and dictionaries of them)."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "software": provenance.software(),
        "commit": provenance.commit(),
        "created": provenance.now(),
        "versions": provenance.versions(),
        **content,
    }
    save_aside(path, content)


def save_aside(path: FilePath, content: dict) -> None:
    """torch.save, with a checksum, to a file that has its name when it is whole; a full disk is an
    OSError like that of any other file.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    data = with_stamp(buffer.getvalue())
    with written_aside(path) as aside:
        aside.write_bytes(data)


def load_saved(path: FilePath, device: torch.device | str) -> dict:
    """What `save_aside` wrote; only tensors and plain values are accepted.

    Raises
    ------
    InputError : damaged.
    Exception : whatever torch raises for what is no file of its own.
    """
    check_stamp(path)
    return torch.load(path, map_location=device, weights_only=True)


def load_checkpoint(
    path: FilePath,
    device: torch.device | str = "cpu",
    forms: tuple[tuple[str, int], ...] = ((FORMAT, VERSION),),
) -> dict:
    """Read a checkpoint; only tensors and plain values are accepted.

    forms : what it may call itself, and of which version

    Raises
    ------
    InputError : no such file, damaged, not a checkpoint, another version.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        content = load_saved(path, device)
    except InputError:
        raise
    except Exception as error:  # torch raises many kinds for a damaged file
        raise InputError(f"{path}: not a checkpoint ({str(error).splitlines()[0][:100]})") from None
    if (
        not isinstance(content, dict)
        or (content.get("format"), content.get("version")) not in forms
    ):
        kind, version = forms[0]
        raise InputError(f"{path}: not a {kind} of version {version}")
    return content


def stations_of(content: dict, path: FilePath) -> StationLikelihood | None:
    """The station likelihood that the network of a checkpoint at `path` is told of; None: it is
    not.
    """
    kept = content.get("station_likelihood")
    return kept and station_likelihood_from(kept, path)


def inputs_of(content: dict) -> ModelInputs:
    """What the network of a checkpoint sees."""
    names = {key: tuple(content["model_inputs"][key]) for key in _NAMES}
    return ModelInputs(**content["model_inputs"] | names)


def build_network(
    content: dict, path: FilePath, device: torch.device | str, named: str | None = None
) -> torch.nn.Module:
    """The trained network of the checkpoint at `path`, ready to apply; named: file of its model.

    Raises
    ------
    InputError : its model is a user's file that is not there, or is another one.
    """
    model = kept_model(content["model"], path, named)
    network = build_model(model, inputs_of(content), content["options"])
    network.load_state_dict(content["weights"])
    return network.to(device).eval()


def _alike(a, b) -> bool:
    """Equal words, or numbers within a per cent: surveyed spacings differ a little."""
    return a == b if isinstance(a, str) else bool(np.isclose(a, b, rtol=0.01))


def check_array(content: dict, array: Array, where: object) -> None:
    """Refuse an array that the network was not trained for.

    Raises
    ------
    InputError : names what differs.
    """
    trained, found = content["array"], array_description(array)
    differs = [
        f"{k} {found.get(k, 'of none')} (trained with {trained[k]})"
        for k in trained
        if k not in found or not _alike(found[k], trained[k])
    ]
    if differs:
        raise InputError(
            f"{where}: the network was trained for another array: {', '.join(differs)}"
        )


def write_history(path: FilePath, history: list[dict], how: dict, inputs: list) -> None:
    """Write the training curve as JSON, `epochs`, with what made it.

    how : of `stages.stated`; inputs : [[name, checksum]]
    """
    content = {
        "format": "tashower history",
        "version": 1,
        "software": provenance.software(),
        "commit": provenance.commit(),
        "created": provenance.now(),
        "versions": provenance.versions(),
        **how,
        "made_from": inputs,
        "epochs": history,
    }
    write_json(path, content)
