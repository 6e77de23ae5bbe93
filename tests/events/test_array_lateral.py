"""A lateral distribution of one's own: from a file, through simulation, event file, calibration and
fit.
"""

from pathlib import Path

import numpy as np
import pytest

from tashower.calibration.calibration import DEFAULT, read_calibration, write_calibration
from tashower.config import load_config
from tashower.errors import InputError
from tashower.events.array import read_lateral
from tashower.io.event_file import read_events, write_events
from tashower.reconstruction.calibrate import calibrate
from tashower.reconstruction.reconstruct import reconstruct
from tashower.simulation.simulate import simulate_events

AUGER = Path(__file__).parents[2] / "config" / "auger_lateral.py"


@pytest.fixture(scope="module")
def config():
    return load_config(
        f"{{array: {{lattice: hexagonal, spacing_m: 1500, lateral: {AUGER}, reference_m: 1000}}, "
        "detector: {layers: 1, area_m2: 10, bin_width_ns: 25, bins: 256}, showers: "
        "{min_log10_energy_ev: 19}}"
    )


@pytest.mark.slow
def test_from_simulation_to_fit_with_another_form(config, tmp_path):
    events = simulate_events(config, "calibration", 0, 1500)
    assert events.array.lateral_name.startswith("auger_lateral ")
    write_events(tmp_path / "events.h5", events, {})
    back = read_events(tmp_path / "events.h5")
    assert back.array.lateral_name == events.array.lateral_name
    for one, other in zip(back.array.lateral, events.array.lateral, strict=True):
        np.testing.assert_array_equal(one, other)
    calibration = calibrate(back, config.reconstruction)
    write_calibration(tmp_path / "calibration.json", calibration, {})
    again = read_calibration(tmp_path / "calibration.json")
    assert again.described[:2] == (events.array.lateral_name, 1000.0)
    fitted = reconstruct(back, again, config.reconstruction)[0]["constrained"]
    good = fitted.passes_cuts
    assert good.mean() > 0.5
    # S1000 as it was thrown.
    assert np.median(np.log(fitted.s_ref / back.truth.s_ref)[good]) == pytest.approx(0.0, abs=0.02)
    with pytest.raises(
        InputError, match=r"telescope_array.*1 at 800 m.*auger_lateral.*1 at 1000 m"
    ):
        reconstruct(back, read_calibration(DEFAULT), config.reconstruction)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "defines no function"),
        ("def log_lateral(r, z):\n return r", "does not fall"),
        ("1/0", "ZeroDivisionError"),
        ("def log_lateral(", "SyntaxError"),
        ("def log_lateral(r):\n return -r", "TypeError"),
    ],
)
def test_bad_files_of_a_form(tmp_path, text, message):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_lateral(str(path), 800.0)


def test_a_form_that_does_not_exist():
    with pytest.raises(InputError, match=r"array\.lateral: nowhere\.py"):
        read_lateral("nowhere.py", 800.0)
