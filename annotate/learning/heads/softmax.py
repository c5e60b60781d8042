"""Classification head."""

from torch import Tensor

from annotate.learning.heads._answers import Shares, classification, softmax
from annotate.learning.heads.base import Head, RawOutputs, Target
from annotate.registry import head
from annotate.types import Kind, Label, Task, TaskPrediction


@head("softmax")
class Softmax(Head):
    """One of several classes, trained on the shares of the raters (soft targets: Peterson et al. 2019)."""

    kind = Kind.CLASSIFICATION

    @classmethod
    def outputs(cls, task: Task) -> int:
        """A logit for each class."""
        return len(task.dimension.answers)

    def encode(self, label: Label, target: Target) -> list[float]:
        """The share of the raters for each class (soft targets)."""
        shares = [label.distribution.get(a.alias, 0.0) for a in self.task.dimension.answers]
        total = sum(shares)
        return [share / total for share in shares] if total else shares

    def constant(self, mean: Tensor, half: float) -> Tensor:
        """The logarithms of the shares."""
        return (mean + half).log()

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy, nats."""
        return -(target * raw.log_softmax(dim=-1)).sum(dim=-1)

    def answer(self, raw: RawOutputs) -> RawOutputs:
        """The probability of each class."""
        return softmax(raw)

    def read(self, raw: RawOutputs, target: Target, noise: float, shares: Shares = None) -> TaskPrediction:
        """The probabilities of each member."""
        return classification(self.task, self.answer(raw), shares)
