"""Sparsely gated mixture of experts."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from annotate.errors import ConfigError
from annotate.learning.sharings._experts import Experts, mixture
from annotate.learning.sharings.base import Heads, NetworkPlan, Sharing, Tower, zero_penalty
from annotate.learning.tensors import Inputs, Shared
from annotate.registry import sharing
from annotate.types import Modality


@dataclass(frozen=True, slots=True)
class MixtureOptions:
    """Options of `mixture-of-experts`."""

    experts: int = 8
    """Number of experts."""
    active: int = 2
    """Experts that each sample uses."""
    balance: float = 0.01
    """Weight in the loss of the penalty for an uneven load of the experts."""


@sharing("mixture-of-experts")
class MixtureOfExperts(Sharing):
    """Shared experts, a few of which each sample uses (Shazeer et al. 2017; Kaiser et al. 2017).

    Implementation notes: The experts take the place of the shared layer, on top of the encoders and of the
    fusion; all modalities share them.
    """

    Options: ClassVar[type] = MixtureOptions

    def __init__(self, plan: NetworkPlan, options: Any) -> None:
        super().__init__(plan, options)
        if not 1 <= options.active < options.experts:
            raise ConfigError(
                f"{options.active} of {options.experts} experts cannot be active",
                hint="set active below experts in [train.options.mixture-of-experts]",
            )
        self.tower = Tower(plan, shared=nn.Identity())
        self.experts = Experts(plan.hidden, options.experts, plan.dropout)
        self.gate = SparseGate(plan.hidden, options.experts, options.active)

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """All unimodal representations and the fused one pass the experts together."""
        representations = self.tower(inputs)
        # (modalities, n, 1) where there is something to read; the fused representation reads any modality.
        any_present = torch.stack([inputs.present(m) for m in inputs.masks]).amax(dim=0)
        present = torch.stack(
            [
                any_present if key == Modality.MULTIMODAL.value else inputs.present(key)
                for key in representations
            ]
        )
        stacked = torch.stack(list(representations.values()))
        gates, load = self.gate(stacked)
        deeper = (stacked + mixture(gates, self.experts(stacked))) * present
        vectors = dict(zip(representations, deeper.unbind(0), strict=True))
        uneven = unevenness((gates * present).flatten(0, 1).sum(0)) + unevenness(
            (load * present).flatten(0, 1).sum(0)
        )
        return Shared(
            {task.id: vectors[task.modality.value] for task in self.tasks},
            vectors[Modality.MULTIMODAL.value],
            zero_penalty(inputs) + self.options.balance * uneven,
        )


class SparseGate(nn.Module):
    """Noisy top-k gating: in training, noise of learned size lets other experts be chosen too."""

    def __init__(self, hidden: int, experts: int, active: int) -> None:
        super().__init__()
        self.active = active
        self.clean = nn.Linear(hidden, experts, bias=False)
        self.loudness = nn.Linear(hidden, experts, bias=False)
        nn.init.zeros_(self.loudness.weight)

    def forward(self, representation: Tensor) -> tuple[Tensor, Tensor]:
        """(..., hidden) -> (..., experts) weights that sum to one, all but `active` of them zero; and
        (..., experts) load: the probability that an expert is chosen if the noise is drawn again."""
        clean = self.clean(representation)
        spread = functional.softplus(self.loudness(representation)) + 1e-2
        logits = clean + torch.randn_like(clean) * spread if self.training else clean
        best, places = logits.topk(self.active + 1, dim=-1)
        weights = best[..., :-1].softmax(dim=-1)
        gates = torch.zeros_like(logits).scatter(-1, places[..., :-1], weights)
        # A chosen expert has to beat the best that was not chosen; the others, the worst chosen one.
        to_beat = torch.where(gates > 0, best[..., -1:], best[..., -2:-1])
        return gates, torch.special.ndtr((clean - to_beat) / spread)


def unevenness(sums: Tensor) -> Tensor:
    """() squared coefficient of variation of (experts,)."""
    return sums.var(correction=0) / (sums.mean().square() + 1e-10)
