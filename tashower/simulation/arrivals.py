"""Particles of one kind in a station: drawn one by one, or many at once. Compiled."""

import math
from typing import NamedTuple

from tashower.physics.compiled import inner
from tashower.simulation.particles import gamma_polynomial, light_moments, put_particle
from tashower.simulation.random_numbers import (
    NORMAL_TABLE,
    early_erlang,
    erlang,
    late_erlang,
    log_normal,
    log_normal_survival,
    next_bits,
    normal,
    poisson,
    quick,
    uniform,
)
from tashower.simulation.record import fine_bin, fine_edge, note_first, note_number, note_particle

#: More particles of a kind than this are drawn per bin instead of one by one.
MOST_INDIVIDUAL = 150.0
#: ... and where a bin expects more than this their sum is drawn from its exact moments.
MOST_INDIVIDUAL_IN_BIN = 10.0
#: Most particles of a bin of which each has a delay of its own in a record (choice).
_MOST_NOTED = 200


@inner
def _put_many(state, impulse, k, expected, mean, common, own):
    """Light of a Poisson number of particles with mean `expected` in bin k: normal with the exact
    compound moments.

    Var = expected <x^2>, Cov of the layers = expected <x y>; common = sqrt<x y>, own = sqrt(<x^2> -
    <x y>). Returns the mean light of the layers.
    """
    root = math.sqrt(expected)
    bits = next_bits(state)
    shared = expected * mean + root * common * quick(NORMAL_TABLE, bits, 0)
    total = 0.0
    for layer in range(2):
        # Half a bin late on average: shared between the bin and the next.
        light = 0.5 * max(shared + root * own * quick(NORMAL_TABLE, bits, 1 + layer), 0.0)
        impulse[layer, k] += light
        impulse[layer, k + 1] += light
        total += light
    return total


@inner
def draw_number(state, mean_number):
    """Poisson number of particles of one kind; -1 where they are so many that they are drawn per
    bin.
    """
    return poisson(state, mean_number) if mean_number < MOST_INDIVIDUAL else -1


class Component(NamedTuple):
    """Particles of one kind in a station."""

    mean_number: float
    scale: float  #: of the distribution of their delay [ns]: gamma's, or the log-normal median
    shape: int  #: of the gamma distribution
    secant: float  #: sec z for muons, 0 for electromagnetic particles
    sigma: float = 0.0  #: of the log-normal distribution; 0: gamma


@inner(inline=False)
def put_component(state, impulse, bin_width, start, number, component, record=None):
    """All particles of one kind in a station.

    Few are drawn one by one. Of many, those that come in bins that expect more than
    `MOST_INDIVIDUAL_IN_BIN` are drawn per bin, those before (the leading edge) and after one by
    one: the numbers of the three parts are independent Poisson variates.

    Parameters
    ----------
    impulse : (2, n) float, light per layer and bin [VEM], added to
    start : onset [ns] after the first bin's start
    number : of particles, from `draw_number`
    component : `Component`
    record : `record.Record` in which every particle is noted, or None
    """
    onset, step = start / bin_width, component.scale / bin_width
    if number < 0:
        number = _put_dense_part(state, impulse, onset, step, component, record)
    secant = component.secant
    if component.sigma > 0.0:
        for _ in range(number):
            delay = log_normal(state, component.sigma, 1.0, False)
            put_particle(state, impulse, onset + step * delay, secant)
            note_particle(record, component, delay)
    else:
        for _ in range(number):
            delay = erlang(state, component.shape)
            put_particle(state, impulse, onset + step * delay, secant)
            note_particle(record, component, delay)


@inner
def _early(state, component, end, came):
    """Delay in units of the scale, given that it is below `end`, which has probability `came`."""
    if component.sigma > 0.0:
        return log_normal(state, component.sigma, came, False)
    return early_erlang(state, component.shape, end)


@inner
def _late(state, component, begin, left):
    """Delay in units of the scale, given that it is above `begin`, which has probability `left`."""
    if component.sigma > 0.0:
        return log_normal(state, component.sigma, left, True)
    return late_erlang(state, component.shape, begin)


@inner
def _survival(x, fall, component):
    """Probability of a delay above x in units of the scale; fall: exp(-x)."""
    if component.sigma > 0.0:
        return log_normal_survival(x, component.sigma)
    return fall * gamma_polynomial(x, component.shape)


@inner
def _density(component, x):
    """Density of delays x in units of the scale, up to a constant."""
    if x <= 0.0:
        return 0.0
    if component.sigma > 0.0:
        z = math.log(x) / component.sigma
        return math.exp(-0.5 * z * z) / x
    return x ** (component.shape - 1) * math.exp(-x)


