"""A small classifier that says which of two samples a row of numbers is of; cross-validated."""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from tashower.likelihood.training import adam, on_one_core
from tashower.progress import counted

#: Parts that the rows are divided into: each is scored by a network that learned from the others
#: (choice; ten of them gain little, Hastie et al. 2009, section 7.10).
FOLDS = 5
#: Neurons of the two hidden layers, rows in a step, steps, largest learning rate
#: (choices: seconds; with more steps small samples are learned by heart).
_HIDDEN, _BATCH, _STEPS, _RATE = 48, 512, 400, 5e-3
#: Numbers are cut at this many standard deviations (choice).
_WIDEST = 5.0


def folds(unit: np.ndarray, label: np.ndarray, seed: int) -> np.ndarray:
    """(n,) number of the fold of each row: rows of one unit stay together, and every fold has
    about as many units of each label.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    n = int(unit.max()) + 1 if len(unit) else 0
    of_unit, found = np.zeros(n, bool), np.zeros(n, np.int64)
    of_unit[unit[label]] = True
    for side in (False, True):
        members = rng.permutation(np.flatnonzero(of_unit == side))
        found[members] = np.arange(len(members)) % FOLDS
    return found[unit]


def _inputs(features: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """Columns in standard deviations of those that are learned from, NaN at their median, and a
    column that says so for each that has any.
    """
    with np.errstate(invalid="ignore"):
        known = np.isfinite(features)
    columns = []
    for column, there in zip(features.T, known.T, strict=True):
        usual = column[learned & there]
        if not len(usual):
            continue
        low, middle, high = np.quantile(usual, [0.159, 0.5, 0.841])
        width = max(0.5 * (high - low), 1e-3 * np.std(usual)) or 1.0
        values = np.where(there, (np.where(there, column, middle) - middle) / width, 0.0)
        columns.append(np.clip(values, -_WIDEST, _WIDEST))
        if not there.all():
            columns.append(np.where(there, 0.0, 1.0))
    return np.column_stack(columns).astype(np.float32)


def _scores(inputs: np.ndarray, label: np.ndarray, learned: np.ndarray, seed: int) -> np.ndarray:
    """(rows not learned from,) ln of the odds of a network that learned from the others."""
    generator = torch.Generator().manual_seed(seed)
    sizes = (inputs.shape[1], _HIDDEN, _HIDDEN, 1)
    layers = []
    for here, there in itertools.pairwise(sizes):
        linear = nn.utils.skip_init(nn.Linear, here, there)
        with torch.no_grad():
            linear.weight.normal_(0.0, here**-0.5, generator=generator)
            linear.bias.zero_()
        layers += [linear, nn.SiLU()]
    network = nn.Sequential(*layers[:-1])
    x, y = torch.from_numpy(inputs[learned]), torch.from_numpy(label[learned]).float()
    step = adam(network, _RATE, _STEPS)
    # Both samples count alike, however many there are of each.
    share = float(y.mean())
    weight = torch.where(y > 0.5, 0.5 / max(share, 1e-9), 0.5 / max(1.0 - share, 1e-9))
    for _ in range(_STEPS):
        i = torch.randint(len(x), (min(_BATCH, len(x)),), generator=generator)
        step(cross_entropy(network(x[i])[:, 0], y[i], weight=weight[i]))
    with torch.no_grad():
        return network(torch.from_numpy(inputs[~learned]))[:, 0].numpy()


def cross_validated(
    features: np.ndarray, label: np.ndarray, unit: np.ndarray, seed: int, task: str = "classify"
) -> np.ndarray:
    """Scores of every row by a network that saw none of its unit: classifier two-sample test
    (Lopez-Paz and Oquab 2017, arXiv:1610.06545).

    Parameters
    ----------
    features : (n, k), NaN where not known
    label : (n,) bool, which of two samples
    unit : (n,) rows of one unit (shower) are in one fold
    seed : of folds, weights and steps
    task : what progress is said of

    Returns
    -------
    (n,) rank of the ln odds within the fold, from 0 to 1: networks of different folds need not
    agree on what even odds are. Ranks of one kind of row alone, where a fold has no other.
    """
    found = np.zeros(len(features))
    fold = folds(unit, label, seed)
    with on_one_core():
        for k in counted(task, range(FOLDS), FOLDS, "networks"):
            learned = fold != k
            if learned.all() or not learned.any():
                continue
            scores = _scores(_inputs(features, learned), label, learned, seed + k)
            order = np.empty(len(scores))
            order[np.argsort(scores, kind="stable")] = np.arange(len(scores))
            found[~learned] = (order + 0.5) / len(scores)
    return found
