"""What the words of the reports mean, said where they stand: methods, quantities, errors, cuts."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from tashower.evaluation.names import LOOKS, label, short
from tashower.events.model import FLAGS
from tashower.reconstruction.joint.outliers import OUTLIER_CHI2
from tashower.reconstruction.quality import (
    ALLOWED_LEFT_OUT,
    ALLOWED_SILENCE,
    FARTHEST_CURVATURE,
    SANE_SIZE,
)

#: What the columns of the tables of methods are.
QUANTITIES = (
    (
        "68 % angle",
        "the opening angle between reconstructed and true direction that 68.27 % of the events "
        "stay below. For residuals that are Gaussian in two dimensions it is 1.52 standard "
        "deviations of one of them",
    ),
    ("99 % angle", "the same for 99 % of the events: the tail"),
    ("core, 68 %", "the distance on the ground between reconstructed and true core, likewise"),
    (
        "energy, 68 %",
        "half of the width that holds the middle 68.27 % of ln(E/true E); in per cent, which it is "
        "as long as it is small",
    ),
    ("bias of the energy", "the mean of ln(E/true E), in per cent; a spread has no part in it"),
    (
        "ratio",
        "the 68 % size of a method divided by that of the fit that is named, on the same events: "
        "below 1 is better than that fit",
    ),
    (
        "explained variance (EV)",
        "1 - Var(true - corrected)/Var(true - fitted), summed over the components of the unit "
        "vector. 0: no gain, 1: perfect. Ruled by the tails, blind to a constant offset",
    ),
)
#: Where the errors of scores come from.
ERRORS = (
    "Errors (±) are those of the bootstrap: the standard deviation over samples of the showers "
    "drawn with replacement, the same samples for every method, so that the error of a ratio is "
    "that of the ratio. A shower that was thrown several times is drawn with all its throws. They "
    "have two digits, and the value as many places. A number without ± has no error: its bin holds "
    "one event, or the two methods say the same of every event. Not in the errors: the calibration "
    "sample, the training sample, and how far the simulation is from nature."
)


class Cut(NamedTuple):
    """A quality cut."""

    flag: str  #: as in `events.model.FLAGS`, in files and in the tables
    meaning: str  #: which events fail it
    remedy: str  #: what to look at where many fail it; "" where nothing is to be done


def cuts_of(settings: Mapping, size: str = "S800") -> list[Cut]:
    """Every quality cut with its threshold.

    settings : section `reconstruction` of a configuration; size : what the fitted size is called
    """

    def of(key: str) -> str:
        return f"{settings[key]:g}" if key in settings else f"reconstruction.{key}"

    texts = {
        "invalid": (
            "no plausible result: the fit is degenerate or did not converge, "
            f"{size} lies outside of {SANE_SIZE[0]:g} to {SANE_SIZE[1]:g} VEM/m², the error of "
            "the direction is above 30°, or the core is far outside of the array",
            "look at some with `tashower show`: too few stations, hits that do not belong "
            "together, or wrong units or positions",
        ),
        "few_stations": (
            f"fewer than {of('min_stations')} stations with a signal in the fit",
            "small showers, or stations that do not send: look for them in the footprints",
        ),
        "bad_chi2": (
            f"chi2 above {of('max_chi2_per_ndof')} for each degree of freedom; a rejected station "
            f"counts as one more degree of freedom, with {OUTLIER_CHI2:g} of chi2",
            "recalibrate the errors with `tashower calibrate` on a simulation of this array, and "
            "check clocks",
        ),
        "zenith": (f"zenith of {of('max_zenith_deg')}° or more", ""),
        "border": (
            f"core less than {of('min_border_distance_m')} m inside of the border",
            "a small array needs a smaller reconstruction.min_border_distance_m",
        ),
        "pointing_error": (
            f"error of the direction of {of('max_pointing_error_deg')}° or more",
            "too few stations, or errors of times that are too large: recalibrate",
        ),
        "s800_error": (
            f"error of {size} of {of('max_s800_error')} of its value or more",
            "too few stations near the core, or saturated ones",
        ),
        "silent_rejected": (
            "a silent station that no model believes was left out",
            "list stations that were out of service, so that their silence counts for nothing",
        ),
        "curvature": (
            f"curvature of the front not positive, or more than {FARTHEST_CURVATURE:g} standard "
            "deviations from that of simulated showers",
            "another front than that of the data, or clocks: see the residuals of the times",
        ),
        "extrapolated": (
            "energy beyond the events that made the energy table",
            "simulate a calibration that reaches as far",
        ),
        "silence": (
            "more is expected of silent stations than chi2 allows, by more than "
            f"{ALLOWED_SILENCE:g}",
            "list stations that were out of service",
        ),
        "left_out": (
            f"more than {ALLOWED_LEFT_OUT[0]:g} VEM for each station and "
            f"{100 * ALLOWED_LEFT_OUT[1]:g} % of the signal lie outside of the cluster of stations "
            "that was fitted",
            "two showers in one event, or accidental hits: look at some with `tashower show`",
        ),
        "few_points": (
            "too few points of the posterior carry its weight (method likelihood_edges alone)",
            "",
        ),
        "outside_domain": (
            "unlike the events that the network was trained on (of networks alone; of events like "
            "those, one in a hundred fails it)",
            "compare data and simulation; simulate what is in the data, and train again",
        ),
    }
    return [Cut(flag, *texts[flag]) for flag in FLAGS]


def cut_list(settings: Mapping, size: str = "S800") -> list[tuple[str, str]]:
    """(flag, which events fail it) of every cut."""
    return [(cut.flag, cut.meaning) for cut in cuts_of(settings, size)]


def _of_network(name: str, sees: Mapping | None, configured: Mapping) -> str:
    """What is known of a network."""
    if sees is None and not configured:
        return "a network that was trained elsewhere: it corrects a fit"
    sees = sees or configured.get("inputs", {})
    seen = ["times", "signals"]
    seen += ["waveforms"] if sees.get("waveforms") else []
    seen += ["event features"] if sees.get("event_features") else []
    told = sees.get("station_likelihood")
    seen += ["what the station likelihood says of every hit"] if told else []
    read = f"{', '.join(seen[:-1])} and {seen[-1]}"
    fit = f"the {short(configured['corrects'])}" if "corrects" in configured else "a fit"
    says = {"gaussian": "; it states its errors", "flow": "; it states its errors, with tails"}
    more = says.get(configured.get("head", "mean"), "")
    if configured.get("predicts") == "mass":
        return f"a network that reads {read}, and says Xmax and ln A beside {fit}{more}"
    return f"a network that reads {read}, and corrects the result of {fit}{more}"


def methods_explained(
    names: Collection[str],
    networks: Mapping[str, Mapping | None] | Collection[str],
    configured: Mapping[str, Mapping] | None = None,
) -> list[tuple[str, str]]:
    """(name in tables, what it is) of every method.

    networks : those of the names that are networks, with what each sees where that is known
    configured : section `networks` of the configuration
    """
    configured = configured or {}
    found = []
    for name in names:
        if name in networks:
            sees = networks[name] if isinstance(networks, Mapping) else None
            meaning = _of_network(name, sees, configured.get(name, {}))
        elif name in LOOKS and LOOKS[name].meaning:
            meaning = LOOKS[name].meaning
        else:
            meaning = "a method of your own, under the name that the file gives it"
        found.append((label(name, networks), meaning))
    return found
