"""The configuration: the files that are generated from the models, defaults, values, networks."""

import json
from dataclasses import FrozenInstanceError, asdict, fields, replace
from pathlib import Path

import pytest

from tashower.cli import main
from tashower.config import (
    Config,
    as_dict,
    default_yaml,
    describe,
    load_config,
    merge,
    parse_yaml,
    plain_scalars,
    schema,
)
from tashower.config.generators import OPTIONS_OF_KIND
from tashower.errors import InputError

ROOT = Path(__file__).resolve().parent.parent


# The files that are generated from the models, and those that users start from.


def test_default_file_is_generated():
    assert (ROOT / "config/config.yaml").read_text() == default_yaml() + "\n"
    assert load_config(ROOT / "config/config.yaml") == load_config() == Config()


def test_readme_is_generated():
    readme = (ROOT / "config/README.md").read_text()
    assert readme == (ROOT / "config/introduction.md").read_text() + "\n" + describe() + "\n"


def test_schema_is_generated(capsys):
    assert main(["config", "--schema"]) == 0
    assert (ROOT / "config/config.schema.json").read_text() == capsys.readouterr().out
    assert json.loads((ROOT / "config/config.schema.json").read_text()) == schema()


@pytest.mark.parametrize(
    "path",
    [p for p in sorted(ROOT.glob("config/*.yaml")) if p.name != "config.yaml"]
    + [ROOT / "tests/config/smoke.yaml"],
    ids=lambda path: path.name,
)
def test_other_configurations_are_valid(path, capsys):
    usual = path.name == "telescope_array.yaml"
    assert (load_config(path) == load_config()) == usual
    assert main(["config", "--check", str(path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"# {path}: valid; completed with the defaults:\nseed: ")
    assert load_config(parse_yaml(said, "said")[0]) == load_config(path)


def test_every_key_has_a_description_and_stands_in_the_tables():
    tables = describe()
    sections = [schema(), *schema()["$defs"].values()]
    assert len(sections) > 10
    for section in sections:
        assert section["additionalProperties"] is False
        for key, entry in section["properties"].items():
            assert "$ref" in entry or entry["description"], key
            assert f"`{key}`" in tables or f"{key}\n" in tables


@pytest.mark.parametrize("kind", OPTIONS_OF_KIND)
def test_options_of_generators_stand_in_the_tables(kind):
    _, _, table = describe().partition(f"## generators.NAME.options of the kind {kind}\n")
    rows = table.partition("\n## ")[0].splitlines()
    names = [row.split("`")[1] for row in rows if row.startswith("| `")]
    assert names == [field.name for field in fields(OPTIONS_OF_KIND[kind])]


def test_schema_agrees_with_the_models():
    """What an editor says by the schema is what the models say."""
    import jsonschema  # comes with snakemake

    check = jsonschema.Draft202012Validator(schema())
    check.check_schema(schema())
    for values in ({}, as_dict(load_config()), {"array": {"columns": 7.0}}):
        assert check.is_valid(values)
    for values in (
        {"array": {"collumns": 7}},
        {"array": {"columns": 7.5}},
        {"array": {"columns": 2}},
        {"showers": {"primaries": {"carbon": 1}}},
        {"networks": {}},
        {"training": {"device": "tpu"}},
        {"training": {"precision": "float16"}},
    ):
        assert not check.is_valid(values)


# Values.


def test_round_trip_through_json():
    config = load_config({"seed": 3, "showers": {"max_zenith_deg": 30}, "data": {"files": ["a"]}})
    text = json.dumps(as_dict(config))
    assert load_config(text) == config
    assert json.dumps(as_dict(load_config(text))) == text
    assert config.seed == 3
    assert config.data.files == ("a",)


def test_numbers_keep_their_type():
    """A key of real numbers that is given 7 holds 7.0, a whole number given 7.0 holds 7: what is
    stored does not depend on how it was written.
    """
    one = load_config("{array: {spacing_m: 7, columns: 7.0}, scores: {zenith_edges_deg: [0, 1]}}")
    two = load_config("{array: {spacing_m: 7.0, columns: 7}, scores: {zenith_edges_deg: [0., 1.]}}")
    assert json.dumps(as_dict(one)) == json.dumps(as_dict(two))
    assert type(one.array.spacing_m) is float
    assert type(one.array.columns) is int
    assert [type(edge) for edge in one.scores.zenith_edges_deg] == [float, float]
    for section in as_dict(load_config()).values():
        for key, value in section.items() if isinstance(section, dict) else ():
            if key.endswith(("_m", "_ns", "_deg")) and not isinstance(value, list):
                assert type(value) is float, key


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1e-03", "0.001", ".001", "+1.e-3"])
def test_numbers_as_people_write_them(text):
    for source in (
        f"{{training: {{learning_rate: {text}}}}}",
        {"training": {"learning_rate": text}},
    ):
        if isinstance(source, dict):
            source = plain_scalars(source)
        assert load_config(source).training.learning_rate == 0.001


def test_small_numbers_of_json():
    """Python writes 1e-05, which YAML 1.1 takes for text."""
    text = json.dumps({"training": {"learning_rate": 0.00001}})
    assert "1e-05" in text
    assert load_config(text).training.learning_rate == 1e-5


@pytest.mark.parametrize("text", ["", "<<", "=", "a", "1" + 5000 * "0", "!x", "{"])
def test_texts_that_stay_texts(text):
    assert plain_scalars({"a": [text]}) == {"a": [text]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),  # not octal
        ("60_000", 60000),
        ("-7", -7),
        ("1:30", "1:30"),  # not base 60
        ("2020-01-01", "2020-01-01"),  # not a date
        ("0x10", "0x10"),
        ("1e3", 1000.0),
        ("e3", "e3"),
        (".", "."),
        ("1_", "1_"),
        ("true", True),
        ("~", None),
        ('"1e3"', "1e3"),
    ],
)
def test_scalars_of_yaml(text, value):
    read, problems = parse_yaml(f"key: {text}", "here")
    assert (read, problems) == ({"key": value}, [])
    assert type(read["key"]) is type(value)


