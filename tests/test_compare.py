"""`tashower compare`: paired differences of finished runs."""

import csv
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tashower as ts
from tashower.calibration.calibration import DEFAULT
from tashower.cli import main
from tashower.config import as_dict, load_config
from tashower.errors import InputError
from tashower.evaluation import runs as runs_module
from tashower.evaluation.compare import compare, paired, unpaired
from tashower.evaluation.compare_tables import as_csv, as_markdown, as_page, sentences
from tashower.evaluation.comparison import score
from tashower.evaluation.runs import Run, common_rows, read_runs
from tashower.events.model import PARAMETERS, Reconstruction, Truth
from tashower.io.hdf5 import made_from
from tashower.io.json_file import write_json
from tashower.io.reconstruction_file import write_reconstruction

N = 400
SAMPLE = Path(__file__).resolve().parents[1] / "data" / "sample.h5"


def truth_of(n=N, seed=1):
    rng = np.random.default_rng(seed)
    columns = {name: np.ones(n) for name in Truth.__dataclass_fields__}
    columns |= {
        "shower_id": np.arange(n),
        "mass_number": np.ones(n, np.int16),
        "energy": 10 ** rng.uniform(0.5, 2, n),
        "zenith": rng.uniform(0.1, 0.7, n),
        "azimuth": rng.uniform(0, 6, n),
        "core_x": rng.normal(0, 1000, n),
        "core_y": rng.normal(0, 1000, n),
    }
    return Truth(**columns)


def table_of(truth, log_energy, zenith):
    """A reconstruction with these residuals of ln E and of the zenith [rad]."""
    n = len(truth.energy)
    columns = {name: np.zeros(n) for name in PARAMETERS}
    columns |= {k: getattr(truth, k) for k in ("core_x", "core_y", "azimuth")}
    columns |= {
        "event_id": np.arange(n) + 1000,
        "zenith": truth.zenith + zenith,
        "energy": truth.energy * np.exp(log_energy),
        "energy_error": np.full(n, np.nan),
        "covariance": np.full((n, 7, 7), np.nan),
        "chi2": np.ones(n),
        "flags": np.zeros(n, np.uint16),
        **{k: np.full(n, 5, np.int32) for k in ("ndof", "n_stations", "n_excluded")},
    }
    return Reconstruction(**columns)


def run_of(name, methods, truth, trainings=None, bootstrap=200):
    config = as_dict(load_config({"scores": {"bootstrap": bootstrap}}))
    scores = {
        "methods": dict.fromkeys(methods),
        "ladder": {"free": {}},
        "networks": {k: None for k in trainings or {}},
        "trainings": trainings or {},
        "configuration": config,
        "versions": {},
        **{k: "x" for k in ("commit", "created", "software")},
        "n_scored": 1,
        "n_triggered": 1,
    }
    return Run(name, Path(name), scores, "0", methods, truth, "", {"scores": scores})


def found(comparison, score, method="free", fit="", where=""):
    (one,) = (
        d
        for d in comparison.differences
        if (d.method, d.score, d.fit, d.bin) == (method, score, fit, where)
    )
    return one


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(2)
    return [rng.normal(0, s, N) for s in (0.1, 0.02, 0.03)]


def test_a_paired_error_is_that_of_the_difference(noise):
    """ln E of the second is that of the first plus noise of width s and a shift: the mean differs
    by the shift, with error s/sqrt(n), seven times less than of two means of independent events.
    """
    truth, (own, more, angle) = truth_of(), noise
    one, two = table_of(truth, own, angle), table_of(truth, own + more + 0.01, angle)
    comparison = compare([run_of(n, {"free": t}, truth) for n, t in (("a", one), ("b", two))])
    assert (comparison.n_common, comparison.n_compared) == (N, N)
    bias = found(comparison, "log_energy_bias")
    assert bias.difference["value"] == pytest.approx(0.01 + more.mean(), abs=1e-12)
    assert bias.difference["error"] == pytest.approx(more.std() / np.sqrt(N), rel=0.15)
    assert bias.first["error"] == pytest.approx(own.std() / np.sqrt(N), rel=0.15)
    assert bias.sigma == pytest.approx(bias.difference["value"] / bias.difference["error"])
    same = found(comparison, "angle_68_deg")
    assert (same.difference, same.sigma) == ({"value": 0.0, "error": 0.0}, 0.0)
    assert same.first["value"] > 0


