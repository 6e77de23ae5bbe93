"""Apply a trained network: the fit of every event, corrected, or with Xmax and ln A beside it."""

import json
import logging
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import torch

from tashower.config import InputsConfig
from tashower.errors import InputError
from tashower.events.array import lattice_heading
from tashower.events.model import FLAGS, PARAMETERS, Reconstruction
from tashower.events.regions import LEVELS
from tashower.io.reconstruction_file import read_reconstruction, write_reconstruction
from tashower.network.checkpoint import (
    build_network,
    check_array,
    choose_device,
    load_checkpoint,
    stations_of,
)
from tashower.network.contracts import find_head
from tashower.network.domain import distance
from tashower.network.normalisation import in_units
from tashower.network.predict import Trained, predict, regions
from tashower.network.sample import read_sample
from tashower.network.targets import MASS, PREDICTED, predicted_by
from tashower.network.temperature import scaled
from tashower.network.tiles import (
    ORIENTATIONS,
    STATION_FEATURES,
    TARGETS,
    WITH_SCORES,
    in_lattice_frame,
)
from tashower.physics.geometry import direction, zenith_azimuth
from tashower.reconstruction.features import EVENT_FEATURES
from tashower.reconstruction.quality import to_angles
from tashower.types import FilePath

_log = logging.getLogger("tashower")


def corrected(
    fit: Reconstruction,
    rows: np.ndarray,
    correction: np.ndarray,
    heading: float = 0.0,
    covariance: np.ndarray | None = None,
) -> Reconstruction:
    """The fit with corrections (n, 5) of TARGETS added to the given rows; direction, core and
    energy of other rows are NaN.

    heading : of the lattice [rad], in whose frame the corrections are
    covariance : (n, 5, 5) of the corrections; None where the network states no errors

    Corrected direction cosines that would be longer than 1 are shortened to the horizon; their
    covariance is NaN. S800, t0 and curvature are the fit's. `_covariance` says which elements of
    the covariance are known; without one all are NaN.
    """
    names = ("core_x", "core_y", "zenith", "azimuth", "energy", "energy_error")
    columns = {name: np.full(len(fit.event_id), np.nan) for name in names}
    # Back from the frame of the lattice.
    axis_x, axis_y = in_lattice_frame(correction[:, 0], correction[:, 1], -heading)
    core_x, core_y = in_lattice_frame(correction[:, 2], correction[:, 3], -heading)
    axis = direction(fit.zenith[rows], fit.azimuth[rows])[:, :2] + np.column_stack([axis_x, axis_y])
    sine = np.maximum(np.linalg.norm(axis, axis=1), 1e-12)
    axis *= np.minimum(1.0, 1.0 / sine)[:, None]
    vertical = np.sqrt(np.maximum(1.0 - (axis**2).sum(axis=1), 0.0))
    columns["zenith"][rows], columns["azimuth"][rows] = zenith_azimuth(
        np.column_stack([axis, vertical])
    )
    columns["core_x"][rows] = fit.core_x[rows] + core_x
    columns["core_y"][rows] = fit.core_y[rows] + core_y
    columns["energy"][rows] = fit.energy[rows] * 10.0 ** correction[:, 4]
    flags = fit.flags.copy()
    flags[np.isnan(columns["zenith"])] |= 1
    columns["covariance"] = np.full_like(fit.covariance, np.nan)
    if covariance is not None:
        known = _covariance(axis, fit.s_ref[rows], covariance, heading)
        known[sine >= 1.0] = np.nan
        columns["covariance"][rows] = known
        log10_energy = TARGETS.index("log10_energy")
        relative = np.log(10.0) * np.sqrt(covariance[:, log10_energy, log10_energy])
        columns["energy_error"][rows] = columns["energy"][rows] * relative
    return replace(fit, **columns, flags=flags)


def with_mass(
    fit: Reconstruction, rows: np.ndarray, found: np.ndarray, covariance: np.ndarray | None = None
) -> Reconstruction:
    """The fit with Xmax [g/cm^2] and ln A (n, 2) of the given rows, and their errors; those of
    other rows are NaN. Everything else is the fit's.

    covariance : (n, 2, 2); None where the network states no errors: they are NaN
    """
    columns = {}
    for i, name in enumerate(MASS.names):
        value, error = np.full((2, len(fit)), np.nan)
        value[rows] = found[:, i]
        if covariance is not None:
            error[rows] = np.sqrt(covariance[:, i, i])
        columns |= {name: value, f"{name}_error": error}
    return replace(fit, **columns)


def _covariance(axis, s_ref, covariance, heading: float) -> np.ndarray:
    """(n, 7, 7) in the order of PARAMETERS from that of TARGETS (n, 5, 5), in the lattice's frame.

    axis : (n, 2) corrected direction cosines, for the way to zenith and azimuth

    The energy has no row of its own. In that of S800 stands the S800 with the relative error of
    the energy (energy and S800 are proportional at a given zenith, to some per cent of the
    exponent). t0 and curvature are not corrected: NaN.
    """
    one = np.eye(len(TARGETS))
    turn = np.stack(
        [
            *in_lattice_frame(one[0], one[1], -heading),
            *in_lattice_frame(one[2], one[3], -heading),
            one[4],
        ]
    )
    # Core, direction cosines, ln S800: the order in which the fit works.
    matrix = turn[[2, 3, 0, 1, 4]] * np.array([1.0, 1.0, 1.0, 1.0, np.log(10.0)])[:, None]
    n = len(PARAMETERS)
    whole = np.zeros((len(axis), n, n))
    whole[:, :5, :5] = matrix @ covariance @ matrix.T
    p = np.zeros((len(axis), n))
    p[:, 2:4], p[:, 4] = axis, np.log(s_ref)
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = to_angles(p, whole)[1]
    whole[:, 5:], whole[:, :, 5:] = np.nan, np.nan
    whole[~np.isfinite(whole[:, :5, :5]).all(axis=(1, 2))] = np.nan
    return whole


