"""The training loop, in plain sight: networks of one shape side by side, each with its own order and end."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from annotate.errors import ModelError
from annotate.learning._part import options_of
from annotate.learning.batches import Batch
from annotate.learning.losses import task_losses
from annotate.learning.members import Members, Weights
from annotate.learning.recipe import Recipe
from annotate.learning.weightings._base import Weighting, mean_of_present
from annotate.registry import WEIGHTINGS

LARGEST_GRADIENT = 1.0
UNWATCHED_STEPS, UNWATCHED_EPOCHS = 60, 30
"""How long to train when no valid labels tell when to stop: this many steps, and at least this many epochs.

With 20 and 60 labels of RAVDESS, longer gave the same accuracy and ever worse probabilities.
"""


@dataclass(frozen=True, slots=True)
class Fitted:
    """How the training of one network went; it holds the weights of its best epoch."""

    epochs: int
    """How many were run."""
    best_epoch: int
    valid_loss: float | None
    """Of the best epoch; None without valid labels."""
    losses: Mapping[str, float] = field(default_factory=dict)
    """By task id: the train loss of the last epoch."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What is known at the end of an epoch, for progress and logs."""

    number: int
    """From 1."""
    losses: Mapping[str, float]
    """By task id: the train loss, mean over the members."""
    valid_loss: float | None
    running: int
    """Members that have not stopped."""


def fit(
    members: Members,
    train: Batch,
    valid: Batch | None,
    recipe: Recipe,
    generators: Sequence[torch.Generator],
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    *,
    sample_weights: Tensor | None = None,
) -> list[Fitted]:
    """Train in place until each member's mean loss on the valid labels has not fallen for `patience` epochs.

    Without valid labels a fixed number of epochs is run. `generators`, one per member, decide the order of
    the samples. `sample_weights` (members, n) multiply the weights of `train`. Raises `ModelError` when a
    loss is no longer a number.
    """
    run = _Run(members, train, valid, recipe, generators, sample_weights)
    while run.epoch < run.epochs and bool(run.running.any()):
        on_epoch(run.one_epoch())
    return run.finish()


