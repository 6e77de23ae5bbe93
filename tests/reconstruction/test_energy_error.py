"""The error of the energy, against draws from the covariance of S800 and zenith."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from hits import make_events, make_reconstruction

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import ReconstructionConfig
from tashower.io.event_file import read_events
from tashower.io.reconstruction_file import read_reconstruction, write_reconstruction
from tashower.reconstruction.methods import Context, methods
from tashower.reconstruction.methods.fits import energy_error_of, energy_of
from tashower.reconstruction.pulses import find_pulses

CALIBRATION = read_calibration(DEFAULT)
CONTEXT = Context(CALIBRATION, ReconstructionConfig())
MEASURED = Context(
    replace(CALIBRATION, energy=replace(CALIBRATION.energy, scatter=None)), ReconstructionConfig()
)


@pytest.mark.parametrize("primary", ["table", "proton"])
@pytest.mark.parametrize("correlation", [-0.8, 0.0, 0.8])
def test_as_draws_of_size_and_zenith_scatter(rng, primary, correlation):
    context = MEASURED._replace(primary=primary)
    s_ref, zenith = np.array([20.0, 60.0]), np.radians([25.0, 43.0])
    sigma_s, sigma_z = 0.03 * s_ref, np.radians([0.8, 0.8])
    covariance = np.full((2, 7, 7), np.nan)
    covariance[:, 4, 4], covariance[:, 2, 2] = sigma_s**2, sigma_z**2
    covariance[:, 2, 4] = covariance[:, 4, 2] = correlation * sigma_s * sigma_z
    found = energy_error_of(context, s_ref, zenith, covariance)
    for i in range(2):
        block = covariance[i][np.ix_([4, 2], [4, 2])]
        drawn = rng.multivariate_normal([s_ref[i], zenith[i]], block, 40_000)
        energy = energy_of(context, *drawn.T)
        assert found[i] == pytest.approx(energy.std(), rel=0.05)


def test_showers_scatter_beside_the_measurement():
    s_ref, zenith = np.array([20.0, 60.0, 60.0]), np.radians([5.0, 43.0, np.nan])
    covariance = np.zeros((3, 7, 7))
    covariance[:, 4, 4] = (0.05 * s_ref) ** 2
    table = replace(
        CALIBRATION.energy,
        secant=np.array([1.0, 1.5]),
        log10_energy=CALIBRATION.energy.log10_energy[:2],
        scatter=np.array([0.1, 0.05]),
    )
    energies = (table, replace(table, scatter=None))
    contexts = [CONTEXT._replace(calibration=replace(CALIBRATION, energy=e)) for e in energies]
    found, measured = (energy_error_of(c, s_ref, zenith, covariance) for c in contexts)
    energy = energy_of(contexts[0], s_ref, zenith)
    showers = np.interp(1.0 / np.cos(zenith), [1.0, 1.5], [0.1, 0.05])
    np.testing.assert_allclose(found / energy, np.hypot(measured / energy, showers))
    assert np.isfinite(found).tolist() == [True, True, False]
    # A relation of one primary says nothing of how showers of a mixture differ.
    one, other = (
        energy_error_of(c._replace(primary="proton"), s_ref, zenith, covariance)
        for c in (CONTEXT, MEASURED)
    )
    np.testing.assert_array_equal(one, other)


def test_the_width_of_pulls_scales_it():
    events = read_events("data/sample.h5")[:10]
    pulses = find_pulses(events)
    wider = {"free": replace(CALIBRATION.pulls["free"], energy_width=2.0)}
    one = replace(CALIBRATION.pulls["free"], energy_width=1.0)
    found, base = (
        methods()["free"](
            events, pulses, CONTEXT._replace(calibration=replace(CALIBRATION, pulls=pulls))
        )
        for pulls in (wider, {"free": one})
    )
    np.testing.assert_allclose(found.energy_error, 2.0 * base.energy_error)
    np.testing.assert_array_equal(found.energy, base.energy)


FITS = ("free", "constrained", "complete")


def test_of_the_fits_and_of_no_other_method():
    events = read_events("data/sample.h5")[:30]
    pulses = find_pulses(events)
    tables = {name: methods()[name](events, pulses, MEASURED) for name in (*FITS, "plane")}
    for name in FITS:
        table = tables[name]
        np.testing.assert_array_equal(np.isfinite(table.energy_error), table.valid)
        relative = (table.energy_error / table.energy)[table.passes_cuts]
        size = (np.sqrt(table.covariance[:, 4, 4]) / table.s_ref)[table.passes_cuts]
        assert np.median(relative / size) == pytest.approx(1.0, abs=0.2)
    assert np.isnan(tables["plane"].energy_error).all()


def test_files_of_before(tmp_path, rng):
    """Until version 1.2 there was no such column: not known."""
    table = make_reconstruction(rng, make_events(rng, 4))
    write_reconstruction(tmp_path / "f.h5", {"free": table}, {})
    read = read_reconstruction(tmp_path / "f.h5")[0]["free"]
    np.testing.assert_array_equal(read.energy_error, table.energy_error)
    old = {k: v for k, v in vars(table).items() if k != "energy_error"}
    from tashower.io.hdf5 import write_arrays

    attributes = {"methods": '["free"]', "parameters": ("a",), "flags": ("b",)}
    write_arrays(tmp_path / "o.h5", "reconstruction", "1.1", {"free": old}, {}, (), attributes)
    with h5py.File(tmp_path / "o.h5") as file:
        assert "free/energy_error" not in file
    found = read_reconstruction(tmp_path / "o.h5")[0]["free"]
    assert np.isnan(found.energy_error).all()
    np.testing.assert_array_equal(found.energy, replace(table).energy)
