"""The training loop: several networks of one shape at once, each with its own order and early stopping."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import cast

import torch
from torch import Tensor

from annotate.errors import ModelError
from annotate.learning.batches import Batch
from annotate.learning.conflict import GradientProbe
from annotate.learning.losses import task_losses
from annotate.learning.members import Members, Weights, ask, repeat
from annotate.learning.memory import MemoryLimit
from annotate.learning.model_config import ModelConfig
from annotate.learning.results import Epoch, Fitted
from annotate.learning.resume import Checkpointer, TrainingState, name_of
from annotate.learning.sampling import Sampler, Step
from annotate.learning.stopping import Stopping
from annotate.learning.train_step import TrainStep
from annotate.learning.weightings.base import Weighting, mean_of_present
from annotate.options import parse_options
from annotate.registry import WEIGHTINGS

LARGEST_GRADIENT = 1.0
UNWATCHED_STEPS, UNWATCHED_EPOCHS = 60, 30
"""Length of a training without valid labels for early stopping: this many steps, at least so many epochs.

With 20 and 60 labels of RAVDESS, longer gave the same accuracy and ever worse probabilities.
"""


def fit(  # noqa: PLR0913 - one argument per part of a training
    members: Members,
    train: Batch,
    valid: Batch | None,
    config: ModelConfig,
    generators: Sequence[torch.Generator],
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    *,
    sample_weights: Tensor | None = None,
    checkpointer: Checkpointer | None = None,
    cache_graphs: bool = False,
) -> list[Fitted]:
    """Train in place with early stopping on the valid labels, per member (see `Stopping`).

    Without valid labels a fixed number of epochs is run. `generators`, one per member, decide the order of
    samples and tasks (see `Sampler`). `sample_weights` (members, n) multiply the weights of
    `train`. With a `checkpointer`, a killed training is resumed and ends with the weights of an
    uninterrupted one. `cache_graphs` as in `TrainStep`. Raises `ModelError` when a loss is not finite.
    """
    run = _Run(members, train, valid, config, generators, sample_weights, cache_graphs=cache_graphs)
    name = "" if checkpointer is None else run.name()
    kept = None if checkpointer is None else checkpointer.find(name)
    if kept is not None:
        run.restore(kept)
    while run.epoch < run.epochs and bool(run.stopping.running.any()):
        on_epoch(run.one_epoch())
        if checkpointer is not None:
            checkpointer.keep(name, run.state)
    if checkpointer is not None:
        checkpointer.keep(name, run.state, ended=True)
    return run.finish()


class _Run:
    """The state of one training."""

    def __init__(
        self,
        members: Members,
        train: Batch,
        valid: Batch | None,
        config: ModelConfig,
        generators: Sequence[torch.Generator],
        sample_weights: Tensor | None,
        *,
        cache_graphs: bool = False,
    ) -> None:
        self.members, self.train, self.valid, self.config = members, train, valid, config
        self.generators, self.sample_weights = generators, sample_weights
        self.heads = [members.net.head(task) for task in members.net.tasks]
        self.weighting = make_weighting(members, config)
        self.train_step = TrainStep(members, self.weighting, config, cache_graphs=cache_graphs)
        self.memory_limit = MemoryLimit()
        self.optimizer = make_optimizer(members, self.weighting, config)
        self.head_parameters = [members.of_head(task) for task in members.net.tasks]
        self.sampler = Sampler(
            train, [task.id for task in members.net.tasks], config,
            members=members.count, whole_videos=members.net.needs_context, sample_weights=sample_weights,
        )  # fmt: skip
        self.stopping = Stopping(members.count, members.net.tasks, config)
        self.probe = GradientProbe(self.heads, members.count)
        self.epochs = config.epochs
        if not valid:
            epochs = math.ceil(UNWATCHED_STEPS / max(self.sampler.steps, 1))
            self.epochs = min(config.epochs, max(UNWATCHED_EPOCHS, epochs))
        self.epoch = 0
        self.best: Weights = members.weights()
        self.losses = torch.full((members.count, len(self.heads)), math.nan)

    def one_epoch(self) -> Epoch:
        """Train on every sample once, or on every label."""
        self.epoch += 1
        self.members.train()
        nothing = torch.zeros_like(self.losses), torch.zeros_like(self.losses, dtype=torch.bool)
        losses_by_step = [nothing, *(self._step(step) for step in self.sampler.epoch(self.generators))]
        # Stacked on the device: reading a GPU tensor in every step would stall it.
        losses, present = (
            torch.stack([t.to(self.train.device) for t in part]).cpu()
            for part in zip(*losses_by_step, strict=True)
        )
        counts = present.sum(dim=0)
        self.losses = (losses * present).sum(dim=0) / counts  # NaN for a task without labels
        self.weighting.end_epoch(self.losses)
        _require_finite(self.losses[counts > 0], self.epoch)
        valid_loss = self._validate()
        if self.probe.due(self.epoch * self.sampler.steps):  # does not change the training
            generators = [torch.Generator().manual_seed(self.epoch) for _ in self.generators]
            step = next(iter(self.sampler.epoch(generators)))
            with suppress(torch.OutOfMemoryError):  # the probe is optional
                rows = step.indices[:, : self.memory_limit.rows or None]
                self.probe.take(self.members, self._batch(rows))
        means = self.losses.nanmean(dim=0).tolist()
        named = {h.task.id: m for h, m in zip(self.heads, means, strict=True) if not math.isnan(m)}
        running = int(self.stopping.running.sum())
        return Epoch(self.epoch, self.epochs, named, valid_loss, running, self._task_weights)

    def _task_weights(self) -> Mapping[str, float]:
        """The weight of each task's loss, mean over the members."""
        losses = torch.where(self.losses.isnan(), 0.0, self.losses).to(self.train.device).requires_grad_()
        with torch.enable_grad():
            total = self.weighting(losses, torch.ones_like(losses, dtype=torch.bool)).sum()
        slopes = torch.autograd.grad(total, losses)[0].mean(dim=0) * len(self.heads)
        return {head.task.id: weight for head, weight in zip(self.heads, slopes.tolist(), strict=True)}

    def _step(self, step: Step) -> tuple[Tensor, Tensor]:
        """(members, tasks) losses, and which of them were learned from."""
        counted = step.counted & self.stopping.active
        if not bool(counted.any()):
            return torch.zeros_like(self.losses), counted
        batch = self._batch(step.indices)
        losses, present = self._fit_batch(batch, counted)
        self._optimize(counted)
        return losses, present

    def _fit_batch(self, batch: Batch, counted: Tensor) -> tuple[Tensor, Tensor]:
        """`TrainStep`, repeated in smaller pieces with the weighting reset while memory is short."""
        before = [(buffer, buffer.clone()) for buffer in self.weighting.buffers()]

        def work(pieces: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
            for buffer, value in before if pieces else ():
                buffer.copy_(value)
            return self.train_step(batch, counted, pieces)

        return self.memory_limit.compute(batch.inputs, self.members.net.needs_context, work)

    def _batch(self, indices: Tensor) -> Batch:
        batch = self.train.take(indices)
        if self.sample_weights is None:
            return batch
        factor = self.sample_weights.gather(1, indices)
        weights = {i: w * factor for i, w in batch.weights.items()}
        return Batch(batch.inputs, batch.targets, batch.known, weights)

    def _optimize(self, counted: Tensor) -> None:
        """One step of the optimizer. In members that do not learn from a task, the task's head does not move,
        not even by momentum or weight decay."""
        parameters = list(self.members.parameters.values())
        held = []
        for task in (~counted).any(dim=0).nonzero()[:, 0].tolist():
            still = (~counted[:, task]).nonzero()[:, 0].to(self.train.device)
            for parameter in self.head_parameters[task]:
                if len(still) == self.members.count or parameter.grad is None:
                    parameter.grad = None
                else:
                    parameter.grad[still] = 0.0
                    held.append((parameter, still, [t[still] for t in self._kept(parameter)]))
        # Clip each member's gradient to a norm of at most `LARGEST_GRADIENT`.
        gradients = [p.grad for p in parameters if p.grad is not None]
        norms = torch.cat([g.flatten(1) for g in gradients], dim=1).norm(dim=1)
        factors = (LARGEST_GRADIENT / (norms + 1e-6)).clamp(max=1.0)
        shaped = {dim: factors.view(-1, *[1] * (dim - 1)) for dim in {g.dim() for g in gradients}}
        torch._foreach_mul_(gradients, [shaped[gradient.dim()] for gradient in gradients])
        self.optimizer.step()
        for parameter, still, before in held:
            for tensor, rows in zip_longest(self._kept(parameter), before):
                tensor[still] = 0.0 if rows is None else rows

    def _kept(self, parameter: Tensor) -> list[Tensor]:
        """The tensors that a step changes for a parameter: itself and, after the first step, its moments."""
        moments = [t for t in self.optimizer.state[parameter].values() if t.shape == parameter.shape]
        return [parameter.detach(), *moments]

    def _validate(self) -> float | None:
        """Evaluate on the valid labels, keep each member's best weights and stop those out of patience."""
        if self.valid is None:
            self.stopping.unwatched(self.epoch)
            return None
        losses, present = evaluate(self.members, self.valid)
        _require_finite(losses[present], self.epoch)
        better = self.stopping.update(self.epoch, losses, present)
        if bool(better.any()):
            members = better.to(self.train.device).nonzero()[:, 0]
            for name, tensor in (*self.members.parameters.items(), *self.members.buffers.items()):
                self.best[name][members] = tensor.detach()[members]
        return float(mean_of_present(losses, present).mean())

    def name(self) -> str:
        """The hash that identifies this training; call it before the first step."""
        chance = [torch.get_rng_state(), *(generator.get_state() for generator in self.generators)]
        factors = [] if self.sample_weights is None else [self.sample_weights]
        batches, weights = (self.train, self.valid), self.members.weights()
        return name_of(self.config, self.members.sees, batches, weights, [*chance, *factors])

    def state(self) -> TrainingState:
        """Everything that is needed to resume."""
        tensors = {
            f"{part}.{name}": t
            for part, tensors_of_part in self._parts().items()
            for name, t in tensors_of_part.items()
        }
        for i, generator in enumerate(self.generators):
            tensors[f"generator.{i}"] = generator.get_state()
        tensors["random"] = torch.get_rng_state()
        if self.train.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.train.device)
        facts = {"epoch": self.epoch, "rows": self.memory_limit.rows}
        return TrainingState({n: t.detach().cpu().clone() for n, t in tensors.items()}, facts)

    def restore(self, kept: TrainingState) -> None:
        """Continue from a state that `state` returned."""
        self.epoch, self.memory_limit.rows = kept.facts["epoch"], kept.facts["rows"]
        for name, tensor in kept.tensors.items():
            if name.startswith("moments."):  # AdamW makes them in its first step
                _, place, key = name.split(".")
                parameter = self._trained()[int(place)]
                self.optimizer.state[parameter][key] = tensor.to(parameter.device)
        with torch.no_grad():
            for part, named in self._parts().items():
                for name, tensor in named.items():
                    tensor.copy_(kept.tensors[f"{part}.{name}"])
        for i, generator in enumerate(self.generators):
            generator.set_state(kept.tensors[f"generator.{i}"])
        torch.set_rng_state(kept.tensors["random"])
        if self.train.device.type == "cuda":
            torch.cuda.set_rng_state(kept.tensors["random.cuda"], self.train.device)

    def _trained(self) -> list[Tensor]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def _parts(self) -> dict[str, dict[str, Tensor]]:
        """By part and name, every tensor that changes during a training."""
        moments = {
            f"{i}.{key}": tensor
            for i, parameter in enumerate(self._trained())
            for key, tensor in self.optimizer.state.get(parameter, {}).items()
        }
        return {
            "weights": {**self.members.parameters, **self.members.buffers},
            "best": self.best,
            "weighting": dict(self.weighting.state_dict(keep_vars=True)),
            "stopping": self.stopping.tensors(),
            "looks": self.probe.tensors(),
            "run": {"losses": self.losses},
            "moments": moments,
        }

    def finish(self) -> list[Fitted]:
        """Restore the best weights; the results of each member."""
        if self.valid is not None:
            self.members.load(self.best)
        results = []
        for k in range(self.members.count):
            losses = {h.task.id: float(self.losses[k, i]) for i, h in enumerate(self.heads)}
            results.append(
                Fitted(
                    int(self.stopping.ended[k]),
                    int(self.stopping.best_epoch[k]),
                    None if self.valid is None else float(self.stopping.best_loss[k]),
                    {task_id: loss for task_id, loss in losses.items() if not math.isnan(loss)},
                    self.probe.of(k),
                )
            )
        return results


