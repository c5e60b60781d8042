"""One member after the other, each looking harder at what those before it got wrong."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from annotate.learning.ensembles.base import Combination, Ensemble, EnsembleContext, State, Trained
from annotate.learning.heads.base import Raw
from annotate.learning.results import Fitted
from annotate.learning.seeds import member_seed
from annotate.registry import ensemble
from annotate.types import Kind, Task

SMALLEST_ERROR = 1e-3
"""A member without any error would count infinitely much."""


@ensemble("boosting")
class Boosting(Ensemble):
    """Members in sequence, each focused on the errors of the earlier ones (Freund & Schapire 1997).

    Better members count more. Classes use AdaBoost for several classes (Zhu et al. 2009), scales
    AdaBoost.R2 (Drucker 1997). One set of sample weights serves all tasks.
    """

    def train(self, context: EnsembleContext) -> Trained:
        """All tasks share one weight per sample, as they share the network: the mean of what each would give.

        Each task's members count by their own alpha; where every member is no better than chance, equally.
        """
        count = len(context.train)
        weights: NDArray[np.float64] = np.ones(count)
        states: list[State] = []
        fitted: list[Fitted] = []
        alphas: dict[str, list[float]] = {head.task.id: [] for head in context.heads}
        for k in range(context.members):
            factor = torch.from_numpy(weights.astype(np.float32))[None].to(context.train.device)
            made, how = context.fit([member_seed(context.seed, k)], factor)
            states += made
            fitted += how
            weights = self._next_weights(context, context.ask(made, context.train), weights, alphas)
        return Trained(tuple(states), tuple(fitted), Combination(shares=_shares(alphas)))

    def _next_weights(
        self,
        context: EnsembleContext,
        raw: Mapping[str, Raw],
        weights: NDArray[np.float64],
        alphas: dict[str, list[float]],
    ) -> NDArray[np.float64]:
        steps = []
        for head in context.heads:
            task = head.task
            known = context.train.known[task.id].cpu().numpy()
            target = context.train.targets[task.id].cpu().double().numpy()[known]
            wrong = sample_errors(task, head.answer(raw[task.id])[0, known], target)
            error = float((weights[known] * wrong).sum() / max(weights[known].sum(), 1e-12))
            alpha = max(member_weight(task, error), 0.0)
            alphas[task.id].append(alpha)
            steps.append(np.zeros(len(known)))
            steps[-1][known] = step(alpha, wrong, error)
        moved = weights * np.exp(np.mean(steps, axis=0))
        return moved * len(moved) / moved.sum()


def sample_errors(
    task: Task, predicted: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n,) between 0 and 1, from (n, width) answers and labels: 0 or 1 for a class, the absolute error over
    the largest for a number (the linear loss of AdaBoost.R2, Drucker 1997), the share of wrong ticks for
    several answers."""
    if task.dimension.kind is Kind.CLASSIFICATION:
        return (predicted.argmax(axis=-1) != target.argmax(axis=-1)).astype(float)
    if task.dimension.kind is Kind.MULTILABEL:
        return ((predicted >= 0.5) != (target >= 0.5)).mean(axis=-1)
    errors = np.abs(predicted - target).mean(axis=-1)
    return np.asarray(errors / max(float(errors.max(initial=0.0)), 1e-12))


def step(alpha: float, wrong: NDArray[np.float64], error: float) -> NDArray[np.float64]:
    """(n,) what is added to the logarithm of each sample's weight: behind it, this member alone would be no
    better than chance. Less the mean, so that labels of another task lose nothing by it."""
    return 2 * alpha * (wrong - error)


def member_weight(task: Task, error: float) -> float:
    """How much a member with this weighted error counts: ½ ln((1 - e) / e), for K classes with ½ ln(K - 1) on
    top (SAMME, Zhu et al. 2009, halved to agree with AdaBoost at K = 2)."""
    bounded = min(max(error, SMALLEST_ERROR), 1 - SMALLEST_ERROR)
    classes = len(task.dimension.answers) if task.dimension.kind is Kind.CLASSIFICATION else 2
    return float(0.5 * np.log((1 - bounded) / bounded) + 0.5 * np.log(classes - 1))


def _shares(alphas: Mapping[str, list[float]]) -> dict[str, tuple[float, ...]]:
    """By task id; a task whose members all count nothing is left to the plain mean."""
    return {
        task_id: tuple(alpha / sum(values) for alpha in values)
        for task_id, values in alphas.items()
        if sum(values) > 0
    }
