"""Small files of every format that `tashower convert` reads, made from the first events of
data/sample.h5 (`make samples`).
"""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import load_config
from tashower.convert.ta_dnn import PARSER_UNIT
from tashower.convert.ta_export import write_dst
from tashower.convert.ta_standard import TIME_UNIT
from tashower.convert.ta_text_export import write_text
from tashower.events.model import select_events
from tashower.io.event_file import read_events
from tashower.physics.geometry import direction
from tashower.reconstruction.reconstruct import reconstruct

HERE = Path(__file__).parent
#: HiSPARC's stations stand a tenth as far apart: positions and times are scaled by this.
SHRINK = 0.1
#: Where the made HiSPARC array stands: longitude, latitude [deg], and metres per degree there.
ORIGIN, METRES = (4.951, 52.356), (68_150.0, 111_260.0)


def write_tables(events, pulses) -> None:
    """stations.csv, hits.csv, waveforms.npy and their header."""
    array, event = events.array, events.hit_event
    lines = [
        f"{s},{x:.2f},{y:.2f},{z:.2f}"
        for s, (x, y, z) in zip(array.station_id, array.position, strict=True)
    ]
    (HERE / "stations.csv").write_text("station,x_m,y_m,z_m\n" + "\n".join(lines) + "\n")
    rows = [
        f"{events.event_id[event[h]]},{array.station_id[events.hit_station[h]]},"
        f"{events.hit_time[h]:.2f},{pulses.signal[h].mean():.3f},{int(pulses.saturated[h])},"
        f"{events.pedestal[h].mean():.4f},{events.counts_per_vem[h].mean():.4f}"
        for h in range(events.n_hits)
    ]
    names = "event,station,time_ns,signal_vem,saturated,pedestal,counts_per_vem"
    (HERE / "hits.csv").write_text(names + "\n" + "\n".join(rows) + "\n")
    np.save(HERE / "waveforms.npy", events.waveform)
    (HERE / "header.yaml").write_text(
        "stations: stations.csv\nhits: hits.csv\nwaveforms: waveforms.npy\narea_m2: 3\nlayers: 2\n"
        "bin_width_ns: 20\nnoise_counts: 0.75\npedestal_rms: 0.32\nsaturation_counts: 2000\n"
        "saturation_vem: 48.8\n"
    )


def _strongest(events, pulses, i, n):
    """Rows of the n strongest hits of event i that have a time."""
    rows = np.arange(*events.hit_offset[i : i + 2])
    rows = rows[np.isfinite(pulses.arrival_time[rows])]
    return rows[np.argsort(-pulses.signal[rows].mean(axis=1))[:n]]


def write_hisparc(events, pulses) -> None:
    """A coincidence of the four strongest stations of the first event, on a tenth of the scale."""
    rows = _strongest(events, pulses, 0, 4)
    position = events.array.position[events.hit_station[rows]]
    middle = position.mean(axis=0)
    time = SHRINK * (pulses.arrival_time[rows] - pulses.arrival_time[rows].min())
    stations = [
        {
            "number": 501 + k,
            "detectors": 4,
            "longitude": ORIGIN[0] + SHRINK * (x - middle[0]) / METRES[0],
            "latitude": ORIGIN[1] + SHRINK * (y - middle[1]) / METRES[1],
            "altitude": 50.0 + SHRINK * (z - middle[2]),
            "timestamp": 1_400_000_000,
            "nanoseconds": 500_000_000 + round(t),
            "mips": [round(2.0 + 0.5 * k, 2), 1.0, 1.5, 2.5],
        }
        for k, ((x, y, z), t) in enumerate(zip(position, time, strict=True))
    ]
    content = {"pk": 1, "timestamp": 1_400_000_000, "nanoseconds": 500_000_000, "events": stations}
    (HERE / "hisparc.json").write_text(json.dumps(content, indent=1) + "\n")


def write_auger(events, pulses) -> None:
    """The eight strongest stations of the second event under the names of Auger's open data."""
    rows = _strongest(events, pulses, 1, 8)
    stations = []
    for h in rows:
        station = events.hit_station[h]
        x, y, z = (round(float(value), 1) for value in events.array.position[station])
        stations.append(
            {
                "id": int(events.array.station_id[station]),
                "x": x,
                "y": y,
                "z": z,
                "timeNS": round(float(pulses.arrival_time[h])),
                "signal": round(float(pulses.signal[h].mean()), 2),
                "isLowGainSaturated": bool(pulses.saturated[h]),
            }
        )
    t = events.standard
    block = {
        "theta": round(float(np.degrees(t.zenith[1])), 3),
        "phi": round(float(np.degrees(t.azimuth[1])), 3),
        "x": round(float(t.core_x[1]), 1),
        "y": round(float(t.core_y[1]), 1),
        "s1000": round(float(t.s_ref[1]), 2),
        "energy": round(float(t.energy[1]), 2),
    }
    (HERE / "auger.json").write_text(
        json.dumps({"id": 2, "sdrec": block, "stations": stations}, indent=1) + "\n"
    )


