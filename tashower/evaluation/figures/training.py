"""Training curves of the networks."""

from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import colours, label


@figure_in_style
def training_curves(scores: dict) -> Figure:
    """Losses and explained variance of the validation sample against the epoch."""
    figure = Figure(figsize=(12, 4.4))
    left, right = figure.subplots(1, 2)
    colour = colours(scores["methods"] | scores["histories"])
    for name, history in scores["histories"].items():
        epoch = [h["epoch"] for h in history]
        left.plot(epoch, [h["train_loss"] for h in history], color=colour[name], ls=":")
        for axis, key in ((left, "validation_loss"), (right, "validation_ev")):
            axis.plot(
                epoch,
                [h[key] for h in history],
                color=colour[name],
                marker="o",
                ms=3,
                label=label(name, scores["networks"]),
            )
    left.set(xlabel="epoch", ylabel="loss (dotted: training, line: validation)")
    right.set(xlabel="epoch", ylabel="explained variance of the direction, validation")
    right.legend(fontsize=9)
    return figure
