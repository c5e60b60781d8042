"""How long a sample is."""

from annotate.registry import check
from annotate.types import Observed


@check("duration")
class Duration:
    """Length of the sample, padding included."""

    unit = "s"
    low = "too short"
    high = "too long"

    def measure(self, observed: Observed) -> float:
        """Seconds."""
        return observed.segment.seconds