class _Run:
    """The state of one training."""

    def __init__(
        self,
        members: Members,
        train: Batch,
        valid: Batch | None,
        recipe: Recipe,
        generators: Sequence[torch.Generator],
        sample_weights: Tensor | None,
    ) -> None:
        self.members, self.train, self.valid, self.recipe = members, train, valid, recipe
        self.generators, self.sample_weights = generators, sample_weights
        self.heads = [members.net.head(task) for task in members.net.tasks]
        self.weighting = make_weighting(members, recipe)
        self.optimizer = make_optimizer(members, self.weighting, recipe)
        self.epochs = recipe.epochs if valid else _unwatched_epochs(recipe, len(train))
        self.epoch = 0
        self.best_loss = torch.full((members.count,), math.inf)
        self.best_epoch = torch.zeros(members.count, dtype=torch.long)
        self.ended = torch.zeros(members.count, dtype=torch.long)
        self.running = torch.ones(members.count, dtype=torch.bool)
        self.best: Weights = members.weights()
        self.losses = torch.full((members.count, len(self.heads)), math.nan)

    def one_epoch(self) -> Epoch:
        """Every sample once."""
        self.epoch += 1
        self.members.train()
        sums = torch.zeros_like(self.losses)
        counts = torch.zeros_like(self.losses)
        for indices in self._steps():
            losses, present = self._step(indices)
            sums += losses.cpu()
            counts += present.cpu()
        self.losses = sums / counts  # NaN for a task without labels
        self.weighting.end_epoch(self.losses)
        _require_finite(self.losses[counts > 0], self.epoch)
        valid_loss = self._watch()
        means = self.losses.nanmean(dim=0).tolist()
        named = {h.task.id: m for h, m in zip(self.heads, means, strict=True) if not math.isnan(m)}
        return Epoch(self.epoch, named, valid_loss, int(self.running.sum()))

    def _steps(self) -> Iterator[Tensor]:
        """(members, b) indices of each step."""
        order = torch.stack([torch.randperm(len(self.train), generator=g) for g in self.generators])
        yield from torch.split(order.to(self.train.device), self.recipe.batch_size, dim=1)

    def _step(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """(members, tasks) losses, and whether there was a label."""
        batch = self.train.take(indices)
        if self.sample_weights is not None:
            factor = self.sample_weights.gather(1, indices)
            weights = {i: w * factor for i, w in batch.weights.items()}
            batch = Batch(batch.inputs, batch.targets, batch.known, weights)
        output = self.members(batch.inputs)
        losses, present = task_losses(self.heads, output, batch)
        if not bool(present.any()):
            return losses.detach(), present
        self.optimizer.zero_grad(set_to_none=True)
        self.weighting.backward(losses, present, output.penalty, list(self.members.parameters.values()))
        _clip(list(self.members.parameters.values()))
        self.optimizer.step()
        return losses.detach(), present

    def _watch(self) -> float | None:
        """Look at the valid labels: remember each member's best weights, end those that wait too long."""
        if self.valid is None:
            self.ended[:] = self.best_epoch[:] = self.epoch
            return None
        losses = evaluate(self.members, self.valid)
        _require_finite(losses, self.epoch)
        better = (losses < self.best_loss) & self.running
        self.best_loss = torch.where(better, losses, self.best_loss)
        self.best_epoch[better] = self.epoch
        self.ended[self.running] = self.epoch
        self._remember(better)
        self.running = self.epoch - self.best_epoch < self.recipe.patience
        return float(losses.mean())

    def _remember(self, better: Tensor) -> None:
        if not bool(better.any()):
            return
        chosen = better.to(self.train.device).nonzero()[:, 0]
        for name, tensor in (*self.members.parameters.items(), *self.members.buffers.items()):
            self.best[name][chosen] = tensor.detach()[chosen]

    def finish(self) -> list[Fitted]:
        """Put the best weights back."""
        if self.valid is not None:
            self.members.load(self.best)
        return [self._fitted(k) for k in range(self.members.count)]

    def _fitted(self, k: int) -> Fitted:
        losses = {h.task.id: float(self.losses[k, i]) for i, h in enumerate(self.heads)}
        return Fitted(
            int(self.ended[k]),
            int(self.best_epoch[k]),
            None if self.valid is None else float(self.best_loss[k]),
            {task_id: loss for task_id, loss in losses.items() if not math.isnan(loss)},
        )


def make_weighting(members: Members, recipe: Recipe) -> Weighting:
    """The weighting that the recipe names, on the device of the members."""
    options = options_of(WEIGHTINGS, recipe.weighting, recipe.options_for(recipe.weighting))
    made = WEIGHTINGS.get(recipe.weighting)(members.net.tasks, members.count, options)
    return cast(Weighting, made).to(next(iter(members.parameters.values())).device)


def make_optimizer(members: Members, weighting: Weighting, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW over all members at once; parameters with a rate of their own form groups of their own."""
    rates: dict[float, list[Tensor]] = {}
    for name, parameter in members.parameters.items():
        rates.setdefault(members.net.rate(name), []).append(parameter)
    groups = [{"params": found, "lr": recipe.learning_rate * rate} for rate, found in rates.items()]
    own = list(weighting.parameters())
    if own:
        groups.append({"params": own, "lr": recipe.learning_rate, "weight_decay": 0.0})
    # Fused: one pass over all weights takes a quarter of the time of one pass per tensor.
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)


def evaluate(members: Members, valid: Batch) -> Tensor:
    """(members,) mean over the tasks of the mean loss over the labels; on the CPU."""
    from annotate.learning.members import ask, repeat

    heads = [members.net.head(task) for task in members.net.tasks]
    count = members.count
    everyone = Batch(
        repeat(valid.inputs, count),
        *(
            {i: t.expand(count, *t.shape) for i, t in part.items()}
            for part in (valid.targets, valid.known, valid.weights)
        ),
    )
    return mean_of_present(*task_losses(heads, ask(members, valid.inputs), everyone)).cpu()


def _clip(parameters: Sequence[Tensor]) -> None:
    """Bring each member's gradient to a norm of at most `LARGEST_GRADIENT`."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norms = torch.cat([g.flatten(1) for g in gradients], dim=1).norm(dim=1)
    factors = (LARGEST_GRADIENT / (norms + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))


def _unwatched_epochs(recipe: Recipe, samples: int) -> int:
    steps_per_epoch = math.ceil(samples / recipe.batch_size)
    return min(recipe.epochs, max(UNWATCHED_EPOCHS, math.ceil(UNWATCHED_STEPS / steps_per_epoch)))


def _require_finite(losses: Tensor, epoch: int) -> None:
    if not torch.isfinite(losses).all():
        raise ModelError(
            f"the loss was no longer a number in epoch {epoch}; no model was written",
            hint="lower train.learning_rate in annotate.toml",
        )
