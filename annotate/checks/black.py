"""How much of a sample shows nothing."""

from annotate.registry import check
from annotate.types import Observed

DARK = 0.13
"""Largest brightness, 0 to 1, of a black frame; black in television is 16 of 255."""
EVEN = 0.03
"""Largest standard deviation of the brightness of a black frame."""


@check("black")
class Black:
    """Share of the frames that are dark all over."""

    unit = "share"
    low = "hardly any black picture"
    high = "black picture"

    def measure(self, observed: Observed) -> float | None:
        """0 to 1; None if no frame was sampled."""
        dark = [g.brightness <= DARK and g.contrast <= EVEN for g in observed.frame_samples]
        return sum(dark) / len(dark) if dark else None
