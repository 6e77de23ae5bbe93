"""The Telescope Array's reconstruction as published: front alone, lateral distribution alone, and
the joint fit that the published networks correct.
"""

from dataclasses import replace

import numpy as np

from tashower.calibration.calibration import Calibration
from tashower.calibration.errors import ErrorModel
from tashower.errors import InputError
from tashower.events.array import Array, description_of
from tashower.events.model import FLAGS, Events, Pulses, Reconstruction
from tashower.progress import blocks
from tashower.reconstruction.joint.model import FitSettings
from tashower.reconstruction.joint.observe import geometry_of, hit_columns
from tashower.reconstruction.methods import TABLE, Context
from tashower.reconstruction.methods.fits import signal_of_events, table_of
from tashower.reconstruction.published.fit import Stages, fit_all
from tashower.reconstruction.published.together import SIGNAL_WEIGHT, PublishedSettings
from tashower.reconstruction.quality import FitSums, quality_flags, to_angles

_BLOCK = 2000  # events between two reports of progress


def published_settings(array: Array, distance: str = "axis") -> PublishedSettings:
    """What the compiled fit is told; distance: "axis" or "ground"."""
    errors = ErrorModel(signal_poisson=1.0 / SIGNAL_WEIGHT)  # the weight of its Poisson terms
    joint = FitSettings(description_of(array, distance), errors, False, np.zeros(5), 1.0)
    return PublishedSettings(joint, float(array.spacing))


def fit_stages(events: Events, pulses: Pulses, distance: str = "axis") -> Stages:
    """Results of all stages of every event, one row each; NaN where there is none."""
    n = events.n_events

    def nothing(*shape):
        return np.full((n, *shape), np.nan)

    found = Stages(
        nothing(7), nothing(7, 7), np.zeros((n, 8)), nothing(7), nothing(7), nothing(7), nothing(7)
    )
    hits, geometry = hit_columns(events, pulses), geometry_of(events)
    settings = published_settings(events.array, distance)
    for rows in blocks("fit (published)", n, _BLOCK):
        ends = slice(rows.start, rows.stop + 1)
        part = hits._replace(offset=hits.offset[ends], dead_offset=hits.dead_offset[ends])
        fit_all(part, geometry, settings, Stages(*(column[rows] for column in found)))
    return found


def with_own_table(context: Context) -> Context:
    """The context with the energy table of this fit's own S800 in place of the free fit's.

    Raises
    ------
    InputError : a calibration without that table.
    """
    calibration: Calibration = context.calibration
    if context.primary != TABLE:
        return context
    if calibration.published is None:
        raise InputError(
            "the calibration is older than the published fit: make it again (tashower calibrate)"
        )
    return context._replace(calibration=replace(calibration, energy=calibration.published))


def fit_published(events: Events, pulses: Pulses, context: Context) -> Reconstruction:
    """The Telescope Array's reconstruction: what its authors compare with.

    1. Front alone, with the usual curvature of its zenith (`published.geometry`); stations without
       which its sum falls by 4 are left out, one at a time, as long as four stay (none of more than
       a hundred). Then with a free curvature.
    2. Lateral distribution alone (`published.stations`), direction of the first front, core within
       180 m of the centre of gravity, stations beyond 600 m of it: S800, and from it the energy.
    3. Times and signals together, seven parameters, from the free front:

            t = t0 + t_plane + a (1 + r/30 m)^1.5 LDF^-0.5,     S = S800 LDF(r)
            sigma_t^2 = (30 ns)^2 + (0.563 a S800^0.5 (1 + r/30 m)^1.5 S_fit^-0.3)^2
            sigma_S^2 = 2 S/A + (0.15 S)^2, S observed;   where less than 4 VEM/m^2 are expected,
            0.4 of a Poisson term of the signal in VEM; for silent stations 0.25 of it

       (0.563 = 0.377/0.67: the code's curvature is that of the formula over 0.67). Saturated
       stations give their time alone. Three passes, in each the errors of the result before.

    Core, direction, t0 and `a` are those of the joint fit, S800 and energy those of the lateral
    fit, which are the published ones; the covariance is the inverse of half the second derivatives
    of either, without correlations between the two. Nothing is calibrated: no shifts, no biases, no
    widths of pulls. The energy is that of `Calibration.published`, a table for this S800, or of the
    context's primary. chi2 and ndof are those of the joint fit without silent stations; the flag
    bad_chi2 is set as well where either of the other fits (free front, lateral) has more than the
    cut for each degree of freedom.

    Sources: public source code of the Telescope Array, for 1 and 2 rufptn and rufldf, for 3 nuf
    (github.com/nj-vs-vh/tasdmc, old/nuf.i12aop/src/iterate.cpp); Ivanov 2012, PhD thesis, Rutgers;
    Abu-Zayyad et al. 2013, doi:10.1088/2041-8205/768/1/L1; Ivanov et al. 2020, arXiv:2005.07117.

    Not included: rise times in the errors of stage 1 (a mean one stands for all); hits outside of
    the cluster with more than 10 VEM, whose signals the code takes; silent stations that are not
    neighbours of the cluster's (the code takes those within 3.5 spacings of the strongest); its
    minimiser (simplex). R_m of the lateral distribution is the array's in all stages (the code has
    91.6 m in stage 2, 90 m in stage 3).

    Raises
    ------
    InputError : a calibration without a table for this fit.
    """
    context = with_own_table(context)
    found = fit_stages(events, pulses, context.settings.distance)
    fitted, covariance = found.p.copy(), found.covariance.copy()
    fitted[:, 4] = found.lateral[:, 4]
    covariance[:, 4, :] = covariance[:, :, 4] = 0.0
    covariance[:, 4, 4] = found.quality[:, 6]
    p, covariance = to_angles(fitted, covariance)
    chi2, good = found.sums[:, 0].copy(), found.sums[:, 4] > 0
    ndof, used, left_out = found.sums[:, 1:4].astype(np.int32).T
    signal, nobody = signal_of_events(events, pulses), np.zeros(events.n_events, np.int32)
    outside = signal - found.sums[:, 7] * float(events.array.detector.area)
    sums = FitSums(chi2, ndof, used, good, nobody, nobody, found.sums[:, 6], signal, outside)
    flags = quality_flags(events.array, p, covariance, sums, context)
    with np.errstate(invalid="ignore"):
        per_ndof = found.quality[:, 1:3] / np.maximum(found.quality[:, 4:6], 1.0)
        bad = ~(per_ndof < context.settings.max_chi2_per_ndof).all(axis=1)
    flags |= bad.astype(np.uint16) << np.uint16(FLAGS.index("bad_chi2"))
    # Only now the stations left out: no flag counts them against chi2.
    return table_of(events, p, covariance, sums._replace(rejected=left_out), flags, context)
