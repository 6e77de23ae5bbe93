"""A station likelihood, from a configuration."""

from tashower.calibration.station_likelihood import StationLikelihood
from tashower.config import Config
from tashower.likelihood.showers import background_of, variety_of
from tashower.likelihood.stations import sample_stations
from tashower.likelihood.training import train_density
from tashower.simulation.simulate import array_from_config

#: Stations, and how often each is seen (choices: two minutes on one core).
STATIONS, EPOCHS = 4_000_000, 12.0


def learn_station_likelihood(
    config: Config, n_stations: int = STATIONS, epochs: float = EPOCHS
) -> StationLikelihood:
    """Simulate stations and learn what they say (`calibration.station_likelihood`).

    Nothing of samples that methods are scored with: stations have random streams of their own.
    """
    array = array_from_config(config)
    sample = sample_stations(config, 0, n_stations)
    return StationLikelihood(
        train_density(sample, epochs, config.seed % 2**32),
        background_of(config),
        variety_of(config),
        float(array.detector.area),
        int(array.detector.n_layers),
        array.described,
    )
