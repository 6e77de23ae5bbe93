"""Speed of a training step: waveforms of hit stations only, against the dense (N, N, T, 2) tile in
the same network; and of a network that is applied in all orientations.

    python benchmarks/network.py

Default configuration, one CPU thread. The outputs are the same, but for what bfloat16
rounds.
"""

import copy
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import load_config
from tashower.events.model import select_events, select_rows
from tashower.network.contracts import ModelInputs, build_model, find_head, find_model
from tashower.network.heads.mean import loss as loss_of
from tashower.network.normalisation import measure
from tashower.network.predict import Trained, outputs, turned_outputs
from tashower.network.sample import Sample, correction, map_sample, store_sample, take_batch
from tashower.network.tiles import ORIENTATIONS, STATION_FEATURES, TARGETS, make_tiles
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


class Convolutions(torch.nn.Module):
    """The same encoder as convolutions along the waveform, with the same weights: as one would
    write it for a dense tile.
    """

    def __init__(self, encoder):
        super().__init__()
        steps = []
        for linear, width in ((encoder.pieces, 4), (encoder.pairs, 2), (encoder.quads, 2)):
            channels = linear.in_features // width
            conv = torch.nn.Conv1d(channels, linear.out_features, width, stride=width)
            conv.weight.data = linear.weight.data.unflatten(1, (width, channels)).mT.contiguous()
            conv.bias.data = linear.bias.data.clone()
            steps += [conv, torch.nn.ReLU()]
        self.steps, self.out = torch.nn.Sequential(*steps), copy.deepcopy(encoder.out)

    def forward(self, waveform):
        """(h, T, L) -> (h, channels)."""
        x = self.steps(waveform.transpose(1, 2))  # (h, 2C, T/16)
        return self.out(x.transpose(1, 2).flatten(1))


class Steps:
    """Training steps of one kind, as training makes them."""

    def __init__(self, network, dense: bool, half: bool):
        self.network, self.dense, self.half = copy.deepcopy(network).train(), dense, half
        self.optimiser = torch.optim.AdamW(self.network.parameters(), fused=half or None)

    def run(self, sample, step: int, batch_size: int) -> None:
        """One forward and backward pass."""
        rows = np.arange(batch_size) + batch_size * (step % (len(sample.rows) // batch_size))
        cells, features, waveform, place, targets = take_batch(sample, rows, step % 8, "cpu")
        if self.dense:
            whole = waveform.new_zeros(cells.shape[0] * cells.shape[1] ** 2, *waveform.shape[1:])
            whole[place] = waveform
            waveform, place = whole, torch.arange(len(whole))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            output = self.network(cells, features, waveform, place)
        loss = loss_of(output, targets)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()


def step_rates(network, sample, batch_size: int, n: int = 8) -> dict[str, float]:
    """Events per second of training steps of every kind, each the best of n in turns with the
    others; CPU time, of one thread.
    """
    convolved = copy.deepcopy(network)
    convolved.encoder = Convolutions(network.encoder)
    some = torch.from_numpy(sample.tiles.waveform[:100]).float()
    torch.testing.assert_close(convolved.encoder(some), network.encoder(some))
    kinds = {
        "dense tile, convolutions": Steps(convolved, True, False),
        "dense tile, matrix products": Steps(network, True, False),
        "hit stations only": Steps(network, False, False),
        "hit stations only, bfloat16": Steps(network, False, True),
    }
    best = dict.fromkeys(kinds, np.inf)
    for step in range(n + 1):
        for name, steps in kinds.items():
            started = time.process_time()
            steps.run(sample, step, batch_size)
            if step:
                best[name] = min(best[name], time.process_time() - started)
    return {name: batch_size / seconds for name, seconds in best.items()}


def application_rates(network, sample, n: int = 4) -> dict[str, float]:
    """Events per second of the answer in all orientations, in two ways; the best of n in turns."""
    trained = Trained(network, find_head("mean"), measure(sample), True)
    equal = ORIENTATIONS[sample.kind]
    kinds = {
        "one orientation after the other": lambda: [
            outputs(trained, sample, "cpu", one) for one in equal
        ],
        "all at once": lambda: turned_outputs(trained, sample, "cpu", equal),
    }
    best = dict.fromkeys(kinds, np.inf)
    for _ in range(n):
        for name, ask in kinds.items():
            started = time.process_time()
            ask()
            best[name] = min(best[name], time.process_time() - started)
    return {name: len(sample.rows) / seconds for name, seconds in best.items()}


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
    """Print events per second and the ratios."""
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
    hit = len(sample.tiles.waveform) / (len(sample.rows) * size.tile**2)
    rates = step_rates(network, sample, batch)
    print(f"training step, default network, one thread; {100 * hit:.0f} % of the cells are hit")
    print("                                               events/s   ratio")
    slowest, *_ = rates.values()
    for name, found in rates.items():
        print(f"  {name:44} {found:8.0f}   {found / slowest:5.1f}")
    sparse = rates["hit stations only"]
    found = application_rates(network, sample)
    first, *_ = found.values()
    print("applied, eight orientations, one thread        events/s   ratio   of the training's")
    for name, each in found.items():
        print(f"  {name:44} {each:8.0f}   {each / first:5.1f}   {each / sparse:5.2f}")
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
