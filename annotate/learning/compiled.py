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

    together = torch.compile(members.together)

    def run(inputs: Inputs) -> Output:
        # Weightings that look at each task's gradient go back more than once.
        with config.patch(donated_buffer=False):
            return together({**members.parameters, **members.buffers}, members.shown(inputs))

    return run
