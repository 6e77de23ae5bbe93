"""What is said of every kind of wrong configuration: one line for each key, all of them at once."""

import codecs
import os
import subprocess
import sys

import pytest

from tashower.cli import main
from tashower.config import load_config
from tashower.config.networks import OPTIONS
from tashower.errors import InputError


def said(*sources):
    """The lines that are said of a wrong configuration."""
    with pytest.raises(InputError) as error:
        load_config(*sources)
    return str(error.value).splitlines()


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
        (
            "{networks: {features: {}}}",
            "networks.features: features is the name of something else: another one for the "
            "network",
        ),
        ("{seed: {a: 1}}", "seed: must be a whole number, not {a: 1}"),
        ("{seed: {a: [1]}}", "seed: must be a whole number, not a map of maps or lists"),
        ("{seed: " + 70 * "a" + "}", f'seed: must be a whole number, not "{56 * "a"}...'),
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
        ("{array: {spacing_m: 0}}", "array.spacing_m: must be >= 1, not 0"),
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
        (
            "{results: ~/a}",
            r"""results: must match ^[^{}<>|&;*?"'`$~:\\\x00-\x1f]+$, not """ + '"~/a"',
        ),
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
        ("{networks: {}}", "networks: must have at least 1 entries, not {}"),
        ("{networks: {A: {}}}", "networks.A: the name must match ^[a-z][a-z0-9_]*$"),
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


@pytest.mark.parametrize("sign", list("{}<>|&;*?\"'`$~:\\\t"))
def test_a_folder_for_results_has_no_sign_of_shells(sign, tmp_path):
    with pytest.raises(InputError, match=r"results: must match"):
        load_config({"results": f"a{sign}b"})
    assert load_config({"results": "Ergebnisse für TA (2)/a-b_c.d"}).results


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
        (b"a: " + b"[" * 1200, ": not valid YAML: nested too deeply"),
        (
            b"a: &a\n  b:\n    c: *a\n",
            ", line 1: not valid YAML: an alias inside of what it stands for",
        ),
        (b"a: &a [1, [*a]]\n", ", line 1: not valid YAML: an alias inside of what it stands for"),
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


def test_aliases_do_not_multiply(tmp_path):
    """Nine lists of nine, each of nine of the one before: 3 GB if they were written out."""
    path = tmp_path / "mine.yaml"
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join(9 * [f'*a{n - 1}'])}]" for n in range(1, 9)]
    path.write_text("\n".join([*lines, "seed: *a8", "array: {rows: *a8}"]))
    found = said(path)
    assert f"{path}: seed: must be a whole number, not a list of maps or lists" in found
    assert len(found) == 11


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


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("{network: {correct: free}}", ["network.correct: unknown; it is now network.corrects"]),
        ("{network: {tile: 5}}", ["network.tile: unknown; it is now network.inputs.tile"]),
        (
            "{network: {dropout: 0.5}}",
            ["network.dropout: unknown; it is now network.options.dropout"],
        ),
        (
            "{networks: {a: {waveforms: true, event_features: true}}}",
            [
                "networks.a.waveforms: unknown; it is now networks.a.inputs.waveforms",
                "networks.a.event_features: unknown; it is now networks.a.inputs.event_features",
            ],
        ),
        (
            "{networks: {a: {inputs: {tiles: 5}, training: {epoch: 2}}}}",
            [
                "networks.a.inputs.tiles: unknown; did you mean networks.a.inputs.tile?",
                "networks.a.training.epoch: unknown; did you mean networks.a.training.epochs?",
            ],
        ),
        (
            "{networks: {a: {epochs: 5}}}",
            ["networks.a.epochs: unknown; did you mean networks.a.training.epochs?"],
        ),
        # Wrong for all: said once, not for each network.
        (
            "{network: {options: {widht: 3, dropuot: 1}}, networks: {a: {}, b: {options: {}}}}",
            [
                "network.options.widht: unknown",
                "network.options.dropuot: unknown; did you mean network.options.dropout?",
            ],
        ),
        ("{training: {epochs: 0}}", ["training.epochs: must be >= 1, not 0"]),
        ("{network: 3}", ["network: must be a map of keys to values, not 3"]),
        ("{networks: 3}", ["networks: must be a map of keys to values, not 3"]),
        ("{networks: {a: }}", ["networks.a: must be a map of keys to values, not nothing"]),
        (
            "{networks: {a: {training: {processes: 129}}}}",
            ["networks.a.training: processes (129) is above batch_size (128)"],
        ),
        (
            "{training: {processes: 129}, networks: {a: {training: {batch_size: 200}}}}",
            ["training: processes (129) is above batch_size (128)"],
        ),
        (
            "{network: {model: gird}}",
            [
                f"network.model: must be {', '.join(OPTIONS)} or the path of a Python file (.py), "
                "not gird"
            ],
        ),
        (
            "{networks: {a: {model: vgg, options: {drop_path: 0.1, pooling: max}}}}",
            [
                "networks.a.options.pooling: must be 'flat' or 'average', not \"max\"",
                "networks.a.options.drop_path: unknown; did you mean networks.a.options.dropout?",
            ],
        ),
        (
            "{networks: {a: {model: fractal, options: {drop_path: 1, grid_layers: 7}}}}",
            [
                "networks.a.options.grid_layers: must be <= 6, not 7",
                "networks.a.options.drop_path: must be <= 0.9, not 1",
            ],
        ),
        (
            "{networks: {a: {head: median}}}",
            ["networks.a.head: must be 'mean', 'gaussian' or 'flow', not \"median\""],
        ),
        (
            "{networks: {a: {model: m.py, options: {x: [1], y: .nan}}}}",
            [
                "networks.a.options.x: must be a number, text, true or false",
                "networks.a.options.y: must be a finite number",
            ],
        ),
    ],
)
def test_what_is_said_of_wrong_networks(text, lines):
    assert said(text) == [f"configuration: {line}" for line in lines]


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


def test_check_says_everything_at_once_files_as_well(tmp_path, capsys):
    """Also where keys beside them are wrong; what is wrong in a section hides no file of it."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "seed: high\narray: {stations: absent.csv, columns: 1}\nfront: {nothing: 1}\n"
        "networks: {a: {model: absent.py, training: {epochs: 0}}}\ndata: {files: [absent.dst]}\n"
    )
    assert main(["config", "--check", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    for words in (
        *("seed: must be", "array.columns: must be", "front.nothing: unknown"),
        *("networks.a.training.epochs: must be", "array.stations: absent.csv: no such file"),
        *("networks.a.model: absent.py: no such file", "data.files.0: absent.dst: no such file"),
    ):
        assert words in said.err, words
    assert said.err.count("\n") == 7


def test_what_differs_from_the_default_is_marked(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text("array: {columns: 9}\n")
    assert main(["config", "--check", str(path)]) == 0
    said = capsys.readouterr().out
    assert "\n  columns: 9  # default: 22\n  rows: 23\n" in said
    assert said.count("# default") == 1


def test_files_are_missed_where_one_wrong_key_makes_another_wrong(tmp_path, capsys):
    """Without the upper end the lower one would be above the default's."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "showers: {min_log10_energy_ev: 20.1, max_log10_energy_ev: high}\n"
        "array: {stations: absent.csv}\n"
    )
    assert main(["config", "--check", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 2
    assert "showers.max_log10_energy_ev" in said
    assert "absent.csv: no such file" in said
