"""A trained network as an ONNX file (https://onnx.ai), for other languages and runtimes.

The file holds all that lies between the inputs as they are and the corrections as they are:
normalisation, the network, its head, the mean over the orientations, units. Its inputs are those of
the contract (`tashower.network.contracts`) that the network reads, not normalised; what they and
the outputs mean stands in the file: a text for each, and metadata (`metadata_of`).
"""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from tashower.errors import InputError
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.io.hdf5 import made_from
from tashower.network.apply import check_features
from tashower.network.checkpoint import build_network, load_checkpoint
from tashower.network.contracts import find_head
from tashower.network.normalisation import normalise
from tashower.network.predict import Trained
from tashower.network.temperature import BLOCKS
from tashower.network.tiles import ORIENTATIONS, TARGETS, target_matrix
from tashower.network.turns import Turns
from tashower.reconstruction.features import EVENT_FEATURES
from tashower.types import FilePath

FORMAT, VERSION = "tashower network in ONNX", "1"
#: Largest difference between the file and torch: of the rms of a target, and of the value.
AGREEMENT = 1e-4
UNITS = ("direction cosine", "direction cosine", "m", "m", "log10")
#: Station features that are 0 or 1; random events have them so.
_MASKS = ("exists", "working", "hit", "timed", "saturated")
_MEANING = {
    "cells": "(events, N, N, F) station features of the tile, in the order and units of"
    " tashower.network.tiles.WITH_SCORES, as many as"
    " `station_features` names, not normalised; 0 where there is no station",
    "event_features": "(events, E) in the order and units of"
    " tashower.reconstruction.features.EVENT_FEATURES, not normalised; NaN where undefined",
    "waveform": "(hits, T, L) ln(1 + VEM per bin) of the stations with a hit, of all events",
    "waveform_place": "(hits,) which cell of the batch each waveform belongs to: event N N + cell,"
    " cells row by row",
    "correction": "(events, 5) to add to the fit: direction cosines, core [m], log10(energy), in"
    " the frame of the lattice: x along its first axis, y to the left of it",
    "covariance": "(events, 5, 5) of the correction, in the same order and units",
}


class Answer(nn.Module):
    """What `tashower apply` finds for events, from inputs as `sample.take_batch` gives them.

    Parameters
    ----------
    content : of the checkpoint
    network : that it describes
    orientations : over which the answer is the mean
    """

    def __init__(self, content: dict, network: nn.Module, orientations: Sequence[int]):
        super().__init__()
        described = content["model_inputs"]
        self.tile, kind = described["tile"], described["lattice"]
        self.trained = Trained(
            network,
            find_head(content["head"]),
            content["normalisation"],
            content["inputs"]["event_features"],
        )
        self.station_features = described["station_features"]
        n_features = len(self.station_features)
        self.turns = Turns(network, orientations, self.tile, kind, n_features)
        back = np.array([target_matrix(one, kind) for one in orientations])
        self.register_buffer("back", torch.from_numpy(back).float(), persistent=False)
        # As `tashower apply` scales the errors.
        factors, each = content.get("temperature") or {}, torch.ones(len(TARGETS))
        for block, factor in factors.items():
            each[list(BLOCKS[block])] = factor
        self.register_buffer("factor", each, persistent=False)
        self.shape = (described["n_bins"], described["n_layers"])
        #: Inputs that the network reads, and what comes out.
        self.names = [
            "cells",
            *(["event_features"] if self.trained.event_features else []),
            *(["waveform", "waveform_place"] if described["waveforms"] else []),
        ]
        says = self.trained.head.predict(torch.zeros(1, described["n_outputs"]))
        self.outputs = ["correction", *(["covariance"] if says[1] is not None else [])]

    def forward(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The `outputs`, from the inputs of `names`."""
        have = dict(zip(self.names, given, strict=True))
        cells = have["cells"]
        batch = (
            cells,
            have.get("event_features", cells.new_zeros(cells.shape[0], len(EVENT_FEATURES))),
            have.get("waveform", cells.new_zeros(0, *self.shape)),
            have.get("waveform_place", torch.zeros(0, dtype=torch.int64)),
            None,
        )
        norm = self.trained.normalisation
        *batch, _ = normalise(batch, norm, self.trained.event_features)
        output = self.turns(*batch)  # (k, b, n_outputs)
        mean, covariance = self.trained.head.predict(output.flatten(0, 1))
        width, n = norm["target_width"], len(TARGETS)
        shape = (self.turns.n, cells.shape[0], n)
        correction = (mean.float().reshape(shape) @ self.back).mean(dim=0) * width
        if covariance is None:
            return (correction,)
        turned = self.back[:, None]
        covariance = covariance.float().reshape(*shape, n)
        covariance = (turned.transpose(2, 3) @ covariance @ turned).mean(dim=0)
        error = width * self.factor
        return correction, covariance * torch.outer(error, error)


def random_events(answer: Answer, n: int, hits: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Inputs of n events with so many hits, of random content of the size that the training sample
    had; not normalised, some event features NaN.
    """
    norm = answer.trained.normalisation
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=random)

    names = answer.station_features
    cells = normal(n, answer.tile, answer.tile, len(names))
    masks = torch.tensor([name in _MASKS for name in names])
    physical = norm["station_mean"] + norm["station_width"] * cells
    cells = torch.where(masks, (cells > -1.0).float(), physical)
    cells = cells * cells[..., names.index("exists"), None]
    features = norm["event_mean"] + norm["event_width"] * torch.sinh(normal(n, len(EVENT_FEATURES)))
    features[normal(*features.shape) > 2.0] = torch.nan
    place = torch.randperm(n * answer.tile**2, generator=random)[:hits].sort().values
    waveform = norm["waveform_width"] * normal(len(place), *answer.shape)
    every = {"cells": cells, "event_features": features, "waveform": waveform}
    return tuple((every | {"waveform_place": place})[name] for name in answer.names)