@inner(inline=False)
def _note_many(record, component, span, drawn, light_of_one):
    """Note particles between two delays (span, in units of the scale), of which the light was drawn
    and not the number.

    Their number is drawn given that light, both as normal variates with the exact moments of a
    compound Poisson sum: its mean and variance are its expectation, and its covariance with the
    light is right. Up to `_MOST_NOTED` of them have a delay each, of the density within the span.
    Of more, numbers in the record's bins are drawn, normal with the moments of a multinomial
    distribution, and the first from its own distribution.

    drawn : (expected number, light that was drawn [VEM, mean of the layers])
    light_of_one : (mean, mean square) of the light of one particle, mean of the layers [VEM]
    """
    if record is not None:
        expected, light = drawn
        mean, square = light_of_one
        slope = mean / square
        middle = expected + slope * (light - expected * mean)
        rest = expected * max(1.0 - slope * mean, 0.0)
        number = int(max(middle + math.sqrt(rest) * normal(record.state), 0.0) + 0.5)
        if number <= _MOST_NOTED:
            _note_each(record, component, span, number)
        else:
            _note_all(record, component, span, number)


@inner
def _note_each(record, component, span, number):
    low, high = span
    # The density has one maximum.
    most = component.shape - 1.0
    if component.sigma > 0.0:
        most = math.exp(-component.sigma * component.sigma)
    largest = _density(component, min(max(most, low), high))
    for _ in range(number):
        x = low + (high - low) * uniform(record.state)
        while _density(component, x) < largest * uniform(record.state):
            x = low + (high - low) * uniform(record.state)
        note_particle(record, component, x)


@inner
def _note_all(record, component, span, number):
    low, high = span  # in units of the scale
    above = _survival(low, math.exp(-low), component)
    still = _survival(high, math.exp(-high), component)
    # Of n uniform numbers the lowest is 1 - U^(1/n).
    wanted = above + (above - still) * math.expm1(math.log(uniform(record.state)) / number)
    first, last = low, high
    for _ in range(40):
        x = 0.5 * (first + last)
        if _survival(x, math.exp(-x), component) > wanted:
            first = x
        else:
            last = x
    note_first(record, component, last)
    unit = component.scale / record.width[record.used[0]]
    k = fine_bin(low * unit)
    while number > 0 and above > still:
        end = fine_edge(k + 1) / unit
        beyond = _survival(end, math.exp(-end), component) if end < high else still
        part = (above - beyond) / (above - still)
        spread = math.sqrt(number * part * (1.0 - part)) * normal(record.state)
        here = min(max(int(number * part + spread + 0.5), 0), number)
        note_number(record, component, k, here)
        number -= here
        above = beyond
        k += 1


@inner(inline=False)
def _put_dense_part(state, impulse, onset, step, component, record):
    """Everything, when there are bins that expect many particles; returns the number that is left
    to be drawn.

    onset, step : start and scale of the delays [bins]
    """
    mean_number, secant = component.mean_number, component.secant
    # Past it the density of the delays falls.
    maximum = 1.0 if component.sigma > 0.0 else float(component.shape)
    bins = 1.0 / step
    k = int(onset)
    x = (k + 1 - onset) * bins  # end of bin k in units of the scale
    fall, fall_per_bin = math.exp(-x), math.exp(-bins)
    above, still = 1.0, _survival(x, fall, component)
    while mean_number * (above - still) <= MOST_INDIVIDUAL_IN_BIN:
        if x > maximum or k + 2 >= impulse.shape[1]:
            return poisson(state, mean_number)
        k += 1
        x += bins
        fall *= fall_per_bin
        above, still = still, _survival(x, fall, component)
    end = x - bins
    for _ in range(poisson(state, mean_number * (1.0 - above))):
        delay = _early(state, component, end, 1.0 - above)
        put_particle(state, impulse, onset + step * delay, secant)
        note_particle(record, component, delay)
    mean, square, product = light_moments(secant)
    common, own = math.sqrt(product), math.sqrt(square - product)
    while mean_number * (above - still) > MOST_INDIVIDUAL_IN_BIN:
        expected = mean_number * (above - still)
        light = _put_many(state, impulse, k, expected, mean, common, own)
        light_of_one = mean, 0.5 * (square + product)
        _note_many(record, component, (max(x - bins, 0.0), x), (expected, light), light_of_one)
        if k + 2 >= impulse.shape[1]:
            return 0
        k += 1
        x += bins
        fall *= fall_per_bin
        above, still = still, _survival(x, fall, component)
    for _ in range(poisson(state, mean_number * above)):
        delay = _late(state, component, x - bins, above)
        put_particle(state, impulse, onset + step * delay, secant)
        note_particle(record, component, delay)
    return 0
