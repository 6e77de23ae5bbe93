"""Apply a trained network: the fit of every event, corrected."""

import logging
from dataclasses import replace

import numpy as np
import torch

from tashower.config import InputsConfig
from tashower.errors import InputError
from tashower.events.array import lattice_map
from tashower.events.model import PARAMETERS, Reconstruction
from tashower.io.reconstruction_file import read_reconstruction, write_reconstruction
from tashower.network.checkpoint import build_network, check_array, choose_device, load_checkpoint
from tashower.network.contracts import find_head
from tashower.network.predict import Trained, predict
from tashower.network.sample import read_sample
from tashower.network.tiles import ORIENTATIONS, STATION_FEATURES, TARGETS, in_lattice_frame
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


def apply_network(
    checkpoint: FilePath,
    events_path: FilePath,
    fits_path: FilePath,
    output: FilePath,
    device: str = "auto",
    model: FilePath | None = None,
) -> None:
    """Correct the fit of every valid event and write the result as a reconstruction file.

    The correction is the mean over the equal orientations of the tile (eight of a square), turned
    back: none is preferred.

    Parameters
    ----------
    model : file of the user's model that the checkpoint was trained with; None: where it lay

    Raises
    ------
    InputError : the network was trained for another array or other inputs; files that do not belong
        together; a user's model that is not there, or is another one.
    """
    content = load_checkpoint(checkpoint)
    ours = {
        "station_features": list(STATION_FEATURES),
        "event_features": list(EVENT_FEATURES),
        "targets": list(TARGETS),
    }
    for key, value in ours.items():
        if content[key] != value:
            raise InputError(f"{checkpoint}: was trained with other {key.replace('_', ' ')}")
    torch.set_num_threads(content["threads"])
    where = choose_device(device)
    network = build_network(content, checkpoint, where, model)
    inputs = InputsConfig(**content["inputs"])
    sample, array = read_sample(
        events_path, fits_path, content["corrects"], inputs, only_good=False
    )
    check_array(content, array, events_path)
    trained = Trained(
        network,
        find_head(content["head"]),
        {key: value.to(where) for key, value in content["normalisation"].items()},
        inputs.event_features,
    )
    found, covariance = predict(trained, sample, where, ORIENTATIONS[array.kind])
    width = content["normalisation"]["target_width"].numpy()
    table = corrected(
        read_reconstruction(fits_path)[0][content["corrects"]],
        sample.rows,
        found * width,
        lattice_map(array)[1],
        None if covariance is None else covariance * np.outer(width, width),
    )
    write_reconstruction(
        output,
        {content["name"]: table},
        content["configuration"],
        inputs=(checkpoint, events_path, fits_path),
        stage="apply",
    )
    _log.info(f"apply: {len(sample.rows):,} of {len(table.event_id):,} events corrected")
