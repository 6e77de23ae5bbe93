"""The whole analytic reconstruction of a set of events."""

from tashower.config import ReconstructionConfig
from tashower.events.model import Events, Pulses, Reconstruction
from tashower.reconstruction.calibration import Calibration, check_description
from tashower.reconstruction.features import event_features
from tashower.reconstruction.fit import fit_events
from tashower.reconstruction.plane import fit_planes
from tashower.reconstruction.pulses import find_pulses


def reconstruct(
    events: Events, calibration: Calibration, settings: ReconstructionConfig
) -> tuple[dict[str, Reconstruction], Pulses, dict]:
    """Pulses, the plane front, the free and the constrained fit, and the event features (of the
    free fit).

    Returns ({"free": ..., "constrained": ..., "plane": ..., "standard": what came with the data},
    pulses, {feature: (n_events,) array}).

    Raises
    ------
    InputError : the calibration was made with another lateral distribution or front.
    """
    check_description(calibration, events.array, "calibration")
    pulses = find_pulses(events)
    tables = {}
    for curvature in ("free", "constrained"):
        tables[curvature] = fit_events(events, pulses, calibration, settings, curvature)
    tables["plane"] = fit_planes(events, pulses)
    if events.standard is not None:
        tables["standard"] = events.standard
    return tables, pulses, event_features(events, pulses, tables["free"])
