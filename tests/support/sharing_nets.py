"""Small networks, and a plain way to train them, for the tests of sharings."""

from collections.abc import Mapping

import torch
from torch import Tensor

from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet
from annotate.learning.tensors import Inputs
from annotate.types import Modality, Task
from tests.support.dimensions import SENTIMENT_TASKS

WIDTHS = {Modality.TEXT: 5, Modality.AUDIO: 4, Modality.VISION: 3}
Targets = Mapping[str, Tensor]


def network(
    sharing: str,
    tasks: tuple[Task, ...] = SENTIMENT_TASKS,
    *,
    hidden: int = 8,
    seed: int = 0,
    **options: object,
) -> MultiTaskNet:
    """Without dropout, so that two networks can be compared."""
    torch.manual_seed(seed)
    config = ModelConfig(hidden=hidden, dropout=0.0, sharing=sharing, options={sharing: options})
    return MultiTaskNet(WIDTHS, tasks, config)


def samples(n: int = 32, seed: int = 0) -> tuple[Inputs, Targets]:
    """Random numbers; each task wants another function of them."""
    made = torch.Generator().manual_seed(seed)
    values = {m.value: torch.randn(n, 1, width, generator=made) for m, width in WIDTHS.items()}
    masks = {key: torch.ones(n, 1, dtype=torch.bool) for key in values}
    inputs = Inputs(values, masks, torch.arange(n), torch.zeros(n, dtype=torch.long))
    targets = {
        task.id: torch.sin(inputs.values[key][:, 0].sum(dim=-1) + i)
        for i, (task, key) in enumerate(zip(SENTIMENT_TASKS, ("T", "A", "V", "T"), strict=True))
    }
    return inputs, targets


def taught(net: MultiTaskNet, inputs: Inputs, targets: Targets, steps: int = 40) -> dict[str, Tensor]:
    """What it says about the samples after so many steps on all of them; no clipping, no early stop."""
    rates: dict[float, list[Tensor]] = {}
    for name, parameter in net.named_parameters():
        rates.setdefault(net.rate(name), []).append(parameter)
    groups = [{"params": found, "lr": 1e-2 * rate} for rate, found in rates.items()]
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-2, fused=True)
    for _ in range(steps):
        output = net.train()(inputs)
        losses = [(output.heads[t.id][:, 0] - targets[t.id]).square().mean() for t in net.tasks]
        optimizer.zero_grad()
        torch.autograd.backward(sum(losses, output.penalty))
        optimizer.step()
    with torch.no_grad():
        return {i: raw[:, 0] for i, raw in net.eval()(inputs).heads.items()}


def furthest(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """The largest difference between two networks' answers."""
    return max(float((one[i] - other[i]).abs().max()) for i in one)
