"""What a result does not explain: silence where it expects much, signal outside of its cluster."""

from dataclasses import replace

import numpy as np
import pytest
from reconstruction import toy

from tashower.config import load_config
from tashower.events.model import FLAGS, Pulses
from tashower.physics.description import SOFTENING
from tashower.physics.lateral import TELESCOPE_ARRAY, log_lateral_distribution, slope_of_secant
from tashower.reconstruction.clusters import REJECTED, SILENT
from tashower.reconstruction.joint.fit import fit_one
from tashower.reconstruction.joint.minimise import scratch_space
from tashower.reconstruction.joint.observe import observed_events
from tashower.reconstruction.joint.outliers import silence_and_signal
from tashower.reconstruction.methods import Context
from tashower.reconstruction.methods.fits import fit_events, fit_settings, signal_of_events


def test_silence_is_twice_the_expected_particles(rng):
    truth = toy.draw_truth(rng, 6)
    events, pulses = toy.toy_events(rng, truth)
    settings = fit_settings(toy.calibration(truth), events.array, False)
    seen = []
    for observed in observed_events(events, pulses):
        p, covariance = np.zeros(7), np.zeros((7, 7))
        good = fit_one(observed, settings, p, covariance, np.full(7, np.nan), scratch_space())[4]
        assert good
        silent = observed.use == SILENT
        n = np.array([p[2], p[3], np.sqrt(1.0 - p[2] ** 2 - p[3] ** 2)])
        d = np.stack([observed.x - p[0], observed.y - p[1], observed.z], axis=1)[silent]
        r = np.sqrt((d**2).sum(axis=1) - (d @ n) ** 2 + SOFTENING**2)
        log_ldf = log_lateral_distribution(r, slope_of_secant(1.0 / n[2]), TELESCOPE_ARRAY)
        density = np.exp(p[4] + log_ldf) * observed.contained[silent]
        area = events.array.detector.area
        expected = 2.0 * density.sum() * area / toy.ERRORS.signal_poisson
        silence, signal = silence_and_signal(p, observed, settings)
        assert silence == pytest.approx(expected, rel=1e-9)
        assert signal == observed.density[(observed.use & (SILENT | REJECTED)) == 0].sum()
        seen.append(silence)
    assert max(seen) > 1.0


def with_hit(events, pulses, station, time, signal):
    """The one event with one more hit."""
    order = np.argsort(np.append(events.hit_station, station), kind="stable")

    def more(column, value):
        return np.concatenate([column, np.full_like(column[:1], value)])[order]

    return (
        replace(
            events,
            hit_offset=events.hit_offset + [0, 1],
            hit_station=more(events.hit_station, station),
            hit_time=more(events.hit_time, time),
        ),
        Pulses(
            more(pulses.arrival_time, time),
            more(pulses.signal, signal),
            more(pulses.saturated, False),
            more(pulses.n_peaks, 1),
            more(pulses.area_over_peak, 100.0),
        ),
    )


def test_signal_outside_of_the_cluster_is_flagged_and_changes_no_number(rng):
    truth = toy.draw_truth(rng, 1, core=(100.0, 200.0), zenith=0.4, s_ref=60.0)
    events, pulses = toy.toy_events(rng, truth, exact=True)
    strong = pulses.signal.mean(axis=1) > 2.0
    events = replace(
        events,
        hit_offset=np.array([0, strong.sum()]),
        hit_station=events.hit_station[strong],
        hit_time=events.hit_time[strong],
        pulses=None,
    )
    pulses = Pulses(*(getattr(pulses, name)[strong] for name in Pulses.__dataclass_fields__))
    context = Context(toy.calibration(truth), load_config().reconstruction)
    alone = fit_events(events, pulses, context)
    allowed = 1.2 * alone.n_stations[0] + 0.02 * pulses.signal.mean(axis=1).sum()
    assert alone.flags[0] == 0
    for part, flags in ((0.9, 0), (1.1, 1 << FLAGS.index("left_out"))):
        both = with_hit(events, pulses, 0, 90_000.0, part * allowed)
        found = fit_events(*both, context)
        assert found.flags[0] == flags
        assert found.s_ref[0] == alone.s_ref[0]
        assert found.chi2[0] == alone.chi2[0]
        total = pulses.signal.mean(axis=1).sum() + part * allowed
        assert signal_of_events(*both)[0] == pytest.approx(total)
    # Below the smallest signal, or without a time, it is no usable hit.
    assert fit_events(*with_hit(events, pulses, 0, 90_000.0, 1.3), context).flags[0] == 0
    assert fit_events(*with_hit(events, pulses, 0, np.nan, 500.0), context).flags[0] == 0
