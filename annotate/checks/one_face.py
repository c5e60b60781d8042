"""How often exactly one face is visible."""

from annotate.registry import check
from annotate.types import Observed


@check("one-face")
class OneFace:
    """Share of the searched frames that show exactly one face.

    Small people in the background do not count.
    """

    unit = "share"
    low = "no face, or several, in too many pictures"
    high = "a single face in too many pictures"

    def measure(self, observed: Observed) -> float | None:
        """0 to 1; None if no frame was searched."""
        counts = [len(g.faces) for g in observed.frame_samples if g.faces is not None]
        return sum(count == 1 for count in counts) / len(counts) if counts else None
