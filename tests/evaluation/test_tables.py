"""Tables of scores: every network, numbers of other people for their array alone, the limit."""

import json

import pytest

from tashower.config import Config, as_dict
from tashower.evaluation import anchors
from tashower.evaluation.tables import answer_rows, cells, ev_rows, pull_rows, quantity_rows


def entry(value, error=0.01):
    return {"value": value, "error": error}


@pytest.fixture
def scores():
    """Of the default array: two fits, and three networks of which two see the same."""
    sees = {"waveforms": True, "event_features": True}
    networks = {"net": sees, "again": sees, "elsewhere": None}
    names = ("published", "free", *networks)
    quantities = {
        "angle_68_deg": entry(1.0, 0.03),
        "core_68_m": entry(50.0, 1.0),
        "log_energy_68": entry(0.12, 0.004),
        "log_energy_bias": entry(-0.005, 0.003),
    }
    rung = {"all": {"axis": {"ratio_68": entry(0.8), "ev": entry(0.36)}}}
    return {
        "configuration": as_dict(Config()),
        "networks": networks,
        "methods": {name: {"all": quantities} for name in names},
        "fraction_valid": dict.fromkeys(names, 0.987),
        "published_ev": [sees | {"value": 0.37}],
        "ladder": {
            fit: {name: rung for name in names if name != fit} for fit in ("published", "free")
        },
        "ev_of_quantity": {
            "free": dict.fromkeys(("axis", "core", "log_energy"), entry(0.99997, 2e-6))
        },
        "pulls": {"free": {"zenith": {"mean": 0.1, "width": 1.1, "width_68": 1.0}}},
        "n_scored": 400,
    }


def other_array(scores):
    array = scores["configuration"]["array"] | {"spacing_m": 1500.0}
    return scores | {"configuration": scores["configuration"] | {"array": array}}


def test_every_network_has_a_row_whatever_its_name(scores):
    rows = ev_rows(scores)
    assert [row[0] for row in rows[1:]] == [
        *("network: net", "network: again", "network: elsewhere")
    ]
    assert [row[3] for row in rows] == ["published (TA)", "0.37", "0.37", "—"]
    assert rows[3][1:3] == ["not known", "not known"]
    assert rows[1][4:] == ["0.360 ± 0.010"] * 2
    scores["networks"]["again"] = {"waveforms": True, "event_features": False}
    assert [row[3] for row in ev_rows(scores)[1:]] == ["0.37", "—", "—"]
    scores["published_ev"].append({"waveforms": False, "event_features": False, "value": 0.11})
    assert ev_rows(scores)[-1] == ["not in this run", "no", "no", "0.11", "—", "—"]


def test_another_array_shows_no_published_numbers(scores):
    other = other_array(scores)
    assert cells(other) == []
    assert "TA" not in json.dumps(ev_rows(other))
    assert len(ev_rows(other)[0]) == len(ev_rows(scores)[0]) - 1


def test_the_answer_has_all_methods_on_one_table(scores):
    rows = answer_rows(scores)
    assert [row[0] for row in rows[1:]][:2] == ["fit, as published", "fit, free curvature"]
    assert len(rows) == 6
    assert rows[1] == [
        *("fit, as published", "1.000 ± 0.030", "1", "50.0 ± 1.0"),
        *("12.00 ± 0.40", "−0.50 ± 0.30", "98.7"),
    ]
    assert rows[2][2] == "0.800 ± 0.010"
    assert "limit" not in json.dumps(rows)


def test_a_limit_adds_a_row_and_columns(scores):
    limit = {"source": "a formula", "all": {"angle_68_deg": entry(0.5, 0.0)}}
    scores["limit"] = limit
    assert anchors.limit_of(scores) == limit
    rows = answer_rows(scores, limit)
    assert rows[0][2] == "times the limit"
    assert rows[1][1:3] == ["1.000 ± 0.030", "2.000 ± 0.060"]
    assert rows[-1][:3] == ["limit", "0.500", "1"]
    assert len({len(row) for row in rows}) == 1


def test_a_method_that_is_the_limit_is_no_row_of_its_own(scores):
    """Ratios to it are paired, as they stand in the scores."""
    size = scores["methods"]["free"]["all"]["angle_68_deg"]
    others = {n: {"angle_68_deg": entry(1.25, 0.01)} for n in scores["methods"] if n != "free"}
    limit = {"source": "x", "method": "free", "all": {"angle_68_deg": size}, "times": others}
    rows = answer_rows(scores, limit)
    assert len(rows) == 1 + len(scores["methods"])
    column = {row[0]: row[2] for row in rows[1:]}
    assert column.pop("fit, free curvature") == "1"
    assert set(column.values()) == {"1.250 ± 0.010"}


def test_what_is_all_but_explained_is_given_by_what_is_left(scores):
    assert quantity_rows(scores)[1] == ["fit, free curvature", *["0.00300 ± 0.00020"] * 3]


def test_the_error_of_a_mean_pull_is_that_of_the_events(scores):
    assert pull_rows(scores)[1] == ["free fit", "zenith", "0.100 ± 0.055", "1.10", "1.00"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "a square lattice of 22 × 23 stations, 1,200 m apart, 2 layers of 3 m²"),
        ({"lattice": "hexagonal", "spacing_m": 1500.0}, "a hexagonal lattice of 22 × 23"),
        ({"stations": "a/mine.csv"}, "the stations of mine.csv, 2 layers"),
        ({"reference_m": 1000.0}, "size at 1,000 m"),
    ],
)
def test_the_array_in_words(change, words):
    whole = as_dict(Config())
    assert words in anchors.array_words(whole | {"array": whole["array"] | change})
    assert anchors.array_words({}) == ""