def write_tiles(events, pulses, path=HERE / "ta_dnn.h5", side: int = 7) -> None:
    """Tiles of side x side stations around the strongest one, under the names of the parser for the
    Telescope Array's networks.
    """
    array, n = events.array, events.n_events
    index = np.full(array.lattice.max(axis=0) + side, -1)
    index[tuple(array.lattice.T)] = np.arange(array.n_stations)
    cells = (n, side, side)
    columns = {
        "detector_positions_abs": np.zeros((*cells, 3)),
        "detector_positions_id": np.zeros(cells, int),
        "detector_exists": np.zeros(cells, bool),
        "detector_good": np.zeros(cells, bool),
    }
    for layer in ("_up", "_low"):
        for name in ("arrival_times", "total_signals"):
            columns[name + layer] = np.zeros(cells)
        columns["time_traces" + layer] = np.zeros((*cells, array.detector.n_bins), np.float32)
    centre = np.zeros((n, 3))
    for i in range(n):
        rows = np.arange(*events.hit_offset[i : i + 2])
        rows = rows[np.isfinite(pulses.arrival_time[rows])]
        strongest = events.hit_station[rows[np.argmax(pulses.signal[rows].mean(axis=1))]]
        corner = array.lattice[strongest] - side // 2
        dead = events.dead_station[slice(*events.dead_offset[i : i + 2])]
        for a in range(side):
            for b in range(side):
                place = corner + (a, b)
                inside = (place >= 0).all() and (place <= array.lattice.max(axis=0)).all()
                s = index[tuple(place)] if inside else -1
                columns["detector_exists"][i, a, b] = s >= 0
                if s >= 0:
                    columns["detector_positions_abs"][i, a, b] = array.position[s]
                    columns["detector_positions_id"][i, a, b] = array.station_id[s]
                    columns["detector_good"][i, a, b] = s not in dead
        centre[i] = array.position[strongest]
        for h in rows:
            a, b = array.lattice[events.hit_station[h]] - corner
            if not (0 <= a < side and 0 <= b < side):
                continue
            for k, layer in enumerate(("_up", "_low")):
                # The parser takes 1200 m over the speed of light for 4000 ns.
                reached = pulses.arrival_time[h] - np.nanmin(pulses.arrival_time[rows])
                columns["arrival_times" + layer][i, a, b] = reached / TIME_UNIT * PARSER_UNIT
                columns["total_signals" + layer][i, a, b] = pulses.signal[h, k]
                vem = events.waveform[h, :, k] / events.counts_per_vem[h, k]
                columns["time_traces" + layer][i, a, b] = vem  # with the pedestal, as the parser
    t, unit = events.truth, np.array([0.5 * (side - 1) * array.spacing] * 2 + [30.0])
    core = np.column_stack([t.core_x, t.core_y, np.zeros(n)])
    columns |= {
        "mass_number": t.mass_number,
        "energy": t.energy,
        "xmax": t.xmax,
        "shower_axis": direction(t.zenith, t.azimuth),
        "shower_core": (core - centre) / unit,
    }
    if events.standard is not None:
        s = events.standard
        core = np.column_stack([s.core_x, s.core_y, np.zeros(n)])
        columns |= {
            "std_recon_energy": s.energy,
            "std_recon_s800": s.s_ref,
            "std_recon_shower_axis": direction(s.zenith, s.azimuth),
            "std_recon_shower_core": ((core - centre) / unit)[:, :2],
        }
    with h5py.File(path, "w") as file:
        for name, column in columns.items():
            file.create_dataset(name, data=column, compression="gzip")


def main() -> None:
    """Write them all."""
    events = select_events(read_events(HERE.parent / "sample.h5"), np.arange(8))
    tables, pulses, _ = reconstruct(events, read_calibration(DEFAULT), load_config().reconstruction)
    # As if the experiment's own reconstruction had come with the data.
    events = replace(events, standard=tables["constrained"])
    write_dst(HERE / "telescope_array.dst.gz", events, pulses)
    write_text(HERE / "telescope_array.txt", events, pulses)
    write_tables(events, pulses)
    write_hisparc(events, pulses)
    write_auger(events, pulses)
    write_tiles(events, pulses)


if __name__ == "__main__":
    main()
