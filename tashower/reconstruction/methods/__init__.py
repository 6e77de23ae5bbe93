"""The reconstruction methods: each a function (events, pulses, context) -> Reconstruction.

Every method returns one row per event, in their order; a row without a trustworthy result is
flagged invalid and NaN in all parameters; a covariance that is not known is NaN.
tests/reconstruction/test_contract.py holds what all of them owe.
"""

from collections.abc import Callable
from typing import NamedTuple

from tashower.calibration.calibration import Calibration
from tashower.calibration.station_likelihood import StationLikelihood
from tashower.config import ReconstructionConfig
from tashower.events.model import Events, Pulses, Reconstruction

#: The methods that need a station likelihood, and are made where there is one: from leading edges
#: and signals; and from the shapes of waveforms, too, where it has learned them and events have
#: waveforms.
LIKELIHOOD, WAVEFORMS = LIKELIHOODS = ("likelihood_edges", "likelihood_waveforms")
#: Energies from the energy table of the calibration.
TABLE = "table"


class Context(NamedTuple):
    """What a method is told beside the events."""

    calibration: Calibration
    settings: ReconstructionConfig  #: section `reconstruction` of the configuration
    minimiser: str = "compiled"  #: or "scipy": the same sum with scipy's least squares
    #: where energies come from: TABLE, the calibration's, or a name of `energy.PRIMARIES`: the
    #: relation of showers of this primary
    primary: str = TABLE
    #: what single stations say: of the methods LIKELIHOODS
    stations: StationLikelihood | None = None


Method = Callable[[Events, Pulses, Context], Reconstruction]


def methods() -> dict[str, Method]:
    """{name: method}, in the order in which they are run and shown."""
    from tashower.reconstruction.methods.fits import fit_complete, fit_constrained, fit_free
    from tashower.reconstruction.methods.likelihood import (
        fit_likelihood_edges,
        fit_likelihood_waveforms,
    )
    from tashower.reconstruction.methods.plane import fit_planes
    from tashower.reconstruction.methods.published import fit_published

    return {
        "free": fit_free,
        "published": fit_published,
        "constrained": fit_constrained,
        "complete": fit_complete,
        "plane": fit_planes,
        LIKELIHOOD: fit_likelihood_edges,
        WAVEFORMS: fit_likelihood_waveforms,
    }
