"""Speed of a training step: waveforms of hit stations only, against the dense (N, N, T, 2) tile in
the same network.

    python benchmarks/network.py

Default configuration, one CPU thread. The outputs are the same (a test shows it).
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import load_config
from tashower.events.model import select_events, select_rows
from tashower.network.contracts import ModelInputs, build_model, find_model
from tashower.network.heads.mean import loss as loss_of
from tashower.network.sample import Sample, correction, map_sample, store_sample, take_batch
from tashower.network.tiles import STATION_FEATURES, TARGETS, make_tiles
from tashower.reconstruction.features import EVENT_FEATURES
from tashower.reconstruction.pulses import find_pulses
from tashower.reconstruction.reconstruct import reconstruct
from tashower.simulation.simulate import simulate_events


def made_sample(config) -> Sample:
    """A small sample, made in memory."""
    size = config.networks["waveforms_and_features"].inputs
    events = simulate_events(config, "train", 0, 3000)
    tables, _, features = reconstruct(events, read_calibration(DEFAULT), config.reconstruction)
    good = np.flatnonzero(tables["free"].passes_cuts)
    chosen = select_events(events, good)
    fit = select_rows(tables["free"], good)
    tiles = make_tiles(chosen, find_pulses(chosen), fit, size.tile, size.n_bins)
    columns = np.stack(
        [np.nan_to_num(features[name][good]) for name in EVENT_FEATURES], axis=1
    ).astype(np.float32)
    first = np.concatenate(
        [[0], np.cumsum(np.bincount(tiles.waveform_event, minlength=len(good)))]
    ).astype(np.int64)
    return Sample(tiles, columns, correction(fit, chosen.truth), first, good)


def rate(network, sample, n, dense, batch_size) -> float:
    """Events per second of forward and backward passes."""
    optimiser = torch.optim.AdamW(network.parameters())
    started, done = time.perf_counter(), 0
    for step in range(n):
        rows = np.arange(batch_size) + batch_size * (step % (len(sample.rows) // batch_size))
        cells, features, waveform, place, targets = take_batch(sample, rows, step % 8, "cpu")
        if dense:
            whole = waveform.new_zeros(cells.shape[0] * cells.shape[1] ** 2, *waveform.shape[1:])
            whole[place] = waveform
            waveform, place = whole, torch.arange(len(whole))
        loss = loss_of(network(cells, features, waveform, place), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        done += batch_size
    return done / (time.perf_counter() - started)


def loading_rate(folder, batch_size, drop: bool) -> float | None:
    """Events per second of an epoch's batches; drop: of files that are not in memory (None where
    that cannot be arranged).
    """
    sample = map_sample(folder)
    order = np.random.default_rng(1).permutation(len(sample.rows))
    if drop:
        try:
            os.sync()
            Path("/proc/sys/vm/drop_caches").write_text("1")
        except OSError:
            return None
    started = time.perf_counter()
    for rows in np.array_split(order, len(order) // batch_size):
        take_batch(sample, np.sort(rows), 3, "cpu")
    return len(order) / (time.perf_counter() - started)


def main() -> None:
    """Print events per second and the ratio."""
    torch.set_num_threads(1)
    config = load_config()
    settings = config.networks["waveforms_and_features"]
    sample, size = made_sample(config), settings.inputs
    torch.manual_seed(0)
    inputs = ModelInputs(
        tile=size.tile,
        n_bins=size.n_bins,
        n_layers=2,
        station_features=STATION_FEATURES,
        event_features=tuple(EVENT_FEATURES),
        waveforms=True,
        lattice="square",
        n_outputs=len(TARGETS),
    )
    network = build_model(find_model("grid"), inputs, {"dropout": 0.0})
    batch = settings.training.batch_size
    rate(network, sample, 2, False, batch)
    sparse, dense = rate(network, sample, 20, False, batch), rate(network, sample, 6, True, batch)
    hit = len(sample.tiles.waveform) / (len(sample.rows) * size.tile**2)
    print("training step, default network, one thread     events/s   ratio")
    print(f"  hit stations only ({100 * hit:.0f} % of the cells)           {sparse:8.0f}       1")
    print(f"  dense tile                                   {dense:8.0f}   {sparse / dense:5.1f}")
    print("batches from disk, all events in random order  events/s   of the training's")
    with tempfile.TemporaryDirectory() as folder:
        store_sample(folder, [sample] * 20)
        for name, drop in (("in the system's file cache", False), ("not in it", True)):
            found = loading_rate(folder, batch, drop)
            print(
                f"  {name:40} {found:12.0f}   {found / sparse:5.1f}"
                if found
                else f"  {name}: only root can empty it"
            )


if __name__ == "__main__":
    main()
