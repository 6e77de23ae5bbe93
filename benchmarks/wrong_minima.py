"""How often the fit ends in a wrong minimum, against a reference that starts from many cores and
from the truth.

    python benchmarks/wrong_minima.py [n_events]

Events: simulated, default configuration, sample `test` (nothing is tuned here). Counted are events
that pass the quality cuts: those for which the fit claims success. For each event the joint fit is
repeated from 20 cores up to 900 m around its own start and from the true shower; the lowest sum,
with the weights of the reference, is the reference. Wrong: the fit's own result has a sum higher by
more than 4 and a core more than 100 m away.
"""

import sys
import time

import numpy as np

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import load_config
from tashower.physics.compiled import compiled
from tashower.reconstruction.joint.minimise import CONVERGED, scratch_space
from tashower.reconstruction.joint.observe import observed_events
from tashower.reconstruction.joint.passes import best_start, compare, one_pass
from tashower.reconstruction.joint.start import start_core, start_plane, start_size
from tashower.reconstruction.methods import Context
from tashower.reconstruction.methods.fits import fit_events, fit_settings
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.simulate import simulate_events


@compiled
def sums(observed, settings, true_core, own, best):
    """Fit once as `fit_one` does (without outlier removal), and from many starts; (sum of ours,
    lowest sum), same weights.
    """
    matrix = np.empty((7, 7))
    start_core(observed, own)
    scratch = scratch_space()
    if not start_plane(observed, own, scratch.normal):
        return np.nan, np.nan
    start_size(observed, own, settings)
    start = own.copy()
    ndof = -7
    for i in range(len(observed.x)):
        ndof += (observed.use[i] & 1) + (observed.use[i] >> 1 & 1)
    best_start(own, observed, settings, matrix, ndof, scratch)
    one_pass(own, observed, settings, CONVERGED, matrix, scratch)
    best[:] = own
    trial = np.empty(7)
    for k in range(21):
        trial[:] = start
        if k < 20:
            radius = 300.0 * (1 + k // 7)
            trial[0] += radius * np.cos(0.9 * k)
            trial[1] += radius * np.sin(0.9 * k)
        else:
            trial[:2] = true_core
        start_size(observed, trial, settings)
        one_pass(trial, observed, settings, CONVERGED, matrix, scratch)
        one_pass(trial, observed, settings, CONVERGED, matrix, scratch)
        lower = (
            compare(trial, best, observed, settings, scratch)
            < compare(best, best, observed, settings, scratch) - 1e-3
        )
        # Only a result that is better with its own weights as well is a better minimum.
        if lower and compare(trial, trial, observed, settings, scratch) < compare(
            best, trial, observed, settings, scratch
        ):
            best[:] = trial
    return compare(own, best, observed, settings, scratch), compare(
        best, best, observed, settings, scratch
    )


def main(n_events: int = 20_000) -> None:
    """Print the rate for all events and for those with a core within 60 m of a station."""
    config, calibration = load_config(), read_calibration(DEFAULT)
    events = simulate_events(config, "test", 0, n_events)
    pulses = find_pulses(events)
    all_observed = observed_events(events, pulses)
    position = events.array.position
    for kind in ("free", "constrained", "complete"):
        settings = fit_settings(calibration, events.array, kind)
        wrong, near, n, n_near = 0, 0, 0, 0
        claimed = fit_events(
            events, pulses, Context(calibration, config.reconstruction), kind
        ).passes_cuts
        started = time.monotonic()
        for i, observed in enumerate(all_observed):
            if not claimed[i]:
                continue
            core = np.array([events.truth.core_x[i], events.truth.core_y[i]])
            own, best = np.zeros(7), np.zeros(7)
            ours, lowest = sums(observed, settings, core, own, best)
            is_wrong = ours > lowest + 4.0 and np.hypot(*(own - best)[:2]) > 100.0
            is_near = np.hypot(*(position[:, :2] - core).T).min() < 60.0
            wrong, near, n, n_near = (
                wrong + is_wrong,
                near + (is_wrong and is_near),
                n + 1,
                n_near + is_near,
            )
        print(
            f"{kind}: {wrong} of {n:,} events in a wrong minimum ({1e3 * wrong / n:.2f} per "
            "1,000); core within 60 m of a station: "
            f"{near} of {n_near} ({time.monotonic() - started:.0f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
