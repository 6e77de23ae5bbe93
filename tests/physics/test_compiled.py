"""A changed formula never leaves an old compiled loop behind."""

import importlib.util
import shutil

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
