"""Several networks of one shape at once: weights are stacked, and members are the first axis of outputs."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from annotate.learning.memory import MemoryLimit, in_pieces
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet
from annotate.learning.tensors import Inputs, Output
from annotate.types import UNIMODAL, Modality, Task

Weights = dict[str, Tensor]
"""(members, ...) tensors by name."""


class Members:
    """k networks that are trained and evaluated together: stacked weights under `torch.vmap`, or one after
    the other if a part cannot be vectorised."""

    def __init__(self, nets: Sequence[MultiTaskNet], device: str = "cpu", sees: Sequence[str] = ()) -> None:
        """`nets` have the same configuration and are copied. `sees`: keys of the modalities that each network
        reads, such as ``"TA"``; empty: all read everything."""
        self.net = nets[0].to(device)
        self.count, self.sees = len(nets), tuple(sees)
        learned = _stacked([dict(net.named_parameters()) for net in nets], device)
        self.parameters = {name: nn.Parameter(tensor) for name, tensor in learned.items()}
        self.buffers = _stacked([dict(net.named_buffers()) for net in nets], device)
        self._hidden = {
            m.value: torch.tensor([m.value not in keys for keys in sees], device=device)
            for m in UNIMODAL
            if any(m.value not in keys for keys in sees)
        }
        self.vectorised = self.net.vectorised
        self.memory_limit = MemoryLimit()
        """Memory limit of inference."""

    def __call__(self, inputs: Inputs) -> Output:
        """The output for `inputs` of shape (members, n, ...)."""
        return self.together({**self.parameters, **self.buffers}, self.shown(inputs))

    def shown(self, inputs: Inputs) -> Inputs:
        """The inputs with the modalities that a member does not read masked."""
        if not self._hidden:
            return inputs
        masks = {
            m: mask & ~self._hidden[m][:, None, None] if m in self._hidden else mask
            for m, mask in inputs.masks.items()
        }
        return inputs._replace(masks=masks)

    def together(self, weights: Mapping[str, Tensor], inputs: Inputs) -> Output:
        """The output for masked inputs with these weights, by the names of parameters and buffers."""
        if self.count > 1 and self.vectorised:
            return torch.vmap(self._one, randomness="different")(weights, inputs)
        if self.count == 1:  # views only, so nothing is copied
            alone = {name: tensor.squeeze(0) for name, tensor in weights.items()}
            output = self._one(alone, _member(inputs, 0))
            return Output(
                {task_id: raw.unsqueeze(0) for task_id, raw in output.heads.items()},
                output.fused.unsqueeze(0),
                output.penalty.unsqueeze(0),
                {task_id: read.unsqueeze(0) for task_id, read in output.representations.items()},
            )
        parts = {name: tensor.unbind(0) for name, tensor in weights.items()}
        outputs = [
            self._one({name: part[k] for name, part in parts.items()}, _member(inputs, k))
            for k in range(self.count)
        ]
        return Output(
            {task_id: torch.stack([o.heads[task_id] for o in outputs]) for task_id in outputs[0].heads},
            torch.stack([o.fused for o in outputs]),
            torch.stack([o.penalty for o in outputs]),
            {
                task_id: torch.stack([o.representations[task_id] for o in outputs])
                for task_id in outputs[0].representations
            },
        )

    def _one(self, weights: Mapping[str, Tensor], inputs: Inputs) -> Output:
        return functional_call(self.net, dict(weights), (inputs,))

    def of_head(self, task: Task) -> list[nn.Parameter]:
        """The stacked parameters of one task's head."""
        own = {id(parameter) for parameter in self.net.head(task).parameters()}
        names = [name for name, parameter in self.net.named_parameters() if id(parameter) in own]
        return [self.parameters[name] for name in names]

    def train(self, mode: bool = True) -> None:
        """Turn dropout on or off."""
        self.net.train(mode)

    def weights(self) -> Weights:
        """A copy of all parameters and buffers."""
        return {n: t.detach().clone() for n, t in (*self.parameters.items(), *self.buffers.items())}

    def load(self, weights: Weights) -> None:
        """Copy `weights` into the parameters and buffers."""
        with torch.no_grad():
            for name, tensor in (*self.parameters.items(), *self.buffers.items()):
                tensor.copy_(weights[name])

    def states(self) -> list[dict[str, Tensor]]:
        """The state dict of each network, on the CPU."""
        stacked = {n: t.cpu() for n, t in self.weights().items()}
        return [{n: t[k].contiguous() for n, t in stacked.items()} for k in range(self.count)]


def restore(
    widths: Mapping[Modality, int],
    tasks: Sequence[Task],
    config: ModelConfig,
    states: Sequence[Mapping[str, Tensor]],
    device: str,
    sees: Sequence[str] = (),
) -> Members:
    """Trained networks from their state dicts, in evaluation mode; `sees` as in `Members`.

    Raises `RuntimeError` when the weights do not fit the configuration.
    """
    nets = []
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn and then overwritten
        for state in states:
            nets.append(MultiTaskNet(widths, tasks, config))
            nets[-1].load_state_dict(dict(state))
    members = Members(nets, device, sees)
    members.train(False)
    return members


def ask(members: Members, inputs: Inputs, *, dropout: bool = False, representations: bool = False) -> Output:
    """The output of every member for the same samples, `inputs` without a member axis; no gradients.

    With `representations`, also the inputs of the heads.
    """
    members.train(dropout)
    members.net.returns_representations = representations

    def answer(part: Inputs) -> Output:
        return members(repeat(part, members.count))

    with torch.no_grad():
        return members.memory_limit.compute(
            inputs, members.net.needs_context, lambda pieces: in_pieces(answer, inputs, pieces, dim=0)
        )


def repeat(inputs: Inputs, count: int) -> Inputs:
    """Expand the samples to `count` members without copying."""

    def each(tensor: Tensor) -> Tensor:
        return tensor.expand(count, *tensor.shape)

    return Inputs(
        {m: each(t) for m, t in inputs.values.items()},
        {m: each(t) for m, t in inputs.masks.items()},
        each(inputs.video),
        each(inputs.position),
    )


def _stacked(named: Sequence[Mapping[str, Tensor]], device: str) -> Weights:
    return {name: torch.stack([one[name].detach() for one in named]).to(device) for name in named[0]}


def _member(inputs: Inputs, k: int) -> Inputs:
    return Inputs(
        {m: t[k] for m, t in inputs.values.items()},
        {m: t[k] for m, t in inputs.masks.items()},
        inputs.video[k],
        inputs.position[k],
    )
