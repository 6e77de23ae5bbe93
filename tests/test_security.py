"""Files from elsewhere run nothing, open nothing else, and claim no more than they hold."""

import ast
import os
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

import tashower
from tashower.cli import main
from tashower.config import load_config
from tashower.convert.convert import convert
from tashower.convert.tables import read_header
from tashower.errors import InputError
from tashower.network.checkpoint import load_checkpoint

PACKAGE = Path(tashower.__file__).parent


class Payload:
    """What runs a command when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


def names_used(tree) -> set[str]:
    """Every called name and attribute of a module, as written: `pickle.load`, `eval`."""
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_nothing_in_the_package_can_run_what_it_reads():
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        used = names_used(tree)
        assert not used & {
            "eval",
            "exec",
            "compile",
            "os.system",
            "os.popen",
            "yaml.load",
            "yaml.unsafe_load",
            "__import__",
        }, path
        assert not any(name.startswith(("pickle.", "marshal.", "shelve.")) for name in used), path
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "np.load"):
                said = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert said.get("weights_only") == "True" or said.get("allow_pickle") == "False", (
                    path
                )
        # The files that are run are the lateral distribution and the network's model that the user
        # names.
        assert "runpy.run_path" not in used or path.name in ("array.py", "contracts.py")


def test_a_checkpoint_runs_nothing(tmp_path):
    mark = tmp_path / "ran"
    for name, write in (
        ("a.pt", torch.save),
        ("b.pt", lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))),
    ):
        write(
            {"format": "tashower network", "version": 1, "weights": Payload(mark)}, tmp_path / name
        )
        with pytest.raises(InputError, match=name):
            load_checkpoint(tmp_path / name)
        assert (
            main(
                [
                    "apply",
                    str(tmp_path / name),
                    "--events",
                    "e",
                    "--fits",
                    "f",
                    "--output",
                    str(tmp_path / "o.h5"),
                ]
            )
            == 2
        )
    assert not mark.exists()


def test_a_state_of_training_runs_nothing(tmp_path):
    from tashower.network.state import load_state

    mark, state = tmp_path / "ran", tmp_path / "c.pt.state"
    torch.save({"identity": Payload(mark)}, state)
    with pytest.raises(InputError, match="start again"):
        load_state(state, {"code": "mine"}, {}, "cpu")
    assert not mark.exists()


def test_yaml_runs_nothing(tmp_path):
    mark = tmp_path / "ran"
    text = f"stations: !!python/object/apply:os.system ['touch {mark}']\n"
    for name, read in (("c.yaml", lambda path: load_config(str(path))), ("h.yaml", read_header)):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=name):
            read(tmp_path / name)
    assert not mark.exists()


def test_arrays_of_numpy_run_nothing(tmp_path):
    mark = tmp_path / "ran"
    (tmp_path / "stations.csv").write_text("station,x_m,y_m,z_m\n1,0,0,0\n2,1200,0,0\n3,0,1200,0\n")
    (tmp_path / "hits.csv").write_text("event,station,time_ns,signal_vem\n0,1,0,1\n")
    (tmp_path / "h.yaml").write_text(
        "stations: stations.csv\nhits: hits.csv\nwaveforms: w.npy\npedestal: 5\ncounts_per_vem: "
        "40\n"
    )
    np.save(tmp_path / "w.npy", np.array([Payload(mark)], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"w\.npy"):
        convert([tmp_path / "h.yaml"])
    assert not mark.exists()


@pytest.mark.parametrize(
    "place", ["../secret.csv", "/etc/passwd", "folder/hits.csv", "..", "./hits.csv"]
)
@pytest.mark.parametrize("key", ["stations", "hits", "waveforms"])
def test_paths_in_a_header_are_not_followed(tmp_path, key, place):
    (tmp_path / "h.yaml").write_text(f"{key}: {place}\n")
    with pytest.raises(InputError, match="beside the header"):
        read_header(tmp_path / "h.yaml")


def test_an_array_of_numpy_cannot_claim_gigabytes(tmp_path):
    (tmp_path / "stations.csv").write_text("station,x_m,y_m,z_m\n1,0,0,0\n2,1200,0,0\n3,0,1200,0\n")
    (tmp_path / "hits.csv").write_text("event,station,time_ns,signal_vem\n0,1,0,1\n")
    (tmp_path / "h.yaml").write_text(
        "stations: stations.csv\nhits: hits.csv\nwaveforms: w.npy\npedestal: 5\ncounts_per_vem: "
        "40\n"
    )
    header = (
        "{'descr': '<u2', 'fortran_order': False, 'shape': (1, 100000000000, 2), }".ljust(117)
        + "\n"
    )
    (tmp_path / "w.npy").write_bytes(
        b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    )
    tracemalloc.start()
    with pytest.raises(InputError, match=r"w\.npy"):
        convert([tmp_path / "h.yaml"])
    assert tracemalloc.get_traced_memory()[1] < 1e8
    tracemalloc.stop()
