"""Showers that are given, in a table or an event file, completed to what the simulation needs."""

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tashower.config import Config
from tashower.errors import InputError
from tashower.events.array import front_from_config, read_lateral
from tashower.events.model import Truth
from tashower.io.event_file import read_events
from tashower.io.table_file import kind_of, numbers, read_table
from tashower.physics.description import Description
from tashower.physics.lateral import slope
from tashower.physics.xmax import mean_xmax
from tashower.simulation.delays import mean_leading_edge_curvature, muon_content, particle_delays
from tashower.simulation.showers import MUON_MASS_EXPONENT, mean_front_scale, mean_size, muon_share
from tashower.types import FilePath

#: Columns of a table of showers: field of Truth, and its unit in ours. The first five are needed.
COLUMNS = {
    "energy_eev": ("energy", 1.0),
    "zenith_deg": ("zenith", np.pi / 180),
    "azimuth_deg": ("azimuth", np.pi / 180),
    "core_x_m": ("core_x", 1.0),
    "core_y_m": ("core_y", 1.0),
    "mass_number": ("mass_number", 1.0),
    "t0_ns": ("t0", 1.0),
    "xmax_g_cm2": ("xmax", 1.0),
    "muon_scale": ("muon_scale", 1.0),
    "size_vem_m2": ("s_ref", 1.0),
    "slope": ("slope", 1.0),
    "muon_share": ("muon_share", 1.0),
    "front_scale": ("front_scale", 1.0),
    "shower_id": ("shower_id", 1),
}
_NEEDED = tuple(COLUMNS)[:5]
#: What a shower can be: field -> (lowest, highest); zenith below 80 degrees.
_RANGES = {
    "energy": (1e-4, 1e5),
    "zenith": (0.0, np.radians(80.0)),
    "azimuth": (-4 * np.pi, 4 * np.pi),
    "core_x": (-1e6, 1e6),
    "core_y": (-1e6, 1e6),
    "mass_number": (1, 300),
    "t0": (-1e12, 1e12),
    "xmax": (10.0, 3000.0),
    "muon_scale": (0.0, 100.0),
    "s_ref": (1e-6, 1e6),
    "slope": (0.5, 4.9),
    "muon_share": (0.0, 0.999),
    "front_scale": (1e-3, 100.0),
    "shower_id": (-(2**62), 2**62),
}


def complete_truth(columns: dict, config: Config, where: str = "showers") -> Truth:
    """`Truth` from the fields that are known.

    Parameters
    ----------
    columns : {field of Truth: (n,)}; energy [EeV], zenith, azimuth [rad], core_x, core_y [m] are
        needed. What is left out is that of a mean shower of this energy, zenith and mass number (1:
        a proton): size, slope, muon share, front scale, Xmax, muon scale; t0 is 0.
    config : its lateral distribution, fronts and area of a station

    Raises
    ------
    InputError : a needed field is missing, or a value that no shower can have; names field and row.
    """
    missing = [name for name, (key, _) in COLUMNS.items() if name in _NEEDED and key not in columns]
    if missing:
        raise InputError(f"{where}: {', '.join(missing)} missing; needed are {', '.join(_NEEDED)}")
    n = len(columns["energy"])
    known = {key: np.asarray(column, dtype=float) for key, column in columns.items()}
    for key, column in known.items():
        low, high = _RANGES.get(key, (-np.inf, np.inf))
        bad = ~((column >= low) & (column <= high))
        if bad.any():
            row = int(bad.argmax())
            raise InputError(f"{where}: row {row}: {key} {column[row]:g}, which no shower has")
    mass = known.get("mass_number", np.ones(n)).astype(np.int16)
    energy, zenith = known["energy"], known["zenith"]
    lateral, _ = read_lateral(config.array.lateral, float(config.array.reference_m))
    factor = config.showers.muon_factor

    def share():
        """Muon share of a shower with the usual number of muons."""
        return muon_share(zenith, mass, energy, muon_content(config))

    def size():
        """Size with this number of muons over that with the usual one."""
        return 1.0 + share() * (factor - 1.0)

    usual = {
        "xmax": lambda: mean_xmax(energy, mass, config.showers.interaction_model),
        "muon_scale": lambda: factor * mass.astype(float) ** MUON_MASS_EXPONENT,
        "s_ref": lambda: mean_size(energy, zenith, mass, lateral.reference, size()),
        "slope": lambda: slope(zenith) + config.showers.slope_shift,
        "muon_share": lambda: factor * share() / size(),
        "front_scale": lambda: mean_front_scale(energy, zenith, mass, config),
        "t0": lambda: np.zeros(n),
    }
    full = {key: known[key] if key in known else value() for key, value in usual.items()}
    full |= {key: known[key] for key in ("energy", "zenith", "core_x", "core_y")}
    full["azimuth"] = known["azimuth"] % (2.0 * np.pi)
    number = columns.get("shower_id", np.arange(n))
    full |= {"mass_number": mass, "shower_id": np.asarray(number).astype(np.int64)}
    description = Description(lateral, front_from_config(config.array), config.detector.area_m2)
    full["curvature"] = mean_leading_edge_curvature(
        particle_delays(config), SimpleNamespace(**full), description
    )
    return Truth(**{f.name: np.ascontiguousarray(full[f.name]) for f in fields(Truth)})


def read_truth(path: FilePath, config: Config) -> Truth:
    """Showers of a table (.csv, .parquet; columns as in COLUMNS), or the truth of an event file.

    Raises
    ------
    InputError : names file, line and column; an event file without truth.
    """
    if kind_of(path) in (".h5", ".hdf5"):
        truth = read_events(path, only=("truth",)).truth
        if truth is None:
            raise InputError(f"{path}: holds events without truth")
        return truth
    table = read_table(Path(path))
    known = {
        key: numbers(table, name) * unit
        for name, (key, unit) in COLUMNS.items()
        if name in table.columns
    }
    strange = [name for name in table.columns if name not in COLUMNS]
    if strange:
        raise InputError(f"{path}: column {strange[0]!r}; known are {', '.join(COLUMNS)}")
    if not len(table):
        raise InputError(f"{path}: names its columns, but holds no showers")
    return complete_truth(known, config, str(path))
