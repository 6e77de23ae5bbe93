"""The ONNX file of a network: what it gives, what it says of itself, what is refused."""

import json
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch
from made_networks import SMALL, USERS, N, T, built, described, normalisation, random_sample

from tashower.cli import main
from tashower.config import InputsConfig
from tashower.network import onnx_file
from tashower.network.checkpoint import save_checkpoint
from tashower.network.contracts import find_head, find_model
from tashower.network.predict import Trained, predict
from tashower.network.sample import take_batch
from tashower.network.tiles import ORIENTATIONS, STATION_FEATURES, TARGETS
from tashower.reconstruction.features import EVENT_FEATURES


def made_checkpoint(folder, form="grid", head="mean", kind="square", **has):
    """(path of the checkpoint of a network with random weights, what it is)."""
    has = {"features": True, "waveforms": True} | has
    n_outputs = find_head(head).n_outputs(len(TARGETS))
    inputs = described(lattice=kind, outputs=n_outputs, **has)
    network, norm, model = built(form, inputs), normalisation(), find_model(form)
    content = {
        "name": "mine",
        "model": {"form": form, "source": model.source, "sha256": model.sha256},
        "options": SMALL.get(form, {}),
        "model_inputs": asdict(inputs),
        "head": head,
        "inputs": asdict(
            InputsConfig(
                tile=N, n_bins=T, waveforms=has["waveforms"], event_features=has["features"]
            )
        ),
        "corrects": "free",
        "station_features": list(STATION_FEATURES),
        "event_features": list(EVENT_FEATURES),
        "targets": list(TARGETS),
        "normalisation": norm,
        "weights": network.state_dict(),
        "array": {"lattice": kind, "detector_bin_width": 20.0},
        "threads": 1,
    }
    save_checkpoint(folder / "checkpoint.pt", content)
    trained = Trained(network, find_head(head), norm, has["features"])
    return folder / "checkpoint.pt", trained


def export(checkpoint, *more):
    """(exit status, path of the file)."""
    output = checkpoint.with_name("network.onnx")
    return main(["export-network", str(checkpoint), "-o", str(output), *more]), output


@pytest.fixture
def runtime():
    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name)
    return pytest.importorskip("onnxruntime")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The folder that commands start in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.extra
@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "head", "kind", "has"),
    [
        ("grid", "mean", "square", {}),
        ("grid", "gaussian", "hexagonal", {}),
        ("grid", "mean", "square", {"waveforms": False}),
        ("set", "gaussian", "irregular", {"features": False}),
        ("my_network.py", "mean", "square", {"waveforms": False}),
    ],
)
def test_the_file_gives_what_apply_gives(runtime, rng, here, form, head, kind, has):
    (here / "my_network.py").write_text(USERS)
    checkpoint, trained = made_checkpoint(here, form, head, kind, **has)
    status, path = export(checkpoint)
    assert status == 0
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    reads = {"event_features": has.get("features", True), "waveform": has.get("waveforms", True)}
    reads["waveform_place"] = reads["waveform"]
    assert names == ["cells", *(name for name, read in reads.items() if read)]
    # Content that was not drawn for the check in the command, NaN among it.
    sample = random_sample(rng, kind=kind)
    sample.event_features[3:9, 2] = np.nan
    whole = take_batch(sample, np.arange(40), 0, "cpu")
    every = dict(
        zip(("cells", "event_features", "waveform", "waveform_place"), whole[:4], strict=True)
    )
    found = session.run(None, {name: every[name].numpy() for name in names})
    wanted, covariance = predict(trained, sample, "cpu", ORIENTATIONS[kind])
    width = trained.normalisation["target_width"].numpy()
    np.testing.assert_allclose(found[0] / width, wanted, rtol=1e-4, atol=1e-4)
    assert np.abs(wanted).max() > 0.1
    assert [out.name for out in session.get_outputs()][1:] == ["covariance"][: len(found) - 1]
    assert (len(found) == 2) == (covariance is not None)
    if covariance is not None:
        unit = found[1] / np.outer(width, width)
        np.testing.assert_allclose(unit, covariance, rtol=1e-3, atol=1e-4)


