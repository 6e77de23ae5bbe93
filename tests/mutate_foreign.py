"""Mutate files of every foreign format, convert and fit them; say what came of it.

    python tests/mutate_foreign.py [n] [seed] [format, or a part of its name] [first]

Exit status 1 where anything but "accepted" or "refused" came.
"""

import sys

from chaos.foreign import mutate
from chaos.inputs import MUTATIONS
from chaos.trials import told


def main(n: str = "100", seed: str = "1", part: str = "", first: str = "0") -> int:
    """Print counts and faults of every format; returns the exit status."""
    names = tuple(name for name in MUTATIONS if part.lower() in name.lower())
    faults = 0
    for name in names:
        outcome = mutate(int(n), int(seed), (name,), int(first))[name]
        faults += len(outcome.faults)
        print(f"{name}: {outcome.seconds:.0f} s {told(outcome)}", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
