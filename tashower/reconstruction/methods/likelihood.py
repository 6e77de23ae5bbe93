"""Posterior of the shower from what every station says of it: `likelihood_edges` and
`likelihood_waveforms`.

A station says when the light came and how much of it, or that nothing came; with waveforms, also
how the light was spread in time and over the layers. How likely that is for
a shower was learned from simulated stations (`calibration.station_likelihood`); the geometry is
explicit. docs/reconstruction.md has the whole.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from tashower.calibration.station_likelihood import StationLikelihood, check_same_stations
from tashower.errors import InputError
from tashower.events.array import Array
from tashower.events.described import check_described
from tashower.events.model import FLAGS, Events, Pulses, Reconstruction
from tashower.physics.geometry import axis_components
from tashower.progress import blocks
from tashower.reconstruction.likelihood.density import Learned, compiled_density
from tashower.reconstruction.likelihood.fit import Explored, Hits, explore_all
from tashower.reconstruction.likelihood.posterior import N_SHOWER, Model, Prior, mean_shower
from tashower.reconstruction.likelihood.ratio import codes, compiled_ratio
from tashower.reconstruction.likelihood.shapes import waveform_shapes
from tashower.reconstruction.likelihood.weighted import Draws
from tashower.reconstruction.methods import LIKELIHOOD, WAVEFORMS, Context
from tashower.reconstruction.methods.fits import fit_complete, table_of
from tashower.reconstruction.quality import FitSums, quality_flags, to_angles

#: Points of an event's posterior (choice): 18 each of seven frames, see `_draws`.
N_POINTS = 126
#: Those of a table: of every event, and of events whose weights are uneven (choices: edges have to
#: be fast; of 126 points in place of 72 their angles are 0.2 % smaller. Tails of a posterior that
#: few points reach make its covariance too small).
POINTS_OF_TABLE = {LIKELIHOOD: (72, 72), WAVEFORMS: (N_POINTS, 4 * N_POINTS)}
#: Effective number of points below which `few_points` is set (choice).
FEWEST_POINTS = 8.0
#: Degrees of freedom of the proposal (choice: tails that are wider than any posterior's); how many
#: sets of points there are, of which an event takes one (choice: the luck of one would be in all
#: events alike); steps of the matching, after which the covariance is 1 to nine digits.
DEGREES, TURNS, _MATCHINGS = 6.0, 8, 60
_BLOCK = 500  # events between two reports of progress
#: Columns of a point that are parameters of the result: core, n_x, n_y, ln S_ref, t0, a.
_RESULT = (0, 1, 2, 3, 4, 5, N_SHOWER)
#: Flags of the complete fit that hold for its events, whatever is found after it.
_OF_THE_START = (
    *("few_stations", "bad_chi2", "silent_rejected", "curvature", "silence", "left_out"),
)


class Posterior(NamedTuple):
    """Weighted points of the posterior of every event."""

    #: (n_events, n_points, 10) core x, y [m], n_x, n_y, ln(S_ref/(VEM/m^2)), t0 [ns], eta, ln odds
    #: of muons at the reference distance, ln scale of the delays, a [ns]; NaN where there is none
    points: np.ndarray
    weights: np.ndarray  #: (n_events, n_points), their sum is 1
    effective: np.ndarray  #: (n_events,) 1/sum of squared weights; 0 where there is none


@cache
def _draws(n_points: int) -> Draws:
    """TURNS sets of points for Student's t distribution with DEGREES, in pairs mirrored at 0. They
    lie on the axes of frames that are turned at random, each at another distance from 0 (Genz and
    Monahan 1998, doi:10.1137/S1064827595286803), so that no direction has more of them than
    another; then they are stretched a little, until their weights give a normal distribution its
    covariance exactly.

    Raises
    ------
    InputError : n_points is no multiple of 18; frames are whole.
    """
    from scipy.stats import f, ortho_group

    n_frames, more = divmod(n_points, 2 * N_SHOWER)
    if n_frames < 1 or more:
        raise InputError(f"{n_points} points of a posterior: no multiple of {2 * N_SHOWER}")
    sets = []
    for turn in range(TURNS):
        frames = ortho_group.rvs(N_SHOWER, size=n_frames, random_state=turn)
        order = np.random.default_rng(turn).permutation(n_frames)
        radius = np.sqrt(N_SHOWER * f.ppf((order + 0.5) / n_frames, N_SHOWER, DEGREES))
        z = (radius[:, None, None] * frames).reshape(-1, N_SHOWER)
        sets.append(_matched(np.concatenate([z, -z])))
    return Draws(np.array(sets), np.array([_log_density(z) for z in sets]))


def _log_density(z: np.ndarray) -> np.ndarray:
    """(n,) ln of the density of the proposal, up to a constant."""
    return -0.5 * (DEGREES + N_SHOWER) * np.log1p((z**2).sum(axis=1) / DEGREES)


def _matched(z: np.ndarray) -> np.ndarray:
    """Points whose weights give a normal distribution the covariance 1 (moment matching)."""
    for _ in range(_MATCHINGS):
        log_weight = -0.5 * (z**2).sum(axis=1) - _log_density(z)
        weight = np.exp(log_weight - log_weight.max())
        covariance = (z * (weight / weight.sum())[:, None]).T @ z
        z = z @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    return z


def _model(stations: StationLikelihood, array: Array, shaped: bool) -> Model:
    variety = stations.variety
    prior = Prior(
        variety.coefficients,
        np.linalg.inv(variety.covariance),
        variety.attenuation,
        variety.curvature,
    )
    ratio = compiled_ratio(stations.ratio if shaped else None)
    learned = Learned(compiled_density(stations.density), ratio)
    return Model(learned, prior, array.lateral, float(array.detector.area))


def _begin(fit: Reconstruction, stations: StationLikelihood) -> tuple[np.ndarray, np.ndarray]:
    """((n, 9) shower of a fit, completed by the mean of such showers; (n, 9, 9) covariance)."""
    n = len(fit)
    n_x, n_y, n_z = axis_components(fit.zenith, fit.azimuth)
    start, spread = mean_shower(fit, stations), np.zeros((n, N_SHOWER, N_SHOWER))
    jacobian = np.zeros((n, 6, 7))
    for i in (0, 1, 5):
        jacobian[:, i, i] = 1.0
    jacobian[:, 4, 4] = 1.0 / fit.s_ref
    jacobian[:, 2, 2], jacobian[:, 2, 3] = n_z * np.cos(fit.azimuth), -n_y
    jacobian[:, 3, 2], jacobian[:, 3, 3] = n_z * np.sin(fit.azimuth), n_x
    spread[:, :6, :6] = jacobian @ fit.covariance @ jacobian.transpose(0, 2, 1)
    # At the very vertical a rank is missing.
    spread[:, 2, 2] += 1e-10
    spread[:, 3, 3] += 1e-10
    spread[:, 6:, 6:] = stations.variety.covariance
    spread[~np.isfinite(spread).all(axis=(1, 2))] = np.nan
    return start, spread


def _checked(events: Events, context: Context, name: str) -> StationLikelihood:
    """The station likelihood of a context, for a method and events.

    Raises
    ------
    InputError : there is none, or one of other stations, or one without waveforms, or events
        without; distances on the ground.
    """
    stations, detector = context.stations, events.array.detector
    if stations is None:
        raise InputError(
            f"{name} needs a station likelihood: make one with `tashower "
            "station-likelihood`, and name it with --station-likelihood"
        )
    if context.settings.distance != "axis":
        raise InputError(f"{name}: reconstruction.distance has to be axis")
    check_described(stations.described, events.array.described, "station likelihood")
    check_same_stations(stations, float(detector.area), int(detector.n_layers))
    if name == WAVEFORMS and stations.ratio is None:
        raise InputError(f"{name}: the station likelihood was learned without waveforms")
    if name == WAVEFORMS and events.waveform is None:
        raise InputError(f"{name}: the events have no waveforms")
    return stations


def _explored(
    told: tuple[Events, Pulses, Context], fit: Reconstruction, name: str, n_kept: int = 0
) -> Explored:
    """Posteriors of a method; n_kept : points to take and to keep, or 0: POINTS_OF_TABLE, none is
    kept.

    Raises
    ------
    InputError : see `_checked`.
    """
    events, pulses, context = told
    stations = _checked(events, context, name)
    array, n = events.array, events.n_events
    shape = np.zeros((events.n_hits, 0), np.float32)
    if name == WAVEFORMS:
        shape = codes(stations.ratio, waveform_shapes(events, pulses))
    kept = n if n_kept else 0
    found = Explored(
        np.full((n, N_SHOWER + 1), np.nan),
        np.full((n, N_SHOWER + 1, N_SHOWER + 1), np.nan),
        np.zeros(n),
        np.full(n, np.nan),
        np.full((kept, n_kept, N_SHOWER + 1), np.nan),
        np.zeros((kept, n_kept)),
    )
    signal = np.nan_to_num(pulses.signal.mean(axis=1))
    hits = Hits(
        *(events.hit_offset, events.hit_station, pulses.arrival_time, signal, pulses.saturated),
        shape,
        *(events.dead_offset, events.dead_station),
    )
    start, spread = _begin(fit, stations)
    start[~np.isfinite(spread).all(axis=(1, 2))] = np.nan
    model = _model(stations, array, name == WAVEFORMS)
    few, many = (n_kept, n_kept) if n_kept else POINTS_OF_TABLE[name]
    draws = _draws(few), _draws(many)
    for rows in blocks(f"fit ({name})", n, _BLOCK):
        ends = slice(rows.start, rows.stop + 1)
        part = hits._replace(offset=hits.offset[ends], dead_offset=hits.dead_offset[ends])
        explore_all(
            part,
            array.position,
            model,
            stations.background,
            (start[rows], spread[rows]),
            draws,
            Explored(*(column[rows] for column in found)),
        )
    return found


def posterior_points(
    events: Events,
    pulses: Pulses,
    context: Context,
    name: str = LIKELIHOOD,
    n_points: int = N_POINTS,
) -> Posterior:
    """Points of the posterior of every event, such as a likelihood method makes its table of.

    Parameters
    ----------
    events, pulses, context : as of a method
    name : of `methods.LIKELIHOODS`
    n_points : how many, a multiple of 18; those of the tables are POINTS_OF_TABLE

    Raises
    ------
    InputError : no station likelihood, or one of other stations; distances on the ground; another
        number of points.
    """
    _draws(n_points)  # refuses before the work
    fit = fit_complete(events, pulses, context)
    found = _explored((events, pulses, context), fit, name, n_points)
    return Posterior(found.points, found.weights, found.effective)


def fit_likelihood_edges(events: Events, pulses: Pulses, context: Context) -> Reconstruction:
    """Posterior mean and covariance of core, direction, S_ref, t0 and curvature, given leading
    edges and signals of all hits, and the silence of the other stations that work.

    It begins at the complete fit, climbs to the maximum of the posterior, and takes its mean from
    points around it, weighted (importance sampling; POINTS_OF_TABLE); a posterior that ends where a
    station would saturate is looked at along one line before (`likelihood.saturation`). Beside
    core, direction, S_ref and t0, whose prior is flat, the slope of the lateral distribution, the
    muon share and the scale of the delays are free within how showers vary.

    chi2, ndof, numbers of stations and the cuts on them are those of the complete fit: a posterior
    has no chi2. Energies are those of S_ref and zenith, as of all fits.

    Not included: waveforms; correlations between stations that the three numbers do not describe;
    that an array has to trigger changes nothing, since what was seen says that it did.

    Raises
    ------
    InputError : no station likelihood, or one of other stations; distances on the ground.
    """
    return _fit(events, pulses, context, LIKELIHOOD)


def fit_likelihood_waveforms(events: Events, pulses: Pulses, context: Context) -> Reconstruction:
    """As `fit_likelihood_edges`, from the shapes of waveforms, too.

    What a shape adds to leading edge and signal was learned from simulated stations as a ratio of
    likelihoods (`calibration.station_likelihood.Ratio`). In a first climb to the maximum it does
    not count.

    Raises
    ------
    InputError : as `fit_likelihood_edges`; a station likelihood, or events, without waveforms.
    """
    return _fit(events, pulses, context, WAVEFORMS)


def _fit(events: Events, pulses: Pulses, context: Context, name: str) -> Reconstruction:
    fit = fit_complete(events, pulses, context)
    found = _explored((events, pulses, context), fit, name)
    p = found.mean[:, _RESULT]
    covariance = found.covariance[:, _RESULT][:, :, _RESULT]
    good = fit.valid & np.isfinite(p).all(axis=1)
    p, covariance = to_angles(np.where(good[:, None], p, np.nan), covariance)
    n = np.zeros(len(fit))
    sums = FitSums(
        fit.chi2.copy(), fit.ndof, fit.n_stations, good, fit.n_excluded, n.astype(int), n, n, n - 1
    )
    flags = quality_flags(events.array, p, covariance, sums, context, np.ones(len(fit), bool))
    for name in _OF_THE_START:
        bit = np.uint16(1 << FLAGS.index(name))
        flags = (flags & ~bit) | (fit.flags & bit)
    few = found.effective < FEWEST_POINTS
    flags |= few.astype(np.uint16) << np.uint16(FLAGS.index("few_points"))
    return table_of(events, p, covariance, sums, flags, context)
