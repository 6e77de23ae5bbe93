"""The configuration: defaults, checks, and the files that restate the schema."""

from pathlib import Path

import pytest
import yaml

from tashower.config import as_dict, complete, default_yaml, describe, load_config, schema
from tashower.errors import InputError

ROOT = Path(__file__).resolve().parent.parent


def test_default_file_is_the_schema():
    assert (ROOT / "config/config.yaml").read_text() == default_yaml() + "\n"
    assert load_config(str(ROOT / "config/config.yaml")) == load_config()


def test_readme_is_the_schema():
    readme = (ROOT / "config/README.md").read_text()
    assert readme == (ROOT / "config/introduction.md").read_text() + "\n" + describe() + "\n"


@pytest.mark.parametrize(
    "name", ["config/paper.yaml", "config/sample.yaml", "tests/config/smoke.yaml"]
)
def test_other_configurations_are_valid(name):
    assert load_config(str(ROOT / name)) != load_config()


def test_every_key_has_a_description_and_a_default():
    for name, entry in schema()["properties"].items():
        assert entry["description"], name
        for key, item in entry.get("properties", {}).items():
            assert item["description"], f"{name}.{key}"
            assert "default" in item, f"{name}.{key}"


def test_every_key_reaches_the_dataclass():
    assert set(as_dict(load_config())) == set(schema()["properties"])
    for name, section in as_dict(load_config()).items():
        entry = schema()["properties"][name]
        if "properties" in entry:
            assert set(section) == set(entry["properties"])


def test_round_trip():
    values = complete({"seed": 3, "showers": {"max_zenith_deg": 30}})
    assert load_config(yaml.safe_dump(values, default_flow_style=True)) == load_config(
        "{seed: 3, showers: {max_zenith_deg: 30}}"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{showres: {}}", "showres"),
        ("{showers: {max_zenith: 3}}", "max_zenith"),
        ("{seed: one}", "seed"),
        ("{showers: {max_zenith_deg: 80}}", "showers.max_zenith_deg"),
        ("{showers: {min_log10_energy_ev: 20.9}}", "min_log10_energy_ev"),
        ("{showers: {primaries: {proton: 0}}}", "primaries"),
        ("{showers: {primaries: {carbon: 1}}}", "carbon"),
        ("{networks: {a: {waveforms: true}}}", "event_features"),
        ("{scores: {zenith_edges_deg: [0, 30, 20]}}", "zenith_edges_deg"),
        ("{array: {spacing_m: -5}}", "array.spacing_m"),
        ("{array: [1}", "not valid YAML"),
    ],
)
def test_bad_configuration_is_named(text, words):
    with pytest.raises(InputError, match=words):
        load_config(text)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="absent"):
        load_config(str(tmp_path / "absent.yaml"))
