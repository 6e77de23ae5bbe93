"""The list of mutations and the command that tries them (`make mutants`)."""

import pytest
from mutants import ROOT, TESTS, Mutation, mutations, place, survives


@pytest.fixture
def small(tmp_path):
    """A package of one formula, and a test of it that looks at its size only."""
    (tmp_path / "tashower" / "physics").mkdir(parents=True)
    (tmp_path / "tests" / "physics").mkdir(parents=True)
    (tmp_path / "tashower" / "__init__.py").write_text("")
    (tmp_path / "tashower" / "physics" / "__init__.py").write_text("")
    formula = tmp_path / "tashower" / "physics" / "formula.py"
    formula.write_text("def twice(x):\n    return 2.0 * x\n\n\ndef more(x):\n    return x + 1\n")
    (tmp_path / "tests" / "physics" / "test_formula.py").write_text(
        "from tashower.physics.formula import twice\n\n\n"
        "def test_size():\n    assert abs(twice(3.0)) == 6.0\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")
    return tmp_path


def test_killed_survived_and_put_back(small):
    path = small / "tashower" / "physics" / "formula.py"
    before = path.read_text(), path.stat().st_mtime_ns
    alive, words = survives(Mutation("physics", "2.0 * x", "3.0 * x", "factor"), small)
    assert not alive
    assert "test_size" in words
    alive, _ = survives(Mutation("physics", "2.0 * x", "-2.0 * x", "sign"), small)
    assert alive
    assert (path.read_text(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("old", "message"), [("return", "formula.py (2)"), ("absent", "no file"), ("5.0", "no file")]
)
def test_a_text_that_is_not_there_exactly_once_is_refused(small, capsys, old, message):
    with pytest.raises(SystemExit) as stop:
        place(Mutation("physics", old, "x", "some change"), small / "tashower")
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "some change" in said
    assert message in said


def test_the_list():
    found = mutations()
    assert len(found) >= 40
    assert {m.folder for m in found} <= set(TESTS)
    assert {"physics", "simulation", "reconstruction", "network"} <= {m.folder for m in found}
    assert all(m.old != m.new for m in found)
    assert len({m.what for m in found}) == len(found)
    for mutation in found:  # its text is still in the package, exactly once
        place(mutation, ROOT / "tashower")
