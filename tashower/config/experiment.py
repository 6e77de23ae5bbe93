"""The array, its stations, and the showers that are thrown on it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from tashower.config.kinds import STRICT, Number, Text, Whole

SPLITS = ("calibration", "train", "validation", "test")
#: Most showers of a sample, and most files that the workflow makes of one (choices).
LARGEST_SAMPLE, MOST_FILES = 1_000_000_000, 100_000


@dataclass(frozen=True, config=STRICT)
class ArrayConfig:
    """Where the stations stand (default: Telescope Array, Abu-Zayyad et al. 2012,
    doi:10.1016/j.nima.2012.05.079: 507 stations, 1.2 km).
    """

    stations: Text = Field(
        "",
        description="Table of stations (station, x_m, y_m[, z_m]) to simulate, of any layout; "
        "empty: the lattice that lattice, columns, rows, spacing_m, jitter_m and "
        "altitude_spread_m describe.",
    )
    lattice: Literal["square", "hexagonal"] = Field(
        "square",
        description="Lattice that the stations stand on; rows of a hexagonal one are 0.87 spacings "
        "apart.",
    )
    columns: Whole = Field(22, ge=3, le=99, description="Stations along x.")
    rows: Whole = Field(23, ge=3, le=99, description="Stations along y.")
    spacing_m: Number = Field(
        1200.0, ge=1, le=20000, description="Distance between neighbours [m]."
    )
    jitter_m: Number = Field(
        40.0,
        ge=0,
        le=10000,
        description="Rms displacement from the lattice, along x and along y [m].",
    )
    altitude_spread_m: Number = Field(
        30.0, ge=0, le=5000, description="Rms of the station altitudes [m]."
    )
    lateral: Text = Field(
        "telescope_array",
        description="Lateral distribution, of simulation and fit: telescope_array (Ivanov et al. "
        "2020), or the path of a Python file that defines log_lateral(r, zenith).",
    )
    reference_m: Number = Field(
        800.0,
        ge=50,
        le=5000,
        description="Distance at which the lateral distribution is 1 [m]: the fitted size is the "
        "signal density there (S800 of the Telescope Array).",
    )
    front_distance_m: Number = Field(
        30.0,
        gt=0,
        le=1000000,
        description="R in the front that is fitted, delay = a (1 + r/R)^p LDF^-q [m] (default: "
        "Telescope Array, Ivanov et al. 2020).",
    )
    front_power: Number = Field(1.5, gt=0, le=4, description="p in that front.")
    front_density_power: Number = Field(
        0.5, ge=0, le=2, description="q in that front; 0: no dependence on the density."
    )


@dataclass(frozen=True, config=STRICT)
class DetectorConfig:
    """The stations and their state (default: Telescope Array, the same source)."""

    layers: Whole = Field(
        2,
        ge=1,
        le=2,
        description="Layers that are read out separately; with one, the triggers look at it alone.",
    )
    area_m2: Number = Field(3.0, gt=0, le=100, description="Area of a station [m^2].")
    bin_width_ns: Number = Field(20.0, ge=1, le=100, description="Width of a waveform bin [ns].")
    bins: Whole = Field(
        128,
        ge=64,
        le=2048,
        description="Bins that a station reads out at once; 30 of them lie before its trigger.",
    )
    windows: Whole = Field(
        2,
        ge=1,
        le=16,
        description="Such windows in a waveform, one after the other: a further one is read where "
        "the signal crosses the station's trigger again, else the pedestal stands there.",
    )
    out_of_service_fraction: Number = Field(
        0.01, ge=0, le=0.5, description="Probability that a station is out of service in an event."
    )
    calibration_spread: Number = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Relative rms of the unknown calibration error of a station's layer; "
        "systematic_gain.yaml has 0.08.",
    )
    gain_shift: Number = Field(
        0.0,
        ge=-0.5,
        le=0.5,
        description="Misspecified world: the true gain of every station is larger by this part "
        "than the monitored one.",
    )
    noise_factor: Number = Field(
        1.0,
        ge=0,
        le=10,
        description="Misspecified world: electronic noise of a bin, relative to the detector's; "
        "nothing says so to the fit.",
    )
    pulse_width_factor: Number = Field(
        1.0,
        ge=0.5,
        le=2,
        description="Misspecified world: the pulse of a particle is longer by this factor; its "
        "area stays.",
    )
    late_pulse_probability: Number = Field(
        0.0,
        ge=0,
        le=1,
        description="Misspecified world: probability that a station with 3 VEM or more has one "
        "more pulse, of three muons, 0.5 to 1.5 us after the light begins, as slow neutrons make "
        "it (Linsley 1985, 19th ICRC 7, HE 4.7-13).",
    )
    clock_ns: Number = Field(
        20.0,
        ge=0,
        le=1000,
        description="Rms error of a station's clock, drawn per station and event [ns].",
    )
    accidental_rate_khz: Number = Field(
        1.5, ge=0, le=100, description="Background hits per station [1/ms] (0.12 in 80 us)."
    )
    accidental_radius_m: Number = Field(
        5000.0,
        ge=0,
        le=1000000,
        description="Accidental hits are simulated within this distance of the core [m]; further "
        "ones would only be removed again.",
    )


def _some(abundances: dict) -> dict:
    if sum(abundances.values()) <= 0:
        raise ValueError("no primary has a positive abundance")
    return abundances


Primary = Literal["proton", "helium", "nitrogen", "iron"]


@dataclass(frozen=True, config=STRICT)
class ShowersConfig:
    """Which showers are thrown."""

    interaction_model: Literal["QGSJET-II-04", "EPOS-LHC", "QGSJET-II-04-2013", "EPOS-LHC-2013"] = (
        Field(
            "QGSJET-II-04",
            description="Model of the Xmax distribution, of the form of De Domenico et al. 2013 "
            "(arXiv:1305.2331): a later re-fit, or with -2013 table 1 of that paper.",
        )
    )
    primaries: Annotated[dict[Primary, Annotated[Number, Field(ge=0)]], AfterValidator(_some)] = (
        Field(
            default_factory=lambda: {"proton": 1.0, "helium": 1.0, "nitrogen": 1.0, "iron": 1.0},
            description="Relative abundance of proton (A = 1), helium (4), nitrogen (14) and iron "
            "(56); what is not named does not occur.",
        )
    )
    min_log10_energy_ev: Number = Field(18.5, ge=17.5, le=21, description="Lowest log10(E/eV).")
    max_log10_energy_ev: Number = Field(20.0, ge=17.5, le=21, description="Highest log10(E/eV).")
    spectral_index: Number = Field(
        1.0, ge=0, le=5, description="dN/dE ~ E^-index; 1 is flat in log E."
    )
    max_zenith_deg: Number = Field(
        50.0, gt=0, le=60, description="Zenith follows sin z cos z up to this angle [deg]."
    )
    core_margin_m: Number = Field(
        600.0,
        ge=-1000000,
        le=1000000,
        description="Cores fall uniformly in the rectangle of the array, widened by this on each "
        "side [m]; negative narrows it.",
    )
    muon_factor: Number = Field(
        1.0,
        ge=0,
        le=10,
        description="Misspecified world: muons of every shower, relative to the model's; "
        "electromagnetic particles stay as they are.",
    )
    slope_shift: Number = Field(
        0.0,
        ge=-1,
        le=1,
        description="Misspecified world: the slope eta of every simulated shower is larger by "
        "this than what the fit expects.",
    )
    lateral_far_power: Number = Field(
        0.0,
        ge=-0.5,
        le=1,
        description="Misspecified world: the simulated lateral distribution is steeper far out, "
        "by (1 + r^2/(1 km)^2)^-power.",
    )
    front_power: Number = Field(
        1.5,
        gt=0,
        le=4,
        description="Misspecified world: power of (1 + r/30 m) in the simulated delays, which are "
        "the same at 1 km; array.front_power is the fit's.",
    )
    throws: Whole = Field(
        1, ge=1, le=1000, description="How often each shower is thrown at a new core."
    )

    @model_validator(mode="after")
    def _energies_in_order(self):
        if self.min_log10_energy_ev > self.max_log10_energy_ev:
            raise ValueError(
                f"min_log10_energy_ev ({self.min_log10_energy_ev:g}) is above "
                f"max_log10_energy_ev ({self.max_log10_energy_ev:g})"
            )
        return self


@dataclass(frozen=True, config=STRICT)
class FrontConfig:
    """Arrival of the particles behind the plane front (docs/simulation.md says where the numbers of
    the named fronts come from).
    """

    model: Literal["sourced", "formula", "rough"] = Field(
        "sourced",
        description="sourced: delays of a hadronic cascade's muons; formula: gamma distributions "
        "of shape 2, with which the fitted formula holds by construction; rough: as before "
        "2026-11-26, with four times the local fluctuation and more muons.",
    )
    electron_delay_factor: Number = Field(
        1.0,
        gt=0,
        le=100,
        description="Delays of electromagnetic particles after the onset, relative to the model's.",
    )
    muon_delay_factor: Number = Field(
        1.0, gt=0, le=100, description="Delays of muons after the onset, relative to the model's."
    )
    onset_factor: Number = Field(
        1.0,
        ge=0,
        le=100,
        description="Onset of the front, before which no particle comes, relative to the model's.",
    )
    local_factor: Number = Field(
        1.0,
        ge=0,
        le=100,
        description="Fluctuation of the front from station to station, relative to the model's: "
        "0.225 ns (rough: 0.9 ns) times (1 + r/30 m)^1.5 (signal density)^-0.3.",
    )


@dataclass(frozen=True, config=STRICT)
class SamplesConfig:
    """How many showers are thrown for which purpose. Only those that trigger are stored."""

    calibration: Whole = Field(
        40000,
        ge=100,
        le=LARGEST_SAMPLE,
        description="For the energy table, sigma_t and the prior of the curvature.",
    )
    train: Whole = Field(60000, ge=10, le=LARGEST_SAMPLE, description="For the network's weights.")
    validation: Whole = Field(
        10000,
        ge=10,
        le=LARGEST_SAMPLE,
        description="For early stopping and the choice of the best checkpoint.",
    )
    test: Whole = Field(
        12000, ge=10, le=LARGEST_SAMPLE, description="For the scores, and for nothing else."
    )
    chunk_size: Whole = Field(
        20000,
        ge=10,
        le=LARGEST_SAMPLE,
        description="Showers per event file; the events do not depend on it.",
    )

    @model_validator(mode="after")
    def _not_too_many_files(self):
        for split in SPLITS:
            n_files = -(-getattr(self, split) // self.chunk_size)
            if n_files > MOST_FILES:
                raise ValueError(
                    f"{split} ({getattr(self, split)}) would be {n_files} files of chunk_size "
                    f"({self.chunk_size}): more than {MOST_FILES}"
                )
        return self
