"""Sentences and tables of the page of what a network looks at."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tashower.evaluation.figures.insight import by_importance
from tashower.evaluation.rounding import number, pm, with_error
from tashower.events.flat import counted
from tashower.io import provenance
from tashower.types import FilePath

if TYPE_CHECKING:
    from tashower.evaluation.explain import Found

WITHOUT_CAPTUM = (
    "integrated gradients are left out: captum is not installed (pip install 'tashower[explain]')"
)
#: Inputs that the sentence of the most important ones names (choice).
_NAMED = 3
#: What each question asks for.
ASKED = {
    "direction": "the correction of the direction, along where the network turns it",
    "axis_x": "the correction of the direction cosine along the lattice's first axis",
    "axis_y": "the correction of the direction cosine across the lattice's first axis",
    "core_x": "the correction of the core along the lattice's first axis",
    "core_y": "the correction of the core across the lattice's first axis",
    "log10_energy": "the correction of log10 of the energy",
}


def completeness(found: "Found") -> tuple[float, float] | None:
    """(rms of what the sum of the integrated gradients lacks, rms of what it should be)."""
    of = found.attribution
    if of is None:
        return None
    return tuple(float(np.sqrt(np.mean(v**2))) for v in (of.missing, of.answer - of.baseline))


def _most_important(found) -> str:
    of = found.importance
    names = [k for k in by_importance(of) if not of.names[k].startswith("all ")][:_NAMED]
    if of.ev_lost is None or of.n < 2:
        moved = (f"{of.names[k]} ({pm(of.change[k])} deg)" for k in names)
        return (
            f"permuted, these inputs move the direction most (68 % of events): {', '.join(moved)}"
        )
    lost = (f"{of.names[k]} ({pm(of.ev_lost[k])})" for k in names)
    return (
        f"explained variance of the direction of {counted(of.n, 'event')}: {pm(of.whole['ev'])}; "
        f"the inputs whose permutation costs most of it: {', '.join(lost)}"
    )


def _taken_back(found) -> str:
    of, spacing = found.shifts, found.subject.fitted.events.array.spacing
    share = -of.along.mean(axis=(1, 2)) / of.applied
    moved = np.degrees(np.sqrt((of.axis**2).sum(axis=-1).mean(axis=(1, 2))))
    one = int(np.argmin(np.abs(of.applied - spacing)))
    shown = dict.fromkeys((0, one))
    parts = [
        f"of a shift of {of.applied[k]:,.0f} m it takes back {number(100 * share[k])} %, and turns"
        f" the direction by {moved[k]:.2g} deg (rms)"
        for k in shown
    ]
    return f"the fitted core moved by hand: {'; '.join(parts)}"


def findings(found: "Found") -> list[str]:
    """What the page says first."""
    sentences = [_most_important(found), _taken_back(found)]
    lacks = completeness(found)
    if lacks is not None:
        asked = counted(len(found.attribution.rows), "event")
        sentences.append(
            f"completeness of the integrated gradients: their sum lacks"
            f" {with_error(lacks[0], digits=2)} (rms of {asked}) of an output difference of"
            f" {with_error(lacks[1], digits=2)} (rms)"
        )
    return sentences


def left_out(found: "Found") -> list[str]:
    """What the page does not show, and why."""
    inputs = found.subject.inputs
    said = []
    if not inputs.waveforms:
        said.append("The network reads no waveforms: there are no filters and no maps along them.")
    elif found.filters is None:
        said.append(
            "No layer of the model gives an output for every hit, or the sample has none: no filter"
            " of the waveforms can be shown."
        )
    elif not found.maps.waveform_layer:
        said.append("No layer of the waveform encoder keeps the time: there are no maps along it.")
    if not found.maps.tile_layer:
        said.append("No layer of the model gives an output for every cell: there are no maps.")
    if found.attribution is None:
        said.append(f"{WITHOUT_CAPTUM[0].upper()}{WITHOUT_CAPTUM[1:]}.")
    if found.importance.ev_lost is None:
        said.append(
            "The events have no truth: how much worse the answer becomes is not known, only how far"
            " it moves."
        )
    if not found.subject.trained.event_features:
        said.append("The network reads no event features.")
    if found.permuted.constant:
        names = ", ".join(found.permuted.constant)
        said.append(f"Alike for all stations with a hit, nothing to permute: {names}.")
    return said


def importance_rows(found: "Found") -> list[list[str]]:
    """Every input with what its permutation costs, the most important first."""
    of = found.importance
    known = of.ev_lost is not None
    header = ["input", "permuted among"]
    header += ["explained variance lost", "68 % angle gained [deg]"] if known else []
    rows = [[*header, "68 % of the directions move by [deg]"]]
    for k in by_importance(of):
        lost = [pm(of.ev_lost[k]), pm(of.angle_gained[k])] if known else []
        rows.append([of.names[k], of.among[k], *lost, pm(of.change[k])])
    return rows


def shift_rows(found: "Found") -> list[list[str]]:
    """Applied shifts, what the network takes back of each, and how far the direction turns."""
    of = found.shifts
    back = -of.along.reshape(len(of.applied), -1)
    across = np.sqrt(np.maximum((of.core**2).sum(axis=-1) - of.along**2, 0.0).mean(axis=(1, 2)))
    moved = np.degrees(np.sqrt((of.axis**2).sum(axis=-1).mean(axis=(1, 2))))
    header = ["shift [m]", "taken back [m]", "rms of events [m]", "across [m]", "direction [deg]"]
    return [
        header,
        *(
            [number(a), number(b.mean()), number(b.std()), number(c), f"{m:.2g}"]
            for a, b, c, m in zip(of.applied, back, across, moved, strict=True)
        ),
    ]


def what_rows(found: "Found", checkpoint: FilePath, events_path: FilePath) -> list[list[str]]:
    """What was asked, of which network."""
    content, array = found.subject.checkpoint, found.subject.fitted.events.array
    n_parameters = sum(value.numel() for value in content["weights"].values())
    truth = "" if found.subject.fitted.events.truth is not None else ", without a truth"
    return [
        ["", ""],
        ["network", f"{content['name']} ({Path(checkpoint).name})"],
        ["model", f"{content['model']['form']}, {n_parameters:,} numbers, head {content['head']}"],
        ["corrects", f"the {content['corrects']} fit"],
        ["asked for", ASKED[found.question]],
        ["events", f"{counted(found.subject.n, 'event')} of {Path(events_path).name}{truth}"],
        ["array", f"{array.n_stations:,} stations ({array.kind}, {array.spacing:,.0f} m)"],
        ["trained by", f"{content['software']}, commit {content['commit']}"],
        ["made", f"{provenance.now()} by {provenance.software()}"],
    ]
