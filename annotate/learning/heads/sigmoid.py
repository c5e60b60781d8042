"""Multilabel head: independent probabilities."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from annotate.learning.heads._answers import Shares, multilabel
from annotate.learning.heads.base import Head, RawOutputs, Target
from annotate.registry import head
from annotate.types import Kind, Label, Task, TaskPrediction


@head("sigmoid")
class Sigmoid(Head):
    """Any of several answers, each trained on its share of the raters (binary relevance)."""

    kind = Kind.MULTILABEL

    @classmethod
    def outputs(cls, task: Task) -> int:
        """A logit for each answer."""
        return len(task.dimension.answers)

    def encode(self, label: Label, target: Target) -> list[float]:
        """The share of the raters who chose each answer."""
        return [label.distribution.get(a.alias, 0.0) for a in self.task.dimension.answers]

    def constant(self, mean: Tensor, half: float) -> Tensor:
        """The log-odds of the shares."""
        return torch.logit((mean + half) / (1 + 2 * half))

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy, nats, mean over the answers."""
        return functional.binary_cross_entropy_with_logits(raw, target, reduction="none").mean(dim=-1)

    def answer(self, raw: RawOutputs) -> RawOutputs:
        """The probability of each answer."""
        return np.asarray(1 / (1 + np.exp(-raw)))

    def read(self, raw: RawOutputs, target: Target, noise: float, shares: Shares = None) -> TaskPrediction:
        """Independent probabilities."""
        return multilabel(self.task, self.answer(raw), shares)
