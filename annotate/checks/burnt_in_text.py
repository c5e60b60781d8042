"""Whether text is burnt into the picture."""

from annotate.registry import check
from annotate.types import Observed


@check("burnt-in-text")
class BurntInText:
    """Share of the searched frames with lines of text in their lower part, in any script."""

    unit = "share"
    low = "no burnt-in text"
    high = "burnt-in text"

    def measure(self, observed: Observed) -> float | None:
        """0 to 1; None if no frame was searched."""
        has_text = [bool(g.onscreen_text) for g in observed.frame_samples if g.onscreen_text is not None]
        return sum(has_text) / len(has_text) if has_text else None
