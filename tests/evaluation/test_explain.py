"""The page of what a network looks at: numbers, what is left out and why, refusals, a browser."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from browser import Browser, find_browser
from toy_networks import write_checkpoint, write_sample

from tashower.cli import main
from tashower.evaluation import explain, explain_tables
from tashower.evaluation.importance import importance
from tashower.evaluation.page import statement_of
from tashower.events.model import Reconstruction, Truth
from tashower.network.insight.attribution import has_captum
from tashower.network.insight.permutation import Input
from tashower.network.sample import correction

WIDE = """[...document.querySelectorAll('body *')]
  .filter(e => !e.closest('.wide') && !e.closest('pre') && !e.closest('dialog')
    && e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.outerHTML.slice(0, 80))"""
USERS = """
import torch
class Own(torch.nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.last = torch.nn.Linear(len(inputs.event_features), inputs.n_outputs)
    def forward(self, cells, event_features, waveform, waveform_place):
        return self.last(event_features)
def model(inputs):
    return Own(inputs)
"""


def tables(rng, n=400):
    """A fit that is wrong by a degree, and the truth."""
    zenith, azimuth = rng.uniform(0.2, 0.6, n), rng.uniform(0.0, 6.2, n)
    zeros = {name: np.zeros(n) for name in Reconstruction.__dataclass_fields__}
    fit = Reconstruction(
        **zeros
        | {
            "event_id": np.arange(n),
            "zenith": zenith + rng.normal(0.0, 0.02, n),
            "azimuth": azimuth + rng.normal(0.0, 0.02, n) / np.sin(zenith),
            "s_ref": np.ones(n),
            "energy": np.ones(n),
            "covariance": np.zeros((n, 7, 7)),
            "flags": np.zeros(n, np.uint16),
        }
    )
    zeros = {name: np.zeros(n) for name in Truth.__dataclass_fields__}
    truth = Truth(
        **zeros | {"shower_id": np.arange(n), "zenith": zenith, "azimuth": azimuth}
        | {"energy": np.ones(n)}
    )  # fmt: skip
    return fit, truth


def test_importance_finds_the_only_input_that_matters(rng):
    """A perfect correction: permuted, its explained variance is 1 - 2 = -1; nothing else counts."""
    fit, truth = tables(rng)
    whole = correction(fit, truth).astype(float)
    inputs = [Input(name, "hits", (name,)) for name in ("x", "it", "z")]
    without = np.stack([whole, whole[rng.permutation(len(whole))], whole])
    permuted = SimpleNamespace(inputs=inputs, whole=whole, without=without, constant=[])
    found = importance(permuted, fit, truth, 0.0)
    assert found.whole["ev"]["value"] == pytest.approx(1.0, abs=1e-6)
    assert found.whole["angle"]["value"] == pytest.approx(0.0, abs=1e-4)
    assert found.whole["fit"]["value"] == pytest.approx(np.degrees(0.02) * 1.515, rel=0.15)
    lost, angle = found.ev_lost[1], found.angle_gained[1]
    assert abs(lost["value"] - 2.0) < 4 * lost["error"] < 1.0
    assert abs(angle["value"] - np.sqrt(2) * np.degrees(0.02) * 1.515) < 4 * angle["error"]
    for k in (0, 2):
        for entry in (found.ev_lost[k], found.angle_gained[k], found.change[k]):
            assert entry == {"value": 0.0, "error": 0.0}
    assert found.change[1]["value"] == pytest.approx(angle["value"], rel=1e-3)
    assert found.n == len(fit)


def test_without_a_truth_only_the_change_is_known(rng):
    fit, truth = tables(rng, 50)
    whole = correction(fit, truth).astype(float)
    inputs = [Input("x", "hits", ("x",))]
    permuted = SimpleNamespace(inputs=inputs, whole=whole, without=0 * whole[None], constant=[])
    found = importance(permuted, fit, None, 0.0)
    assert (found.ev_lost, found.angle_gained, found.whole) == (None, None, {})
    assert found.change[0]["value"] > 0.5


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(checkpoint of the grid, event file, fits)."""
    folder = tmp_path_factory.mktemp("explain")
    return write_checkpoint(folder / "grid.pt"), *write_sample(folder)


@pytest.fixture
def quick(monkeypatch):
    """Integrals of a few steps."""
    from tashower.network.insight import attribution

    monkeypatch.setattr(attribution.integrated_gradients, "__defaults__", (8,))


def asked(files, **options):
    subject = explain.read_subject(*files, options.get("number", 6), options.get("events", ()))
    return explain.ask(subject, explain.Asked(**options))


def test_one_event_is_enough(files, quick):
    found = asked(files, number=1)
    assert found.subject.n == 1
    figures = explain.figures_of(found)
    wanted = {"importance", "event_1", "channels", "filters", "shifts"}
    assert set(figures) == wanted | ({"attributions"} if has_captum() else set())
    assert explain_tables.findings(found)
    lost = found.importance.ev_lost[0]
    assert np.isnan(lost["error"])  # one shower cannot be drawn anew


def test_events_that_are_drawn_are_those_that_were_named(files, quick):
    found = asked(files, events=[9, 4], number=3)
    rows = found.subject.sample.rows
    assert rows[found.maps.rows].tolist() == [4, 9]
    looked = explain.looked(found, 0)
    ids = found.subject.fitted.fit.event_id
    assert looked.title.startswith(f"event {ids[found.maps.rows[0]]} (position 4): fit ")
    events = found.subject.fitted.events
    row = found.maps.rows[0]
    stations = events.hit_station[slice(*events.hit_offset[row : row + 2])]
    # Every waveform is that of the station whose name it has.
    names = [events.array.name_of(k) for k in stations]
    assert set(looked.station) <= set(names)
    assert len(set(looked.station)) == len(looked.station)
    strongest = int(np.argmax(looked.waveform.max(axis=(1, 2))))
    raw = events.waveform[slice(*events.hit_offset[row : row + 2])].astype(float)
    assert looked.station[strongest] == names[int(np.argmax(raw[:, :64].max(axis=(1, 2))))]


def test_attributions_of_stations_and_inputs_add_up(files, quick):
    pytest.importorskip("captum")
    found = asked(files)
    names, values = explain.attributions_by_input(found)
    of = found.attribution
    assert len(names) == values.shape[1] == len(set(names))
    total = of.answer - of.baseline - of.missing
    np.testing.assert_allclose(values.sum(axis=1), total, rtol=1e-4, atol=1e-9)
    stations = explain._of_stations(found, 0).sum() / 1e3
    events = of.event_features[0].sum()
    assert stations + events == pytest.approx(total[0], rel=1e-4)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--number", "0"], "number 0: at least one event is needed"),
        (["--event", "900"], "fits.h5: has no event at position 900: it holds "),
        (["--event", "-1"], "fits.h5: has no event at position -1: it holds "),
        (["--model", "x.py"], "x.py: .*has the built-in model grid"),
    ],
)
def test_bad_words_are_refused_in_one_line(files, tmp_path, caplog, words, line):
    checkpoint, events, fits = files
    words = ["explain", str(checkpoint), str(events), "--fits", str(fits), *words]
    assert main([*words, "-o", str(tmp_path / "x.html")]) == 2
    assert re.search(line, caplog.records[-1].getMessage())
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Text of pages of several networks and samples."""
    folder, found = tmp_path_factory.mktemp("pages"), {}
    (folder / "own.py").write_text(USERS)
    (folder / "measured").mkdir()
    measured = write_sample(folder / "measured", truth=False)
    events = write_sample(folder)
    cases = {
        "grid": ({}, events, []),
        "measured": ({"head": "gaussian"}, measured, ["--target", "core_x"]),
        "stations": ({"waveforms": False, "event_features": False}, events, ["--number", "1"]),
        "own": ({"model": str(folder / "own.py"), "waveforms": False}, events, []),
    }
    for name, (options, paths, words) in cases.items():
        checkpoint = write_checkpoint(folder / f"{name}.pt", **options)
        words = ["--number", "12", *words]
        words = [str(checkpoint), str(paths[0]), "--fits", str(paths[1]), *words]
        found[name] = folder / f"{name}.html"
        assert main(["explain", *words, "-o", str(found[name])]) == 0
    return found


@pytest.mark.slow
def test_what_there_is_is_shown_and_the_rest_explained(pages):
    text = {name: path.read_text() for name, path in pages.items()}
    shown = {name: re.findall(r'<figure id="figure-(\w+)"', t) for name, t in text.items()}
    some = ["importance", *(["attributions"] if has_captum() else [])]
    every = [*some, "event_1", "event_2", "event_3", "channels", "shifts", "filters"]
    assert shown["grid"] == shown["measured"] == every
    assert shown["stations"] == [*some, "event_1", "channels", "shifts"]
    assert shown["own"] == [*some, "event_1", "event_2", "event_3", "shifts"]
    assert "The events have no truth" in text["measured"]
    assert "explained variance" not in text["measured"].lower()
    assert "The network reads no waveforms" in text["stations"]
    assert "The network reads no event features" in text["stations"]
    assert "No layer of the model gives an output for every cell" in text["own"]
    for name in text:
        assert ("captum is not installed" in text[name]) == (not has_captum())
    assert ("Completeness of the integrated" in text["grid"]) == has_captum()
    stated = statement_of(pages["grid"])
    assert stated["stage"] == "explain"
    assert [name for name, _ in stated["made_from"]] == ["grid.pt", "events.h5", "fits.h5"]


@pytest.mark.slow
def test_without_captum_the_page_says_so(files, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(explain, "has_captum", lambda: False)
    checkpoint, events, fits = files
    page = tmp_path / "x.html"
    words = [str(checkpoint), str(events), "--fits", str(fits), "--number", "3"]
    assert main(["explain", *words, "-o", str(page)]) == 0
    assert "pip install 'tashower[explain]'" in caplog.text
    assert "figure-attributions" not in page.read_text()
    assert "figure-event_1" in page.read_text()


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="needs a Chromium")
def test_in_a_browser(pages):
    with Browser() as browser:
        for page in pages.values():
            browser.screen(1280, 900)
            browser.open(page)
            asked = [a for a in browser.requests if not a.startswith("data:")]
            assert set(asked) <= {"about:blank", *(p.as_uri() for p in pages.values())}
            broken = "[...document.querySelectorAll('img')].filter(i => i.src && !i.naturalWidth)"
            assert browser.run(f"{broken}.length") == 0
            browser.click("a.zoom")
            assert browser.run("document.querySelector('dialog').open")
            browser.key("Escape", 27)
            browser.screen(360, 780, mobile=True)
            browser.open(page)
            assert browser.run("document.documentElement.scrollWidth") == 360
            assert browser.run(WIDE) == []
        assert browser.errors == []