def test_scores_against_a_fit_of_the_same_run(noise):
    """Residuals of ln E half as large as those of the fit: 1 - 1/4 of its variance is explained;
    a third as large: 1 - 1/9.
    """
    truth, (own, _, angle) = truth_of(), noise
    fit = table_of(truth, own, angle)
    pair = [
        run_of(name, {"free": fit, "net": table_of(truth, own / k, angle)}, truth)
        for name, k in (("a", 2), ("b", 3))
    ]
    ev = found(compare(pair), "ev_log_energy", "net", "free")
    assert ev.first["value"] == pytest.approx(3 / 4)
    assert ev.second["value"] == pytest.approx(8 / 9)
    assert ev.difference["value"] == pytest.approx(8 / 9 - 3 / 4)
    assert ev.difference["error"] == pytest.approx(0.0, abs=1e-12)
    ratio = found(compare(pair), "ratio_68_log_energy", "net", "free")
    assert ratio.difference["value"] == pytest.approx(1 / 3 - 1 / 2)


def test_only_events_that_pass_in_every_run_and_have_every_result(noise):
    truth, (own, more, angle) = truth_of(), noise
    one, two = table_of(truth, own, angle), table_of(truth, own + more, angle)
    one.flags[:50] = 4
    two.flags[40:60] = 4
    two.energy[-5:] = np.nan
    two = replace(two, event_id=two.event_id[::-1])
    two = two[np.arange(N)[::-1]]  # the order of the file decides nothing
    other = Truth(**{k: v[::-1] for k, v in vars(truth).items()})
    two = replace(two, event_id=two.event_id[::-1])
    runs = [run_of("a", {"free": one}, truth), run_of("b", {"free": two}, other)]
    comparison = compare(runs)
    assert (comparison.n_common, comparison.n_compared) == (N, N - 60 - 5)
    good = np.arange(60, N - 5)
    bias = found(comparison, "log_energy_bias")
    assert bias.difference["value"] == pytest.approx(more[good].mean(), abs=1e-12)


def test_bins_of_energy(noise):
    truth, (own, more, angle) = truth_of(), noise
    pair = [
        run_of(name, {"free": table_of(truth, own + k * more, angle)}, truth)
        for name, k in (("a", 0), ("b", 1))
    ]
    inside = (np.log10(truth.energy) + 18 >= 19.0) & (np.log10(truth.energy) + 18 < 19.25)
    bias = found(compare(pair), "log_energy_bias", where="19 – 19.25")
    assert bias.difference["value"] == pytest.approx(more[inside].mean(), abs=1e-12)


def test_trainings_are_one_method_with_their_scatter(noise):
    truth, (own, _, angle) = truth_of(), noise
    fit = table_of(truth, own, angle)

    def run(name, shifts):
        members = ["net", *(f"net_seed{k}" for k in range(2, len(shifts) + 1))]
        tables = {m: table_of(truth, own + s, angle) for m, s in zip(members, shifts, strict=True)}
        made = run_of(name, {"free": fit, **tables}, truth, {"net": members})
        made.scores["methods"] = {"free": None, "net": None}
        return made

    pair = [run("a", [0.0, 0.02]), run("b", [0.05, 0.11])]
    one = found(compare(pair), "log_energy_bias", "net")
    scatter, other = (np.std(shifts, ddof=1) for shifts in ([0.0, 0.02], [0.05, 0.11]))
    assert one.difference["value"] == pytest.approx(0.08 - 0.01)
    assert one.difference["error"] == pytest.approx(np.hypot(scatter, other))
    alone = found(compare(pair), "log_energy_bias", "free").first["error"]
    assert one.first["error"] == pytest.approx(np.hypot(scatter, alone), rel=1e-6)
    assert one.second["error"] == pytest.approx(np.hypot(other, alone), rel=1e-6)
    assert any("trained once" in s for s in sentences(compare([run("a", [0]), run("b", [1])])))
    twice = compare([run("a", [0, 1]), run("b", [1, 2])])
    assert not any("trained once" in s for s in sentences(twice))


