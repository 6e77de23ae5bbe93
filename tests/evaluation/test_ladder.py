"""The ladder, cuts and spectrum of scores, from reconstructions whose errors are known."""

from dataclasses import replace

import numpy as np
import pytest
from hits import shifted

from tashower.config import load_config
from tashower.errors import InputError
from tashower.evaluation import cuts
from tashower.evaluation.comparison import score
from tashower.evaluation.ladder_tables import cut_rows, ladder_bin_rows, ladder_rows
from tashower.evaluation.markdown import as_markdown
from tashower.evaluation.summary import edge_sentences, sentences
from tashower.evaluation.trainings import trainings
from tashower.events.model import FLAGS

N = 2000


@pytest.fixture
def tables():
    """Fits and a network whose angular errors are the same draws of a unit Gaussian times 20, 16,
    14 and 12 mrad.
    """
    turns = {"free": 0.02, "constrained": 0.016, "complete": 0.014, "net": 0.012}
    found = {name: shifted(np.random.default_rng(7), N, turn) for name, turn in turns.items()}
    return {name: table for name, (table, _) in found.items()}, found["free"][1]


def scores_of(tables, text=None):
    config = load_config("{networks: {net: {}}, scores: {bootstrap: 20}}", text)
    return score(config, *tables, {"net": ["a"]})[0]


def test_a_ratio_that_was_put_in_comes_out(tables):
    scores = scores_of(tables)
    assert list(scores["ladder"]) == ["free", "constrained", "complete"]
    for fit, turn in (("free", 0.02), ("constrained", 0.016), ("complete", 0.014)):
        assert list(scores["ladder"][fit]) == [n for n in tables[0] if n != fit]
        ratio = 0.012 / turn
        for one in (scores["ladder"][fit]["net"][kind]["axis"] for kind in ("all", "weighted")):
            # The same draws of a unit Gaussian: the errors are all but the same.
            assert one["ratio_68"]["value"] == pytest.approx(ratio, rel=1e-3)
            assert one["ratio_68"]["error"] < 1e-3
            for key in ("ev", "ev_68", "ev_without_worst"):
                assert one[key]["value"] == pytest.approx(1 - ratio**2, abs=2e-3)
        # Core and energy have the same errors.
        for quantity in ("core", "log_energy"):
            assert scores["ladder"][fit]["net"]["all"][quantity]["ratio_68"]["value"] == 1.0
    in_bins = scores["ladder"]["free"]["net"]["by_energy"]
    some = [b["axis"]["ratio_68"]["value"] for b in in_bins if b["axis"]["ratio_68"]["value"]]
    assert some == pytest.approx([0.6] * len(some), rel=2e-3)


def test_the_tail_rules_the_variance_and_not_its_companions(tables):
    methods, truth = tables
    wild = methods["net"].zenith.copy()
    wild[:15] += 0.4  # less than 1 %
    worse = {**methods, "net": replace(methods["net"], zenith=wild)}
    one = scores_of((worse, truth))["ladder"]["free"]["net"]["all"]["axis"]
    assert one["ev"]["value"] < -0.5
    assert one["ev_without_worst"]["value"] == pytest.approx(0.64, abs=0.02)
    assert one["ratio_68"]["value"] == pytest.approx(0.6, abs=0.01)
    assert one["ev_68"]["value"] == pytest.approx(1 - one["ratio_68"]["value"] ** 2)


def test_bins_without_events_are_empty(tables):
    scores = scores_of(tables, "{scores: {energy_edges_log10_ev: [10, 11, 12]}}")
    for one in scores["ladder"]["free"]["net"]["by_energy"]:
        assert one["axis"]["ratio_68"] == {"value": None, "error": None}
    assert edge_sentences(scores) == []
    assert ladder_bin_rows(scores, "free", "ratio_68")[1] == ["10 – 11", "—", "—", "—"]
    assert as_markdown(scores)


