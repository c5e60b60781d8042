"""How often a face is visible."""

from annotate.registry import check
from annotate.types import Observed


@check("face")
class Face:
    """Share of the searched frames that show at least one face."""

    unit = "share"
    low = "no face in too many pictures"
    high = "a face in too many pictures"

    def measure(self, observed: Observed) -> float | None:
        """0 to 1; None if no frame was searched."""
        counts = [len(g.faces) for g in observed.frame_samples if g.faces is not None]
        return sum(count > 0 for count in counts) / len(counts) if counts else None