def test_numbers_of_paired_and_unpaired():
    first, second = np.array([1.0, 2.0, 0.0]), np.array([1.5, 2.5, 0.5])
    one, two, difference = paired([first], [second])
    assert (one["error"], two["error"]) == (1.0, 1.0)
    assert difference == {"value": 0.5, "error": 0.0}
    assert unpaired(one, two) == {"value": 0.5, "error": np.sqrt(2)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energy": 1.001}, "event 1000 is another shower"),
        ({"zenith": 1.001}, "event 1000 is another shower"),
        ({"core_y": 1.001}, "event 1000 is another shower"),
    ],
)
def test_other_showers_are_refused(noise, change, message):
    truth, (own, _, angle) = truth_of(), noise
    ((name, factor),) = change.items()
    other = replace(truth, **{name: getattr(truth, name) * factor})
    table = table_of(truth, own, angle)
    with pytest.raises(InputError, match=rf"b: {message}.*400 of 400.*--unpaired"):
        compare([run_of("a", {"free": table}, truth), run_of("b", {"free": table}, other)])
    assert not runs_module.same_otherwise(
        [run_of("a", {}, truth), run_of("b", {}, replace(truth, xmax=truth.xmax * 2))],
        [np.arange(N)] * 2,
    )


def test_no_common_events_doubled_ids_and_no_common_methods(noise):
    truth, (own, _, angle) = truth_of(), noise
    table = table_of(truth, own, angle)
    one = run_of("a", {"free": table}, truth)
    for ids, message in ((table.event_id + N, "no event in common"), (np.zeros(N), "one id")):
        other = run_of("b", {"free": replace(table, event_id=ids)}, truth)
        with pytest.raises(InputError, match=message):
            common_rows([one, other])
    with pytest.raises(InputError, match="no method in common"):
        compare([one, run_of("b", {"mine": table}, truth)])
    with pytest.raises(InputError, match="two or more"):
        compare([one])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders of results, as the workflow lays them out: of the sample, and of the same events
    with all cores moved by 30 m and one key changed.
    """
    root = tmp_path_factory.mktemp("compare")
    events = ts.read(SAMPLE)
    tables = ts.fit(events, DEFAULT, ["free", "constrained"]).tables
    for name, shift, floor in (("a", 0.0, 10), ("b", 30.0, 11)):
        folder = root / name
        (folder / "events" / "test").mkdir(parents=True)
        shutil.copy(SAMPLE, folder / "events" / "test" / "000.h5")
        config = load_config(
            {"samples": {"test": events.n_events}, "scores": {"bootstrap": floor, "examples": 0}}
        )
        moved = {k: replace(t, core_x=t.core_x + shift) for k, t in tables.items()}
        fits = folder / "reconstructions" / "test" / "000.h5"
        write_reconstruction(fits, moved, {})
        scores, _ = score(config, moved, events.truth, {})
        scores["made_from"] = made_from([SAMPLE, fits])
        write_json(folder / "scores.json", scores)
    return root


def test_two_folders_from_the_command_line(folders, tmp_path, capsys):
    """One by its folder, the other by its scores: page, Markdown and CSV."""
    output = tmp_path / "x.html"
    words = ["compare", str(folders / "a"), str(folders / "b" / "scores.json"), "-o", str(output)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "Paired:" in said
    page, text = output.read_text(), output.with_suffix(".md").read_text()
    for written in (page, text):
        assert "scores.bootstrap" in written
        assert "NOT PAIRED" not in written
    rows = list(csv.DictReader(output.with_suffix(".csv").open()))
    of = {(r["method"], r["score"], r["against_fit"], r["log10_energy_ev"]): r for r in rows}
    core = of["free", "core_68_m", "", ""]
    assert (core["first_run"], core["second_run"], core["paired"]) == ("a", "b", "yes")
    assert float(core["difference"]) > 0
    assert float(of["free", "angle_68_deg", "", ""]["sigma"]) == 0.0
    (shift,) = {r["difference"] for k, r in of.items() if k == ("free", "zenith_bias_deg", "", "")}
    assert float(shift) == 0.0
    first, _ = read_runs([folders / "a", folders / "b"])
    stated = first.scores["methods"]["free"]["all"]["core_68_m"]["value"]
    assert float(core["first"]) == pytest.approx(stated)  # the same events as were scored


def test_without_events_it_is_unpaired_and_says_so(folders, tmp_path):
    shutil.copytree(folders / "a", tmp_path / "c")
    (tmp_path / "c" / "events" / "test" / "000.h5").unlink()
    comparison = compare(read_runs([folders / "b", tmp_path / "c"]))
    assert "000.h5 is not there" in comparison.why
    core = found(comparison, "core_68_m")
    expected = np.hypot(core.first["error"], core.second["error"])
    assert core.difference["error"] == pytest.approx(expected)
    assert "NOT PAIRED" in as_page(comparison)
    assert "NOT PAIRED" in as_markdown(comparison)
    assert ",no\n" in as_csv(comparison)
    asked = compare(read_runs([folders / "a", folders / "b"], per_event=False))
    assert asked.why
    assert found(asked, "core_68_m").difference == pytest.approx(
        {k: v if k == "error" else -v for k, v in core.difference.items()}
    )


def test_files_that_were_not_scored_are_refused(folders, tmp_path):
    shutil.copytree(folders / "a", tmp_path / "c")
    fits = tmp_path / "c" / "reconstructions" / "test" / "000.h5"
    shutil.copy(folders / "b" / "reconstructions" / "test" / "000.h5", fits)
    with pytest.raises(InputError, match=r"000\.h5: .*made from another one: score again"):
        read_runs([folders / "a", tmp_path / "c"])
    with pytest.raises(InputError, match="is there twice"):
        read_runs([folders / "a", folders / "a" / "scores.json"])
    assert main(["compare", str(folders / "a"), str(tmp_path)]) == 2


def planned(folder, *configurations):
    """What a dry run of `compare` says."""
    command = [sys.executable, "-m", "tashower", "run", "-n", "-p", "--cores", "1", "compare"]
    command += ["--config", "base.yaml", "-C", f"compare=[{','.join(configurations)}]", "seed=7"]
    environment = os.environ | {"PYTHONPATH": str(SAMPLE.parents[1])}
    options = {"cwd": folder, "env": environment, "text": True, "capture_output": True}
    done = subprocess.run(command, **options)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_the_workflow_runs_each_configuration_and_compares(tmp_path):
    """With the keys of this command over all; other showers are not paired."""
    texts = {
        "base": "results: r\nscores: {bootstrap: 10}",
        "a": "results: ra",
        "b": "results: rb\ntraining: {epochs: 1}",
        "c": "results: rc\nshowers: {max_zenith_deg: 40}",
        "d": "seeed: 1",
        "e": "scores: {examples: 1}",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(f"{text}\n")
    status, said = planned(tmp_path, "a.yaml", "b.yaml")
    assert status == 0, said
    for name in "ab":
        assert f"base.yaml --config {name}.yaml -C seed=7" in said
    assert "tashower compare ra rb  --output comparison.html" in said
    assert "tashower compare ra rc --unpaired --output" in planned(tmp_path, "a.yaml", "c.yaml")[1]
    assert "compare: two configurations or more are needed" in planned(tmp_path, "a.yaml")[1]
    for names, words in (
        (("a.yaml", "d.yaml"), "d.yaml: seeed: unknown"),
        (("a.yaml", "absent.yaml"), "absent.yaml: no such file"),
        (("e.yaml", "base.yaml"), "each needs another folder for its `results`"),
    ):
        status, said = planned(tmp_path, *names)
        assert status != 0
        assert words in said
        assert "Traceback" not in said
