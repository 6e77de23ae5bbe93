"""A station likelihood, from a configuration."""

from tashower.calibration.station_likelihood import StationLikelihood
from tashower.config import Config
from tashower.likelihood.hits import sample_hits
from tashower.likelihood.ratio import train_ratio
from tashower.likelihood.showers import background_of, variety_of
from tashower.likelihood.stations import sample_stations
from tashower.likelihood.training import train_density
from tashower.simulation.simulate import array_from_config

#: How often each station is seen (choice).
EPOCHS = 12.0


def learn_station_likelihood(
    config: Config, n_stations: int, epochs: float = EPOCHS, waveforms: bool = True
) -> StationLikelihood:
    """Simulate stations and learn what they say (`calibration.station_likelihood`).

    waveforms : also what their shapes add (`Ratio`), from as many stations

    Nothing of samples that methods are scored with: stations have random streams of their own.
    """
    array, seed = array_from_config(config), config.seed % 2**32
    density = train_density(sample_stations(config, 0, n_stations), epochs, seed)
    ratio = None
    if waveforms:
        # After the stations of the density; blocks of 50,000 are drawn together.
        first = -(-n_stations // 50_000) * 50_000
        ratio = train_ratio(sample_hits(config, first, n_stations, density), epochs, seed)
    return StationLikelihood(
        density,
        background_of(config),
        variety_of(config),
        float(array.detector.area),
        int(array.detector.n_layers),
        array.described,
        ratio,
    )
