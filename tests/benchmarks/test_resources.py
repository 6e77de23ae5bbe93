"""What rules need, from the benchmark files of two runs."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def resources(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in ("resources", "scaling"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import resources

    return resources


def test_a_line_through_two_jobs_is_never_negative(resources):
    assert resources.line((1000, 3.0), (5000, 11.0)) == [1.0, 2.0]
    assert resources.line((1000, 3.0), (5000, 1.0)) == [3.0, 0.0]


def test_the_largest_is_asked_for_and_fits_of_the_test_sample_stand_apart(resources, tmp_path):
    samples = {"train": 600, "validation": 100, "test": 200, "calibration": 400, "chunk_size": 300}
    content = {"configuration": {"samples": samples}, "commit": "abc"}
    (tmp_path / "scores.json").write_text(json.dumps(content))
    (tmp_path / "networks" / "a").mkdir(parents=True)
    (tmp_path / "networks" / "a" / "history.json").write_text('{"epochs": [{}, {}]}')
    for name, s, rss in (
        ("reconstruct_events/train-000", 2.0, 100.0),
        ("reconstruct_events/train-001", 4.0, 300.0),
        ("reconstruct_events/test-000", 50.0, 900.0),
        ("train_network/a", 30.0, 70.0),
    ):
        path = tmp_path / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\tmax_rss\tmax_pss\tcpu_time\n{s}\t{rss}\t1\t1\n")
    found, commit = resources.measured(tmp_path)
    assert commit == "abc"
    assert found["seconds"]["reconstruct_events"] == (300, 4.0)
    assert found["mean_seconds"]["reconstruct_events"] == (300, 3.0)
    assert found["memory_mb"]["reconstruct_events"] == (300, 300.0)
    assert found["seconds"]["reconstruct_tested"] == (200, 50.0)
    assert found["memory_mb"]["reconstruct_tested"] == (200, 900.0)
    assert found["seconds"]["train_network"] == (1400, 30.0)


def test_the_file_of_the_package_has_three_lines_for_every_rule(resources):
    rules = json.loads(resources.PRESENT.read_text())["rules"]
    assert {"reconstruct_events", resources.TESTED, "train_network"} <= set(rules)
    for rule, found in rules.items():
        assert set(found) == {"memory_mb", "seconds", "mean_seconds"}, rule
        for pair in found.values():
            assert len(pair) == 2, rule
            assert min(pair) >= 0.0, rule
