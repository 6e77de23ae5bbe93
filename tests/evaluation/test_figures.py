"""Figures: returned, not saved; independent of what the user's matplotlib is set to."""

import io
import os
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from hits import make_events, make_reconstruction
from matplotlib.figure import Figure

from tashower.config import Config, as_dict
from tashower.errors import InputError
from tashower.evaluation.figures.directions import residual_maps
from tashower.evaluation.figures.explained_variance import explained_variance
from tashower.evaluation.figures.ladder import ladder
from tashower.evaluation.figures.methods import differences, distributions
from tashower.evaluation.figures.residuals import residuals
from tashower.evaluation.figures.resolution import angular_resolution, energy_resolution
from tashower.evaluation.figures.style import save
from tashower.evaluation.names import PALETTE, colours, label, styles
from tashower.evaluation.scores import Residuals


@pytest.fixture
def events(rng):
    return make_events(rng, 6)


@pytest.fixture
def table(rng, events):
    return make_reconstruction(rng, events)


def legend(of):
    """Texts of the legend of axes, or of a figure."""
    shown = of.legends[0] if isinstance(of, Figure) else of.get_legend()
    return [text.get_text() for text in shown.get_texts()]


def picture(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def test_nothing_of_the_users_settings_is_changed(events, table):
    before = dict(matplotlib.rcParams.copy())
    figure = distributions({"free": table}, [], "S800")
    assert isinstance(figure, Figure)
    assert dict(matplotlib.rcParams.copy()) == before
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_a_figure_looks_the_same_whatever_is_set(events, table):
    """Also where it is drawn later, as a notebook does."""
    figures = [differences({"free": table, "other": table}, [])]
    settings = {"text.usetex": True, "axes.facecolor": "k", "font.size": 30, "lines.linewidth": 9}
    with matplotlib.rc_context(settings):
        figures.append(differences({"free": table, "other": table}, []))
        texts = [t.get_usetex() for t in figures[1].findobj(matplotlib.text.Text)]
        assert not any(texts)
    assert picture(figures[0]) == picture(figures[1])
    with matplotlib.rc_context({"text.usetex": True}):
        figures[1].set_size_inches(20, 10)  # more ticks than before
        figures[1].draw_without_rendering()
        texts = [t.get_usetex() for t in figures[1].findobj(matplotlib.text.Text)]
    assert not any(texts)


def test_figures_in_a_notebook_with_latex_asked_for_and_absent(tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nbackend: TkAgg\n")
    code = (
        "import numpy as np, sys\n"
        "from tashower.evaluation.figures.residuals import residuals\n"
        "from tashower.evaluation.figures.style import save\n"
        "r = np.linspace(10, 2000, 400)\n"
        "found = {'r': r, 'time': r / 9, 'signal': r / 900, 'saturated': r < 90}\n"
        "figure = residuals(found)\n"
        "save(figure, sys.argv[1])\n"
        "figure.savefig(sys.argv[1] + '.png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    for backend in ("module://matplotlib_inline.backend_inline", "nbagg"):
        environment = os.environ | {
            "MPLCONFIGDIR": str(tmp_path),
            "MPLBACKEND": backend,
            "PATH": str(tmp_path),  # no LaTeX
        }
        path = tmp_path / "p.png"
        words = [sys.executable, "-c", code, str(path)]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert path.read_bytes().startswith(b"\x89PNG")
        path.unlink()


@pytest.mark.parametrize(("name", "mark"), [("a.png", b"Software\0"), ("a.PDF", b"/Creator")])
def test_pictures_say_what_made_them(tmp_path, events, table, name, mark):
    found = {n: np.arange(9.0) for n in ("r", "time", "signal")} | {"saturated": np.zeros(9, bool)}
    save(residuals(found), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    assert mark in content
    assert b"tashower" in content


@pytest.mark.parametrize("name", ["a", "a.txt", "a.html"])
def test_what_is_no_picture_is_not_written(tmp_path, name):
    with pytest.raises(InputError, match=f"{name}: ends like no picture"):
        save(Figure(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_every_method_is_drawn(events, table):
    names = ["free", "constrained", "new_fit", "plane", "net_a", "net_b"]
    methods = dict.fromkeys(names, table)
    figure = distributions(methods, ["net_a", "net_b"], "S800")
    expected = ["fit, free curvature", "fit, constrained curvature", "new_fit", "plane front"]
    expected += ["network: net_a", "network: net_b"]
    assert legend(figure) == expected
    figure = differences(methods, ["net_a", "net_b"])
    assert legend(figure) == expected[1:]
    assert "free fit" in figure.axes[0].get_xlabel()


def test_colours_stay_with_the_method():
    found = colours(["net", "constrained", "other", "free"])
    assert found == colours(["constrained"]) | colours(["free"]) | colours(["net", "other"])
    assert [found["net"], found["other"]] == list(PALETTE[:2])
    assert len(set(found.values())) == 4


def test_methods_are_distinct_in_grey():
    names = ["free", "published", "constrained", "complete", "likelihood_edges", "plane"]
    names += ["waveforms_and_features", "waveforms_only", "features_only", "stations_only", "mine"]
    found = styles(names)
    assert len({style.marker for style in found.values()}) == len(names)
    assert len({str(style.dashes) for style in found.values()}) == len(names)
    # Those that are listed keep theirs, whoever stands beside.
    assert styles(["mine", "complete"])["complete"] == found["complete"]


def numbered(scores_edges):
    """Scores of three methods, of which two are networks, in the given bins of energy."""
    entry = {"value": 0.8, "error": 0.1}
    quantities = ("angle_68_deg", "log_energy_68", "log_energy_bias")
    bins = [dict.fromkeys(quantities, entry)] * (len(scores_edges) - 1)
    names = ("free", "net_a", "net_b")
    return {
        "configuration": {"scores": {"energy_edges_log10_ev": scores_edges}},
        "methods": {name: {"by_energy": bins} for name in names},
        "networks": {"net_a": None, "net_b": None},
        "published_ev": [{"waveforms": True, "event_features": True, "value": 0.37}],
        "ladder": {"free": {n: {"all": {"axis": {"ev": entry}}} for n in names[1:]}},
    }


def test_published_lines_are_drawn_for_the_default_array_alone():
    scores = numbered([18.0, 18.5, 19.0])
    scores["networks"]["net_a"] = {"waveforms": True, "event_features": True}
    assert not any("TA" in text for text in legend(angular_resolution(scores)))
    assert not any("TA" in text for text in legend(explained_variance(scores)))
    scores["configuration"] |= as_dict(Config()) | {"scores": scores["configuration"]["scores"]}
    assert "TA published (2013)" in legend(angular_resolution(scores))
    assert any("published (TA" in text for text in legend(explained_variance(scores)))


@pytest.mark.parametrize("draw", [angular_resolution, energy_resolution])
def test_ticks_are_the_edges_of_the_bins(draw):
    axis = draw(numbered([17.5, 17.75, 18.0, 18.6])).axes[1]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["17.5", "17.75", "18", "18.6"]
    assert "edges of the bins" in axis.get_xlabel()


def test_maps_have_every_method_and_a_bar_of_colours(rng):
    residual = Residuals(rng.normal(0, 0.01, (300, 3)), *np.zeros((2, 300)), None, None)
    found = dict.fromkeys(("free", "complete", "net_a", "net_b", "net_c"), residual)
    axes = residual_maps({"networks": ["net_a", "net_b", "net_c"]}, found).axes
    titles = [axis.get_title() for axis in axes if axis.get_title()]
    assert titles == [label(name, ["net_a", "net_b", "net_c"]) for name in found]
    assert "events in a bin" in axes[-1].get_ylabel()


def test_the_same_figure_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("tashower.io.provenance.now", lambda: "now")
    for name in ("a.pdf", "b.pdf", "a.svg", "b.svg"):
        save(ladder_of_nothing(), tmp_path / name, "scores.json, crc32 0")
    for kind in ("pdf", "svg"):
        content = (tmp_path / f"a.{kind}").read_bytes()
        assert content == (tmp_path / f"b.{kind}").read_bytes()
        assert b"scores.json, crc32 0" in content


def ladder_of_nothing():
    scores = {
        "configuration": {"scores": {"energy_edges_log10_ev": [18, 19]}},
        "methods": {"free": {}},
        "networks": {},
        "ladder": {"free": {}},
    }
    return ladder(scores)


def test_the_ladder_draws_every_method_against_the_first_and_the_last_fit():
    def method(ratio):
        one = {"axis": {"ratio_68": {"value": ratio, "error": 0.1}}}
        none = {"axis": {"ratio_68": {"value": None, "error": None}}}
        return {"by_energy": [one, none]}

    scores = {
        "configuration": {"scores": {"energy_edges_log10_ev": [18, 19, 20]}},
        "methods": {"free": {}, "complete": {}, "net": {}},
        "networks": {"net": None},
        "ladder": {
            "free": {"complete": method(0.9), "net": method(0.8)},
            "complete": {"free": method(1.1), "net": method(0.95)},
        },
    }
    figure = ladder(scores)
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == (
        "against the free fit",
        "against the complete fit",
    )
    for axis, ratios in ((left, [0.9, 0.8]), (right, [1.1, 0.95])):
        lines = [bars.lines for bars in axis.containers]
        np.testing.assert_array_equal([line[0].get_ydata()[0] for line in lines], ratios)
        assert np.isnan(lines[0][0].get_ydata()[1])
        bar = lines[0][2][0].get_segments()[0][:, 1]
        assert bar.min() == pytest.approx(ratios[0] - 0.1)
        assert [t.get_text() for t in axis.get_xticklabels()] == ["18", "19", "20"]  # edges
    assert legend(figure) == ["fit, complete", "network: net", "fit, free curvature"]
    scores["ladder"] = {"free": {}}
    assert len(ladder(scores).axes) == 1
