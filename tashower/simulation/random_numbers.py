"""Random numbers for compiled loops: one stream per event, whatever chunk or core it is simulated
on.

Generator: xoshiro256++ (Blackman and Vigna 2021, doi:10.1145/3460772), seeded by splitmix64 from a
key and a number. The key comes from `numpy.random.SeedSequence([seed, split, purpose])`, the number
is that of the event: streams of different events are independent for every practical purpose, and
nothing depends on the order in which events are made.
"""

import math

import numpy as np
from scipy.special import ndtri

from tashower.physics.compiled import compiled, inner

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53
_TO_UNIT_32 = 2.0**-32
_LOW_32 = np.uint64(0xFFFFFFFF)
_MIDDLES = (np.arange(4096) + 0.5) / 4096

#: Quantiles of the standard normal, exponential and Moyal distributions at the middles of 4096
#: equal probabilities. A draw takes a tenth of an exact one's time; beyond one in 8192 it has no
#: tail, and its rms is 0.9996, 0.9995 and 0.994 of the exact one. Used for light, energy loss and
#: calibration errors.
NORMAL_TABLE = ndtri(_MIDDLES).astype(np.float32)
EXPONENTIAL_TABLE = -np.log1p(-_MIDDLES).astype(np.float32)
MOYAL_TABLE = (-2.0 * np.log(ndtri(0.5 + 0.5 * (1.0 - _MIDDLES)))).astype(np.float32)

_INVERSE = 1.0 / np.maximum(
    np.arange(64), 1.0
)  # 1/k; a Poisson variate of mean 10 exceeds 63 once in 1e29

#: What a stream is for; every purpose has its own key.
PURPOSES = ("array", "shower", "throw", "detector", "station", "nuisance")
#: What has streams of its own: the splits, and showers that are given.
SAMPLES = ("calibration", "train", "validation", "test", "given")


def stream_key(seed: int, split: str, purpose: str) -> np.uint64:
    """Key of the streams for one purpose in one split."""
    entropy = [seed, SAMPLES.index(split), PURPOSES.index(purpose)]
    return np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]


@inner(inline=False)
def seed_stream(state, key, number):
    """Start stream `number` (uint64) of `key` (uint64) in `state`, (4,) uint64, overwritten."""
    x = key + (np.uint64(number) + np.uint64(1)) * _GOLDEN
    # Two rounds on the way in keep neighbouring numbers apart.
    for i in range(4):
        x += _GOLDEN
        z = x
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        z ^= z >> np.uint64(31)
        state[i] = z
        x ^= z << np.uint64(1)


