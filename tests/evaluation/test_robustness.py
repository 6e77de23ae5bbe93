"""The table of all worlds, from residuals that are made by hand."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tashower.cli import main
from tashower.config import load_config
from tashower.errors import InputError
from tashower.evaluation.robustness import azimuth_deviation, changes_of, robustness, twins
from tashower.evaluation.robustness_tables import (
    as_csv,
    as_markdown,
    price_rows,
    sentences,
    table_rows,
    world_rows,
    write_robustness,
)
from tashower.evaluation.sample import Sample
from tashower.evaluation.stated import Stated
from tashower.events.model import PARAMETERS, Reconstruction, Truth, select_rows
from tashower.io.json_file import read_json

N = 500
CONFIG = load_config(
    {
        "networks": {"plain": {}, "varied": {"randomised": True}, "other": {"head": "gaussian"}},
        "scores": {"bootstrap": 60},
        "robustness": {
            "worlds": {"gain": {"detector": {"gain_shift": 0.05}}, "clock": {}},
            "nuisances": {"detector": {"gain_shift": [-0.1, 0.1]}},
        },
    }
)
NETWORKS = {name: [] for name in CONFIG.networks}


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(1)
    columns = {name: np.ones(N) for name in Truth.__dataclass_fields__}
    columns |= {
        "shower_id": np.arange(N),
        "mass_number": np.ones(N, np.int16),
        "energy": 10 ** rng.uniform(0.5, 2, N),
        "zenith": rng.uniform(0.1, 0.7, N),
        "azimuth": rng.uniform(0, 2 * np.pi, N),
        "core_x": rng.normal(0, 1000, N),
        "core_y": rng.normal(0, 1000, N),
    }
    return Truth(**columns)


@pytest.fixture(scope="module")
def noise():
    """Residuals of zenith [rad], azimuth on the sky [rad], core along and across [m], ln E."""
    rng = np.random.default_rng(2)
    return rng.normal(size=(5, N)) * np.array([0.01, 0.01, 50.0, 50.0, 0.1])[:, None]


def table_of(truth, off, errors=True):
    """A reconstruction with these residuals, whose stated errors are those of `noise`."""
    zenith, azimuth, along, across, log_energy = off
    cos, sin = np.cos(truth.azimuth), np.sin(truth.azimuth)
    covariance = np.full((N, 7, 7), np.nan)
    columns = {name: np.ones(N) for name in PARAMETERS} | {
        "zenith": truth.zenith + zenith,
        "azimuth": (truth.azimuth + azimuth / np.sin(truth.zenith)) % (2 * np.pi),
        "core_x": truth.core_x + along * cos - across * sin,
        "core_y": truth.core_y + along * sin + across * cos,
    }
    if errors:
        sigma = {"core_x": 50.0, "core_y": 50.0, "zenith": 0.01}
        covariance[:] = 0.0
        for name, one in sigma.items():
            covariance[:, PARAMETERS.index(name), PARAMETERS.index(name)] = one**2
        place = PARAMETERS.index("azimuth")
        covariance[:, place, place] = (0.01 / np.sin(columns["zenith"])) ** 2
    energy = truth.energy * np.exp(log_energy)
    return Reconstruction(
        event_id=np.arange(N),
        energy=energy,
        energy_error=0.1 * energy if errors else np.full(N, np.nan),
        covariance=covariance,
        chi2=np.ones(N),
        flags=np.zeros(N, np.uint16),
        **columns,
        **{k: np.full(N, 5, np.int32) for k in ("ndof", "n_stations", "n_excluded")},
    )


#: Shifts of the residuals in the world `gain`.
SHIFTS = (0.002, -0.003, 7.0, 0.0, 0.05)


@pytest.fixture(scope="module")
def worlds(truth, noise):
    """In `gain` everything is shifted and the network is twice as bad; in `clock` all is the same,
    but for ten events that do not pass the cuts.
    """

    def methods(factor, shift=(0.0,) * 5):
        shift = np.array(shift)[:, None]
        return {
            "free": table_of(truth, noise + shift),
            "complete": table_of(truth, 0.5 * noise + shift),
            "plain": table_of(truth, factor * 0.4 * noise, errors=False),
            "varied": table_of(truth, 0.5 * noise, errors=False),
        }

    fewer = methods(1.0)
    flags = np.where(np.arange(N) < 10, np.uint16(1), np.uint16(0)).astype(np.uint16)
    fewer = {name: replace(table, flags=flags) for name, table in fewer.items()}
    return {
        "nominal": Sample(methods(1.0), truth, []),
        "gain": Sample(methods(2.0, SHIFTS), truth, []),
        "clock": Sample(fewer, truth, []),
    }


@pytest.fixture(scope="module")
def found(worlds):
    return robustness(CONFIG, worlds, {k: v for k, v in NETWORKS.items() if k != "other"})


def test_shifts_are_those_that_were_made_with_paired_errors(found):
    here = found["worlds"]["gain"]["methods"]["free"]
    wanted = (np.degrees(SHIFTS[0]), np.degrees(SHIFTS[1]), SHIFTS[2], SHIFTS[4])
    for entry, value in zip(here["shift"].values(), wanted, strict=True):
        assert entry["value"] == pytest.approx(value, rel=1e-6)
        assert entry["error"] < 1e-6 * abs(value)  # the same noise in both worlds
    # A bias by itself has the error of a mean.
    for entry, value, width in zip(
        here["bias"].values(), wanted, (np.degrees(0.01), np.degrees(0.01), 50, 0.1), strict=True
    ):
        assert entry["value"] == pytest.approx(value, abs=4 * width / np.sqrt(N))
        assert entry["error"] == pytest.approx(width / np.sqrt(N), rel=0.3)


def test_ratios_are_those_that_were_made(found):
    # On a sphere twice the step is not twice the angle to the per mille.
    gain = found["worlds"]["gain"]["methods"]
    for size in ("angle_68_deg", "core_68_m", "log_energy_68"):
        ratio = gain["plain"]["over_nominal"][size]
        assert ratio["value"] == pytest.approx(2.0, rel=5e-3)
        assert ratio["error"] < 1e-2
        nominal = found["worlds"]["nominal"]["methods"]
        assert nominal["plain"]["over_best"][size]["value"] == pytest.approx(0.8, rel=5e-3)
        assert nominal["free"]["over_best"][size]["value"] == pytest.approx(2.0, rel=5e-3)
        assert nominal["free"]["over_nominal"][size] == {"value": 1.0, "error": 0.0}
    # Of networks alone: the price of nuisances, 0.5/0.4, and 0.5/0.8.
    for world, value in (("nominal", 1.25), ("gain", 0.625)):
        price = found["worlds"][world]["over_plain"]["varied"]
        assert price["angle_68_deg"]["value"] == pytest.approx(value, rel=5e-3)


def test_coverage_is_that_of_the_stated_errors(found):
    """Of the fit 68 % within the region, in two dimensions as in one; of the complete fit, whose
    residuals are half as large as stated, chi2_2 < 4 x 2.279 and |x| < 2 x 0.994: 0.990 and 0.953.
    """
    nominal = found["worlds"]["nominal"]["methods"]
    for quantity, complete in (("direction", 0.990), ("core", 0.990), ("energy", 0.953)):
        free = nominal["free"]["coverage"][quantity]
        assert free["value"] == pytest.approx(0.68, abs=0.06)
        assert free["error"] == pytest.approx(np.sqrt(0.68 * 0.32 / N), rel=0.3)
        assert nominal["complete"]["coverage"][quantity]["value"] == pytest.approx(
            complete, abs=0.025
        )
    assert nominal["plain"]["coverage"] == {}


def test_events_are_those_that_pass_in_both_worlds(found):
    clock = found["worlds"]["clock"]
    assert (clock["n_triggered"], clock["n_compared"]) == (N, N - 10)
    assert clock["kept"] == pytest.approx(1 - 10 / N)
    assert clock["methods"]["free"]["shift"]["log_energy_bias"] == {"value": 0.0, "error": 0.0}
    assert found["worlds"]["nominal"]["n_compared"] == N


def test_events_are_paired_by_their_number(found, worlds):
    """The same events in another order change nothing."""
    order = np.random.default_rng(3).permutation(N)

    def mixed(table):
        return select_rows(table, order)

    some = worlds["gain"]
    other = Sample({k: mixed(t) for k, t in some.methods.items()}, mixed(some.truth), [])
    again = robustness(CONFIG, worlds | {"gain": other}, {"plain": [], "varied": []})
    one, two = (f["worlds"]["gain"]["methods"]["free"]["shift"] for f in (found, again))
    for quantity, entry in one.items():
        assert two[quantity]["value"] == pytest.approx(entry["value"], rel=1e-9)


def test_the_azimuth_counts_on_the_sky_and_across_north(truth):
    table = replace(table_of(truth, np.zeros((5, N))), azimuth=np.full(N, 0.01))
    true = replace(truth, azimuth=np.full(N, 2 * np.pi - 0.02), zenith=np.full(N, np.pi / 6))
    np.testing.assert_allclose(azimuth_deviation(table, true), 0.5 * 0.03)


def test_other_showers_or_one_world_are_refused(worlds, truth):
    with pytest.raises(InputError, match="two worlds"):
        robustness(CONFIG, {"nominal": worlds["nominal"]}, {})
    others = worlds["gain"]._replace(truth=replace(truth, energy=2 * truth.energy))
    with pytest.raises(InputError, match="another shower"):
        robustness(CONFIG, {"nominal": worlds["nominal"], "gain": others}, {})


def test_which_networks_differ_by_their_nuisances_alone():
    groups = {name: [name] for name in CONFIG.networks}
    assert twins(CONFIG, groups) == {"varied": "plain"}
    del groups["plain"]
    assert twins(CONFIG, groups) == {}


def test_what_differs_in_a_world_is_said(found):
    assert changes_of(found["configuration"], "gain") == {"detector.gain_shift": 0.05}
    assert changes_of(found["configuration"], "nominal") == {}
    rows = world_rows(found)
    assert rows[2][:3] == ["gain", "`detector.gain_shift: 0.05`", "500"]
    assert rows[3][1:] == ["nothing", "500", "490", "98.0 %"]


def test_one_table_holds_every_method_in_every_world(found):
    rows = table_rows(found)
    assert len(rows) == 1 + 3 * 4
    assert [row[0] for row in rows[1:] if row[0]] == ["nominal", "gain", "clock"]
    assert {len(row) for row in rows} == {12}
    by_name = {
        (w, m): row
        for (w, m), row in zip(
            ((w, m) for w in found["worlds"] for m in found["worlds"][w]["methods"]),
            rows[1:],
            strict=True,
        )
    }
    free, plain = by_name["gain", "free"], by_name["gain", "plain"]
    assert free[5].endswith(" *")
    assert plain[7].startswith("1.99")
    assert plain[7].endswith(" *")
    assert plain[9:] == ["—"] * 3
    assert free[9].startswith("66.")
    assert by_name["nominal", "free"][7] == "1"
    assert by_name["gain", "complete"][8] == "1"
    assert "*" not in by_name["clock", "free"][5]
    text = as_markdown(found, "robustness.json, crc32 00000000")
    for row in rows[1:]:
        assert " | ".join(row) in text
    assert [row[0] for row in price_rows(found)[1:]] == ["nominal", "gain", "clock"]
    said = sentences(found)
    assert "is largest in gain, 1.99" in next(s for s in said if "plain" in s)
    assert "nominal world times 1.2" in said[-1]
    assert "in 1 of 2 other worlds" in said[-1]


def test_the_csv_holds_the_same_numbers(found):
    lines = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert len(lines) == 3 * 4
    line = next(one for one in lines if (one["world"], one["method"]) == ("gain", "plain"))
    of = found["worlds"]["gain"]["methods"]["plain"]
    assert float(line["over_nominal_angle_68_deg"]) == pytest.approx(
        of["over_nominal"]["angle_68_deg"]["value"]
    )
    assert float(line["zenith_bias_deg_error"]) == pytest.approx(
        of["bias"]["zenith_bias_deg"]["error"]
    )
    assert line["coverage_direction"] == ""
    assert line["n_compared"] == "500"


def test_files_are_written_together(found, tmp_path):
    paths = write_robustness(found | {"made_from": []}, tmp_path / "robustness.json")
    assert all(path.is_file() for path in paths)
    assert len(paths) == 5
    assert read_json(paths[2], "tashower robustness", (1,))["nominal"] == "nominal"
    picture = Image.open(tmp_path / "robustness.png")
    assert np.asarray(picture.convert("L")).std() > 10
    with pytest.raises(InputError, match=r"\.json"):
        write_robustness(found, tmp_path / "robustness.md")


def test_the_command_wants_as_many_files_of_every_kind(tmp_path, capsys):
    words = ["robustness", "a=x.h5", "b=y.h5", "--fits", "z.h5", "-o", str(tmp_path / "r.json")]
    assert main(words) == 2
    assert "--fits: 1 files for 2 event files" in capsys.readouterr().err
    assert main(["robustness", "x.h5", "--fits", "z.h5", "-o", "r.json"]) == 2
    assert "NAME=FILE is needed" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_regions_that_are_not_normal_count_as_they_are_stated(worlds):
    """Radii of tiny regions in one world alone: no truth lies inside of them there."""
    tiny = {"direction": np.tile([1e-9, 2e-9, 3e-9, 4e-9], (N, 1))}
    said = {"gain": {"free": Stated(radii=tiny)}}
    found = robustness(CONFIG, worlds, {"plain": [], "varied": []}, said)["worlds"]
    covered = {w: found[w]["methods"]["free"]["coverage"]["direction"]["value"] for w in found}
    assert covered["gain"] < 0.01
    assert covered["nominal"] > 0.6
