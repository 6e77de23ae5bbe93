"""Showers in which the conditions vary that a calibration cannot tell: what a network learns from
that is not to rely on them.
"""

from collections.abc import Mapping

from tashower.config import Config, as_dict, load_config
from tashower.events.model import Events, concatenate_events
from tashower.progress import counted
from tashower.simulation.random_numbers import draw_uniforms, stream_key
from tashower.simulation.simulate import simulate_events

#: Showers in a row that share their nuisances, as those that an array sees in some time would
#: (choice: a sample of 60,000 showers has 600 draws).
TOGETHER = 100


def draw_nuisances(
    nuisances: Mapping[str, Mapping[str, tuple]], seed: int, split: str, number: int
) -> dict[str, dict]:
    """{section: {key: value}} of draw number `number` of a split: flat between two numbers, or one
    of several texts. Independent of each other, and of the order in which they are named.

    nuisances : section `robustness.nuisances` of a configuration
    """
    keys = sorted((section, key) for section, own in nuisances.items() for key in own)
    u = draw_uniforms(stream_key(seed, split, "nuisance"), number, 1, max(len(keys), 1))[0]
    drawn: dict[str, dict] = {}
    for (section, key), x in zip(keys, u, strict=False):
        values = nuisances[section][key]
        if isinstance(values[0], str):
            value = values[int(x * len(values))]
        else:
            value = float(values[0] + x * (values[1] - values[0]))
        drawn.setdefault(section, {})[key] = value
    return drawn


def simulate_randomised(config: Config, split: str, first: int, n: int) -> Events:
    """`simulate_events`, of the same showers, with other conditions for every `TOGETHER` showers:
    those of `draw_nuisances`.

    The events do not depend on how the showers are divided into calls. Which values an event had is
    not stored; its number decides them.
    """
    last = first + n
    blocks = range(first // TOGETHER, -(-last // TOGETHER))
    parts = []
    for number in counted(f"simulate {split}", blocks, len(blocks), "draws of nuisances"):
        drawn = draw_nuisances(config.robustness.nuisances, config.seed, split, number)
        begin, end = max(first, number * TOGETHER), min(last, (number + 1) * TOGETHER)
        changed = load_config(as_dict(config), drawn)
        parts.append(simulate_events(changed, split, begin, end - begin))
    return concatenate_events([part for part in parts if part.n_events] or parts[:1])
