"""Units that physics excludes, and what convert says that it understood."""

from pathlib import Path

import numpy as np
import pytest

from tashower.cli import main
from tashower.convert.convert import convert
from tashower.errors import InputError
from tashower.io.event_file import read_events
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.geometry import axis_components, plane_delay

ROOT = Path(__file__).resolve().parents[2]


def write(folder, position_unit=1.0, time_unit=1.0, zenith=0.6, z=0.0, events=5, spacing=1200.0):
    """Tables of plane fronts on 5 x 5 stations, in units of m and ns times these."""
    place = np.array([(x * spacing, y * spacing, z) for x in range(5) for y in range(5)])
    axis = axis_components(zenith, 1.0)
    time = plane_delay(*(place - [0, 0, z]).T, *axis)
    lines = [
        f"{i},{','.join(repr(float(c / position_unit)) for c in p)}" for i, p in enumerate(place)
    ]
    (folder / "s.csv").write_text("station,x_m,y_m,z_m\n" + "\n".join(lines) + "\n")
    rows = [
        f"{e},{i},{float(t / time_unit)!r},5" for e in range(events) for i, t in enumerate(time)
    ]
    (folder / "h.csv").write_text("event,station,time_ns,signal_vem\n" + "\n".join(rows) + "\n")
    return [folder / "s.csv", folder / "h.csv"]


@pytest.mark.parametrize("zenith", [0.02, 0.6, 1.3])
@pytest.mark.parametrize("spacing", [20.0, 1200.0])
def test_fronts_of_any_size_and_direction_pass(tmp_path, zenith, spacing):
    assert convert(write(tmp_path, zenith=zenith, spacing=spacing)).n_events == 5


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ({"time_unit": 1e9}, "fit if they are in seconds"),
        ({"time_unit": 1e3}, "fit if they are in microseconds"),
        ({"time_unit": 1e6}, "fit if they are in milliseconds"),
        ({"time_unit": 1e9, "spacing": 100.0}, "fit if they are in seconds"),
        ({"position_unit": 1e3}, "kilometres"),
        ({"position_unit": 111_320.0}, "degrees of longitude"),
        ({"position_unit": 1e3, "spacing": 20_000.0}, "positions fit if they are in kilometres"),
    ],
)
def test_other_units_are_refused_with_the_one_that_fits(tmp_path, capsys, units, message):
    files = write(tmp_path, **units)
    with pytest.raises(InputError, match=message):
        convert(files)
    words = ["convert", *map(str, files), "--to", str(tmp_path / "e.h5")]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "e.h5").exists()
    assert main([*words, "--force"]) == 0
    assert read_events(tmp_path / "e.h5").n_events == 5


def test_stations_that_would_overlap(tmp_path):
    """Even where no event has hits enough to say how long it lasts."""
    files = write(tmp_path, position_unit=1e3, events=1)
    files[1].write_text("event,station,time_ns,signal_vem\n0,3,5,2\n")
    with pytest.raises(InputError, match=r"s\.csv: 25 stations .* 1.2 m apart: they would overlap"):
        convert(files)


def test_one_event_from_two_seconds_is_named(tmp_path):
    files = write(tmp_path)
    text = (
        files[1]
        .read_text()
        .replace("\n3,0,0.0,", "\n3,0,3e9,")
        .replace("\n3,0,-0.0,", "\n3,0,3e9,")
    )
    files[1].write_text(text)
    with pytest.raises(InputError, match=r"event 3: 3 s between hits"):
        convert(files)


def test_altitudes_are_relative_to_their_mean(tmp_path):
    """1400 m above sea level is no 1.4 km above the array."""
    high, low = (convert(write(tmp_path, z=z)) for z in (1400.0, 0.0))
    np.testing.assert_allclose(high.array.position, low.array.position, atol=1e-9)


def test_altitudes_that_no_ground_has(tmp_path):
    files = write(tmp_path)
    files[0].write_text(files[0].read_text().replace("4,0.0,4800.0,0.0", "4,0.0,4800.0,9500.0"))
    with pytest.raises(InputError, match="no ground has that"):
        convert(files)


def test_what_was_understood(tmp_path, capsys):
    files = write(tmp_path, z=1400.0)
    assert main(["convert", *map(str, files), "--to", str(tmp_path / "e.h5")]) == 0
    said = capsys.readouterr().out
    span = 4800 * np.sin(0.6) * (np.cos(1.0) + np.sin(1.0)) / SPEED_OF_LIGHT
    for text in ("25 stations", "1200 m apart", "4.8 x 4.8 km", "about 1400.0 m", "5 VEM (median)"):
        assert text in said
    assert f"lasts {span / 1e3:.4g} us" in said


def test_an_area_of_more_than_the_earth_is_refused(tmp_path):
    files = write(tmp_path)
    files[0].write_text(files[0].read_text().replace("24,4800.0,", "24,1e12,"))
    with pytest.raises(InputError, match=r"s\.csv: station 24 lies 1e\+09 km from the others"):
        convert(files)
    files[0].write_text(files[0].read_text().replace("24,1e12,", "24,9e5,"))
    assert convert(files, force=True).array.kind in ("square", "irregular")


@pytest.mark.skipif(
    not (ROOT.parent / "shared" / "cases" / "tables").is_dir(), reason="no cases beside"
)
@pytest.mark.parametrize(
    ("stations", "hits", "message"),
    [
        ("stations.csv", "sec_h.csv", "in seconds instead of nanoseconds"),
        ("km_s.csv", "bool.csv", "in kilometres"),
    ],
)
def test_cases(stations, hits, message):
    folder = ROOT.parent / "shared" / "cases" / "tables"
    with pytest.raises(InputError, match=message):
        convert([folder / stations, folder / hits])
