"""A trained network and the events that it is asked about, and which of its numbers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from tashower.config import InputsConfig
from tashower.errors import InputError
from tashower.network.apply import check_features
from tashower.network.checkpoint import (
    build_network,
    check_array,
    choose_device,
    load_checkpoint,
    stations_of,
)
from tashower.network.contracts import find_head
from tashower.network.normalisation import normalise
from tashower.network.predict import Trained
from tashower.network.sample import (
    Fitted,
    Sample,
    make_sample,
    read_fitted,
    select_fitted,
    take_batch,
)
from tashower.network.tiles import TARGETS
from tashower.types import FilePath

#: What can be asked for: the correction of the direction, along itself, or one of TARGETS.
QUESTIONS = ("direction", *TARGETS)
#: Units of the answer to each.
UNITS = dict(zip(QUESTIONS, ("direction cosines",) * 3 + ("m", "m", "dex"), strict=True))


class Subject(NamedTuple):
    """A network, events that it is asked about, and how.

    The network sees every tile in one orientation, as it lies; what is applied is the mean over
    all equal ones.
    """

    trained: Trained
    inputs: InputsConfig
    fitted: Fitted
    sample: Sample  #: of the same events
    device: torch.device
    checkpoint: dict  #: content of the checkpoint

    @property
    def n(self) -> int:
        """Number of events."""
        return len(self.sample.rows)

    @property
    def width(self) -> np.ndarray:
        """(5,) what 1 of the network's normalised TARGETS is: direction cosines, m, dex."""
        return self.trained.normalisation["target_width"].cpu().numpy().astype(float)


def _rows(fitted: Fitted, number: int, also: Sequence[int], path: FilePath) -> np.ndarray:
    """The first `number` events that pass the cuts, all valid ones where none does, and `also`."""
    fit = fitted.fit
    valid = fit.valid & np.isfinite(fit.energy)
    for row in also:
        if not 0 <= row < len(valid):
            raise InputError(f"{path}: has no event at position {row}: it holds {len(valid)}")
        if not valid[row]:
            raise InputError(f"{path}: the fit has no result of the event at position {row}")
    good = valid & fit.passes_cuts
    rows = np.flatnonzero(good if good.any() else valid)[:number]
    if not len(rows):
        raise InputError(f"{path}: the fit has no result of any event")
    return np.union1d(rows, np.asarray(also, int))


def read_subject(
    checkpoint: FilePath,
    events_path: FilePath,
    fits_path: FilePath,
    number: int,
    also: Sequence[int] = (),
    device: str = "auto",
    model: FilePath | None = None,
) -> Subject:
    """The network of a checkpoint and the first events of a file that pass the fit's cuts.

    Parameters
    ----------
    number : of those events; where none passes the cuts, of those with a result
    also : positions of further events of the file
    model : file of the user's model that the checkpoint was trained with; None: where it lay

    Raises
    ------
    InputError : what `apply.apply_network` refuses; an event that is not there or has no result.
    """
    if number < 1:
        raise InputError(f"number {number}: at least one event is needed")
    content = load_checkpoint(checkpoint)
    check_features(content, checkpoint)
    torch.set_num_threads(content["threads"])
    where = choose_device(device)
    network = build_network(content, checkpoint, where, model).requires_grad_(False)
    inputs = InputsConfig(**content["inputs"])
    stations = stations_of(content, checkpoint)
    fitted = read_fitted(events_path, fits_path, content["corrects"], inputs, stations)
    check_array(content, fitted.events.array, events_path)
    rows = _rows(fitted, number, also, fits_path)
    fitted = select_fitted(fitted, rows)
    norm = {key: value.to(where) for key, value in content["normalisation"].items()}
    trained = Trained(network, find_head(content["head"]), norm, inputs.event_features)
    sample = make_sample(fitted, inputs, rows)
    return Subject(trained, inputs, fitted, sample, where, content)


class Seen(NamedTuple):
    """What the network sees of some events, normalised: the arguments of its `forward`."""

    cells: torch.Tensor  #: (b, N, N, F)
    event_features: torch.Tensor  #: (b, E)
    waveform: torch.Tensor  #: (h, T, L)
    place: torch.Tensor  #: (h,)


def seen(subject: Subject, rows: np.ndarray, sample: Sample | None = None) -> Seen:
    """What the network sees of events; sample : another one than the subject's."""
    batch = take_batch(sample or subject.sample, rows, 0, subject.device)
    *parts, _ = normalise(batch, subject.trained.normalisation, subject.trained.event_features)
    return Seen(*parts)


def corrections(trained: Trained, what: Seen) -> torch.Tensor:
    """(b, 5) normalised corrections, through which gradients pass."""
    return trained.head.predict(trained.network(*what))[0]


def weights_of(question: str, mean: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """(b, 5) what the normalised corrections of each event are weighted by, so that their sum is
    the answer: of "direction" the correction along where it points, which is its length.

    Raises
    ------
    InputError : no such question.
    """
    if question not in QUESTIONS:
        raise InputError(f"target {question}: is none of {', '.join(QUESTIONS)}")
    if question != "direction":
        one = torch.zeros_like(mean)
        one[:, TARGETS.index(question)] = 1.0
        return one * width
    along = mean.detach()[:, :2] * width[:2]
    along = along / along.norm(dim=1, keepdim=True).clamp_min(1e-30)
    return torch.cat([along, torch.zeros_like(mean[:, 2:])], dim=1) * width


def answer(
    subject: Subject, question: str, what: Seen, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """(b,) the answer, in `UNITS`; weights : of `weights_of`; None: those of these events."""
    mean = corrections(subject.trained, what)
    if weights is None:
        width = subject.trained.normalisation["target_width"].to(mean.dtype)
        weights = weights_of(question, mean, width)
    return (mean * weights.to(mean.dtype)).sum(dim=1)
