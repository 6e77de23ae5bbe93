"""The notebooks of docs/notebooks run from their first cell to their last."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "notebooks"
BOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_they_are_kept_without_outputs():
    nbformat = pytest.importorskip("nbformat")
    assert len(BOOKS) == 2
    for path in BOOKS:
        cells = nbformat.read(path, as_version=4).cells
        assert all(not c.outputs and c.execution_count is None for c in cells if "outputs" in c)


@pytest.mark.slow
@pytest.mark.parametrize("path", BOOKS, ids=lambda p: p.stem)
def test_they_run(path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    book = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    )
    client.execute()
    drawn = [
        o for c in book.cells for o in c.get("outputs", ()) if "image/png" in o.get("data", {})
    ]
    assert drawn
