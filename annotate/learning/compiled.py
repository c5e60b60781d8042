"""The members' passes as machine code made for them, where there is a compiler that can make it."""

from collections.abc import Callable

import torch

from annotate.learning.members import Members
from annotate.learning.tensors import Inputs, Output


def compiled(members: Members) -> Callable[[Inputs], Output]:
    """The members as a function, the same up to rounding and to what dropout drops.

    It is compiled by its first calls and their backward passes, which raise any error where that fails.
    """
    from torch._functorch import config

    # Weightings that look at each task's gradient go back more than once. For good, since the pass back may
    # be compiled long after this.
    config.donated_buffer = False
    together = torch.compile(members.together)

    def run(inputs: Inputs) -> Output:
        return together({**members.parameters, **members.buffers}, members.shown(inputs))

    return run
