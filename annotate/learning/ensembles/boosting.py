"""Boosting: members are trained in sequence on reweighted samples."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from annotate.learning.ensembles.base import Combination, Ensemble, EnsembleContext, State, Trained
from annotate.learning.heads.base import RawOutputs
from annotate.learning.results import Fitted
from annotate.learning.seeds import member_seed
from annotate.registry import ensemble
from annotate.types import Kind, Task

SMALLEST_ERROR = 1e-3
"""Lower bound of a member's error; without any error its weight would be infinite."""


@ensemble("boosting")
class Boosting(Ensemble):
    """Members in sequence, each focused on the errors of the earlier ones (Freund & Schapire 1997).

    Better members count more. Classes use AdaBoost for several classes (Zhu et al. 2009), scales
    AdaBoost.R2 (Drucker 1997). One set of sample weights serves all tasks.
    """

    def train(self, context: EnsembleContext) -> Trained:
        """All tasks share one weight per sample: the mean of the updates of all tasks, in log weights.

        The weight of a member differs by task; all are equal if no member is better than chance.
        """
        count = len(context.train)
        weights: NDArray[np.float64] = np.ones(count)
        states: list[State] = []
        fitted: list[Fitted] = []
        alphas: dict[str, list[float]] = {head.task.id: [] for head in context.heads}
        for k in range(context.members):
            factor = torch.from_numpy(weights.astype(np.float32))[None].to(context.train.device)
            new_states, new_fitted = context.fit([member_seed(context.seed, k)], factor)
            states += new_states
            fitted += new_fitted
            weights = self._next_weights(context, context.ask(new_states, context.train), weights, alphas)
        # A task whose members all have weight 0 uses the plain mean.
        shares = {
            i: tuple(a / sum(values) for a in values) for i, values in alphas.items() if sum(values) > 0
        }
        return Trained(tuple(states), tuple(fitted), Combination(shares=shares))

    def _next_weights(
        self,
        context: EnsembleContext,
        raw: Mapping[str, RawOutputs],
        weights: NDArray[np.float64],
        alphas: dict[str, list[float]],
    ) -> NDArray[np.float64]:
        """(n,) sample weights for the next member; appends this member's weight for each task to `alphas`."""
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
    """(n,) errors between 0 and 1 from (n, width) predictions and labels: 0 or 1 for classification, the
    share of wrong answers for multilabel, and the absolute error over the largest one for regression (the
    linear loss of AdaBoost.R2, Drucker 1997)."""
    if task.dimension.kind is Kind.CLASSIFICATION:
        return (predicted.argmax(axis=-1) != target.argmax(axis=-1)).astype(float)
    if task.dimension.kind is Kind.MULTILABEL:
        return ((predicted >= 0.5) != (target >= 0.5)).mean(axis=-1)
    errors = np.abs(predicted - target).mean(axis=-1)
    return np.asarray(errors / max(float(errors.max(initial=0.0)), 1e-12))


def step(alpha: float, wrong: NDArray[np.float64], error: float) -> NDArray[np.float64]:
    """(n,) change of the log weight of each sample, after which this member would be no better than chance.
    The mean is subtracted, so that samples without a label of this task do not lose weight."""
    return 2 * alpha * (wrong - error)


def member_weight(task: Task, error: float) -> float:
    """Weight of a member with this weighted error: ½ ln((1 - e) / e), plus ½ ln(K - 1) for K classes
    (SAMME, Zhu et al. 2009, halved to agree with AdaBoost at K = 2)."""
    bounded = min(max(error, SMALLEST_ERROR), 1 - SMALLEST_ERROR)
    classes = len(task.dimension.answers) if task.dimension.kind is Kind.CLASSIFICATION else 2
    return float(0.5 * np.log((1 - bounded) / bounded) + 0.5 * np.log(classes - 1))
