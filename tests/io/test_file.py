"""Files: round trips, what they say of themselves, and what is refused."""

import json
import time
from dataclasses import replace

import h5py
import numpy as np
import pytest
from damage import fuzz
from hits import make_events, make_reconstruction, same

from tashower.errors import InputError
from tashower.io.atomic import written_aside
from tashower.io.event_file import PARTS, read_events, write_events
from tashower.io.hdf5 import read_attributes, write_arrays
from tashower.io.reconstruction_file import read_reconstruction, write_reconstruction
from tashower.reconstruction.pulses import find_pulses


def same_but_array(a, b):
    np.testing.assert_array_equal(a.array.position, b.array.position)
    np.testing.assert_array_equal(a.array.lattice, b.array.lattice)
    np.testing.assert_array_equal(a.array.station_id, b.array.station_id)
    assert (a.array.spacing, a.array.detector) == (b.array.spacing, b.array.detector)
    same(a, replace(b, array=a.array))


def without_stamp(path):
    """The file as somebody else would write it: HDF5 from its first byte on."""
    data = path.read_bytes()
    path.write_bytes(data[512:] if data.startswith(b"tashower file") else data)


@pytest.mark.parametrize("n_events", [0, 1, 40])
def test_events_round_trip(tmp_path, rng, n_events):
    events = make_events(rng, n_events)
    write_events(tmp_path / "e.h5", events, {"seed": 1})
    same_but_array(read_events(tmp_path / "e.h5"), events)


def test_without_waveforms_or_truth(tmp_path, rng):
    events = replace(
        make_events(rng, 4), waveform=None, pedestal=None, counts_per_vem=None, truth=None
    )
    write_events(tmp_path / "e.h5", events, {})
    same_but_array(read_events(tmp_path / "e.h5"), events)


def test_file_says_what_made_it(tmp_path, rng):
    write_events(
        tmp_path / "e.h5", make_events(rng, 3), {"seed": 77}, inputs=["/some/where/in.dst"]
    )
    with h5py.File(tmp_path / "e.h5") as file:
        assert file.attrs["format"] == "tashower events"
        assert file.attrs["software"].startswith("tashower ")
        assert json.loads(file.attrs["configuration"]) == {"seed": 77}
        assert json.loads(file.attrs["inputs"]) == ["in.dst"]
        assert file.attrs["commit"]
        assert file["hits/hit_time"].attrs["unit"] == "ns"


def test_reconstruction_round_trip(tmp_path, rng):
    events = make_events(rng, 12)
    tables = {
        "free": make_reconstruction(rng, events),
        "constrained": make_reconstruction(rng, events),
    }
    features = {"curvature": rng.normal(size=12)}
    write_reconstruction(tmp_path / "r.h5", tables, {}, events.pulses, features, ["e.h5"])
    found, pulses, found_features = read_reconstruction(tmp_path / "r.h5")
    assert list(found) == list(tables)
    for name, table in tables.items():
        same(found[name], table)
    same(pulses, events.pulses)
    np.testing.assert_array_equal(found_features["curvature"], features["curvature"])
    assert not found["free"].valid[0]
    assert found["free"].valid[1:].all()


def test_columns_that_a_method_says_nothing_of_are_not_in_the_file(tmp_path, rng):
    """Xmax and ln A, of methods that do; files of before 1.3 have none."""
    fit = make_reconstruction(rng, make_events(rng, 5))
    names = ("xmax", "xmax_error", "ln_a", "ln_a_error")
    said = replace(fit, **{name: rng.normal(size=5) for name in names})
    write_reconstruction(tmp_path / "r.h5", {"free": fit, "mass": said}, {})
    with h5py.File(tmp_path / "r.h5") as file:
        assert not set(names) & set(file["free"])
        assert file["mass/xmax"].attrs["unit"] == file["mass/xmax_error"].attrs["unit"] == "g/cm^2"
    found = read_reconstruction(tmp_path / "r.h5")[0]
    same(found["mass"], said)
    assert found["mass"].says_mass
    for name in names:
        assert getattr(found["free"], name) is None
        assert np.isnan(found["free"].of_mass(name)).all()
    without_stamp(tmp_path / "r.h5")
    with h5py.File(tmp_path / "r.h5", "a") as file:
        file.attrs["version"] = "1.2"
        del file["mass/ln_a"], file["mass/ln_a_error"], file["mass/xmax_error"]
    some = read_reconstruction(tmp_path / "r.h5")[0]["mass"]
    np.testing.assert_array_equal(some.xmax, said.xmax)
    assert some.ln_a is None
    with h5py.File(tmp_path / "r.h5", "a") as file:
        del file["mass/xmax"]
        file["mass/xmax"] = np.zeros(4)
    with pytest.raises(InputError, match="xmax has 4 rows, 5 needed"):
        read_reconstruction(tmp_path / "r.h5")


def test_failed_write_leaves_nothing(tmp_path):
    target = tmp_path / "e.h5"
    target.write_text("old")

    def write_half():
        with written_aside(target) as aside:
            aside.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["e.h5"]


