"""Ordinal regression head: cumulative probabilities over ordered answers."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from annotate.learning.heads._answers import Shares, average, classification
from annotate.learning.heads.base import Head, RawOutputs, Target
from annotate.registry import head
from annotate.types import Kind, Label, Task, TaskPrediction

LEAST_STEP = 1e-3
"""Smallest difference between the log-odds of two borders, used if no label lies between them."""


@head("ordinal")
class Ordinal(Head):
    """Probability of a value above each border between answers (Frank & Hall 2001; Niu et al. 2016)."""

    kind = Kind.REGRESSION

    @classmethod
    def outputs(cls, task: Task) -> int:
        """The first logit and the steps down from it, through softplus, so that logits never rise."""
        return len(task.dimension.answers) - 1

    def encode(self, label: Label, target: Target) -> list[float]:
        """The share of the raters above each border; without a distribution, the position of the value
        between the two answers around it."""
        values = [float(a.value) for a in self.task.dimension.answers]
        shares = [label.distribution.get(a.alias, 0.0) for a in self.task.dimension.answers]
        if sum(shares) > 0:
            total = sum(shares)
            return [sum(shares[i + 1 :]) / total for i in range(len(values) - 1)]
        value = float(label.value)
        return [min(max((value - low) / (high - low), 0.0), 1.0) for low, high in pairwise(values)]

    def constant(self, mean: Tensor, half: float) -> Tensor:
        """The log-odds at the first border, then the steps down to the others, before softplus."""
        odds = torch.logit((mean + half) / (1 + 2 * half))
        steps = (odds[:-1] - odds[1:]).clamp(min=LEAST_STEP)
        return torch.cat([odds[:1], steps.expm1().log()])

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy at each border, nats, mean over the borders."""
        return functional.binary_cross_entropy_with_logits(logits(raw), target, reduction="none").mean(dim=-1)

    def answer(self, raw: RawOutputs) -> RawOutputs:
        """Probability of a value above each border."""
        return torch.sigmoid(logits(torch.from_numpy(raw))).numpy()

    def read(self, raw: RawOutputs, target: Target, noise: float, shares: Shares = None) -> TaskPrediction:
        """Probabilities of the answers; the mean is their expected value on the scale."""
        above = self.answer(raw)
        ones, zeros = np.ones_like(above[..., :1]), np.zeros_like(above[..., :1])
        members = -np.diff(np.concatenate([ones, above, zeros], axis=-1), axis=-1)
        answers = np.array([float(a.value) for a in self.task.dimension.answers])
        means = members @ answers
        spread = np.sqrt(np.maximum(members @ np.square(answers) - np.square(means), 0))
        mean = average(means, shares)
        prediction = classification(self.task, members, shares)
        return TaskPrediction(
            task=self.task,
            members=prediction.members,
            mean=mean.astype(np.float32),
            epistemic=np.sqrt(average(np.square(means - mean), shares)).astype(np.float32),
            aleatoric=average(spread, shares).astype(np.float32),
            shares=shares,
        )


def logits(raw: Tensor) -> Tensor:
    """(..., borders) that never rise from one border to the next."""
    steps = functional.softplus(raw[..., 1:])
    return torch.cat([raw[..., :1], raw[..., :1] - steps.cumsum(dim=-1)], dim=-1)
