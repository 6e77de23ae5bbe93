"""Known answers of the random generator and its seeding: published numbers, and an implementation
in plain Python that shares nothing with the package.
"""

import math

import numpy as np
import pytest

from tashower.physics.compiled import compiled
from tashower.simulation.random_numbers import (
    draw_uniforms,
    next_bits,
    normal,
    seed_stream,
    stream_key,
    uniform,
)

WORD = 2**64
GOLDEN = 0x9E3779B97F4A7C15

# First ten outputs of xoshiro256++ from the state (1, 2, 3, 4), as the authors' C program gives
# them (Blackman and Vigna 2021, doi:10.1145/3460772).
XOSHIRO = (
    41943041,
    58720359,
    3588806011781223,
    3591011842654386,
    9228616714210784205,
    9973669472204895162,
    14011001112246962877,
    12406186145184390807,
    15849039046786891736,
    10450023813501588000,
)
# First five outputs of splitmix64 from the seed 1234567 (Steele, Lea and Flood 2014,
# doi:10.1145/2714064.2660195; constants of its public C program).
SPLITMIX = (
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
)


def mixed(x):
    """What splitmix64 makes of its counter."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % WORD
    return x ^ (x >> 31)


def seeded(key, number):
    """State of a stream, by whole numbers without limits."""
    x, state = (key + (number + 1) * GOLDEN) % WORD, []
    for _ in range(4):
        x = (x + GOLDEN) % WORD
        state.append(mixed(x))
        x ^= state[-1] * 2 % WORD
    return state


def stepped(s):
    """(output, next state) of xoshiro256++."""

    def turned(x, k):
        return (x << k) % WORD | x >> (64 - k)

    output = (turned((s[0] + s[3]) % WORD, 23) + s[0]) % WORD
    a, b = s[2] ^ s[0], s[3] ^ s[1]
    return output, [s[0] ^ b, s[1] ^ a, a ^ (s[1] << 17) % WORD, turned(b, 45)]


@compiled
def bits_of(state, n):
    found = np.empty(n, np.uint64)
    for i in range(n):
        found[i] = next_bits(state)
    return found


@compiled
def one_of_each(state):
    return uniform(state), normal(state)


def test_generator_gives_the_published_numbers():
    state = np.array([1, 2, 3, 4], np.uint64)
    assert bits_of(state, 10).tolist() == list(XOSHIRO)


def test_plain_python_gives_the_published_numbers():
    state, found = [1, 2, 3, 4], []
    for _ in XOSHIRO:
        output, state = stepped(state)
        found.append(output)
    assert tuple(found) == XOSHIRO
    assert tuple(mixed((1234567 + (i + 1) * GOLDEN) % WORD) for i in range(5)) == SPLITMIX


@pytest.mark.parametrize("number", range(5))
def test_first_word_of_a_state_is_the_published_splitmix64(number):
    """Stream `number` of a key starts where splitmix64 is after number + 1 steps from the key."""
    state = np.empty(4, np.uint64)
    seed_stream(state, np.uint64((1234567 - GOLDEN) % WORD), np.uint64(number))
    assert int(state[0]) == SPLITMIX[number]


@pytest.mark.parametrize("key", [0, 1, 2**63, WORD - 1, 0xDEADBEEF12345678])
@pytest.mark.parametrize("number", [0, 1, 77, 2**40, WORD - 1])
def test_seeding_and_stream_against_plain_python(key, number):
    state = np.empty(4, np.uint64)
    seed_stream(state, np.uint64(key), np.uint64(number))
    expected = seeded(key, number)
    assert state.tolist() == expected
    for found in bits_of(state, 20).tolist():
        output, expected = stepped(expected)
        assert found == output


def test_uniform_and_normal_of_known_bits():
    """53 bits and a half, so that 0 never comes; then Box and Muller's formula."""
    first, second, third = ((bits // 2**11 + 0.5) / 2**53 for bits in XOSHIRO[4:7])
    state = np.array([1, 2, 3, 4], np.uint64)
    bits_of(state, 4)
    u, z = one_of_each(state)
    assert u == first
    assert z == pytest.approx(
        math.sqrt(-2.0 * math.log(second)) * math.cos(2.0 * math.pi * third), rel=1e-14
    )


def test_keys_and_first_numbers_of_the_streams_stay_what_they_were():
    """What a seed means may not change unnoticed: stored when the test was written."""
    assert int(stream_key(2020, "test", "shower")) == 1199263208647514398
    assert int(stream_key(1, "train", "detector")) == 7965927831114826719
    assert draw_uniforms(np.uint64(7), 3, 2, 2).tolist() == [
        [0.2583128257566241, 0.5237843408633969],
        [0.4810067250654663, 0.5136576192843454],
    ]
    output, state = stepped(seeded(7, 3))
    assert draw_uniforms(np.uint64(7), 3, 1, 2)[0].tolist() == [
        (bits // 2**11 + 0.5) / 2**53 for bits in (output, stepped(state)[0])
    ]