def test_wrong_kind_and_version(tmp_path, rng):
    events = make_events(rng, 2)
    write_arrays(tmp_path / "other.h5", "something", "1.0", {}, {})
    with pytest.raises(InputError, match=r"other\.h5.*something"):
        read_events(tmp_path / "other.h5")
    write_events(tmp_path / "new.h5", events, {})
    without_stamp(tmp_path / "new.h5")
    with h5py.File(tmp_path / "new.h5", "a") as file:
        file.attrs["version"] = "2.0"
    with pytest.raises(InputError, match=r"version 2\.0"):
        read_events(tmp_path / "new.h5")
    without_stamp(tmp_path / "new.h5")
    with h5py.File(tmp_path / "new.h5", "a") as file:
        file.attrs["version"] = "1.7"
    read_events(tmp_path / "new.h5")


def test_not_a_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_events(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(InputError, match=r"text\.h5"):
        read_events(tmp_path / "text.h5")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("events/hit_offset", [1, 2], "hit_offset"),
        ("hits/hit_station", None, "hit_station"),
        ("hits/pedestal", None, "pedestal"),
        ("truth/energy", None, "truth/energy"),
        ("truth/energy", [1.0], "truth/energy"),
        ("array/position", [[0.0, 0.0]], "array/position"),
        ("hits/waveform", np.zeros((1, 2, 3), np.uint16), "waveform"),
        ("events", None, "events"),
    ],
)
def test_damaged_file_is_named(tmp_path, rng, name, value, words):
    path = tmp_path / "damaged.h5"
    write_events(path, make_events(rng, 6), {})
    without_stamp(path)
    with h5py.File(path, "a") as file:
        del file[name]
        if value is not None:
            file[name] = value
    with pytest.raises(InputError, match=f"damaged.h5.*{words}"):
        read_events(path)


def test_unknown_station(tmp_path, rng):
    path = tmp_path / "damaged.h5"
    write_events(path, make_events(rng, 6), {})
    without_stamp(path)
    with h5py.File(path, "a") as file:
        file["hits/hit_station"][0] = 1000
    with pytest.raises(InputError, match="does not have"):
        read_events(path)


def test_truncated_file(tmp_path, rng):
    path = tmp_path / "cut.h5"
    write_events(path, make_events(rng, 30), {})
    whole = path.read_bytes()
    for cut in np.linspace(1, len(whole) - 1, 25).astype(int):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"cut\.h5"):
            read_events(path)


def test_file_without_a_stamp_is_read(tmp_path, rng):
    events = make_events(rng, 3)
    write_events(tmp_path / "e.h5", events, {})
    without_stamp(tmp_path / "e.h5")
    same_but_array(read_events(tmp_path / "e.h5"), events)


def test_damage_anywhere_is_seen(tmp_path, rng):
    path = tmp_path / "e.h5"
    write_events(path, make_events(rng, 3), {})
    data = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(data)
        if rng.random() < 0.3:
            damaged = damaged[: rng.integers(len(data))]
        else:
            at = rng.integers(len(data))
            damaged[at] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(damaged))
        with pytest.raises(InputError, match=r"e\.h5"):
            read_events(path)
        with pytest.raises(InputError, match=r"e\.h5"):
            read_attributes(path)


def test_a_small_file_cannot_claim_gigabytes(tmp_path, rng):
    path = tmp_path / "e.h5"
    write_events(path, make_events(rng, 3), {})
    without_stamp(path)
    with h5py.File(path, "r+") as file:
        del file["hits/waveform"]
        file["hits"].create_dataset("waveform", (10**9, 128, 2), np.uint16, chunks=(1000, 128, 2))
    assert path.stat().st_size < 10**6
    with pytest.raises(InputError, match="its own size"):
        read_events(path)


def test_groups_in_groups_are_refused(tmp_path, rng):
    path = tmp_path / "e.h5"
    write_events(path, make_events(rng, 3), {})
    without_stamp(path)
    with h5py.File(path, "r+") as file:
        file["hits"].create_group("more")
    with pytest.raises(InputError, match="groups in groups"):
        read_events(path)


def test_nothing_in_other_files_is_opened(tmp_path, rng):
    """Links, virtual datasets and external storage could read any file of the user who converts."""
    secret = tmp_path / "secret.h5"
    write_events(secret, make_events(rng, 3), {})
    without_stamp(secret)
    raw = tmp_path / "secret.bin"
    raw.write_bytes(bytes(800))
    for kind in ("external", "soft", "virtual", "storage"):
        path = tmp_path / f"{kind}.h5"
        write_events(path, make_events(rng, 3), {})
        without_stamp(path)
        with h5py.File(path, "r+") as file:
            n = len(file["hits/hit_time"])
            del file["hits/hit_time"]
            if kind == "external":
                file["hits/hit_time"] = h5py.ExternalLink(str(secret), "hits/hit_time")
            elif kind == "soft":
                file["hits/hit_time"] = h5py.SoftLink("/truth/t0")
            elif kind == "virtual":
                layout = h5py.VirtualLayout((n,), float)
                layout[:] = h5py.VirtualSource(str(secret), "hits/hit_time", (n,))
                file["hits"].create_virtual_dataset("hit_time", layout)
            else:
                file["hits"].create_dataset("hit_time", (10,), float, external=[(str(raw), 0, 80)])
        with pytest.raises(InputError, match=r"not followed|not opened"):
            read_events(path)


