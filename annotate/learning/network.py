"""The multi-task network: an encoder per modality, a shared part, a fusion, one head per task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from annotate.learning.encoder import Encoder
from annotate.types import Kind, Modality, Task


@dataclass(frozen=True, slots=True)
class Output:
    """What the network says about n samples."""

    heads: Mapping[str, Tensor]
    """By task id: (n, 1) in unit scale for regression, (n, classes) logits for classification."""
    fused: Tensor
    """(n, hidden) the code the multimodal heads read."""


class SharedPart(nn.Module):
    """(batch, hidden) -> (batch, hidden), the same weights for the code of every modality (hard sharing)."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)
        )

    def forward(self, code: Tensor) -> Tensor:
        """Residual, so that a modality that gains nothing from sharing can pass by."""
        return code + self.layers(code)


class Fusion(nn.Module):
    """Shared codes of the present modalities side by side -> (batch, hidden)."""

    def __init__(self, modalities: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(modalities * (hidden + 1), hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)
        )

    def forward(self, codes: Sequence[Tensor], present: Sequence[Tensor]) -> Tensor:
        """`present` is (batch, 1) of 0 and 1 per modality; seen too, so that zero and missing differ."""
        kept = [code * there for code, there in zip(codes, present, strict=True)]
        return self.layers(torch.cat([*kept, *present], dim=1))


class MultiTaskNet(nn.Module):
    """Unimodal heads see their own modality through the shared part only; multimodal heads see the fusion."""

    def __init__(
        self, widths: Mapping[Modality, int], tasks: Sequence[Task], hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.encoders = nn.ModuleDict({m.value: Encoder(w, hidden, dropout) for m, w in widths.items()})
        self.shared = SharedPart(hidden, dropout)
        self.fusion = Fusion(len(widths), hidden, dropout)
        self.heads = nn.ModuleDict({_key(t): nn.Linear(hidden, _size(t)) for t in tasks})

    def forward(self, values: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor]) -> Output:
        """`values` (n, rows, width) and `masks` (n, rows) by modality, as in `Batch`."""
        codes = {
            key: self.shared(encoder(values[Modality(key)], masks[Modality(key)]))
            for key, encoder in self.encoders.items()
        }
        present = [masks[Modality(key)].any(dim=1, keepdim=True).float() for key in codes]
        seen = {**codes, Modality.MULTIMODAL.value: self.fusion(list(codes.values()), present)}
        heads = {t.id: self.heads[_key(t)](seen[t.modality.value]) for t in self.tasks}
        return Output(heads, seen[Modality.MULTIMODAL.value])


def _key(task: Task) -> str:
    # torch keeps the dot for itself.
    return task.id.replace(".", "-")


def _size(task: Task) -> int:
    return 1 if task.dimension.kind is Kind.REGRESSION else len(task.dimension.answers)
