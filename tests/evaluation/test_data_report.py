"""The report of measured events: no truth, few events, irregular arrays, what is unlike
simulation.
"""

from dataclasses import replace

import numpy as np
import pytest

from tashower.calibration.calibration import DEFAULT
from tashower.cli import main
from tashower.evaluation.measured import domain_rows, station_residuals, two_sample_distance
from tashower.io.event_file import read_events, write_events
from tashower.io.reconstruction_file import read_reconstruction


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Simulated events without their truth, and their fits."""
    folder = tmp_path_factory.mktemp("data")
    events, fits = folder / "events.h5", folder / "fits.h5"
    assert main(["simulate", "--config", "{samples: {test: 120}}", "--output", str(events)]) == 0
    write_events(events, replace(read_events(events), truth=None), {}, ["theirs.csv"])
    assert main(["fit", str(events), "--calibration", str(DEFAULT), "--output", str(fits)]) == 0
    return folder, events, fits


@pytest.mark.slow
def test_report_without_truth(measured):
    folder, events, fits = measured
    output = folder / "out" / "report.html"
    words = [
        "report-data",
        "--events",
        str(events),
        "--fits",
        str(fits),
        "--simulated-fits",
        str(fits),
        "--output",
        str(output),
    ]
    assert main(words) == 0
    text = output.read_text()
    assert "Against the truth" not in text
    assert "No feature of the data is unlike the simulation." in text
    assert "theirs.csv" in text
    assert text.count("data:image/png") >= 5
    assert 'src="http' not in text
    for method in ("fit, as published", "fit, complete", "plane front"):
        assert f">{method}</td>" in text.split('<section id="list">')[1].split("</table>")[0]
    assert ">event id</th>" in text
    assert f"tashower show {events} --id {read_events(events).event_id[0]} --fits {fits}" in text


def test_one_event_of_three_stations(tmp_path):
    """Only the plane front has a result: nothing breaks."""
    (tmp_path / "s.csv").write_text("station,x_m,y_m\n1,0,0\n2,100,0\n3,0,120\n")
    (tmp_path / "h.csv").write_text(
        "event,station,time_ns,signal_vem\n1,1,0,5\n1,2,100,6\n1,3,50,7\n"
    )
    events, fits, output = tmp_path / "e.h5", tmp_path / "f.h5", tmp_path / "r.html"
    assert (
        main(["convert", str(tmp_path / "s.csv"), str(tmp_path / "h.csv"), "--to", str(events)])
        == 0
    )
    assert main(["fit", str(events), "--calibration", str(DEFAULT), "--output", str(fits)]) == 0
    assert (
        main(["report-data", "--events", str(events), "--fits", str(fits), "--output", str(output)])
        == 0
    )
    assert "plane front" in output.read_text()


def test_files_that_do_not_belong_together(measured, tmp_path, capsys):
    _, _, fits = measured
    other = tmp_path / "o.h5"
    assert (
        main(["simulate", "--config", "{samples: {test: 20}, seed: 4}", "--output", str(other)])
        == 0
    )
    capsys.readouterr()
    assert (
        main(
            [
                "report-data",
                "--events",
                str(other),
                "--fits",
                str(fits),
                "--output",
                str(tmp_path / "r.html"),
            ]
        )
        == 2
    )
    assert "is not a reconstruction of" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_two_sample_distance_closed_forms(rng):
    a = rng.random(20_000)
    assert two_sample_distance(a, a) == 0
    assert two_sample_distance(a, a + 2) == 1
    assert two_sample_distance(a, a + 0.25) == pytest.approx(0.25, abs=0.02)
    assert two_sample_distance(np.append(a, np.nan), a) == 0
    assert np.isnan(two_sample_distance([], a))


def test_unlike_features_are_named(rng):
    simulation = {
        "same": rng.normal(size=5000),
        "moved": rng.normal(size=5000),
        "empty": np.full(5000, np.nan),
    }
    data = {
        "same": rng.normal(size=500),
        "moved": rng.normal(size=500) + 2,
        "empty": np.full(500, np.nan),
    }
    rows, warnings = domain_rows(data, simulation)
    assert [row[0] for row in rows[1:]] == ["same", "moved", "empty"]
    assert len(warnings) == 1
    assert warnings[0].startswith("moved")


def test_stations_scatter_around_the_fit(measured):
    _, events, fits = measured
    found, pulses, _ = read_reconstruction(fits)
    residuals = station_residuals(read_events(events), pulses, found["free"])
    near = (residuals["r"] < 1500) & (np.abs(residuals["time"]) < 1500)
    assert abs(np.median(residuals["time"][near])) < 40
    assert abs(np.median(residuals["signal"][near & ~residuals["saturated"]])) < 0.2
