"""What the fit takes from an independent simulated sample: errors, prior, biases, energy table.

Nothing here sees the samples that networks are trained on or methods are scored with.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tashower.calibration.asymmetry import Asymmetry, Completion
from tashower.calibration.biases import FitPulls
from tashower.calibration.energy import EnergyTable
from tashower.calibration.errors import ErrorModel
from tashower.errors import InputError
from tashower.events.described import TELESCOPE_ARRAY_DESCRIBED, Described, described_from
from tashower.io import provenance
from tashower.io.event_file import with_present_names
from tashower.io.hdf5 import made_from
from tashower.io.json_file import read_json, write_json
from tashower.io.stages import stated
from tashower.types import FilePath

#: Version of the file; those before 2 have no checksum.
VERSION = 2
#: Calibration of the default configuration, made by `make sample`; for a first look at an event.
DEFAULT = Path(__file__).with_name("default_calibration.json")


@dataclass(frozen=True)
class Calibration:
    """Everything that the fit takes from simulation.

    Attributes
    ----------
    errors : errors of times and densities
    curvature_coefficients : <ln a> = c0 + s (c1 + s c2) + ln S800 (c3 + s c4), s = sec z - 1, a
        [ns], of the curvatures that the free fit finds
    curvature_width : rms of ln a around that
    energy : energy table
    pulls : {"free", "constrained" or "complete": FitPulls}
    described : lateral distribution and front that it was made with
    completion : what the complete fit takes beside; None: unknown (older files)
    published : energy table of the published fit, for its own S800; None: unknown (older files)
    """

    errors: ErrorModel
    curvature_coefficients: tuple
    curvature_width: float
    energy: EnergyTable
    pulls: dict
    described: Described = TELESCOPE_ARRAY_DESCRIBED
    completion: Completion | None = None
    published: EnergyTable | None = None


def _table_as_dict(table: EnergyTable) -> dict:
    content = {
        name: getattr(table, name).tolist() for name in ("secant", "log10_s_ref", "log10_energy")
    }
    if table.largest is not None:
        content["largest"] = table.largest
    if table.scatter is not None:
        content["scatter"] = table.scatter.tolist()
    return content


def _table_from(content: dict) -> EnergyTable:
    return EnergyTable(
        **{
            name: float(value) if name == "largest" else np.array(value, dtype=float)
            for name, value in with_present_names(content).items()
        }
    )


def _completion_as_dict(completion: Completion | None) -> dict:
    if completion is None:
        return {}
    return {
        "completion": {
            "errors": completion.errors._asdict(),
            "asymmetry": completion.asymmetry._asdict(),
            "onset": completion.onset,
            "curvature_coefficients": list(completion.curvature_coefficients),
            "curvature_width": completion.curvature_width,
            "silence_poisson": completion.silence_poisson,
        }
    }


def _completion_from(content: dict | None) -> Completion | None:
    if content is None or "onset" not in content:
        return None  # older than the complete fit, or than its front
    stated = content["asymmetry"]
    asymmetry = Asymmetry(
        bool(stated["used"]),
        tuple(float(x) for x in stated["share"]),
        tuple(float(x) for x in stated["attenuation"]),
        float(stated["length"]),
        float(stated["correlation"]),
    )
    errors = ErrorModel(**{name: float(value) for name, value in content["errors"].items()})
    coefficients = tuple(float(c) for c in content["curvature_coefficients"])
    onset, width, silence = (
        float(content[name]) for name in ("onset", "curvature_width", "silence_poisson")
    )
    return Completion(errors, asymmetry, onset, coefficients, width, silence)


def write_calibration(
    path: FilePath,
    calibration: Calibration,
    configuration: dict,
    inputs: Sequence[FilePath] = (),
    stage: str = "",
) -> None:
    """Write a calibration as JSON with what made it; stage : of `stages.STAGES`, or ""."""
    content = {
        "format": "tashower calibration",
        "version": VERSION,
        "software": provenance.software(),
        "commit": provenance.commit(),
        "created": provenance.now(),
        "versions": provenance.versions(),
        "inputs": [Path(p).name for p in inputs],
        "made_from": made_from(inputs),
        **stated(stage, configuration),
        "errors": calibration.errors._asdict(),
        "curvature_coefficients": list(calibration.curvature_coefficients),
        "curvature_width": calibration.curvature_width,
        "energy": _table_as_dict(calibration.energy),
        **(
            {"published": _table_as_dict(calibration.published)}
            if calibration.published is not None
            else {}
        ),
        **_completion_as_dict(calibration.completion),
        "pulls": {name: asdict(entry) for name, entry in calibration.pulls.items()},
        **calibration.described.as_dict(),
    }
    write_json(path, content)


def read_calibration(path: FilePath) -> Calibration:
    """Read a calibration.

    Raises
    ------
    InputError : no such file, damaged, not a calibration, another version, a missing entry.
    """
    content = read_json(path, "tashower calibration", (1, VERSION))
    try:
        return Calibration(
            errors=ErrorModel(**{name: float(value) for name, value in content["errors"].items()}),
            curvature_coefficients=tuple(float(c) for c in content["curvature_coefficients"]),
            curvature_width=float(content["curvature_width"]),
            energy=_table_from(content["energy"]),
            pulls={
                name: FitPulls(
                    **{
                        key: tuple(v) if key == "width" else float(v)
                        for key, v in with_present_names(entry).items()
                    }
                )
                for name, entry in content["pulls"].items()
            },
            described=described_from(content),
            completion=_completion_from(content.get("completion")),
            published=_table_from(content["published"]) if "published" in content else None,
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InputError(f"{path}: not a calibration ({error})") from None
