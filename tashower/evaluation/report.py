"""The report: one HTML file that needs nothing else."""

import base64
import csv
import html
import json
import os
import platform
from pathlib import Path

from tashower.config import Config
from tashower.errors import InputError
from tashower.evaluation import tables
from tashower.io import provenance
from tashower.io.atomic import written_aside

_STYLE = """
body{font:16px/1.55 Georgia,'Times New Roman',serif;color:#1c1c1c;background:#fcfcfa;max-width:62rem;margin:2rem auto;padding:0 1.2rem}
h1,h2,h3,th,nav{font-family:'Helvetica Neue',Arial,sans-serif}h1{font-size:1.9rem}h2{margin-top:2.4rem;border-bottom:1px solid #ccc}
table{border-collapse:collapse;margin:1rem 0;font:14px/1.4 'Helvetica Neue',Arial,sans-serif;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .7rem;border-bottom:1px solid #ddd;text-align:right}th:first-child,td:first-child{text-align:left}
thead th{border-bottom:2px solid #888}figure{margin:1.4rem 0}figure img{max-width:100%;border:1px solid #e4e4e4;background:#fff}
figcaption{font-size:.92rem;color:#444}.wide{overflow-x:auto}code,pre{font:13px/1.4 Menlo,Consolas,monospace}
pre{background:#f2f2ee;padding:.8rem;overflow-x:auto}nav a{margin-right:1rem}details{margin:1rem 0}
@media print{body{max-width:none;margin:0}figure,table{break-inside:avoid}}
"""

#: File name without ending -> caption; {n} is the number of scored events.
CAPTIONS = {
    "explained_variance": "Explained variance of the correction of the direction, with bootstrap errors: as published, and here "
    "against both fits. {n} events.",
    "angular_resolution": "68 % opening angle between reconstructed and true direction against true energy, with bootstrap errors. "
    "Points are moved sideways a little within their bin. The published values are those of the Telescope Array's standard "
    "reconstruction (ApJL 768 (2013) L1). {n} events.",
    "opening_angles": "Left: distribution of the opening angle. Right: the part of the events beyond it; the dotted line marks "
    "68 % contained. {n} events.",
    "energy_resolution": "Above: half of the middle 68 % of ln(E/true E). Below: its mean. {n} events.",
    "zenith_bias": "Means of ln(E/true E), of the zenith residual and of the core's shift towards the source against true zenith. "
    "{n} events.",
    "residual_maps": "Residuals of the direction cosines in degrees; the cross is the mean. Colour: events per bin, logarithmic.",
    "pulls": "Pulls of the seven parameters of the free fit, (fitted - true)/error, for the scored events, with a unit Gaussian. "
    "Errors and biases were calibrated on an independent sample.",
    "training_curves": "Loss and explained variance of the direction against the epoch. The validation sample chose the epoch; the "
    "test sample was not touched.",
}
_NOT_CONTAINED = (
    "full shower simulations (CORSIKA): showers are parametrised, their signals and times drawn from distributions",
    "a second window of a station, pile-up of a background particle on a shower's signal, weather, ageing of stations",
    "correlations between stations beyond energy, Xmax, muon number, slope and curvature of the whole shower",
    "real data: all numbers here hold for simulated events",
)
_GLOSSARY = (
    ("explained variance", "1 - Var(true - corrected)/Var(true - fitted), summed over the components of the unit vector. 0: no gain, "
     "1: perfect. Ruled by the tails, blind to a constant offset."),
    ("68 % opening angle", "68.27 % of the events are reconstructed closer to the true direction than this."),
    ("free, constrained", "the seven-parameter fit with the curvature of the front free, and with a prior on it from simulation."),
    ("bootstrap error", "standard deviation over samples of the events drawn with replacement, the same for every method."),
)  # fmt: skip


def html_table(rows) -> str:
    """Rows, the first of which is the header, as an HTML table."""

    def line(row, tag):
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(c))}</{tag}>" for c in row) + "</tr>"

    body = "".join(line(row, "td") for row in rows[1:])
    return f'<div class="wide"><table><thead>{line(rows[0], "th")}</thead><tbody>{body}</tbody></table></div>'


def html_figure(path: Path, caption: str) -> str:
    """A picture inside of the page, with its caption."""
    data = base64.b64encode(path.read_bytes()).decode()
    text = html.escape(caption)
    return f'<figure><img alt="{html.escape(path.stem)}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'


def _seconds(text: str) -> float:
    return float(text) if text not in ("", "-", "NA") else 0.0


def read_times(folder) -> list[list[str]]:
    """Rows (rule, jobs, wall time [s], CPU time [s], largest memory [MB]) from Snakemake's
    benchmark files, with header.
    """
    found = {}
    for path in sorted(Path(folder).rglob("*.tsv")):
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        with path.open() as file:
            for row in csv.DictReader(file, delimiter="\t"):
                entry = found.setdefault(rule, [0, 0.0, 0.0, 0.0])
                entry[0] += 1
                entry[1] += _seconds(row["s"])
                entry[2] += _seconds(row.get("cpu_time", ""))
                entry[3] = max(entry[3], _seconds(row.get("max_rss", "")))
    header = ["rule", "jobs", "wall time, sum [s]", "CPU time, sum [s]", "largest memory [MB]"]
    return [
        header,
        *(
            [rule, str(n), f"{wall:.0f}", f"{cpu:.0f}", f"{mem:.0f}"]
            for rule, (n, wall, cpu, mem) in found.items()
        ),
    ]