def check_features(
    content: dict, checkpoint: FilePath, predicts: Collection[str] = ("correction",)
) -> str:
    """The key of `PREDICTED` that a network predicts; one of other features than this package's, or
    that predicts none of `predicts`, is refused.

    Raises
    ------
    InputError : names what differs.
    """
    told = content["inputs"].get("station_likelihood", False)
    ours = {
        "station_features": list(WITH_SCORES if told else STATION_FEATURES),
        "event_features": list(EVENT_FEATURES),
    }
    found = predicted_by(content["targets"])
    other = [key for key, value in ours.items() if content[key] != value]
    other += [] if found in predicts else ["targets"]
    if other:
        raise InputError(f"{checkpoint}: was trained with other {other[0].replace('_', ' ')}")
    return found


def apply_network(
    checkpoint: FilePath,
    events_path: FilePath,
    fits_path: FilePath,
    output: FilePath,
    device: str = "auto",
    model: FilePath | None = None,
    temperature: bool = True,
) -> None:
    """Correct the fit of every valid event and write the result as a reconstruction file; a network
    that predicts mass adds Xmax and ln A to a fit that stays as it is.

    What is applied is the mean over the equal orientations of the tile (eight of a square), turned
    back: none is preferred.

    The file states the `temperature` of the errors and the `domain` of the network as attributes.
    Beside the columns of every method it has, in group `features`, `domain_distance` (of
    `domain.distance`) and, of a head whose regions are not those of a normal distribution,
    `region_Q_P` of Q direction, core and energy, or xmax and ln_a, and P of LEVELS in per cent: how
    far out the ellipse of the covariance lies that holds so much, over that of a normal
    distribution.

    Parameters
    ----------
    model : file of the user's model that the checkpoint was trained with; None: where it lay
    temperature : whether the errors are multiplied by the factors from the validation sample

    Raises
    ------
    InputError : the network was trained for another array or other inputs; files that do not belong
        together; a user's model that is not there, or is another one.
    """
    content = load_checkpoint(checkpoint)
    predicts = check_features(content, checkpoint, PREDICTED)
    torch.set_num_threads(content["threads"])
    where = choose_device(device)
    network = build_network(content, checkpoint, where, model)
    inputs = InputsConfig(**content["inputs"])
    sample, array = read_sample(
        *(events_path, fits_path, content["corrects"], inputs),
        only_good=False,
        predicts=predicts,
        stations=stations_of(content, checkpoint),
    )
    check_array(content, array, events_path)
    trained = Trained(
        network,
        find_head(content["head"]),
        {key: value.to(where) for key, value in content["normalisation"].items()},
        inputs.event_features,
    )
    equal = ORIENTATIONS[array.kind]
    said, covariance = predict(trained, sample, where, equal)
    attributes, factors = {}, content.get("temperature") if temperature else None
    if factors and covariance is not None:
        covariance = scaled(covariance, factors, PREDICTED[predicts].blocks)
        attributes["temperature"] = json.dumps(factors)
    found, covariance = in_units(said, covariance, content["normalisation"])
    fit = read_reconstruction(fits_path)[0][content["corrects"]]
    if predicts == "mass":
        table = with_mass(fit, sample.rows, found, covariance)
    else:
        table = corrected(fit, sample.rows, found, lattice_heading(array), covariance)
    columns = _region_columns(regions(trained, sample, where, equal))
    if domain := content.get("domain"):
        columns["domain_distance"] = distance(domain, sample)
        far = sample.rows[columns["domain_distance"] > domain["limit"]]
        table = replace(table, flags=table.flags.copy())
        table.flags[far] |= np.uint16(1 << FLAGS.index("outside_domain"))
        plain = ("limit", "false_alarms", "n_validation")
        attributes["domain"] = json.dumps({key: domain[key] for key in plain})
        _log.info(f"apply: {len(far):,} events are unlike those of the training")
    write_reconstruction(
        output,
        {content["name"]: table},
        content["configuration"],
        features={name: _at(sample.rows, c, len(table)) for name, c in columns.items()},
        inputs=(checkpoint, events_path, fits_path),
        stage="apply",
        attributes=attributes,
    )
    done = "with Xmax and ln A" if predicts == "mass" else "corrected"
    _log.info(f"apply: {len(sample.rows):,} of {len(table.event_id):,} events {done}")


def _region_columns(radii: dict[str, np.ndarray] | None) -> dict[str, np.ndarray]:
    """Columns of the file from `predict.regions`."""
    return {
        f"region_{block}_{round(100 * level)}": of[:, j]
        for block, of in (radii or {}).items()
        for j, level in enumerate(LEVELS)
    }


def _at(rows: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """(n,) the values at these rows, NaN elsewhere."""
    whole = np.full(n, np.nan)
    whole[rows] = values
    return whole
