"""The band of the headline over the simulated fronts, in the report."""

import json

import pytest

from tashower.config import as_dict, load_config
from tashower.evaluation.anchors import of_default_array
from tashower.evaluation.fronts import front_rows, front_sentence, read_band

NUMBERS = {"sourced": 0.6, "formula": 0.7, "rough": 0.9}


@pytest.fixture
def band():
    def fits(value):
        entry = {"value": value, "error": 0.01}
        return {
            "published": {"ratio_68": entry, "ev": {"value": 1 - value, "error": 0.02}},
            "complete": {"ratio_68": {"value": value + 0.1, "error": 0.0}, "ev": entry},
        }

    return {
        "command": "python benchmarks/front_choice.py",
        "commit": "0123456789",
        "showers": 30_000,
        "trainings": 3,
        "fronts": {
            front: {"waveforms_and_features": fits(value), "features_only": fits(0.95)}
            for front, value in NUMBERS.items()
        },
    }


def test_rows_have_every_front_network_and_fit(band):
    header, *rows = front_rows(band)
    assert header[2:] == [
        *("ratio, published fit", "ratio, complete fit", "EV, published fit", "EV, complete fit")
    ]
    assert [row[0] for row in rows] == [front for front in NUMBERS for _ in range(2)]
    assert rows[2][2:] == ["0.700 ± 0.010", "0.800", "0.300 ± 0.020", "0.700 ± 0.010"]
    assert rows[3][2] == "0.950 ± 0.010"


def test_sentence_gives_the_range_of_the_first_network(band):
    text = front_sentence(band)
    for part in (
        "sourced, formula, rough",
        "0.60 to 0.90 times that of the published fit",
        "0.70 to 1.00 times that of the complete fit",
        "0.10 to 0.40 and 0.60 to 0.90",
        "30,000 showers to train with, 3 trainings",
        "commit 0123456)",
    ):
        assert part in text


def test_numbers_that_come_with_the_package():
    band = read_band()
    assert list(band["fronts"]) == list(NUMBERS)
    assert "/" not in json.dumps(band["fronts"])
    for front in band["fronts"].values():
        for fits in front.values():
            assert list(fits) == ["published", "free", "constrained", "complete"]
            for found in fits.values():
                assert 0.4 < found["ratio_68"]["value"] < 1.2
                assert 0.0 < found["ratio_68"]["error"] < 0.05
    assert len(front_rows(band)) == 7
    assert band["showers"] >= 30_000
    assert band["trainings"] == 3


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("{}", True),
        ("{seed: 5}", True),
        ("{array: {spacing_m: 1500}}", False),
        ("{detector: {layers: 1}}", False),
    ],
)
def test_only_for_the_array_and_the_detector_of_the_numbers(change, wanted):
    assert of_default_array({"configuration": as_dict(load_config(change))}) is wanted
