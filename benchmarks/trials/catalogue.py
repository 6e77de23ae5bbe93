"""What is tried."""

from pathlib import Path
from typing import NamedTuple

MODELS = Path(__file__).parent / "models"


def _made(name: str) -> str:
    return str(MODELS / f"{name}.py")


class Recipe(NamedTuple):
    """One way to train."""

    entry: dict  #: of `networks`
    way: str = "usual"  #: of `samples.WAYS`, to make the sample
    epochs: float = 1.0  #: passes, over those of the default
    showers: float = 1.0  #: showers to train with, over those of the default
    pretrained: bool = False  #: the encoder has learned from single stations


class Trial(NamedTuple):
    """What is compared: an answer of one or several trainings."""

    about: str
    recipe: str  #: of RECIPES
    members: int = 1  #: trainings whose mean is the answer
    all_turns: bool = True  #: mean over the equal orientations of the tile; else one orientation


_TOLD = {"inputs": {"station_likelihood": True}}
#: Larger networks: seven and six times the multiply-adds of the default.
_WIDE = {"waveform_channels": 48, "station_channels": 80, "dense_channels": 256}
_LONG = {"waveform_channels": 24, "station_channels": 96, "grid_layers": 4}


def _sized(waveform: int, station: int, layers: int, epochs: float) -> Recipe:
    """Another size, with as many passes as take the default's time."""
    options = {"waveform_channels": waveform, "station_channels": station, "grid_layers": layers}
    return Recipe({"options": options}, epochs=epochs)


RECIPES = {
    "default": Recipe({}),
    "constrained": Recipe({"corrects": "constrained"}),
    "complete": Recipe({"corrects": "complete"}),
    "loss_gaussian": Recipe({"loss": "gaussian"}),
    "loss_von_mises_fisher": Recipe({"loss": "von_mises_fisher"}),
    "tile_8": Recipe({"inputs": {"tile": 8}}),
    "ema": Recipe({"training": {"averaging": {"name": "ema", "decay": 0.995}}}),
    "swa": Recipe(
        {
            "training": {
                "averaging": {"name": "swa", "start": 0.6},
                "schedule": {"name": "constant"},
                "learning_rate": 0.002,
            }
        }
    ),
    "set": Recipe({"model": "set"}),
    "wide": Recipe({"options": _WIDE}),
    "deep": Recipe({"options": {"grid_layers": 6}}),
    "long": Recipe({"options": _LONG}),
    "size_12_24_3": _sized(12, 24, 3, 21 / 18),
    "size_16_32_3": _sized(16, 32, 3, 16 / 18),
    "size_16_48_3": _sized(16, 48, 3, 12 / 18),
    "size_24_48_3": _sized(24, 48, 3, 8 / 18),
    "small_batch": Recipe({"training": {"batch_size": 64}}),
    "double_rate": Recipe({"training": {"learning_rate": 0.006}}),
    "half_rate": Recipe({"training": {"learning_rate": 0.0015}}),
    "no_augmentation": Recipe({"training": {"augment": False}}),
    "equivariant": Recipe({"model": _made("equivariant"), "training": {"augment": False}}),
    "equivariant_short": Recipe(
        {"model": _made("equivariant"), "training": {"augment": False}}, epochs=0.3
    ),
    "third": Recipe({}, epochs=1 / 3),
    "fresh": Recipe({}, epochs=0.0),  # one pass over as many showers as there are passes
    "fresh_half": Recipe({}, epochs=0.5, showers=2.0),
    "pretrained": Recipe({"model": _made("pretrained")}, pretrained=True),
    "taught": Recipe({}, way="taught"),
    "told": Recipe(_TOLD),
    "complete_told": Recipe(_TOLD | {"corrects": "complete"}),
    "complete_told_long": Recipe(_TOLD | {"corrects": "complete", "options": _LONG}),
    "shower_frame": Recipe({"model": _made("shower_frame")}),
    "shower_frame_only": Recipe({"model": _made("shower_frame"), "training": {"augment": False}}),
    "fine_edge": Recipe({"model": _made("fine_edge")}),
}

_SAME = "the same, "
TRIALS = {
    "default": Trial("the default", "default"),
    "constrained": Trial("corrects the constrained fit: its residuals are inputs", "constrained"),
    "complete": Trial("corrects the complete fit: its residuals are inputs", "complete"),
    "loss_gaussian": Trial("loss: mean square", "loss_gaussian"),
    "loss_von_mises_fisher": Trial("loss: von Mises-Fisher", "loss_von_mises_fisher"),
    "tile_8": Trial("8 x 8 stations instead of 6 x 6", "tile_8"),
    "ema": Trial("mean of the weights over some 200 steps", "ema"),
    "swa": Trial("mean of the weights over the last two fifths, constant rate", "swa"),
    "set": Trial("attention over a set of stations", "set"),
    "wide": Trial("48, 80 and 256 channels instead of 16, 32 and 128", "wide"),
    "deep": Trial("6 layers over the grid instead of 2", "deep"),
    "long": Trial("96 channels over 4 layers of the grid", "long"),
    **{
        name: Trial(
            "{} channels of the encoder, {} over {} layers".format(*name.split("_")[1:]), name
        )
        for name in ("size_12_24_3", "size_16_32_3", "size_16_48_3", "size_24_48_3")
    },
    "small_batch": Trial("64 events in a step instead of 128", "small_batch"),
    "double_rate": Trial("learning rate 0.006 instead of 0.003", "double_rate"),
    "half_rate": Trial("learning rate 0.0015 instead of 0.003", "half_rate"),
    "one_orientation": Trial(
        "the default, asked in one orientation instead of eight", "default", all_turns=False
    ),
    "no_augmentation": Trial("trained in one orientation, asked in eight", "no_augmentation"),
    "neither": Trial("trained and asked in one orientation", "no_augmentation", all_turns=False),
    "equivariant": Trial(
        "mean over eight orientations in training, too", "equivariant", all_turns=False
    ),
    "equivariant_short": Trial(
        _SAME + "0.3 of the passes, the default's time", "equivariant_short", all_turns=False
    ),
    "ensemble": Trial("mean of three trainings of the default", "default", members=3),
    "ensemble_third": Trial("mean of three with a third of the passes each", "third", members=3),
    "fresh": Trial("as many events, each seen once: fresh showers in every pass", "fresh"),
    "fresh_half": Trial("as many events seen: twice the showers, half the passes", "fresh_half"),
    "pretrained": Trial("encoder begun on onset and particle numbers of stations", "pretrained"),
    "taught": Trial("targets half way to `likelihood_waveforms`", "taught"),
    "told": Trial("told what the station likelihood says of every hit", "told"),
    "complete_told": Trial(
        _SAME + "correcting the complete fit: the default's fifth", "complete_told"
    ),
    "complete_told_long": Trial(_SAME + "96 channels over 4 layers", "complete_told_long"),
    "shower_frame": Trial("vectors along and across the fitted azimuth", "shower_frame"),
    "shower_frame_only": Trial(_SAME + "without augmentation", "shower_frame_only"),
    "fine_edge": Trial("encoder looks bin by bin where the waveform begins", "fine_edge"),
}
