"""Any number of several answers."""

import numpy as np
from torch import Tensor
from torch.nn import functional

from annotate.learning.heads._answers import Shares, average
from annotate.learning.heads._base import Head, Raw, Target
from annotate.registry import head
from annotate.types import Kind, Label, Task, TaskPrediction


@head("sigmoid")
class Sigmoid(Head):
    """Any of several answers, each against its share of the raters (binary relevance)."""

    kind = Kind.MULTILABEL

    @classmethod
    def outputs(cls, task: Task) -> int:
        """A logit for each answer."""
        return len(task.dimension.answers)

    def encode(self, label: Label, target: Target) -> list[float]:
        """The share of the raters who ticked each answer."""
        return [label.distribution.get(a.alias, 0.0) for a in self.task.dimension.answers]

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy, nats, mean over the answers."""
        return functional.binary_cross_entropy_with_logits(raw, target, reduction="none").mean(dim=-1)

    def read(self, raw: Raw, target: Target, noise: float, shares: Shares = None) -> TaskPrediction:
        """Independent probabilities; disagreement and noise are sums over the answers."""
        members = 1 / (1 + np.exp(-raw))
        noise_nats = average(_entropy(members).sum(axis=-1), shares)
        mean = average(members, shares)
        return TaskPrediction(
            task=self.task,
            members=members.astype(np.float32),
            mean=(mean >= 0.5).sum(axis=-1).astype(np.float32),
            epistemic=np.maximum(_entropy(mean).sum(axis=-1) - noise_nats, 0).astype(np.float32),
            aleatoric=noise_nats.astype(np.float32),
            shares=shares,
        )


def _entropy(p: Raw) -> Raw:
    """Of each answer by itself, nats."""
    bounded = p.clip(1e-12, 1 - 1e-12)
    return -(bounded * np.log(bounded) + (1 - bounded) * np.log1p(-bounded))
