"""The training loop of one network, in plain sight."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from annotate.errors import ModelError
from annotate.learning.batches import Batch
from annotate.learning.losses import task_losses, total_loss
from annotate.learning.network import MultiTaskNet

LARGEST_GRADIENT = 1.0
UNWATCHED_STEPS, UNWATCHED_EPOCHS = 60, 30
"""How long to train when no valid labels tell when to stop: this many steps, and at least this many epochs.

With 20 and 60 labels of RAVDESS, longer gave the same accuracy and ever worse probabilities.
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is built and learns; the fields of `[train]` without the device."""

    hidden: int
    members: int
    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    dropout: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came out of `fit`; the network itself holds the weights of the best epoch."""

    epochs: int
    """How many were run."""
    best_epoch: int
    valid_loss: float | None
    """Of the best epoch; None without valid labels."""


def fit(
    net: MultiTaskNet,
    train: Batch,
    valid: Batch | None,
    recipe: Recipe,
    generator: torch.Generator,
    on_epoch: Callable[[], None] = lambda: None,
) -> Fitted:
    """Train `net` in place until the mean loss over the valid labels has not fallen for `patience` epochs.

    Without valid labels it runs a fixed number of epochs. `generator` decides the order of the samples.
    Raises `ModelError` when the loss is no longer a number.
    """
    # Fused: one pass over all weights takes a quarter of the time of one pass per tensor.
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    epochs = recipe.epochs if valid else _unwatched_epochs(recipe, len(train))
    best_loss, best_epoch, best = math.inf, 0, _weights(net)
    epoch = 0
    for epoch in range(1, epochs + 1):
        _run_epoch(net, train, recipe, optimizer, generator, epoch)
        on_epoch()
        if valid is None:
            continue
        loss = _evaluate(net, valid, epoch)
        if loss < best_loss:
            best_loss, best_epoch, best = loss, epoch, _weights(net)
        elif epoch - best_epoch >= recipe.patience:
            break
    if valid is None:
        return Fitted(epoch, epoch, None)
    net.load_state_dict(best)
    return Fitted(epoch, best_epoch, best_loss)


def _unwatched_epochs(recipe: Recipe, samples: int) -> int:
    steps_per_epoch = math.ceil(samples / recipe.batch_size)
    return min(recipe.epochs, max(UNWATCHED_EPOCHS, math.ceil(UNWATCHED_STEPS / steps_per_epoch)))


def _run_epoch(
    net: MultiTaskNet,
    train: Batch,
    recipe: Recipe,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    epoch: int,
) -> None:
    net.train()
    order = torch.randperm(len(train), generator=generator)
    for indices in torch.split(order, recipe.batch_size):
        batch = train.take(indices.to(_device(train)))
        losses = task_losses(net.tasks, net(batch.values, batch.masks).heads, batch)
        if not losses:
            continue
        loss = total_loss(losses)
        _require_finite(loss, epoch)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(net.parameters(), LARGEST_GRADIENT)
        optimizer.step()


def _evaluate(net: MultiTaskNet, valid: Batch, epoch: int) -> float:
    net.eval()
    with torch.no_grad():
        loss = total_loss(task_losses(net.tasks, net(valid.values, valid.masks).heads, valid))
    _require_finite(loss, epoch)
    return float(loss)


def _require_finite(loss: Tensor, epoch: int) -> None:
    if not torch.isfinite(loss):
        raise ModelError(
            f"the loss was no longer a number in epoch {epoch}; no model was written",
            hint="lower train.learning_rate in annotate.toml",
        )


def _weights(net: MultiTaskNet) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}


def _device(batch: Batch) -> torch.device:
    return next(iter(batch.masks.values())).device
