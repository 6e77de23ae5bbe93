"""What `tashower show` cannot show is one line, exit status 2, and no picture."""

from dataclasses import replace

import numpy as np
import pytest
from hits import make_events

from tashower.cli import main
from tashower.io.event_file import write_events
from tashower.io.json_file import as_json


@pytest.fixture
def folder(tmp_path, rng):
    events = make_events(rng, 1)
    nothing = replace(
        events,
        hit_offset=np.zeros(2, np.int64),
        **{
            name: getattr(events, name)[:0]
            for name in ("hit_station", "hit_time", "waveform", "pedestal", "counts_per_vem")
        },
        pulses=None,
    )
    write_events(tmp_path / "none.h5", nothing, {})
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "history.json").write_bytes(as_json({"format": "tashower history", "epochs": []}))
    (tmp_path / "list.json").write_text("[1, 2]")
    old = {"format": "tashower scores", "version": 2, "software": "", "commit": "", "created": ""}
    (tmp_path / "scores.json").write_bytes(as_json(old))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.h5", "--event", "0"], "event id 1 (position 0, counted from 0) has no hits"),
        (["none.h5", "--event", "0", "--output", "a.xyz"], "pictures end in .png"),
        (["none.h5", "--event", "0", "--output", "a"], "pictures end in .png"),
        (["none.h5", "--event", "0", "--output", "none.h5"], "would be overwritten"),
        (["text.pt"], "text.pt: not a checkpoint"),
        (["history.json"], "history.json: not a file of tashower"),
        (["list.json"], "list.json: not a file of tashower"),
        (["scores.json"], "scores.json: scores of version 2: score again"),
        (["."], "is a folder"),
    ],
)
def test_one_line_and_status_2(folder, monkeypatch, capsys, words, message):
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert main(["show", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(folder.iterdir()) == before
