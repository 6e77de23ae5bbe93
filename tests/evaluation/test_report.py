"""Figures, report and event display of a small simulated sample: from files to pictures."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tashower.calibration.calibration import DEFAULT
from tashower.cli import main
from tashower.evaluation.names import short
from tashower.evaluation.rounding import pm
from tashower.io.event_file import read_events
from tashower.io.json_file import as_json
from tashower.io.reconstruction_file import read_reconstruction, write_reconstruction

CONFIG = "{scores: {bootstrap: 10, examples: 1}, samples: {test: 300}}"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Events, fits and two made networks: the fit itself under other names."""
    folder = tmp_path_factory.mktemp("report")
    events, fits = folder / "events.h5", folder / "fits.h5"
    assert main(["simulate", "--config", CONFIG, "--output", str(events)]) == 0
    assert main(["fit", str(events), "--calibration", str(DEFAULT), "--output", str(fits)]) == 0
    tables, _, _ = read_reconstruction(fits)
    for name in ("waveforms_and_features", "my_network"):
        write_reconstruction(folder / f"{name}.h5", {name: tables["constrained"]}, {})
    truth = read_events(events, ("truth",)).truth
    said = replace(
        tables["free"], xmax=truth.xmax + 1.0, ln_a=np.log(truth.mass_number.astype(float))
    )
    write_reconstruction(folder / "deep.h5", {"deep": said}, {})
    return folder, events, fits


@pytest.fixture(scope="module")
def scores(files):
    folder, events, fits = files
    output = folder / "out" / "scores.json"
    names = ("waveforms_and_features", "my_network", "deep")
    networks = [f"{name}={folder}/{name}.h5" for name in names]
    words = [
        "score",
        "--config",
        CONFIG,
        "--events",
        str(events),
        "--fits",
        str(fits),
        "--network",
        *networks,
    ]
    assert main([*words, "--calibration", str(DEFAULT), "--output", str(output)]) == 0
    return output


def test_scores_are_plain_json_with_what_made_them(scores):
    content = json.loads(scores.read_text())
    assert content["format"] == "tashower scores"
    assert content["configuration"]["samples"]["test"] == 300
    assert content["networks"]["my_network"] is None
    same = content["ladder"]["constrained"]["my_network"]["all"]["axis"]["ev"]["value"]
    assert same == pytest.approx(0.0, abs=1e-9)
    for name in ("waveforms_and_features", "my_network"):  # every network is in the pictures
        assert f"{name}.h5" in content["commands"]["event_1"]
    assert (scores.with_name("scores.md")).read_text().startswith("# Scores")


@pytest.mark.parametrize(
    "name",
    [
        "ladder",
        "angular_resolution",
        "energy_resolution",
        "zenith_bias",
        "opening_angles",
        "residual_maps",
        "explained_variance",
        "pulls",
        "event_1",
    ],
)
def test_figure_is_drawn(scores, name):
    picture = scores.parent / "figures" / f"{name}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 10_000
    assert b"Software\0tashower" in picture.read_bytes()  # says what made it
    assert picture.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


def test_report_is_one_file_that_needs_no_network(scores):
    report = scores.with_name("report.html")
    assert (
        main(["report", "--config", CONFIG, "--scores", str(scores), "--output", str(report)]) == 0
    )
    text = report.read_text()
    # Links lead to the pictures beside it, which it does not need; its own script reads nothing.
    assert not re.findall(r'(?:src|href)="(?!data:|#|figures/)', text)
    assert not re.findall(r'src="(?!data:)', text)
    assert not re.findall(r"fetch\(|import\(|XMLHttp|url\(|https?://", text)
    linked = re.findall(r'href="(figures/[^"]*)"', text)
    assert len(linked) == 2 * text.count("<figure ")
    assert all((report.parent / link).is_file() for link in linked)
    assert text.count("data:image/png") >= 8
    anchors = re.findall(r'href="#(\w+)"', text)
    assert all(f'id="{a}"' in text for a in anchors)
    for words in ("What was run", "Explained variance", "What this does not contain"):
        assert words in text
    # The answer comes first; every method, whatever its name, stands in it.
    assert text.index('<section id="answer">') < text.index("<figure")
    answer = text[text.index('<section id="answer">') : text.index("</table>")]
    for name in ("fit, as published", "network: waveforms + features", "network: my_network"):
        assert f">{name}</td>" in answer
    assert not re.findall(r"± 0\.?0*[^\d.]", text)  # never "± 0.000"
    assert text.count("<script>") == 1


