"""The members' forward pass as a flat list of tensor operations: the same numbers, without the way there.

A network this small spends half of its forward pass in Python: modules, `functional_call`, and the rules of
`torch.vmap`. Once steps of one shape have come by often enough, the operations of one pass are written down
(`make_fx`) and from then on done directly. Whatever cannot be written down goes on as before.
"""

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import Any, cast

import torch
from torch import Tensor

from annotate.learning.tensors import Inputs, Output

log = logging.getLogger(__name__)

Forward = Callable[[Mapping[str, Tensor], Inputs], Output]

PAYS_AFTER = 250
"""Steps of one shape before they are written down. Two seconds are spent for that, mostly on importing what
does it, and one to three milliseconds won per step."""
MOST_SHAPES = 4
"""How many are written down; batches of whole videos have ever new ones."""


class Traced:
    """Calls a forward pass in train mode."""

    def __init__(self, forward: Forward) -> None:
        """`forward` has no branch that depends on numbers in tensors."""
        self.forward = forward
        self.seen: Counter[Hashable] = Counter()
        self.written: dict[Hashable, Forward] = {}
        self.possible = True

    def __call__(self, weights: Mapping[str, Tensor], inputs: Inputs) -> Output:
        """As `forward`; bit for bit, and with the same draws of dropout."""
        shape = _shape(inputs)
        found = self.written.get(shape)
        if found is not None:
            return found(weights, inputs)
        self.seen[shape] += 1
        if self.possible and self.seen[shape] > PAYS_AFTER and len(self.written) < MOST_SHAPES:
            self._write(shape, weights, inputs)
        return self.forward(weights, inputs)

    def _write(self, shape: Hashable, weights: Mapping[str, Tensor], inputs: Inputs) -> None:
        try:
            made = write_down(self.forward, weights, inputs)
        except Exception as error:  # whatever a plug-in does that cannot be written down
            log.debug("training without writing down its operations: %s: %s", type(error).__name__, error)
            made = None
        self.possible = made is not None
        if made is not None:
            self.written[shape] = made


def write_down(forward: Forward, weights: Mapping[str, Tensor], inputs: Inputs) -> Forward | None:
    """The operations of one pass, None when they do not give the same numbers; draws no random number."""
    from torch.fx.experimental.proxy_tensor import make_fx

    def plainly(weights: Mapping[str, Tensor], inputs: Inputs) -> Output:  # a method would be asked for self
        return forward(weights, inputs)

    given = dict(weights)
    graph = make_fx(plainly, tracing_mode="fake")(given, inputs)
    _drop_idle(graph)
    _call_directly(graph)
    graph.recompile()
    made = cast(Forward, graph)
    devices = [inputs.video.device] if inputs.video.is_cuda else []
    said = []
    for run in (forward, made):
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            said.append(run(given, inputs))
    same = all(torch.equal(a, b) for a, b in zip(_tensors(said[0]), _tensors(said[1]), strict=True))
    return made if same else None


def _drop_idle(graph: Any) -> None:
    """Leave out what changes nothing: factors of one, and views of the shape that is there already."""
    aten = torch.ops.aten
    views = {aten.view.default, aten._unsafe_view.default, aten.expand.default}
    for node in graph.graph.nodes:
        if node.op != "call_function" or not node.args or not isinstance(node.args[0], torch.fx.Node):
            continue
        before, after = node.args[0].meta["val"], node.meta["val"]
        one = node.target is aten.mul.Scalar and node.args[1] == 1
        idle = node.target in views and before.shape == after.shape and before.stride() == after.stride()
        if (one and before.dtype == after.dtype) or idle:
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)


def _call_directly(graph: Any) -> None:
    """Call torch's own functions where they are the same operation: `torch.ops` takes microseconds more."""
    aten = torch.ops.aten
    direct: dict[Any, Any] = {
        aten.mul.Tensor: torch.mul, aten.add.Tensor: torch.add, aten.cat.default: torch.cat,
        aten.addmm.default: torch.addmm, aten.bmm.default: torch.bmm, aten.stack.default: torch.stack,
        aten.t.default: torch.t, aten.transpose.int: torch.transpose, aten.select.int: torch.select,
        aten.view.default: Tensor.view, aten._unsafe_view.default: Tensor.view,
        aten.expand.default: Tensor.expand, aten.unsqueeze.default: torch.unsqueeze,
        aten.squeeze.dim: torch.squeeze, aten.any.dim: torch.any, aten.where.self: torch.where,
        aten.gelu.default: torch.nn.functional.gelu, aten.div_.Scalar: Tensor.div_,
        aten.native_layer_norm.default: torch.native_layer_norm,
    }  # fmt: skip
    for node in graph.graph.nodes:
        node.target = direct.get(node.target, node.target) if node.op == "call_function" else node.target


def _shape(inputs: Inputs) -> Hashable:
    return tuple((m, *t.shape) for m, t in inputs.values.items())


def _tensors(output: Output) -> list[Tensor]:
    return [*output.heads.values(), output.fused, output.penalty]
