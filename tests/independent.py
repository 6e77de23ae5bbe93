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


def rufptn(payload):
    """The bank of pulses as lists, hit by hit, with the length of its end checked."""
    nhits, nsclust, nstclust, nborder = struct.unpack_from("<4i", payload)
    bank = {"nhits": nhits, "nsclust": nsclust, "nstclust": nstclust, "nborder": nborder}
    at = 16
    for name in ("isgood", "wfindex", "xxyy", "nfold"):
        bank[name] = struct.unpack_from(f"<{nhits}i", payload, at)
        at += 4 * nhits
    names = [
        ("sstart", "2i"),
        ("sstop", "2i"),
        ("lderiv", "2i"),
        ("zderiv", "2i"),
        ("xyzclf", "3d"),
    ]
    names += [(n, "2d") for n in ("reltime", "timeerr", "fadcpa", "fadcpaerr", "pulsa", "pulsaerr")]
    names += [(n, "2d") for n in ("ped", "pederr", "vem", "vemerr")]
    bank |= {name: [] for name, _ in names}
    for _ in range(nhits):
        begin = at
        for name, kind in names:
            bank[name].append(struct.unpack_from("<" + kind, payload, at))
            at += struct.calcsize("<" + kind)
        assert at - begin == 216
    bank["qtot"] = struct.unpack_from("<2d", payload, at)
    bank["tearliest"] = struct.unpack_from("<2d", payload, at + 16)
    at += 32
    at += 3 * 8 * (nhits + 5 + 2 + 2 + 2 + 2)  # lower, upper, both layers: the coarse geometry
    at += 4 * 3 * 8  # chi2, ndof, theta, phi of the three
    assert at == len(payload)
    return bank


def rusdgeom(payload):
    """The bank of the geometry fits: number of stations, and theta of the three fits [deg]."""
    (nsds,) = struct.unpack_from("<i", payload)
    nsig = struct.unpack_from(f"<{nsds}i", payload, 4)
    at = 4 + 4 * nsds
    for n in nsig:
        at += n * (8 + 8 + 8) + n * (4 + 4) + 24
    at += nsds * (8 + 8 + 8 + 4 + 4 + 4)
    theta = struct.unpack_from("<3d", payload, at + 6 * 24)
    at += 11 * 24 + 12 + 24
    assert at == len(payload)
    return nsds, theta


def rufldf(payload):
    """The lateral fits: {name: (alone, with the geometry)}, and numbers of the latter."""
    pairs = ("xcore", "dxcore", "ycore", "dycore", "sc", "dsc", "s600", "s600_0", "s800", "s800_0")
    pairs += ("aenergy", "energy", "atmcor", "chi2")
    bank = {name: struct.unpack_from("<2d", payload, 16 * k) for k, name in enumerate(pairs)}
    single = ("theta", "dtheta", "phi", "dphi", "t0", "dt0")
    single += ("bdist", "tdistbr", "tdistlr", "tdistsk", "tdist")
    bank |= dict(zip(single, struct.unpack_from("<11d", payload, 14 * 16), strict=True))
    bank["ndof"] = struct.unpack_from("<2i", payload, 14 * 16 + 88)
    assert len(payload) == 14 * 16 + 88 + 8
    return bank


def bsdinfo(version, payload):
    """Stations out of service."""
    _, hhmmss, _, n = struct.unpack_from("<4i", payload)
    assert 0 <= hhmmss < 240000
    found = struct.unpack_from(f"<{n}i", payload, 16)
    at = 16 + 8 * n
    if version >= 1:
        (out,) = struct.unpack_from("<i", payload, at)
        found += struct.unpack_from(f"<{out}i", payload, at + 4)
        at += 4 + 4 * out + (4 * out if version >= 2 else 0)
    assert at == len(payload)
    return found


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
