"""How networks are trained: optimiser, gradients, penalties, schedule, averages, what is kept."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic.dataclasses import dataclass

from tashower.config.kinds import STRICT, Number, Switch, Whole


def _with_a_meaning(cls, value, info: ValidationInfo, owners: Mapping):
    """The value of a key, unless it says something that the chosen word beside it cannot do.

    owners : {key: words that have it}; keys that are not in it belong to all
    """
    first, *_ = cls.__dataclass_fields__
    key, chosen = info.field_name, info.data.get(first)
    words = owners.get(key, ())
    usual = cls.__dataclass_fields__[key].default.default
    if words and chosen is not None and chosen not in words and value != usual:
        raise ValueError(f"has no meaning with {chosen}, only with {' and '.join(words)}")
    return value


@dataclass(frozen=True, config=STRICT)
class OptimiserConfig:
    """The optimiser (torch.optim); a key that it does not have is refused."""

    name: Literal["adamw", "adam", "sgd", "rmsprop", "adagrad", "adadelta"] = Field(
        "adamw",
        description="AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), Adam (Kingma and Ba "
        "2015, arXiv:1412.6980), stochastic gradient descent, RMSprop (Tieleman and Hinton 2012), "
        "Adagrad (Duchi et al. 2011), Adadelta (Zeiler 2012, arXiv:1212.5701, whose own "
        "learning_rate is 1).",
    )
    momentum: Number = Field(
        0.0, ge=0, lt=1, description="Part of the last step that is kept (sgd, rmsprop)."
    )
    nesterov: Switch = Field(
        False,
        description="Nesterov's momentum (sgd; Sutskever et al. 2013): the step of the momentum "
        "is taken before the gradient's.",
    )
    beta1: Number = Field(0.9, ge=0, lt=1, description="Memory of the mean gradient (adamw, adam).")
    beta2: Number = Field(0.999, ge=0, lt=1, description="Memory of the mean square (adamw, adam).")
    rho: Number = Field(
        0.9, ge=0, lt=1, description="Memory of the mean square (rmsprop, adadelta)."
    )

    @field_validator("*")
    @classmethod
    def _of_the_optimiser(cls, value, info: ValidationInfo):
        owners = {
            "momentum": ("sgd", "rmsprop"),
            "nesterov": ("sgd",),
            "beta1": ("adamw", "adam"),
            "beta2": ("adamw", "adam"),
            "rho": ("rmsprop", "adadelta"),
        }
        _with_a_meaning(cls, value, info, owners)
        if info.field_name == "nesterov" and value and info.data.get("momentum") == 0.0:
            raise ValueError("needs a momentum above 0")
        return value


@dataclass(frozen=True, config=STRICT)
class GradientsConfig:
    """What happens to the gradients between the loss and the optimiser."""

    clip: Literal["norm", "value", "none"] = Field(
        "norm",
        description="Limit the norm of all gradients together (Pascanu et al. 2013, "
        "arXiv:1211.5063), or every one's value.",
    )
    limit: Number = Field(1.0, gt=0, description="That limit (norm, value).")
    centralise: Switch = Field(
        False,
        description="Take from the gradient of every output's weights its mean over the inputs "
        "(Yong et al. 2020, arXiv:2004.01461), before it is clipped.",
    )

    @field_validator("*")
    @classmethod
    def _of_the_clipping(cls, value, info: ValidationInfo):
        return _with_a_meaning(cls, value, info, {"limit": ("norm", "value")})


@dataclass(frozen=True, config=STRICT)
class PenaltyConfig:
    """What large weights add to the loss, biases and normalisations left out; both: the elastic net
    (Zou and Hastie 2005, doi:10.1111/j.1467-9868.2005.00503.x).
    """

    l1: Number = Field(
        0.0, ge=0, description="Times the sum of absolute weights; drives them to 0."
    )
    l2: Number = Field(
        0.0, ge=0, description="Times the sum of squared weights; beside weight_decay."
    )


@dataclass(frozen=True, config=STRICT)
class ScheduleConfig:
    """How the learning rate goes on."""

    name: Literal["cosine", "reduce_on_plateau", "constant"] = Field(
        "cosine",
        description="Half a cosine down to 0 over all epochs (Loshchilov and Hutter 2017, "
        "arXiv:1608.03983); lower it where the validation loss no longer falls; or leave it.",
    )
    warm_up: Number = Field(
        0.1,
        ge=0,
        le=1,
        description="Part of the steps of all epochs over which the rate rises linearly at first.",
    )
    factor: Number = Field(
        0.5, gt=0, lt=1, description="What the rate is multiplied by (reduce_on_plateau)."
    )
    patience: Whole = Field(
        2,
        ge=0,
        description="Epochs without a better validation loss that are let pass; the next one "
        "lowers the rate (reduce_on_plateau).",
    )
    min_delta: Number = Field(
        0.0, ge=0, description="The loss is better if it is lower by more (reduce_on_plateau)."
    )
    cooldown: Whole = Field(
        0,
        ge=0,
        description="Epochs after a lowering in which nothing is counted (reduce_on_plateau).",
    )
    min_learning_rate: Number = Field(
        0.0, ge=0, description="The rate is not lowered beyond it (reduce_on_plateau)."
    )

    @field_validator("*")
    @classmethod
    def _of_the_schedule(cls, value, info: ValidationInfo):
        keys = ("factor", "patience", "min_delta", "cooldown", "min_learning_rate")
        return _with_a_meaning(cls, value, info, dict.fromkeys(keys, ("reduce_on_plateau",)))


@dataclass(frozen=True, config=STRICT)
class AveragingConfig:
    """Averages of the weights over the training; they are what is validated and kept."""

    name: Literal["none", "ema", "swa"] = Field(
        "none",
        description="ema: exponential moving average over the steps (Polyak and Juditsky 1992); "
        "swa: mean over the ends of the last epochs (Izmailov et al. 2018, arXiv:1803.05407), for "
        "which schedule.name constant is meant.",
    )
    decay: Number = Field(
        0.999, ge=0, lt=1, description="Part of the average that a step keeps (ema)."
    )
    start: Number = Field(
        0.75, ge=0, lt=1, description="Part of the epochs before the mean begins (swa)."
    )

    @field_validator("*")
    @classmethod
    def _of_the_average(cls, value, info: ValidationInfo):
        return _with_a_meaning(cls, value, info, {"decay": ("ema",), "start": ("swa",)})


@dataclass(frozen=True, config=STRICT)
class TrainingConfig:
    """How the networks are trained; an entry of `networks` may give any of these keys under
    `training`.
    """

    epochs: Whole = Field(13, ge=1, description="Most passes over the training sample.")
    patience: Whole = Field(
        5, ge=1, description="Passes without a better validation loss before training stops."
    )
    min_delta: Number = Field(
        0.0,
        ge=0,
        description="For `patience` the loss is better if it is lower by more; kept is the epoch "
        "of the lowest loss in any case.",
    )
    batch_size: Whole = Field(128, ge=2, description="Events in a step.")
    learning_rate: Number = Field(
        0.003, gt=0, description="Highest learning rate; warmed up, then as `schedule` says."
    )
    weight_decay: Number = Field(
        0.01,
        ge=0,
        description="Decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101): each "
        "step takes this times the learning rate of every parameter, with any optimiser; adam, "
        "which has none, wants 0.",
    )
    optimiser: OptimiserConfig = Field(default_factory=OptimiserConfig)
    gradients: GradientsConfig = Field(default_factory=GradientsConfig)
    penalty: PenaltyConfig = Field(default_factory=PenaltyConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    averaging: AveragingConfig = Field(default_factory=AveragingConfig)
    initialisation: Literal[
        "model", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "orthogonal"
    ] = Field(
        "model",
        description="Weights that linear layers and convolutions start from: the model's own, or "
        "those of Glorot and Bengio (2010), He et al. (2015, arXiv:1502.01852, fan in), Saxe et "
        "al. (2014, arXiv:1312.6120), and biases of 0; layers that the model sets to 0 stay 0.",
    )
    augment: Switch = Field(
        True, description="Show each event in a random one of the square's eight orientations."
    )
    checkpoints: Literal["best", "every_epoch", "weights"] = Field(
        "best",
        description="Kept is the best epoch; every_epoch: also one of each epoch, to apply; "
        "weights: also the bare weights of each epoch, in the folder CHECKPOINT_epochs.",
    )
    tensorboard: Switch = Field(
        False,
        description="Write the curve for TensorBoard, too, into the folder CHECKPOINT_tensorboard "
        "(pip install 'tashower[tensorboard]').",
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
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Of the products in a training's steps. bfloat16 has three digits and is twice "
        "as fast on processors that know it (AVX512_BF16 or AMX, and GPUs), slower on others, and "
        "learns a little less in an epoch (docs/network.md); weights, sums and what is validated "
        "or applied stay float32. auto: bfloat16 on a GPU.",
    )

    @field_validator("schedule")
    @classmethod
    def _bound_below_the_rate(cls, schedule: ScheduleConfig, info: ValidationInfo):
        rate = info.data.get("learning_rate")
        if rate is not None and schedule.min_learning_rate > rate:
            raise ValueError(
                f"min_learning_rate ({schedule.min_learning_rate:g}) is above learning_rate"
                f" ({rate:g})"
            )
        return schedule

    @field_validator("optimiser")
    @classmethod
    def _decay_of_the_optimiser(cls, optimiser: OptimiserConfig, info: ValidationInfo):
        if optimiser.name == "adam" and info.data.get("weight_decay", 0.0) > 0.0:
            raise ValueError(
                f"adam has no weight_decay ({info.data['weight_decay']:g}): set it to 0, or"
                " choose adamw"
            )
        return optimiser

    @model_validator(mode="after")
    def _every_process_has_an_event(self):
        if self.processes > self.batch_size:
            raise ValueError(
                f"processes ({self.processes}) is above batch_size ({self.batch_size})"
            )
        return self