def _what_was_run(config: Config, scores, benchmarks) -> list[str]:
    samples = config.samples
    rows = [
        ["", ""],
        ["commit", scores["commit"]],
        ["made", f"{scores['created']} by {scores['software']}"],
        ["seed", str(config.seed)],
        [
            "showers thrown",
            f"calibration {samples.calibration:,}, training {samples.train:,}, validation {samples.validation:,}, "
            f"test {samples.test:,}",
        ],
        [
            "scored",
            f"{scores['n_scored']:,} of {scores['n_triggered']:,} triggered events: {scores['selection']}",
        ],
        ["versions", ", ".join(f"{k} {v}" for k, v in scores["versions"].items())],
        ["machine", f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"],
    ]
    parts = [html_table(rows)]
    if benchmarks and Path(benchmarks).is_dir():
        parts += ["<h3>Times</h3>", html_table(read_times(benchmarks))]
    text = html.escape(json.dumps(scores["configuration"], indent=1))
    parts.append(f"<details><summary>The whole configuration</summary><pre>{text}</pre></details>")
    return parts


def _sections(
    config: Config, scores, figures: Path, benchmarks
) -> list[tuple[str, str, list[str]]]:
    """(anchor, title, pieces of HTML) of each section."""
    n = f"{scores['n_scored']:,}"

    def show(name):
        path = figures / f"{name}.png"
        return html_figure(path, CAPTIONS[name].format(n=n)) if path.is_file() else ""

    examples = [
        html_figure(
            path,
            "An event of the test sample: footprint, front and lateral distribution with residuals, waveforms.",
        )
        for path in sorted(figures.glob("event_*.png"))
    ]
    table, bins = html_table, tables.bin_rows
    return [
        (
            "summary",
            "In short",
            ["<ul>", *(f"<li>{html.escape(s)}</li>" for s in tables.sentences(scores)), "</ul>"],
        ),
        (
            "ev",
            "Explained variance of the direction",
            [table(tables.ev_rows(scores)), show("explained_variance")],
        ),
        (
            "all",
            "All scored events",
            [
                table(tables.method_rows(scores)),
                "<p>Reconstructed: part of the triggered events with a valid result. All other columns, "
                "tables and figures are for the same events: those that pass the quality cuts of the free fit.</p>",
                table(tables.fraction_rows(scores)),
                show("opening_angles"),
                show("residual_maps"),
            ],
        ),
        (
            "direction",
            "Direction",
            [
                show("angular_resolution"),
                "<h3>68 % opening angle [deg]</h3>",
                table(bins(scores, "angle_68_deg", "by_energy")),
                table(bins(scores, "angle_68_deg", "by_zenith")),
                show("zenith_bias"),
            ],
        ),
        (
            "energy",
            "Energy and core",
            [
                show("energy_resolution"),
                "<h3>68 % resolution of ln E</h3>",
                table(bins(scores, "log_energy_68", "by_energy")),
                "<h3>Bias of ln E</h3>",
                table(bins(scores, "log_energy_bias", "by_energy")),
                "<h3>68 % distance of the core [m]</h3>",
                table(bins(scores, "core_68_m", "by_energy", 1)),
            ],
        ),
        (
            "quantities",
            "Explained variance of each quantity itself",
            [table(tables.quantity_rows(scores))],
        ),
        ("fit", "Does the fit know its errors?", [table(tables.pull_rows(scores)), show("pulls")]),
        ("training", "Training", [show("training_curves")]),
        ("examples", "Events", examples),
        ("run", "What was run", _what_was_run(config, scores, benchmarks)),
        (
            "limits",
            "What this does not contain",
            ["<ul>", *(f"<li>{html.escape(t)}</li>" for t in _NOT_CONTAINED), "</ul>"],
        ),
        (
            "glossary",
            "Words",
            [
                "<dl>",
                *(f"<dt><b>{a}</b></dt><dd>{html.escape(b)}</dd>" for a, b in _GLOSSARY),
                "</dl>",
            ],
        ),
    ]


def page(title: str, lead: str, sections) -> str:
    """One HTML page that needs nothing else, from (anchor, title, pieces of HTML) sections; empty
    ones are left out.
    """
    sections = [(anchor, name, pieces) for anchor, name, pieces in sections if any(pieces)]
    links = "".join(f'<a href="#{anchor}">{html.escape(name)}</a>' for anchor, name, _ in sections)
    body = "".join(
        f'<h2 id="{anchor}">{html.escape(name)}</h2>{"".join(pieces)}'
        for anchor, name, pieces in sections
    )
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>tashower report</title><style>{_STYLE}</style></head>'
        f"<body><h1>{html.escape(title)}</h1><p>{html.escape(lead)}</p><nav>{links}</nav>{body}</body></html>"
    )


def write_report(config: Config, scores_path, benchmarks, output) -> None:
    """Write the report of a scores.json, with the figures beside it, as one HTML file.

    Raises
    ------
    InputError : no such file, not scores.
    """
    scores_path = Path(scores_path)
    if not scores_path.is_file():
        raise InputError(f"{scores_path}: no such file")
    try:
        scores = json.loads(scores_path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError):
        scores = None
    if not isinstance(scores, dict) or scores.get("format") != "tashower scores":
        raise InputError(f"{scores_path}: not a tashower scores file")
    sections = _sections(config, scores, scores_path.parent / "figures", benchmarks)
    lead = f"{provenance.software()}, simulated Telescope Array style events. {scores['n_scored']:,} events scored."
    text = page("Air-shower reconstruction: fit against network", lead, sections)
    with written_aside(output) as aside:
        aside.write_text(text)
