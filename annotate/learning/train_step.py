"""One training step up to the optimizer: the loss of each task and the gradients of all parameters."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.func import functional_call

from annotate.learning.batches import Batch
from annotate.learning.compiled import compiled
from annotate.learning.device import halves
from annotate.learning.graph_cache import GraphCache, Tensors, tested_torch
from annotate.learning.losses import task_losses
from annotate.learning.members import Members
from annotate.learning.memory import in_pieces
from annotate.learning.model_config import ModelConfig
from annotate.learning.tensors import Inputs, Output
from annotate.learning.weightings.base import Weighting

log = logging.getLogger(__name__)


class TrainStep:
    """Forward and backward for all members at once."""

    def __init__(
        self, members: Members, weighting: Weighting, config: ModelConfig, *, cache_graphs: bool = False
    ) -> None:
        """With `cache_graphs` see `annotate.learning.graph_cache`; the results are the same."""
        self.members, self.weighting = members, weighting
        weights = list(members.parameters.values())
        self.half = halves(config.precision, weights[0].device, sum(p[0].numel() for p in weights))
        self.compiled = compiled(members) if config.compile else None
        self.heads = [members.net.head(task) for task in members.net.tasks]
        self.own = dict(weighting.named_parameters())
        self.learned = [*members.parameters.values(), *self.own.values()]
        self.kept = [*members.buffers.values(), *weighting.buffers()]
        self.cache: GraphCache | None = None
        if cache_graphs and tested_torch(torch.__version__):
            # Everything but the batch that decides the operations of a step.
            shapes = tuple((tuple(t.shape), t.dtype, str(t.device)) for t in [*self.learned, *self.kept])
            kind = repr(config), repr(members.net.tasks), members.sees, shapes
            self.cache = GraphCache(self._of_tensors, kind)
        self.like: Batch | None = None

    def __call__(self, batch: Batch, counted: Tensor, pieces: Sequence[Tensor] = ()) -> tuple[Tensor, Tensor]:
        """(members, tasks) losses and whether they count; the gradients are in ``.grad``.

        `counted` as in `task_losses`; `pieces` as in `in_pieces`.
        """
        results = None if pieces else self._run_graph(batch, counted)
        if results is not None:
            losses, present, *gradients = results
            for parameter, gradient in zip(self.learned, gradients, strict=True):
                parameter.grad = gradient
            assert losses is not None and present is not None
            return losses, present
        if self.compiled is not None and not pieces:
            try:
                return self._compute(self.compiled, batch, counted, pieces)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # no compiler, or a part that none can compile: errors of many kinds
                first = (str(error).strip() or type(error).__name__).splitlines()[0]
                log.warning("train.compile: the network cannot be compiled here and runs as it is: %s", first)
                self.compiled = None
        return self._compute(self.members, batch, counted, pieces)

    def _compute(
        self, forward: Callable[[Inputs], Output], batch: Batch, counted: Tensor, pieces: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        for parameter in self.learned:
            parameter.grad = None
        with torch.autocast(batch.device.type, dtype=torch.bfloat16, enabled=self.half):
            output = in_pieces(forward, batch.inputs, pieces)
        losses, present = task_losses(self.heads, output, batch, counted)
        self.weighting.backward(losses, present, output.penalty, list(self.members.parameters.values()))
        return losses.detach(), present

    def _run_graph(self, batch: Batch, counted: Tensor) -> Tensors | None:
        """The step by a cached graph; None when there is none."""
        possible = self.members.vectorised and self.weighting.direct and self.members.net.training
        if self.cache is None or not possible or self.half or self.compiled is not None:
            return None
        self.like = batch = replace(batch, inputs=self.members.shown(batch.inputs))
        given = [*self.learned, *self.kept, counted.to(batch.device), *batch.tensors()]
        shape = tuple(values.shape for values in batch.inputs.values.values())
        return self.cache(tuple(counted.any(dim=0).tolist()), given, shape)

    def _of_tensors(self, asked: Sequence[bool], tensors: Sequence[Tensor]) -> Tensors:
        """The same as `_compute` as a pure function of tensors: nothing is left in ``.grad``."""
        assert self.like is not None
        rest = iter(tensors)
        net = {name: next(rest).detach().requires_grad_() for name in self.members.parameters}
        own = {name: next(rest).detach().requires_grad_() for name in self.own}
        buffers = {name: next(rest) for name in self.members.buffers}
        weighing = {name: next(rest) for name, _ in self.weighting.named_buffers()}
        counted, batch = next(rest), self.like.of(list(rest))
        with torch.enable_grad():
            output = self.members.together({**net, **buffers}, batch.inputs)
            losses, present = task_losses(self.heads, output, batch, counted, asked)
            weighed = functional_call(self.weighting, {**own, **weighing}, (losses, present))
            total = (weighed + output.penalty).sum()
            gradients = torch.autograd.grad(total, [*net.values(), *own.values()], allow_unused=True)
        # With the strides of its parameter: the fused optimizer does not look at strides.
        return [losses.detach(), present, *(None if g is None else g.contiguous() for g in gradients)]
