"""Number of visible faces."""

from annotate.registry import check
from annotate.types import Observed


@check("faces")
class Faces:
    """Number of faces, averaged over the searched frames.

    People less than a third as large as the largest face are background and do not count.
    """

    unit = "faces"
    low = "too few faces"
    high = "too many faces"

    def measure(self, observed: Observed) -> float | None:
        """At least 0; None if no frame was searched."""
        counts = [len(g.faces) for g in observed.frame_samples if g.faces is not None]
        return sum(counts) / len(counts) if counts else None
