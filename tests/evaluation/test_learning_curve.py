"""The learning curve: which networks make one, and how it is continued."""

import json

import numpy as np
import pytest
from PIL import Image

from tashower.cli import main
from tashower.config import as_dict, load_config
from tashower.errors import InputError
from tashower.evaluation.learning_curve import (
    as_markdown,
    beyond,
    continue_curve,
    continued,
    curves,
    error_of,
    rows,
)
from tashower.evaluation.tables import VERSION
from tashower.io.json_file import write_json

SHOWERS = (10_000, 30_000, 100_000, 300_000, 1_000_000)


def law(n):
    """EV that rises towards 0.45."""
    return 0.45 - 0.2 * (np.asarray(n, dtype=float) / 100_000) ** -0.3


def entry(value, scatter=0.003):
    each = value + scatter * np.array([1.0, -1.0, 0.0])
    return {"value": float(value), "error": 0.01, "scatter": scatter, "each": list(each)}


@pytest.fixture
def scores():
    """Networks of five sizes, one that differs otherwise, and one of another configuration."""
    names = {f"n{i}": {"showers": n} for i, n in enumerate(SHOWERS)}
    names |= {"other": {"model": "set"}, "all": {"showers": 0}}
    config = as_dict(load_config({"samples": {"train": 3_000_000}, "networks": names}))
    sizes = dict(zip(names, (*SHOWERS, 10_000, 3_000_000), strict=True))
    ladder = {
        name: {"all": {"axis": {"ev": entry(law(n)), "ratio_68": entry(np.sqrt(1.0 - law(n)))}}}
        for name, n in sizes.items()
    }
    sees = {"waveforms": True, "event_features": True}
    return {
        "format": "tashower scores",
        "version": VERSION,
        "configuration": config,
        "networks": dict.fromkeys(names, sees) | {"elsewhere": None},
        "trainings": {name: [name] for name in (*reversed(names), "elsewhere")},
        "ladder": dict.fromkeys(("published", "free", "complete"), ladder),
        "limit": {"times": {name: {"angle_68_deg": entry(1.05)} for name in names}},
        "n_scored": 1234,
    }


def test_networks_that_differ_by_their_showers_alone_make_a_curve(scores):
    (curve,) = curves(scores)
    assert [point.showers for point in curve.points] == [*SHOWERS, 3_000_000]
    assert curve.points[-1].network == "all"  # 0: the whole sample
    assert curve.fit == "free"
    assert set(curve.points[0].found) == {"ev", "ratio_68", "ratio_to_best", "times"}
    for name in scores["configuration"]["networks"]:
        scores["configuration"]["networks"][name]["showers"] = 0
    with pytest.raises(InputError, match="differ by `showers` alone"):
        curves(scores)


def test_what_is_continued_of_a_power_law_is_that_law():
    n, at = np.array(SHOWERS, dtype=float), np.array([1e4, 1e7])
    found = continued(n, law(n), np.full(len(n), 1e-6), at)
    np.testing.assert_allclose(found.value, law(at), atol=1e-4)
    assert found.limit == pytest.approx(0.45, abs=1e-3)
    assert found.exponent == pytest.approx(0.3, abs=1e-2)
    assert (found.error < 1e-3).all()


@pytest.mark.slow
def test_errors_of_what_is_continued_are_those_of_repeated_curves():
    n, at, error = np.array(SHOWERS, dtype=float), np.array([1e6, 1e7]), 0.002
    rng = np.random.default_rng(2)
    found = [
        continued(n, law(n) + error * rng.normal(size=5), np.full(5, error), at) for _ in range(30)
    ]
    spread = 0.5 * np.ptp(np.quantile([one.value for one in found], [0.16, 0.84], axis=0), axis=0)
    stated = np.median([one.error for one in found], axis=0)
    # Thirty repetitions know a width to 15 %.
    np.testing.assert_allclose(stated, spread, rtol=0.4)
    assert stated[1] > 1.5 * stated[0]  # a decade beyond the last point


def test_too_few_sizes_or_a_straight_line_continue_nothing():
    n = np.array(SHOWERS, dtype=float)
    assert continued(n[:3], law(n[:3]), np.full(3, 1e-3), n) is None
    assert continued(np.repeat(n[:3], 2), np.repeat(law(n[:3]), 2), np.full(6, 1e-3), n) is None
    straight = 0.1 + 0.05 * np.log10(n)
    assert continued(n, straight, np.full(5, 1e-4), n) is None


def test_error_along_the_curve_is_the_scatter_of_the_mean():
    assert error_of(entry(0.3)) == pytest.approx(0.003 / np.sqrt(3))
    assert error_of({"value": 0.3, "error": 0.02}) == 0.02


def test_tables_mark_what_was_not_measured(scores):
    (curve,) = curves(scores)
    assert beyond(curve) == [1e7]
    found = rows(scores, curve, beyond(curve))
    assert [row[0] for row in found[1:]] == [
        *(f"{n:,}" for n in (*SHOWERS, 3_000_000)),
        "10,000,000 (continued)",
    ]
    assert found[1][1] == "0.051 ± 0.010"
    value = continue_curve(curve, "ev", [1e7]).value[0]
    assert found[-1][1].startswith(f"{value:.4f}")
    text = as_markdown(scores, "scores.json, crc32 00000000")
    assert "1,234 events" in text
    assert "(n/" in text


@pytest.mark.slow
def test_the_command_writes_tables_and_a_figure(scores, tmp_path, capsys):
    path = tmp_path / "scores.json"
    write_json(path, scores)
    assert main(["learning-curve", str(path), "-o", str(tmp_path / "curve.md")]) == 0
    text = (tmp_path / "curve.md").read_text()
    assert "(continued)" in text
    assert "crc32" in text
    picture = Image.open(tmp_path / "curve.png")
    assert picture.size[0] > 900
    assert np.asarray(picture.convert("L")).std() > 10
    scores["trainings"] = {"n0": ["n0"]}
    write_json(path, scores)
    (tmp_path / "curve.md").unlink()
    assert main(["learning-curve", str(path), "-o", str(tmp_path / "curve.md")]) == 2
    assert "differ by `showers` alone" in capsys.readouterr().err
    assert not (tmp_path / "curve.md").exists()
    path.write_text(json.dumps({"format": "tashower calibration"}))
    assert main(["learning-curve", str(path), "-o", str(tmp_path / "curve.md")]) == 2
