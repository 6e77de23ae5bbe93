"""The networks: their inputs, size and training."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from tashower.config.kinds import STRICT, Number, Switch, Whole


@dataclass(frozen=True, config=STRICT)
class NetworkConfig:
    """Tile and size of the network (Ivanov et al. 2020, arXiv:2005.07117)."""

    correct: Literal["free", "constrained"] = Field(
        "free",
        description="Which fit the network corrects; the published network corrects the free one.",
    )
    tile: Whole = Field(6, ge=4, le=8, description="Stations along a side of the tile.")
    n_bins: Whole = Field(
        128,
        ge=32,
        le=256,
        description="Waveform bins that the network reads; longer ones are cut, shorter ones "
        "padded.",
    )
    bin_width_ns: Number = Field(
        0.0,
        ge=0,
        le=1000,
        description="Width of those bins [ns]: waveforms of other widths are shared out among "
        "them, sums kept; 0: the detector's, and only detectors of that width are accepted.",
    )
    waveform_channels: Whole = Field(24, ge=4, le=512, description="Width of the waveform encoder.")
    station_channels: Whole = Field(
        48, ge=4, le=1024, description="Width of the grid convolutions."
    )
    grid_layers: Whole = Field(
        3, ge=0, le=20, description="Residual separable convolutions over the grid."
    )
    dense_channels: Whole = Field(128, ge=4, le=4096, description="Width of the dense head.")
    dropout: Number = Field(0.1, ge=0, le=0.9, description="Dropout in the dense head.")


@dataclass(frozen=True, config=STRICT)
class TrainingConfig:
    """How the networks are trained."""

    epochs: Whole = Field(13, ge=1, description="Most passes over the training sample.")
    patience: Whole = Field(
        5, ge=1, description="Passes without a better validation loss before training stops."
    )
    batch_size: Whole = Field(128, ge=2, description="Events in a step.")
    learning_rate: Number = Field(
        0.003, gt=0, description="Highest learning rate; warmed up, then lowered along a cosine."
    )
    weight_decay: Number = Field(0.01, ge=0, description="Decoupled weight decay.")
    augment: Switch = Field(
        True, description="Show each event in a random one of the square's eight orientations."
    )
    threads: Whole = Field(
        1,
        ge=1,
        le=256,
        description="CPU threads of one training. Several networks train side by side; sums over "
        "several threads round differently, so the trained weights depend on it in the last "
        "digits.",
    )
    processes: Whole = Field(
        1,
        ge=1,
        le=1024,
        description="Processes that share one training (torchrun): one for each GPU, or on CPUs "
        "with `threads` threads each.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where to train; auto takes a GPU where there is one."
    )

    @model_validator(mode="after")
    def _every_process_has_an_event(self):
        if self.processes > self.batch_size:
            raise ValueError(
                f"processes ({self.processes}) is above batch_size ({self.batch_size})"
            )
        return self


@dataclass(frozen=True, config=STRICT)
class InputsConfig:
    """What a network sees beside the station features."""

    waveforms: Switch = Field(description="The network reads the waveforms.")
    event_features: Switch = Field(description="The network reads the event features.")


NetworkName = Annotated[str, Field(strict=True, pattern="^[a-z][a-z0-9_]*$")]


def default_networks() -> dict[str, InputsConfig]:
    """The four ablations of the published table."""
    return {
        "waveforms_and_features": InputsConfig(waveforms=True, event_features=True),
        "waveforms_only": InputsConfig(waveforms=True, event_features=False),
        "features_only": InputsConfig(waveforms=False, event_features=True),
        "stations_only": InputsConfig(waveforms=False, event_features=False),
    }
