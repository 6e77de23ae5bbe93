"""The samples that are shipped: each converts and gets a reconstruction; every command of
data/README.md does what it says.
"""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.cli import main
from tashower.config import load_config
from tashower.io.event_file import read_events
from tashower.physics.geometry import direction, opening_angle
from tashower.reconstruction.reconstruct import reconstruct

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = re.findall(
    r"^    tashower (convert .*?)(?: +#.*)?$", (ROOT / "data" / "README.md").read_text(), flags=re.M
)


def test_every_format_is_there():
    assert len(COMMANDS) == 6


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_the_readme(command, tmp_path, monkeypatch):
    words = [
        str(ROOT / word) if word.startswith("data/") else word for word in shlex.split(command)
    ]
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0
    events = read_events(tmp_path / "events.h5")
    found = reconstruct(events, read_calibration(DEFAULT), load_config().reconstruction)[0]
    assert found["plane"].valid.any()
    if "ta_dnn" in command:
        assert events.n_events == 8
        assert found["free"].valid.all()
        assert found["standard"].valid.all()
        truth = read_events(ROOT / "data" / "sample.h5").truth
        np.testing.assert_allclose(events.truth.zenith, truth.zenith[:8], atol=1e-6)
        np.testing.assert_allclose(events.truth.core_x, truth.core_x[:8], atol=0.01)
        away = np.degrees(
            opening_angle(
                *(direction(t.zenith, t.azimuth) for t in (found["free"], found["standard"]))
            )
        )
        assert np.median(away) < 1.0
    elif "json" not in command:
        assert events.n_events == 8
        assert events.array.n_stations == 81
        original = read_events(ROOT / "data" / "sample.h5")
        np.testing.assert_array_equal(events.waveform, original.waveform[: events.n_hits])
        assert found["free"].valid.all()


def test_samples_are_small():
    assert sum(path.stat().st_size for path in (ROOT / "data" / "samples").iterdir()) < 3_000_000
