"""The configuration: defaults, checks, what is said of every kind of wrong input, and the files
that are generated from the models.
"""

import codecs
import json
import os
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
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
from tashower.errors import InputError

ROOT = Path(__file__).resolve().parent.parent


def said(*sources):
    """The lines that are said of a wrong configuration."""
    with pytest.raises(InputError) as error:
        load_config(*sources)
    return str(error.value).splitlines()


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
    assert capsys.readouterr().out == f"{path}: valid\n"


def test_every_key_has_a_description_and_stands_in_the_tables():
    tables = describe()
    sections = [schema(), *(v for k, v in schema()["$defs"].items() if k != "InputsConfig")]
    assert len(sections) > 10
    for section in sections:
        assert section["additionalProperties"] is False
        for key, entry in section["properties"].items():
            assert "$ref" in entry or entry["description"], key
            assert f"`{key}`" in tables or f"## {key}\n" in tables


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


# Several sources.


def test_the_last_source_holds_and_is_named(tmp_path):
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("seed: 1\narray: {columns: 5, rows: 2}\n")
    two.write_text("array: {columns: 7.5}\nsamples: {train: 1}\n")
    assert said(one, two) == [
        f"{two}: array.columns: must be a whole number, not 7.5",
        f"{one}: array.rows: must be >= 3, not 2",
        f"{two}: samples.train: must be >= 10, not 1",
    ]
    config = load_config({"seed": 1, "array": {"rows": 9, "columns": 9}}, {"array": {"rows": 5}})
    assert (config.seed, config.array.rows, config.array.columns) == (1, 5, 9)


def test_networks_and_primaries_are_replaced():
    networks = {"mine": {"waveforms": False, "event_features": True}}
    given = {"networks": networks, "showers": {"primaries": {"iron": 2}, "throws": 3}}
    for config in (load_config(as_dict(load_config()), given), load_config(given)):
        assert list(config.networks) == ["mine"]
        assert config.showers.primaries == {"iron": 2.0}
        assert config.showers.throws == 3
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}


