"""The scores as one Markdown text."""

from tashower.evaluation.anchors import limit_of, published_cells
from tashower.evaluation.coverage_tables import coverage_text
from tashower.evaluation.ladder_tables import (
    CUTS_MEAN,
    cut_rows,
    ladder_bin_rows,
    ladder_rows,
    spectrum_words,
)
from tashower.evaluation.mass_tables import mass_text
from tashower.evaluation.names import baselines, short
from tashower.evaluation.stated_tables import stated_text
from tashower.evaluation.summary import edge_sentences, sentences
from tashower.evaluation.tables import (
    answer_rows,
    bin_rows,
    ev_rows,
    fraction_rows,
    markdown_table,
    method_rows,
    pull_rows,
    quantity_rows,
)


def ladder_text(scores: dict) -> str:
    """Every method against every fit, a table for each fit."""
    tables = (markdown_table(ladder_rows(scores, fit)) for fit in baselines(scores))
    return "\n\n".join(["## The ladder", *tables, "EV: explained variance. Errors are paired."])


def _published(scores: dict) -> list[str]:
    source = "Published: Ivanov et al. 2020, arXiv:2005.07117. "
    return [f"{source * bool(published_cells(scores))}Errors: bootstrap of showers."]


def as_markdown(scores: dict) -> str:
    """All tables as one Markdown text."""

    def binned(title, quantity, by, digits=3):
        return [f"## {title}", markdown_table(bin_rows(scores, quantity, by, digits))]

    parts = [
        "# Scores",
        f"{scores['n_scored']:,} of {scores['n_triggered']:,} triggered events: "
        f"{scores['selection']}. Commit {scores['commit']}, {scores['created']}.",
        *sentences(scores),
        "## The answer",
        markdown_table(answer_rows(scores, limit_of(scores))),
        ladder_text(scores),
        "## Explained variance of the correction of the direction",
        markdown_table(ev_rows(scores)),
        *_published(scores),
        "## All scored events",
        markdown_table(method_rows(scores)),
        "Reconstructed: part of the triggered events with a valid result; all other columns are "
        "for the events scored.",
        f"## The same, weighted to {spectrum_words(scores)}",
        markdown_table(method_rows(scores, "weighted")),
        "## Cuts",
        markdown_table(cut_rows(scores)),
        CUTS_MEAN,
        markdown_table(fraction_rows(scores)),
        *binned("68 % opening angle [deg] by energy", "angle_68_deg", "by_energy"),
        *binned("68 % opening angle [deg] by zenith", "angle_68_deg", "by_zenith"),
        *binned("68 % resolution of ln E by energy", "log_energy_68", "by_energy"),
        *binned("Bias of ln E by energy", "log_energy_bias", "by_energy"),
        *edge_sentences(scores),
        *binned("68 % distance of the core [m] by energy", "core_68_m", "by_energy", 1),
        *(
            part
            for fit in baselines(scores)
            for part in (
                f"## Ratio of the 68 % opening angles to the {short(fit)} by energy",
                markdown_table(ladder_bin_rows(scores, fit, "ratio_68")),
                f"## Explained variance of the direction against the {short(fit)} by energy",
                markdown_table(ladder_bin_rows(scores, fit, "ev")),
            )
        ),
        "## Variance of each quantity itself that stays unexplained",
        markdown_table(quantity_rows(scores)),
        "## Pulls of the fits",
        markdown_table(pull_rows(scores)),
        *coverage_text(scores),
        *stated_text(scores),
        *mass_text(scores),
    ]
    return "\n\n".join(parts) + "\n"
