"""Parallel expert layers, mixed with weights that depend on the sample."""

from torch import Tensor, nn


class Experts(nn.Module):
    """(..., hidden) -> (..., experts, hidden)."""

    def __init__(self, hidden: int, count: int, dropout: float) -> None:
        super().__init__()
        self.hidden, self.count = hidden, count
        self.layer = nn.Linear(hidden, count * hidden)
        self.rest = nn.Sequential(nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout))

    def forward(self, representation: Tensor) -> Tensor:
        """The output of every expert."""
        return self.rest(self.layer(representation).unflatten(-1, (self.count, self.hidden)))


def mixture(gates: Tensor, answers: Tensor) -> Tensor:
    """(..., hidden) from (..., experts) and (..., experts, hidden)."""
    return (gates.unsqueeze(-1) * answers).sum(dim=-2)
