"""Training curves of the networks, and of a generator."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import label, styles


@figure_in_style
def training_curves(scores: dict) -> Figure:
    """Losses and explained variance of the validation sample against the epoch."""
    figure = Figure(figsize=(12, 4.4))
    left, right = figure.subplots(1, 2)
    look = styles(scores["methods"] | scores["histories"])
    for name, history in scores["histories"].items():
        epoch = [h["epoch"] for h in history]
        thin = look[name].line | {"lw": 0.9, "alpha": 0.7}
        left.plot(epoch, [h["train_loss"] for h in history], **thin)
        for axis, key in ((left, "validation_loss"), (right, "validation_ev")):
            text = label(name, scores["networks"])
            axis.plot(epoch, [h[key] for h in history], ms=5, label=text, **look[name].points)
    for axis in (left, right):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set(xlabel="epoch", ylabel="loss (thin: training, with marks: validation)")
    right.set(xlabel="epoch", ylabel="explained variance of the direction, validation")
    right.legend(fontsize=9)
    return figure


@figure_in_style
def adversarial_curves(history: list[dict]) -> Figure:
    """Wasserstein distance and gradient penalty of an adversarial training against the epoch.

    history : epochs of the history.json of a generator of kind `tile_gan`
    """
    figure = Figure(figsize=(12, 4.4))
    left, right = figure.subplots(1, 2)
    epoch = [h["epoch"] for h in history]
    left.plot(epoch, [h["train_loss"] for h in history], lw=0.9, label="training")
    left.plot(epoch, [h["validation_loss"] for h in history], "o-", ms=4, label="validation")
    right.plot(epoch, [h["gradient_penalty"] for h in history], "s-", ms=4, color="C2")
    left.set(xlabel="epoch", ylabel="Wasserstein distance, as the critic knows it")
    right.set(xlabel="epoch", ylabel="mean of (|grad D| - 1)^2", ylim=(0.0, None))
    left.legend(fontsize=9)
    for axis in (left, right):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
