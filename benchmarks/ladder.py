"""The fits as a ladder: what each step is worth on simulated events that calibrated none of them.

Run `python benchmarks/ladder.py > docs/ladder.md`; a minute. Names of fits choose some of them. Its
sample is thrown for it: it shares no shower with the samples of a run. Numbers and errors are those
of the scores (docs/scores.md).
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import load_config
from tashower.errors import InputError
from tashower.evaluation.bootstrap import draw_showers, entry, replicates
from tashower.evaluation.cuts import in_common
from tashower.evaluation.ladder import rung
from tashower.evaluation.names import BASELINES, REFERENCE
from tashower.evaluation.rounding import pm
from tashower.evaluation.scores import residuals, statistics
from tashower.evaluation.tables import markdown_table
from tashower.events.model import select_rows
from tashower.io import provenance
from tashower.reconstruction.methods import Context, methods
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.simulate import simulate_events

N_EVENTS, SEED = 20_000, 20_261_125
BOOTSTRAP = 200
COLUMNS = [
    "fit",
    "angle 68 % [deg]",
    f"ratio to `{REFERENCE}`",
    "EV",
    "EV without worst 1 %",
    "angle 99 % [deg]",
    "core 68 % [m]",
    "ln E 68 %",
    "events/s, one core",
]
#: Rungs of their own: `complete` without the expected shift of the times by the signal, and with
#: times that scatter as a normal distribution.
UNSHIFTED = "complete without the shift by the signal"
NORMAL = "complete with normal times"


def contexts(context: Context, names: Sequence[str]) -> dict[str, tuple[str, Context]]:
    """{rung: (method, what it is told)}."""
    rungs = {}
    for name in names:
        if name == "complete":
            completion = context.calibration.completion
            asymmetry = completion.asymmetry._replace(correlation=0.0)
            normal = completion.errors._replace(time_skew=0.0)
            # With all other numbers that were found with shift and skewness.
            for rung_of, changed in (
                (UNSHIFTED, completion._replace(asymmetry=asymmetry)),
                (NORMAL, completion._replace(errors=normal)),
            ):
                calibration = replace(context.calibration, completion=changed)
                rungs[rung_of] = name, context._replace(calibration=calibration)
        rungs[name] = name, context
    return rungs


def fits(events, pulses, rungs) -> dict:
    """{rung: (reconstruction, events per second)}."""
    found = {}
    for name, (method, told) in rungs.items():
        methods()[method](events[:50], find_pulses(events[:50]), told)  # compiles
        begun = time.process_time()
        table = methods()[method](events, pulses, told)
        found[name] = table, events.n_events / (time.process_time() - begun)
    return found


def main(names: Sequence[str]) -> None:
    """Print the page of these fits, and of the reference."""
    if unknown := set(names) - set(BASELINES):
        raise InputError(f"{', '.join(sorted(unknown))}: no fit of {', '.join(BASELINES)}")
    names = [name for name in BASELINES if name == REFERENCE or name in (names or BASELINES)]
    config = load_config({"seed": SEED})
    events = simulate_events(config, "test", 0, N_EVENTS)
    context = Context(read_calibration(DEFAULT), config.reconstruction)
    found = fits(events, find_pulses(events), contexts(context, names))
    rows = np.flatnonzero(in_common({name: table for name, (table, _) in found.items()}))
    truth = select_rows(events.truth, rows)
    draws = draw_showers(truth.shower_id, BOOTSTRAP, [SEED])
    measured = {}
    for name, (table, _) in found.items():
        of_fit = residuals(select_rows(table, rows), truth)
        measured[name] = replicates(
            lambda w, r=of_fit: statistics(r, truth.azimuth, w), draws, np.arange(len(rows))
        )
    lines = [COLUMNS]
    for name, (_, rate) in found.items():
        gain = rung([measured[name]], measured[REFERENCE])["axis"]
        own = {key: entry(value) for key, value in measured[name].items()}
        lines.append(
            [
                f"`{name}`" if name in BASELINES else name,
                pm(own["angle_68_deg"]),
                *(pm(gain[key]) for key in ("ratio_68", "ev", "ev_without_worst")),
                pm(own["angle_99_deg"], 2),
                pm(own["core_68_m"], 1),
                pm(own["log_energy_68"], 4),
                f"{rate:,.0f}",
            ]
        )
    made = f"commit {provenance.commit()[:7]}, {provenance.now()[:10]}"
    print(
        f"""# The ladder of fits

`python benchmarks/ladder.py > docs/ladder.md`, {made}: default
configuration with another seed ({SEED}), {events.n_events:,} triggered throws, {len(rows):,} of
them scored (they pass the quality cuts of the {REFERENCE} fit, and every fit has a result); the
calibration that comes with the package. EV: explained variance of the direction. Errors: paired
bootstrap of showers ([scores.md](scores.md)).

{markdown_table(lines)}"""
    )


if __name__ == "__main__":
    main(sys.argv[1:])
