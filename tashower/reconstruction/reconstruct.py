"""The whole analytic reconstruction of a set of events."""

from collections.abc import Sequence

from tashower.calibration.calibration import Calibration
from tashower.calibration.station_likelihood import StationLikelihood
from tashower.config import ReconstructionConfig
from tashower.events.described import check_described
from tashower.events.model import Events, Pulses, Reconstruction
from tashower.reconstruction.features import event_features
from tashower.reconstruction.methods import LIKELIHOOD, TABLE, WAVEFORMS, Context, methods
from tashower.reconstruction.pulses import find_pulses

#: The method whose result the event features describe.
FEATURES_OF = "free"


def _is_possible(name: str, events: Events, stations: StationLikelihood | None) -> bool:
    """Whether a method has what it needs."""
    if name == LIKELIHOOD:
        return stations is not None
    if name == WAVEFORMS:
        shapes = stations is not None and stations.ratio is not None
        return shapes and events.waveform is not None
    return True


def reconstruct(
    events: Events,
    calibration: Calibration,
    settings: ReconstructionConfig,
    minimiser: str = "compiled",
    only: Sequence[str] | None = None,
    primary: str = TABLE,
    stations: StationLikelihood | None = None,
) -> tuple[dict[str, Reconstruction], Pulses, dict]:
    """Pulses, every method, and the event features (of the free fit).

    minimiser : "compiled", or "scipy": the same sum through scipy.optimize, for checks
    only : names of methods; None: all. The free fit is always made: the features need it.
    stations : station likelihood; without one the methods that need it are made only if they are
        named, and refused; so is the one that needs waveforms, where events have none
    primary : TABLE for the calibration's energy table, or a name of `calibration.energy.PRIMARIES`

    Returns ({method: Reconstruction, "standard": what came with the data}, pulses, {feature:
    (n_events,) array}).

    Raises
    ------
    InputError : the calibration was made with another lateral distribution or front.
    """
    check_described(calibration.described, events.array.described, "calibration")
    pulses = find_pulses(events)
    context = Context(calibration, settings, minimiser, primary, stations)
    tables = {}
    for name, method in methods().items():
        if only is not None and name not in {*only, FEATURES_OF}:
            continue
        if only is None and not _is_possible(name, events, stations):
            continue
        tables[name] = method(events, pulses, context)
    if events.standard is not None:
        tables["standard"] = events.standard
    return tables, pulses, event_features(events, pulses, tables[FEATURES_OF])