def test_merge_keys_and_aliases_of_yaml():
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: *a}\nd: *a"
    values, problems = parse_yaml(text, "here")
    assert problems == []
    assert values["b"] == {"x": 1, "y": 3}
    assert values["c"] == values["d"] == {"x": 1, "y": 2}


def test_configuration_is_frozen_and_replace_checks():
    config = load_config()
    with pytest.raises(FrozenInstanceError):
        config.array.columns = 5
    assert replace(config.array, columns=5).columns == 5
    with pytest.raises(ValueError, match="columns"):
        replace(config.array, columns=2)


# Networks: each is what the sections `network` and `training` say, but for its own keys.


def test_the_four_networks_of_the_published_table():
    networks = dict(load_config().networks)
    strongest = networks.pop("with_likelihood")
    assert strongest.corrects == "complete"
    assert asdict(strongest.inputs) == asdict(networks["waveforms_and_features"].inputs) | {
        "station_likelihood": True
    }
    assert {
        name: (n.inputs.waveforms, n.inputs.event_features) for name, n in networks.items()
    } == {
        "waveforms_and_features": (True, True),
        "waveforms_only": (True, False),
        "features_only": (False, True),
        "stations_only": (False, False),
    }
    for network in networks.values():
        assert (network.model, network.head, network.corrects) == ("grid", "mean", "free")
        assert (network.inputs.tile, network.inputs.n_bins, network.inputs.bin_width_ns) == (
            6,
            128,
            0,
        )
        assert network.options == {
            "waveform_channels": 16,
            "station_channels": 32,
            "grid_layers": 2,
            "dense_channels": 128,
            "dropout": 0.1,
            "batch_normalisation": True,
            "pooling": "flat",
            "decoder_weight": 0.0,
        }
        assert network.training == load_config().training


def test_every_key_of_a_network_can_be_given_for_all_or_for_one():
    network = {
        "model": "grid",
        "head": "gaussian",
        "predicts": "mass",
        "loss": "gaussian",
        "corrects": "constrained",
        "showers": 7,
        "randomised": True,
        "inputs": {
            "waveforms": False,
            "event_features": False,
            "tile": 4,
            "n_bins": 64,
            "bin_width_ns": 50.0,
        },
        "options": {
            "waveform_channels": 4,
            "station_channels": 5,
            "grid_layers": 6,
            "dense_channels": 7,
            "dropout": 0.5,
            "batch_normalisation": False,
            "pooling": "average",
            "decoder_weight": 0.25,
        },
    }
    training = {
        "epochs": 2,
        "patience": 3,
        "batch_size": 4,
        "learning_rate": 0.5,
        "weight_decay": 0.25,
        "min_delta": 0.125,
        "optimiser": {"name": "sgd", "momentum": 0.5, "nesterov": True},
        "gradients": {"clip": "value", "limit": 0.5, "centralise": True},
        "penalty": {"l1": 0.5, "l2": 0.25},
        "schedule": {
            "name": "reduce_on_plateau",
            "warm_up": 0.5,
            "factor": 0.25,
            "patience": 7,
            "min_delta": 0.5,
            "cooldown": 3,
            "min_learning_rate": 1e-3,
        },
        "averaging": {"name": "ema", "decay": 0.5},
        "initialisation": "he_normal",
        "checkpoints": "every_epoch",
        "tensorboard": True,
        "augment": False,
        "threads": 6,
        "processes": 3,
        "device": "cpu",
        "precision": "bfloat16",
    }
    usual = as_dict(load_config({"networks": {"a": {}}}))["networks"]["a"]
    # Of several trainings each is a network of its own (below).
    assert set(usual) == {*network, "training", "seeds"}
    assert set(usual["training"]) == set(training)
    cases = [((key,), value) for key, value in network.items() if not isinstance(value, dict)]
    cases += [
        ((section, key), value)
        for section, values in (("inputs", network["inputs"]), ("options", network["options"]))
        for key, value in values.items()
    ]
    cases += [(("training", key), value) for key, value in training.items()]
    for path, value in cases:
        own = value
        for key in reversed(path):
            own = {key: own}
        of_all = own if path[0] == "training" else {"network": own}
        one = as_dict(load_config({"networks": {"a": own, "b": {}}}))["networks"]
        both = as_dict(load_config(of_all, {"networks": {"a": {}, "b": {}}}))["networks"]
        changed = merge(usual, own)
        if path[0] == "training" and isinstance(value, dict):  # another name, other keys
            changed["training"][path[1]] = usual["training"][path[1]] | value
        assert one == {"a": changed, "b": usual}
        assert both == {"a": changed, "b": changed}
        assert (changed == usual) == (path == ("model",))