def _solve_triangular(a, b, *, upper, left=True, unitriangular=False):
    """A x = b for small upper triangular A: from the last row up. ONNX has no such solver."""
    if not upper or not left or unitriangular:
        raise NotImplementedError("only upper triangular matrices on the left")
    found: list[torch.Tensor] = []
    n = a.shape[-1]
    for i in reversed(range(n)):
        rest = b[..., i, :]
        for j, known in zip(reversed(range(i + 1, n)), found, strict=True):
            rest = rest - a[..., i, j, None] * known
        found.append(rest / a[..., i, i, None])
    return torch.stack(found[::-1], dim=-2)


def _name_axes(made) -> None:
    """Call the axes of any length events and hits instead of what torch calls them."""
    words = {}
    for given in made.graph.input:
        axis = given.type.tensor_type.shape.dim[0]
        if not axis.dim_param:
            raise ValueError(f"{given.name} has a fixed length: x.shape[0] for len(x) may help")
        words[axis.dim_param] = "hits" if given.name.startswith("waveform") else "events"
    for value in (*made.graph.input, *made.graph.output, *made.graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param in words:
                axis.dim_param = words[axis.dim_param]


def _converted(answer: Answer):
    """The onnx.ModelProto of the answer."""
    example = random_events(answer, 3, 7)
    any_length = tuple({0: torch.export.Dim.AUTO} for _ in answer.names)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch, about itself
        program = torch.export.export(answer, example, dynamic_shapes=(any_length,))
        program = program.run_decompositions(
            {torch.ops.aten.linalg_solve_triangular.default: _solve_triangular}
        )
        made = torch.onnx.export(
            program,
            (),
            input_names=answer.names,
            output_names=answer.outputs,
            dynamo=True,
            verbose=False,
        )
    found = made.model_proto
    _name_axes(found)
    return found


def metadata_of(content: dict, orientations: Sequence[int], checkpoint: FilePath) -> dict[str, str]:
    """What the file says of itself; lists and numbers as JSON.

    `corrects`: the fit that the correction is added to. `array`: what the array of the events has
    to share with that of the training. `bin_width_ns`: of waveforms. The correction is the mean
    over `orientations`.
    """
    inputs, described = content["inputs"], content["model_inputs"]
    width = inputs.get("bin_width_ns") or content["array"].get("detector_bin_width")
    values = {
        **{name: described[name] for name in ("tile", "n_bins", "n_layers", "lattice")},
        "bin_width_ns": width,
        "orientations": list(orientations),
        **{name: content[name] for name in ("station_features", "event_features", "targets")},
        "units": list(UNITS),
        "array": content["array"],
        "options": content["options"],
        "made_from": made_from([checkpoint]),
    }
    return {
        "format": FORMAT,
        "version": VERSION,
        "software": provenance.software(),
        "commit": provenance.commit(),
        "created": provenance.now(),
        "network": content["name"],
        "model": content["model"]["form"],
        "head": content["head"],
        "corrects": content["corrects"],
        **{
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in values.items()
        },
    }


def check_agreement(answer: Answer, data: bytes, output: FilePath) -> float:
    """Ask onnxruntime and torch for the same random events: many, one, and some without a hit.

    Returns the largest difference, of the sum of the rms of a target and the value; of
    covariances, of the rms and the error.

    Raises
    ------
    InputError : they differ by more than `AGREEMENT`.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    width = answer.trained.normalisation["target_width"].numpy().astype(float)
    worst = 0.0
    for seed, (n, hits) in enumerate(((40, 400), (1, 1), (5, 0))):
        given = random_events(answer, n, hits, seed)
        with torch.no_grad():
            wanted = answer(*given)
        feed = {name: part.numpy() for name, part in zip(answer.names, given, strict=True)}
        for one, other in zip(session.run(answer.outputs, feed), wanted, strict=True):
            value = other.numpy().astype(float)
            if value.ndim == 2:
                scale = width + np.abs(value)
            else:
                error = width + np.sqrt(np.einsum("eii->ei", value))
                scale = error[:, :, None] * error[:, None]
            far = np.abs(one - value) / scale
            worst = max(worst, float(far.max()) if np.isfinite(far).all() else np.inf)
    if worst > AGREEMENT:
        raise InputError(
            f"{output}: onnxruntime and torch differ by {worst:.1e} of the rms of a target:"
            " not written"
        )
    return worst


def export_network(checkpoint: FilePath, output: FilePath, model: FilePath | None = None) -> float:
    """Write the network of a checkpoint as an ONNX file, if onnxruntime finds with it what torch
    finds; returns their largest difference (`check_agreement`).

    Parameters
    ----------
    model : file of the user's model that the checkpoint was trained with; None: where it lay

    Raises
    ------
    InputError : no such packages; a checkpoint that is none; a network, or a head, that torch
        cannot write as ONNX, or whose file gives something else.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"{output}: an ONNX file needs {error.name} (pip install 'tashower[onnx]')"
        ) from None
    content = load_checkpoint(checkpoint)
    check_features(content, checkpoint)
    network = build_network(content, checkpoint, "cpu", model)
    orientations = list(ORIENTATIONS[content["model_inputs"]["lattice"]])
    answer = Answer(content, network, orientations).eval()
    try:
        # What torch says: of packages that are not needed, and pages of code where it fails.
        logging.disable(logging.CRITICAL)
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            made = _converted(answer)
    except Exception as error:  # torch raises many kinds for what it cannot follow
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise InputError(
            f"{checkpoint}: model {content['model']['form']} with head {content['head']} cannot be"
            f" written as ONNX ({type(error).__name__}: {reason[:120]})"
        ) from None
    finally:
        logging.disable(logging.NOTSET)
    made.doc_string = (
        "Correction of an air-shower fit, by a network that tashower trained (docs/network.md)."
    )
    for value in (*made.graph.input, *made.graph.output):
        value.doc_string = _MEANING[value.name]
    onnx.helper.set_model_props(made, metadata_of(content, orientations, checkpoint))
    onnx.checker.check_model(made)
    data = made.SerializeToString()
    worst = check_agreement(answer, data, output)
    with written_aside(output) as aside:
        aside.write_bytes(data)
    return worst