def test_damaged_files_of_others_neither_hang_nor_crash(tmp_path, rng):
    path = tmp_path / "e.h5"
    write_events(path, make_events(rng, 3), {})
    without_stamp(path)
    assert (
        fuzz(rng, tmp_path, path.read_bytes(), ".h5", 40, read=lambda paths: read_events(paths[0]))
        > 8
    )


def test_a_file_that_goes_round_in_circles_is_given_up(tmp_path, rng, monkeypatch):
    path = tmp_path / "e.h5"
    write_events(path, make_events(rng, 3), {})
    without_stamp(path)
    monkeypatch.setattr("tashower.io.foreign_hdf5._read_all", lambda *_: time.sleep(60))
    monkeypatch.setattr("tashower.io.foreign_hdf5.PATIENCE", 0.2)
    with pytest.raises(InputError, match="not read within"):
        read_events(path)


def test_electronics_and_names_and_floats_round_trip(tmp_path, rng):
    events = make_events(rng, 5)
    n = events.array.n_stations
    detector = replace(
        events.array.detector, noise_counts=0.2, saturation_counts=np.inf, edge_bins=3
    )
    names = np.array([f"Süd {i}" for i in range(n)])
    events = replace(
        events,
        array=replace(events.array, detector=detector, station_name=names),
        waveform=events.waveform.astype(np.float32) / 7,
        saturated=rng.random(events.n_hits) < 0.5,
    )
    write_events(tmp_path / "e.h5", events, {})
    found = read_events(tmp_path / "e.h5")
    same_but_array(found, events)
    assert found.waveform.dtype == np.float32
    np.testing.assert_array_equal(found.array.station_name, names)


def test_files_before_1_4_have_the_electronics_of_the_telescope_array(tmp_path, rng):
    write_events(tmp_path / "e.h5", make_events(rng, 2), {})
    without_stamp(tmp_path / "e.h5")
    with h5py.File(tmp_path / "e.h5", "r+") as file:
        assert set(json.loads(file.attrs["detector"])) == {
            "area",
            "n_layers",
            "bin_width",
            "n_bins",
        }
        del file.attrs["electronics"]
    detector = read_events(tmp_path / "e.h5").array.detector
    assert (detector.noise_counts, detector.saturation_counts, detector.edge_bins) == (
        0.75,
        2000,
        4,
    )
    with h5py.File(tmp_path / "e.h5", "r+") as file:
        file.attrs["electronics"] = "{"
    with pytest.raises(InputError, match="electronics is not a dictionary"):
        read_events(tmp_path / "e.h5")


@pytest.mark.parametrize("only", [(), ("truth",), ("waveforms",), ("pulses", "standard"), PARTS])
def test_only_the_parts_that_are_asked_for(tmp_path, rng, only):
    """Reading a part of a file is reading all of it and forgetting the rest."""
    events = make_events(rng, 4)
    standard = make_reconstruction(rng, events)
    events = replace(events, pulses=find_pulses(events), standard=standard)
    write_events(tmp_path / "e.h5", events, {})
    names = {"waveforms": ("waveform", "pedestal", "counts_per_vem")}
    none = {n: None for part in PARTS if part not in only for n in names.get(part, (part,))}
    same_but_array(read_events(tmp_path / "e.h5", only), replace(events, **none))


def test_parts_are_known_and_what_is_left_out_is_not_read(tmp_path, rng, monkeypatch):
    path = tmp_path / "e.h5"
    write_events(path, make_events(rng, 6), {})
    with pytest.raises(ValueError, match="no part wave"):
        read_events(path, only=("wave",))
    read = []
    monkeypatch.setattr(
        h5py.Dataset, "__getitem__", lambda self, key: read.append(self.name) or np.zeros(0)
    )
    with pytest.raises(InputError):  # every array is empty
        read_events(path, only=("truth",))
    assert "/hits/hit_time" in read
    assert "/truth/energy" in read
    assert not [name for name in read if "waveform" in name or "pedestal" in name]


@pytest.mark.parametrize("name", ["truth/energy", "hits/hit_station", "array/position"])
def test_what_is_read_is_checked_whatever_is_left_out(tmp_path, rng, name):
    path = tmp_path / "damaged.h5"
    write_events(path, make_events(rng, 6), {})
    without_stamp(path)
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = [[1.0]]
    with pytest.raises(InputError, match=r"damaged.h5"):
        read_events(path, only=("truth",))
