"""A function of tensors as a flat list of its operations: the same numbers, without the way there.

A network this small spends more time in Python, in the rules of `torch.vmap` and in the bookkeeping of
gradients than in arithmetic. Once calls of one shape have come by often enough, in this training or in
others like it before, the operations of one call are written down (`make_fx`) and from then on done directly.
Whatever cannot be written down goes on as before.
"""

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Found = list[Tensor | None]
Function = Callable[[Any, Sequence[Tensor]], Found]
"""(what it branches on, tensors) -> tensors, None for what there is not; no branch on numbers in tensors."""
Operations = Callable[..., Found]
"""The tensors one by one -> the same."""

PAYS_AFTER = 250
"""Calls of one shape before they are written down. That costs as much as some hundred calls, once in a
process twice as much for importing what does it, and takes a third off every call that follows."""
MOST_SHAPES = 8
"""How many are written down; batches of whole videos have ever new ones."""
MOST_SHELVES = 8
"""Kinds of trainings that are remembered. A loop that is replayed trains one kind hundreds of times."""


@dataclass
class Shelf:
    """What trainings of one kind have in common."""

    seen: Counter[Hashable] = field(default_factory=Counter)
    """Calls by what they branch on and their shape."""
    written: dict[Hashable, Operations] = field(default_factory=dict)
    possible: bool = True


_SHELVES: dict[Hashable, Shelf] = {}


class Traced:
    """A function, written down for the shapes that come often."""

    def __init__(self, function: Function, kind: Hashable) -> None:
        """`function` is the same at every call but for the tensors and what it branches on. Functions of the
        same `kind` should do the same operations; whether they do is looked at before it is relied on."""
        self.function = function
        self.shelf = _shelf(kind)
        self.trusted: dict[Hashable, Operations] = {}

    def __call__(self, branch: Hashable, tensors: Sequence[Tensor], shape: Hashable) -> Found | None:
        """What the function gives, bit for bit and with the same draws of chance; None when it is not written
        down. `shape` says everything in which the tensors differ from call to call but their numbers."""
        known = self.trusted.get((branch, shape))
        if known is not None:
            with torch.no_grad():
                return known(*tensors)
        shelf, key = self.shelf, (branch, shape)
        shelf.seen[key] += 1
        if key in shelf.written:
            self._trust(branch, tensors, shape)
        elif shelf.possible and shelf.seen[key] > PAYS_AFTER and len(shelf.written) < MOST_SHAPES:
            self._write(branch, tensors, shape)
        return None

    def _trust(self, branch: Hashable, tensors: Sequence[Tensor], shape: Hashable) -> None:
        """What another training wrote down, if it is what this one would do."""
        made = self.shelf.written[branch, shape]
        if agree(self.function, branch, made, tensors):
            self.trusted[branch, shape] = made
        else:  # the next that comes often is written down anew
            self.shelf = Shelf()

    def _write(self, branch: Hashable, tensors: Sequence[Tensor], shape: Hashable) -> None:
        try:
            made = write_down(self.function, branch, tensors)
        except Exception as error:  # whatever a plug-in does that cannot be written down
            log.debug("training without writing down its operations: %s: %s", type(error).__name__, error)
            made = None
        self.shelf.possible = made is not None
        if made is not None:
            self.shelf.written[branch, shape] = self.trusted[branch, shape] = made


def _shelf(kind: Hashable) -> Shelf:
    """The last used stands last; the first goes when there are too many."""
    found = _SHELVES[kind] = _SHELVES.pop(kind, Shelf())
    for old in list(_SHELVES)[:-MOST_SHELVES]:
        del _SHELVES[old]
    return found


def write_down(function: Function, branch: Any, tensors: Sequence[Tensor]) -> Operations | None:
    """The operations of one call; None when they do not give the same numbers, or give one tensor twice: a
    gradient is changed in place afterwards. Draws no random number."""
    from torch.fx.experimental.proxy_tensor import make_fx

    def plainly(*given: Tensor) -> Found:  # a method would be asked for self
        return function(branch, given)

    given = [t.detach() for t in tensors]
    graph = make_fx(plainly, tracing_mode="fake")(*given)
    _drop_idle(graph)
    _call_directly(graph)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    made = cast(Operations, graph.forward)
    return made if agree(function, branch, made, given) else None


def agree(function: Function, branch: Any, made: Operations, tensors: Sequence[Tensor]) -> bool:
    """Whether the operations give what the function gives, each tensor in a place of its own. Draws no random
    number."""
    given = [t.detach() for t in tensors]
    devices = [t.device for t in tensors if t.is_cuda][:1]
    with torch.no_grad():
        with torch.random.fork_rng(devices=devices):
            theirs = function(branch, given)
        with torch.random.fork_rng(devices=devices):
            ours = made(*given)
    alike = len(theirs) == len(ours) and all(map(_same, theirs, ours))
    return alike and _apart([t for t in ours if t is not None and t.numel()], given)


def _apart(found: Sequence[Tensor], given: Sequence[Tensor]) -> bool:
    places = {t.data_ptr() for t in found}
    return len(places) == len(found) and places.isdisjoint(t.data_ptr() for t in given)


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other if one is None or other is None else torch.equal(one, other)


def _drop_idle(graph: Any) -> None:
    """Leave out what changes nothing: factors of one, and views of the shape that is there already."""
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
