"""Tables of measured events: every method, with the errors that it states."""

from dataclasses import replace

import numpy as np
import pytest
from hits import make_events, make_reconstruction
from scipy.stats import binom

from tashower.config import Config, as_dict
from tashower.evaluation.measured import (
    WARN_DISTANCE,
    count_rows,
    cut_rows,
    domain_rows,
    event_rows,
    two_sample_distance,
)
from tashower.evaluation.p_values import CLEAR
from tashower.events.model import PARAMETERS

SETTINGS = as_dict(Config())["reconstruction"]


@pytest.fixture
def events(rng):
    return make_events(rng, 4)


@pytest.fixture
def fit(rng, events):
    """At a zenith of 30 degrees, with errors of 1 degree of both angles, 30 m, 40 m and a tenth of
    the size; the first event fails two cuts.
    """
    fit, n = make_reconstruction(rng, events), events.n_events
    errors = {"core_x": 30.0, "core_y": 40.0, "s_ref": 5.0, "t0": 1.0, "curvature": 0.1}
    errors |= dict.fromkeys(("zenith", "azimuth"), np.radians(1.0))
    diagonal = np.diag([errors[name] ** 2 for name in PARAMETERS])
    whole = {"zenith": np.radians(30.0), "azimuth": 1.0, "core_x": 1000.0, "core_y": -2000.0}
    whole |= {"s_ref": 50.0, "energy": 20.0, "energy_error": 2.0, "chi2": 18.307, "n_stations": 7}
    return replace(
        fit,
        **{name: np.full(n, value) for name, value in whole.items()},
        ndof=np.full(n, 10, np.int32),
        covariance=np.broadcast_to(diagonal, (n, 7, 7)).copy(),
        flags=np.array([0b110, 0, 0, 0], np.uint16),
    )


def test_xmax_and_ln_a_have_columns_where_a_method_says_them(events, fit):
    assert "ln A" not in event_rows(events, {"free": fit})[0]
    of = {"xmax": 712.4, "xmax_error": 41.0, "ln_a": 2.13, "ln_a_error": 0.84}
    said = replace(fit, **{name: np.full(4, value) for name, value in of.items()})
    rows = event_rows(events, {"free": fit, "net": said}, ["net"])
    assert rows[0][-2:] == ["Xmax [g/cm²]", "ln A"]
    assert rows[1][-2:] == ["—", "—"]
    assert rows[2][-2:] == ["712 ± 41", "2.13 ± 0.84"]
    assert len({len(row) for row in rows}) == 1


def without_errors(fit):
    nan = np.full_like(fit.covariance, np.nan)
    return replace(fit, covariance=nan, energy_error=np.full_like(fit.energy, np.nan))


def test_every_method_of_an_event_with_its_errors(events, fit):
    rows = event_rows(events, {"free": fit, "net": without_errors(fit)}, ["net"])
    assert len(rows) == 1 + 2 * 4
    expected = {
        "event id": "1",
        "method": "fit, free curvature",
        "stations": "7",
        "zenith [deg]": "30.0 ± 1.0",
        "azimuth [deg]": "57.3 ± 1.0",
        # sqrt(1 + sin(30)^2)
        "error of the direction [deg]": "1.1",
        "core x, east [m]": "1,000 ± 30",
        "core y, north [m]": "−2,000 ± 40",
        "S800 [VEM/m²]": "50.0 ± 5.0",
        "energy [EeV]": "20.0 ± 2.0",
        "chi2/ndof": "18.3/10",
        "p-value": "0.05",  # of any table of chi2
        "cuts": "few_stations, bad_chi2",
    }
    assert dict(zip(rows[0], rows[1], strict=True)) == expected
    network = dict(zip(rows[0], rows[2], strict=True))
    assert (network["event id"], network["method"]) == ("", "network: net")
    assert (network["zenith [deg]"], network["energy [EeV]"]) == ("30.00", "20.0")
    assert network["error of the direction [deg]"] == "—"
    assert {network[n] for n in ("S800 [VEM/m²]", "chi2/ndof", "p-value")} == {"of the fit"}
    assert rows[3][-1] == "passes"


def test_an_event_without_result_has_a_line(events, fit):
    lost = replace(fit, flags=np.array([1, 0, 0, 0], np.uint16))
    rows = event_rows(events, {"free": lost}, most=2)
    assert len(rows) == 3
    assert rows[1][1] == "none has a result"
    assert len({len(row) for row in rows}) == 1


def test_counts_with_the_medians_of_the_errors(events, fit):
    rows = count_rows({"free": fit, "net": without_errors(fit)}, ["net"], "S1000")
    assert rows[0][3:7] == [
        *("median error, direction [deg]", "median error, core [m]"),
        *("median error, S1000 [%]", "median error, energy [%]"),
    ]
    failures = "few_stations 25 %, bad_chi2 25 %"
    assert sorted(rows[1][-1].split(", ")) == sorted(failures.split(", "))
    assert rows[1][:-1] == ["fit, free curvature", "4 of 4", "3", "1.1", "50", "10", "10"]
    assert rows[2][3:7] == ["—"] * 4
    wild = fit.covariance * np.array([100.0, 100.0, 1.0, 1.0])[:, None, None]
    lost = replace(fit, covariance=wild, flags=np.array([1, 1, 0, 0], np.uint16))
    assert count_rows({"free": lost}, [])[1][4] == "50"  # of those with a result


def test_cuts_that_some_event_fails(events, fit):
    rows = cut_rows(
        {"free": fit, "other": replace(fit, flags=fit.flags * 0)}, [], SETTINGS, "S1000"
    )
    assert [row[0] for row in rows[1:]] == ["few_stations", "bad_chi2"]
    assert [row[2:] for row in rows[1:]] == [["1", "0"]] * 2
    assert "fewer than 5 stations" in rows[1][1]


def test_few_events_warn_of_nothing_and_say_so(rng):
    simulation = {"moved": rng.normal(size=2000)}
    few, many = ({"moved": rng.normal(0.7, 1, n)} for n in (6, 300))
    rows, warnings = domain_rows(few, simulation)
    assert warnings == []
    assert "(6 events: too few to tell)" in rows[1][6]
    rows, warnings = domain_rows(many, simulation)
    assert len(warnings) == 1
    assert rows[1][2] == "300"
    # Three hundred stations of six events are six events.
    rows, warnings = domain_rows(many, simulation, (6, 40))
    assert warnings == []
    assert "(6 events: too few to tell)" in rows[1][6]


@pytest.mark.parametrize("n", [8, 30, 300])
def test_clean_samples_warn_as_rarely_as_stated(rng, n):
    """Sixteen features, each looked at in two ways: a clean sample warns with a probability of
    2 CLEAR or less, whatever its size. Distances alone would warn of nearly every small one.
    """
    n_samples, features = 40, [f"feature {k}" for k in range(16)]
    simulation = dict(zip(features, rng.normal(size=(16, 1500)), strict=True))
    alarms, far = 0, 0
    for _ in range(n_samples):
        data = dict(zip(features, rng.normal(size=(16, n)), strict=True))
        alarms += bool(domain_rows(data, simulation)[1])
        far += any(
            two_sample_distance(data[name], simulation[name]) > WARN_DISTANCE
            for name in features[:4]
        )
    assert binom.sf(alarms - 1, n_samples, 2 * CLEAR) > 1e-3
    assert (far > 0.9 * n_samples) == (n == 8)
