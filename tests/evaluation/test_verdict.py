"""What a report says of generated showers."""

import json

import pytest

from tashower.errors import InputError
from tashower.evaluation.verdict import read_verdict, verdict_rows
from tashower.io.json_file import write_json


def judged(**change):
    one = {
        "paired": True,
        "n_events": {"reference": 1200, "file": 1100},
        "looks": 53,
        "differ": [{"kind": "mean", "name": "rise", "p_value": 1e-4}],
        "classifier": {"events": {"value": 0.712, "error": 0.021, "p_value": 1e-9}},
    }
    real = one | {"paired": False, "n_events": {"reference": 600, "file": 600}, "differ": []}
    return {
        "format": "tashower judgement",
        "version": 1,
        "sentences": ["flow: 1 of 53 looks differs clearly."],
        "real_against_real": real,
        "files": {"flow": one},
    } | change


def test_rows():
    rows = verdict_rows(judged())
    assert rows[0][:4] == ["file", "events", "reference", "same showers"]
    assert rows[1] == ["real against real", "600", "600", "no", "0.712 ± 0.021", "—", "53", "0"]
    assert rows[2] == ["flow", "1,100", "1,200", "yes", "0.712 ± 0.021", "—", "53", "1"]


def test_page_beside_a_report(tmp_path):
    assert read_verdict(None) is None
    assert read_verdict(tmp_path) is None
    write_json(tmp_path / "generated.json", judged())
    assert read_verdict(tmp_path) is None  # without its page there is nothing to point at
    (tmp_path / "generated.html").write_text("page")
    found = read_verdict(tmp_path)
    assert found["address"] == "generated.html"
    assert found["sentences"] == ["flow: 1 of 53 looks differs clearly."]
    assert found["rows"] == verdict_rows(judged())


def test_a_damaged_or_other_file_is_refused(tmp_path):
    (tmp_path / "generated.html").write_text("page")
    (tmp_path / "generated.json").write_text(json.dumps(judged()))
    with pytest.raises(InputError, match="checksum"):
        read_verdict(tmp_path)
    write_json(tmp_path / "generated.json", judged(version=2))
    with pytest.raises(InputError, match="version"):
        read_verdict(tmp_path)
