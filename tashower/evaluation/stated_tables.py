"""What networks state of their own errors as tables: rows of text, the first of which is the
header.
"""

from tashower.evaluation.names import label, short
from tashower.evaluation.rounding import pm
from tashower.evaluation.tables import markdown_table

#: What the tables show.
ERROR_CUTS_MEAN = (
    "Events whose stated error of the direction is below a threshold: the largest with which their "
    "68 % angle is the one that is aimed at, that of the events that pass the cuts of the fit. It "
    "is found on one half of the showers and tested on the other, and the other way round; errors "
    "hold that it is another one in other events. Parts of all triggered events."
)
DOMAIN_MEANS = (
    "Events whose inputs lie farther from the training sample than all but the stated part of the "
    "validation sample (flag outside_domain), of those that pass the cuts of the fit."
)


def error_cut_rows(scores: dict) -> list[list[str]]:
    """Events kept by cuts on the networks' own errors at the resolution of the fits' cuts, with
    header.
    """
    rows = [
        [
            "method",
            "at the 68 % angle of",
            "aimed at [deg]",
            "found [deg]",
            "kept [%]",
            "kept by the cuts of the fit [%]",
            "events gained [%]",
        ]
    ]
    for name, one in scores.get("error_cuts", {}).items():
        text = label(name, scores["networks"])
        aims = (("own", "the network, cuts of the fit"), ("fit", f"the {short(one['fit'])}"))
        for key, aim in aims:
            gain = one[f"gain_{key}"]
            rows.append(
                [
                    text,
                    aim,
                    pm(one[f"wanted_{key}"]),
                    pm(one[f"angle_{key}"]),
                    pm(one[f"fraction_{key}"], 1, 100),
                    pm(one["fraction_fit_cuts"], 1, 100),
                    "+" * ((gain["value"] or 0) > 0) + pm(gain, 1, 100),
                ]
            )
    return rows


def outside_rows(scores: dict) -> list[list[str]]:
    """Events that networks flag as unlike their training, with header."""
    rows = [["network", "events", "flagged [%]", "of events like the training [%]"]]
    for name, one in scores.get("outside_domain", {}).items():
        stated = f"{100 * one['false_alarms']:g}"
        rows.append(
            [label(name, scores["networks"]), f"{one['n']:,}", pm(one["flagged"], 2, 100), stated]
        )
    return rows


def stated_text(scores: dict) -> list[str]:
    """Both tables, where there is something in them, as parts of a Markdown text."""
    parts = []
    for title, rows, words in (
        ("Cuts on the networks' own errors", error_cut_rows(scores), ERROR_CUTS_MEAN),
        ("Events unlike the training", outside_rows(scores), DOMAIN_MEANS),
    ):
        if len(rows) > 1:
            parts += [f"## {title}", markdown_table(rows), words]
    return parts
