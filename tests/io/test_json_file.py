"""JSON files and checkpoints with checksums: what was changed is refused, what is old is read."""

import json
import logging
import zipfile
import zlib

import pytest

from tashower.errors import InputError
from tashower.io.json_file import as_json, parsed_json, read_json, write_json

KIND = "tashower calibration"


@pytest.fixture
def checkpoints():
    """(torch, load_checkpoint, save_checkpoint); some Pythons are tested without torch."""
    torch = pytest.importorskip("torch")
    from tashower.network.checkpoint import load_checkpoint, save_checkpoint

    return torch, load_checkpoint, save_checkpoint


def test_the_checksum_is_that_of_the_bytes(tmp_path):
    write_json(tmp_path / "a.json", {"format": KIND, "version": 2, "x": [1.5, None, "é"]})
    data = (tmp_path / "a.json").read_bytes()
    stated = json.loads(data)["crc32"]
    assert zlib.crc32(data.replace(stated.encode(), b"00000000")) == int(stated, 16)
    content = read_json(tmp_path / "a.json", KIND, (1, 2))
    assert content == {"format": KIND, "version": 2, "x": [1.5, None, "é"]}


@pytest.mark.parametrize(
    ("old", "new"), [(b"1.5", b"1.6"), (b" 1.5", b"1.5"), (b"crc32", b"crc33"), (b"}\n", b"}")]
)
def test_what_was_changed_is_refused(tmp_path, old, new):
    data = as_json({"format": KIND, "version": 2, "x": 1.5})
    (tmp_path / "a.json").write_bytes(data.replace(old, new))
    with pytest.raises(InputError, match=r"a\.json: .*write version 1"):
        parsed_json(tmp_path / "a.json")


def test_files_of_before_and_of_others_are_read(tmp_path, caplog):
    (tmp_path / "a.json").write_text(json.dumps({"format": KIND, "version": 1}))
    with caplog.at_level(logging.WARNING):
        assert read_json(tmp_path / "a.json", KIND, (1, 2))["version"] == 1
    assert "has no checksum" in caplog.text
    caplog.clear()
    (tmp_path / "b.json").write_text(json.dumps({"name": "of something else"}))
    assert parsed_json(tmp_path / "b.json") == {"name": "of something else"}
    assert not caplog.text
    with pytest.raises(InputError, match="not a tashower scores of version 2"):
        read_json(tmp_path / "a.json", "tashower scores", (1, 2))


def test_the_cure_that_is_named_helps(tmp_path):
    for kind, version in (("tashower history", 1), ("tashower scores", 2)):
        content = {"format": kind, "version": version, "epochs": []}
        (tmp_path / "a.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=f"write version {version - 1}"):
            parsed_json(tmp_path / "a.json")
        (tmp_path / "a.json").write_text(json.dumps(content | {"version": version - 1}))
        assert parsed_json(tmp_path / "a.json")["epochs"] == []


def test_infinities_are_refused_where_that_is_asked():
    assert b"Infinity" in as_json({"x": float("inf")})
    with pytest.raises(ValueError, match="JSON"):
        as_json({"x": float("inf")}, finite=True)


def test_a_flipped_weight_is_noticed(tmp_path, caplog, checkpoints):
    """torch itself reads it without a word."""
    torch, load_checkpoint, save_checkpoint = checkpoints
    path = tmp_path / "a.pt"
    save_checkpoint(path, {"weights": {"w": torch.arange(1000.0)}})
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b"tashower file, ")
    at = bytes(data).index(torch.tensor(500.0).numpy().tobytes())
    data[at + 2] ^= 1
    path.write_bytes(data)
    assert torch.load(path, weights_only=True)["weights"]["w"][500] != 500.0
    with pytest.raises(InputError, match=r"a\.pt: its checksum is wrong"):
        load_checkpoint(path)
    data[at + 2] ^= 1
    begin = bytes(data).index(b"tashower file")
    for old, new in ((b"file, ", b"file, 1"), (b"tashower", b"Tashower"), (b"crc32 ", b"crc32  ")):
        path.write_bytes(bytes(data[:begin]) + bytes(data[begin:]).replace(old, new))
        with pytest.raises(InputError, match=r"a\.pt: .*damaged"):
            load_checkpoint(path)
    path.write_bytes(bytes(data[: begin - 2]) + b"\0\0")  # as earlier versions wrote it
    with caplog.at_level(logging.WARNING):
        assert load_checkpoint(path)["weights"]["w"][500] == 500.0
    assert "has no checksum" in caplog.text