@pytest.mark.extra
@pytest.mark.slow
def test_what_the_file_says_of_itself(runtime, tmp_path, capsys):
    import onnx

    checkpoint, _ = made_checkpoint(tmp_path)
    status, path = export(checkpoint)
    assert status == 0
    assert "agrees with torch to" in capsys.readouterr().out
    made = onnx.load(path)
    said = {entry.key: entry.value for entry in made.metadata_props}
    assert said["format"] == onnx_file.FORMAT
    assert said["corrects"] == "free"
    assert json.loads(said["targets"]) == list(TARGETS)
    assert len(json.loads(said["units"])) == len(TARGETS)
    assert json.loads(said["station_features"]) == list(STATION_FEATURES)
    assert json.loads(said["event_features"]) == list(EVENT_FEATURES)
    assert json.loads(said["orientations"]) == list(range(8))
    assert [json.loads(said[key]) for key in ("tile", "n_bins", "n_layers")] == [N, T, 2]
    assert json.loads(said["bin_width_ns"]) == 20.0
    assert json.loads(said["made_from"])[0][0] == "checkpoint.pt"
    for value in (*made.graph.input, *made.graph.output):
        assert value.doc_string
        assert value.type.tensor_type.shape.dim[0].dim_param in ("events", "hits"), value.name
    assert not list(tmp_path.glob("*.data"))  # one file, weights included


@pytest.mark.extra
@pytest.mark.slow
def test_what_torch_cannot_write_is_refused_in_one_line(runtime, here, capsys):
    text = USERS.replace(
        "        x = self", "        if cells.sum() > 3: cells = 2 * cells\n        x = self"
    )
    assert text != USERS
    (here / "my_network.py").write_text(text)
    checkpoint, _ = made_checkpoint(here, "my_network.py", waveforms=False)
    status, _ = export(checkpoint)
    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert "model my_network.py with head mean cannot be written as ONNX" in said.err
    assert said.err.count("\n") == 1
    assert sorted(p.name for p in here.iterdir()) == ["checkpoint.pt", "my_network.py"]


@pytest.mark.extra
@pytest.mark.slow
def test_a_file_that_disagrees_is_not_written(runtime, tmp_path, monkeypatch, capsys):
    checkpoint, _ = made_checkpoint(tmp_path)
    before = tmp_path / "network.onnx"
    before.write_bytes(b"an earlier one")
    monkeypatch.setattr(onnx_file, "AGREEMENT", 0.0)
    status, _ = export(checkpoint)
    assert status == 2
    assert "onnxruntime and torch differ by" in capsys.readouterr().err
    assert before.read_bytes() == b"an earlier one"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("absent", ["onnx", "onnxruntime", "onnxscript"])
def test_without_the_packages(tmp_path, monkeypatch, capsys, absent):
    for name in ("onnx", "onnxruntime", "onnxscript"):
        monkeypatch.setitem(sys.modules, name, type(sys)(name))
    monkeypatch.setitem(sys.modules, absent, None)
    status, path = export(tmp_path / "checkpoint.pt")
    assert status == 2
    said = capsys.readouterr().err
    assert f"needs {absent} (pip install 'tashower[onnx]')" in said
    assert said.count("\n") == 1
    assert not path.exists()


def test_upper_triangular_systems():
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(7, 4, 4, generator=generator, dtype=torch.float64).triu() + 2.0 * torch.eye(4)
    b = torch.randn(7, 4, 3, generator=generator, dtype=torch.float64)
    wanted = torch.linalg.solve_triangular(a, b, upper=True)
    torch.testing.assert_close(onnx_file._solve_triangular(a, b, upper=True), wanted)
    with pytest.raises(NotImplementedError):
        onnx_file._solve_triangular(a, b, upper=False)
