"""Events and reconstructions as one flat table: a numpy structured array, or a pandas table.

dtype of a reconstruction (`structured_reconstruction`): every column of `Reconstruction` in its
order and type, `covariance` as (7, 7) float64, Xmax and ln A where the method says anything of
them, then `valid` and `passes_cuts` (bool).

dtype of hits (`structured_hits`): `event` (int64, position among the events), `event_id` (int64),
`station_id` (int32), `x`, `y`, `z` [m] and `time` (start of the waveform [ns]) float64; where there
are pulses, their columns (`arrival_time` [ns], `signal` [VEM] (n_layers,), `saturated`, `n_peaks`
(n_layers,), `area_over_peak` [ns]); where there are waveforms, `pedestal` and `counts_per_vem`
(n_layers,) float32; where there are any, `rejected` (hits that are no measurement). The waveforms
themselves are not in it: row k is that of `events.waveform[k]`.

In a pandas table what has several entries a row is one column per entry: `signal_0`, `signal_1`;
instead of the covariance it has the errors, `core_x_error` ... (root of the diagonal).
"""

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas

    from tashower.events.model import Events, Pulses, Reconstruction


def counted(n: int, thing: str) -> str:
    """ "1 event", "1,200 events"."""
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def structured(columns: dict[str, np.ndarray]) -> np.ndarray:
    """A structured array of columns of the same length, (n,) or (n, ...)."""
    types = [(name, c.dtype, c.shape[1:]) for name, c in columns.items()]
    table = np.empty(len(next(iter(columns.values()))), types)
    for name, column in columns.items():
        table[name] = column
    return table


def data_frame(columns: dict[str, np.ndarray]) -> "pandas.DataFrame":
    """A pandas table of columns (n,) or (n, k).

    Raises
    ------
    ImportError : pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise ImportError(
            "pandas is not installed: pip install pandas, or take to_structured(), which needs "
            "numpy only"
        ) from None
    flat = {}
    for name, column in columns.items():
        if column.ndim == 1:
            flat[name] = column
        else:
            flat |= {f"{name}_{k}": column[:, k] for k in range(column.shape[1])}
    return pandas.DataFrame(flat)


def reconstruction_columns(table: "Reconstruction") -> dict[str, np.ndarray]:
    """Columns of a reconstruction, with `valid` and `passes_cuts`."""
    columns = {f.name: getattr(table, f.name) for f in fields(table)}
    columns = {name: np.asarray(c) for name, c in columns.items() if c is not None}
    return columns | {"valid": table.valid, "passes_cuts": table.passes_cuts}


def with_errors(columns: dict[str, np.ndarray], parameters: tuple) -> dict[str, np.ndarray]:
    """The columns with the errors of the parameters in place of their covariance."""
    columns = dict(columns)
    covariance = columns.pop("covariance")
    errors = {f"{name}_error": np.sqrt(covariance[:, i, i]) for i, name in enumerate(parameters)}
    return columns | errors


def hit_columns(events: "Events", pulses: "Pulses | None" = None) -> dict[str, np.ndarray]:
    """Columns of the hits of events; pulses: None, those that the events came with, if any."""
    pulses = events.pulses if pulses is None else pulses
    event, station = events.hit_event, events.hit_station
    x, y, z = events.array.position[station].T
    columns = {
        "event": event,
        "event_id": events.event_id[event],
        "station_id": events.array.station_id[station],
        "x": x,
        "y": y,
        "z": z,
        "time": events.hit_time,
    }
    if pulses is not None:
        if len(pulses.arrival_time) != events.n_hits:
            raise ValueError(
                f"pulses of {len(pulses.arrival_time)} hits, where there are {events.n_hits}"
            )
        columns |= {f.name: getattr(pulses, f.name) for f in fields(pulses)}
    for name in ("pedestal", "counts_per_vem", "rejected"):
        if getattr(events, name) is not None:
            columns[name] = getattr(events, name)
    return columns
