"""Caches the graph of operations of a training step, so that later steps run it without Python overhead.

A network this small spends more time in Python, in the rules of `torch.vmap` and in autograd's bookkeeping
than in arithmetic. Once a training, or an earlier one of the same kind, has made enough calls with inputs of
one shape, the operations of one call are traced (`make_fx`) and from then on executed directly, with the same
results bit for bit. A step that cannot be traced runs as before.

Only `simulate` asks for it: it repeats short trainings of one kind hundreds of times. The tracer rests on
internals of torch, so that it is off for versions outside `TESTED_TORCH`.
"""

import logging
import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Tensors = list[Tensor | None]
Function = Callable[[Any, Sequence[Tensor]], Tensors]
"""(branch, tensors) -> tensors, some of which may be None; without branches on values in tensors."""
Operations = Callable[..., Tensors]
"""The same function with each tensor as an argument."""

TESTED_TORCH = ((2, 13), (2, 15))
"""The first and the last version of torch, as (major, minor), that the tests of this module passed with."""
PAYS_AFTER = 250
"""Calls of one shape before they are traced. Tracing costs as much as a few hundred calls (the first one in a
process twice that, for the imports) and saves a third of the time of every later call."""
MOST_SHAPES = 8
"""Shapes that are traced; batches of whole videos hardly ever repeat one."""
MOST_ENTRIES = 8
"""Kinds of trainings that are remembered. A simulation trains one kind hundreds of times."""


def tested_torch(version: str) -> bool:
    """Whether `version` of torch is one that the cache may be used with."""
    match = re.match(r"(\d+)\.(\d+)", version)
    first, last = TESTED_TORCH
    return match is not None and first <= (int(match[1]), int(match[2])) <= last


@dataclass
class CacheEntry:
    """What trainings of one kind share."""

    calls: Counter[Hashable] = field(default_factory=Counter)
    """Number of calls by branch and shape."""
    graphs: dict[Hashable, Operations] = field(default_factory=dict)
    possible: bool = True
    """Whether steps of this kind can be traced at all."""


_ENTRIES: dict[Hashable, CacheEntry] = {}


class GraphCache:
    """A function whose graph is cached for the shapes that it is often called with."""

    def __init__(self, function: Function, kind: Hashable) -> None:
        """`function` does the same at every call except for the tensors and the branch. Functions of the same
        `kind` should do the same operations; this is verified before a graph is reused."""
        self.function = function
        # The most recently used kind is last; the first is dropped when there are too many.
        self.entry = _ENTRIES[kind] = _ENTRIES.pop(kind, CacheEntry())
        for old in list(_ENTRIES)[:-MOST_ENTRIES]:
            del _ENTRIES[old]
        self.trusted: dict[Hashable, Operations] = {}

    def __call__(self, branch: Hashable, tensors: Sequence[Tensor], shape: Hashable) -> Tensors | None:
        """The result of the function, bit for bit and with the same random draws; None without a graph.

        `shape` differs between calls whose tensors differ in anything but their values.
        """
        operations = self.trusted.get((branch, shape))
        if operations is not None:
            with torch.no_grad():
                return operations(*tensors)
        entry, key = self.entry, (branch, shape)
        entry.calls[key] += 1
        if key in entry.graphs:  # traced by another training: verified before it is used
            if agree(self.function, branch, entry.graphs[key], tensors):
                self.trusted[key] = entry.graphs[key]
            else:  # frequent shapes are traced again
                self.entry = CacheEntry()
        elif entry.possible and entry.calls[key] > PAYS_AFTER and len(entry.graphs) < MOST_SHAPES:
            try:
                operations = trace(self.function, branch, tensors)
            except Exception as error:  # a plug-in may do anything that cannot be traced
                log.debug("training without a cached graph: %s: %s", type(error).__name__, error)
                operations = None
            entry.possible = operations is not None
            if operations is not None:
                entry.graphs[key] = self.trusted[key] = operations
        return None


def trace(function: Function, branch: Any, tensors: Sequence[Tensor]) -> Operations | None:
    """The operations of one call. None when they do not give the same numbers, or return one tensor twice,
    because gradients are changed in place afterwards. Leaves the random state as it was."""
    from torch.fx.experimental.proxy_tensor import make_fx

    def plain(*given: Tensor) -> Tensors:  # make_fx would treat the self of a method as an input
        return function(branch, given)

    given = [t.detach() for t in tensors]
    graph = make_fx(plain, tracing_mode="fake")(*given)
    _remove_no_ops(graph)
    _call_directly(graph)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    operations = cast(Operations, graph.forward)
    return operations if agree(function, branch, operations, given) else None


def agree(function: Function, branch: Any, operations: Operations, tensors: Sequence[Tensor]) -> bool:
    """Whether the operations give the same results as the function, and no result shares memory with another
    tensor. Leaves the random state as it was."""
    given = [t.detach() for t in tensors]
    devices = [t.device for t in tensors if t.is_cuda][:1]
    with torch.no_grad():
        with torch.random.fork_rng(devices=devices):
            theirs = function(branch, given)
        with torch.random.fork_rng(devices=devices):
            ours = operations(*given)
    if len(theirs) != len(ours):
        return False
    for one, other in zip(theirs, ours, strict=True):
        if one is None or other is None:
            if one is not other:
                return False
        elif not torch.equal(one, other):
            return False
    results = [t.data_ptr() for t in ours if t is not None and t.numel()]
    return len(set(results)) == len(results) and set(results).isdisjoint(t.data_ptr() for t in given)


def _remove_no_ops(graph: Any) -> None:
    """Remove operations without effect: factors of one, and views that keep the shape."""
    aten = torch.ops.aten
    views = {aten.view.default, aten._unsafe_view.default, aten.expand.default, aten.detach.default}
    for node in graph.graph.nodes:
        if node.op != "call_function" or not node.args or not isinstance(node.args[0], torch.fx.Node):
            continue
        before, after = node.args[0].meta.get("val"), node.meta.get("val")
        if not isinstance(before, Tensor) or not isinstance(after, Tensor):
            continue
        one = node.target is aten.mul.Scalar and node.args[1] == 1
        idle = node.target in views and before.shape == after.shape and before.stride() == after.stride()
        if (one and before.dtype == after.dtype) or idle:
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)


_DIRECT = frozenset({
    "abs", "add", "addmm", "any", "baddbmm", "bernoulli", "bitwise_and", "bitwise_not", "bmm", "cat",
    "clamp", "clamp_min", "cos", "div", "empty_like", "eq", "exp", "ge", "gt", "le", "log", "logical_and",
    "lt", "maximum", "mean", "minimum", "mm", "mul", "native_layer_norm", "ne", "neg", "ones_like", "permute",
    "pow", "relu", "rsqrt", "select", "sigmoid", "sign", "sin", "split", "sqrt", "squeeze", "stack", "sub",
    "sum", "t", "tanh", "transpose", "unbind", "unsqueeze", "where", "zeros_like",
})  # fmt: skip
_OF_TENSORS = ("view", "_unsafe_view", "expand", "div_", "mul_", "add_", "bernoulli_")


def _call_directly(graph: Any) -> None:
    """Call torch's own functions where they are the same operation: `torch.ops` takes microseconds more."""
    aten = torch.ops.aten
    for node in graph.graph.nodes:
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            continue
        name = node.target.overloadpacket.__name__
        if node.target is aten.gelu.default:
            node.target = torch.nn.functional.gelu
        elif name in _DIRECT:
            node.target = getattr(torch, name)
        elif name in _OF_TENSORS:
            node.target = getattr(Tensor, name.removeprefix("_unsafe_"))
