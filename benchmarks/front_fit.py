"""Where `front.onset_ns` and `front.local_ns` come from: least squares to the Telescope Array's
leading edge at 1200 m, 30 degrees.

    python benchmarks/front_fit.py

The particles' delays (configuration: electron_delay_ns, muon_delay_ns) are given. For protons of
10^18.5, 10^19 and 10^19.5 eV the first particle is drawn 40,000 times; the onset adds to its delay,
the local fluctuation in quadrature to its spread. Two numbers are fitted to six, in their
logarithms. No network and no reconstruction takes part, nor does the detection threshold, which
delays the edge of few particles.
"""

import numpy as np
from scipy.optimize import least_squares

from tashower.config import load_config
from tashower.physics.constants import STATION_AREA
from tashower.physics.lateral import TELESCOPE_ARRAY, log_lateral_distribution, mean_s800, slope
from tashower.physics.shower_front import (
    TELESCOPE_ARRAY_FRONT,
    curvature_zenith_dependence,
    front_delay,
    thickness_shape,
)
from tashower.simulation.particles import (
    LOCAL_POWER,
    MUON_SHAPE,
    ONSET_S800,
    mean_numbers,
    muon_share_at,
    particle_delays,
)
from tashower.simulation.showers import muon_share

#: Delay and spread [ns] at 1200 m, 30 degrees, by log10(E/eV): the Telescope Array's fit, recalled,
#: not checked against its text.
TARGETS = {18.5: (400.0, 190.0), 19.0: (253.0, 140.0), 19.5: (149.0, 105.0)}
ZENITH, DISTANCE, N_DRAWS = np.radians(30.0), 1200.0, 40_000


def first_particle(log_e: float, front, rng) -> tuple[float, float, float, float]:
    """(mean, rms of the first particle's delay, delay of a unit onset, spread of a unit local
    fluctuation) [ns].
    """
    energy = 10.0 ** (log_e - 18.0)
    s_ref, scale = mean_s800(energy, ZENITH), float(curvature_zenith_dependence(ZENITH))
    log_ldf = log_lateral_distribution(DISTANCE, slope(ZENITH), TELESCOPE_ARRAY)
    density = s_ref * np.exp(log_ldf)
    share = muon_share_at(DISTANCE, muon_share(ZENITH, 1, energy))
    muons, electrons = (
        rng.poisson(n, N_DRAWS) for n in mean_numbers(STATION_AREA * density, share, np.cos(ZENITH))
    )
    width, first = thickness_shape(DISTANCE) * scale, np.full(N_DRAWS, np.inf)
    for i in range(N_DRAWS):
        delays = (
            rng.gamma(MUON_SHAPE, front.muon_scale * width, muons[i]),
            rng.gamma(front.electron_shape, front.electron_scale * width, electrons[i]),
        )
        first[i] = min((d.min() for d in delays if len(d)), default=np.inf)
    first = first[np.isfinite(first)]
    onset = front_delay(
        DISTANCE, log_ldf, scale * np.sqrt(ONSET_S800 / s_ref), TELESCOPE_ARRAY_FRONT
    )
    return first.mean(), first.std(), float(onset), float(width * density**LOCAL_POWER)


def main() -> None:
    """Print the two numbers, and what they give."""
    rng = np.random.default_rng(1)
    front = particle_delays(load_config().front)
    found = np.array([first_particle(log_e, front, rng) for log_e in TARGETS])
    delay, spread = np.array(list(TARGETS.values())).T

    def given(q):
        return found[:, 0] + q[0] * found[:, 2], np.hypot(found[:, 1], q[1] * found[:, 3])

    fit = least_squares(
        lambda q: np.log(np.concatenate(given(q)) / np.concatenate([delay, spread])), (0.3, 0.8)
    )
    print(f"onset_ns {fit.x[0]:.3f}, local_ns {fit.x[1]:.3f}")
    for log_e, d, s, wanted in zip(TARGETS, *given(fit.x), TARGETS.values(), strict=True):
        print(
            f"10^{log_e}: delay {d:.0f} ns (target {wanted[0]:.0f}), spread {s:.0f} ns (target "
            f"{wanted[1]:.0f})"
        )


if __name__ == "__main__":
    main()
