"""Compiles the forward and backward passes of the members with `torch.compile`."""

from collections.abc import Callable

import torch

from annotate.learning.members import Members
from annotate.learning.tensors import Inputs, Output


def compiled(members: Members) -> Callable[[Inputs], Output]:
    """The members as a compiled function, with the same results up to rounding and dropout.

    The first calls and their backward passes compile it, and raise any error of the compiler.
    """
    from torch._functorch import config

    # Weightings that read each task's gradient run the backward pass several times. Set for good, because the
    # backward pass may be compiled much later.
    config.donated_buffer = False
    together = torch.compile(members.together)

    def run(inputs: Inputs) -> Output:
        return together({**members.parameters, **members.buffers}, members.shown(inputs))

    return run
