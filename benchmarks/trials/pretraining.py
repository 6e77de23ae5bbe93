"""An encoder that has learned from single stations, before it sees an event: when the first
particle came, and how many of each kind.
"""

import time
from pathlib import Path

import numpy as np
import torch

from tashower.config import Config, NetworkSettings
from tashower.config.networks import TileOptions
from tashower.events.model import Events
from tashower.network.layers import WaveformEncoder
from tashower.network.normalisation import measure
from tashower.network.sample import map_sample
from tashower.simulation.recorded import record_events
from trials.samples import beside_waveforms, throw_all

#: Passes over the waveforms, waveforms in a step, learning rate (choices).
PASSES, BATCH, RATE = 2, 1024, 0.003
#: Unit of the onset [ns] (choice).
_LATE = 400.0


def onset_and_numbers(events: Events, config: Config, split: str) -> np.ndarray:
    """(n_hits, 4) of every hit: 1, the first particle after the start of the waveform [400 ns],
    ln(1 + muons) and ln(1 + electromagnetic particles) over 2; all 0 where the shower has none.
    """
    found = np.zeros((events.n_hits, 4))
    particles = record_events(events, config, split)
    n_stations = events.array.n_stations
    slot = np.full(events.n_events * n_stations, -1)
    slot[particles.shower * n_stations + particles.station] = np.arange(len(particles.station))
    row = slot[events.hit_event * n_stations + events.hit_station]
    there, row = row >= 0, row[row >= 0]
    onset = particles.first_time[row] + particles.clock[row] - events.hit_time[there]
    number = np.log1p(particles.number[row]) / 2.0
    found[there] = np.column_stack([np.ones(len(row)), onset / _LATE, number])
    found[~np.isfinite(found).all(axis=1)] = 0.0
    return found


def pretrain(
    output: Path, folder: Path, config: Config, settings: NetworkSettings, n: int, seed: int
) -> float:
    """Write the weights of an encoder that was trained on the waveforms of a sample's first n
    showers, all of the training's; returns the CPU time of the training [s].

    folder : of the stored sample
    """
    sample = map_sample(folder / "train")
    targets = np.concatenate(
        [
            beside_waveforms(
                chunk.fitted._replace(fit=chunk.fits[settings.corrects]),
                settings.inputs,
                onset_and_numbers(chunk.fitted.events, config, "train"),
            )
            for chunk in throw_all(folder.parent, config, "train", n)
        ]
    )
    begun = time.process_time()
    width = measure(sample)["waveform_width"]
    torch.manual_seed(seed)
    channels = settings.options.get("waveform_channels", TileOptions().waveform_channels)
    n_bins, n_layers = sample.tiles.waveform.shape[1:]
    encoder = WaveformEncoder(n_bins, n_layers, channels)
    end = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(channels, 3))
    parameters = [*encoder.parameters(), *end.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=RATE)
    per_pass = max(1, len(targets) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, PASSES * per_pass)
    rng = np.random.default_rng(seed)
    for _ in range(PASSES):
        for rows in np.array_split(rng.permutation(len(targets)), per_pass):
            rows = np.sort(rows)
            waveform = torch.from_numpy(sample.tiles.waveform[rows]).float() / width
            known = torch.from_numpy(targets[rows])
            missed = (end(encoder(waveform)) - known[:, 1:]) * known[:, :1]
            loss = torch.nn.functional.smooth_l1_loss(missed, torch.zeros_like(missed))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    torch.save(encoder.state_dict(), output)
    return time.process_time() - begun
