"""Damage that keeps the structure: banks with right checksums and wrong counts, numbers or order;
dumps and HDF5 files with numbers that cannot be; packed files that unpack to a thousand times their
size. Each is read or refused with one line.
"""

import bz2
import gzip
import struct
import tracemalloc

import h5py
import numpy as np
import published
import pytest
from nasty_ta import damaged_banks, damaged_columns, damaged_text, whole_banks
from published import dump_sections, lists_of_hits, per_event

from tashower.convert.convert import convert
from tashower.errors import InputError


def outcome(paths, **options):
    """Whether files are refused, with one line that names one of them."""
    try:
        events = convert(paths, **options)
    except InputError as error:
        message = str(error)
    else:
        message = ""
        assert np.isfinite(events.hit_time).all()
        measured = np.ones(events.n_hits, bool) if events.rejected is None else ~events.rejected
        assert (events.counts_per_vem[measured] > 0).all()
    if message:
        assert any(str(path) in message for path in paths), message
        assert len(message) < 400
        assert "\n" not in message
    return bool(message)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("n", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_damaged_structure(rng, tmp_path, n):
    refused = {".dst": 0, ".txt": 0, ".h5": 0}
    whole, text, columns = (
        whole_banks(),
        per_event(dump_sections(), dump_sections()),
        lists_of_hits(),
    )
    for k in range(n):
        (tmp_path / "x.dst").write_bytes(published.dst(damaged_banks(rng, whole)))
        (tmp_path / "x.txt").write_text(damaged_text(rng, text))
        for suffix in (".dst", ".txt"):
            refused[suffix] += outcome([tmp_path / f"x{suffix}"], windows=1 + k % 3)
        if k < n // 2:  # HDF5 files are slower
            published.lists(tmp_path / "x.h5", damaged_columns(rng, columns))
            refused[".h5"] += outcome([tmp_path / "x.h5"])
    assert all(number > n // 20 for number in refused.values())


def test_events_and_banks_that_repeat(tmp_path):
    """A bank that comes again begins another event; markers may be missing."""
    whole = whole_banks()
    (tmp_path / "x.dst").write_bytes(published.dst([*whole[1:-1], *whole[1:-1]]))
    assert convert([tmp_path / "x.dst"]).n_events == 2


@pytest.mark.parametrize("opener", [gzip.open, bz2.open])
def test_packed_files_that_unpack_to_very_much(tmp_path, opener):
    """Filler for 64 MB in a few kB: read block by block, in bounded memory."""
    path = tmp_path / "x.dst"
    with opener(path, "wb") as file:
        for number in range(2000):
            block = struct.pack("<BBi", 96, 97, number) + bytes((96, 98))
            file.write(block.ljust(published.BLOCK, bytes((96,))))
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    assert convert([path]).n_events == 0
    assert tracemalloc.get_traced_memory()[1] < 40_000_000
    tracemalloc.stop()
    with opener(path, "wb") as file:
        file.write(bytes(64_000_000))
    with pytest.raises(InputError, match=r"x\.dst"):
        convert([path], "ta_dst")


def test_a_sparse_group_that_claims_very_much(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        group = file.create_group("detector_positions_abs")
        group["nz_data"], group["nz_idxs"] = np.ones(1, np.float32), np.zeros(1, int)
        group["shape"] = np.array([2**31, 2**31, 7, 3])
    with pytest.raises(InputError, match="claims to hold more"):
        convert([tmp_path / "x.h5"])
