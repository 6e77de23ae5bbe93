"""The limit: variances on the sphere, scores as multiples of it, the command."""

import json

import numpy as np
import pytest

from tashower.calibration.calibration import DEFAULT as CALIBRATION
from tashower.calibration.station_likelihood import DEFAULT as STATIONS
from tashower.cli import main
from tashower.config import as_dict, load_config
from tashower.evaluation.bootstrap import draw_showers
from tashower.events.model import PARAMETERS, Reconstruction, select_rows
from tashower.io.json_file import read_json
from tashower.io.stages import PACKAGED, station_likelihood_of
from tashower.limit.limit import (
    KIND,
    VERSION,
    core_variance,
    direction_variance,
    measure,
    prepare,
    variances,
)

CONFIG = load_config({"seed": 41, "scores": {"bootstrap": 20}})


@pytest.fixture(scope="module")
def found():
    return measure(CONFIG, 1000, prepare(CONFIG, CALIBRATION, STATIONS))


def table_of(zenith, azimuth, core, covariance) -> Reconstruction:
    """A reconstruction with these columns, all else 1."""
    n = len(zenith)
    columns = {name: np.ones(n) for name in Reconstruction.__dataclass_fields__}
    columns |= {"zenith": zenith, "azimuth": azimuth, "covariance": covariance}
    columns |= {"core_x": core[:, 0], "core_y": core[:, 1]}
    columns["flags"] = np.zeros(n, np.uint16)
    return Reconstruction(**columns)


def test_variances_are_those_of_drawn_errors():
    """Directions and cores drawn with a covariance have the squares that it states."""
    rng = np.random.default_rng(2)
    n, zenith = 40_000, 0.6
    covariance = np.zeros((n, 7, 7))
    place = {name: PARAMETERS.index(name) for name in PARAMETERS}
    rms = {"core_x": 30.0, "core_y": 50.0, "zenith": 0.01, "azimuth": 0.03}
    for name, value in rms.items():
        covariance[:, place[name], place[name]] = value**2
    off = {name: value * rng.standard_normal(n) for name, value in rms.items()}
    table = table_of(
        zenith + off["zenith"],
        1.0 + off["azimuth"],
        np.stack([off["core_x"], off["core_y"]], axis=1),
        covariance,
    )
    truth = table_of(np.full(n, zenith), np.ones(n), np.zeros((n, 2)), covariance)
    draws = draw_showers(np.arange(n), 10, [1])
    of = variances({"m": table}, truth, draws, {"all": [np.arange(n)]})["all"][0]["m"]
    for stated, made in (
        ("direction_variance_deg2", "direction_square_deg2"),
        ("core_variance_m2", "core_square_m2"),
    ):
        assert abs(of[made]["value"] / of[stated]["value"] - 1.0) < 0.03
        assert abs(of[made]["value"] - of[stated]["value"]) < 5.0 * of[made]["error"]
    np.testing.assert_allclose(core_variance(table), 30.0**2 + 50.0**2)
    expected = np.degrees(1.0) ** 2 * (0.01**2 + (np.sin(zenith) * 0.03) ** 2)
    assert abs(direction_variance(table).mean() / expected - 1.0) < 0.01


@pytest.mark.slow
def test_the_limit_is_what_waveforms_hold(found):
    """Likelihoods come out ahead of the fits, and their errors are what they state."""
    assert found["n_scored"] >= 1000
    limit = found["limit"]
    assert limit["method"] == "likelihood_waveforms"
    assert limit["method"] not in limit["times"]
    own = found["methods"]["likelihood_waveforms"]["all"]
    for size in ("angle_68_deg", "core_68_m", "log_energy_68"):
        assert limit["all"][size] == pytest.approx(own[size])
        for name, of in limit["times"].items():
            ratio = found["methods"][name]["all"][size]["value"] / own[size]["value"]
            assert of[size]["value"] == pytest.approx(ratio)
    assert limit["times"]["free"]["core_68_m"]["value"] > 1.1
    of = found["variances"]["all"][0]["likelihood_waveforms"]
    assert 0.6 < of["direction_square_deg2"]["value"] / of["direction_variance_deg2"]["value"] < 1.6
    # A single event of a low energy may have much of the mean square.
    assert 0.5 < of["core_square_m2"]["value"] / of["core_variance_m2"]["value"] < 3.0
    assert len(found["variances"]["by_energy"]) == 6
    assert len(found["variances"]["by_zenith"]) == 4


@pytest.mark.slow
def test_scores_without_a_likelihood_have_no_limit(found):
    from tashower.evaluation.comparison import score
    from tashower.reconstruction.reconstruct import reconstruct
    from tashower.simulation.simulate import simulate_events

    prepared = prepare(CONFIG, CALIBRATION, STATIONS)
    events = simulate_events(CONFIG, "test", 0, 120)
    tables, _, _ = reconstruct(events, prepared.calibration, CONFIG.reconstruction)
    scores, _ = score(CONFIG, tables, select_rows(events.truth, slice(None)), {})
    assert scores["limit"] is None


def test_the_command(tmp_path, capsys):
    output = tmp_path / "limit.json"
    words = ["limit", "--config", json.dumps(as_dict(CONFIG)), "--number", "100"]
    words += ["--calibration", str(CALIBRATION), "--station-likelihood", str(STATIONS)]
    assert main([*words, "-o", str(output)]) == 0
    printed = capsys.readouterr().out
    assert "likelihood of waveforms" in printed
    assert "nan" not in printed
    assert read_json(output, KIND, (VERSION,))["n_scored"] >= 100
    assert main(["limit", "--number", "5"]) == 2
    assert "--number 5" in capsys.readouterr().err


@pytest.mark.slow
def test_a_configuration_whose_events_never_pass_is_refused():
    config = load_config({"array": {"columns": 3, "rows": 3}, "samples": {"calibration": 100}})
    from tashower.errors import InputError

    with pytest.raises(InputError, match="--number"):
        measure(config, 100, prepare(config, CALIBRATION, STATIONS))


#: Sections that say it by themselves.
_SAID = {"likelihood", "data"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, str(PACKAGED)),
        ({"seed": 3, "array": {"columns": 9}, "samples": {"test": 11}}, str(PACKAGED)),
        ({"array": {"spacing_m": 800}}, str(PACKAGED)),
        ({"front": {"model": "rough"}}, ""),
        ({"front": {"local_factor": 0.5}}, ""),
        ({"detector": {"clock_ns": 5}}, ""),
        ({"detector": {"layers": 1}}, ""),
        ({"array": {"reference_m": 600}}, ""),
        ({"showers": {"primaries": {"proton": 1}}}, ""),
        ({"likelihood": {"file": "none"}}, ""),
        ({"likelihood": {"file": "learn"}}, "r/station_likelihood.json"),
        ({"likelihood": {"file": "mine.json"}}, "mine.json"),
        ({"data": {"files": ["x.dst"]}}, ""),
    ],
)
def test_which_station_likelihood_a_run_takes(changes, expected):
    """That of the package for its own showers and stations alone, whatever their layout."""
    untold = load_config({"networks": {"a": {}}}, changes)
    assert station_likelihood_of(as_dict(untold), "r") == expected
    # The default has a network that is told of it.
    needed = "r/station_likelihood.json" if not (expected or changes.keys() & _SAID) else expected
    assert station_likelihood_of(as_dict(load_config(changes)), "r") == needed
