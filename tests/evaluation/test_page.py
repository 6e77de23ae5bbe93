"""Pages: whole HTML that escapes what comes from outside."""

import json
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tashower.evaluation.advice import Finding
from tashower.evaluation.page import links, render, typeset
from tashower.evaluation.report import read_times, report_text

ROOT = Path(__file__).resolve().parents[2]
VOID = {"meta", "img", "br", "hr", "link", "input"}
SCRIPT = "<script>"  # the page's own, which is the same whatever stands in it
NASTY = '<script>alert(1)</script> & "it\'s"'


class Balanced(HTMLParser):
    """Every tag is closed in order; collects text, and the tags that it met."""

    def __init__(self):
        super().__init__()
        self.open, self.met, self.text = [], set(), ""

    def handle_starttag(self, tag, attrs):
        self.met.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def parsed(text):
    page = Balanced()
    page.feed(text)
    page.close()
    assert not page.open
    return page


def entry(value=0.1):
    return {"value": value, "error": 0.01}


@pytest.fixture
def scores():
    """Scores of a fit and of a network with a nasty name, in one bin of energy and of zenith."""
    names = ("free", "constrained", NASTY)
    quantities = ("angle_68_deg", "angle_99_deg", "zenith_bias_deg", "core_68_m", "core_bias_m")
    summary = {q: entry() for q in (*quantities, "log_energy_bias", "log_energy_68")} | {"n": 12}
    method = {"all": summary, "weighted": summary, "by_energy": [summary], "by_zenith": [summary]}
    gain = {key: entry() for key in ("ratio_68", "ev_68", "ev", "ev_without_worst")}
    gain = dict.fromkeys(("axis", "core", "log_energy"), gain)
    rung = {"all": gain, "weighted": gain, "by_energy": [gain]}
    cut = {"fraction": 0.5, "angle_68_deg": entry()}
    ev = {q: entry() for q in ("axis", "core", "log_energy")}
    return {
        "commit": "abc",
        "created": "now",
        "software": "tashower",
        "versions": {"python": "3"},
        "selection": "all",
        "n_scored": 12,
        "n_triggered": 1200,
        "networks": {NASTY: None},
        "configuration": {
            "scores": {"energy_edges_log10_ev": [18, 19], "zenith_edges_deg": [0, 60]},
            "name": NASTY,
        },
        "published_ev": [{"waveforms": True, "event_features": True, "value": 0.37}],
        "ladder": {fit: dict.fromkeys(names, rung) for fit in ("free", "constrained")},
        "trainings": {NASTY: [NASTY]},
        "spectrum": {"index": 3.0, "thrown": 1.0, "n_effective": 4.0},
        "cuts": dict.fromkeys(("common", "own", "looser"), dict.fromkeys(names, cut)),
        "ev_of_quantity": dict.fromkeys(names, ev),
        "methods": dict.fromkeys(names, method),
        "fraction_valid": dict.fromkeys(names, 1.0),
        "fraction_scored_by_energy": [0.5],
        "pulls": {"free": {"core_x": {"mean": 0.0, "width": 1.0, "width_68": None}}},
        "histories": {},
    }


def test_report_is_whole_and_escapes_names(scores, tmp_path):
    (tmp_path / "pulls.png").write_bytes(b"\x89PNG")
    for number in (10, 2, 1):
        (tmp_path / f"event_{number}.png").write_bytes(b"\x89PNG")
    text = report_text(scores, list(tmp_path.glob("*.png")))
    page = parsed(text)
    assert text.count(SCRIPT) == 1
    assert "alert" not in text[text.index(SCRIPT) :]
    assert f"network: {NASTY}" in page.text
    assert json.dumps(NASTY) in page.text  # in the configuration
    assert text.count("<figure ") == 4
    assert text.index("event_1") < text.index("event_2") < text.index("event_10")
    assert 'id="training"' not in text
    for word in ("fit, free curvature", "fit, constrained curvature", "68 % angle", "bad_chi2"):
        assert f"<dt>{typeset(word)}</dt>" in text


