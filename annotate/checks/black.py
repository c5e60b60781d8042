"""How much of a sample shows nothing."""

from annotate.registry import check
from annotate.types import Observed

DARK = 0.13
"""Brightness, 0 to 1, up to which a picture may be black; television's black is 16 of 255."""
EVEN = 0.03
"""Standard deviation of the brightness up to which nothing is seen in a dark picture."""


@check("black")
class Black:
    """Share of the pictures that are dark all over."""

    unit = "share"
    low = "hardly any black picture"
    high = "black picture"

    def measure(self, observed: Observed) -> float | None:
        """0 to 1; None when no picture was looked at."""
        dark = [g.brightness <= DARK and g.contrast <= EVEN for g in observed.frame_samples]
        return sum(dark) / len(dark) if dark else None
