"""A second reader of DST files and text dumps, written from the description of the formats alone:
it shares nothing with the package.

Only the standard library, one value at a time, every assumption checked as it is met.
"""

import binascii
import gzip
import struct

BLOCK = 32_000


def banks(path):
    """[(bank id, version, payload)] in the order of the file."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    assert len(data) % BLOCK == 0
    found, payload = [], b""
    for number, start in enumerate(range(0, len(data), BLOCK)):
        block, at = data[start : start + BLOCK], 0
        begun = False
        while at < BLOCK:
            opcode, command = block[at], block[at + 1]
            assert opcode == 96
            at += 2
            if command == 97:
                assert at == 2, "a block starts at its first byte"
                begun = True
                at += 4
            elif command in (98, 99, 100):
                break
            elif command in (7, 8):
                assert begun
                (length,) = struct.unpack_from("<i", block, at)
                assert 0 < length <= BLOCK - at - 4
                assert (command == 7) == (payload == b"")
                payload += block[at + 4 : at + 4 + length]
                at += 4 + length
            elif command in (14, 15):
                (crc,) = struct.unpack_from("<I", block, at)
                at += 4
                if command == 14:  # both state the checksum of the whole bank; here it is all there
                    swapped = bytes(int(f"{byte:08b}"[::-1], 2) for byte in payload)
                    expected = int(
                        f"{binascii.crc_hqx(swapped, 0):016b}"[::-1], 2
                    )  # CRC-16 with bits in the other order
                    assert crc & 0xFFFF == expected, f"block {number}"
                    found.append((*struct.unpack_from("<ii", payload), payload[8:]))
                    payload = b""
            else:
                raise AssertionError(f"command {command} in block {number}")
    assert payload == b""
    return found


def rusdraw(payload):
    """The bank of raw waveforms as a dictionary."""
    head = struct.unpack_from("<16i", payload)
    names = ("event_num", "event_code", "site")
    bank = dict(zip(names, head[:3], strict=True)) | {
        "yymmdd": head[10],
        "hhmmss": head[11],
        "usec": head[12],
        "nofwf": head[15],
    }
    at, n = 64, bank["nofwf"]
    for name in ("nretry", "wf_id", "trig_code", "xxyy", "clkcnt", "mclkcnt"):
        bank[name] = struct.unpack_from(f"<{n}i", payload, at)
        at += 4 * n
    bank["fadc"] = []
    for _ in range(n):
        at += 4 * 4  # fadcti[2], fadcav[2]
        bank["fadc"].append(
            (
                struct.unpack_from("<128i", payload, at),
                struct.unpack_from("<128i", payload, at + 512),
            )
        )
        at += (
            1024 + 4 * 14 + 8 * (2 + 2 + 8 + 8)
        )  # pchmip ... mftndof, then mip, mftchi2, mftp, mftpe
    assert at == len(payload)
    return bank


def rusdmc(payload):
    """Truth: (particle, energy [EeV], theta, phi of travel [rad], core [cm])."""
    _, particle, _, _ = struct.unpack_from("<4i", payload)
    energy, _, theta, phi, x, y, z = struct.unpack_from("<7f", payload, 16)
    assert len(payload) == 16 + 28
    return particle, energy, theta, phi, (x, y, z)


def text(path):
    """{section: [numbers of each event]} of a text dump."""
    sections, current = {}, None
    with open(path, encoding="ascii") as file:
        for line in file:
            name = next(
                (
                    s
                    for s in ("EVENT DATA", "SD meta DATA", "SD waveform DATA", "badsdinfo")
                    if s in line
                ),
                None,
            )
            if name:
                current = sections.setdefault(name, [])
            else:
                current.append([float(word) for word in line.split()])
    return sections