def test_every_training_of_a_network_is_a_network():
    text = "{networks: {a: {seeds: 3, head: gaussian}, b: {}, c: {seeds: 1}}, network: {seeds: 2}}"
    config = load_config(text)
    assert list(config.networks) == ["a", "a_seed2", "a_seed3", "b", "b_seed2", "c"]
    assert config.networks["a"] == config.networks["a_seed2"] == config.networks["a_seed3"]
    assert config.networks["a"].head == "gaussian"
    assert {network.seeds for network in config.networks.values()} == {1}
    # Jobs of the workflow are handed the complete configuration.
    assert load_config(json.dumps(as_dict(config))) == config
    # More trainings leave the first as it is: it is not trained again.
    alone = load_config("{networks: {a: {head: gaussian}}}")
    assert alone.networks["a"] == config.networks["a"]
    with pytest.raises(InputError, match="a_seed2 is the name of a training of a"):
        load_config("{networks: {a: {seeds: 2}, a_seed2: {}}}")
    for wrong in ("0", "101", "2.5", "true", "[2]", ".nan"):
        with pytest.raises(InputError, match=r"networks\.a\.seeds"):
            load_config(f"{{networks: {{a: {{seeds: {wrong}}}}}}}")


def test_an_entry_is_over_the_section():
    config = load_config(
        {
            "network": {"inputs": {"tile": 4, "waveforms": False}, "options": {"dropout": 0.5}},
            "training": {"epochs": 3, "batch_size": 1000},
            "networks": {
                "a": {"inputs": {"tile": 8}, "training": {"processes": 500}},
                "b": {"options": {"grid_layers": 1.0}, "training": {"epochs": 9}},
            },
        }
    )
    a, b = config.networks["a"], config.networks["b"]
    assert (a.inputs.tile, a.inputs.waveforms, b.inputs.tile) == (8, False, 4)
    assert (a.options["dropout"], b.options["dropout"], b.options["grid_layers"]) == (0.5, 0.5, 1)
    assert (a.training.epochs, a.training.processes, b.training.epochs) == (3, 500, 9)
    assert load_config(json.dumps(as_dict(config))) == config
    assert replace(config, seed=5).networks == config.networks


def test_options_of_a_model_of_ones_own():
    """They stay what they are, and are not mixed with those of another model."""
    own = {"model": "mine.py", "options": {"width": 3, "scale": 3.0, "deep": True, "kind": "a"}}
    for config in (
        load_config(as_dict(load_config({"networks": {"a": {}}})), {"networks": {"a": own}}),
        load_config({"network": {"options": {"dropout": 0.2}}, "networks": {"a": own, "b": {}}}),
        load_config(ROOT / "config/config.yaml", {"network": own, "networks": {"a": {}}}),
    ):
        options = config.networks["a"].options
        assert options == own["options"]
        assert [type(value) for value in options.values()] == [int, float, bool, str]
        assert load_config(json.dumps(as_dict(config))) == config
    two = load_config({"network": own, "networks": {"a": {"options": {"width": 4}}, "b": own}})
    assert two.networks["a"].options == own["options"] | {"width": 4}
    grid = load_config({"network": own, "networks": {"a": {"model": "grid"}}})
    assert grid.networks["a"].options["dropout"] == 0.1
    grid = load_config(
        {"network": {"options": {"dropout": 0.2}}, "networks": {"a": {"model": "grid"}}}
    )
    assert grid.networks["a"].options["dropout"] == 0.2


def test_networks_and_primaries_are_replaced():
    networks = {"mine": {"inputs": {"waveforms": False}}}
    given = {"networks": networks, "showers": {"primaries": {"iron": 2}, "throws": 3}}
    for config in (load_config(as_dict(load_config()), given), load_config(given)):
        assert list(config.networks) == ["mine"]
        assert config.showers.primaries == {"iron": 2.0}
        assert config.showers.throws == 3
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}