# What is said of wrong input.


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{array: {collumns: 9}}", "array.collumns: unknown; did you mean array.columns?"),
        ("{array: {spacing: 9}}", "array.spacing: unknown; did you mean array.spacing_m?"),
        (
            "{array: {max_zenith_degrees: 9}}",
            "array.max_zenith_degrees: unknown; did you mean showers.max_zenith_deg?",
        ),
        ("{showres: {}}", "showres: unknown; did you mean showers?"),
        ("{columns: 9}", "columns: unknown; did you mean array.columns?"),
        ("{qqq: 9}", "qqq: unknown"),
        ("{seed: {a: 1}}", "seed: must be a whole number, not {a: 1}"),
        ("{seed: one}", 'seed: must be a whole number, not "one"'),
        ('{seed: "7"}', 'seed: must be a whole number, not "7"'),
        ("{seed: true}", "seed: must be a whole number, not true"),
        ("{seed: 7.5}", "seed: must be a whole number, not 7.5"),
        ("{seed: -1}", "seed: must be >= 0, not -1"),
        ("{seed: .inf}", "seed: must be a whole number, not .inf"),
        ("{seed:}", "seed: must be a whole number, not nothing"),
        ("{array: {spacing_m: .nan}}", "array.spacing_m: must be a finite number, not .nan"),
        ("{array: {spacing_m: -.inf}}", "array.spacing_m: must be a finite number, not -.inf"),
        ("{array: {spacing_m: 1e999}}", "array.spacing_m: must be a finite number, not .inf"),
        ("{array: {spacing_m: true}}", "array.spacing_m: must be a number, not true"),
        ("{array: {spacing_m: 1.2 km}}", 'array.spacing_m: must be a number, not "1.2 km"'),
        ("{array: {spacing_m: 0}}", "array.spacing_m: must be > 0, not 0"),
        (
            "{array: {front_distance_m: 2e6}}",
            "array.front_distance_m: must be <= 1000000, not 2000000",
        ),
        ("{array: {lateral: 3}}", "array.lateral: must be text, not 3"),
        ("{array: 3}", "array: must be a map of keys to values, not 3"),
        ("{array: [1, 2]}", "array: must be a map of keys to values, not [1, 2]"),
        ("{array: }", "array: must be a map of keys to values, not nothing"),
        (
            "{array: {lattice: round}}",
            "array.lattice: must be 'square' or 'hexagonal', not \"round\"",
        ),
        ("{training: {augment: 1}}", "training.augment: must be true or false, not 1"),
        ('{results: "a b"}', 'results: must match ^[A-Za-z0-9._/-]+$, not "a b"'),
        ("{data: {files: mine.h5}}", 'data.files: must be a list, not "mine.h5"'),
        ('{data: {files: [a, ""]}}', 'data.files.1: must not be empty, not ""'),
        (
            "{scores: {zenith_edges_deg: [3]}}",
            "scores.zenith_edges_deg: at least two edges are needed",
        ),
        (
            "{scores: {zenith_edges_deg: [0, x]}}",
            'scores.zenith_edges_deg.1: must be a number, not "x"',
        ),
        (
            "{scores: {zenith_edges_deg: [0, 30, 20]}}",
            "scores.zenith_edges_deg: the edges do not increase",
        ),
        (
            "{scores: {energy_edges_log10_ev: [19, 19]}}",
            "scores.energy_edges_log10_ev: the edges do not increase",
        ),
        (
            "{showers: {min_log10_energy_ev: 20.9}}",
            "showers: min_log10_energy_ev (20.9) is above max_log10_energy_ev (20)",
        ),
        (
            "{showers: {primaries: {proton: 0}}}",
            "showers.primaries: no primary has a positive abundance",
        ),
        ("{showers: {primaries: {}}}", "showers.primaries: no primary has a positive abundance"),
        ("{showers: {primaries: {iron: -1}}}", "showers.primaries.iron: must be >= 0, not -1"),
        (
            "{showers: {primaries: {carbon: 1}}}",
            "showers.primaries.carbon: unknown; known are 'proton', 'helium', 'nitrogen' or 'iron'",
        ),
        ("{training: {processes: 129}}", "training: processes (129) is above batch_size (128)"),
        (
            "{reconstruction: {errors: {b0: -1, time_floor: 0}}}",
            "reconstruction.errors: time_floor: must be above 0",
        ),
        ("{networks: {a: {waveforms: true}}}", "networks.a.event_features: is missing"),
        ("{networks: {}}", "networks: must have at least 1 entries, not {}"),
        (
            "{networks: {A: {waveforms: true, event_features: true}}}",
            "networks.A: the name must match ^[a-z][a-z0-9_]*$",
        ),
        ("{seed: 1, seed: 2}", "seed: given twice (first in line 1)"),
        ("{1: 2}", "1: the key is not text; put it between quotes"),
        ("{networks: {no: {}}}", "networks.no: the key is not text; put it between quotes"),
    ],
)
def test_one_line_for_each_wrong_value(text, line, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    lines = said(path)
    assert lines[0].removeprefix(f"{path}, line 1: ").removeprefix(f"{path}: ") == line
    assert lines[0].startswith(str(path))
    if "networks.no" not in line:
        assert len(lines) == 1


def test_everything_is_said_at_once(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "seed: -1\narray:\n  collumns: 9\n  rows: 7.5\n  rows: 8.5\n"
        "showers: {min_log10_energy_ev: 21}\n"
        "scores: {zenith_edges_deg: [1, 0], energy_edges_log10_ev: [.nan, 19]}\nseeed: 3\n"
    )
    assert sorted(said(path)) == sorted(
        [
            f"{path}, line 5: array.rows: given twice (first in line 4)",
            f"{path}: seed: must be >= 0, not -1",
            f"{path}: array.collumns: unknown; did you mean array.columns?",
            f"{path}: array.rows: must be a whole number, not 7.5",
            f"{path}: showers: min_log10_energy_ev (21) is above max_log10_energy_ev (20)",
            f"{path}: scores.zenith_edges_deg: the edges do not increase",
            f"{path}: scores.energy_edges_log10_ev.0: must be a finite number, not .nan",
            f"{path}: seeed: unknown; did you mean seed?",
        ]
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"seed: 1\narray: [1\n", ", line 3: not valid YAML: "),
        (b"seed: 1\n\tarray: 3\n", ", line 2: not valid YAML: "),
        (b"seed: 1\n--- \nseed: 2\n", ", line 2: not valid YAML: "),
        (b"seed: *nothing\n", ", line 1: not valid YAML: "),
        (b"seed: 1\nresults: \x01\n", ", line 2: not valid YAML: the character U+0001 is not text"),
        (b"seed: !!int one\n", ": not valid YAML: "),
        (b"seed: !!timestamp one\n", ": not valid YAML: "),
        (b"seed: !!python/name:os.system\n", ", line 1: not valid YAML: "),
        (b"a: " + b"[" * 3000, ": not valid YAML: nested too deeply"),
        (b"- 1\n- 2\n", ": not a map of keys to values"),
        (b"7\n", ": not a map of keys to values"),
        ("seed: 1\nresults: \xe9\n".encode("latin-1"), ", line 2: not UTF-8 text (byte 0xe9)"),
        ("seed: 1\n".encode("utf-16"), ", line 1: not UTF-8 text (byte 0xff)"),
        (
            "seed: 1\n".encode("utf-16-le"),
            ", line 1: not valid YAML: the character U+0000 is not text",
        ),
    ],
)
def test_files_that_cannot_be_read(content, words, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    (line,) = said(path)
    assert line.startswith(f"{path}{words}")


def test_files_that_are_not_there(tmp_path):
    assert said(tmp_path / "absent.yaml") == [f"{tmp_path}/absent.yaml: no such file"]
    assert said(tmp_path) == [f"{tmp_path}: Is a directory"]
    assert main(["config", "--check", str(tmp_path / "absent.yaml")]) == 2


def test_empty_files_are_the_defaults(tmp_path):
    path = tmp_path / "mine.yaml"
    for content in (b"", b"# nothing\n", codecs.BOM_UTF8):
        path.write_bytes(content)
        assert load_config(path) == load_config(None) == load_config()


def test_utf8_is_read_whatever_the_locale(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(codecs.BOM_UTF8 + "data: {stations: Füße.csv}\n".encode())
    assert load_config(path).data.stations == "Füße.csv"
    code = (
        "from tashower.config import load_config\n"
        f"assert len(load_config({str(path)!r}).data.stations) == 8"
    )
    environment = dict(os.environ, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
