"""Damaged files: cut, flipped, overwritten, doubled or emptied somewhere."""

from tashower.convert.convert import convert
from tashower.errors import InputError


def corrupted(rng, data: bytes) -> bytes:
    """The bytes, damaged: cut, flipped, overwritten, doubled or emptied somewhere."""
    kind, data = rng.integers(5), bytearray(data)
    at = int(rng.integers(len(data)))
    if kind == 0:
        return bytes(data[:at])
    if kind == 1:
        for _ in range(int(rng.integers(1, 20))):
            data[int(rng.integers(len(data)))] ^= int(rng.integers(1, 256))
    elif kind == 2:
        data[at : at + 4] = int(rng.integers(-(2**31), 2**31)).to_bytes(4, "little", signed=True)
    elif kind == 3:
        data[at:at] = data[at : at + int(rng.integers(1, 5000))]
    else:
        n = int(rng.integers(1, 2000))
        data[at : at + n] = bytes(n)
    return bytes(data)


def fuzz(rng, path, data, suffix, n, also=(), read=convert, damage=corrupted):
    """n damaged copies: each is read or refused with one clear message; nothing else happens.
    Returns how many are refused.

    also : files to read together with it; read : what reads a list of files; damage : what damages
    the bytes
    """
    refused = 0
    target = path / f"x{suffix}"
    for _ in range(n):
        target.write_bytes(damage(rng, data))
        message = None
        try:
            read([*also, target])
        except InputError as error:
            message = str(error)
        if message is not None:
            refused += 1
            assert str(target) in message
            assert len(message) < 500, message
    return refused