def test_report_holds_methods_against_the_limit_where_one_is_known(scores):
    assert "the limit" not in report_text(scores, [])
    limit = {"source": f"a formula of {NASTY}", "all": {"angle_68_deg": entry(0.05)}}
    page = parsed(report_text(scores | {"limit": limit}, []))
    assert "times the limit" in page.text
    assert f"The limit: a formula of {NASTY}." in page.text


def test_times_of_the_workflow(scores, tmp_path):
    (tmp_path / "b" / "fit").mkdir(parents=True)
    header = "s\tmax_rss\tcpu_time\n"
    (tmp_path / "b" / "fit" / "0.tsv").write_text(header + "2.0\t10\t1.5\n")
    (tmp_path / "b" / "fit" / "1.tsv").write_text(header + "4.0\t30\t-\n")
    assert read_times(tmp_path / "b")[1:] == [["fit", "2", "6", "2", "30"]]
    assert "<h3>Times" in report_text(scores, [], benchmarks=tmp_path / "b")
    assert "<h3>Times" not in report_text(scores, [])


def test_report_of_measured_events_is_whole_and_escapes_names():
    rows = [["a", NASTY], [NASTY, "b"]]
    content = {
        "lead": f"3 events of {NASTY}",
        "reference": NASTY,
        "what": rows,
        "counts": rows,
        "findings": [Finding(NASTY, f"`{NASTY}`")],
        "methods": [(NASTY, NASTY)],
        "cuts": [(NASTY, NASTY)],
        "cut_counts": rows,
        "event_rows": rows,
        "n_listed": 1,
        "n_events": 3,
        "domain": {"warnings": [NASTY, "second"], "rows": rows, "looks": 21, "few": 0},
        "truth": {"problem": NASTY, "tables": [rows]},
        "pictures": {"differences": "AAAA", f"event_1{NASTY}": "AAAA"},
        "links": {},
        "commands": {},
        "configuration": NASTY,
    }
    text = render("data_report.html.j2", **content)
    page = parsed(text)
    assert text.count(SCRIPT) == 1
    assert text.count("<code>&lt;script&gt;") == 1  # between backquotes
    # twice in each of six tables, a finding, a method and a cut; lead, caption, warning, problem,
    # configuration
    assert page.text.count(NASTY) == (6 + 3) * 2 + 5
    nothing = content | {"domain": None, "truth": None, "pictures": {}}
    page = parsed(render("data_report.html.j2", **nothing))
    assert "Against the truth" not in page.text
    assert "Data against simulation" not in page.text
    assert "figure" not in page.met


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("0.8 ± 0.1 deg of 5 m", "0.8_±_0.1_deg of 5_m"),
        ("68 % of 12 methods, 3 minutes", "68_% of 12 methods, 3 minutes"),
        ("<td>18.5 – 18.75</td>", "<td>18.5_–_18.75</td>"),
        ("from -0.3 to -4, E^-3, m^2", "from −0.3 to −4, E⁻³, m²"),
        ('<p title="1 % -2">1 %</p>', '<p title="1 % -2">1_%</p>'),
        ("<pre>1 %, -2</pre> 1 %", "<pre>1 %, -2</pre> 1_%"),
    ],
)
def test_numbers_are_not_broken_over_lines(written, shown):
    assert typeset(written) == shown.replace("_", "\N{NO-BREAK SPACE}")


def test_links_lead_from_the_page_to_the_pictures(tmp_path):
    folder = tmp_path / "a" / "figures"
    folder.mkdir(parents=True)
    for name in ("x y.png", "x y.pdf", "z.png"):
        (folder / name).write_bytes(b"")
    found = links([folder / "x y.png", folder / "z.png"], tmp_path / "b")
    assert found["x y"] == {"png": "../a/figures/x%20y.png", "pdf": "../a/figures/x%20y.pdf"}
    assert found["z"]["pdf"] == ""
    assert links([folder / "z.png"], None) == {}


def test_templates_come_with_the_package():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = patterns["tool"]["setuptools"]["package-data"]["tashower"]
    package = ROOT / "tashower"
    packed = {path for pattern in patterns for path in package.glob(pattern)}
    templates = {p for p in (package / "evaluation" / "templates").rglob("*") if p.is_file()}
    assert templates
    assert templates <= packed
    assert all(any(package.glob(pattern)) for pattern in patterns)