@inner
def next_bits(state):
    """The next 64 random bits."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    total = s0 + s3
    result = ((total << np.uint64(23)) | (total >> np.uint64(41))) + s0
    t = s1 << np.uint64(17)
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= t
    s3 = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3
    return result


@inner
def uniform(state):
    """Uniform in (0, 1): never 0, so that its logarithm is finite."""
    return (np.float64(next_bits(state) >> np.uint64(11)) + 0.5) * _TO_UNIT


@inner
def normal(state):
    """Standard normal (Box and Muller 1958)."""
    return math.sqrt(-2.0 * math.log(uniform(state))) * math.cos(2.0 * math.pi * uniform(state))


@inner
def erlang(state, shape):
    """Gamma variate of whole-number shape and scale 1: minus the logarithm of a product of
    uniforms, each of 32 bits.
    """
    bits = next_bits(state)
    product = (np.float64(bits >> np.uint64(32)) + 0.5) * _TO_UNIT_32
    if shape > 1:
        product *= (np.float64(bits & _LOW_32) + 0.5) * _TO_UNIT_32
    for _ in range(2, shape):
        product *= uniform(state)
    return -math.log(product)


@inner(inline=False)
def early_erlang(state, shape, end):
    """Gamma variate of whole-number shape and scale 1, given that it is below `end`.

    The largest of `shape` uniforms times `end` has density t^(shape - 1); it is accepted with
    probability exp(-t): for an `end` of a few at most.
    """
    while True:
        largest = uniform(state)
        for _ in range(1, shape):
            largest = max(largest, uniform(state))
        if uniform(state) < math.exp(-end * largest):
            return end * largest


@inner(inline=False)
def late_erlang(state, shape, begin):
    """Gamma variate of whole-number shape and scale 1, given that it is above `begin`.

    Counted as a Poisson process, j < shape points came before `begin` with weight begin^j/j!; shape
    - j are still to come.
    """
    total = term = 1.0
    for j in range(1, shape):
        term *= begin / j
        total += term
    chosen = uniform(state) * total
    term, came = 1.0, 0
    while chosen > term and came < shape - 1:
        chosen -= term
        came += 1
        term *= begin / came
    return begin + erlang(state, shape - came)


@inner
def normal_quantile(p):
    """Quantile of the standard normal distribution, 0 < p < 1, to a part in 10^7 (Wichura 1988,
    algorithm AS 241, PPND7, doi:10.2307/2347330).
    """
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        upper = 3.3871327179 + r * (50.434271938 + r * (159.29113202 + r * 59.109374720))
        return q * upper / (1.0 + r * (17.895169469 + r * (78.757757664 + r * 67.187563600)))
    r = math.sqrt(-math.log(p if q < 0.0 else 1.0 - p))
    if r <= 5.0:
        r -= 1.6
        upper = 1.4234372777 + r * (2.7568153900 + r * (1.3067284816 + r * 0.17023821103))
        z = upper / (1.0 + r * (0.73700164250 + r * 0.12021132975))
    else:
        r -= 5.0
        upper = 6.6579051150 + r * (3.0812263860 + r * (0.42868294337 + r * 0.017337203997))
        z = upper / (1.0 + r * (0.24197894225 + r * 0.012258202635))
    return -z if q < 0.0 else z


@inner
def log_normal(state, sigma, part, upper):
    """Log-normal variate of median 1, given that it is among the lowest `part` (a probability; 1:
    any), or the highest (`upper`).
    """
    z = sigma * normal_quantile(part * uniform(state))
    return math.exp(-z if upper else z)


@inner
def log_normal_survival(x, sigma):
    """Probability that a log-normal variate of median 1 exceeds x >= 0."""
    return 0.5 * math.erfc(math.log(x) / (sigma * math.sqrt(2.0))) if x > 0.0 else 1.0


@inner
def quick(table, bits, place):
    """Variate from one of the tables: 12 of the 64 random bits choose the entry; place 0 to 4 says
    which 12.

    The Moyal distribution (Moyal 1955) has mode 0, mean 1.270 and variance pi^2/2: it is -ln of a
    squared normal variate.
    """
    return table[(bits >> np.uint64(12 * place)) & np.uint64(4095)]


@inner
def poisson(state, mean):
    """Poisson variate: inverted from one uniform below 10; above, the normal quantile with its
    first Cornish-Fisher correction.

    mean + sqrt(mean) z + (z^2 - 1)/6, rounded: mean, variance and skewness are right to a few parts
    in a thousand.
    """
    if mean <= 0.0:
        return 0
    if mean >= 10.0:
        z = quick(NORMAL_TABLE, next_bits(state), 0)
        return max(int(mean + math.sqrt(mean) * z + (z * z - 1.0) / 6.0 + 0.5), 0)
    left = uniform(state)
    if left < 1.0 - mean:  # exp(-mean) is larger still
        return 0
    probability = math.exp(-mean)
    count = 0
    while left > probability and count < len(_INVERSE) - 1:
        left -= probability
        count += 1
        probability *= mean * _INVERSE[count]
    return count


@compiled
def draw_uniforms(key, first, n, columns):
    """(n, columns) uniforms in (0, 1): row i holds the first numbers of stream first + i."""
    result = np.empty((n, columns))
    state = np.empty(4, np.uint64)
    for i in range(n):
        seed_stream(state, key, np.uint64(first + i))
        for j in range(columns):
            result[i, j] = uniform(state)
    return result
