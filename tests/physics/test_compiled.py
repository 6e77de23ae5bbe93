"""A changed formula never leaves an old compiled loop behind, and the same ones are found again."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tashower.physics import compiled


@pytest.mark.parametrize(
    ("changed", "new"),
    [
        ("physics", {"tashower.physics.a", "tashower.simulation.a", "tashower.network.a", "mine"}),
        (
            "calibration",
            {"tashower.simulation.a", "tashower.physics.a", "tashower.network.a", "mine"},
        ),
        ("simulation", {"tashower.simulation.a", "mine"}),
        ("network", {"tashower.network.a", "mine"}),
    ],
)
def test_a_change_of_a_room_moves_the_cache_of_its_callers(tmp_path, changed, new):
    """Loops of tests and of users call any room: theirs goes with all of them."""
    package = tmp_path / "tashower"
    for room in ("physics", "calibration", "simulation", "network"):
        (package / room).mkdir(parents=True)
        (package / room / "a.py").write_text("x = 1\n")
    path = shutil.copy(compiled.__file__, package / "physics" / "compiled.py")
    spec = importlib.util.spec_from_file_location("own_compiled", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    callers = ("tashower.physics.a", "tashower.simulation.a", "tashower.network.a", "mine")
    before = {name: module._cache_folder(name) for name in callers}
    (package / changed / "a.py").write_text("x = 2\n")
    module.source_fingerprint.cache_clear()
    assert {name for name in callers if module._cache_folder(name) != before[name]} == new


CALLED = """
from tashower.physics.lightning import called
from tashower.physics.compiled import _Kept
assert type(called._cache) is _Kept and called(2.0) == 5.0
print(sum(called.stats.cache_hits.values()), called.stats.cache_path)
"""


def loop_of_a_copy(folder, cache, line="x**2 + ONE"):
    """Cache hits and folder of one loop of the package, copied to `folder`, in a new process."""
    copy = folder / "tashower"
    if not copy.exists():
        rooms = shutil.ignore_patterns("*.pyc", "workflow", "data", "models")
        shutil.copytree(Path(compiled.__file__).parents[1], copy, ignore=rooms)
    (copy / "physics" / "lightning.py").write_text(
        "from tashower.physics.compiled import compiled\nONE = 1.0\n\n\n"
        f"@compiled\ndef called(x):\n    return {line}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", CALLED],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    hits, where = done.stdout.split(maxsplit=1)
    return int(hits), where.strip()


def test_another_place_of_the_package_finds_its_loops(tmp_path):
    """Two checkouts, or two environments of one version; another text is another loop."""
    cache = tmp_path / "cache"
    first = loop_of_a_copy(tmp_path / "a", cache)
    assert first[0] == 0
    assert Path(first[1]).is_relative_to(cache)
    assert loop_of_a_copy(tmp_path / "another place", cache) == (1, first[1])
    other = loop_of_a_copy(tmp_path / "a", cache, "x * x + ONE")
    assert other[0] == 0
    assert other[1] != first[1]


def test_processes_that_compile_at_once_keep_their_own(tmp_path, monkeypatch):
    """For two signatures, or on two kinds of processor with one home: neither finds the other's.

    Here the second keeps its loop, having seen no index, while the first is about to write its own.
    """
    one, two = (compiled._Files(str(tmp_path), "loop-1.py311", "stamp") for _ in range(2))
    write = one._save_data

    def late(name, data):
        with monkeypatch.context() as unseen:
            unseen.setattr(two, "_load_index", dict)
            two.save("integer", "code for integer")
        write(name, data)

    with monkeypatch.context() as slow:
        slow.setattr(one, "_save_data", late)
        one.save("float", "code for float")
    assert one.load("integer") == "code for integer"
    assert one.load("float") in (None, "code for float")
    one.save("float", "code for float")
    assert (two.load("float"), two.load("integer")) == ("code for float", "code for integer")
