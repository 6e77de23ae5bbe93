"""Small event sets with arbitrary content, for tests of files and tables."""

from dataclasses import fields, replace

import numpy as np

from tashower.events.array import regular_array
from tashower.events.model import PARAMETERS, Events, Pulses, Reconstruction, Truth
from tashower.physics.geometry import direction


def same(a, b):
    """Assert that two dataclasses of arrays are equal, field by field; the array of stations is the
    same object.
    """
    for f in fields(a):
        left, right = getattr(a, f.name), getattr(b, f.name)
        if f.name == "array":
            assert left is right
        elif hasattr(left, "__dataclass_fields__"):
            same(left, right)
        elif left is None:
            assert right is None
        else:
            np.testing.assert_array_equal(left, right, err_msg=f.name)


def make_events(rng, n_events, array=None):
    """`n_events` events with 0 to 6 hits of random content each; the numbers have no physical
    meaning.
    """
    array = array or regular_array(6, 5, 1200.0)
    n_layers, n_bins = array.detector.n_layers, array.detector.n_bins
    hit_offset = np.concatenate([[0], np.cumsum(rng.integers(0, 7, n_events))]).astype(np.int64)
    dead_offset = np.concatenate([[0], np.cumsum(rng.integers(0, 3, n_events))]).astype(np.int64)
    n_hits, n_dead = hit_offset[-1], dead_offset[-1]
    stations = [
        np.sort(rng.choice(array.n_stations, n, replace=False)) for n in np.diff(hit_offset)
    ]
    return Events(
        array=array,
        event_id=np.arange(n_events, dtype=np.int64) * 3 + 1,
        hit_offset=hit_offset,
        hit_station=np.concatenate([np.zeros(0, int), *stations]).astype(np.int32),
        hit_time=rng.uniform(0, 1e4, n_hits),
        waveform=rng.integers(0, 4096, (n_hits, n_bins, n_layers)).astype(np.uint16),
        pedestal=rng.normal(6, 0.1, (n_hits, n_layers)).astype(np.float32),
        counts_per_vem=rng.normal(39, 1, (n_hits, n_layers)).astype(np.float32),
        dead_offset=dead_offset,
        dead_station=rng.integers(0, array.n_stations, n_dead).astype(np.int32),
        pulses=Pulses(
            arrival_time=rng.uniform(0, 1e4, n_hits),
            signal=rng.exponential(5.0, (n_hits, n_layers)),
            saturated=rng.random(n_hits) < 0.1,
            n_peaks=rng.integers(0, 9, (n_hits, n_layers)).astype(np.int16),
            area_over_peak=rng.uniform(50, 500, n_hits),
        ),
        truth=Truth(
            shower_id=np.arange(n_events, dtype=np.int64),
            mass_number=rng.choice([1, 4, 14, 56], n_events).astype(np.int16),
            **{
                name: rng.uniform(0.1, 1.0, n_events)
                for name in (
                    (
                        "energy zenith azimuth core_x core_y t0 xmax muon_scale s_ref slope "
                        "curvature muon_share front_scale"
                    ).split()
                )
            },
        ),
    )


def make_reconstruction(rng, events):
    """A reconstruction with random content, of which the first event is invalid."""
    n = events.n_events
    columns = {
        name: rng.uniform(0.1, 1.0, n) for name in (*PARAMETERS, "energy", "energy_error", "chi2")
    }
    covariance = np.broadcast_to(np.eye(7) * 0.01, (n, 7, 7)).copy()
    flags = np.zeros(n, np.uint16)
    if n:
        flags[0] = 1
        covariance[0] = np.nan
        for column in columns.values():
            column[0] = np.nan
    return Reconstruction(
        event_id=events.event_id,
        covariance=covariance,
        ndof=np.full(n, 5, np.int32),
        n_stations=np.full(n, 6, np.int32),
        n_excluded=np.zeros(n, np.int32),
        flags=flags,
        **columns,
    )


def shifted(rng, n=4000, turn=0.02, azimuth=None):
    """Truth, and a reconstruction whose axis is off by Gaussian angles of rms `turn` across two
    axes [rad].
    """
    events = make_events(rng, n)
    zenith = np.arcsin(np.sqrt(rng.uniform(0.02, 0.4, n)))
    azimuth = rng.uniform(0, 2 * np.pi, n) if azimuth is None else np.full(n, azimuth)
    truth = replace(
        events.truth, zenith=zenith, azimuth=azimuth, energy=10 ** rng.uniform(0.5, 2, n)
    )
    table = make_reconstruction(rng, events)
    e_zenith = direction(zenith + np.pi / 2, azimuth)
    e_azimuth = np.stack([-np.sin(azimuth), np.cos(azimuth), np.zeros(n)], axis=1)
    a, b = turn * rng.normal(size=(2, n))
    axis = direction(zenith, azimuth) + a[:, None] * e_zenith + b[:, None] * e_azimuth
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    table = replace(
        table,
        zenith=np.arccos(axis[:, 2]),
        azimuth=np.arctan2(axis[:, 1], axis[:, 0]) % (2 * np.pi),
        core_x=truth.core_x + 30 * rng.normal(size=n),
        core_y=truth.core_y + 30 * rng.normal(size=n),
        energy=truth.energy * np.exp(0.2 * rng.normal(size=n) + 0.05),
        flags=np.zeros(n, np.uint16),
        covariance=np.broadcast_to(np.eye(7), (n, 7, 7)).copy(),
    )
    return table, truth
