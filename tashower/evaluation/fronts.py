"""What the headline is with other simulated fronts: numbers of `benchmarks/front_choice.py`, which
come with the package, for the report.
"""

from pathlib import Path

from tashower.evaluation.names import label, short
from tashower.evaluation.rounding import pm
from tashower.io.json_file import read_json


def read_band() -> dict:
    """The numbers: {"commit", "command", "showers", "trainings", "fronts": {front: {network:
    {fit: {"ratio_68", "ev": {"value", "error"}}}}}}.
    """
    return read_json(Path(__file__).with_name("fronts.json"), "tashower fronts", (1,))


def front_rows(band: dict) -> list[list[str]]:
    """Ratio of the 68 % opening angle, and explained variance of the direction, of every network
    against every fit in each front; the first row is the header.
    """
    networks = next(iter(band["fronts"].values()))
    fits = list(next(iter(networks.values())))
    header = ["front", "network"]
    header += [f"{what}, {short(fit)}" for what in ("ratio", "EV") for fit in fits]
    return [
        header,
        *(
            [
                front,
                label(network, networks),
                *(pm(found[fit][key]) for key in ("ratio_68", "ev") for fit in fits),
            ]
            for front, of_networks in band["fronts"].items()
            for network, found in of_networks.items()
        ),
    ]


def front_sentence(band: dict) -> str:
    """The range of the headline over the fronts: the first network against the first and the last
    of the fits.
    """
    of_fronts = list(band["fronts"].values())
    network = next(iter(of_fronts[0]))
    fits = list(of_fronts[0][network])

    def span(fit, key):
        values = [front[network][fit][key]["value"] for front in of_fronts]
        return f"{min(values):.2f} to {max(values):.2f}"

    first, last = fits[0], fits[-1]
    return (
        f"The simulated front decides: over the fronts {', '.join(band['fronts'])} the 68 % "
        f"opening angle of the {label(network, [network])} is {span(first, 'ratio_68')} times that "
        f"of the {short(first)} and {span(last, 'ratio_68')} times that of the {short(last)}, its "
        f"explained variance of the direction {span(first, 'ev')} and {span(last, 'ev')} "
        f"({band['showers']:,} showers to train with, {band['trainings']} trainings; "
        f"{band['command']}, commit {band['commit'][:7]})."
    )
