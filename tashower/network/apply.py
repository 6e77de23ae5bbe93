"""Apply a trained network: the fit of every event, corrected."""

import logging
from dataclasses import replace

import numpy as np
import torch

from tashower.errors import InputError
from tashower.events.array import lattice_map
from tashower.events.model import Reconstruction
from tashower.io.reconstruction_file import read_reconstruction, write_reconstruction
from tashower.network.checkpoint import build_network, check_array, choose_device, load_checkpoint
from tashower.network.sample import read_sample
from tashower.network.tiles import ORIENTATIONS, STATION_FEATURES, TARGETS, in_lattice_frame
from tashower.network.training import predict
from tashower.physics.geometry import direction, zenith_azimuth
from tashower.reconstruction.features import EVENT_FEATURES

_log = logging.getLogger("tashower")


def corrected(fit: Reconstruction, rows, correction, heading: float = 0.0) -> Reconstruction:
    """The fit with corrections (n, 5) of TARGETS added to the given rows; direction, core and
    energy of other rows are NaN.

    heading : of the lattice [rad], in whose frame the corrections are.

    Corrected direction cosines that would be longer than 1 are shortened to the horizon. Everything
    else is the fit's; the
    covariance is NaN: the network states no errors.
    """
    columns = {
        name: np.full(len(fit.event_id), np.nan)
        for name in ("core_x", "core_y", "zenith", "azimuth", "energy")
    }
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
    return replace(fit, **columns, covariance=np.full_like(fit.covariance, np.nan), flags=flags)


def apply_network(checkpoint, events_path, fits_path, output, device: str = "auto") -> None:
    """Correct the fit of every valid event and write the result as a reconstruction file.

    The correction is the mean over the equal orientations of the tile (eight of a square), turned
        back: none is preferred.

    Raises
    ------
    InputError : the network was trained for another array or other inputs; files that do not belong
        together.
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
    architecture, inputs = content["architecture"], content["inputs"]
    sample, array = read_sample(
        events_path,
        fits_path,
        content["correct"],
        architecture["tile"],
        architecture["n_bins"],
        inputs["waveforms"],
        only_good=False,
        bin_width=content.get("bin_width_ns", 0.0),
    )
    check_array(content, array, events_path)
    norm = {key: value.to(where) for key, value in content["normalisation"].items()}
    network = build_network(content, where)
    normalised = predict(
        network,
        sample,
        norm,
        inputs["event_features"],
        where,
        orientations=ORIENTATIONS[array.kind],
    )
    fits, _, _ = read_reconstruction(fits_path)
    correction = normalised * content["normalisation"]["target_width"].numpy()
    table = corrected(fits[content["correct"]], sample.rows, correction, lattice_map(array)[1])
    write_reconstruction(
        output,
        {content["name"]: table},
        content["configuration"],
        inputs=(checkpoint, events_path, fits_path),
    )
    _log.info(f"{output}: {len(sample.rows):,} of {len(table.event_id):,} events corrected")
