"""Planted anomalies, and how many of them are flagged: the section "Anomalies" of
docs/generation.md.

    python benchmarks/anomalies.py > anomalies.md
    python benchmarks/anomalies.py --real FILE...        (event files of an experiment, after it)

Simulates calibration, clean and odd events of the default configuration, each with seeds of their
own. Half an hour of one core as it stands; --events makes it shorter.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.stats import betabinom

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.calibration.station_likelihood import DEFAULT as STATIONS
from tashower.calibration.station_likelihood import read_station_likelihood
from tashower.config import load_config
from tashower.evaluation.tables import markdown_table
from tashower.events.model import Events, concatenate_events, expected_at_hits, select_events
from tashower.io import provenance
from tashower.io.anomaly_file import Anomalies
from tashower.io.event_file import read_events
from tashower.likelihood.anomalies import calibrate_anomalies, find_anomalies
from tashower.reconstruction.methods import Context
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.simulate import simulate, simulate_events

SEED, RATES = 20_261_130, (0.01, 0.001)
#: A station is chosen among those with more than this [VEM], and one that falls silent among those
#: with more than the second (choices).
CLEAR, STRONG, BRIGHT = 3.0, 10.0, 30.0
_TOP = 4095  # counts


def chosen_hits(events: Events, least: float, seed: int = 1) -> np.ndarray:
    """(n_events,) index of a hit of every event, drawn among those above `least` [VEM] that are not
    saturated; -1: there is none.
    """
    pulses = find_pulses(events)
    good = (pulses.signal.mean(axis=1) > least) & ~pulses.saturated
    mark = np.where(good, np.random.default_rng(seed).random(events.n_hits), -1.0)
    found = np.full(events.n_events, -1)
    for i in range(events.n_events):
        first, last = events.hit_offset[i], events.hit_offset[i + 1]
        best = first + int(mark[first:last].argmax())
        found[i] = best if mark[best] >= 0.0 else -1
    return found


def _changed(events: Events, hits: np.ndarray, change: Callable) -> Events:
    """The waveforms of some hits changed: change(light [counts above the pedestal]) -> light."""
    base = events.pedestal[hits][:, None].astype(float)
    light = change(events.waveform[hits] - base)
    waveform = events.waveform.copy()
    waveform[hits] = np.clip(np.rint(light + base), 0, _TOP).astype(waveform.dtype)
    return replace(events, waveform=waveform)


def of_one(least: float, plant: Callable) -> Callable:
    """plant(events, hits) on one hit of every event that has a clear one; the others are left
    out.
    """

    def planted(events: Events) -> Events:
        events = select_events(events, chosen_hits(events, least) >= 0)
        return plant(events, chosen_hits(events, least))

    return planted


def late_clock(events: Events, hits: np.ndarray, by: float = 1000.0) -> Events:
    """Times of some hits, later by so many ns."""
    time = events.hit_time.copy()
    time[hits] += by
    return replace(events, hit_time=time)


def without_hits(events: Events, hits: np.ndarray) -> Events:
    """Stations that are dead, and not said to be."""
    keep = np.ones(events.n_hits, bool)
    keep[hits] = False
    counts = np.bincount(events.hit_event[keep], minlength=events.n_events)
    columns = ("hit_station", "hit_time", "waveform", "pedestal", "counts_per_vem")
    return replace(
        events,
        hit_offset=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        **{name: getattr(events, name)[keep] for name in columns},
    )


def after_pulse(light: np.ndarray, bins: int = 75) -> np.ndarray:
    """Half of the light again, 1.5 us later."""
    again = np.zeros_like(light)
    again[:, bins:] = 0.5 * light[:, :-bins]
    return light + again


def long_pulses(light: np.ndarray, bins: int = 150) -> np.ndarray:
    """All light spread evenly over 3 us, as no shower is."""
    total = np.cumsum(light, axis=1)
    total[:, bins:] -= total[:, :-bins].copy()
    return total / bins


def overlaid(events: Events) -> Events:
    """Every event with the hits of another one, within 10 us; where both hit a station, those of
    the first.
    """
    rng, parts = np.random.default_rng(2), []
    for i in range(events.n_events):
        one, other = select_events(events, [i]), select_events(events, [(i + 7) % events.n_events])
        new = ~np.isin(other.hit_station, one.hit_station)
        shift = one.hit_time.min() - other.hit_time.min() + rng.uniform(-1e4, 1e4)
        columns = ("hit_station", "waveform", "pedestal", "counts_per_vem")
        both = {n: np.concatenate([getattr(one, n), getattr(other, n)[new]]) for n in columns}
        time = np.concatenate([one.hit_time, other.hit_time[new] + shift])
        order = np.argsort(both["hit_station"], kind="stable")
        parts.append(
            replace(
                one,
                hit_offset=np.array([0, len(time)]),
                hit_time=time[order],
                **{name: column[order] for name, column in both.items()},
            )
        )
    return concatenate_events(parts)


def turned_front(events: Events) -> Events:
    """Every leading edge as much before the plane front as it was behind it."""
    expected = expected_at_hits(events.truth, events)
    delay = find_pulses(events).arrival_time - expected.plane_time
    return replace(events, hit_time=events.hit_time - 2.0 * np.nan_to_num(delay))


def all_muons(events: Events, config, seed: int) -> Events:
    """The same showers, of muons alone."""
    share = np.full(events.n_events, 0.98)
    return simulate(replace(events.truth, muon_share=share), config, seed)


def _ten_times(events, hits):
    return _changed(events, hits, lambda light: 10.0 * light)


PLANTED = {
    "one clock 1 us late": of_one(CLEAR, late_clock),
    "... of a station above 30 VEM": of_one(BRIGHT, late_clock),
    "one clock 1 us early": of_one(CLEAR, lambda e, h: late_clock(e, h, -1000.0)),
    "... of a station above 30 VEM ": of_one(BRIGHT, lambda e, h: late_clock(e, h, -1000.0)),
    "one signal x 10": of_one(CLEAR, _ten_times),
    "one station dead, not marked": of_one(STRONG, without_hits),
    "one station of wrong polarity": of_one(
        STRONG, lambda e, h: _changed(e, h, lambda light: -light)
    ),
    "one after-pulse": of_one(CLEAR, lambda e, h: _changed(e, h, after_pulse)),
    "... of a station above 30 VEM  ": of_one(BRIGHT, lambda e, h: _changed(e, h, after_pulse)),
    "two showers overlaid": overlaid,
    "all muons": None,
    "front curved the other way": turned_front,
    "long pulses everywhere": lambda e: _changed(e, np.arange(e.n_hits), long_pulses),
}


def part_text(k: int, n: int) -> str:
    """k of n in per cent, with its binomial standard error."""
    p = k / max(n, 1)
    return f"{100 * p:.1f} ± {100 * np.sqrt(max(p * (1 - p), 1 / max(n, 1) ** 2) / max(n, 1)):.1f}"


def _row(name: str, found: Anomalies, rates) -> list[str]:
    known = np.isfinite(found.p_value)
    n = int(known.sum())
    cells = [part_text(int((found.p_value <= rate).sum()), n) for rate in rates]
    flagged = found.p_value <= rates[0]
    common = Counter(found.odd[flagged].tolist()).most_common(2)
    words = ", ".join(f"{word} {count / max(flagged.sum(), 1):.0%}" for word, count in common)
    return [name.strip(), f"{n} of {len(known)}", *cells, words]


def _false_alarms(found: Anomalies, rates) -> str:
    n, rows = (
        int(np.isfinite(found.p_value).sum()),
        [["stated", "flagged", "of", "95 % of such samples"]],
    )
    for rate in rates:
        k = int((found.p_value <= rate).sum())
        # The limit is one of the ranks: how often it is passed is itself uncertain.
        k_th = int(rate * (found.n_calibration + 1))
        low, high = betabinom.interval(0.95, n, k_th, found.n_calibration + 1 - k_th)
        rows.append([f"{rate:g}", str(k), str(n), f"{low:.0f} to {high:.0f}"])
    stations = int(found.station_flagged.sum())
    return markdown_table(rows) + f"\n\nStations flagged at {found.rate:g}: {stations}.\n"


def _real(paths, context, scale) -> str:
    lines = []
    for path in paths:
        found = find_anomalies(read_events(path), context, scale)
        for i in range(len(found.event_id)):
            own = np.flatnonzero((found.station_event == i) & found.station_flagged)
            which = "; ".join(f"{found.station_id[j]}: {found.station_odd[j]}" for j in own)
            words = f"p = {found.p_value[i]:.2g} ({found.odd[i]}, score {found.score[i]:.1f})"
            lines.append(f"* event {found.event_id[i]}: {words}; flagged stations: {which or '-'}")
    return "\n".join(lines)


def main() -> None:
    """Print the section."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=200, help="showers of every anomaly")
    parser.add_argument("--calibrate", type=int, default=2200, help="showers to calibrate with")
    parser.add_argument("--clean", type=int, default=1500, help="showers without anomaly")
    parser.add_argument("--real", nargs="*", default=(), help="measured event files")
    args = parser.parse_args()
    config = load_config({"seed": SEED, "showers": {"throws": 1}})
    stations = read_station_likelihood(STATIONS)
    context = Context(read_calibration(DEFAULT), config.reconstruction, stations=stations)
    scale = calibrate_anomalies(simulate_events(config, "test", 0, args.calibrate), context)
    rates = [rate for rate in RATES if rate * (len(scale.ranks) + 1) >= 1.0]
    clean = simulate_events(config, "validation", 0, args.clean)
    real = _real(args.real, context, scale) if args.real else ""
    print(real, file=sys.stderr, flush=True)
    quiet = find_anomalies(clean, context, scale)
    rows = [["planted", "judged", *(f"flagged at {rate:g} [%]" for rate in rates), "said of it"]]
    rows.append(_row("nothing", quiet, rates))
    print(rows[-1], _false_alarms(quiet, rates), file=sys.stderr, flush=True)
    for number, (name, plant) in enumerate(PLANTED.items()):
        events = simulate_events(config, "train", number * args.events, args.events)
        odd = all_muons(events, config, SEED + 1) if plant is None else plant(events)
        rows.append(_row(name, find_anomalies(odd, context, scale), rates))
        print(rows[-1], file=sys.stderr, flush=True)
    made = f"commit {provenance.commit()[:7]}, {provenance.now()[:10]}"
    words = " ".join(["python benchmarks/anomalies.py", f"--events {args.events}"])
    words += f" --calibrate {args.calibrate} --clean {args.clean}"
    print(f"`{words}`, {made}; ranks among {len(scale.ranks):,} events.\n")
    print(_false_alarms(quiet, rates))
    print(markdown_table(rows))
    if real:
        print("\nMeasured events:\n\n" + real)


if __name__ == "__main__":
    main()
