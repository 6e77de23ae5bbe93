"""docs/tutorial_own_array.md: every command, taken from the page, at small size."""

import json
import re

import pytest
from tutorial import PAGE, blocks, run_page

import tashower as ts

#: Keys of the configuration that make it small: its numbers mean nothing then.
SMALL = {
    "samples": {"calibration": 2000, "train": 1000, "validation": 100, "test": 300},
    "likelihood": {"stations": 20_000},
    "training": {"epochs": 2},
    "scores": {"bootstrap": 20},
}


def test_blocks_of_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n```sh\none\ntwo\n```\n\n```text\nthree\n```\n")
    assert blocks(page) == [("sh", "one\ntwo\n"), ("text", "three\n")]


def test_a_command_of_a_page_that_fails_is_named(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\nmkdir a\ncd a\n```\n```sh\ntouch b\n```\n```sh\nfalse || true\nls c\n```\n"
    )
    with pytest.raises(AssertionError, match="ls c"):
        run_page(page, tmp_path, "mine.yaml")
    assert (tmp_path / "a" / "b").exists()


def test_every_command_stands_in_a_block_that_is_run():
    text = PAGE.read_text()
    languages = {language for language, _ in blocks(PAGE)}
    assert languages == {"sh", "yaml", "text"}
    assert text.count("```") == 2 * len(blocks(PAGE))
    assert not re.search(r"^    tashower", text, re.M)


@pytest.mark.slow
def test_every_line_runs(tmp_path):
    printed = run_page(PAGE, tmp_path, "array/mine.yaml", SMALL)
    assert "train waveforms_and_features: epoch 2/2" in printed
    array = tmp_path / "array"
    tables = ts.read(array / "fits.h5")
    assert {"free", "complete", "likelihood_edges", "likelihood_waveforms"} <= set(tables)
    assert ts.read(array / "events.h5").array.kind == "irregular"
    for name in ("limit", "scores"):
        scores = json.loads((array / f"{name}.json").read_text())
        assert {"complete", "likelihood_waveforms"} <= set(scores["methods"])
    assert set(scores["networks"]) == {"waveforms_and_features"}
    for name in ("report.html", "view.html", "event.png"):
        assert (array / name).stat().st_size > 100_000
