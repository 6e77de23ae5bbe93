"""Speed of the joint fit against what a user would take: scipy, and iminuit with our compiled sum,
event by event.

    python benchmarks/fit.py

Events of the default configuration, one core, the best of a few runs. Ours does all of `tashower
fit`: clusters, start values, two passes, outliers, covariance, quality flags, energy. The others
start from the same stations, start values and weights and make one pass.
"""

import time

import numpy as np
from scipy.optimize import least_squares

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import load_config
from tashower.reconstruction.joint.model import Quadratic, prior_of, set_weights
from tashower.reconstruction.joint.observe import observed_events
from tashower.reconstruction.joint.scipy_fit import SCALE, residual_vector, start_of
from tashower.reconstruction.joint.terms import evaluate
from tashower.reconstruction.methods import Context
from tashower.reconstruction.methods.fits import fit_events, fit_settings
from tashower.reconstruction.methods.published import fit_published
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.simulate import simulate_events

N_OURS, N_SCIPY, N_MINUIT = 10_000, 150, 300


def prepared(events, pulses, calibration, n):
    """(Observed, start, prior) of the first n events that have five stations or more, and
    settings.
    """
    settings = fit_settings(calibration, events.array, "free")
    found = []
    for observed in observed_events(events, pulses):
        if (observed.use & 1).sum() < 5:
            continue
        start = start_of(observed, settings)
        if start is not None:
            set_weights(start, observed, settings)
            found.append((observed, start, prior_of(start, settings)))
        if len(found) == n:
            break
    return found, settings


def with_scipy(cases, settings) -> float:
    """Fits per second."""
    started = time.perf_counter()
    for observed, start, prior in cases:
        least_squares(residual_vector, start, x_scale=SCALE, args=(observed, settings, prior))
    return len(cases) / (time.perf_counter() - started)


def with_minuit(cases, settings) -> float | None:
    """Fits per second; None without iminuit."""
    try:
        from iminuit import Minuit
    except ImportError:
        return None
    quadratic = Quadratic(np.empty(7), np.empty((7, 7)), np.empty((10, 4)))

    def fit(observed, start, prior):
        def cost(p):
            span = (0, len(observed.x))
            value = evaluate(np.asarray(p), observed, span, settings, prior, quadratic)
            return value if np.isfinite(value) else 1e12

        minuit = Minuit(cost, start)
        minuit.errors = SCALE
        minuit.errordef = Minuit.LEAST_SQUARES
        minuit.migrad()

    fit(*cases[0])
    started = time.perf_counter()
    for case in cases:
        fit(*case)
    return len(cases) / (time.perf_counter() - started)


def main() -> None:
    """Print fits per second and ratios."""
    config, calibration = load_config(), read_calibration(DEFAULT)
    events = simulate_events(config, "validation", 0, N_OURS)
    pulses = find_pulses(events)
    print("joint fit, default configuration, one core     events/s   ratio")
    rates = {}
    for curvature in ("free", "constrained", "complete"):
        seconds = []
        for _ in range(8):  # the first one compiles
            started = time.perf_counter()
            fit_events(events, pulses, Context(calibration, config.reconstruction), curvature)
            seconds.append(time.perf_counter() - started)
        rates[curvature] = events.n_events / min(seconds)
    seconds = []
    for _ in range(8):
        started = time.perf_counter()
        fit_published(events, pulses, Context(calibration, config.reconstruction))
        seconds.append(time.perf_counter() - started)
    rates["published"] = events.n_events / min(seconds)
    ours = rates["free"]
    cases, settings = prepared(events, pulses, calibration, N_MINUIT)
    print(f"  tashower, free curvature                     {ours:8.0f}       1")
    print(
        f"  tashower, constrained curvature              {rates['constrained']:8.0f}   "
        f"{ours / rates['constrained']:5.2f}"
    )
    print(
        f"  tashower, complete                           {rates['complete']:8.0f}   "
        f"{ours / rates['complete']:5.2f}"
    )
    print(
        f"  tashower, as published (three fits)          {rates['published']:8.0f}   "
        f"{ours / rates['published']:5.2f}"
    )
    scipy = max(with_scipy(cases[:N_SCIPY], settings) for _ in range(3))
    print(f"  scipy.optimize.least_squares, numeric        {scipy:8.0f}   {ours / scipy:5.0f}")
    minuit = max((with_minuit(cases, settings) for _ in range(3)), key=lambda rate: rate or 0.0)
    if minuit is None:
        print("  iminuit is not installed (pip install iminuit)")
    else:
        print(
            f"  iminuit with the compiled sum                {minuit:8.0f}   {ours / minuit:5.0f}"
        )


if __name__ == "__main__":
    main()
