"""Networks that see other modalities, weighed by what they say about groups that they did not learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from annotate.errors import ConfigError
from annotate.learning.ensembles.base import Combination, Ensemble, EnsembleContext, Trained
from annotate.learning.folds import grouped_folds
from annotate.learning.heads.base import Head, Raw
from annotate.learning.seeds import member_seed
from annotate.registry import ensemble
from annotate.types import UNIMODAL

FEWEST = 10
"""Labels of a task, answered by networks that had not seen them, below which they weigh nothing."""
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
        """Each base is the mean of `members` networks; all networks train side by side, once per fold for the
        weights and once on everything. Folds divide no group."""
        views = self._views(context)
        sees = tuple(view for view in views for _ in range(context.members))
        answers = self._out_of_fold(context, views, sees)
        states, fitted = context.fit(_seeds(context, 0, len(sees)), sees=sees)
        weights = {head.task.id: _weigh(context, head, answers[head.task.id]) for head in context.heads}
        shares = {i: tuple(np.repeat(w / context.members, context.members)) for i, w in weights.items()}
        combination = Combination(shares=shares, sees=sees)
        return Trained(tuple(states), tuple(fitted), combination, _notes(views, weights))

    def _views(self, context: EnsembleContext) -> tuple[str, ...]:
        """Of the modalities that there are features of, each set once."""
        present = context.train.inputs.values
        views = ["".join(key for key in view if key in present) for view in self.options.views]
        return tuple(dict.fromkeys(view for view in views if view)) or ("".join(present),)

    def _out_of_fold(
        self, context: EnsembleContext, views: Sequence[str], sees: Sequence[str]
    ) -> Mapping[str, Array]:
        """By task id: (views, n, width) what each base says about the train samples, all of them in groups
        that it did not learn from; NaN where no network of the fold learned the task."""
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
                    answers[head.task.id][:, held_out] = _bases(head, raw[head.task.id], len(views))
        return answers


def _seeds(context: EnsembleContext, place: int, count: int) -> list[int]:
    return [member_seed(context.seed, place, k) for k in range(count)]


def _bases(head: Head, raw: Raw, count: int) -> Array:
    """(count, n, width): the mean answer of the networks of each base."""
    answers = head.answer(raw)
    return answers.reshape(count, -1, *answers.shape[1:]).mean(axis=1)


def _weigh(context: EnsembleContext, head: Head, answers: Array) -> Array:
    """(views,) weights of one task."""
    known = context.train.known[head.task.id].cpu().numpy() & np.isfinite(answers).all(axis=(0, 2))
    if known.sum() < FEWEST:
        return np.eye(len(answers))[0]
    return combine(answers[:, known], context.train.targets[head.task.id].cpu().double().numpy()[known])


def combine(answers: Array, truth: Array) -> Array:
    """(bases,) weights, none negative, that sum to one and bring the mean answer as close to the truth as can
    be in the sum of squares (Breiman 1996, section 3). `answers` is (bases, n, width), `truth` (n, width).

    The solution without the sum but with one more row, which asks for it, only has another length.
    """
    from sklearn.linear_model import LinearRegression

    errors = (answers - truth).reshape(len(answers), -1).T
    rows, sums = np.vstack([errors, np.ones(len(answers))]), np.append(np.zeros(len(errors)), 1.0)
    coefficients = LinearRegression(fit_intercept=False, positive=True).fit(rows, sums).coef_
    return np.asarray(coefficients / coefficients.sum())


def _notes(views: Sequence[str], weights: Mapping[str, Array]) -> tuple[str, ...]:
    def listed(shares: Array) -> str:
        return ", ".join(f"{view} {share:.2f}" for view, share in zip(views, shares, strict=True))

    return tuple(f"stacking weighs for {task_id}: {listed(shares)}" for task_id, shares in weights.items())
