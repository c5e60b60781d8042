"""How much of a sample is a still picture."""

from itertools import pairwise

from annotate.registry import check
from annotate.types import Observed

STILL = 0.004
"""Change of brightness, 0 to 1, in the most changed part of the picture that is only the coder's noise."""
LEAST_US = 400_000
"""People hold still for a moment; shorter stretches do not count."""


@check("frozen")
class Frozen:
    """Share of the time during which nothing moves for 0.4 s or more."""

    unit = "share"
    low = "hardly a still moment"
    high = "frozen picture"

    def measure(self, observed: Observed) -> float | None:
        """0 to 1; None when too few pictures were looked at."""
        whole = still = run = 0
        for before, here in pairwise(observed.frame_samples):
            if here.change is None:
                continue
            lasted = here.time_us - before.time_us
            whole += lasted
            if here.change > STILL:
                run = 0
                continue
            before_us, run = run, run + lasted
            still += (run if before_us < LEAST_US else lasted) if run >= LEAST_US else 0
        return still / whole if whole >= LEAST_US else None
