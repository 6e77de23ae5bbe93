"""The fits as a ladder: what each step is worth on simulated events that calibrated none of them.

Run `python benchmarks/ladder.py > docs/ladder.md`; a minute. Its sample is thrown for it: it shares
no shower with the samples of a run.
"""

import time
from dataclasses import replace

import numpy as np

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import load_config
from tashower.io import provenance
from tashower.physics.geometry import direction, opening_angle
from tashower.reconstruction.methods import Context, methods
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.simulate import simulate_events

N_EVENTS, SEED = 20_000, 20_261_125
BOOTSTRAP = 200
COLUMNS = (
    "fit",
    "angle 68 % [deg]",
    "ratio to `free`",
    "angle 99 % [deg]",
    "EV",
    "core 68 % [m]",
    "ln E 68 %",
    "events/s, one core",
)


def fits(events, pulses, context) -> dict:
    """{rung: (reconstruction, events per second)}."""
    calibration = context.calibration
    completion = calibration.completion

    unshifted = completion._replace(asymmetry=completion.asymmetry._replace(correlation=0.0))
    without_shift = context._replace(calibration=replace(calibration, completion=unshifted))
    # With the errors and biases that were found with the shift: a little in its favour.
    rungs = {
        "`free`": ("free", context),
        "`constrained`": ("constrained", context),
        "`complete` without the shift by the signal": ("complete", without_shift),
        "`complete`": ("complete", context),
    }
    found = {}
    for name, (method, told) in rungs.items():
        methods()[method](events[:50], find_pulses(events[:50]), told)  # compiles
        begun = time.process_time()
        table = methods()[method](events, pulses, told)
        found[name] = table, events.n_events / (time.process_time() - begun)
    return found


def main() -> None:
    """Print the page."""
    config = load_config({"seed": SEED})
    calibration = read_calibration(DEFAULT)
    events = simulate_events(config, "test", 0, N_EVENTS)
    pulses, truth = find_pulses(events), events.truth
    found = fits(events, pulses, Context(calibration, config.reconstruction))
    good = found["`free`"][0].passes_cuts.copy()
    for table, _ in found.values():
        good &= table.valid
    true = direction(truth.zenith, truth.azimuth)[good]
    axes = {name: direction(t.zenith, t.azimuth)[good] for name, (t, _) in found.items()}
    angles = {name: np.degrees(opening_angle(axis, true)) for name, axis in axes.items()}
    square = {name: ((axis - true) ** 2).sum(axis=1) for name, axis in axes.items()}
    rng = np.random.default_rng(SEED)
    draws = rng.integers(0, good.sum(), (BOOTSTRAP, good.sum()))
    first = next(iter(found))
    rows = []
    for name, (table, rate) in found.items():
        core = np.hypot(table.core_x - truth.core_x, table.core_y - truth.core_y)[good]
        log_e = np.abs(np.log(table.energy / truth.energy)[good])
        # The same events are drawn for both: a paired error.
        ratio = [
            np.quantile(angles[name][d], 0.68) / np.quantile(angles[first][d], 0.68) for d in draws
        ]
        rows.append(
            f"| {name} | {np.quantile(angles[name], 0.68):.3f} | "
            f"{np.quantile(angles[name], 0.68) / np.quantile(angles[first], 0.68):.3f} ± "
            f"{np.std(ratio):.3f} | {np.quantile(angles[name], 0.99):.2f} | "
            f"{1.0 - square[name].mean() / square[first].mean():.3f} | "
            f"{np.quantile(core, 0.68):.1f} | {np.quantile(log_e, 0.68):.4f} | {rate:,.0f} |"
        )
    made = f"commit {provenance.commit()[:7]}, {provenance.now()[:10]}"
    print(
        f"""# The ladder of fits

`python benchmarks/ladder.py > docs/ladder.md`, {made}: default
configuration with another seed ({SEED}), {events.n_events:,} triggered throws, {good.sum():,} of
them scored (they pass the quality cuts of the free fit, and every fit has a result); the
calibration that comes with the package. EV: explained variance of the direction. Errors: paired
bootstrap over throws.

| {" | ".join(COLUMNS)} |
|{len(COLUMNS) * "---|"}
"""
        + "\n".join(rows)
    )


if __name__ == "__main__":
    main()