def test_throws_of_one_shower_are_drawn_together(tables):
    methods, truth = tables
    alone = scores_of(tables)
    together = replace(truth, shower_id=np.arange(N) // 50)
    found = scores_of((methods, together))
    assert (alone["n_showers"], found["n_showers"]) == (N, N // 50)
    one, two = (s["methods"]["free"]["all"]["angle_68_deg"] for s in (alone, found))
    assert one["value"] == two["value"]
    assert one["error"] != two["error"]


def test_weights_follow_the_spectrum_that_was_thrown(tables):
    methods, truth = tables
    flat = scores_of(tables)
    assert flat["spectrum"]["index"] == 3.0
    assert flat["spectrum"]["thrown"] == 1.0
    weights = truth.energy**-2.0
    assert flat["spectrum"]["n_effective"] == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    # Better at high energies: worse where the low ones count.
    better = np.where(truth.energy > np.median(truth.energy), 0.0, 1.0)
    free = methods["free"]
    table = replace(free, core_x=truth.core_x + better * (free.core_x - truth.core_x))
    found = scores_of(({**methods, "free": table}, truth))["methods"]["free"]
    assert found["weighted"]["core_68_m"]["value"] > found["all"]["core_68_m"]["value"]
    same = scores_of(tables, "{showers: {spectral_index: 3}}")
    assert same["spectrum"]["n_effective"] == pytest.approx(N)
    for name, method in same["methods"].items():
        assert method["weighted"] == method["all"], name


def flagged(table, rows, *flags, stations=None):
    bits = table.flags.copy()
    bits[rows] = sum(1 << FLAGS.index(name) for name in flags)
    counts = np.full(len(bits), 6, table.n_stations.dtype)
    if stations is not None:
        counts[rows] = stations
    return replace(table, flags=bits, n_stations=counts)


@pytest.mark.parametrize("flag", FLAGS)
def test_looser_cuts_forgive_four_flags(tables, flag):
    table = flagged(tables[0]["free"], slice(0, 100), flag)
    unlike = flag == "outside_domain"  # said of networks, and no cut of the fit
    assert cuts.own(table).sum() == (N if unlike else N - 100)
    assert cuts.looser(table).sum() == (N if flag in cuts.FORGIVEN or unlike else N - 100)
    few = flagged(table, slice(0, 100), "few_stations", stations=3)
    assert cuts.looser(few).sum() == N - 100
    assert cuts.looser(flagged(table, slice(0, 100), "few_stations", stations=4)).all()


def test_own_and_looser_cuts_of_each_method(tables):
    methods, truth = tables
    methods = {
        "free": flagged(methods["free"], slice(0, 500), "border"),
        "complete": flagged(methods["complete"], slice(0, 200), "bad_chi2"),
        "net": flagged(methods["net"], slice(0, 500), "border"),
    }
    lost = methods["net"].zenith.copy()
    lost[-50:] = np.nan
    methods["net"] = replace(methods["net"], zenith=lost)
    scores = scores_of((methods, truth))
    parts = {
        cut: [scores["cuts"][cut][name]["fraction"] for name in methods] for cut in scores["cuts"]
    }
    assert parts == {
        "common": [0.725, 0.725, 0.725],
        "own": [0.75, 0.9, 0.725],
        "looser": [1.0, 0.9, 0.975],
    }
    common = scores["cuts"]["common"]["free"]["angle_68_deg"]
    assert common == scores["methods"]["free"]["all"]["angle_68_deg"]
    assert scores["cuts"]["own"]["free"]["angle_68_deg"] != common
    rows = cut_rows(scores)
    assert rows[1][-1] == "+38 %"
    assert len({len(row) for row in rows}) == 1


def test_the_reference_chooses_the_events_wherever_it_stands(tables):
    """A weaker fit in front of it chooses none; sentences call that the published comparison."""
    methods, truth = tables
    first = flagged(methods["free"], slice(0, 1500), "border")
    scores = scores_of(({"published": first, **methods}, truth))
    assert scores["n_scored"] == N
    assert list(scores["ladder"]) == ["published", "free", "constrained", "complete"]
    assert "against the published fit, which is the published comparison" in " ".join(
        sentences(scores)
    )
    assert "The free fit alone explains" in " ".join(sentences(scores))
    # But it needs a result of it.
    lost = flagged(methods["free"], slice(0, 1500), "invalid")
    assert scores_of(({"published": lost, **methods}, truth))["n_scored"] == N - 1500
    with pytest.raises(InputError, match="0 events"):
        scores_of(({"published": flagged(first, slice(0, N), "invalid"), **methods}, truth))


def test_trainings_of_one_network_are_scored_as_one(tables):
    methods, truth = tables
    other = shifted(np.random.default_rng(7), N, 0.010)[0]
    both = {**methods, "net_seed2": other}
    config = load_config("{networks: {net: {}}, network: {seeds: 2}, scores: {bootstrap: 20}}")
    scores, found = score(config, both, truth, {"net": ["a"], "net_seed2": ["b"]})
    assert scores["trainings"] == {"net": ["net", "net_seed2"]}
    assert list(scores["methods"]) == list(methods) == list(found.residuals)
    entry = scores["ladder"]["free"]["net"]["all"]["axis"]["ratio_68"]
    assert entry["each"] == pytest.approx([0.6, 0.5], rel=1e-3)
    assert entry["value"] == pytest.approx(0.55, rel=1e-3)
    assert entry["scatter"] == pytest.approx(0.1 / np.sqrt(2), rel=1e-2)
    assert entry["error"] == pytest.approx(np.hypot(entry["statistical"], entry["scatter"]))
    for one in (
        scores["methods"]["net"]["all"]["angle_68_deg"],
        scores["ev_of_quantity"]["net"]["axis"],
        scores["cuts"]["common"]["net"]["angle_68_deg"],
        scores["ladder"]["free"]["net"]["weighted"]["axis"]["ev"],
    ):
        assert one["scatter"] > 0
        assert len(one["each"]) == 2
    assert "scatter" not in scores["methods"]["free"]["all"]["angle_68_deg"]
    said = sentences(scores)
    assert any("trained 2 times with other seeds" in sentence for sentence in said)
    assert not any("is not in the errors" in sentence for sentence in said)
    alone = sentences(scores_of(tables))
    assert any("other seeds is not in the errors" in sentence for sentence in alone)


def test_networks_that_differ_by_more_than_the_seed_are_two():
    config = load_config(
        "{networks: {a: {}, b: {training: {device: cpu}}, c: {inputs: {tile: 5}}, "
        "d: {training: {epochs: 2}}}}"
    )
    given = {name: [] for name in ("a", "b", "c", "d", "elsewhere", "another")}
    assert trainings(config, given) == {
        "a": ["a", "b"],
        "c": ["c"],
        "d": ["d"],
        "elsewhere": ["elsewhere"],
        "another": ["another"],
    }


def test_energies_pulled_inwards_are_said_with_their_numbers(tables):
    methods, truth = tables
    text = "{scores: {energy_edges_log10_ev: [17, 18.5, 18.75, 19.75, 20, 21]}}"
    truth = replace(truth, energy=10 ** np.random.default_rng(1).uniform(0.5, 2, N))
    log_e = np.log10(truth.energy)
    for name, pull in (("free", 0.0), ("constrained", 0.0), ("complete", 0.0), ("net", 0.1)):
        shift = pull * ((log_e < 0.75) * 1.0 - (log_e > 1.75))
        noise = 0.1 * np.random.default_rng(2).normal(size=N)
        methods[name] = replace(methods[name], energy=truth.energy * np.exp(shift + noise))
    scores = scores_of((methods, truth), text)
    (said,) = edge_sentences(scores)
    bins = scores["methods"]["net"]["by_energy"]
    low, high = (bins[k]["log_energy_bias"]["value"] for k in (1, 3))
    assert "the network pulls energies inwards: " in said
    assert f"mean ln(E/true E) of the network {low:+.3f} in the lowest" in said
    assert f"and {high:+.3f} in the highest (free fit " in said
    assert said in as_markdown(scores)
    free = methods["free"]
    for factor in (0.9, 1.0, 1.1):  # lower or higher in every bin
        methods["net"] = replace(free, energy=free.energy * factor)
        (said,) = edge_sentences(scores_of((methods, truth), text))
        assert "inwards" not in said


def test_tables_of_the_ladder_hold_every_method_and_fit(tables):
    scores = scores_of(tables)
    for fit in ("free", "constrained", "complete"):
        rows = ladder_rows(scores, fit)
        assert len(rows) == 4
        assert {len(row) for row in rows} == {9}
        assert rows[-1][0] == "network: net"
    assert ladder_rows(scores, "free")[-1][1].startswith("0.600")
    text = as_markdown(scores)
    assert text.count("| against the ") == 3