def test_a_network_of_mass_stands_in_its_own_section_alone(scores, tmp_path, capsys):
    content = json.loads(scores.read_text())
    assert list(content["networks"]) == ["waveforms_and_features", "my_network"]
    assert "deep" not in content["methods"]
    one = content["mass"]["methods"]["deep"]["all"]
    assert one["xmax_bias"]["value"] == pytest.approx(1.0)
    assert one["ln_a_rms"]["value"] == pytest.approx(0.0, abs=1e-9)
    assert "deep.h5" in [name for name, _ in content["made_from"]]
    report = tmp_path / "r.html"
    assert main(["report", str(scores), "--output", str(report)]) == 0
    section = report.read_text().split('<section id="mass">')[1].split("</section>")[0]
    assert ">network: deep</td>" in section
    assert "arXiv:2101.02946" in section
    assert "## Xmax and mass" in scores.with_name("scores.md").read_text()
    assert main(["show", str(scores)]) == 0
    assert "Network: deep: Xmax to" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": "other"}'])
def test_report_of_something_else_is_refused(tmp_path, content, capsys):
    path = tmp_path / "x.json"
    path.write_text(content)
    assert main(["report", "--scores", str(path), "--output", str(tmp_path / "r.html")]) == 2
    assert "x.json" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_report_of_older_scores_is_refused(tmp_path, capsys):
    path = tmp_path / "x.json"
    path.write_bytes(as_json({"format": "tashower scores", "version": 2, "figures": []}))
    assert main(["report", "--scores", str(path), "--output", str(tmp_path / "r.html")]) == 2
    assert "x.json: scores of version 2: score again" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_show_prints_the_ladder(scores, capsys):
    assert main(["show", str(scores)]) == 0
    out = capsys.readouterr().out
    content = json.loads(scores.read_text())
    for fit in content["ladder"]:
        assert f"| against the {short(fit)} |" in out
    one = content["ladder"]["constrained"]["free"]["all"]["axis"]
    for key in ("ratio_68", "ev_68", "ev", "ev_without_worst"):
        assert f"| {pm(one[key])} |" in out


def test_files_that_do_not_belong_together_are_refused(files, tmp_path, capsys):
    fits = files[2]
    other = tmp_path / "other.h5"
    assert (
        main(["simulate", "--config", "{seed: 3, samples: {test: 50}}", "--output", str(other)])
        == 0
    )
    words = [
        "score",
        "--config",
        CONFIG,
        "--events",
        str(other),
        "--fits",
        str(fits),
        "--output",
        str(tmp_path / "s.json"),
    ]
    assert main(words) == 2
    assert "is not a reconstruction of" in capsys.readouterr().err
    assert not (tmp_path / "s.json").exists()


@pytest.mark.parametrize("which", ["events", "fits", "scores", "calibration"])
def test_show_summarises_every_kind_of_file(files, scores, which, capsys):
    _, events, fits = files
    path = {"events": events, "fits": fits, "scores": scores, "calibration": DEFAULT}[which]
    assert main(["show", str(path)]) == 0
    out = capsys.readouterr().out
    assert str(path) in out
    assert {
        "events": "stations",
        "fits": "pass the cuts",
        "scores": "triggered",
        "calibration": "time_floor",
    }[which] in out


@pytest.mark.parametrize("with_fits", [True, False])
def test_show_draws_an_event(files, tmp_path, with_fits, capsys):
    _, events, fits = files
    picture = tmp_path / "e.png"
    words = ["show", str(events), "--event", "3", "--output", str(picture)]
    assert main([*words, "--fits", str(fits)] if with_fits else words) == 0
    assert str(picture) in capsys.readouterr().out
    assert picture.stat().st_size > 50_000
    assert b"Software\0tashower" in picture.read_bytes()
    assert main([*words[:-1], str(tmp_path / "e.pdf")]) == 0


def test_a_summary_loads_no_graphics_and_no_networks(files, scores):
    _, events, fits = files
    code = (
        "import sys\nfrom tashower.cli import main\n"
        "for path in sys.argv[1:]: main(['show', path])\n"
        "print([m for m in ('matplotlib', 'torch', 'jinja2') if m in sys.modules])"
    )
    words = [sys.executable, "-c", code, str(events), str(fits), str(scores)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")


def test_every_event_can_be_drawn_or_is_refused(files, tmp_path):
    """Also those without a valid fit."""
    _, events, fits = files
    flags = read_reconstruction(fits)[0]["free"].flags
    invalid = np.flatnonzero(flags & 1)[:1]
    for event in (*invalid, 0):
        assert (
            main(
                [
                    "show",
                    str(events),
                    "--event",
                    str(event),
                    "--fits",
                    str(fits),
                    "--output",
                    str(tmp_path / "i.png"),
                ]
            )
            == 0
        )
    n = read_events(events).n_events
    for event in (n, -1):
        assert (
            main(["show", str(events), "--event", str(event), "--output", str(tmp_path / "no.png")])
            == 2
        )
    assert not (tmp_path / "no.png").exists()
