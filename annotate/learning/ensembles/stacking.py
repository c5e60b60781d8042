"""Stacking: networks that read different modalities, weighted by out-of-fold predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from annotate.errors import ConfigError
from annotate.learning.ensembles.base import Combination, Ensemble, EnsembleContext, Trained
from annotate.learning.folds import grouped_folds
from annotate.learning.heads.base import Head
from annotate.learning.seeds import member_seed
from annotate.registry import ensemble
from annotate.types import UNIMODAL

FEWEST = 10
"""Fewest out-of-fold predictions of a task with a label, below which no weights are fitted."""
KEYS = "".join(m.value for m in UNIMODAL)

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StackingOptions:
    """Options of `stacking`."""

    views: tuple[str, ...] = (KEYS, *KEYS)
    """Keys of the modalities that each base sees; the first base is used alone where there are too few
    labels to fit weights."""
    folds: int = 5
    """Parts into which the groups are divided."""

    def __post_init__(self) -> None:
        wrong = [v for v in self.views if not v or not set(v) <= set(KEYS) or len(set(v)) < len(v)]
        if wrong or not self.views or len({frozenset(v) for v in self.views}) < len(self.views):
            raise ConfigError(
                f"train.options.stacking.views cannot be {list(self.views)}",
                hint=f'name sets of modalities, each once, as in ["{KEYS}", "{KEYS[0]}"]',
            )
        if self.folds < 2:
            raise ConfigError(f"train.options.stacking.folds cannot be {self.folds}", hint="at least 2")


@ensemble("stacking")
class Stacking(Ensemble):
    """Bases that see different modalities, weighted per task by out-of-fold predictions (Wolpert 1992).

    The weights are fitted on groups from which the base did not learn; they are not negative and sum to one
    (Breiman 1996). `annotate train` prints them. Each base has `members` networks, so the defaults train 24
    times as many networks as `deep`, four times as many at once.
    """

    Options: ClassVar[type] = StackingOptions

    def train(self, context: EnsembleContext) -> Trained:
        """Each base is the mean of `members` networks. All networks train in parallel, once per fold for the
        weights and once on everything. Folds keep groups whole."""
        present = context.train.inputs.values
        available = ["".join(key for key in view if key in present) for view in self.options.views]
        views = tuple(dict.fromkeys(view for view in available if view)) or ("".join(present),)
        sees = tuple(view for view in views for _ in range(context.members))
        answers = self._out_of_fold(context, views, sees)
        states, fitted = context.fit(_seeds(context, 0, len(sees)), sees=sees)
        weights = {head.task.id: _fit_weights(context, head, answers[head.task.id]) for head in context.heads}
        shares = {i: tuple(np.repeat(w / context.members, context.members)) for i, w in weights.items()}
        notes = []
        for task_id, values in weights.items():
            listed = ", ".join(f"{view} {value:.2f}" for view, value in zip(views, values, strict=True))
            notes.append(f"stacking weighs for {task_id}: {listed}")
        return Trained(tuple(states), tuple(fitted), Combination(shares=shares, sees=sees), tuple(notes))

    def _out_of_fold(
        self, context: EnsembleContext, views: Sequence[str], sees: Sequence[str]
    ) -> Mapping[str, Array]:
        """By task id: (views, n, width) predictions of each base for the train samples, from networks that
        did not train on the sample's group; NaN if no network of the fold learned the task."""
        train = context.train
        answers = {
            head.task.id: np.full((len(views), len(train), head.width(head.task)), np.nan)
            for head in context.heads
        }
        groups = len(np.unique(context.groups))
        if groups < 2 or len(views) < 2:
            return answers
        rng = np.random.default_rng([context.seed, 2])
        for fold, held_out in enumerate(grouped_folds(context.groups, min(self.options.folds, groups), rng)):
            rest = torch.from_numpy(np.setdiff1d(np.arange(len(train)), held_out)).to(train.device)
            states, _ = context.fit(_seeds(context, fold + 1, len(sees)), rows=rest, sees=sees)
            raw = context.ask(states, train.take(torch.from_numpy(held_out).to(train.device)), sees=sees)
            for head in context.heads:
                if bool(train.known[head.task.id][rest].any()):
                    predicted = head.answer(raw[head.task.id])
                    by_base = predicted.reshape(len(views), -1, *predicted.shape[1:])
                    answers[head.task.id][:, held_out] = by_base.mean(axis=1)
        return answers


def _seeds(context: EnsembleContext, place: int, count: int) -> list[int]:
    return [member_seed(context.seed, place, k) for k in range(count)]


def _fit_weights(context: EnsembleContext, head: Head, answers: Array) -> Array:
    """(views,) weights of one task."""
    known = context.train.known[head.task.id].cpu().numpy() & np.isfinite(answers).all(axis=(0, 2))
    if known.sum() < FEWEST:
        return np.eye(len(answers))[0]
    return combine(answers[:, known], context.train.targets[head.task.id].cpu().double().numpy()[known])


def combine(answers: Array, truth: Array) -> Array:
    """(bases,) non-negative weights that sum to one and minimise the squared error of the weighted mean
    (Breiman 1996, section 3). `answers` is (bases, n, width), `truth` (n, width).

    Solved without the constraint on the sum, but with one more row that asks for it; the solution only has
    to be scaled.
    """
    from sklearn.linear_model import LinearRegression

    errors = (answers - truth).reshape(len(answers), -1).T
    rows, sums = np.vstack([errors, np.ones(len(answers))]), np.append(np.zeros(len(errors)), 1.0)
    coefficients = LinearRegression(fit_intercept=False, positive=True).fit(rows, sums).coef_
    return np.asarray(coefficients / coefficients.sum())