def make_weighting(members: Members, config: ModelConfig) -> Weighting:
    """The weighting that the config names, on the device of the members."""
    options = parse_options(WEIGHTINGS, config.weighting, config.options_for(config.weighting))
    made = WEIGHTINGS.get(config.weighting)(members.net.tasks, members.count, options)
    return cast(Weighting, made).to(next(iter(members.parameters.values())).device)


def make_optimizer(members: Members, weighting: Weighting, config: ModelConfig) -> torch.optim.Optimizer:
    """AdamW over all members at once; parameters with a rate of their own form groups of their own."""
    rates: dict[float, list[Tensor]] = {}
    for name, parameter in members.parameters.items():
        rates.setdefault(members.net.rate(name), []).append(parameter)
    groups = [{"params": parameters, "lr": config.learning_rate * rate} for rate, parameters in rates.items()]
    own = list(weighting.parameters())
    if own:
        groups.append({"params": own, "lr": config.learning_rate, "weight_decay": 0.0})
    # Fused: one pass over all weights takes a quarter of the time of one pass per tensor.
    return torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


def evaluate(members: Members, valid: Batch) -> tuple[Tensor, Tensor]:
    """(members, tasks) mean loss over the labels, and whether there are any; on the CPU."""
    heads = [members.net.head(task) for task in members.net.tasks]
    count = members.count
    everyone = Batch(
        repeat(valid.inputs, count),
        *(
            {i: t.expand(count, *t.shape) for i, t in part.items()}
            for part in (valid.targets, valid.known, valid.weights)
        ),
    )
    losses, present = task_losses(heads, ask(members, valid.inputs), everyone)
    return losses.cpu(), present.cpu()


def _require_finite(losses: Tensor, epoch: int) -> None:
    if not torch.isfinite(losses).all():
        raise ModelError(
            f"the loss was no longer a number in epoch {epoch}; no model was written",
            hint="lower train.learning_rate in annotate.toml",
        )
